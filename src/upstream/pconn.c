#include "upstream/pconn.h"

#include "base/clock.h"

#define LEAST_GAP    (10 * CLOCK_MILLISECOND) /* P24 */
#define REFILL_DELAY (20 * CLOCK_MILLISECOND) /* P25 */
#define REST_AFTER   2                        /* P28 */

bool
pconn_is_connected(const struct pconn *p)
{
	return p->state == PCONN_CONNECTED && !p->lost && !p->replacing;
}

bool
pconn_is_closed(const struct pconn *p)
{
	if (p->state == PCONN_CLOSED)
		return true;
	if (p->reopen)
		return false;
	return p->closing || (p->ending != PCONN_END_NONE && (p->state != PCONN_CONNECTED || p->lost));
}

unsigned
pconn_warm(const struct pconn *p, const struct pconn_settings *s)
{
	return p->cold && s->fades ? 0 : s->warm;
}

unsigned
pconn_wanted(const struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned warm = p->resting ? 0 : pconn_warm(p, s), want = warm < in->held ? in->held : warm;
	unsigned have = in->ready + in->dialling;
	unsigned room = in->dialling < PCONN_DIALS ? PCONN_DIALS - in->dialling : 0;

	if (in->paused || want <= have)
		return 0;
	return want - have < room ? want - have : room;
}

static bool
attempt_is_ending(const struct pconn *p)
{
	return p->closing || p->ending != PCONN_END_NONE;
}

/* P1, P30: whether there is anybody, or anything to be kept ready, to make an attempt for. */
static bool
attempt_is_wanted(const struct pconn_settings *s, const struct pconn_input *in)
{
	return !in->paused && (s->warm > 0 || s->eager || in->held > 0);
}

/* An event that its handler holds up the next step for (P9). */
static unsigned
attempt_report(struct pconn *p, enum pconn_state state, enum pconn_report event)
{
	p->state = (uint8_t)state;
	p->event = (uint8_t)event;
	p->handling = state == PCONN_CONNECTED;
	p->deadline = CLOCK_NEVER;
	return PCONN_DO_REPORT | PCONN_DO_HANDLE;
}

static void
attempt_draw(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->located = p->last = p->renewed = 0;
	p->attempt_at = in->now;
	p->retry_at = in->now + delay_draw(&s->retry, p->failures, in->roll);
}

static unsigned
attempt_begin(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->state = PCONN_LOOKUP;
	p->deadline = CLOCK_NEVER;
	p->woken = p->doomed = 0;
	attempt_draw(p, s, in);
	return PCONN_DO_LOOKUP;
}

/* P7: attempting_to_connect once in an outage. */
static unsigned
attempt_next(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->outage)
		return attempt_begin(p, s, in);
	p->outage = 1;
	return attempt_report(p, PCONN_ATTEMPTING, PCONN_REPORT_ATTEMPTING);
}

/* P1; P30. */
static unsigned
attempt_start(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	*p = (struct pconn){ .deadline = CLOCK_NEVER, .event = p->event, .ordered = p->ordered };
	p->state = PCONN_IDLE;
	return attempt_is_wanted(s, in) ? attempt_next(p, s, in) : 0;
}

static unsigned
attempt_finish(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->state = PCONN_CLOSED;
	p->deadline = CLOCK_NEVER;
	return PCONN_DO_FINISHED | (p->reopen ? attempt_start(p, s, in) : 0);
}

/* P6: a reload may have made the delay shorter than the one that runs; it is drawn again then. */
static void
attempt_shorten(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t wanted = delay_wanted(&s->retry, p->failures);

	if (p->retry_at - p->attempt_at > wanted + (int64_t)((double)wanted * s->retry.jitter) + 1)
		p->retry_at = p->attempt_at + delay_draw(&s->retry, p->failures, in->roll);
}

/* P24: what was called promising, as a moment of this wait. */
static void
attempt_wake(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t least = p->attempt_at + LEAST_GAP, at = in->now;

	if (in->held == 0)
		at += delay_spread(s->spread, in->roll);
	else
		p->early_first = 0;
	if (at < least)
		at = least;
	if (at < p->wake_at)
		p->wake_at = at;
}

static void
attempt_set_deadline(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->deadline = p->retry_at < p->wake_at ? p->retry_at : p->wake_at;
	if (in->held > 0 && s->hold_retry > 0 && p->early_at < p->deadline)
		p->deadline = p->early_at;
}

