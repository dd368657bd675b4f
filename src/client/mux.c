#include "client/mux.h"

#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/peer_closed.h"
#include "client/admission.h"
#include "client/client.h"
#include "client/mux_audit.h"
#include "client/mux_client.h"
#include "client/mux_conn.h"
#include "client/mux_drops.h"
#include "client/mux_own.h"
#include "client/mux_stream.h"
#include "client/spool.h"
#include "keep/crash.h"
#include "keep/table.h"
#include "upstream/upstream.h"

/* Clients whose memory lies together. */
#define MUX_SLAB 32

struct mux {
	struct mux_clients clients;
	struct mux_queue *queue;      /* borrowed: the clients' */
	struct mux_conn conn;
	struct spool *spool;          /* owned; NULL: there is none */
	struct mux_expiry expiry;
	struct mux_drops drops;
	struct upstream *upstream;    /* borrowed; NULL once no connection will come */
	struct mux_client *datagrams; /* owned: stands for who sends them; NULL none */
	bool aborts, refuses;         /* settings */
	bool begun;
	bool looks;                   /* the tick has come */
	struct mux_own own;
	unsigned told_waiting;
	int64_t queued_since;         /* while it is down: of the oldest request in the queue; 0 there is none */
	struct loop_timer turn, tick;
};

uint64_t
mux_in_flight(const struct mux *mux)
{
	return mux_conn_in_flight(&mux->conn);
}

bool
mux_is_connected(const struct mux *mux)
{
	return mux->conn.fd != -1;
}

/* Who has a part of its reply can be told nothing more. */
static void
mux_cut(const struct mux *mux, struct mux_client *client)
{
	log_notice(mux->clients.rules.name,
	    "client %llu had %llu bytes of a reply when the connection was lost: closed",
	    (unsigned long long)mux_client_record(client)->id, (unsigned long long)mux->queue->record->streamed);
	mux_client_finish(client, CLOSING_CUT);
}

/* The oldest request ends as lost: its client is told so, or closed.  Its end is marked first, so that no death
 * leaves a client that waits for what nobody owes it. */
static void
mux_fail_oldest(struct mux *mux, enum closing_cause cause)
{
	struct mux_rules *rules = &mux->clients.rules;
	uint64_t who = mux_queue_at(&rules->queue, 0)->who;
	uint32_t index = mux_queue_client(&rules->queue, who);
	struct mux_client *client = mux_is_ordered(rules) ? mux_clients_at(&mux->clients, index) : NULL;

	if (client != NULL && mux_stream_is_on(&rules->queue))
		mux_cut(mux, client);
	if (mux_queue_silence(who) == FRAMING_SILENT_ALL) {
		mux_queue_fail(&rules->queue, 0, NULL, 0);
	} else if (client == NULL || rules->loss.bytes == NULL || mux_clients_alive(&mux->clients, index) == NULL ||
	    !mux_queue_fail(&rules->queue, index, rules->loss.bytes, rules->loss.length)) {
		if (client != NULL)
			mux_client_finish(client, cause);
		mux_queue_fail(&rules->queue, 0, NULL, 0);
	}
	if (client == NULL)
		return;
	mux_client_answer(client, 1, 0);
	mux_client_input(client, MUX_INPUT_FLUSH);
}

/* What a dead worker did not come to do, too: requests end as lost, or are to be sent again. */
static void
mux_settle(struct mux *mux, int64_t now)
{
	struct mux_queue *queue = mux->queue;
	uint64_t sent = mux_queue_sent(queue), failing = mux->spool != NULL ? 0 : mux_policy_failing(queue->record,
	    mux->clients.rules.settings->on_loss == SHARED_RETRY, sent, now);

	ring_drop(queue->table, mux_queue_payer(queue), &queue->record->in); /* what was not handed out is nobody's */
	for (uint64_t i = 0; i < failing; i++)
		mux_fail_oldest(mux, CLOSING_UPSTREAM);
	mux_queue_settle(queue);
	if (sent > 0)
		upstream_note(queue->table, queue->service, LOG_LEVEL_INFO,
		    "%llu requests were in flight: %llu end as lost, %llu are sent again", (unsigned long long)sent,
		    (unsigned long long)failing, (unsigned long long)(sent - failing));
}

