#include "upstream/ready.h"

#include "base/clock.h"
#include "upstream/attempt.h"

#define REFILL_DELAY (20 * CLOCK_MILLISECOND) /* P25 */
#define REST_AFTER   2                        /* P28 */

/* While connected: begins further dials if they are wanted and due, or leaves the deadline for it.  A crowd
 * of clients makes them due. */
unsigned
ready_fill(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool crowd = in->held > in->ready + in->dialling;

	p->deadline = CLOCK_NEVER;
	if (p->lost || attempt_is_ending(p))
		return 0;
	if (in->held > 0)
		p->resting = p->expiries = 0;
	if (pconn_wanted(p, s, in) == 0) {
		if (!attempt_is_wanted(s, in) && in->dialling == 0)
			p->known = 0; /* P30: the next client's dial is an attempt, and looks up (P2) */
		return 0;
	}
	if (p->looking)
		return 0;
	if (in->now < p->fill_at && !(crowd && (!p->slow || in->ready + in->dialling == 0))) {
		p->deadline = p->fill_at;
		return 0;
	}
	if (p->known)
		return PCONN_DO_FILL;
	p->looking = 1;
	return PCONN_DO_LOOKUP;
}

/* P10: the end waits for the handler of connected. */
unsigned
ready_lose(struct pconn *p)
{
	p->looking = 0;
	p->deadline = CLOCK_NEVER;
	p->lost = 1;
	p->taken_over = 0;
	if (p->handling)
		return PCONN_DO_DROP;
	return PCONN_DO_DROP | attempt_report(p, PCONN_DISCONNECTED, PCONN_REPORT_DISCONNECTED);
}

unsigned
ready_connected(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo;

	if (p->ending != PCONN_END_NONE)
		return PCONN_DO_DROP | attempt_finish(p, s, in); /* P20, P21 */
	todo = attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_CONNECTED);
	p->outage = p->woken = 0;
	p->handling = p->known = 1;
	p->lost = p->taken_over = p->looking = p->replacing = p->expiring = p->expiries = p->resting = p->slow = 0;
	p->failures_before = p->failures;
	p->failures = 0;
	p->fill_at = in->now;
	if (p->closing)
		return todo | ready_lose(p); /* P16 */
	return todo | PCONN_DO_ANSWER_CONNECTED | ready_fill(p, s, in);
}

/* While connected a further dial has failed on all endpoints, or its look-up, or young ones end: without
 * any other connection that is the loss (P25). */
unsigned
ready_fill_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->lost)
		return 0;
	if (in->ready == 0 && in->dialling == 0)
		return PCONN_DO_ANSWER_FAILED | ready_lose(p);
	p->slow = 1;
	p->expiring = 0;
	p->fill_at = in->now + delay_jitter(attempt_delay(p, s), s->jitter, in->roll);
	return ready_fill(p, s, in);
}

/* P27, P28: a further dial has succeeded. */
unsigned
ready_filled(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = 0;

	if (p->lost)
		return PCONN_DO_DROP;
	p->slow = p->woken = p->replacing = 0;
	if (p->expiring) {
		p->expiring = 0;
		todo |= PCONN_DO_EXPIRED;
		if (++p->expiries >= REST_AFTER && in->held == 0) {
			p->resting = !s->fades;
			p->cold = s->fades;
			p->known = p->looking = 0;
			todo |= PCONN_DO_DROP | PCONN_DO_REST;
		}
	}
	return todo | PCONN_DO_ANSWER_CONNECTED | ready_fill(p, s, in);
}

/* P28: on a connection that says nothing such a server waits, and counts it as broken off when it is closed. */
unsigned
ready_spoke(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->lost || p->cold || !s->fades || s->warm == 0)
		return 0;
	p->cold = 1;
	return PCONN_DO_REST | ready_fill(p, s, in);
}

