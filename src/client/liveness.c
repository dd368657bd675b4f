#include "client/liveness.h"

#include "base/clock.h"

#define LIVENESS_PERIOD_MIN (10 * CLOCK_MILLISECOND)

static int64_t
liveness_later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A reply ends the silence for all that are still owed one: the server works on them in turn. */
enum liveness_verdict
liveness_judge(const struct liveness *liveness, const struct liveness_settings *settings, int64_t now)
{
	if (liveness->beaten != 0) {
		if (now - liveness_later(liveness->beaten, liveness->heard) >= settings->timeout)
			return LIVENESS_NO_PULSE;
	} else if (settings->beats && liveness->asked == 0 && now - liveness->heard >= settings->interval) {
		return LIVENESS_BEAT;
	}
	if (settings->reply_timeout > 0 && liveness->asked != 0 &&
	    now - liveness_later(liveness->asked, liveness->heard) >= settings->reply_timeout)
		return LIVENESS_SILENT;
	return LIVENESS_ALIVE;
}

static int64_t
liveness_least(int64_t period, int64_t time)
{
	return time > 0 && (period == 0 || time < period) ? time : period;
}

int64_t
liveness_period(const struct liveness_settings *settings)
{
	int64_t period = liveness_least(0, settings->reply_timeout);

	if (settings->beats)
		period = liveness_least(liveness_least(period, settings->interval), settings->timeout);
	if (period == 0)
		return 0;
	period /= 8;
	if (period < LIVENESS_PERIOD_MIN)
		return LIVENESS_PERIOD_MIN;
	return period < CLOCK_SECOND ? period : CLOCK_SECOND;
}
