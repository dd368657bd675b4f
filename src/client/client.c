#include "client/client.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/peer_closed.h"
#include "base/tcp_patience.h"
#include "client/introduction.h"
#include "keep/budget.h"
#include "keep/crash.h"
#include "keep/pipes.h"
#include "keep/table.h"
#include "upstream/conn.h"

/* A connection that lasted so long was one, though no byte passed: who had it has waited no longer. */
#define CLIENT_SERVED CLOCK_SECOND
/* The least that the kernel takes in from an upstream, before it is doubled. */
#define CLIENT_RECEIVE (64u << 10)
/* One that is gone altogether leaves its upstream so long to end by itself; closing at once could reset the
 * connection before the upstream has read what was delivered. */
#define CLIENT_LINGER (30 * CLOCK_SECOND)
/* One that is gone, but has left bytes, waits so long for somebody to take them: a held one where hold_timeout sets
 * no end, another from when the upstream last took some. */
#define CLIENT_GHOST  (60 * CLOCK_SECOND)
/* The clock of ticks may be so much behind. */
#define CLIENT_COARSE (10 * CLOCK_MILLISECOND)
/* Clients whose memory lies together. */
#define CLIENT_SLAB   32

void
client_owner_init(struct client_owner *owner, struct event_base *loop, struct table *table)
{
	*owner = (struct client_owner){ .loop = loop, .table = table,
		.clients = { .size = sizeof(struct client), .number = CLIENT_SLAB },
		.relays = { .size = sizeof(struct relay), .number = CLIENT_SLAB },
		.tracks = { .size = sizeof(struct track), .number = CLIENT_SLAB },
		.lingering = { .size = sizeof(struct lingering), .number = CLIENT_SLAB } };
}

void
client_owner_set(struct client_owner *owner, const struct conn_settings *dial)
{
	owner->proxy = dial->proxy;
	owner->declines = dial->tls.enabled && dial->tls.starttls == TLS_STARTTLS_POSTGRESQL;
}

void
client_owner_clear(struct client_owner *owner)
{
	slab_clear(&owner->clients);
	slab_clear(&owner->relays);
	slab_clear(&owner->tracks);
	slab_clear(&owner->lingering);
}

static bool
client_tell(struct client *client, enum client_event event)
{
	return client->owner->on_event(client->owner->arg, client, event);
}

void
client_is_over(struct client *client, enum closing_cause cause)
{
	if (client->cause == CLOSING_UNKNOWN)
		client->cause = cause;
	client_tell(client, CLIENT_ENDED);
}

void
client_log_end(const struct client *client, const char *name, enum log_level level, enum closing_cause cause)
{
	struct closing_state state = { .held = false };
	const struct table_client *record;
	char code[CLOSING_CODE_SIZE];
	bool held;

	if (level > log_get_level())
		return;
	if (client == NULL) {
		closing_code(cause, &state, code);
		log_line(level, name, "client %s code=%s", closing_words(cause), code);
		return;
	}
	held = client_is_held(client);
	state = (struct closing_state){ .held = held && client->waits, .open = !held,
		.attached = client_was_attached(client), .asking = client->asked };
	closing_code(cause, &state, code);
	record = client_record(client);
	log_line(level, name, "client %llu %s code=%s seconds=%.3f bytes_in=%llu bytes_out=%llu",
	    (unsigned long long)record->id, closing_words(cause), code,
	    (double)(clock_now() - record->since) / (double)CLOCK_SECOND,
	    (unsigned long long)record->bytes[TABLE_UP], (unsigned long long)record->bytes[TABLE_DOWN]);
}

bool
client_has_words(const struct client *client)
{
	const struct table *table = client->owner->table;
	uint32_t buffer = client_record(client)->buffer[TABLE_UP];
	uint16_t pipe = client_record(client)->pipe[TABLE_UP];

	return (buffer != 0 && table->buffers[buffer].head != table->buffers[buffer].tail) ||
	    (pipe != 0 && pipes_level(table, pipe) > 0);
}

bool
client_is_gone(const struct client *client)
{
	int fd = client_record(client)->fd;

	return client_has_words(client) ? peer_closed_has_come(fd) : peer_closed_has_left(fd);
}

bool
client_has_left(const struct client *client, bool aborts)
{
	return aborts ? client_is_gone(client) :
	    !client_has_words(client) && peer_closed_is_final(client_record(client)->fd);
}

