#include "client/mux_drops.h"

#include "base/clock.h"
#include "base/log.h"

#define DROPS_TELL (60 * CLOCK_SECOND)

/* Whether there were some. */
static bool
drops_tell(struct mux_drops *drops)
{
	const struct mux_rules *rules = drops->rules;
	struct table_shared *record = rules->queue.record;
	uint64_t count = record->dropped - record->dropped_told;

	if (count == 0)
		return false;
	log_warning(rules->name, "%llu messages dropped in the last minute: %s (queue_size %u bytes)",
	    (unsigned long long)count, rules->has_spool ? "the spool takes none, and the queue was full" :
	    "the queue was full", rules->settings->queue_size);
	record->dropped_told += count;
	return true;
}

static void
drops_on_minute(void *arg)
{
	struct mux_drops *drops = arg;

	if (drops_tell(drops))
		loop_timer_at(&drops->minute, clock_now() + DROPS_TELL);
}

void
mux_drops_init(struct mux_drops *drops, struct event_base *loop, const struct mux_rules *rules)
{
	drops->rules = rules;
	loop_timer_init(&drops->minute, loop, drops_on_minute, drops);
}

void
mux_drops_look(struct mux_drops *drops)
{
	const struct mux_rules *rules = drops->rules;
	const struct table_shared *record = rules->queue.record;

	if (record->dropped == record->dropped_told || loop_timer_is_set(&drops->minute))
		return;
	log_warning(rules->name, "the queue is full (%zu of queue_size %u bytes): messages are dropped",
	    mux_queue_taken(&rules->queue), rules->settings->queue_size);
	loop_timer_at(&drops->minute, clock_now() + DROPS_TELL);
}

void
mux_drops_stop(struct mux_drops *drops)
{
	loop_timer_stop(&drops->minute);
}
