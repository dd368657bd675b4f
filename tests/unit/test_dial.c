/* Connecting: good and bad ends, the time-out, full Unix backlogs, and what is found after a worker's death (B6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "stage.h"
#include "upstream/dial.h"

static struct dial_settings settings = { .connect_timeout = 5 * CLOCK_SECOND, .keepalive_idle = 15,
	.keepalive_interval = 5, .keepalive_count = 3, .user_timeout = 30000 };

struct outcome {
	bool done;
	int error;
};

static void
on_dial(void *arg, int error)
{
	struct outcome *outcome = arg;

	assert_false(outcome->done);
	outcome->done = true;
	outcome->error = error;
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

/* Dials to the end. */
static int
dial(int fd, const struct address *address, const struct dial_settings *with)
{
	struct outcome outcome = { false, -1 };
	struct event event;

	dial_start(stage_loop, fd, address, with, &event, on_dial, &outcome);
	assert_false(outcome.done);
	assert_true(stage_run(&outcome.done, 10 * CLOCK_SECOND));
	assert_true(outcome.error == 0 || !event_pending(&event, EV_READ | EV_WRITE, NULL));
	event_del(&event);
	return outcome.error;
}

static void
a_living_copy_is_connected(void **state)
{
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd = dial_socket(&address), value;
	socklen_t length = sizeof value;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(dial_examine(fd), -1);
	assert_int_equal(dial(fd, &address, &settings), 0);
	assert_int_equal(dial_examine(fd), 1);
	dial_tune(fd, &settings);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length), 0);
	assert_int_equal(value, 15);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &length), 0);
	assert_int_equal(value, 30000);
	/* A new worker dials on where the dead one was. */
	assert_int_equal(dial(fd, &address, &settings), 0);
	close(fd);
	close(server);
}

static void
a_dead_copy_refuses(void **state)
{
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd;

	(void)state;
	close(server);
	fd = dial_socket(&address);
	assert_int_equal(dial(fd, &address, &settings), ECONNREFUSED);
	close(fd);
}

static void
b6_a_refused_connect_whose_end_nobody_saw_was_never_connected(void **state)
{
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd;

	(void)state;
	close(server);
	fd = dial_socket(&address);
	connect(fd, (struct sockaddr *)&address.socket, address.socket_length);
	assert_int_equal(dial_examine(fd), -1);
	close(fd);
}

static void
b6_a_connection_that_was_reset_is_kept_for_its_bytes(void **state)
{
	struct linger now = { 1, 0 };
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd = dial_socket(&address), peer;

	(void)state;
	assert_int_equal(dial(fd, &address, &settings), 0);
	peer = accept(server, NULL, NULL);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(peer);
	assert_int_equal(dial_examine(fd), 1);
	close(fd);
	close(server);
}

/* A listener whose queue is full lets no further connect come to its end. */
static void
silence_is_a_time_out(void **state)
{
	struct dial_settings hasty = { .connect_timeout = 100 * CLOCK_MILLISECOND };
	struct address address;
	int server = listen_at("127.0.0.1:1", 0, &address), fds[4], error = 0;
	int64_t began = clock_now();
	bool timed_out = false, pending = false;

	(void)state;
	for (int i = 0; i < 4; i++) {
		fds[i] = dial_socket(&address);
		error = dial(fds[i], &address, &hasty);
		assert_true(error == 0 || error == ETIMEDOUT);
		timed_out = timed_out || error == ETIMEDOUT;
		pending = pending || dial_examine(fds[i]) == 0;
	}
	assert_true(timed_out);
	assert_true(pending);
	assert_true(clock_now() - began < 2 * CLOCK_SECOND);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(server);
}

