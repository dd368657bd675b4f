/* What of shared mode waits for time. */
#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"

/* So often it is looked whether who makes all others wait takes something; what was acknowledged, while somebody
 * waits for that, and otherwise. */
#define TICK_CHOKED (50 * CLOCK_MILLISECOND)
#define TICK_RETIRE (5 * CLOCK_MILLISECOND)
#define TICK_IDLE   (250 * CLOCK_MILLISECOND)
/* An upstream that takes no more may say what it has to say; then it is lost. */
#define TICK_BROKEN CLOCK_SECOND

static struct liveness_settings
tick_limits(const struct shared *shared)
{
	const struct shared_settings *settings = shared->settings;

	return (struct liveness_settings){
		.reply_timeout = shared_is_ordered(shared) ? settings->reply_timeout : 0,
		.beats = settings->heartbeat_send != NULL, .interval = settings->heartbeat_interval,
		.timeout = settings->heartbeat_timeout };
}

static void
tick_check_liveness(struct shared *shared, int64_t now)
{
	const struct liveness_settings limits = tick_limits(shared);

	if (shared->fd == -1 || shared->choked != NULL || (shared_rests(shared) && shared_in_flight(shared) == 0))
		return;
	if (shared->broken && now - shared->liveness.heard >= TICK_BROKEN) {
		shared_lose(shared, "it takes nothing more");
		return;
	}
	switch (liveness_judge(&shared->liveness, &limits, now)) {
	case LIVENESS_ALIVE:
		return;
	case LIVENESS_BEAT:
		shared_beat(shared);
		return;
	case LIVENESS_SILENT:
		shared->record->stuck = TABLE_STUCK_GUILTY;
		shared_lose(shared, "no reply within reply_timeout");
		return;
	case LIVENESS_NO_PULSE:
		shared_lose(shared, "no answer to the heartbeat");
		return;
	}
}

/* The shorter of two periods, of which 0 is none. */
static int64_t
tick_shorter(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* How long until the next look at all that waits for time; 0: nothing does. */
static int64_t
tick_period(const struct shared *shared)
{
	const struct liveness_settings limits = tick_limits(shared);
	bool queued = mux_queue_count(&shared->queue) > 0, waiting = shared->waiting_count > 0;
	int64_t period = 0;

	if (shared->blocked > 0)
		period = shared->choked != NULL ? TICK_CHOKED : TICK_IDLE;
	if (shared->fd == -1)
		return queued || waiting ? tick_shorter(period, shared->hold_timeout / SHARED_LOOKS) : period;
	if (shared->broken)
		period = tick_shorter(period, TICK_IDLE);
	if (waiting && !queued) /* for want of memory, which others may give back */
		period = tick_shorter(period, TICK_IDLE);
	if (queued && !shared_is_ordered(shared))
		period = tick_shorter(period, waiting || mux_queue_has_more(&shared->queue) || shared_rests(shared) ?
		    TICK_RETIRE : TICK_IDLE);
	return tick_shorter(period, liveness_period(&limits));
}

void
shared_tick_soon(struct shared *shared)
{
	int64_t period = tick_period(shared);

	if (period == 0)
		return;
	period += clock_now();
	if (!loop_timer_is_set(&shared->tick) || shared->tick.deadline > period)
		loop_timer_at(&shared->tick, period);
}

void
shared_on_tick(void *arg)
{
	struct shared *shared = arg;
	int64_t now = clock_now();

	if (shared->blocked > 0 || shared->choked != NULL)
		shared_check_deaf(shared, now);
	tick_check_liveness(shared, now);
	if (shared->fd == -1)
		shared_turn_away(shared, now);
	else
		shared_retire(shared);
	shared_serve_waiting(shared);
	shared_check_rest(shared);
	shared_tick_soon(shared);
}
