#include "client/clients_parts.h"

#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "upstream/conn.h"

#define CLIENTS_TICKS (uint32_t)(CLOCK_SECOND / CLOCK_TICK) /* of a second */
/* A connect to a service that is up takes less. */
#define CLIENTS_MOMENT   (20 * CLOCK_MILLISECOND)
#define CLIENTS_SCAN_MIN (100 * CLOCK_MILLISECOND)
#define CLIENTS_SCAN_MAX (5 * CLOCK_SECOND)
/* A client that is gone altogether leaves its upstream so long to end by itself; closing at once could reset the
 * connection before the upstream has read what was delivered. */
#define CLIENTS_LINGER   (30 * CLOCK_SECOND)
/* One that is gone, but has left bytes, waits so long for somebody to take them: a held one where hold_timeout sets
 * no end, another from when the upstream last took some. */
#define CLIENTS_GHOST    (60 * CLOCK_SECOND)

static int64_t
clients_scan_interval(const struct clients *clients)
{
	int64_t interval = clients->settings->idle_timeout / 4;

	if (clients->fresh && (interval == 0 || interval > TABLE_TUNE_AGE))
		return TABLE_TUNE_AGE;
	if (interval == 0 || interval > CLIENTS_SCAN_MAX)
		return CLIENTS_SCAN_MAX;
	return interval < CLIENTS_SCAN_MIN ? CLIENTS_SCAN_MIN : interval;
}

/* A held client is watched until its first word of an end only; one that has shut down its side may have gone
 * since. */
static void
clients_scan_held(struct clients *clients, int64_t now)
{
	struct client *client = clients_first_held(clients), *next;

	for (; client != NULL; client = next) {
		next = clients_next_held(client);
		if (clients_has_left(clients, client))
			clients_end(clients, client, CLOSING_CLIENT, NULL);
		else if (client_gone_for(client, now) >= CLIENTS_GHOST &&
		    waiting_end(&clients->held, &client->waiting) == CLOCK_NEVER)
			clients_end(clients, client, CLOSING_CLIENT, NULL);
	}
}

/* Looks again at a connection that has its socket options, over which the last byte passed at this tick; always: at
 * the one that all share.  One that was silent for long has nothing outstanding, or is being patient with. */
static void
clients_heed(const struct clients *clients, uint32_t conn, uint32_t active, bool always)
{
	const struct conn_settings *dial = clients->settings->dial;
	struct table_conn *record = &clients->table->conns[conn];
	bool patient = (record->flags & TABLE_CONN_PATIENT) != 0;

	if (conn == 0 || dial->user_timeout == 0)
		return;
	if (!patient && !always &&
	    clock_tick() - active > (unsigned)dial->user_timeout / 1000 * CLIENTS_TICKS + 60 * CLIENTS_TICKS)
		return;
	if (conn_heed(record->fd, dial, patient) != patient)
		record->flags ^= TABLE_CONN_PATIENT;
}

/* One that was kept ready for long was tuned there. */
static void
clients_tune(struct clients *clients, struct client *client, int64_t now)
{
	const struct table_client *record = client_record(client);
	struct table_conn *conn;

	if (clients->shared != NULL)
		return;
	conn = &clients->table->conns[record->conn];
	if (conn->flags & TABLE_CONN_TUNED) {
		clients_heed(clients, record->conn, record->active, false);
		return;
	}
	if (now - client->opened < TABLE_TUNE_AGE) {
		clients->fresh = true;
		return;
	}
	conn_tune(conn->fd, clients->settings->dial);
	conn->flags |= TABLE_CONN_TUNED;
}

/* Has a client gone unnoticed?  true if that was its end. */
static bool
clients_look(struct client *client)
{
	if (client->mux_client == NULL)
		return client_look(client);
	if (!mux_client_is_gone(client->mux_client))
		return false;
	client_is_over(client, CLOSING_CLIENT);
	return true;
}

/* Who has been idle for too long ends; what takes system calls is looked at less often.  Gives when the next client
 * will have been idle for too long, if it stays so. */
