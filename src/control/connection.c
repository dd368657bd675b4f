#include "control/connection.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

#define TURN_LINES 16 /* of one connection before others have their turn */

struct connection {
	int fd;               /* owned */
	struct event event;   /* edge-triggered: each wake-up looks at everything */
	struct loop_timer again; /* after a look at other files */
	struct evbuffer *out; /* owned */
	size_t *sum;          /* borrowed; bytes that all have buffered */
	size_t counted;       /* in it */
	const struct connection_callbacks *callbacks; /* borrowed */
	void *arg;            /* borrowed; the owner */
	bool eof;             /* nothing more will be read */
	bool broken;          /* nothing can be written any more */
	bool lagging;
	bool skipping;        /* the rest of a line that was too long */
	size_t in_length;
	char in[CONNECTION_LINE_MAX + 1];
};

static size_t
connection_unwritten(const struct connection *connection)
{
	return evbuffer_get_length(connection->out);
}

/* Keeps the sum true. */
static void
connection_count(struct connection *connection)
{
	size_t unwritten = connection_unwritten(connection);

	*connection->sum += unwritten - connection->counted;
	connection->counted = unwritten;
}

bool
connection_has_room(const struct connection *connection, size_t length)
{
	return connection_unwritten(connection) + length < CONNECTION_OUTPUT_MAX &&
	    (length <= CONNECTION_SMALL || *connection->sum + length <= CONNECTION_ALL_MAX);
}

/* Handles what stands before the newline, which lies at length. */
static void
connection_take_line(struct connection *connection, size_t length)
{
	char line[CONNECTION_LINE_MAX + 1];

	memcpy(line, connection->in, length);
	connection->in_length -= length + 1;
	memmove(connection->in, connection->in + length + 1, connection->in_length);
	if (connection->skipping) {
		connection->skipping = false;
		return;
	}
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	if (memchr(line, '\0', length) != NULL)
		connection->callbacks->malformed(connection->arg, "the line holds a NUL byte");
	else
		connection->callbacks->line(connection->arg, line);
}

/* Handles one line of what was read.  False if there is no whole one. */
static bool
connection_next_line(struct connection *connection)
{
	char *newline = memchr(connection->in, '\n', connection->in_length);

	if (newline != NULL) {
		connection_take_line(connection, (size_t)(newline - connection->in));
		return true;
	}
	if (connection->in_length == sizeof connection->in) {
		if (!connection->skipping)
			connection->callbacks->malformed(connection->arg, "the line is longer than 4096 bytes");
		connection->skipping = true;
		connection->in_length = 0;
	}
	return false;
}

static void
connection_end_of_input(struct connection *connection)
{
	connection->eof = true;
	if (connection->in_length > 0 && !connection->skipping)
		connection->callbacks->malformed(connection->arg, "the last line has no newline");
	connection->in_length = 0;
}

/* Reads on.  False if there is nothing to be read now. */
static bool
connection_fill(struct connection *connection)
{
	ssize_t count;

	if (connection->eof)
		return false;
	do
		count = read(connection->fd, connection->in + connection->in_length,
		    sizeof connection->in - connection->in_length);
	while (count == -1 && errno == EINTR);
	if (count > 0)
		connection->in_length += (size_t)count;
	else if (count == 0 || errno != EAGAIN)
		connection_end_of_input(connection);
	return count > 0;
}

static void
connection_flush(struct connection *connection)
{
	ssize_t count, left = CONNECTION_TURN;

	while (!connection->broken && connection_unwritten(connection) > 0 && left > 0) {
		count = evbuffer_write_atmost(connection->out, connection->fd, left);
		if (count == -1 && errno == EAGAIN)
			break;
		connection->broken = count == -1 && errno != EINTR;
		left -= count > 0 ? count : 0;
	}
	if (left <= 0)
		loop_timer_at(&connection->again, clock_now());
	if (connection->broken)
		evbuffer_drain(connection->out, connection_unwritten(connection));
	connection_count(connection);
	if (connection->lagging && connection_unwritten(connection) <= CONNECTION_LAG / 4) {
		connection->lagging = false;
		connection->callbacks->drained(connection->arg);
	}
}

static bool
connection_is_hung_up(const struct connection *connection)
{
	struct pollfd file = { .fd = connection->fd };

	return poll(&file, 1, 0) == 1 && (file.revents & (POLLHUP | POLLERR)) != 0;
}

static bool
connection_is_over(const struct connection *connection)
{
	if (connection->callbacks->busy(connection->arg))
		return connection->broken || connection_is_hung_up(connection);
	return connection->eof && connection_unwritten(connection) == 0;
}

static void
connection_go_on(struct connection *connection)
{
	event_active(&connection->event, EV_WRITE, 0);
}

/* Writes, handles lines and reads until one of them has to wait. */
static void
connection_work(struct connection *connection)
{
	for (int turn = 0; turn < TURN_LINES; turn++) {
		connection_flush(connection);
		if (connection->callbacks->busy(connection->arg) ||
		    connection_unwritten(connection) >= CONNECTION_LAG)
			return;
		if (!connection_next_line(connection) && !connection_fill(connection)) {
			connection_flush(connection);
			return;
		}
	}
	connection_go_on(connection);
}

static void
connection_look(void *arg)
{
	struct connection *connection = arg;

	connection_work(connection);
	if (connection_is_over(connection))
		connection->callbacks->ended(connection->arg);
}

static void
connection_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connection_look(arg);
}

struct connection *
connection_new(struct event_base *loop, int fd, size_t *sum, const struct connection_callbacks *callbacks, void *arg)
{
	struct connection *connection = mem_new(1, sizeof *connection);

	connection->fd = fd;
	connection->sum = sum;
	connection->callbacks = callbacks;
	connection->arg = arg;
	connection->out = evbuffer_new();
	event_assign(&connection->event, loop, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, connection_wake,
	    connection);
	event_add(&connection->event, NULL);
	loop_timer_init(&connection->again, loop, connection_look, connection);
	return connection;
}

void
connection_free(struct connection *connection)
{
	if (connection == NULL)
		return;
	loop_event_stop(&connection->event);
	loop_timer_stop(&connection->again);
	*connection->sum -= connection->counted;
	evbuffer_free(connection->out);
	close(connection->fd);
	mem_free(connection);
}

bool
connection_say(struct connection *connection, const char *text)
{
	size_t length = strlen(text);

	if (!connection_has_room(connection, length))
		return false;
	evbuffer_add(connection->out, text, length);
	evbuffer_add(connection->out, "\n", 1);
	connection_count(connection);
	connection_go_on(connection);
	return true;
}

bool
connection_say_buffer(struct connection *connection, struct evbuffer *line)
{
	if (!connection_has_room(connection, evbuffer_get_length(line)))
		return false;
	evbuffer_add_buffer(connection->out, line);
	evbuffer_add(connection->out, "\n", 1);
	connection_count(connection);
	connection_go_on(connection);
	return true;
}

bool
connection_lags(struct connection *connection)
{
	size_t unwritten = connection_unwritten(connection);

	if (unwritten >= CONNECTION_LAG || (unwritten > 0 && *connection->sum > CONNECTION_ALL_MAX))
		connection->lagging = true;
	return connection->lagging;
}