/* It is watched until its first word of an end only; one that has shut down its side may have gone since. */
bool
client_is_ghost(struct client *client, const struct waiting_queue *held, bool aborts, int64_t now)
{
	if (client_has_left(client, aborts))
		return true;
	if (!client_is_gone(client))
		return false;
	if (client->gone == 0)
		client->gone = now;
	return now - client->gone >= CLIENT_GHOST && waiting_end(held, &client->waiting) == CLOCK_NEVER;
}

enum closing_cause
client_is_due(const struct client *client, int64_t now, int64_t idle_timeout, int64_t *ret_idle)
{
	/* Rounded: never early. */
	int64_t idle = now - (client_record(client)->active + INT64_C(1)) * CLOCK_TICK - CLIENT_COARSE;

	*ret_idle = 0;
	if (idle_timeout > 0 && idle >= idle_timeout)
		return CLOSING_IDLE;
	if (client->relay != NULL && relay_is_client_gone(client->relay) &&
	    idle >= (client_has_words(client) ? CLIENT_GHOST : CLIENT_LINGER))
		return CLOSING_CLIENT;
	*ret_idle = idle;
	return CLOSING_UNKNOWN;
}

/* A held client has shut down its side or gone.  One that has only shut down is held on; the event is edge-triggered,
 * so that it does not come again and again.  That it can be read is asked for too since libevent tells of an error
 * (the client has gone with bytes that it did not read) by that alone. */
static void
client_on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	struct table_header *header = client->owner->table->header;

	(void)fd;
	(void)what;
	header->handling = client->index;
	client_tell(client, CLIENT_LEFT);
	header->handling = 0;
}

struct client *
client_new(struct client_owner *owner, uint32_t index)
{
	struct client *client = slab_take(&owner->clients);

	client->owner = owner;
	client->index = index;
	client->uid = (uid_t)-1;
	event_assign(&client->watch, owner->loop, client_record(client)->fd, EV_CLOSED | EV_READ | EV_ET | EV_PERSIST,
	    client_on_watch, client);
	return client;
}

bool
client_is_unused(const struct client *client)
{
	const struct table_client *record = client_record(client);

	return record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN] == client->before;
}

bool
client_was_attached(const struct client *client)
{
	const struct table_client *record = client_record(client);

	return record->bytes[TABLE_UP] > 0 || record->bytes[TABLE_DOWN] > 0;
}

/* Does what follows from the relay's work; whether the client is gone. */
static bool
client_follow(struct client *client, bool was_answered, enum relay_result result)
{
	if (client->relay->answered && !was_answered)
		client_tell(client, CLIENT_ANSWERED);
	if (result == RELAY_UPSTREAM_ENDED) {
		if (client_tell(client, CLIENT_UPSTREAM_ENDED))
			return false;
		result = relay_pass_on(client->relay);
	}
	if (result != RELAY_ENDED)
		return false;
	client_is_over(client, client->relay->first);
	return true;
}

/* Whether it could go back to those who share. */
static bool
client_is_free(const struct client *client)
{
	return track_is_free(client->track) && relay_is_at_rest(client->relay);
}

static void
client_look_free(struct client *client)
{
	bool rests = client->waiting.queue != NULL;

	if (client_is_free(client) == rests)
		return;
	if (rests)
		waiting_leave(&client->waiting);
	else
		client_tell(client, CLIENT_FREE);
}

void
client_go_back(struct client *client)
{
	waiting_leave(&client->waiting);
	if (client_is_free(client))
		client_tell(client, CLIENT_BACK);
}

static void
client_carry(struct client *client, enum table_direction d, short what)
{
	struct table_header *header = client->owner->table->header;
	bool answered = client->relay->answered;

	header->handling = client->index;
	if (!client_follow(client, answered, relay_work(client->relay, d, what)) && client->track != NULL)
		client_look_free(client);
	header->handling = 0;
}

static void
client_on_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	client_carry(arg, TABLE_UP, what);
}

static void
client_on_down(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	client_carry(arg, TABLE_DOWN, what);
}

bool
client_look(struct client *client)
{
	return client_follow(client, client->relay->answered, relay_look(client->relay));
}

static void
client_start_track(struct client *client)
{
	client->track = slab_take(&client->owner->tracks);
	client->track->table = client->owner->table;
	client->track->client = client->index;
	track_follow(client->track);
	client->relay->track = client->track;
	client_look_free(client);
}

