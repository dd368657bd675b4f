/* One connection: good and bad ends of its dial, the time-out, full Unix backlogs, what is found after a worker's
 * death (B6), and a probe on a connection of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tcp_patience.h"
#include "stage.h"
#include "upstream/conn.h"

static struct conn_settings settings = { .connect_timeout = 5 * CLOCK_SECOND, .keepalive_idle = 15,
	.keepalive_interval = 5, .keepalive_count = 3, .user_timeout = 30000 };
static const struct hello_settings nothing;
static struct table table;
static bool done, local;
static char why[CONN_TEXT_SIZE];
static const struct sockaddr_in *bound; /* where the next socket is bound to; NULL: nowhere */
static int denied;                      /* the errno of the next socket but so many; 0: it is given */
static unsigned passed_fds_before;

/* Stands in for the C library's. */
int
socket(int domain, int type, int protocol)
{
	int fd;

	if (denied != 0 && passed_fds_before-- == 0) {
		errno = denied;
		return -1;
	}
	fd = (int)syscall(SYS_socket, domain, type, protocol);
	if (bound != NULL)
		assert_int_equal(bind(fd, (const struct sockaddr *)bound, sizeof *bound), 0);
	return fd;
}

static void
on_ready(void *arg, struct conn *conn, int64_t began)
{
	(void)arg;
	(void)conn;
	assert_true(began <= clock_now());
	assert_false(done);
	done = true;
}

static void
on_failed(void *arg, struct conn *conn, const char *error, bool aborts, bool is_local)
{
	(void)arg;
	assert_false(aborts);
	assert_false(done);
	conn_close(conn);
	snprintf(why, sizeof why, "%s", error);
	local = is_local;
	done = true;
}

static void
on_ended(void *arg, struct conn *conn, const char *text)
{
	(void)arg;
	(void)conn;
	(void)text;
}

static const struct conn_callbacks callbacks = { .ready = on_ready, .failed = on_failed, .ended = on_ended };
static struct conn_maker maker = { .table = &table, .hello = &nothing, .callbacks = &callbacks };

static int
open_table(void **state)
{
	if (stage_open(state) != 0 || table_new(100, &table) < 0)
		return -1;
	table.shape.services = 1;
	table_derive(&table);
	maker.loop = stage_loop;
	return 0;
}

static int
close_table(void **state)
{
	table_free(&table);
	return stage_close(state);
}

static struct address
parse(const char *text)
{
	struct address address;

	assert_null(address_parse(text, &address));
	return address;
}

/* A listening socket for this address, and in *ret the address to reach it. */
static int
listen_at(const char *text, int backlog, struct address *ret)
{
	struct address address = parse(text);
	int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (address.socket.ss_family == AF_INET)
		((struct sockaddr_in *)&address.socket)->sin_port = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, address.socket_length), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address.socket, &address.socket_length), 0);
	*ret = address;
	return fd;
}

static struct conn *
begin(const struct address *address, const struct conn_settings *with)
{
	struct conn *conn;

	maker.dial = with;
	done = local = false;
	why[0] = '\0';
	conn = conn_dial(&maker, TABLE_ROLE_NEXT, 1, address);
	assert_false(done);
	return conn;
}

/* Dials to the end: the connection, or NULL. */
static struct conn *
dial(const struct address *address, const struct conn_settings *with)
{
	struct conn *conn = begin(address, with);

	assert_true(stage_run(&done, 10 * CLOCK_SECOND));
	return why[0] == '\0' ? conn : NULL;
}

static void
expect_failure(const struct address *address, const struct conn_settings *with, int error)
{
	unsigned files = stage_count_files();

	assert_null(dial(address, with));
	assert_string_equal(why, strerror(error));
	assert_int_equal(stage_count_files(), files);
}

/* Whether a new worker keeps this one of a dead worker; else it is closed. */
static bool
is_kept(int fd)
{
	uint32_t index = table_conn_claim(&table);
	struct conn *conn;
	bool kept;

	table.conns[index].fd = table_note_file(&table, fd);
	table_conn_set(&table, index, TABLE_DIALLING);
	conn = conn_adopt(&maker, index, true);
	kept = conn != NULL;
	assert_int_equal(table_conn_state(&table, index), kept ? TABLE_READY : TABLE_FREE);
	assert_int_equal(fcntl(fd, F_GETFD) != -1, kept);
	if (kept)
		conn_close(conn);
	return kept;
}