static void
unix_sockets_connect_and_fail_with_their_cause(void **state)
{
	char text[300];
	struct address address;
	int server, fd;

	(void)state;
	snprintf(text, sizeof text, "unix:%s", stage_path("socket"));
	address = parse(text);
	fd = dial_socket(&address);
	assert_int_equal(dial(fd, &address, &settings), ENOENT);
	assert_int_equal(dial_examine(fd), -1);
	server = listen_at(text, 8, &address);
	assert_int_equal(dial(fd, &address, &settings), 0);
	assert_int_equal(dial_examine(fd), 1);
	dial_tune(fd, &settings);
	close(fd);
	close(server);
	fd = dial_socket(&address);
	assert_int_equal(dial(fd, &address, &settings), ECONNREFUSED);
	close(fd);
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
	struct dial_settings hasty = settings;
	struct timeval soon = { 0, 50000 };
	struct event event;
	struct outcome outcome = { false, -1 };
	struct address address;
	char text[300];
	int server, fds[4];

	(void)state;
	snprintf(text, sizeof text, "unix:%s", stage_path("narrow"));
	server = listen_at(text, 0, &address);
	fds[0] = dial_socket(&address);
	assert_int_equal(dial(fds[0], &address, &settings), 0);
	fds[1] = dial_socket(&address);
	hasty.connect_timeout = 50 * CLOCK_MILLISECOND;
	assert_int_equal(dial(fds[1], &address, &hasty), ETIMEDOUT);
	fds[2] = dial_socket(&address);
	dial_start(stage_loop, fds[2], &address, &settings, &event, on_dial, &outcome);
	event_base_once(stage_loop, -1, EV_TIMEOUT, on_room, &server, &soon);
	assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
	assert_int_equal(outcome.error, 0);
	event_del(&event);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(server);
}

static void
meet_itself(const char *text)
{
	struct address address = parse("127.0.0.1:1"), dialled = parse(text);
	int fd = dial_socket(&address);

	((struct sockaddr_in *)&address.socket)->sin_port = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, address.socket_length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address.socket, &address.socket_length), 0);
	((struct sockaddr_in *)&dialled.socket)->sin_port = ((struct sockaddr_in *)&address.socket)->sin_port;
	assert_int_equal(dial(fd, &dialled, &settings), ECONNREFUSED);
	close(fd);
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
	int server = listen_at("127.0.0.1:1", 8, &address), fd = dial_socket(&address), peer;

	(void)state;
	assert_int_equal(dial(fd, &address, &settings), 0);
	peer = accept(server, NULL, NULL);
	dial_tune(fd, &settings);
	assert_false(dial_heed(fd, &settings, false));
	while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	while (queued(fd, SIOCOUTQ) > queued(fd, SIOCOUTQNSD))
		;
	assert_true(dial_heed(fd, &settings, false));
	assert_int_equal(user_timeout(fd), 0);
	assert_true(dial_heed(fd, &settings, true));
	while (queued(fd, SIOCOUTQNSD) > 0)
		assert_true(recv(peer, bytes, sizeof bytes, 0) > 0);
	assert_false(dial_heed(fd, &settings, true));
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
cancelled_dials_are_silent_and_leave_the_file(void **state)
{
	struct outcome outcome = { false, -1 };
	struct address address;
	int server = listen_at("127.0.0.1:1", 8, &address), fd = dial_socket(&address);
	unsigned files = stage_count_files();
	struct event event;

	(void)state;
	dial_cancel(dial_start(stage_loop, fd, &address, &settings, &event, on_dial, &outcome));
	assert_false(event_pending(&event, EV_READ | EV_WRITE, NULL));
	dial_cancel(NULL);
	stage_idle(20 * CLOCK_MILLISECOND);
	assert_false(outcome.done);
	assert_int_equal(stage_count_files(), files);
	close(fd);
	close(server);
}

static void
host_names_have_no_socket(void **state)
{
	struct address address = parse("example.com:80");

	(void)state;
	assert_int_equal(dial_socket(&address), -EINVAL);
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
		cmocka_unit_test(cancelled_dials_are_silent_and_leave_the_file),
		cmocka_unit_test(host_names_have_no_socket),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