static void
client_start_relay(struct client *client)
{
	static const event_callback_fn on_event[2] = { client_on_up, client_on_down };

	introduction_say(client->owner->table, client->index);
	client->relay = slab_take(&client->owner->relays);
	relay_init(client->relay, client->owner->loop, client->owner->table, client->index, on_event, client);
	client->relay->attached = client->relay->answered = !client_is_unused(client);
	client->relay->declines = client->owner->declines && client_record(client)->bytes[TABLE_UP] == 0;
	if (client_record(client)->flags & TABLE_CLIENT_TRACKED)
		client_start_track(client);
	relay_start(client->relay);
}

static void
client_stop_track(struct client *client)
{
	if (client->track == NULL)
		return;
	waiting_leave(&client->waiting);
	slab_give(&client->owner->tracks, client->track);
	client->track = NULL;
}

static void
client_stop_relay(struct client *client)
{
	if (client->relay == NULL)
		return;
	relay_stop(client->relay);
	client_stop_track(client);
	slab_give(&client->owner->relays, client->relay);
	client->relay = NULL;
}

static int
client_bound(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;

	return setsockopt(fd, level, option, &number, sizeof number);
}

/* Where memory is scarce the kernel keeps less for a connection than it would.  Of what goes to the upstream it is
 * told what may wait to be sent, for a small buffer would also bound what is on its way; of what comes from there not
 * to grow beyond what TCP begins with, for less than a segment of the loopback interface would stall.  It doubles the
 * sizes of buffers, for its own needs (socket(7)). */
static void
client_bound_sockets(const struct client *client, int upstream_fd)
{
	const struct table *table = client->owner->table;
	uint32_t share = budget_socket_share(table->budget, table->clients_used) / 4;

	if (share == 0)
		return;
	client_bound(client_record(client)->fd, SOL_SOCKET, SO_SNDBUF, share);
	if (client_bound(upstream_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, share) == -1)
		client_bound(upstream_fd, SOL_SOCKET, SO_SNDBUF, share);
	client_bound(upstream_fd, SOL_SOCKET, SO_RCVBUF, share > CLIENT_RECEIVE ? share : CLIENT_RECEIVE);
}

void
client_cut(struct client *client, enum closing_cause cause)
{
	if (client->waiting.queue != NULL)
		client_go_back(client);
	else
		relay_cut(client->relay, cause);
}

void
client_watch(struct client *client, bool on)
{
	if (!on)
		loop_event_stop(&client->watch);
	else if (!client->watched)
		loop_event_add(&client->watch);
	client->watched = on;
}

void
client_begin(struct client *client)
{
	if (client_is_held(client))
		client_watch(client, true);
	else
		client_start_relay(client);
}

void
client_wait(struct client *client, struct waiting_queue *held)
{
	const struct table_client *record = client_record(client);

	client->waiting.place = record->id;
	client->waiting.unlimited = client_was_attached(client);
	client->waiting.since = record->since;
	if (client->waiting.unlimited)
		client->waiting.since = client->returned != 0 ? client->returned : record->active * CLOCK_TICK;
	waiting_enter(held, &client->waiting);
}

void
client_share(struct client *client)
{
	client_watch(client, false);
	client_record(client)->active = clock_tick();
	table_client_take(client->owner->table, client->index, TABLE_CONN_SHARED);
	CRASH_POINT(OPEN_COMMITTED);
}

void
client_open(struct client *client, uint32_t conn)
{
	struct table *table = client->owner->table;
	struct table_client *record = client_record(client);

	client_watch(client, false);
	client->opened = clock_now();
	client->before = record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN];
	record->active = clock_tick();
	introduction_owe(table, conn, client->owner->proxy);
	CRASH_POINT(OPEN_BEFORE);
	table_client_take(table, client->index, conn);
	CRASH_POINT(OPEN_COMMITTED);
	client_bound_sockets(client, table->conns[conn].fd);
	client_start_relay(client);
	relay_hear_client(client->relay);
}

void
client_own(struct client *client, uint32_t conn, const struct resp_connection *shared, unsigned protocol)
{
	client->mux_client = NULL;
	CRASH_POINT(OWN_BEFORE);
	track_begin(client->owner->table, client->index, shared, protocol);
	CRASH_POINT(OWN_TRACKED);
	client_open(client, conn);
	client_tell(client, CLIENT_OWNS);
}