/* As a dead worker leaves one. */
static int
connect_to(const struct address *address)
{
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	connect(fd, (const struct sockaddr *)&address->socket, address->socket_length);
	return fd;
}

static void
a_living_copy_is_connected(void **state)
{
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), value;
	struct conn *conn = dial(&address, &settings);
	socklen_t length = sizeof value;

	(void)state;
	assert_non_null(conn);
	assert_int_equal(table_conn_state(&table, conn->index), TABLE_READY);
	assert_int_equal(table.conns[conn->index].fd, conn->fd);
	assert_int_equal(fcntl(conn->fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(conn->fd, F_GETFD), FD_CLOEXEC);
	conn_tune(conn->fd, &settings);
	assert_int_equal(getsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length), 0);
	assert_int_equal(value, 15);
	assert_int_equal(getsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &length), 0);
	assert_int_equal(value, 30000);
	assert_int_equal(getsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	assert_int_equal(value, 0);
	conn_tune_shared(&maker, conn->index);
	assert_int_equal(getsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	assert_int_equal(value, 1);
	assert_true(is_kept(connect_to(&address)));
	conn_close(conn);
	close(server);
}

static void
a_dead_copy_refuses(void **state)
{
	struct address address;

	(void)state;
	close(listen_at("127.0.0.1:1", 8, &address));
	expect_failure(&address, &settings, ECONNREFUSED);
	assert_false(local);
}

static void
b6_a_refused_connect_whose_end_nobody_saw_was_never_connected(void **state)
{
	struct address address;

	(void)state;
	close(listen_at("127.0.0.1:1", 8, &address));
	assert_false(is_kept(connect_to(&address)));
	assert_false(is_kept(socket(AF_INET, SOCK_STREAM, 0)));
}

static void
b6_a_connection_that_was_reset_is_kept_for_its_bytes(void **state)
{
	struct linger now = { 1, 0 };
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd = connect_to(&address), peer;

	(void)state;
	peer = accept(server, NULL, NULL);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(peer);
	assert_true(is_kept(fd));
	close(server);
}

/* A listener whose queue is full lets no further connect come to its end. */
static void
silence_is_a_time_out(void **state)
{
	struct conn_settings hasty = { .connect_timeout = 100 * CLOCK_MILLISECOND };
	struct conn *conns[4];
	struct address address;
	int server = listen_at("127.0.0.1:1", 0, &address);
	int64_t began = clock_now();
	bool timed_out = false;

	(void)state;
	for (int i = 0; i < 4; i++) {
		conns[i] = dial(&address, &hasty);
		assert_true(conns[i] != NULL || strcmp(why, strerror(ETIMEDOUT)) == 0);
		timed_out = timed_out || conns[i] == NULL;
	}
	assert_true(timed_out);
	assert_false(is_kept(connect_to(&address)));
	assert_true(clock_now() - began < 2 * CLOCK_SECOND);
	for (int i = 0; i < 4; i++)
		if (conns[i] != NULL)
			conn_close(conns[i]);
	close(server);
}

static void
unix_sockets_connect_and_fail_with_their_cause(void **state)
{
	char text[300];
	struct address address;
	struct conn *conn;
	int server;

	(void)state;
	snprintf(text, sizeof text, "unix:%s", stage_path("socket"));
	address = parse(text);
	expect_failure(&address, &settings, ENOENT);
	assert_false(is_kept(connect_to(&address)));
	server = listen_at(text, 8, &address);
	conn = dial(&address, &settings);
	assert_non_null(conn);
	assert_true(is_kept(connect_to(&address)));
	conn_tune_shared(&maker, conn->index);
	conn_close(conn);
	close(server);
	expect_failure(&address, &settings, ECONNREFUSED);
}

static void
on_room(evutil_socket_t fd, short what, void *arg)
{
	const int *server = arg;

	(void)fd;
	(void)what;
	close(accept(*server, NULL, NULL));
}

static void
b6_a_full_unix_backlog_is_tried_again(void **state)
{
	struct conn_settings hasty = settings;
	struct timeval soon = { 0, 50000 };
	struct conn *first, *third;
	struct address address;
	char text[300];
	int server;

	(void)state;
	snprintf(text, sizeof text, "unix:%s", stage_path("narrow"));
	server = listen_at(text, 0, &address);
	first = dial(&address, &settings);
	assert_non_null(first);
	hasty.connect_timeout = 50 * CLOCK_MILLISECOND;
	expect_failure(&address, &hasty, ETIMEDOUT);
	event_base_once(stage_loop, -1, EV_TIMEOUT, on_room, &server, &soon);
	third = dial(&address, &settings);
	assert_non_null(third);
	conn_close(first);
	conn_close(third);
	close(server);
}

static void
meet_itself(const char *text)
{
	struct address address = parse("127.0.0.1:1"), dialled = parse(text);
	struct sockaddr_in *own = (struct sockaddr_in *)&address.socket;
	int fd = listen_at("127.0.0.1:1", 1, &address);

	close(fd); /* its port is free */
	((struct sockaddr_in *)&dialled.socket)->sin_port = own->sin_port;
	bound = own;
	expect_failure(&dialled, &settings, ECONNREFUSED);
	bound = NULL;
}

/* SIOCOUTQ, SIOCOUTQNSD: bytes that are not acknowledged; that were not even sent. */
static int
queued(int fd, unsigned long what)
{
	int bytes = -1;

	assert_int_equal(ioctl(fd, what, &bytes), 0);
	return bytes;
}

static unsigned
user_timeout(int fd)
{
	unsigned value = 0;
	socklen_t length = sizeof value;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &length), 0);
	return value;
}