/* The next attempt waits for its moment, now that the handler has ended (P4). */
static unsigned
attempt_wait(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	int64_t wanted = delay_wanted(&s->retry, p->failures), trying, gap;

	if (attempt_is_ending(p))
		return attempt_finish(p, s, in);
	p->state = PCONN_WAIT;
	p->wake_at = CLOCK_NEVER;
	attempt_shorten(p, s, in);
	if (in->now - p->early_last > 2 * wanted)
		p->early_first = 0;
	trying = p->early_first == 0 ? 0 : in->now - p->early_first;
	gap = delay_gap(trying, s->hold_retry, wanted, in->roll);
	p->early_at = p->attempt_at + gap;
	if (trying > 0 && p->early_at < in->now) /* a time-out brings many hosts here in the same moment */
		p->early_at = in->now + delay_spread(gap < s->hold_retry ? gap : s->hold_retry, in->roll);
	if (p->woken)
		attempt_wake(p, s, in);
	p->woken = 0;
	attempt_set_deadline(p, s, in);
	return 0;
}

/* The wait is over; with warm = 0 only a client is worth an attempt (P30), and nothing is in a pause. */
static unsigned
attempt_wait_over(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	attempt_set_deadline(p, s, in);
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
static unsigned
attempt_dial(struct pconn *p, unsigned todo)
{
	p->state = PCONN_DIAL;
	p->doomed = 0;
	return todo | (attempt_is_ending(p) ? PCONN_DO_STOP : 0);
}

/* P23: on to the next endpoint, if there is one. */
static unsigned
attempt_after_failure(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->renewed)
		return PCONN_DO_DROP | attempt_wait(p, s, in);
	return p->last ? attempt_wait(p, s, in) : attempt_dial(p, PCONN_DO_DIAL);
}

/* P3: a lookup or a dial of the attempt has failed. */
static unsigned
attempt_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo;

	p->last = in->event != PCONN_DIAL_FAILED || !in->further;
	p->failures += p->last;
	todo = p->last ? PCONN_DO_ANSWER_FAILED : 0;
	if (in->same)
		return todo | attempt_after_failure(p, s, in);
	return todo | attempt_report(p, PCONN_FAILED, PCONN_REPORT_FAILED);
}

static unsigned
attempt_renew(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = p->state == PCONN_LOOKUP ? 0 : PCONN_DO_DROP;

	return todo | (attempt_is_ending(p) ? attempt_finish(p, s, in) : attempt_begin(p, s, in));
}

/* While connected: begins further dials if they are wanted and due, or leaves the deadline for it.  Many
 * clients make them due. */
static unsigned
ready_fill(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool clients = in->held > in->ready + in->dialling;

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
	if (in->now < p->fill_at && !(clients && (!p->slow || in->ready + in->dialling == 0))) {
		p->deadline = p->fill_at;
		return 0;
	}
	if (p->known)
		return PCONN_DO_FILL;
	p->looking = 1;
	return PCONN_DO_LOOKUP;
}

/* P10: the end waits for the handler of connected. */
static unsigned
ready_lose(struct pconn *p)
{
	if (p->lost)
		return 0;
	p->looking = 0;
	p->deadline = CLOCK_NEVER;
	p->lost = 1;
	p->taken_over = 0;
	if (p->handling)
		return PCONN_DO_DROP;
	return PCONN_DO_DROP | attempt_report(p, PCONN_DISCONNECTED, PCONN_REPORT_DISCONNECTED);
}

static unsigned
ready_connected(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo;

	if (p->ending != PCONN_END_NONE)
		return PCONN_DO_DROP | attempt_finish(p, s, in); /* P20, P21 */
	todo = attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_CONNECTED);
	p->outage = p->woken = 0;
	p->known = 1;
	p->lost = p->taken_over = p->looking = p->replacing = p->expiring = p->expiries = p->resting = p->slow = 0;
	p->failures_before = p->failures;
	p->failures = 0;
	p->fill_at = in->now;
	if (p->closing)
		return todo | ready_lose(p); /* P16 */
	return todo | PCONN_DO_ANSWER_CONNECTED | ready_fill(p, s, in);
}

/* While connected a further dial has failed on all endpoints, or its lookup, or young ones end: without
 * any other connection that is the loss (P25). */
