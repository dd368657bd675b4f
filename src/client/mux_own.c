#include "client/mux_own.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/client.h"
#include "client/label.h"
#include "client/track.h"
#include "upstream/own.h"
#include "upstream/upstream.h"

void
mux_own_note(struct mux_own *own, int change)
{
	own->count += (unsigned)change;
	mux_turn_soon(own->clients);
}

static const struct shared_settings *
own_settings(const struct mux_own *own)
{
	return own->clients->rules.settings;
}

/* More want one than may have one. */
static bool
own_is_short(const struct mux_own *own)
{
	return own->count + own->clients->wanting.count > own_settings(own)->max_own;
}

/* Its own leads to another endpoint, of which the shared one has gone. */
static bool
own_is_elsewhere(const struct mux_own *own, const struct client *client)
{
	const struct table_conn *conns = own->clients->rules.queue.table->conns;

	return own->conn->fd != -1 && conns[client_record(client)->conn].endpoint !=
	    conns[own->clients->rules.queue.record->upstream].endpoint;
}

/* A reload can have moved those who share to another database than the one that this client has chosen. */
static bool
own_fits(const struct mux_own *own, const struct client *client)
{
	return track_fits(client->track, &own->clients->rules.resp);
}

void
mux_own_rest(struct mux_own *own, struct client *client)
{
	int64_t now = clock_now();
	bool elsewhere = own_is_elsewhere(own, client);

	if (!own_fits(own, client))
		return;
	client->waiting = (struct waiting_entry){ .since = elsewhere ? 0 : now,
		.place = elsewhere ? 0 : ++own->clients->places };
	waiting_enter(&own->resting, &client->waiting);
	if (elsewhere || own_is_short(own))
		mux_turn_soon(own->clients);
	else if (!loop_timer_is_set(&own->rested))
		loop_timer_at(&own->rested, now + own_settings(own)->own_linger);
}

void
mux_own_recall(struct mux_own *own)
{
	own->recalled = clock_now();
	mux_turn_soon(own->clients);
}

static void
own_take_back(struct mux_own *own, int64_t now)
{
	int64_t linger = own_settings(own)->own_linger;
	struct waiting_entry *entry;

	while ((entry = waiting_first(&own->resting)) != NULL && (entry->since + linger <= now ||
	    entry->since <= own->recalled || own_is_short(own)))
		client_go_back(client_of(entry));
	if (entry != NULL && !loop_timer_is_set(&own->rested))
		loop_timer_at(&own->rested, entry->since + linger);
}

static void
own_on_rested(void *arg)
{
	struct mux_own *own = arg;

	mux_turn_soon(own->clients);
}

static unsigned
own_protocol(const struct mux_client *client)
{
	return client_record(client->owner)->flags & TABLE_CLIENT_RESP3 ? 3 : 2;
}

/* Its bytes are relayed there from now on. */
static void
own_move_out(struct mux_own *own, struct mux_client *client, uint32_t conn, int64_t now)
{
	unsigned protocol = own_protocol(client);
	struct client *owner = client->owner;
	struct own *taken = client->own;

	client->own = NULL;
	mux_conn_release(own->conn, client, true, now);
	mux_client_free(client);
	client_own(owner, conn, &own->clients->rules.resp, protocol);
	own_taken(taken);
	mux_own_note(own, 1);
}

/* On it, what the client has said of itself is said again, and the protocol that it speaks is asked for. */
static struct own *
own_ask(const struct mux_own *own, const struct mux_client *client)
{
	char *requests[LABEL_REQUESTS + 1];
	size_t count = label_requests(own->clients->rules.queue.table, client->asker.index, requests);
	struct own *asked;

	if (own_protocol(client) != own->clients->rules.resp.protocol)
		requests[count++] = mem_print("*2\r\n$5\r\nHELLO\r\n$1\r\n%u\r\n", own_protocol(client));
	asked = upstream_own_start(own->upstream, (const char *const *)requests, count, client->first);
	while (count > 0)
		mem_free(requests[--count]);
	return asked;
}

void
mux_own_serve(struct mux_own *own, int64_t now)
{
	struct waiting_entry *entry, *next;

	own_take_back(own, now);
	entry = waiting_first(&own->clients->wanting);
	for (unsigned coming = 0; entry != NULL && own->count + coming < own_settings(own)->max_own; entry = next) {
		struct mux_client *client = waiting_of(entry, struct mux_client, waiting);
		uint32_t conn;

		next = waiting_next(entry);
		if (client->own == NULL)
			client->own = own_ask(own, client);
		conn = client->own == NULL ? 0 : own_take(client->own);
		if (conn != 0)
			own_move_out(own, client, conn, now);
		else
			coming++;
	}
}

void
mux_own_turn_away(struct mux_own *own, bool refused, int64_t now)
{
	struct waiting_queue *wanting = &own->clients->wanting;
	struct waiting_entry *entry;

	/* A drained service serves whom it has. */
	refused = refused && (own->conn->fd == -1 || own->upstream == NULL);
	while ((entry = refused ? waiting_first(wanting) : waiting_over(wanting, now)) != NULL)
		mux_client_fail_own(waiting_of(entry, struct mux_client, waiting),
		    refused ? CLOSING_REFUSED : CLOSING_HOLD_TIMEOUT, now);
}

void
mux_own_ask_again(struct mux_own *own)
{
	struct waiting_entry *entry = waiting_first(&own->clients->wanting);

	for (; entry != NULL; entry = waiting_next(entry)) {
		struct mux_client *client = waiting_of(entry, struct mux_client, waiting);

		own_cancel(client->own);
		client->own = NULL;
	}
}

void
mux_own_judge_again(struct mux_own *own)
{
	struct waiting_entry *entry = waiting_first(&own->resting), *next;

	for (; entry != NULL; entry = next) {
		next = waiting_next(entry);
		if (!own_fits(own, client_of(entry)))
			waiting_leave(entry);
	}
}

void
mux_own_leave_upstream(struct mux_own *own)
{
	own->upstream = NULL;
	mux_own_ask_again(own);
}

void
mux_own_init(struct mux_own *own, struct mux_clients *clients, struct mux_conn *conn, struct upstream *upstream)
{
	*own = (struct mux_own){ .clients = clients, .conn = conn, .upstream = upstream };
	waiting_init(&own->resting, 0);
	loop_timer_init(&own->rested, clients->loop, own_on_rested, own);
}
