#include "upstream/conn.h"

#include <errno.h>
#include <linux/mptcp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/tcp_listen.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "keep/table.h"
#include "upstream/record.h"
#include "upstream/tls_start.h"

/* A Unix socket whose backlog is full has nothing to wait for: it is asked again so often (B6). */
#define CONN_RETRY (10 * CLOCK_MILLISECOND)

#define CONN_LOOP (-1) /* in place of an errno: the address leads to us */

/* RFC 793's states by the kernel's numbers; <netinet/tcp.h>, which has them, lacks half of struct tcp_info and
 * cannot be had together with <linux/tcp.h>. */
enum { CONN_SYN_SENT = 2, CONN_SYN_RECV = 3, CONN_CLOSE = 7 };

static struct table_conn *
conn_record(const struct conn *conn)
{
	return &conn->maker->table->conns[conn->index];
}

static void
conn_leave_aside(struct conn *conn)
{
	loop_event_stop(&conn->event);
	if (conn->aside && conn->fd >= 0)
		close(conn->fd);
	conn->aside = false;
}

static void
conn_stop(struct conn *conn)
{
	tls_hello_cancel(conn->tls);
	conn->tls = NULL;
	hello_cancel(conn->hello);
	conn->hello = NULL;
	conn_leave_aside(conn);
	loop_timer_stop(&conn->timer);
	if (conn->ready)
		loop_event_stop(&conn->watch);
}

static void
conn_end(struct conn *conn)
{
	conn_stop(conn);
	if (conn->index != 0)
		table_conn_close(conn->maker->table, conn->index);
	conn->index = 0;
	conn->ready = false;
}

static void
conn_fail(struct conn *conn, const char *error, bool aborts, bool local)
{
	conn_end(conn);
	conn->maker->callbacks->failed(conn->maker->arg, conn, error, aborts, local);
}

/* Why a ready one has ended is found out once: a socket tells its error once. */
static bool
conn_is_over(struct conn *conn)
{
	struct pollfd look = { .fd = conn->fd, .events = POLLIN | POLLRDHUP };
	unsigned char said[ESCAPE_SAID_MAX];
	char escaped[ESCAPE_SAID_SIZE];
	socklen_t length = sizeof(int);
	int error = 0;
	ssize_t n;

	if (poll(&look, 1, 0) < 1 || (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0)
		return false;
	if (conn->end[0] != '\0')
		return true;
	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	n = recv(conn->fd, said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0) {
		escape_said(said, (size_t)n, escaped);
		snprintf(conn->end, sizeof conn->end, "it said \"%s\"", escaped);
	} else if (error != 0) {
		snprintf(conn->end, sizeof conn->end, "%s", strerror(error));
	}
	return true;
}

bool
conn_has_ended(struct conn *conn)
{
	if (!conn_is_over(conn))
		return false;
	event_active(&conn->watch, EV_READ, 0);
	return true;
}

static void conn_on_readable(evutil_socket_t fd, short what, void *arg);

static void
conn_set_watch(struct conn *conn, short what)
{
	event_assign(&conn->watch, conn->maker->loop, conn->fd, what | EV_READ | EV_PERSIST,
	    conn_on_readable, conn);
	loop_event_add(&conn->watch);
}

/* Something has come, or an end.  What the server says first is the client's and stays unread: from now on only news
 * are told. */
static void
conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	if (conn_is_over(conn)) {
		conn->maker->callbacks->ended(conn->maker->arg, conn, conn->end);
	} else if (!conn->spoke) {
		conn->spoke = true;
		loop_event_stop(&conn->watch);
		conn_set_watch(conn, EV_CLOSED | EV_ET);
		conn->maker->callbacks->spoke(conn->maker->arg, conn);
	}
}

void
conn_make_room(struct conn *conn)
{
	if (conn->spoke) /* an edge-triggered one cannot stand beside a level-triggered one */
		loop_event_stop(&conn->watch);
}