static void
a_peer_that_has_closed_its_window_is_not_given_up(void **state)
{
	static char bytes[65536];
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd = connect_to(&address), peer;

	(void)state;
	peer = accept(server, NULL, NULL);
	conn_tune(fd, &settings);
	assert_false(tcp_patience_heed(fd, settings.user_timeout, false));
	while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	while (queued(fd, SIOCOUTQ) > queued(fd, SIOCOUTQNSD))
		;
	assert_true(tcp_patience_heed(fd, settings.user_timeout, false));
	assert_int_equal(user_timeout(fd), 0);
	assert_true(tcp_patience_heed(fd, settings.user_timeout, true));
	while (queued(fd, SIOCOUTQNSD) > 0)
		assert_true(recv(peer, bytes, sizeof bytes, 0) > 0);
	assert_false(tcp_patience_heed(fd, settings.user_timeout, true));
	assert_int_equal(user_timeout(fd), 30000);
	close(fd);
	close(peer);
	close(server);
}

static void
a_connect_that_meets_itself_is_refused(void **state)
{
	(void)state;
	meet_itself("127.0.0.1:1");
	meet_itself("0.0.0.0:1");
}

static void
cancelled_dials_are_silent_and_leave_no_file(void **state)
{
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address);
	unsigned files = stage_count_files();
	struct conn *conn = begin(&address, &settings);
	uint32_t index = conn->index;

	(void)state;
	assert_int_equal(table_conn_state(&table, index), TABLE_DIALLING);
	conn_close(conn);
	stage_idle(20 * CLOCK_MILLISECOND);
	assert_false(done);
	assert_int_equal(table_conn_state(&table, index), TABLE_FREE);
	assert_int_equal(stage_count_files(), files);
	close(server);
}

static void
host_names_have_no_socket(void **state)
{
	struct address address = parse("example.com:80");

	(void)state;
	expect_failure(&address, &settings, EINVAL);
	assert_false(local);
}

/* Only files and memory would lack for any other endpoint as well. */
static void
what_this_host_lacks_for_any_dial_is_no_fault_of_the_endpoint(void **state)
{
	static const struct {
		int error;
		bool local;
	} rows[] = {
		{ EMFILE, true }, { ENFILE, true }, { ENOMEM, true }, { ENOBUFS, true },
		{ EAFNOSUPPORT, false }, { EPROTONOSUPPORT, false }, { EACCES, false }, { EPERM, false },
		{ EADDRNOTAVAIL, false },
	};
	struct conn_settings aside = settings;
	struct address address = parse("127.0.0.1:1");

	(void)state;
	aside.probe = (struct probe_settings){ .kind = PROBE_HTTP, .path = "/" };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (unsigned of_probe = 0; of_probe < 2; of_probe++) {
			denied = rows[i].error;
			passed_fds_before = of_probe;
			expect_failure(&address, of_probe ? &aside : &settings, denied);
			assert_int_equal(local, rows[i].local);
		}
	}
	denied = 0;
}