void
mux_drop(struct mux *mux)
{
	uint32_t conn = mux->queue->record->upstream;
	int64_t now = clock_now();

	if (mux->conn.fd == -1)
		return;
	mux_conn_retire(&mux->conn); /* while it can be asked */
	mux_conn_close(&mux->conn, now);
	mux->expiry.since = mux->clients.waiting.from = now;
	table_conn_close(mux->queue->table, conn);
	CRASH_POINT(SHARED_LOST);
	mux_settle(mux, now);
	mux_turn_soon(&mux->clients);
}

void
mux_lose(struct mux *mux, const char *reason)
{
	if (mux->conn.fd == -1)
		return;
	mux_drop(mux);
	upstream_lost(mux->upstream, reason);
}

/* The connection has found that it is. */
static void
mux_check_lost(struct mux *mux)
{
	char reason[sizeof mux->conn.lost];

	if (mux->conn.fd == -1 || mux->conn.lost[0] == '\0')
		return;
	memcpy(reason, mux->conn.lost, sizeof reason); /* there may be another connection at once */
	mux_lose(mux, reason);
}

/* What clients say, and take. */
static void
mux_work(struct mux *mux, int64_t now)
{
	struct mux_client *client;
	bool takes;

	while ((client = TAILQ_FIRST(&mux->clients.work)) != NULL) {
		takes = client->inputs & MUX_INPUT_FLUSH;
		mux_client_work(client, now);
		if (takes)
			mux_conn_release(&mux->conn, client, false, now);
	}
}

static bool
mux_refuses(const struct mux *mux)
{
	return admission_is_closed(mux->queue->table, mux->queue->service, mux->upstream, mux->refuses);
}

/* Turns away who has waited too long for a connection, or all if none will come.  The queue first: who waits for a
 * place in it asked later. */
static void
mux_turn_away(struct mux *mux, int64_t now)
{
	struct mux_queue *queue = mux->queue;
	struct waiting_queue *waiting = &mux->clients.waiting;
	bool refused = mux_refuses(mux);
	enum closing_cause cause = refused ? CLOSING_REFUSED : CLOSING_HOLD_TIMEOUT;
	uint64_t end = UINT64_MAX;
	struct waiting_entry *entry;
	struct mux_client *client;

	if (mux->spool != NULL || (!refused && table_is_paused(mux->queue->table, mux->queue->service)))
		return;
	if (!refused)
		end = mux_expiry_look(&mux->expiry, mux_is_ordered(&mux->clients.rules) ? waiting->timeout : 0,
		    queue->record->pending_tail, now);
	while (mux_queue_count(queue) > 0 && queue->record->pending_head < end)
		mux_fail_oldest(mux, cause);
	ring_release(queue->table, mux_queue_payer(queue), &queue->record->out);
	for (unsigned left = waiting->count; left > 0 && (entry = waiting_first(waiting)) != NULL &&
	    (refused || waiting_end(waiting, entry) <= now); left--) {
		client = waiting_of(entry, struct mux_client, waiting);
		if (client->asker.reader.in_flight > 0)
			return;
		mux_client_fail_waiting(client, cause, now);
	}
}

static void
mux_tell_waiting(struct mux *mux, int64_t now)
{
	bool queued = mux->conn.fd == -1 && (mux_queue_count(mux->queue) > 0 ||
	    (mux->spool != NULL && spool_has_some(mux->spool)));
	unsigned count = mux->conn.fd == -1 ? mux->clients.owed + mux->clients.waiting.count : 0;

	if (!queued)
		mux->queued_since = 0;
	else if (mux->queued_since == 0)
		mux->queued_since = now;
	if (queued && count == 0)
		count = 1;
	if (count == mux->told_waiting)
		return;
	mux->told_waiting = count;
	upstream_set_held(mux->upstream, count);
}

