#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"
#include "keep/crash.h"
#include "keep/recover.h"

/* A request that was the oldest at so many losses in a row may be their cause: it is not sent again. */
#define LOSS_SUSPECT  5
#define LOSS_PATIENCE (10 * CLOCK_SECOND) /* and for so long: a server may accept and close while it comes back */

static struct mux_client *
loss_mux_client(const struct shared *shared, uint64_t who)
{
	uint32_t session = mux_queue_client(&shared->queue, who);

	return session == 0 || session >= shared->mux_client_slots ? NULL : shared->members[session];
}

/* The oldest request ends as lost: its client is told so, or closed.  Closed first, so that no death leaves a client
 * that waits for what nobody owes it. */
static void
loss_fail(struct shared *shared, enum closing_cause cause)
{
	uint64_t who = mux_queue_at(&shared->queue, 0)->who;
	struct mux_client *mux_client = shared_is_ordered(shared) ? loss_mux_client(shared, who) : NULL;

	if (mux_client == NULL || shared->loss_text == NULL || mux_client_is_last(mux_client) ||
	    !mux_queue_fail(&shared->queue, mux_client->index, shared->loss_text, shared->loss_length)) {
		if (mux_client != NULL)
			mux_client_finish(mux_client, cause);
		mux_queue_fail(&shared->queue, 0, NULL, 0);
	}
	if (mux_client == NULL)
		return;
	mux_client_owe(mux_client, -1);
	mux_client_dirty(mux_client);
}

/* How many of those in flight end: all, or, if they are to be sent again, one that may be the cause. */
static uint64_t
loss_count_failing(struct shared *shared, uint64_t sent)
{
	struct table_shared *record = shared->record;
	uint64_t failing = 0;

	if (shared->settings->on_loss == SHARED_FAIL || (sent == 0 && record->stuck == TABLE_STUCK_GUILTY))
		record->stuck = 0;
	if (shared->settings->on_loss == SHARED_FAIL || sent == 0)
		return sent;
	if (record->stuck == TABLE_STUCK_GUILTY) {
		failing = 1;
	} else if (record->stuck == 0 || record->stuck_at != record->pending_head) {
		record->stuck = 0;
		record->stuck_at = record->pending_head;
		record->stuck_since = clock_now();
	}
	if (failing == 0 && ++record->stuck >= LOSS_SUSPECT && clock_now() - record->stuck_since >= LOSS_PATIENCE)
		failing = 1;
	if (failing == 1)
		record->stuck = 0;
	return failing;
}

void
shared_settle(struct shared *shared)
{
	struct table_shared *record = shared->record;
	uint64_t sent = mux_queue_sent(&shared->queue), failing = loss_count_failing(shared, sent);

	ring_drop(shared->table, shared_payer(shared), &record->in); /* what was not handed out is nobody's */
	for (uint64_t i = 0; i < failing; i++)
		loss_fail(shared, CLOSING_UPSTREAM);
	mux_queue_settle(&shared->queue);
	if (sent > 0)
		upstream_note(shared->table, shared->service, LOG_LEVEL_INFO,
		    "%llu requests were in flight: %llu end as lost, %llu are sent again", (unsigned long long)sent,
		    (unsigned long long)failing, (unsigned long long)(sent - failing));
}

void
shared_drop(struct shared *shared)
{
	uint32_t conn = shared->record->upstream;

	if (shared->fd == -1)
		return;
	shared_retire(shared); /* while it can be asked */
	loop_event_stop(&shared->read);
	loop_event_stop(&shared->write);
	budget_wait_cancel(shared->wait);
	shared->wait = NULL;
	shared->starved_since = 0;
	shared->reading = shared->writing = false;
	shared->fd = -1;
	shared->choked = NULL;
	shared->liveness = (struct liveness){ 0 };
	shared->down_since = shared->queued_since = clock_now();
	recover_close_conn(shared->table, conn);
	CRASH_POINT(SHARED_LOST);
	shared_settle(shared);
	shared_flush(shared);
	shared_tell_waiting(shared);
	shared_tick_soon(shared);
}

void
shared_lose(struct shared *shared, const char *reason)
{
	if (shared->fd == -1)
		return;
	shared_drop(shared);
	upstream_lost(shared->upstream, reason);
}

/* Requests up to this entry, which no connection was given, since none is there. */
static void
loss_fail_until(struct shared *shared, uint64_t end, enum closing_cause cause)
{
	struct table_shared *record = shared->record;

	while (record->pending_head < end && mux_queue_count(&shared->queue) > 0)
		loss_fail(shared, cause);
	ring_release(shared->table, shared_payer(shared), &record->out);
	shared_flush(shared);
}

static int64_t
loss_later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool
loss_is_over(const struct shared *shared, int64_t since, int64_t now)
{
	return shared_is_ordered(shared) && shared->hold_timeout > 0 && now - since >= shared->hold_timeout;
}

/* Requests in the queue know no time: how far it went is noted now and then.  The end of those that have waited too
 * long. */
static uint64_t
loss_mark(struct shared *shared, int64_t now)
{
	const struct shared_mark *mark, *newest;
	uint64_t end = 0;

	for (size_t i = 0; i < SHARED_MARKS; i++) {
		mark = &shared->marks[i];
		if (mark->at >= shared->down_since && mark->end > end && loss_is_over(shared, mark->at, now))
			end = mark->end;
	}
	newest = &shared->marks[(shared->next_mark + SHARED_MARKS - 1) % SHARED_MARKS];
	if (newest->at >= shared->down_since && now - newest->at < shared->hold_timeout / SHARED_LOOKS)
		return end;
	shared->marks[shared->next_mark++ % SHARED_MARKS] =
	    (struct shared_mark){ .at = now, .end = shared->record->pending_tail };
	return end;
}

/* The queue first: who waits for a place in it asked later. */
void
shared_turn_away(struct shared *shared, int64_t now)
{
	bool refused = shared_refuses(shared);
	enum closing_cause cause = refused ? CLOSING_REFUSED : CLOSING_HOLD_TIMEOUT;
	struct mux_client *mux_client;

	if (!refused && shared_is_paused(shared)) {
		shared_tell_waiting(shared);
		return;
	}
	if (mux_queue_count(&shared->queue) > 0)
		loss_fail_until(shared, refused ? UINT64_MAX : loss_mark(shared, now), cause);
	while ((mux_client = TAILQ_FIRST(&shared->waiting)) != NULL && mux_client->in_flight == 0 &&
	    (refused || loss_is_over(shared, loss_later(mux_client->waiting_since, shared->down_since), now))) {
		mux_client_wait_no_more(mux_client);
		mux_client_fail_waiting(mux_client, cause);
	}
	shared_tell_waiting(shared);
}