static unsigned
ready_fill_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	if (p->lost)
		return 0;
	if (in->ready == 0 && in->dialling == 0)
		return PCONN_DO_ANSWER_FAILED | ready_lose(p);
	p->slow = 1;
	p->expiring = 0;
	p->fill_at = in->now + delay_draw(&s->retry, p->failures, in->roll);
	return 0;
}

/* P27, P28: a further dial has succeeded. */
static unsigned
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
	return todo | PCONN_DO_ANSWER_CONNECTED;
}

/* P27: the server has ended an unused connection. */
static unsigned
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
	return 0;
}

/* What was known of the addresses is old; P28: the rest is over. */
static void
ready_woken(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	p->woken = p->looking || in->dialling > 0;
	p->known = 0;
	if (p->resting || p->slow)
		p->fill_at = in->now + delay_spread(s->spread, in->roll);
	p->resting = p->slow = p->expiries = 0;
}

/* If the connection is gone meanwhile: one that had taken over and was not reported as connected is a failed attempt
 * if its address was, else it is as if it had never been there. */
static unsigned
ready_handled(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	enum pconn_report event = (enum pconn_report)p->event;
	bool again = p->taken_over;

	p->handling = p->taken_over = 0;
	if (p->lost && event == PCONN_REPORT_OBTAINED)
		return attempt_failed(p, s, in);
	if (p->lost && event != PCONN_REPORT_CONNECTED)
		return attempt_wait(p, s, in);
	if (p->lost)
		return attempt_report(p, PCONN_DISCONNECTED, PCONN_REPORT_DISCONNECTED);
	if (again)
		return attempt_report(p, PCONN_CONNECTED,
		    event == PCONN_REPORT_CONNECTED ? PCONN_REPORT_DISCONNECTED : PCONN_REPORT_OBTAINED);
	if (event == PCONN_REPORT_CONNECTED)
		return 0;
	if (event == PCONN_REPORT_DISCONNECTED) {
		p->outage = 1;
		return attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_ATTEMPTING);
	}
	if (event == PCONN_REPORT_ATTEMPTING) {
		attempt_draw(p, s, in);
		p->located = 1;
		return attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_OBTAINED);
	}
	p->outage = 0;
	p->failures_before = p->failures;
	p->failures = 0;
	return attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_CONNECTED);
}

/* P10: the end waits for the handler of connected.  Of several that take over one after the other the last one
 * counts. */
static unsigned
ready_taken_over(struct pconn *p, const struct pconn_input *in)
{
	if (p->lost)
		return 0;
	if (in->age >= PCONN_YOUNG)
		p->early_first = 0;
	p->replacing = 0;
	p->taken_over = p->handling && (p->event == PCONN_REPORT_CONNECTED || p->event == PCONN_REPORT_OBTAINED);
	return PCONN_DO_ANSWER_CONNECTED |
	    (p->handling ? 0 : attempt_report(p, PCONN_CONNECTED, PCONN_REPORT_DISCONNECTED));
}

/* What happens in which state.  What a state does not name is nothing to it. */
typedef unsigned in_state(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* NEW, IDLE: there is nothing to be kept or ended. */
static unsigned
in_idle(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool idle = p->state == PCONN_IDLE;

	switch (in->event) {
	case PCONN_START:
		return idle ? 0 : attempt_start(p, s, in);
	case PCONN_HELD: case PCONN_RENEW:
		return idle && attempt_is_wanted(s, in) ? attempt_next(p, s, in) : 0;
	case PCONN_RECONNECT:
		return idle && !in->paused ? attempt_next(p, s, in) : 0;
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return attempt_finish(p, s, in);
	default:
		return 0;
	}
}

/* ATTEMPTING, OBTAINED, FAILED, DISCONNECTED: a handler runs, and its end alone leads on (P9). */
static unsigned
in_handler(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_HANDLED:
		if (p->state == PCONN_OBTAINED)
			return p->renewed ? attempt_renew(p, s, in) : attempt_dial(p, PCONN_DO_GO);
		if (p->state == PCONN_ATTEMPTING)
			return attempt_is_ending(p) ? attempt_finish(p, s, in) : attempt_begin(p, s, in);
		return p->state == PCONN_FAILED ? attempt_after_failure(p, s, in) : attempt_wait(p, s, in);
	case PCONN_WAKE:
		p->woken = 1;
		return 0;
	case PCONN_RECONNECT:
		if (p->state == PCONN_FAILED || p->state == PCONN_DISCONNECTED)
			p->retry_at = in->now;
		return 0;
	case PCONN_RENEW:
		if (p->state != PCONN_ATTEMPTING)
			p->retry_at = in->now;
		p->renewed = 1;
		return 0;
	default:
		return 0;
	}
}