/* Their owner has them leave. */
static void
mux_close_over(struct mux *mux)
{
	struct mux_client *client;

	while ((client = TAILQ_FIRST(&mux->clients.over)) != NULL)
		client_is_over(client->owner, client->cause);
}

/* No connection is there, none is waited for, and nothing else takes what clients say. */
static bool
mux_is_closed(const struct mux *mux)
{
	return mux->conn.fd == -1 && mux->spool == NULL && mux_refuses(mux);
}

static void
mux_spool_take(struct mux *mux, int64_t now)
{
	if (mux->spool == NULL)
		return;
	spool_take(mux->spool, mux->conn.fd != -1, now);
	mux_clients_confirm(&mux->clients);
}

static void
mux_on_turn(void *arg)
{
	struct mux *mux = arg;
	struct waiting_entry *entry;
	int64_t now = clock_now(), period;

	mux->clients.rules.closed = mux_is_closed(mux);
	mux_conn_take(&mux->conn, now);
	mux_check_lost(mux);
	mux->clients.rules.stuck = mux_policy_is_stuck(&mux->conn.policy, now);
	mux_spool_take(mux, now);
	mux_work(mux, now);
	if (mux->looks)
		mux_conn_look(&mux->conn, now);
	mux->looks = false;
	mux_check_lost(mux);
	/* First come first served; who finds no place is first again. */
	while ((mux->conn.fd != -1 || mux->clients.rules.spools || mux_drops(&mux->clients.rules)) &&
	    (entry = waiting_first(&mux->clients.waiting)) != NULL)
		if (!mux_client_resume(waiting_of(entry, struct mux_client, waiting), now))
			break;
	if (mux->conn.fd == -1)
		mux_turn_away(mux, now);
	if (mux->spool != NULL)
		spool_move(mux->spool, mux->conn.fd != -1, now);
	mux_conn_give(&mux->conn, now);
	mux_own_serve(&mux->own, now);
	mux_own_turn_away(&mux->own, mux_refuses(mux), now);
	mux_close_over(mux);
	mux_tell_waiting(mux, now);
	mux_drops_look(&mux->drops);
	if (mux->conn.fd != -1 && mux_conn_rests(&mux->conn) && mux_conn_in_flight(&mux->conn) == 0)
		upstream_let_go(mux->upstream, true);
	period = mux_conn_period(&mux->conn);
	if (period != 0 && (!loop_timer_is_set(&mux->tick) || mux->tick.deadline > now + period))
		loop_timer_at(&mux->tick, now + period);
}

static void
mux_on_tick(void *arg)
{
	struct mux *mux = arg;

	mux->looks = true;
	mux_turn_soon(&mux->clients);
}

/* With a connection that nothing of the queue was sent to yet: requests whose clients have gone are not carried out,
 * though nothing may have told yet of their going. */
static void
mux_forget_gone(struct mux *mux)
{
	struct mux_client *client;

	if (!mux->aborts || !mux_is_ordered(&mux->clients.rules) || mux->conn.fd == -1 || mux_in_flight(mux) > 0)
		return;
	for (uint32_t i = 1; i < mux->clients.slots; i++) {
		client = mux->clients.slot[i];
		if (client != NULL && client->owner != NULL && mux_client_is_asking(client) &&
		    peer_closed_has_come(mux_client_record(client)->fd))
			mux_client_close(client, CLOSING_CLIENT);
	}
	mux_close_over(mux);
	if (mux->conn.fd != -1)
		mux_queue_forget_gone(mux->queue);
}

