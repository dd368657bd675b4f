#include "upstream/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "keep/recover.h"
#include "upstream/own_socket.h"
#include "upstream/said.h"

static struct table_conn *
conn_record(const struct conn *conn)
{
	return &conn->maker->table->conns[conn->index];
}

static void
conn_stop(struct conn *conn)
{
	dial_cancel(conn->dial);
	hello_cancel(conn->hello);
	probe_cancel(conn->probe);
	conn->dial = NULL;
	conn->hello = NULL;
	conn->probe = NULL;
	loop_timer_stop(&conn->timer);
	if (conn->ready)
		loop_event_stop(&conn->watch);
}

static void
conn_end(struct conn *conn)
{
	conn_stop(conn);
	if (conn->index != 0)
		recover_close_conn(conn->maker->table, conn->index);
	conn->index = 0;
	conn->ready = false;
}

static void
conn_fail(struct conn *conn, const char *error, bool aborts)
{
	bool local = conn->index == 0;

	conn_end(conn);
	conn->maker->callbacks->failed(conn->maker->arg, conn, error, aborts, local);
}

/* Why a ready one has ended is found out once: a socket tells its error once. */
static void
conn_note_end(struct conn *conn, int fd)
{
	unsigned char said[SAID_MAX];
	char escaped[SAID_SIZE];
	socklen_t length = sizeof(int);
	int error = 0;
	ssize_t n;

	if (conn->end[0] != '\0')
		return;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	n = recv(fd, said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0) {
		said_escape(said, (size_t)n, escaped);
		snprintf(conn->end, sizeof conn->end, "it said \"%s\"", escaped);
	} else if (error != 0) {
		snprintf(conn->end, sizeof conn->end, "%s", strerror(error));
	}
}

static bool
conn_is_over(struct conn *conn)
{
	struct pollfd look = { .fd = conn_record(conn)->fd, .events = POLLIN | POLLRDHUP };

	if (poll(&look, 1, 0) < 1 || (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0)
		return false;
	conn_note_end(conn, look.fd);
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
	event_assign(&conn->watch, conn->maker->loop, conn_record(conn)->fd, what | EV_READ | EV_PERSIST,
	    conn_on_readable, conn);
	event_add(&conn->watch, NULL);
}

/* What the server says first is the client's and stays unread: from now on only news are told. */
static void
conn_note_speech(struct conn *conn)
{
	if (conn->spoke)
		return;
	conn->spoke = true;
	loop_event_stop(&conn->watch);
	conn_set_watch(conn, EV_CLOSED | EV_ET);
	conn->maker->callbacks->spoke(conn->maker->arg, conn);
}

/* Something has come, or an end. */
static void
conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	if (conn_is_over(conn))
		conn->maker->callbacks->ended(conn->maker->arg, conn, conn->end);
	else
		conn_note_speech(conn);
}

void
conn_make_room(struct conn *conn)
{
	if (conn->spoke) /* an edge-triggered one cannot stand beside a level-triggered one */
		loop_event_stop(&conn->watch);
}

static void
conn_begin_ready(struct conn *conn)
{
	conn->ready = true;
	conn->began = conn_record(conn)->since;
	conn_set_watch(conn, 0);
}

static void
conn_connected(struct conn *conn)
{
	const struct conn_maker *maker = conn->maker;
	struct table_conn *record = conn_record(conn);
	int64_t began = conn->began;

	record->since = clock_now();
	table_conn_set(maker->table, conn->index, TABLE_READY);
	CRASH_POINT(DIAL_CONNECTED);
	histogram_count(maker->table, maker->service, TABLE_HISTOGRAM_CONNECT, record->since - began);
	conn_begin_ready(conn);
	loop_event_stop(&conn->event); /* after the other is there, which saves a system call */
	loop_timer_stop(&conn->timer);
	maker->callbacks->ready(maker->arg, conn, began);
}

static void conn_connect(struct conn *conn);

static void
conn_on_probed(void *arg, const char *error)
{
	struct conn *conn = arg;

	conn->probe = NULL;
	if (error != NULL)
		conn_fail(conn, error, false);
	else if (probe_is_aside(conn->maker->dial->probe.kind))
		conn_connect(conn);
	else
		conn_connected(conn);
}

/* hello, if there is one, was answered. */
static void
conn_spoken(struct conn *conn)
{
	const struct conn_maker *maker = conn->maker;

	if (maker->dial->probe.kind == PROBE_NONE || probe_is_aside(maker->dial->probe.kind)) {
		conn_connected(conn);
		return;
	}
	loop_event_stop(&conn->event);
	conn->probe = probe_start(maker->loop, conn_record(conn)->fd, &conn->address, maker->dial, conn_on_probed,
	    conn);
}

static void
conn_on_hello(void *arg, enum hello_end end, const char *error)
{
	struct conn *conn = arg;

	conn->hello = NULL;
	if (end == HELLO_DONE)
		conn_spoken(conn);
	else
		conn_fail(conn, error, end == HELLO_ABORTED);
}