/* LOOKUP, DIAL: the attempt comes to its end by itself, whatever is asked for (P16). */
static unsigned
in_attempt(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool dialling = p->state == PCONN_DIAL;

	switch (in->event) {
	case PCONN_LOOKED_UP:
		if (dialling || p->doomed)
			return 0;
		if (p->ending != PCONN_END_NONE)
			return attempt_finish(p, s, in);
		p->located = 1;
		return attempt_dial(p, PCONN_DO_DIAL);
	case PCONN_OFFERED: /* P8, P23: an address that the attempt before tried is not reported again */
		if (!dialling || p->doomed)
			return 0;
		return in->fresh ? attempt_report(p, PCONN_OBTAINED, PCONN_REPORT_OBTAINED) : PCONN_DO_GO;
	case PCONN_DIALED:
		return !dialling || p->doomed ? 0 : ready_connected(p, s, in);
	case PCONN_LOOKUP_FAILED: case PCONN_DIAL_FAILED:
		return dialling == (in->event == PCONN_DIAL_FAILED) ? attempt_failed(p, s, in) : 0;
	case PCONN_WAKE:
		p->woken = 1;
		return 0;
	case PCONN_RENEW:
		return attempt_renew(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return dialling && !p->doomed ? PCONN_DO_STOP : 0;
	default:
		return 0;
	}
}

static unsigned
in_wait(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_DEADLINE:
		return attempt_wait_over(p, s, in);
	case PCONN_WAKE:
		attempt_wake(p, s, in);
		break;
	case PCONN_HELD:
		attempt_shorten(p, s, in);
		break;
	case PCONN_RECONNECT:
		return in->paused ? 0 : attempt_next(p, s, in);
	case PCONN_RENEW:
		p->retry_at = in->now;
		return attempt_wait_over(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return attempt_finish(p, s, in);
	default:
		return 0;
	}
	attempt_set_deadline(p, s, in);
	return 0;
}

static unsigned
in_connected(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	unsigned todo = 0;

	switch (in->event) {
	case PCONN_HANDLED:
		todo = ready_handled(p, s, in);
		if (p->state != PCONN_CONNECTED)
			return todo;
		break;
	case PCONN_LOOKED_UP:
		p->looking = 0;
		p->known = 1;
		break;
	case PCONN_LOOKUP_FAILED: case PCONN_DIAL_FAILED:
		p->looking = p->looking && in->event == PCONN_DIAL_FAILED;
		todo = ready_fill_failed(p, s, in);
		break;
	case PCONN_DIALED:
		todo = ready_filled(p, s, in);
		break;
	case PCONN_TAKEN: /* P25 */
		p->expiries = 0;
		if (p->deadline == CLOCK_NEVER && !p->slow)
			p->fill_at = in->now + REFILL_DELAY;
		break;
	case PCONN_ANSWERED:
		p->early_first = 0;
		if (!p->slow)
			p->fill_at = in->now;
		break;
	case PCONN_SPOKE: /* P28: on one that says nothing such a server waits, and counts its end as broken off */
		if (p->lost || p->cold || !s->fades || s->warm == 0)
			return 0;
		p->cold = 1;
		todo = PCONN_DO_REST;
		break;
	case PCONN_ENDED:
		todo = ready_ended(p, s, in);
		break;
	case PCONN_WAKE:
		ready_woken(p, s, in);
		break;
	case PCONN_RECONNECT: case PCONN_RENEW:
		p->retry_at = in->now;
		return in->paused && in->event == PCONN_RECONNECT ? 0 : ready_lose(p);
	case PCONN_LOST:
		if (in->age >= PCONN_YOUNG)
			p->early_first = 0; /* P24: it was good, early attempts restart */
		return ready_lose(p);
	case PCONN_CLOSE:
		return ready_lose(p);
	case PCONN_TAKEN_OVER:
		todo = ready_taken_over(p, in);
		break;
	default:
		break;
	}
	return todo | ready_fill(p, s, in);
}

static unsigned
in_closed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool aborted = p->ending == PCONN_END_ABORT && !p->closing;

	return in->event == PCONN_OPEN || (in->event == PCONN_RENEW && aborted) ? attempt_start(p, s, in) : 0;
}