/* What has come to a server, as a text. */
static void
hear(int server, char ret_text[1024])
{
	struct pollfd look = { .fd = server, .events = POLLIN };
	ssize_t n;

	for (int i = 0; i < 100 && poll(&look, 1, 0) == 0; i++)
		stage_idle(10 * CLOCK_MILLISECOND);
	n = recv(server, ret_text, 1023, MSG_DONTWAIT);
	ret_text[n < 0 ? 0 : n] = '\0';
}

/* A reload in place frees the settings by which the probe was begun, while it connects; a dial's own connection
 * begins when that of its probe has ended. */
static void
a_probe_is_asked_aside_by_the_settings_in_force(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
	char path[] = "/freed!", now[] = "/health", heard[1024];
	struct conn_settings before = settings, after = settings;
	struct address address;
	int listener = listen_at("127.0.0.1:1", 8, &address), server;
	struct conn *conn;

	(void)state;
	before.probe = (struct probe_settings){ .kind = PROBE_HTTP, .path = path };
	after.probe = (struct probe_settings){ .kind = PROBE_HTTP, .path = now };
	conn = begin(&address, &before);
	maker.dial = &after;
	memset(&before, 0, sizeof before);
	server = accept(listener, NULL, NULL);
	hear(server, heard);
	*strchr(heard, '\r') = '\0';
	assert_string_equal(heard, "GET /health HTTP/1.1");
	assert_int_equal(send(server, answer, sizeof answer - 1, 0), sizeof answer - 1);
	hear(server, heard);
	assert_string_equal(heard, ""); /* its end, before ours */
	assert_false(done);
	close(server);
	assert_true(stage_run(&done, 5 * CLOCK_SECOND));
	assert_string_equal(why, "");
	server = accept(listener, NULL, NULL);
	conn_close(conn);
	close(server);
	close(listener);
}

/* A server may end the connection behind its greeting, or in place of it. */
static void
a_probe_says_what_came_before_the_end(void **state)
{
	struct conn_settings asks = settings;
	struct address address;
	int listener = listen_at("127.0.0.1:1", 8, &address), server;

	(void)state;
	asks.probe.kind = PROBE_REDIS;
	begin(&address, &asks);
	server = accept(listener, NULL, NULL);
	assert_int_equal(send(server, "+PO", 3, 0), 3);
	stage_idle(20 * CLOCK_MILLISECOND);
	assert_false(done);
	shutdown(server, SHUT_WR);
	assert_true(stage_run(&done, 5 * CLOCK_SECOND));
	assert_string_equal(why, "probe: the server closed the connection after \"+PO\"");
	close(server);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_living_copy_is_connected),
		cmocka_unit_test(a_dead_copy_refuses),
		cmocka_unit_test(b6_a_refused_connect_whose_end_nobody_saw_was_never_connected),
		cmocka_unit_test(b6_a_connection_that_was_reset_is_kept_for_its_bytes),
		cmocka_unit_test(silence_is_a_time_out),
		cmocka_unit_test(unix_sockets_connect_and_fail_with_their_cause),
		cmocka_unit_test(b6_a_full_unix_backlog_is_tried_again),
		cmocka_unit_test(a_peer_that_has_closed_its_window_is_not_given_up),
		cmocka_unit_test(a_connect_that_meets_itself_is_refused),
		cmocka_unit_test(cancelled_dials_are_silent_and_leave_no_file),
		cmocka_unit_test(host_names_have_no_socket),
		cmocka_unit_test(what_this_host_lacks_for_any_dial_is_no_fault_of_the_endpoint),
		cmocka_unit_test(a_probe_is_asked_aside_by_the_settings_in_force),
		cmocka_unit_test(a_probe_says_what_came_before_the_end),
	};

	return cmocka_run_group_tests(tests, open_table, close_table);
}
