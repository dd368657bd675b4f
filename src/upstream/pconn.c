#include "upstream/pconn.h"

#include "base/clock.h"
#include "upstream/attempt.h"
#include "upstream/ready.h"

/* Every state has a function here that names every event, so that the compiler misses a forgotten one. */
typedef unsigned in_state(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

static unsigned
in_new(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_START:
		return attempt_start(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return attempt_finish(p, s, in);
	case PCONN_DEADLINE: case PCONN_HANDLED: case PCONN_LOOKED_UP: case PCONN_LOOKUP_FAILED: case PCONN_OFFERED:
	case PCONN_DIALED: case PCONN_DIAL_FAILED: case PCONN_HELD: case PCONN_TAKEN: case PCONN_RELAYED:
	case PCONN_SPOKE: case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER: case PCONN_WAKE: case PCONN_RECONNECT: case PCONN_RENEW:
	case PCONN_OPEN: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

static unsigned
in_idle(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_HELD: case PCONN_RENEW:
		return attempt_is_wanted(s, in) ? attempt_next(p, s, in) : 0;
	case PCONN_RECONNECT:
		return in->paused ? 0 : attempt_next(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return attempt_finish(p, s, in);
	case PCONN_START: case PCONN_DEADLINE: case PCONN_HANDLED: case PCONN_LOOKED_UP: case PCONN_LOOKUP_FAILED:
	case PCONN_OFFERED: case PCONN_DIALED: case PCONN_DIAL_FAILED: case PCONN_TAKEN: case PCONN_RELAYED:
	case PCONN_SPOKE: case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER: case PCONN_WAKE: case PCONN_OPEN: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

/* ATTEMPTING, OBTAINED, FAILED, DISCONNECTED: a handler runs, its end alone goes on (P9). */
static unsigned
in_handler(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_HANDLED:
		if (p->state == PCONN_OBTAINED)
			return p->anew ? attempt_renew(p, s, in) : attempt_dial(p, PCONN_DO_GO);
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
		p->anew = 1;
		return 0;
	case PCONN_START: case PCONN_DEADLINE: case PCONN_LOOKED_UP: case PCONN_LOOKUP_FAILED: case PCONN_OFFERED:
	case PCONN_DIALED: case PCONN_DIAL_FAILED: case PCONN_HELD: case PCONN_TAKEN: case PCONN_RELAYED:
	case PCONN_SPOKE: case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER: case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
	case PCONN_OPEN: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

/* LOOKUP, DIAL: the attempt comes to its end by itself, whatever is asked for (P16). */
static unsigned
in_attempt(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	bool dialling = p->state == PCONN_DIAL;

	switch (in->event) {
	case PCONN_LOOKED_UP:
		return dialling || p->doomed ? 0 : attempt_looked_up(p, s, in);
	case PCONN_LOOKUP_FAILED:
		return dialling ? 0 : attempt_failed(p, s, in);
	case PCONN_OFFERED:
		return !dialling || p->doomed ? 0 : attempt_offered(p, in);
	case PCONN_DIALED:
		return !dialling || p->doomed ? 0 : ready_connected(p, s, in);
	case PCONN_DIAL_FAILED:
		return dialling ? attempt_failed(p, s, in) : 0;
	case PCONN_WAKE:
		p->woken = 1;
		return 0;
	case PCONN_RENEW:
		return attempt_renew(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return dialling && !p->doomed ? PCONN_DO_STOP : 0;
	case PCONN_START: case PCONN_DEADLINE: case PCONN_HANDLED: case PCONN_HELD: case PCONN_TAKEN:
	case PCONN_RELAYED: case PCONN_SPOKE: case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER: case PCONN_RECONNECT:
	case PCONN_OPEN: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

static unsigned
in_wait(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_DEADLINE:
		return attempt_wait_over(p, s, in);
	case PCONN_WAKE:
		attempt_wake(p, s, in);
		p->deadline = attempt_wait_deadline(p, s, in);
		return 0;
	case PCONN_HELD:
		attempt_shorten(p, s, in);
		p->deadline = attempt_wait_deadline(p, s, in);
		return 0;
	case PCONN_RECONNECT:
		return in->paused ? 0 : attempt_next(p, s, in);
	case PCONN_RENEW:
		p->retry_at = in->now;
		return attempt_wait_over(p, s, in);
	case PCONN_CLOSE: case PCONN_DRAIN: case PCONN_ABORT:
		return attempt_finish(p, s, in);
	case PCONN_START: case PCONN_HANDLED: case PCONN_LOOKED_UP: case PCONN_LOOKUP_FAILED: case PCONN_OFFERED:
	case PCONN_DIALED: case PCONN_DIAL_FAILED: case PCONN_TAKEN: case PCONN_RELAYED: case PCONN_SPOKE:
	case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER:
	case PCONN_OPEN: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

static unsigned
in_connected(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_HANDLED:
		return ready_handled(p, s, in);
	case PCONN_LOOKED_UP:
		p->looking = 0;
		p->known = 1;
		return ready_fill(p, s, in);
	case PCONN_LOOKUP_FAILED:
		p->looking = 0;
		return ready_fill_failed(p, s, in);
	case PCONN_DIALED:
		return ready_filled(p, s, in);
	case PCONN_DIAL_FAILED:
		return ready_fill_failed(p, s, in);
	case PCONN_DEADLINE: case PCONN_HELD:
		return ready_fill(p, s, in);
	case PCONN_TAKEN:
		return ready_taken(p, s, in);
	case PCONN_RELAYED:
		return ready_relayed(p, s, in);
	case PCONN_SPOKE:
		return ready_spoke(p, s, in);
	case PCONN_ENDED:
		return ready_ended(p, s, in);
	case PCONN_WAKE:
		return ready_woken(p, s, in);
	case PCONN_RECONNECT: case PCONN_RENEW:
		p->retry_at = in->now;
		return p->lost || (in->paused && in->event == PCONN_RECONNECT) ? 0 : ready_lose(p);
	case PCONN_LOST:
		if (in->age >= PCONN_YOUNG)
			p->early_first = 0; /* P24: it was good, early attempts begin anew */
		return p->lost ? 0 : ready_lose(p);
	case PCONN_TAKEN_OVER:
		return ready_taken_over(p, s, in);
	case PCONN_CLOSE:
		return p->lost ? 0 : ready_lose(p);
	case PCONN_DRAIN: case PCONN_ABORT: /* P20: it stays */
		p->deadline = CLOCK_NEVER;
		return 0;
	case PCONN_OPEN:
		return ready_fill(p, s, in);
	case PCONN_START: case PCONN_OFFERED: case PCONN_EVENTS:
		return 0;
	}
	return 0;
}

static unsigned
in_closed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	switch (in->event) {
	case PCONN_OPEN:
		return attempt_start(p, s, in);
	case PCONN_RENEW:
		return p->ending == PCONN_END_ABORT && !p->closing ? attempt_start(p, s, in) : 0;
	case PCONN_START: case PCONN_DEADLINE: case PCONN_HANDLED: case PCONN_LOOKED_UP: case PCONN_LOOKUP_FAILED:
	case PCONN_DIALED: case PCONN_DIAL_FAILED: case PCONN_HELD: case PCONN_TAKEN: case PCONN_RELAYED:
	case PCONN_SPOKE: case PCONN_ENDED:
	case PCONN_LOST: case PCONN_TAKEN_OVER: case PCONN_WAKE: case PCONN_RECONNECT: case PCONN_CLOSE:
	case PCONN_DRAIN: case PCONN_OFFERED:
	case PCONN_ABORT: case PCONN_EVENTS:
		return 0;
	}
	return 0;
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
	case PCONN_NEW: case PCONN_IDLE: case PCONN_ATTEMPTING: case PCONN_OBTAINED: case PCONN_FAILED:
	case PCONN_DISCONNECTED: case PCONN_CLOSED: case PCONN_STATES:
		return todo;
	}
	return todo;
}

unsigned
pconn_step(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in)
{
	static in_state *const states[PCONN_STATES] = {
		[PCONN_NEW] = in_new, [PCONN_IDLE] = in_idle, [PCONN_ATTEMPTING] = in_handler,
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
	case PCONN_NEW: case PCONN_IDLE: case PCONN_WAIT: case PCONN_CLOSED: case PCONN_STATES:
		return 0;
	}
	return 0;
}

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

bool
pconn_is_eager(const struct pconn_settings *s)
{
	return s->warm > 0 || s->eager;
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