static int64_t
clients_scan_open(struct clients *clients, int64_t now, bool regular)
{
	struct client *client = TAILQ_FIRST(&clients->open), *next;
	int64_t idle, limit = clients->settings->idle_timeout, longest = 0;

	for (; client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		if (regular && clients_look(client))
			continue;
		if (regular)
			clients_tune(clients, client, now);
		/* Rounded: never early. */
		idle = now - (client_record(client)->active + INT64_C(1)) * CLOCK_TICK;
		if (limit > 0 && idle >= limit)
			clients_end(clients, client, CLOSING_IDLE, NULL);
		else if (client_is_client_gone(client) &&
		    idle >= (client_has_words(client) ? CLIENTS_GHOST : CLIENTS_LINGER))
			clients_end(clients, client, CLOSING_CLIENT, NULL);
		else if (idle > longest)
			longest = idle;
	}
	return limit == 0 ? CLOCK_NEVER : clock_after(now, limit - longest);
}

static void
clients_on_scan(void *arg)
{
	struct clients *clients = arg;
	int64_t now = clock_now(), due;
	bool regular = now >= clients->regular;

	if (regular) {
		clients->fresh = false;
		clients_scan_held(clients, now);
	}
	due = clients_scan_open(clients, now, regular);
	if (regular && clients->shared != NULL)
		clients_heed(clients, upstream_lent(clients->upstream), 0, true);
	if (regular)
		clients_tell_refused(clients, now);
	/* A byte can only put it off, so nobody's end is missed; who comes meanwhile is looked at before its own. */
	clients->due = due - now < CLIENTS_SCAN_MIN ? now + CLIENTS_SCAN_MIN : due;
	clients_scan_later(clients);
}

static void
clients_on_watching(void *arg)
{
	struct clients *clients = arg;

	struct client *client = clients_first_held(clients);

	for (; client != NULL; client = clients_next_held(client))
		client_begin(client);
}

void
clients_watch_later(struct clients *clients)
{
	if (!loop_timer_is_set(&clients->watching))
		loop_timer_at(&clients->watching, clock_now() + CLIENTS_MOMENT);
}

void
clients_scan_init(struct clients *clients)
{
	clients->due = CLOCK_NEVER;
	loop_timer_init(&clients->scan, clients->loop, clients_on_scan, clients);
	loop_timer_init(&clients->watching, clients->loop, clients_on_watching, clients);
}

void
clients_scan_later(struct clients *clients)
{
	int64_t now = clock_now(), regular = now + clients_scan_interval(clients);

	if (clients->regular <= now || clients->regular > regular)
		clients->regular = regular;
	loop_timer_at(&clients->scan, clients->regular < clients->due ? clients->regular : clients->due);
}

unsigned
clients_count(const struct clients *clients)
{
	return clients->open_count;
}

unsigned
clients_lingering(const struct clients *clients)
{
	return lingering_count(clients->lingering);
}

unsigned
clients_held(const struct clients *clients)
{
	return clients->held.count;
}

int64_t
clients_held_longest(const struct clients *clients)
{
	return waiting_longest(&clients->held, clock_now());
}

enum table_pause
clients_why_paused(const struct clients *clients)
{
	if (clients->paused == TABLE_PAUSE_NONE && clients->listener != NULL &&
	    listener_is_exhausted(clients->listener))
		return TABLE_PAUSE_FILES;
	return clients->paused;
}

void
clients_get_bytes(const struct clients *clients, uint64_t ret_bytes[2])
{
	struct client *client;

	memcpy(ret_bytes, clients_counters(clients)->bytes, sizeof clients_counters(clients)->bytes);
	TAILQ_FOREACH(client, &clients->open, entry)
		for (int d = 0; d < 2; d++)
			ret_bytes[d] += client_record(client)->bytes[d];
	/* Those who wait for a reconnect. */
	for (client = clients_first_held(clients); client != NULL; client = clients_next_held(client))
		for (int d = 0; d < 2; d++)
			ret_bytes[d] += client_record(client)->bytes[d];
}

void
clients_each(struct clients *clients, bool (*visit)(void *arg, uint32_t client), void *arg)
{
	struct client *client, *next;

	for (client = TAILQ_FIRST(&clients->open); client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		if (!visit(arg, client->index))
			return;
	}
	for (client = clients_first_held(clients); client != NULL; client = next) {
		next = clients_next_held(client);
		if (!visit(arg, client->index))
			return;
	}
}

static struct client *
clients_find(struct clients *clients, uint32_t index)
{
	struct client *client;

	TAILQ_FOREACH(client, &clients->open, entry)
		if (client->index == index)
			return client;
	for (client = clients_first_held(clients); client != NULL; client = clients_next_held(client))
		if (client->index == index)
			return client;
	return NULL;
}

void
clients_kill(struct clients *clients, uint32_t index)
{
	struct client *client = clients_find(clients, index);

	if (client != NULL)
		clients_end(clients, client, CLOSING_OPERATOR, NULL);
}