uint64_t
client_return(struct client *client)
{
	struct table *table = client->owner->table;
	struct table_client *record = client_record(client);
	uint32_t conn = record->conn;
	int unacknowledged = 0;

	/* What is not its own (client/introduction) is no loss. */
	if (client_is_unused(client) || ioctl(table->conns[conn].fd, SIOCOUTQ, &unacknowledged) == -1)
		unacknowledged = 0;
	client->returned = clock_now();
	if (!client_was_attached(client) && client->returned - client->opened >= CLIENT_SERVED)
		record->since = client->returned; /* its time as a held one restarts */
	record->active = clock_tick();
	relay_buffer_drop(&client->relay->way[TABLE_DOWN].relay_buffer);
	if (client->track != NULL)
		track_note_protocol(client->track);
	client_stop_relay(client);
	client->waits = true;
	table_conn_set(table, conn, TABLE_CLOSING);
	CRASH_POINT(RETURN_HELD);
	table_conn_close(table, conn);
	CRASH_POINT(RETURN_CLOSED);
	client_begin(client);
	return (uint64_t)unacknowledged;
}

bool
client_can_return(const struct client *client)
{
	const struct relay *relay = client->relay;

	return relay != NULL && !relay->way[TABLE_UP].ended && !relay->way[TABLE_DOWN].broken;
}

void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	waiting_leave(&client->waiting);
	if (client->lingering != NULL) {
		lingering_stop(client->lingering);
		slab_give(&client->owner->lingering, client->lingering);
		client->owner->table->lingering--;
	}
	client_stop_relay(client);
	loop_event_stop(&client->watch);
	slab_give(&client->owner->clients, client);
}

void
client_close(struct client *client)
{
	struct table *table;
	uint32_t index;

	if (client == NULL)
		return;
	table = client->owner->table;
	index = client->index;
	client_free(client);
	table_client_close(table, index);
}

static void
client_on_lingering(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	struct table_header *header = client->owner->table->header;

	(void)fd;
	(void)what;
	header->handling = client->index;
	if (lingering_work(client->lingering))
		client_tell(client, CLIENT_HEARD);
	header->handling = 0;
}

bool
client_turn_away(struct client *client, const char *text)
{
	struct client_owner *owner = client->owner;

	waiting_leave(&client->waiting);
	loop_event_stop(&client->watch);
	client->lingering = slab_take(&owner->lingering);
	owner->table->lingering++;
	lingering_begin(client->lingering, owner->loop, owner->table, client->index, text, owner->drops,
	    client_on_lingering, client);
	return lingering_work(client->lingering);
}

void
client_linger_in(struct client *client, const char *text, struct waiting_queue *lingering)
{
	if (client->owner->table->lingering >= CLIENT_LINGERING_MOST)
		client_close(client_of(waiting_first(lingering)));
	if (client_turn_away(client, text)) {
		client_close(client);
		return;
	}
	client->waiting = (struct waiting_entry){ .since = clock_now() };
	waiting_enter(lingering, &client->waiting);
}

bool
client_close_lingering(struct waiting_queue *lingering, int64_t now)
{
	unsigned before = lingering->count;
	struct client *client;

	while ((client = client_of(waiting_first(lingering))) != NULL &&
	    waiting_end(lingering, &client->waiting) <= now)
		client_close(client);
	return lingering->count < before;
}

void
client_heed(struct table *table, uint32_t conn, const struct conn_settings *dial)
{
	struct table_conn *record = &table->conns[conn];
	bool patient = record->flags & TABLE_CONN_PATIENT;

	if (conn != 0 && dial->user_timeout != 0 && tcp_patience_heed(record->fd, dial->user_timeout,
	    patient) != patient)
		record->flags ^= TABLE_CONN_PATIENT;
}

/* One that was kept ready for long has its socket options already.  One that was silent for long has nothing
 * outstanding, or is being patient with. */
bool
client_tune(struct client *client, const struct conn_settings *dial, int64_t now)
{
	const struct table_client *record = client_record(client);
	struct table_conn *conn = &client->owner->table->conns[record->conn];
	bool patient = (conn->flags & TABLE_CONN_PATIENT) != 0;
	int64_t silent = (int64_t)(clock_tick() - record->active) * CLOCK_TICK;

	if (conn->flags & TABLE_CONN_TUNED) {
		if (patient || silent <= dial->user_timeout * CLOCK_MILLISECOND + 60 * CLOCK_SECOND)
			client_heed(client->owner->table, record->conn, dial);
		return false;
	}
	if (now - client->opened < TABLE_TUNE_AGE)
		return true;
	conn_tune(conn->fd, dial);
	conn->flags |= TABLE_CONN_TUNED;
	return false;
}
