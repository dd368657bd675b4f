/* delay.h - how long until the next attempt: pure arithmetic of rules P4, P5 and P24.
 *
 * Times in microseconds.  A roll is 32 random bits, or DELAY_EXACT for none: then every random part is 0.
 */
#ifndef HOLDFAST_UPSTREAM_DELAY_H
#define HOLDFAST_UPSTREAM_DELAY_H

#include <stdint.h>

#define DELAY_EXACT UINT32_MAX

struct delay_settings {
	int64_t delay;  /* retry.delay */
	double jitter;  /* retry.jitter: 0 to 1 of the delay (P5) */
	double factor;  /* retry.factor: >= 1 */
	int64_t max;    /* retry.max */
};

/* The wanted time between two attempts after so many failures: delay * factor^failures, at most max, but not
 * less than delay; and what is drawn for it. */
int64_t delay_wanted(const struct delay_settings *s, unsigned failures);
int64_t delay_draw(const struct delay_settings *s, unsigned failures, uint32_t roll);

/* P5: d + s*u, u uniform in [0, jitter*d), s plus or minus. */
int64_t delay_jitter(int64_t d, double jitter, uint32_t roll);

/* P24, nobody held: a moment within spread. */
int64_t delay_spread(int64_t spread, uint32_t roll);

/* P24, somebody held: the gap before the next early attempt when the first of them was `trying` ago; before the
 * first of them 0 is given as trying.  most is hold_retry, wanted the retry delay. */
int64_t delay_gap(int64_t trying, int64_t most, int64_t wanted, uint32_t roll);

#endif