static void
mux_lend(struct mux *mux)
{
	uint32_t conn = upstream_take(mux->upstream);
	char byte;

	if (conn == 0)
		return;
	mux_conn_open(&mux->conn, conn, clock_now());
	mux_own_recall(&mux->own); /* theirs may lead elsewhere */
	table_conn_share(mux->queue->table, conn);
	CRASH_POINT(SHARED_LENT);
	mux->queue->record->upstream = conn;
	CRASH_POINT(SHARED_NAMED);
	upstream_taken(mux->upstream, conn);
	/* What comes before anything was asked would be taken for the reply to what is asked first. */
	if (mux_is_ordered(&mux->clients.rules) && mux_queue_count(mux->queue) > 0 &&
	    recv(mux->conn.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		mux_lose(mux, "it spoke before anything was asked; what it says first is a matter of hello");
	mux_forget_gone(mux);
}

void
mux_serve(struct mux *mux)
{
	bool moved = mux->conn.policy.moves;

	if (!mux->begun)
		return;
	if (mux->conn.fd == -1)
		mux_lend(mux);
	else if ((mux->conn.policy.moves = upstream_moves(mux->upstream)) && !moved)
		mux_conn_retire(&mux->conn);
	mux_turn_soon(&mux->clients);
}

void
mux_leave_upstream(struct mux *mux)
{
	if (mux == NULL)
		return;
	mux->upstream = NULL;
	mux_own_leave_upstream(&mux->own);
	mux_serve(mux);
}

void
mux_pause(struct mux *mux)
{
	waiting_pause(&mux->clients.wanting, true, 0);
	mux_own_recall(&mux->own); /* what they ask for next is new work */
	if (!mux->begun)
		return;
	mux_conn_retire(&mux->conn);
	mux_turn_soon(&mux->clients); /* which looks whether it owes nothing */
}

void
mux_unpause(struct mux *mux)
{
	waiting_pause(&mux->clients.wanting, false, clock_now());
	if (mux->conn.fd == -1)
		mux->expiry.since = mux->clients.waiting.from = clock_now();
	else if (mux_conn_in_flight(&mux->conn) == 0)
		mux->conn.policy.asked = 0; /* what is in the queue was not asked yet */
	mux_turn_soon(&mux->clients);
}

struct mux_own *
mux_get_own(struct mux *mux)
{
	return &mux->own;
}

struct mux_client *
mux_join(struct mux *mux, struct client *client)
{
	return mux_client_new(&mux->clients, client, client->index, mux->queue->table->clients[client->index].fd);
}

void
mux_leave(struct mux *mux, struct mux_client *client)
{
	if (client != NULL)
		mux_conn_release(&mux->conn, client, true, clock_now());
	mux_client_free(client);
}

/* The record that stands for who sends datagrams; 0: there is none. */
static uint32_t
mux_find_datagrams(const struct mux *mux)
{
	const struct table *table = mux->queue->table;
	uint32_t i = 0;

	while ((i = table_client_next(table, mux->queue->service, i)) != 0)
		if (table_client_state(table, i) == TABLE_LIVE && (table->clients[i].flags & TABLE_CLIENT_DATAGRAMS))
			break;
	return i;
}

/* The same, made if need be; 0 if none is free. */
static uint32_t
mux_make_datagrams(const struct mux *mux)
{
	struct table *table = mux->queue->table;
	uint32_t index = mux_find_datagrams(mux);

	if (index != 0 || (index = table_client_claim(table)) == 0)
		return index;
	table->clients[index].service = mux->queue->service;
	table->clients[index].flags = TABLE_CLIENT_DATAGRAMS;
	table->clients[index].since = clock_now();
	table->clients[index].conn = TABLE_CONN_SHARED;
	table_client_set(table, index, TABLE_LIVE);
	return index;
}

void
mux_set_datagrams(struct mux *mux, int fd)
{
	uint32_t index;

	mux_leave(mux, mux->datagrams);
	mux->datagrams = NULL;
	if (fd == -1 || mux->clients.rules.settings->type != LISTENER_DGRAM || (index = mux_make_datagrams(mux)) == 0)
		return;
	mux->datagrams = mux_client_new(&mux->clients, NULL, index, fd);
	mux_client_input(mux->datagrams, MUX_INPUT_ASK);
}

/* A connection that a dead worker had taken, and had named or not yet. */
static void
mux_resume_connection(struct mux *mux, int64_t now)
{
	const struct table *table = mux->queue->table;
	struct table_shared *record = mux->queue->record;
	uint16_t service = mux->queue->service;
	uint32_t i = 0;

	while (record->upstream == 0 && (i = table_conn_next(table, service, i)) != 0)
		if (table_conn_is_shared(table, i))
			record->upstream = i;
	if (record->upstream == 0)
		return;
	if (!table_conn_is_shared(table, record->upstream) || table->conns[record->upstream].service != service) {
		mux_settle(mux, now);
		return;
	}
	mux_conn_open(&mux->conn, record->upstream, now);
	if (mux_queue_count(mux->queue) == 0)
		return;
	mux->conn.policy.asked = now;
	if (mux_queue_at(mux->queue, 0)->who == TABLE_PENDING_NOBODY)
		mux->conn.policy.beaten = now;
}

/* What is owed to whom, as the clients count it. */
static void
mux_resume_pending(struct mux *mux)
{
	const struct mux_queue *queue = mux->queue;
	struct mux_client *client;

	for (size_t i = 0; mux_is_ordered(&mux->clients.rules) && i < mux_queue_count(queue); i++) {
		client = mux_clients_at(&mux->clients, mux_queue_client(queue, mux_queue_at(queue, i)->who));
		if (client != NULL)
			mux_client_owe(client, 1);
	}
}

void
mux_begin(struct mux *mux, int datagrams)
{
	int64_t now = clock_now();

	mux->begun = true;
	mux_resume_pending(mux); /* first: it may be owed no more since the connection is lost */
	mux_resume_connection(mux, now);
	mux_set_datagrams(mux, datagrams);
	for (uint32_t i = 1; i < mux->clients.slots; i++)
		if (mux->clients.slot[i] != NULL)
			mux_client_input(mux->clients.slot[i], MUX_INPUT_FLUSH | MUX_INPUT_ASK);
	mux->clients.rules.closed = mux_is_closed(mux);
	mux_work(mux, now); /* who is blocked is known then */
	mux->conn.hands_out = mux->conn.fd != -1;
	mux_forget_gone(mux);
	mux_serve(mux);
	mux_on_turn(mux);
}

struct mux *
mux_new(struct event_base *loop, struct table *table, uint16_t service, const struct shared_settings *settings,
    struct upstream *upstream)
{
	struct mux *mux = mem_new(1, sizeof *mux);
	struct mux_clients *clients = &mux->clients;
	struct table_service *record = &table->services[service];

	*clients = (struct mux_clients){ .loop = loop, .turn = &mux->turn,
		.rules = { .queue = { .table = table, .record = &record->shared, .service = service },
		.name = record->name, .settings = settings, .framing = framing_of(settings->framing) },
		.slab = { .size = sizeof(struct mux_client), .number = MUX_SLAB } };
	TAILQ_INIT(&clients->work);
	TAILQ_INIT(&clients->over);
	TAILQ_INIT(&clients->blocked);
	TAILQ_INIT(&clients->unconfirmed);
	waiting_init(&clients->waiting, 0);
	waiting_init(&clients->wanting, 0);
	mux->upstream = upstream;
	mux->queue = mux->conn.queue = &clients->rules.queue;
	mux->conn.clients = clients;
	mux->conn.rules = &clients->rules;
	mux->conn.fd = -1;
	mux_own_init(&mux->own, clients, &mux->conn, upstream);
	mux->expiry.since = clients->waiting.from = clock_now();
	loop_timer_init(&mux->turn, loop, mux_on_turn, mux);
	loop_timer_init(&mux->tick, loop, mux_on_tick, mux);
	mux_drops_init(&mux->drops, loop, &clients->rules);
	if (mux_audit(&clients->rules))
		log_error(record->name, "what its clients share in memory is damaged: what cannot be followed of it "
		    "is given up");
	mux_queue_finish_drop(mux->queue);
	mux->spool = spool_new(loop, &clients->rules, &mux->turn);
	return mux;
}

void
mux_set(struct mux *mux, const struct shared_settings *settings, int64_t hold_timeout, bool refuses, bool aborts,
    const struct resp_connection *resp)
{
	struct mux_rules *rules = &mux->clients.rules;

	if (rules->settings->max_message != settings->max_message) { /* what was found out does not hold any more */
		mux->conn.progress = (struct framing_progress){ 0 };
		for (size_t i = 0; i < mux->clients.slots; i++)
			if (mux->clients.slot[i] != NULL)
				mux->clients.slot[i]->asker.progress = (struct framing_progress){ 0 };
	}
	if (rules->resp.protocol != resp->protocol)
		mux_own_ask_again(&mux->own);
	rules->settings = settings;
	rules->resp = *resp;
	mux_own_judge_again(&mux->own);
	shared_note(mux->queue->record, settings);
	shared_make_loss_reply(settings, &rules->loss);
	shared_make_heartbeat(settings, &mux->conn.beat);
	shared_make_confirmation(settings, &rules->confirmation);
	mux->clients.waiting.timeout = mux->clients.wanting.timeout = hold_timeout;
	mux->refuses = refuses;
	mux->aborts = aborts;
	loop_timer_stop(&mux->tick);
	if (mux->begun)
		mux_turn_soon(&mux->clients);
}

void
mux_free(struct mux *mux)
{
	if (mux == NULL)
		return;
	mux_set_datagrams(mux, -1);
	mux_conn_close(&mux->conn, clock_now());
	spool_free(mux->spool);
	loop_timer_stop(&mux->turn);
	loop_timer_stop(&mux->tick);
	mux_drops_stop(&mux->drops);
	loop_timer_stop(&mux->own.rested);
	slab_clear(&mux->clients.slab);
	mem_free(mux->clients.slot);
	mem_free(mux->clients.rules.loss.bytes);
	mem_free(mux->clients.rules.confirmation.bytes);
	mem_free(mux->conn.beat.bytes);
	mem_free(mux);
}

void
mux_end(struct mux *mux)
{
	uint32_t datagrams = mux_find_datagrams(mux);

	mux_set_datagrams(mux, -1);
	if (datagrams != 0)
		table_client_close(mux->queue->table, datagrams);
	mux_drop(mux);
	spool_leave(mux->spool);
	mux->spool = NULL;
	mux_queue_drop(mux->queue);
}

void
mux_each_in_flight(const struct mux *mux, bool (*visit)(void *arg, uint32_t client), void *arg)
{
	const struct mux_queue *queue = mux->queue;
	uint64_t count = mux_conn_in_flight(&mux->conn);
	bool *seen = mem_new(mux->clients.slots + 1, sizeof *seen), more = true;
	uint32_t client;

	for (uint64_t i = 0; i < count && more; i++) {
		client = mux_queue_client(queue, mux_queue_at(queue, i)->who);
		if (mux_clients_at(&mux->clients, client) == NULL || seen[client])
			continue;
		seen[client] = true;
		more = visit(arg, client);
	}
	mem_free(seen);
}

void
mux_get_status(struct mux *mux, struct mux_status *ret_status)
{
	const struct table_shared *record = mux->queue->record;
	const struct waiting_entry *first = waiting_first(&mux->clients.waiting);
	uint64_t sent;

	mux_conn_retire(&mux->conn);
	sent = mux->conn.fd == -1 ? 0 : mux_queue_sent(mux->queue);
	*ret_status = (struct mux_status){ .in_flight = sent,
		.queued = mux_queue_count(mux->queue) - sent + mux->clients.waiting.count,
		.messages = { record->messages[0], record->messages[1] }, .lost = record->lost,
		.retried = record->retried, .dropped = record->dropped,
		.unfinished = record->unfinished, .own = mux->own.count,
		.own_waiting = mux->clients.wanting.count, .waiting = mux->told_waiting };
	spool_get_status(mux->spool, &ret_status->spool);
	if (mux->told_waiting > 0)
		ret_status->waiting_longest = clock_now() - (mux->queued_since != 0 ? mux->queued_since :
		    first != NULL ? first->since : mux->expiry.since);
}