/* P27: the server has ended an unused connection. */
unsigned
ready_ended(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool young = in->age < PCONN_YOUNG;

	if (p->lost)
		return 0;
	if (attempt_is_ending(p))
		return in->ready == 0 && in->dialling == 0 ? ready_lose(p) : 0;
	if (young && !in->elsewhere) {
		p->failures = p->failures_before + 1;
		return ready_fill_failed(p, s, in);
	}
	if (!young)
		p->early_first = 0;
	if (pconn_wanted(p, s, in) == 0)
		return 0;
	p->replacing = 1;
	p->slow = 0;
	p->fill_at = in->now;
	if (!young && in->now - in->age >= p->expired_at) {
		p->expiring = 1;
		p->expired_at = in->now;
	}
	return ready_fill(p, s, in);
}

/* P25: a client has taken a ready connection. */
unsigned
ready_taken(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->expiries = 0;
	if (p->deadline == CLOCK_NEVER && !p->slow)
		p->fill_at = in->now + REFILL_DELAY;
	return ready_fill(p, s, in);
}

unsigned
ready_relayed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->early_first = 0;
	if (!p->slow)
		p->fill_at = in->now;
	return ready_fill(p, s, in);
}

/* What was known of the addresses is old; P28: the rest is over. */
unsigned
ready_woken(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->woken = p->looking || in->dialling > 0;
	p->known = 0;
	if (p->resting || p->slow)
		p->fill_at = in->now + delay_spread(s->spread, in->roll);
	p->resting = p->slow = p->expiries = 0;
	return ready_fill(p, s, in);
}

/* An event whose handler runs while there is a connection. */
static unsigned
ready_report(struct pconn *p, enum pconn_report event)
{
	p->event = (uint8_t)event;
	p->handling = 1;
	return PCONN_DO_REPORT | PCONN_DO_HANDLE;
}

/* The connection is gone, and the handler that held this up has ended.  One that had taken over and was not reported
 * as connected is a failed attempt if its address was, else it is as if it had never been there. */
static unsigned
ready_after_loss(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->event == PCONN_REPORT_CONNECTED)
		return attempt_report(p, PCONN_DISCONNECTED, PCONN_REPORT_DISCONNECTED);
	return p->event == PCONN_REPORT_OBTAINED ? attempt_failed(p, s, in) : attempt_wait(p, s, in);
}

unsigned
ready_handled(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool again = p->taken_over;

	p->handling = p->taken_over = 0;
	if (p->lost)
		return ready_after_loss(p, s, in);
	switch ((enum pconn_report)p->event) {
	case PCONN_REPORT_CONNECTED:
		return again ? ready_report(p, PCONN_REPORT_DISCONNECTED) : 0;
	case PCONN_REPORT_DISCONNECTED:
		p->outage = 1;
		return ready_report(p, PCONN_REPORT_ATTEMPTING);
	case PCONN_REPORT_ATTEMPTING:
		attempt_draw(p, s, in);
		p->located = 1;
		return ready_report(p, PCONN_REPORT_OBTAINED);
	case PCONN_REPORT_OBTAINED:
		if (again)
			return ready_report(p, PCONN_REPORT_OBTAINED);
		p->outage = 0;
		p->failures_before = p->failures;
		p->failures = 0;
		return ready_report(p, PCONN_REPORT_CONNECTED);
	case PCONN_REPORT_NONE: case PCONN_REPORT_FAILED:
		return 0;
	}
	return 0;
}

/* P10: the end waits for the handler of connected.  Of several that take over one after the other the last one
 * counts. */
unsigned
ready_taken_over(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = PCONN_DO_ANSWER_CONNECTED;

	if (p->lost)
		return 0;
	if (in->age >= PCONN_YOUNG)
		p->early_first = 0;
	p->replacing = 0;
	if (!p->handling)
		todo |= ready_report(p, PCONN_REPORT_DISCONNECTED);
	else if (p->event == PCONN_REPORT_CONNECTED || p->event == PCONN_REPORT_OBTAINED)
		p->taken_over = 1;
	return todo | ready_fill(p, s, in);
}
