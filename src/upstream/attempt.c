#include "upstream/attempt.h"

#include "base/clock.h"

#define LEAST_GAP (10 * CLOCK_MILLISECOND) /* P24 */

bool
attempt_is_ending(const struct pconn *p)
{
	return p->closing || p->ending != PCONN_END_NONE;
}

bool
attempt_is_wanted(const struct pconn_settings *s, const struct pconn_input *in)
{
	return !in->paused && (pconn_is_eager(s) || in->held > 0);
}

int64_t
attempt_delay(const struct pconn *p, const struct pconn_settings *s)
{
	return delay_wanted(s->delay, s->factor, s->max, p->failures);
}

/* An event that its handler holds up the next step for (P9). */
unsigned
attempt_report(struct pconn *p, enum pconn_state state, enum pconn_report event)
{
	p->state = (uint8_t)state;
	p->event = (uint8_t)event;
	p->deadline = CLOCK_NEVER;
	return PCONN_DO_REPORT | PCONN_DO_HANDLE;
}

void
attempt_draw(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->located = p->last = p->anew = 0;
	p->attempt_at = in->now;
	p->retry_at = in->now + delay_jitter(attempt_delay(p, s), s->jitter, in->roll);
}

unsigned
attempt_begin(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->state = PCONN_LOOKUP;
	p->deadline = CLOCK_NEVER;
	p->woken = p->doomed = 0;
	attempt_draw(p, s, in);
	return PCONN_DO_LOOKUP;
}

/* P7: attempting_to_connect once in an outage. */
unsigned
attempt_next(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->outage)
		return attempt_begin(p, s, in);
	p->outage = 1;
	return attempt_report(p, PCONN_ATTEMPTING, PCONN_REPORT_ATTEMPTING);
}

/* P1; P30. */
unsigned
attempt_start(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	*p = (struct pconn){ .deadline = CLOCK_NEVER, .event = p->event, .ordered = p->ordered };
	if (attempt_is_wanted(s, in))
		return attempt_next(p, s, in);
	p->state = PCONN_IDLE;
	return 0;
}

unsigned
attempt_finish(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->reopen)
		return PCONN_DO_FINISHED | attempt_start(p, s, in);
	p->state = PCONN_CLOSED;
	p->deadline = CLOCK_NEVER;
	return PCONN_DO_FINISHED;
}

/* P6: a reload may have made the delay shorter than the one that runs; it is drawn anew then. */
void
attempt_shorten(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t wanted = attempt_delay(p, s);

	if (p->retry_at - p->attempt_at > wanted + (int64_t)((double)wanted * s->jitter) + 1)
		p->retry_at = p->attempt_at + delay_jitter(wanted, s->jitter, in->roll);
}

/* P24: what was called promising, as a moment of this wait. */
void
attempt_wake(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t least = p->attempt_at + LEAST_GAP;
	int64_t at = in->now;

	if (in->held == 0)
		at += delay_spread(s->spread, in->roll);
	else
		p->early_first = 0;
	if (at < least)
		at = least;
	if (at < p->wake_at)
		p->wake_at = at;
}

int64_t
attempt_wait_deadline(const struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t deadline = p->retry_at < p->wake_at ? p->retry_at : p->wake_at;

	if (in->held > 0 && s->hold_retry > 0 && p->early_at < deadline)
		deadline = p->early_at;
	return deadline;
}

/* The next attempt waits for its moment, now that the handler has ended (P4). */
unsigned
attempt_wait(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t wanted = attempt_delay(p, s);
	int64_t trying = 0;

	if (attempt_is_ending(p))
		return attempt_finish(p, s, in);
	p->state = PCONN_WAIT;
	p->wake_at = CLOCK_NEVER;
	attempt_shorten(p, s, in);
	if (in->now - p->early_last > 2 * wanted)
		p->early_first = 0;
	if (p->early_first != 0)
		trying = in->now - p->early_first;
	p->early_at = p->attempt_at + delay_gap(trying, s->hold_retry, wanted, in->roll);
	if (p->woken)
		attempt_wake(p, s, in);
	p->woken = 0;
	p->deadline = attempt_wait_deadline(p, s, in);
	return 0;
}

/* The wait is over; with warm = 0 only a client is worth an attempt (P30), and nothing is in a pause. */
unsigned
attempt_wait_over(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->deadline = attempt_wait_deadline(p, s, in);
	if (in->now < p->deadline && !in->paused)
		return 0;
	if (!attempt_is_wanted(s, in)) {
		p->state = PCONN_IDLE;
		p->deadline = CLOCK_NEVER;
		return 0;
	}
	if (in->held > 0) {
		p->early_last = in->now;
		if (p->early_first == 0)
			p->early_first = in->now;
	}
	return attempt_next(p, s, in);
}

/* P16: what was offered is dialled, and nothing after it. */
unsigned
attempt_dial(struct pconn *p, unsigned todo)
{
	p->state = PCONN_DIAL;
	p->doomed = 0;
	return todo | (attempt_is_ending(p) ? PCONN_DO_STOP : 0);
}

unsigned
attempt_looked_up(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->ending != PCONN_END_NONE)
		return attempt_finish(p, s, in);
	p->located = 1;
	return attempt_dial(p, PCONN_DO_DIAL);
}

/* P8, P23: an address that the attempt before tried is not reported again. */
unsigned
attempt_offered(struct pconn *p, const struct pconn_input *in)
{
	return in->fresh ? attempt_report(p, PCONN_OBTAINED, PCONN_REPORT_OBTAINED) : PCONN_DO_GO;
}

/* P23: on to the next endpoint, if there is one. */
unsigned
attempt_after_failure(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->anew)
		return PCONN_DO_DROP | attempt_wait(p, s, in);
	return p->last ? attempt_wait(p, s, in) : attempt_dial(p, PCONN_DO_DIAL);
}

/* P3: a look-up or a dial of the attempt has failed. */
unsigned
attempt_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = 0;

	p->last = in->event != PCONN_DIAL_FAILED || !in->further;
	if (p->last) {
		p->failures++;
		todo = PCONN_DO_ANSWER_FAILED;
	}
	if (in->same)
		return todo | attempt_after_failure(p, s, in);
	return todo | attempt_report(p, PCONN_FAILED, PCONN_REPORT_FAILED);
}

unsigned
attempt_renew(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = p->state == PCONN_LOOKUP ? 0 : PCONN_DO_DROP;

	return todo | (attempt_is_ending(p) ? attempt_finish(p, s, in) : attempt_begin(p, s, in));
}
