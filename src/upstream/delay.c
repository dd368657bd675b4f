#include "upstream/delay.h"

#include "base/clock.h"

#define GAP_LEAST  (10 * CLOCK_MILLISECOND)
#define GAP_SHARE  16
#define GAP_JITTER 0.3
#define GAP_DOUBLE (10 * CLOCK_SECOND)

int64_t
delay_wanted(const struct delay_settings *s, unsigned failures)
{
	int64_t max = s->max < s->delay ? s->delay : s->max;
	double wanted = (double)s->delay;

	for (unsigned i = 0; i < failures && s->factor > 1 && wanted < (double)max; i++)
		wanted *= s->factor;
	return wanted < (double)max ? (int64_t)(wanted + 0.5) : max;
}

/* The lowest bit is the sign, the others are u.  The range is rounded before a part of it is taken: then the result
 * does not depend on the precision that the processor calculates with. */
int64_t
delay_jitter(int64_t d, double jitter, uint32_t roll)
{
	int64_t range = (int64_t)(jitter * (double)d + 0.5), part;

	if (roll == DELAY_EXACT)
		return d;
	part = (int64_t)((double)(roll >> 1) / 2147483648.0 * (double)range);
	return (roll & 1) != 0 ? d + part : d - part;
}

int64_t
delay_draw(const struct delay_settings *s, unsigned failures, uint32_t roll)
{
	return delay_jitter(delay_wanted(s, failures), s->jitter, roll);
}

int64_t
delay_spread(int64_t spread, uint32_t roll)
{
	return roll == DELAY_EXACT ? 0 : (int64_t)((double)roll / 4294967296.0 * (double)spread);
}

int64_t
delay_gap(int64_t trying, int64_t most, int64_t wanted, uint32_t roll)
{
	int64_t gap = trying / GAP_SHARE;

	for (int64_t t = trying; t >= GAP_DOUBLE && most < wanted; t -= GAP_DOUBLE)
		most *= 2;
	if (most > wanted)
		most = wanted;
	if (gap > most)
		gap = most;
	if (gap < GAP_LEAST)
		gap = GAP_LEAST;
	return delay_jitter(gap, GAP_JITTER, roll);
}