void
conn_tune(int fd, const struct conn_settings *settings)
{
	int domain, on = 1;
	/* Not one of MPTCP's options: the kernel refuses it, and a path that keepalive finds dead is given up. */
	unsigned user_timeout = (unsigned)settings->user_timeout;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }) == -1 || domain == AF_UNIX)
		return;
	if (settings->user_timeout > 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	if (settings->keepalive_idle <= 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &settings->keepalive_idle, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &settings->keepalive_interval, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &settings->keepalive_count, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* Once in a connection's life. */
static void
conn_tune_aged(const struct conn_maker *maker, uint32_t index)
{
	struct table_conn *record = &maker->table->conns[index];

	if ((record->flags & TABLE_CONN_TUNED) == 0)
		conn_tune(record->fd, maker->dial);
	record->flags |= TABLE_CONN_TUNED;
}

static void
conn_begin_ready(struct conn *conn)
{
	conn->ready = true;
	conn->fd = conn_record(conn)->fd;
	conn->began = conn_record(conn)->since;
	conn_set_watch(conn, 0);
	loop_timer_at(&conn->timer, conn->began + TABLE_TUNE_AGE);
}

static bool
conn_is_tls(const struct conn *conn)
{
	return conn->maker->dial->tls.enabled;
}

static uint16_t
conn_tls_flags(const struct conn *conn)
{
	const char *protocol = conn->session.protocol;

	if (!conn_is_tls(conn))
		return 0;
	return (uint16_t)(TABLE_CONN_TLS | (strcmp(protocol, "TLSv1.3") == 0 ? TABLE_CONN_TLS_1_3 : 0) |
	    (strcmp(protocol, "TLSv1.2") == 0 ? TABLE_CONN_TLS_1_2 : 0) |
	    (conn->session.resumed ? TABLE_CONN_TLS_RESUMED : 0));
}

static void
conn_connected(struct conn *conn)
{
	const struct conn_maker *maker = conn->maker;
	struct table_conn *record = conn_record(conn);
	int64_t began = conn->began;

	record->since = clock_now();
	record->flags |= conn_tls_flags(conn);
	table_conn_set(maker->table, conn->index, TABLE_READY);
	CRASH_POINT(DIAL_CONNECTED);
	histogram_count(maker->table, maker->service, TABLE_HISTOGRAM_CONNECT, record->since - began);
	conn_begin_ready(conn);
	loop_event_stop(&conn->event); /* after the other is there, which saves a system call */
	maker->callbacks->ready(maker->arg, conn, began);
}

/* Of what is dialled: the endpoint, or holdfast-tls. */
static int
conn_family(const struct conn *conn)
{
	return conn_is_tls(conn) ? AF_UNIX : conn->address.socket.ss_family;
}

/* No option is set: whoever keeps it sets them.  A kernel without MPTCP says EPROTONOSUPPORT or, before it was known,
 * EINVAL; one in which it is turned off ENOPROTOOPT.  The fd, or -errno. */
static int
conn_socket(struct conn *conn)
{
	int family = conn_family(conn), type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, fd;

	if (conn->address.kind != ADDRESS_SOCKET)
		return -EINVAL;
	if (conn->maker->dial->mptcp && family != AF_UNIX) {
		fd = socket(family, type, IPPROTO_MPTCP);
		if (fd != -1)
			return fd;
		if (errno != EPROTONOSUPPORT && errno != EINVAL && errno != ENOPROTOOPT)
			return -errno;
		conn->plain = true;
	}
	fd = socket(family, type, 0);
	return fd == -1 ? -errno : fd;
}

/* A connect to a port of this host that nobody listens at may by chance be given that very port as its own, and then
 * meets itself (TCP's simultaneous open, RFC 9293, 3.5). */
static bool
conn_met_itself(const struct conn *conn)
{
	struct address own = conn->address, other = conn->address;
	const struct sockaddr_in *mine = (const void *)&own.socket, *dialled = (const void *)&conn->address.socket;

	/* IPv6 has the port at the same place.  What was dialled may have been the address of any host (0.0.0.0). */
	own.socket_length = other.socket_length = sizeof own.socket;
	return conn_family(conn) != AF_UNIX &&
	    getsockname(conn->fd, (struct sockaddr *)&own.socket, &own.socket_length) == 0 &&
	    mine->sin_port == dialled->sin_port &&
	    getpeername(conn->fd, (struct sockaddr *)&other.socket, &other.socket_length) == 0 &&
	    address_equal(&own, &other);
}

/* No callback comes from within the call that begins a dial: the loop tells. */
static void
conn_tell_over(struct conn *conn, int error)
{
	conn->over = true;
	conn->error = error;
	loop_timer_soon(&conn->timer);
}

/* 0, or a positive errno. */
static int
conn_begin_connect(struct conn *conn)
{
	struct sockaddr_un socket = { .sun_family = AF_UNIX };
	int error;

	if (conn_is_tls(conn)) {
		memcpy(socket.sun_path, conn->maker->dial->tls.socket, strlen(conn->maker->dial->tls.socket) + 1);
		return connect(conn->fd, (const struct sockaddr *)&socket, sizeof socket) == 0 ? 0 : errno;
	}
	error = address_find_interface(&conn->address);
	if (error < 0)
		return -error;
	return connect(conn->fd, (const struct sockaddr *)&conn->address.socket, conn->address.socket_length) == 0
	    ? 0 : errno;
}

/* Whether holdfast-tls is not there, and may be in a moment. */
static bool
conn_starts_tls(const struct conn *conn, int error)
{
	const struct tls_settings *tls = &conn->maker->dial->tls;

	if (!conn_is_tls(conn) || !tls->start || (error != ENOENT && error != ECONNREFUSED))
		return false;
	tls_start(conn->maker->loop, conn->maker->table, tls->socket);
	return true;
}

static void
conn_try(struct conn *conn)
{
	int error = conn_begin_connect(conn);
	int64_t retry;

	if (error == 0) {
		conn_tell_over(conn, 0);
	} else if (error == EINPROGRESS || error == EALREADY || error == EINTR) {
		loop_event_add(&conn->event);
		loop_timer_at(&conn->timer, conn->deadline);
	} else if ((error == EAGAIN && conn_family(conn) == AF_UNIX) || conn_starts_tls(conn, error)) {
		retry = clock_after(clock_now(), CONN_RETRY);
		loop_timer_at(&conn->timer, retry < conn->deadline ? retry : conn->deadline);
	} else {
		conn_tell_over(conn, error);
	}
}

static void conn_dialled(struct conn *conn, int error);

/* Writable alone is connected; with readable it may have failed, since libevent reports EPOLLERR and EPOLLHUP as
 * both, or the other end has already spoken. */
static void
conn_on_connected(evutil_socket_t fd, short what, void *arg)
{
	int error = 0;
	socklen_t length = sizeof error;

	if ((what & EV_READ) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		error = errno;
	conn_dialled(arg, error);
}

static void
conn_connect(struct conn *conn)
{
	conn->over = false;
	conn->deadline = clock_after(clock_now(), conn->maker->dial->connect_timeout);
	event_assign(&conn->event, conn->maker->loop, conn->fd, EV_READ | EV_WRITE | EV_PERSIST, conn_on_connected,
	    conn);
	conn_try(conn);
	CRASH_POINT(DIAL_STARTED);
}

static void
conn_on_timer(void *arg)
{
	struct conn *conn = arg;

	if (conn->ready)
		conn_tune_aged(conn->maker, conn->index);
	else if (conn->over)
		conn_dialled(conn, conn->error);
	else if (clock_now() >= conn->deadline)
		conn_dialled(conn, ETIMEDOUT);
	else
		conn_try(conn);
}

static void
conn_on_hello(void *arg, enum hello_end end, const char *error)
{
	struct conn *conn = arg;

	conn->hello = NULL;
	if (end != HELLO_DONE) {
		conn_fail(conn, error, end == HELLO_ABORTED, false);
	} else if (conn->aside) {
		conn_leave_aside(conn);
		conn->fd = conn_record(conn)->fd;
		conn_connect(conn);
	} else {
		conn_connected(conn);
	}
}

/* The way to the server is there: what is said first on it. */
static void
conn_greet(struct conn *conn)
{
	static const struct hello_settings nothing;
	const struct conn_maker *maker = conn->maker;
	const struct hello_settings *hello = conn->aside ? &nothing : maker->hello;
	bool asks = maker->dial->probe.kind != PROBE_NONE && conn->aside == probe_is_aside(maker->dial->probe.kind);
	struct hello_probe probe = { .settings = &maker->dial->probe, .address = &conn->address,
		.timeout = maker->dial->connect_timeout, .aside = conn->aside, .proxy = maker->dial->proxy };

	if (hello->count == 0 && !asks) {
		conn_connected(conn);
		return;
	}
	conn->hello = hello_start(maker->loop, conn->fd, hello, asks ? &probe : NULL, conn_on_hello, conn);
	loop_event_stop(&conn->event);
	loop_timer_stop(&conn->timer);
}

static void
conn_on_tls(void *arg, enum tls_verdict verdict, const struct tls_session *session, const char *error)
{
	struct conn *conn = arg;

	conn->tls = NULL;
	conn->session = *session;
	if (verdict == TLS_OPEN)
		conn_greet(conn);
	else
		conn_fail(conn, error, false, verdict == TLS_LOCAL);
}

/* The connection to holdfast-tls is there; its own to the server has the same time as without it. */
static void
conn_begin_tls(struct conn *conn)
{
	const struct conn_maker *maker = conn->maker;
	const struct endpoint *endpoint = endpoints_find(&record_of(maker->table, maker->service)->endpoints,
	    conn->number);
	struct tls_server server = { .address = &conn->address };

	if (endpoint != NULL && strlen(endpoint->from) < ENDPOINT_FROM_SIZE - 1) /* else it may have been cut */
		server.host = endpoint->from;
	conn->tls = tls_hello_start(maker->loop, conn->fd, &maker->dial->tls,
	    maker->table->services[maker->service].name, &server, maker->dial->connect_timeout, conn_on_tls, conn);
	loop_event_stop(&conn->event);
	loop_timer_stop(&conn->timer);
}

/* local is what this host lacks for any dial.  Not of that kind is what it lacks for this address: its family, a way
 * to it, an address or a port of its own to go from (EADDRNOTAVAIL); another endpoint may well be within reach. */
static void
conn_fail_dial(struct conn *conn, int error)
{
	bool local = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
	char text[TLS_ERROR_SIZE];

	if (error == CONN_LOOP) {
		conn_fail(conn, "it is one of this daemon's own sockets: a loop", false, false);
	} else if (conn_is_tls(conn) && !local) {
		tls_talk_unreached(&conn->maker->dial->tls, error, text);
		conn_fail(conn, text, false, true);
	} else {
		conn_fail(conn, strerror(error), false, local);
	}
}

static void
conn_dialled(struct conn *conn, int error)
{
	if (error == 0 && conn_met_itself(conn))
		error = ECONNREFUSED;
	if (error != 0)
		conn_fail_dial(conn, error);
	else if (conn_is_tls(conn))
		conn_begin_tls(conn);
	else
		conn_greet(conn);
}

static bool
conn_is_place(const struct place *place, const struct stat *found)
{
	return place->inode != 0 && place->inode == found->st_ino && place->device == found->st_dev;
}

/* Whether it is a port of ours.  Addresses of other hosts are not looked for. */
static bool
conn_is_own_port(const struct table *table, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE];

	address_format(address, text);
	if (tcp_listen_is_public(text))
		return false;
	for (uint32_t i = 0; i < table->shape.services && table->services[i].word != 0; i++) {
		const struct table_socket *sockets = table->services[i].sockets;

		for (uint32_t k = 0; k < TABLE_LISTENERS; k++)
			if (sockets[k].fd != -1 && sockets[k].bound.sun_family == AF_UNSPEC &&
			    tcp_listen_leads_to(text, sockets[k].bound.sun_path))
				return true;
	}
	return false;
}

static bool
conn_is_socket_of(const struct table_service *service, const struct sockaddr_un *name, const struct stat *found)
{
	for (uint32_t i = 0; i < TABLE_LISTENERS; i++)
		if (service->sockets[i].fd != -1 && (conn_is_place(&service->sockets[i].place, found) ||
		    strcmp(service->sockets[i].bound.sun_path, name->sun_path) == 0))
			return true;
	return false;
}

/* To one of our own sockets, by whatever path: a connection there would come back to us.  Records lie 50 KiB apart:
 * each is looked at once, and none beyond the first that was never used. */
static bool
conn_leads_home(const struct table *table, const struct address *address)
{
	const struct sockaddr_un *socket = (const struct sockaddr_un *)(const void *)&address->socket;
	const struct table_header *header = table->header;
	struct stat found;

	if (address->kind == ADDRESS_SOCKET && socket->sun_family != AF_UNIX)
		return conn_is_own_port(table, address);
	if (address->kind != ADDRESS_SOCKET || stat(socket->sun_path, &found) == -1)
		return false;
	if (conn_is_place(&header->control.place, &found) ||
	    conn_is_place(&header->metrics.place, &found))
		return true;
	for (uint32_t i = 0; i < table->shape.services && table->services[i].word != 0; i++)
		if (conn_is_socket_of(&table->services[i], socket, &found))
			return true;
	return false;
}

/* The file descriptor, named in a record of state DIALLING: 0, a positive errno, or CONN_LOOP. */
static int
conn_name_file(struct conn *conn)
{
	struct table *table = conn->maker->table;
	struct table_conn *record;
	uint32_t index;
	int fd;

	if (conn_leads_home(table, &conn->address))
		return CONN_LOOP;
	if ((fd = conn_socket(conn)) < 0)
		return -fd;
	CRASH_POINT(DIAL_SOCKET);
	if ((uint32_t)fd + TABLE_LAST_FILES >= table->shape.files) {
		close(fd);
		return EMFILE;
	}
	if ((index = table_conn_claim(table)) == 0) {
		close(fd);
		return ENFILE;
	}
	record = &table->conns[index];
	record->service = conn->maker->service;
	record->role = (uint16_t)conn->role;
	record->endpoint = conn->number;
	record->fd = table_note_file(table, fd);
	table_conn_set(table, index, TABLE_DIALLING);
	CRASH_POINT(DIAL_NAMED);
	conn->index = index;
	conn->fd = fd;
	return 0;
}

static struct conn *
conn_new(const struct conn_maker *maker, enum table_role role, uint16_t number)
{
	struct conn *conn = mem_new(1, sizeof *conn);

	conn->maker = maker;
	conn->role = role;
	conn->number = number;
	loop_timer_init(&conn->timer, maker->loop, conn_on_timer, conn);
	return conn;
}

/* A probe aside is over before the connection is begun: a server may judge by the moment of that. */
struct conn *
conn_dial(const struct conn_maker *maker, enum table_role role, uint16_t number, const struct address *address)
{
	struct conn *conn = conn_new(maker, role, number);
	int error;

	conn->address = *address;
	conn->began = clock_now();
	error = conn_name_file(conn);
	if (error == 0 && probe_is_aside(maker->dial->probe.kind)) {
		conn->aside = true;
		conn->fd = conn_socket(conn);
		error = conn->fd < 0 ? -conn->fd : 0;
	}
	if (error != 0)
		conn_tell_over(conn, error);
	else
		conn_connect(conn);
	return conn;
}

/* B6.  A connection that ever was has its SYN acknowledged, which tcpi_bytes_acked counts; segments received do
 * not tell, for a refused connect has received one. */
static bool
conn_is_connected(int fd)
{
	struct sockaddr_storage peer;
	struct tcp_info info;
	socklen_t length = sizeof info, peer_length = sizeof peer;
	int domain;

	memset(&info, 0, sizeof info);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }) == -1)
		return false;
	if (domain == AF_UNIX)
		return getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1 || info.tcpi_state == CONN_SYN_SENT ||
	    info.tcpi_state == CONN_SYN_RECV)
		return false;
	return info.tcpi_state != CONN_CLOSE || info.tcpi_bytes_acked != 0 || info.tcpi_bytes_received != 0 ||
	    info.tcpi_bytes_sent != 0;
}