static void
conn_on_dialled(void *arg, int error)
{
	struct conn *conn = arg;
	const struct conn_maker *maker = conn->maker;

	conn->dial = NULL;
	if (error != 0) {
		conn_fail(conn, strerror(error), false);
	} else if (maker->hello->count == 0) {
		conn_spoken(conn);
	} else {
		conn->hello = hello_start(maker->loop, conn_record(conn)->fd, maker->hello, conn_on_hello, conn);
		loop_event_stop(&conn->event);
	}
}

static void
conn_on_error(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	conn_fail(conn, conn->error == ELOOP ? own_socket_error : strerror(conn->error), false);
}

/* The file, named in a record of state DIALLING: 0 or a positive errno. */
static int
conn_name_file(struct conn *conn, enum table_role role)
{
	struct table *table = conn->maker->table;
	struct table_conn *record;
	uint32_t index;
	int fd = own_socket_is(table, &conn->address) ? -ELOOP : dial_socket(&conn->address);

	if (fd < 0)
		return -fd;
	CRASH_POINT(DIAL_SOCKET);
	if ((uint32_t)fd + TABLE_LAST_FILES >= table->header->shape.files) {
		close(fd);
		return EMFILE;
	}
	if ((index = table_conn_claim(table)) == 0) {
		close(fd);
		return ENFILE;
	}
	record = &table->conns[index];
	record->service = conn->maker->service;
	record->role = (uint16_t)role;
	record->endpoint = conn->number;
	record->fd = table_note_file(table, fd);
	table_conn_set(table, index, TABLE_DIALLING);
	CRASH_POINT(DIAL_NAMED);
	conn->index = index;
	return 0;
}

static void
conn_connect(struct conn *conn)
{
	const struct conn_maker *maker = conn->maker;

	conn->dial = dial_start(maker->loop, conn_record(conn)->fd, &conn->address, maker->dial, &conn->event,
	    conn_on_dialled, conn);
	CRASH_POINT(DIAL_STARTED);
}

static struct conn *
conn_new(const struct conn_maker *maker, uint16_t number)
{
	struct conn *conn = mem_new(1, sizeof *conn);

	conn->maker = maker;
	conn->number = number;
	loop_timer_init(&conn->timer, maker->loop, conn_on_error, conn);
	return conn;
}

/* A probe aside is over before the connection is begun: a server may judge by the moment of that. */
struct conn *
conn_dial(const struct conn_maker *maker, enum table_role role, uint16_t number, const struct address *address)
{
	struct conn *conn = conn_new(maker, number);

	conn->address = *address;
	conn->began = clock_now();
	conn->error = conn_name_file(conn, role);
	if (conn->error != 0)
		loop_timer_soon(&conn->timer);
	else if (probe_is_aside(maker->dial->probe.kind))
		conn->probe = probe_start(maker->loop, -1, &conn->address, maker->dial, conn_on_probed, conn);
	else
		conn_connect(conn);
	return conn;
}

struct conn *
conn_adopt(const struct conn_maker *maker, uint32_t index)
{
	struct conn *conn = conn_new(maker, maker->table->conns[index].endpoint);

	conn->index = index;
	conn_begin_ready(conn);
	return conn;
}

bool
conn_resume_dial(const struct conn_maker *maker, uint32_t index, bool keep)
{
	struct table_conn *record = &maker->table->conns[index];

	if (!keep || maker->hello->count > 0 || maker->dial->probe.kind != PROBE_NONE ||
	    dial_examine(record->fd) != 1) {
		recover_close_conn(maker->table, index);
		return false;
	}
	record->since = clock_now();
	table_conn_set(maker->table, index, TABLE_READY);
	return true;
}

void
conn_free(struct conn *conn)
{
	if (conn == NULL)
		return;
	if (conn->ready)
		conn_stop(conn);
	else
		conn_end(conn);
	mem_free(conn);
}

void
conn_close(struct conn *conn)
{
	conn_end(conn);
	mem_free(conn);
}

void
conn_tune(const struct conn_maker *maker, uint32_t index)
{
	struct table_conn *record = &maker->table->conns[index];

	if ((record->flags & TABLE_CONN_TUNED) == 0)
		dial_tune(record->fd, maker->dial);
	record->flags |= TABLE_CONN_TUNED;
}

/* getpeername() fails where the connection was reset; SO_PEERNAME does not, but takes no length beyond the name's. */
static bool
conn_peer(int fd, struct sockaddr_storage *ret_name, socklen_t *ret_length)
{
	static const socklen_t lengths[] = { sizeof(struct sockaddr_in6), sizeof(struct sockaddr_in) };

	*ret_length = sizeof *ret_name;
	if (getpeername(fd, (struct sockaddr *)ret_name, ret_length) == 0)
		return true;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		*ret_length = lengths[i];
		if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, ret_name, ret_length) == 0)
			return true;
	}
	return false;
}

void
conn_address(const struct table *table, uint32_t index, char ret_text[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage name;
	socklen_t length;

	memset(&name, 0, sizeof name);
	ret_text[0] = '\0';
	if (conn_peer(table->conns[index].fd, &name, &length))
		address_format_socket((const struct sockaddr *)&name, length, ret_text);
}
