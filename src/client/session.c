#include "client/session.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/peer_closed.h"
#include "base/loop.h"
#include "client/lingering.h"
#include "client/mux_client.h"
#include "keep/budget.h"
#include "keep/crash.h"
#include "keep/pipes.h"
#include "keep/recover.h"

/* A connection that lasted so long was one, though no byte passed: who had it has waited no longer. */
#define SESSION_SERVED CLOCK_SECOND
/* The least that the kernel takes in from an upstream, before it is doubled. */
#define SESSION_RECEIVE (64u << 10)
/* Sessions whose memory lies together. */
#define SESSION_SLAB   32

void
session_slab_init(struct session_slab *slab)
{
	slab->sessions = (struct slab){ .size = sizeof(struct session), .number = SESSION_SLAB };
	slab->relays = (struct slab){ .size = sizeof(struct relay), .number = SESSION_SLAB };
}

void
session_slab_clear(struct session_slab *slab)
{
	slab_clear(&slab->sessions);
	slab_clear(&slab->relays);
}

struct table_client *
session_record(const struct session *session)
{
	return &session->table->clients[session->index];
}

bool
session_is_held(const struct session *session)
{
	return table_client_is_held(session->table, session->index);
}

static void
session_on_attached(void *arg)
{
	struct session *session = arg;

	session->callbacks->attached(session->arg, session);
}

static bool
session_on_upstream_ended(void *arg)
{
	struct session *session = arg;

	return session->callbacks->upstream_ended(session->arg, session);
}

void
session_is_over(struct session *session, enum closing_cause cause)
{
	if (session->cause == CLOSING_UNKNOWN)
		session->cause = cause;
	session->callbacks->ended(session->arg, session);
}

static void
session_on_ended(void *arg)
{
	struct session *session = arg;

	session_is_over(session, session->relay->first);
}

void
session_get_closing(const struct session *session, struct closing_state *ret_state)
{
	bool held = session_is_held(session);

	*ret_state = (struct closing_state){ .held = held && session->waits, .open = !held,
		.attached = session_was_attached(session),
		.asking = session->asked || (session->mux_client != NULL &&
		    mux_client_is_asking(session->mux_client)) };
}

static const struct relay_callbacks session_relay_callbacks = {
	.attached = session_on_attached,
	.upstream_ended = session_on_upstream_ended,
	.ended = session_on_ended,
};

bool
session_has_words(const struct session *session)
{
	uint32_t buffer = session_record(session)->buffer[TABLE_UP];
	uint16_t pipe = session_record(session)->pipe[TABLE_UP];

	return (buffer != 0 && session->table->buffers[buffer].head != session->table->buffers[buffer].tail) ||
	    (pipe != 0 && pipes_level(session->table, pipe) > 0);
}

bool
session_has_left(const struct session *session)
{
	return !session_has_words(session) && peer_closed_is_final(session_record(session)->fd);
}

bool
session_is_gone(const struct session *session)
{
	return peer_closed_has_come(session_record(session)->fd);
}

int64_t
session_gone_for(struct session *session, int64_t now)
{
	if (!session_is_gone(session))
		return 0;
	if (session->gone == 0)
		session->gone = now;
	return now - session->gone;
}

/* A held client has shut down its side or gone.  One that has only shut down is held on; the event is edge-triggered,
 * so that it does not come again and again.  That it can be read is asked for too since libevent tells of an error
 * (the client has gone with bytes that it did not read) by that alone. */
static void
session_on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	struct table *table = session->table;

	(void)fd;
	(void)what;
	table->header->handling = session->index;
	session->callbacks->left(session->arg, session);
	table->header->handling = 0;
}

struct session *
session_new(struct session_slab *slab, struct event_base *loop, struct table *table, uint32_t index,
    const struct session_callbacks *callbacks, void *arg)
{
	struct session *session = slab_take(&slab->sessions);

	session->slab = slab;
	session->loop = loop;
	session->table = table;
	session->index = index;
	session->callbacks = callbacks;
	session->arg = arg;
	session->uid = (uid_t)-1;
	event_assign(&session->watch, loop, session_record(session)->fd,
	    EV_CLOSED | EV_READ | EV_ET | EV_PERSIST, session_on_watch, session);
	return session;
}

bool
session_is_unused(const struct session *session)
{
	const struct table_client *record = session_record(session);

	return record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN] == session->before;
}

bool
session_was_attached(const struct session *session)
{
	const struct table_client *record = session_record(session);

	return record->bytes[TABLE_UP] > 0 || record->bytes[TABLE_DOWN] > 0;
}

static void
session_free_relay(struct session *session)
{
	slab_give(&session->slab->relays, session->relay);
	session->relay = NULL;
}