struct conn *
conn_adopt(const struct conn_maker *maker, uint32_t index, bool keep)
{
	struct table_conn *record = &maker->table->conns[index];
	struct conn *conn;

	if (keep && table_conn_state(maker->table, index) == TABLE_DIALLING) {
		keep = maker->hello->count == 0 && maker->dial->probe.kind == PROBE_NONE &&
		    !maker->dial->tls.enabled && conn_is_connected(record->fd);
		record->since = clock_now();
	}
	if (!keep) {
		table_conn_close(maker->table, index);
		return NULL;
	}
	table_conn_set(maker->table, index, TABLE_READY);
	conn = conn_new(maker, (enum table_role)record->role, record->endpoint);
	conn->index = index;
	conn_begin_ready(conn);
	return conn;
}

void
conn_free(struct conn *conn)
{
	conn_stop(conn);
	mem_free(conn);
}

void
conn_close(struct conn *conn)
{
	conn_end(conn);
	mem_free(conn);
}

/* A Unix socket refuses TCP_NODELAY, and has no delay. */
void
conn_tune_shared(const struct conn_maker *maker, uint32_t index)
{
	int on = 1;

	conn_tune_aged(maker, index);
	setsockopt(maker->table->conns[index].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool
conn_is_mptcp(int fd)
{
	struct mptcp_info info;
	socklen_t length = sizeof info;

	return getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &length) == 0 &&
	    (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
}
