#include "client/relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/peer_closed.h"
#include "client/decline.h"
#include "keep/crash.h"

/* Reads in one turn of the loop after which others have theirs. */
#define RELAY_READS 4
/* Bytes for a client that is gone, after which an upstream that has all its words is not heard any more. */
#define RELAY_WASTE (8u << 20)

/* The side that bytes come from (or, with gone, go to) in this direction has ended. */
static void
relay_note_end(struct relay *relay, enum table_direction d, bool gone)
{
	if (relay->first == CLOSING_UNKNOWN)
		relay->first = (d == TABLE_UP) != gone ? CLOSING_CLIENT : CLOSING_UPSTREAM;
}

static int
relay_destination(const struct relay *relay, enum table_direction d)
{
	return event_get_fd(&relay->way[d].write);
}

/* A small piece is held up behind one that is not acknowledged yet (Nagle's algorithm, RFC 896), unless the socket is
 * told not to: from the second on. */
static int
relay_send(struct relay *relay, enum table_direction d)
{
	size_t sent;
	int error, on = 1;

	if (d == TABLE_UP && relay->spoke && !relay->nodelay) {
		relay->nodelay = true;
		/* Fails, harmlessly, on a Unix one. */
		setsockopt(relay_destination(relay, TABLE_UP), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	error = relay_buffer_deliver(&relay->way[d].relay_buffer, relay_destination(relay, d), &sent);
	if (sent == 0)
		return error;
	relay->table->clients[relay->index].active = clock_tick();
	relay->spoke |= d == TABLE_UP;
	relay->answered |= d == TABLE_DOWN;
	relay->attached = true;
	return error;
}

/* Delivers what is held.  true when nothing is held back any more; else reading pauses. */
static bool
relay_deliver(struct relay *relay, enum table_direction d)
{
	struct relay_way *way = &relay->way[d];
	int error;

	if (relay_buffer_is_empty(&way->relay_buffer))
		return true;
	if (relay->declines && d == TABLE_UP && !relay->attached)
		decline_requests(relay->table, relay->index);
	error = way->broken ? -EPIPE : relay_send(relay, d);
	if (loop_is_busy(-error)) {
		loop_event_add(&way->write);
		event_del(&way->read);
		return false;
	}
	if (error == 0)
		return true;
	way->broken = true;
	relay_note_end(relay, d, true);
	event_del(&way->write);
	if (d == TABLE_UP) {
		/* What the upstream did not take is kept until its end is known (on_upstream_end). */
		event_del(&way->read);
		return false;
	}
	relay_buffer_drop(&way->relay_buffer); /* the client is gone: what the upstream says is thrown away */
	return true;
}

/* The source has ended and nothing is held: passes the end on, unless closing does. */
static void
relay_pass_end(struct relay *relay, enum table_direction d)
{
	struct relay_way *way = &relay->way[d];

	if (way->passed)
		return;
	event_del(&way->read);
	event_del(&way->write);
	relay_buffer_drop(&way->relay_buffer);
	CRASH_POINT(SHUTDOWN_BEFORE);
	if (!way->broken && !relay->way[1 - d].passed)
		shutdown(relay_destination(relay, d), SHUT_WR);
	CRASH_POINT(SHUTDOWN_AFTER);
	way->passed = true;
}

/* After each piece of work: is there an end to be passed on, or the end of all?  asks: the upstream's is not passed
 * on without the owner's word. */
static enum relay_result
relay_settle(struct relay *relay, bool asks)
{
	struct relay_way *up = &relay->way[TABLE_UP], *down = &relay->way[TABLE_DOWN];

	if (up->ended && relay_buffer_is_empty(&up->relay_buffer))
		relay_pass_end(relay, TABLE_UP);
	if (down->ended && relay_buffer_is_empty(&down->relay_buffer) && !down->passed) {
		if (asks && !up->ended && !down->broken)
			return RELAY_UPSTREAM_ENDED;
		relay_pass_end(relay, TABLE_DOWN);
	}
	if (down->passed && up->broken)
		relay_pass_end(relay, TABLE_UP);
	return up->passed && down->passed ? RELAY_ENDED : RELAY_GOES_ON;
}

enum relay_result
relay_pass_on(struct relay *relay)
{
	return relay_settle(relay, false);
}

/* The way carries nothing more.  Gives false: it is not to be read again. */
static bool
relay_end_way(struct relay *relay, enum table_direction d)
{
	relay_buffer_drop(&relay->way[d].relay_buffer);
	relay->way[d].ended = true;
	relay_note_end(relay, d, false);
	event_del(&relay->way[d].read);
	return false;
}

/* Reads once, when epoll has just said that there is something or perhaps.  true if it may be tried again in this
 * turn. */
static bool
relay_receive(struct relay *relay, enum table_direction d, bool ready)
{
	struct relay_way *way = &relay->way[d];
	int unacknowledged = 0;
	bool more;
	ssize_t n;

	if (way->broken || (relay->track != NULL && !track_may_splice(relay->track, d)))
		relay_buffer_use_buffers(&way->relay_buffer);
	n = relay_buffer_receive(&way->relay_buffer, event_get_fd(&way->read), ready, &more);
	if (n > 0 && relay->track != NULL)
		track_follow(relay->track);
	/* Nobody hears it, and its kernel has all that the client said, and the end. */
	if (n > 0 && d == TABLE_DOWN && way->broken && (way->wasted += (uint64_t)n) > RELAY_WASTE &&
	    relay->way[TABLE_UP].passed &&
	    ioctl(relay_destination(relay, TABLE_UP), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0)
		return relay_end_way(relay, d);
	if (n > 0)
		return relay_deliver(relay, d) && more;
	relay_buffer_drop(&way->relay_buffer);
	return loop_is_busy((int)-n) ? false : relay_end_way(relay, d);
}

enum relay_result
relay_work(struct relay *relay, enum table_direction d, short what)
{
	struct relay_way *way = &relay->way[d];
	bool writable = (what & EV_WRITE) != 0, more = relay_deliver(relay, d);

	/* To one that was blocked so much may have come meanwhile that it blocks again: epoll need not be told. */
	for (int reads = 0; reads < RELAY_READS && more && !way->ended; reads++)
		more = relay_receive(relay, d, !writable && reads == 0);
	if (writable && relay_buffer_is_empty(&way->relay_buffer)) {
		event_del(&way->write);
		if (!way->ended)
			loop_event_add(&way->read);
	}
	return relay_settle(relay, true);
}

void
relay_init(struct relay *relay, struct event_base *loop, struct table *table, uint32_t index,
    const event_callback_fn on_event[2], void *arg)
{
	const struct table_client *record = &table->clients[index];
	int fd[2] = { record->fd, table->conns[record->conn].fd };

	memset(relay, 0, sizeof *relay);
	relay->table = table;
	relay->index = index;
	for (int d = 0; d < 2; d++) {
		struct relay_way *way = &relay->way[d];

		relay_buffer_init(&way->relay_buffer, table, index, (enum table_direction)d);
		event_assign(&way->read, loop, fd[d], EV_READ | EV_PERSIST, on_event[d], arg);
		event_assign(&way->write, loop, fd[1 - d], EV_WRITE | EV_PERSIST, on_event[d], arg);
	}
}

void
relay_start(struct relay *relay)
{
	uint32_t conn = relay->table->clients[relay->index].conn;

	relay->spoke = relay->attached || (relay->table->conns[conn].flags & TABLE_CONN_HEADED) != 0;
	for (int d = 0; d < 2; d++)
		loop_event_add(relay_buffer_is_empty(&relay->way[d].relay_buffer) ? &relay->way[d].read
		    : &relay->way[d].write);
}

bool
relay_is_at_rest(const struct relay *relay)
{
	for (int d = 0; d < 2; d++)
		if (relay->way[d].ended || relay->way[d].broken ||
		    !relay_buffer_is_empty(&relay->way[d].relay_buffer))
			return false;
	return true;
}

void
relay_hear_client(struct relay *relay)
{
	event_active(&relay->way[TABLE_UP].read, EV_READ, 0);
}

void
relay_cut(struct relay *relay, enum closing_cause cause)
{
	struct relay_way *up = &relay->way[TABLE_UP];

	shutdown(relay_destination(relay, TABLE_UP), SHUT_RDWR);
	if (relay->first == CLOSING_UNKNOWN)
		relay->first = cause;
	up->broken = true;
	event_del(&up->read);
	event_del(&up->write);
}

void
relay_stop(struct relay *relay)
{
	for (int d = 0; d < 2; d++) {
		loop_event_stop(&relay->way[d].read);
		loop_event_stop(&relay->way[d].write);
	}
}

enum relay_result
relay_look(struct relay *relay)
{
	struct relay_way *up = &relay->way[TABLE_UP], *down = &relay->way[TABLE_DOWN];

	/* An upstream that takes no more stops our reading, so the client's end is not seen otherwise. */
	if ((!up->ended && !up->broken && relay_buffer_is_empty(&up->relay_buffer)) || down->broken ||
	    !peer_closed_has_come(relay->table->clients[relay->index].fd))
		return RELAY_GOES_ON;
	down->broken = true;
	relay_note_end(relay, TABLE_DOWN, true);
	event_del(&down->write);
	relay_buffer_drop(&down->relay_buffer);
	if (!down->ended)
		loop_event_add(&down->read);
	return relay_settle(relay, true);
}
