#include "upstream/standby_plan.h"

#include "base/clock.h"

/* P2, P4: an attempt starts with a lookup, and its delay with it; so what lived longer than that is replaced at
 * once. */
unsigned
standby_step(struct standby_plan *p, const struct pconn_settings *s, const struct standby_input *in)
{
	bool fresh = in->event == STANDBY_LOOKED_UP || in->event == STANDBY_DIALED;
	int64_t woken = in->now + delay_spread(s->spread, in->roll);

	p->deadline = CLOCK_NEVER;
	if (in->event == STANDBY_LOOKED_UP || in->event == STANDBY_LOOKUP_FAILED)
		p->looking = false;
	if (in->event == STANDBY_LOOKUP_FAILED || in->event == STANDBY_DIAL_FAILED)
		p->failures++;
	if (in->event == STANDBY_DIALED)
		p->failures = 0;
	if (in->event == STANDBY_WAKE && woken < p->retry_at)
		p->retry_at = woken;
	if (in->wanted == 0) {
		fresh = in->ready > 0 || in->dialling > 0 || p->looking;
		p->looking = false;
		return fresh ? STANDBY_DO_DROP : 0;
	}
	if (in->ready >= in->wanted || in->dialling > 0 || p->looking)
		return 0;
	if (fresh && in->others > 0)
		return STANDBY_DO_DIAL;
	if (in->now < p->retry_at) {
		p->deadline = p->retry_at;
		return 0;
	}
	p->looking = true;
	p->retry_at = in->now + delay_draw(&s->retry, p->failures, in->roll);
	return STANDBY_DO_LOOKUP;
}
