#include "keep/watchdog.h"

#include "base/clock.h"

#define WATCHDOG_STOPPED  8u                 /* ticks, always */
#define WATCHDOG_DOUBLING 3u                 /* at most so often */
#define WATCHDOG_RECOVERY 240u               /* ticks with a heartbeat after which hung workers are forgotten */

/* How much a worker is given without a heartbeat, before any doubling. */
struct watchdog_limit {
	unsigned idle;     /* ticks without any of the processor */
	unsigned silent;   /* ticks in all */
	int64_t used;      /* of the processor */
};

static const struct watchdog_limit watchdog_limits[] = {
	{ 40, 480, 10 * CLOCK_SECOND }, /* not ready yet */
	{ 8, 240, 2 * CLOCK_SECOND },
};

void
watchdog_begin(struct watchdog *watchdog, uint32_t heartbeat)
{
	watchdog->heartbeat = heartbeat;
	watchdog->silent = watchdog->idle = 0;
	watchdog->used = watchdog->used_at_beat = 0;
}

static enum watchdog_verdict
watchdog_hear(struct watchdog *watchdog, uint32_t heartbeat)
{
	watchdog->heartbeat = heartbeat;
	watchdog->silent = watchdog->idle = 0;
	if (++watchdog->well >= WATCHDOG_RECOVERY)
		watchdog->hung = 0;
	return WATCHDOG_WELL;
}

static bool
watchdog_is_over(const struct watchdog *watchdog, const struct watchdog_look *look)
{
	const struct watchdog_limit *limit = &watchdog_limits[look->ready];
	unsigned times = watchdog->hung < WATCHDOG_DOUBLING ? watchdog->hung : WATCHDOG_DOUBLING;

	return (look->stopped && watchdog->silent >= WATCHDOG_STOPPED) ||
	    watchdog->idle >= limit->idle << times || watchdog->silent >= limit->silent << times ||
	    watchdog->used - watchdog->used_at_beat >= limit->used << times;
}

enum watchdog_verdict
watchdog_tick(struct watchdog *watchdog, const struct watchdog_look *look)
{
	bool works;

	if (look->heartbeat != watchdog->heartbeat)
		return watchdog_hear(watchdog, look->heartbeat);
	if (watchdog->silent++ == 0) {
		watchdog->used_at_beat = look->used; /* as it was at the beat, but for a tick */
		works = false;
	} else {
		works = look->used != watchdog->used;
	}
	watchdog->used = look->used;
	watchdog->idle = works ? 0 : watchdog->idle + 1;
	if (!watchdog_is_over(watchdog, look))
		return works ? WATCHDOG_WELL : WATCHDOG_QUIET;
	if (!look->stopped)
		watchdog->hung++;
	watchdog->well = 0;
	watchdog->silent = watchdog->idle = 0;
	return WATCHDOG_HUNG;
}

void
watchdog_excuse(struct watchdog *watchdog)
{
	if (watchdog->hung > 0)
		watchdog->hung--;
}