/* What of an ending must be remembered whatever the state is. */
static void
note_ending(struct pconn *p, enum pconn_event event, int64_t now)
{
	if (event == PCONN_CLOSE) {
		p->closing = 1;
		p->reopen = 0;
	} else if (event == PCONN_ABORT && p->ending == PCONN_END_NONE) {
		p->ending = PCONN_END_ABORT;
	} else if (event == PCONN_DRAIN && p->ending == PCONN_END_NONE && !p->closing) {
		p->ending = PCONN_END_DRAIN;
	} else if (event == PCONN_OPEN && p->state != PCONN_CLOSED && attempt_is_ending(p)) {
		p->reopen = p->closing;
		p->retry_at = now;
		if (!p->closing)
			p->ending = PCONN_END_NONE;
	} else if (event == PCONN_RENEW && p->state != PCONN_CLOSED && p->ending == PCONN_END_ABORT && !p->closing) {
		p->ending = PCONN_END_NONE;
	}
}

/* Whether what operators ordered for a while is over with this step.  What it kept waiting waits no longer. */
static bool
note_orders(struct pconn *p, const struct pconn_input *in)
{
	bool ordered = in->paused || in->failing, over = p->ordered && !ordered;

	p->ordered = ordered;
	if (over && (p->state != PCONN_CONNECTED || p->lost))
		p->retry_at = in->now;
	return over;
}

/* What operators order for a while holds whatever else has happened in this step, and is to be done. */
static unsigned
obey(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in, unsigned todo, bool over)
{
	switch ((enum pconn_state)p->state) {
	case PCONN_LOOKUP: case PCONN_DIAL:
		if (!in->failing || p->doomed)
			return todo;
		p->doomed = 1;
		return (todo & ~(PCONN_DO_LOOKUP | PCONN_DO_DIAL | PCONN_DO_GO | PCONN_DO_STOP)) | PCONN_DO_FAIL;
	case PCONN_CONNECTED:
		if (p->lost || !(in->failing || (in->paused && !in->in_use && !attempt_is_ending(p))))
			return todo;
		return (todo & ~(PCONN_DO_LOOKUP | PCONN_DO_FILL)) | PCONN_DO_GIVE_UP | ready_lose(p);
	case PCONN_WAIT:
		return in->paused || over ? todo | attempt_wait_over(p, s, in) : todo;
	default:
		return todo;
	}
}

unsigned
pconn_step(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	static in_state *const states[PCONN_STATES] = {
		[PCONN_NEW] = in_idle, [PCONN_IDLE] = in_idle, [PCONN_ATTEMPTING] = in_handler,
		[PCONN_LOOKUP] = in_attempt, [PCONN_OBTAINED] = in_handler, [PCONN_DIAL] = in_attempt,
		[PCONN_FAILED] = in_handler, [PCONN_WAIT] = in_wait, [PCONN_CONNECTED] = in_connected,
		[PCONN_DISCONNECTED] = in_handler, [PCONN_CLOSED] = in_closed,
	};
	bool was_closed = pconn_is_closed(p), over = note_orders(p, in);
	unsigned todo;

	if (in->event == PCONN_RENEW)
		p->cold = 0;
	note_ending(p, in->event, in->now);
	todo = obey(p, s, in, states[p->state](p, s, in), over);
	if (!was_closed && pconn_is_closed(p))
		todo = (todo & ~PCONN_DO_ANSWER_CONNECTED) | PCONN_DO_ANSWER_CLOSED;
	return todo;
}

unsigned
pconn_resume(const struct pconn *p)
{
	switch ((enum pconn_state)p->state) {
	case PCONN_ATTEMPTING: case PCONN_OBTAINED: case PCONN_FAILED: case PCONN_DISCONNECTED:
		return PCONN_DO_HANDLE;
	case PCONN_LOOKUP:
		return p->doomed ? PCONN_DO_FAIL : PCONN_DO_LOOKUP;
	case PCONN_DIAL:
		return p->doomed ? PCONN_DO_FAIL : PCONN_DO_DIAL | (attempt_is_ending(p) ? PCONN_DO_STOP : 0);
	case PCONN_CONNECTED:
		return (p->handling ? PCONN_DO_HANDLE : 0) | (p->looking ? PCONN_DO_LOOKUP : 0);
	default:
		return 0;
	}
}