static void
session_start_relay(struct session *session)
{
	session->relay = slab_take(&session->slab->relays);
	relay_init(session->relay, session->loop, session->table, session->index, &session_relay_callbacks, session);
	session->relay->attached = !session_is_unused(session);
	relay_start(session->relay);
}

static int
session_bound(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;

	return setsockopt(fd, level, option, &number, sizeof number);
}

/* Where memory is scarce the kernel keeps less for a connection than it would.  Of what goes to the upstream it is
 * told what may wait to be sent, for a small buffer would also bound what is on its way; of what comes from there not
 * to grow beyond what TCP begins with, for less than a segment of the loopback interface would stall.  It doubles the
 * sizes of buffers, for its own needs (socket(7)). */
static void
session_bound_sockets(const struct session *session, int upstream_fd)
{
	uint32_t share = budget_socket_share(session->table->budget, session->table->clients_used);

	if (share == 0)
		return;
	session_bound(session_record(session)->fd, SOL_SOCKET, SO_SNDBUF, share / 4);
	if (session_bound(upstream_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, share / 4) == -1)
		session_bound(upstream_fd, SOL_SOCKET, SO_SNDBUF, share / 4);
	session_bound(upstream_fd, SOL_SOCKET, SO_RCVBUF, share / 4 > SESSION_RECEIVE ? share / 4 : SESSION_RECEIVE);
}

static void
session_start_watch(struct session *session)
{
	if (session->watched)
		return;
	session->watched = true;
	event_add(&session->watch, NULL);
}

void
session_begin(struct session *session)
{
	if (session_is_held(session))
		session_start_watch(session);
	else if (session->shared != NULL)
		session->mux_client = mux_client_new(session->shared, session);
	else
		session_start_relay(session);
}

void
session_share(struct session *session)
{
	session_record(session)->active = clock_tick();
	table_client_take(session->table, session->index, TABLE_CONN_SHARED);
	CRASH_POINT(OPEN_COMMITTED);
	session->mux_client = mux_client_new(session->shared, session);
}

void
session_open(struct session *session, uint32_t conn)
{
	struct table_client *record = session_record(session);

	loop_event_stop(&session->watch);
	session->watched = false;
	session->opened = clock_now();
	session->before = record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN];
	record->active = clock_tick();
	CRASH_POINT(OPEN_BEFORE);
	table_client_take(session->table, session->index, conn);
	CRASH_POINT(OPEN_COMMITTED);
	session_bound_sockets(session, session->table->conns[conn].fd);
	session_start_relay(session);
	relay_hear_client(session->relay);
}

void
session_return(struct session *session, uint64_t *ret_lost)
{
	struct table_client *record = session_record(session);
	uint32_t conn = record->conn;
	int unacknowledged = 0;

	relay_stop(session->relay);
	*ret_lost = 0;
	if (ioctl(session->table->conns[conn].fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0)
		*ret_lost = (uint64_t)unacknowledged;
	if (!session_was_attached(session) && clock_now() - session->opened >= SESSION_SERVED)
		record->since = clock_now(); /* its time as a held one begins anew */
	record->active = clock_tick();
	session->returned = clock_now();
	relay_buffer_drop(&session->relay->way[TABLE_DOWN].relay_buffer);
	session_free_relay(session);
	session->waits = true;
	table_conn_set(session->table, conn, TABLE_CLOSING);
	CRASH_POINT(RETURN_HELD);
	recover_end_own(session->table, session->index);
	CRASH_POINT(RETURN_CLOSED);
	session_start_watch(session);
}

bool
session_can_return(const struct session *session)
{
	const struct relay *relay = session->relay;

	return relay != NULL && !relay->way[TABLE_UP].ended && !relay->way[TABLE_DOWN].broken;
}

static void
session_stop(struct session *session)
{
	if (session->relay != NULL)
		relay_stop(session->relay);
	session_free_relay(session);
	mux_client_free(session->mux_client);
	session->mux_client = NULL;
	loop_event_stop(&session->watch);
}

void
session_close(struct session *session)
{
	if (session == NULL)
		return;
	session_stop(session);
	recover_close_client(session->table, session->index);
	slab_give(&session->slab->sessions, session);
}

void
session_refuse(struct session *session, struct lingering *lingering, const char *text)
{
	uint32_t index = session->index;

	session_stop(session);
	slab_give(&session->slab->sessions, session);
	lingering_begin(lingering, index, text);
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	session_stop(session);
	slab_give(&session->slab->sessions, session);
}

bool
session_look(struct session *session)
{
	if (session->mux_client == NULL)
		return relay_look(session->relay);
	if (!mux_client_is_gone(session->mux_client))
		return false;
	session_is_over(session, CLOSING_CLIENT);
	return true;
}

bool
session_is_client_gone(const struct session *session)
{
	return session->mux_client == NULL && relay_is_client_gone(session->relay);
}
