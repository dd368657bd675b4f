/* pconn_model.h - upstream/pconn and a world that does what it says; after each step is checked what must always
 * hold, see test_pconn_explore.c.
 */
#ifndef TESTS_UNIT_PCONN_MODEL_H
#define TESTS_UNIT_PCONN_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include "base/clock.h"
#include "upstream/pconn.h"

#define QUEUE   4
#define BESIDE  2 /* dials of an attempt */

/* The machine and the world that does what it says. */
struct model {
	struct pconn p;
	int64_t now;
	uint8_t handler, lookup, dialling, ready, held, taken;
	/* the attempt's dials */
	uint8_t race;      /* there are some, or come */
	uint8_t endpoints; /* that the lookup gave */
	uint8_t left;      /* of these, not offered yet */
	uint8_t offered;   /* enum offer: of the one that is not dialled yet */
	uint8_t flying;    /* under way */
	uint8_t stopped;   /* PCONN_DO_STOP */
	uint8_t orphan;    /* a worker has died, and the dials with it */
	uint8_t queued, queue[QUEUE]; /* enum told: what waits for a handler's end */
	uint8_t connected; /* reported, and disconnected not yet */
	uint8_t outage;    /* attempting_to_connect was reported, connected not yet */
	uint8_t finished;  /* since the last start */
	uint8_t paused, failing, in_use;
	uint8_t untold;    /* one of these has changed */
	uint8_t doomed;    /* what is under way has been ended, and will be told as failed */
	uint8_t stale;     /* the same of something that a reload has ended before */
	uint8_t renewed;   /* a reload came while a handler of the attempt ran */
};

enum offer { OFFER_NONE, OFFER_MADE, OFFER_TOLD };
enum told { TOLD_NOTHING, TOLD_OFFERED, TOLD_DIALED, TOLD_FAILED, TOLD_LAST_FAILED };

/* What else changes: the next event shows it, and one that says nothing else will come; or the worker dies. */
enum change { NOTHING, PAUSE, RESUME, LEND, LET_GO, FAIL, MEND, DIE };

struct choice {
	enum pconn_event event;
	unsigned endpoints;
	bool elsewhere;
	bool fresh;        /* whatever is offered in this step */
	bool same;         /* likewise, whatever fails */
	int held;          /* the new number, or -1 */
	int64_t age;
	enum change change;
};

static struct pconn_settings settings;
static bool orders;
static uint64_t steps;

static const struct choice choices[] = {
	{ PCONN_START, .held = -1 }, { PCONN_DEADLINE, .held = -1 }, { PCONN_HANDLED, .held = -1 },
	{ PCONN_HANDLED, .fresh = true, .same = true, .held = -1 },
	{ PCONN_LOOKED_UP, .endpoints = 1, .fresh = true, .held = -1 },
	{ PCONN_LOOKED_UP, .endpoints = 3, .held = -1 },
	{ PCONN_OFFERED, .held = -1 }, { PCONN_OFFERED, .fresh = true, .held = -1 },
	{ PCONN_LOOKUP_FAILED, .held = -1 }, { PCONN_LOOKUP_FAILED, .same = true, .held = -1 },
	{ PCONN_DIALED, .held = -1 }, { PCONN_DIAL_FAILED, .held = -1 },
	{ PCONN_DIAL_FAILED, .fresh = true, .same = true, .held = -1 },
	{ PCONN_DIAL_FAILED, .same = true, .held = -1 },
	{ PCONN_HELD, .held = 0 }, { PCONN_HELD, .held = 2 },
	{ PCONN_TAKEN, .held = -1 }, { PCONN_ANSWERED, .held = -1 },
	{ PCONN_ENDED, .age = 1000, .held = -1 }, { PCONN_ENDED, .age = 1000, .elsewhere = true, .held = -1 },
	{ PCONN_ENDED, .age = 2 * CLOCK_SECOND, .elsewhere = true, .held = -1 },
	{ PCONN_LOST, .held = -1 }, { PCONN_TAKEN_OVER, .held = -1 }, { PCONN_WAKE, .held = -1 },
	{ PCONN_RECONNECT, .held = -1 }, { PCONN_RENEW, .held = -1 }, { PCONN_CLOSE, .held = -1 },
	{ PCONN_DRAIN, .held = -1 }, { PCONN_ABORT, .held = -1 }, { PCONN_OPEN, .held = -1 },
	{ PCONN_HELD, .held = -1 },
	{ PCONN_EVENTS, .change = PAUSE }, { PCONN_EVENTS, .change = RESUME }, { PCONN_EVENTS, .change = LEND },
	{ PCONN_EVENTS, .change = LET_GO }, { PCONN_EVENTS, .change = FAIL }, { PCONN_EVENTS, .change = MEND },
	{ PCONN_EVENTS, .change = DIE, .held = -1 }, { PCONN_EVENTS, .change = DIE, .fresh = true, .held = -1 },
};

static bool
can_change(const struct model *m, enum change change)
{
	switch (change) {
	case NOTHING:
		return true;
	case PAUSE:
		return orders && !m->paused;
	case RESUME:
		return m->paused;
	case LEND:
		return orders && m->p.state == PCONN_CONNECTED && !m->p.lost && m->ready > 0 && !m->in_use &&
		    !m->paused && !m->failing;
	case LET_GO:
		return m->in_use && m->paused;
	case FAIL:
		return orders && !m->failing;
	case MEND:
		return m->failing;
	case DIE:
		return m->race || m->queued > 0;
	}
	return false;
}

/* P9: what the attempt's dials tell waits. */
static bool
is_held_back(const struct model *m)
{
	return m->p.state == PCONN_OBTAINED || m->p.state == PCONN_FAILED;
}

static bool
is_doomed_dial(const struct model *m)
{
	return m->doomed && m->p.state == PCONN_DIAL;
}

/* Whether the world can make this happen now. */
static bool
possible(const struct model *m, const struct choice *c)
{
	switch (c->event) {
	case PCONN_START:
		return m->p.state == PCONN_NEW;
	case PCONN_DEADLINE:
		return m->p.deadline != CLOCK_NEVER && m->p.state != PCONN_NEW;
	case PCONN_HANDLED:
		return m->handler && (m->queued > 0 || m->orphan || !c->fresh);
	case PCONN_LOOKED_UP:
		return m->lookup;
	case PCONN_LOOKUP_FAILED:
		return m->lookup || m->stale;
	case PCONN_OFFERED:
		return is_doomed_dial(m) || (m->race && m->left > 0 && m->offered == OFFER_NONE &&
		    m->flying < BESIDE && (!is_held_back(m) || !c->fresh));
	case PCONN_DIALED:
		return is_doomed_dial(m) || m->flying > 0 || m->dialling > 0;
	case PCONN_DIAL_FAILED:
		return is_doomed_dial(m) || (m->flying > 0 && (!is_held_back(m) || !c->same)) || m->dialling > 0 ||
		    m->stale;
	case PCONN_HELD:
		return c->held == -1 ? m->untold : m->held != c->held;
	case PCONN_EVENTS:
		return can_change(m, c->change);
	case PCONN_TAKEN: case PCONN_ENDED:
		return m->ready > 0 && !m->in_use;
	case PCONN_ANSWERED:
		return m->taken > 0;
	case PCONN_LOST:
		return m->p.state == PCONN_CONNECTED;
	case PCONN_TAKEN_OVER:
		return m->p.state == PCONN_CONNECTED && !m->p.lost && m->ready > 0 && !m->paused && !m->failing;
	default:
		return true;
	}
}

static void
change(struct model *m, enum change change)
{
	m->untold = 1;
	if (change == PAUSE || change == RESUME)
		m->paused = change == PAUSE;
	if (change == LEND || change == LET_GO)
		m->in_use = change == LEND;
	if (change == FAIL || change == MEND) {
		m->failing = change == FAIL;
		m->stale = 0; /* the inputs that are in the queue see one and the same order */
	}
}

static void
push(struct model *m, enum told told)
{
	assert_true(m->queued < QUEUE);
	m->queue[m->queued++] = (uint8_t)told;
}

static enum told
pull(struct model *m)
{
	enum told told = (enum told)m->queue[0];

	assert_true(m->queued > 0);
	memmove(m->queue, m->queue + 1, QUEUE - 1);
	m->queue[QUEUE - 1] = TOLD_NOTHING;
	m->queued--;
	return told;
}

static void
race_over(struct model *m)
{
	m->race = m->left = m->flying = m->stopped = 0;
	m->offered = OFFER_NONE;
}

/* Dropped, failed by order, or of a dead worker: nothing is told of it any more. */
static void
race_forget(struct model *m)
{
	race_over(m);
	m->orphan = m->queued = 0;
	memset(m->queue, 0, sizeof m->queue);
}

static void
race_offer(struct model *m)
{
	m->left--;
	m->offered = OFFER_MADE;
	push(m, TOLD_OFFERED);
}

static void
race_begin(struct model *m)
{
	m->race = 1;
	m->orphan = m->stopped = 0;
	m->left = m->endpoints;
	race_offer(m);
}

/* The next one is offered at once if no other is under way. */
static void
race_dial_failed(struct model *m)
{
	bool further = --m->flying > 0 || m->offered != OFFER_NONE || m->left > 0;

	push(m, further ? TOLD_FAILED : TOLD_LAST_FAILED);
	if (!further)
		race_over(m);
	else if (m->flying == 0 && m->offered == OFFER_NONE)
		race_offer(m);
}

/* Something becomes of one of the attempt's dials. */
static void
race_happens(struct model *m, enum pconn_event event)
{
	if (event == PCONN_OFFERED)
		race_offer(m);
	else if (event == PCONN_DIAL_FAILED)
		race_dial_failed(m);
	else {
		push(m, TOLD_DIALED);
		race_over(m);
	}
}

/* A lookup or further dial has ended, or the attempt by order.  Its failure is still to come then. */
static void
end_of_attempt(struct model *m, enum pconn_event event)
{
	bool lookup = event == PCONN_LOOKED_UP || event == PCONN_LOOKUP_FAILED;

	if (m->doomed && (event == PCONN_LOOKED_UP || event == PCONN_DIALED))
		return;
	if (lookup && m->lookup)
		m->lookup = m->doomed = 0;
	else if (!lookup && is_doomed_dial(m))
		m->doomed = 0;
	else if (!lookup && m->dialling > 0)
		m->dialling--;
	else
		m->stale = 0;
	m->ready = (uint8_t)(m->ready + (event == PCONN_DIALED));
}

/* What the event itself changes in the world. */
static void
happen(struct model *m, const struct choice *c)
{
	if (c->event == PCONN_DEADLINE && m->p.deadline > m->now)
		m->now = m->p.deadline;
	if (c->event == PCONN_HANDLED)
		m->handler = 0;
	if (c->event == PCONN_LOOKED_UP || c->event == PCONN_LOOKUP_FAILED || c->event == PCONN_DIALED ||
	    c->event == PCONN_DIAL_FAILED)
		end_of_attempt(m, c->event);
	if (c->event == PCONN_LOOKED_UP)
		m->endpoints = (uint8_t)c->endpoints;
	if (c->event == PCONN_RENEW) {
		m->stale |= m->doomed;
		m->lookup = m->doomed = 0;
	}
	if (c->event == PCONN_HELD && c->held != -1)
		m->held = (uint8_t)c->held;
	if (c->event == PCONN_LOST || c->event == PCONN_TAKEN_OVER)
		m->in_use = 0;
	if (c->event == PCONN_TAKEN || c->event == PCONN_ENDED)
		m->ready--;
	if (c->event == PCONN_TAKEN)
		m->taken = 1;
	if (c->event == PCONN_ANSWERED)
		m->taken = 0;
	if (c->event == PCONN_LOST)
		m->ready = 0;
	if (c->event == PCONN_ENDED && c->age >= PCONN_YOUNG)
		m->now += c->age;
}

#define CHECK(what, condition) \
	do { \
		if (!(condition)) \
			fail_msg("%s: %s (event %d from state %d to %d, to do %#x)", (what), #condition, event, \
			    before, m->p.state, todo); \
	} while (0)

static void
obey_race(struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before)
{
	bool dial = (todo & PCONN_DO_DIAL) != 0, go = (todo & PCONN_DO_GO) != 0;

	if (dial || go || (todo & PCONN_DO_STOP) != 0)
		CHECK("race", m->p.state == PCONN_DIAL && !m->doomed);
	CHECK("race", !(dial && go));
	if ((dial || go) && !m->race && m->queued == 0) {
		CHECK("race", m->orphan || (dial && event == PCONN_LOOKED_UP));
		race_begin(m);
	} else if (go && m->race) {
		CHECK("race", m->offered == OFFER_TOLD && !m->handler);
		m->offered = OFFER_NONE;
		m->flying++;
	} else if (dial) {
		CHECK("race", before == PCONN_FAILED || event == PCONN_DIAL_FAILED);
	}
	if ((todo & PCONN_DO_STOP) != 0) {
		m->left = 0;
		m->stopped = 1;
	}
}

/* Does what the step said, and sees that it can be done. */
static void
obey(struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before,
    const struct pconn_input *in)
{
	if ((todo & PCONN_DO_DROP) != 0) {
		CHECK("drop", before == PCONN_CONNECTED || (before == PCONN_DIAL && event == PCONN_DIALED) ||
		    (before == PCONN_DIAL && event == PCONN_RENEW) ||
		    ((before == PCONN_OBTAINED || before == PCONN_FAILED) && event == PCONN_HANDLED && m->renewed));
		m->ready = m->dialling = m->in_use = 0;
		race_forget(m);
		if (before == PCONN_CONNECTED)
			m->lookup = 0;
	}
	if ((todo & PCONN_DO_FINISHED) != 0)
		m->outage = 0;
	if ((todo & PCONN_DO_REPORT) != 0) {
		CHECK("one_in_flight", (todo & PCONN_DO_HANDLE) != 0);
		CHECK("pairs", m->connected == (m->p.event == PCONN_REPORT_DISCONNECTED));
		CHECK("pairs", m->p.event != PCONN_REPORT_ATTEMPTING || !m->outage);
		CHECK("order", m->p.event == PCONN_REPORT_DISCONNECTED || m->p.event == PCONN_REPORT_ATTEMPTING ||
		    m->outage);
		m->connected = m->p.event == PCONN_REPORT_CONNECTED;
		m->outage = m->p.event != PCONN_REPORT_CONNECTED && m->p.event != PCONN_REPORT_DISCONNECTED;
	}
	if ((todo & PCONN_DO_HANDLE) != 0) {
		CHECK("one_in_flight", !m->handler);
		m->handler = 1;
	}
	if ((todo & PCONN_DO_LOOKUP) != 0) {
		CHECK("one_in_flight", !m->lookup);
		CHECK("ends", !pconn_is_closed(&m->p));
		m->lookup = 1;
	}
	if ((todo & PCONN_DO_FAIL) != 0) {
		CHECK("failing", m->failing && !m->doomed);
		m->doomed = 1;
		m->lookup = m->p.state == PCONN_LOOKUP;
		race_forget(m);
	}
	obey_race(m, todo, event, before);
	if ((todo & PCONN_DO_FILL) != 0) {
		unsigned more = pconn_wanted(&m->p, &settings, in);

		CHECK("one_in_flight", more > 0 && m->dialling + more <= PCONN_DIALS);
		CHECK("one_in_flight", m->p.state == PCONN_CONNECTED);
		m->dialling = (uint8_t)(m->dialling + more);
	}
	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		CHECK("ends", !pconn_is_closed(&m->p));
}

static bool
is_ending(const struct model *m)
{
	return m->p.closing || m->p.ending != PCONN_END_NONE;
}

static void
check_race(const struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before)
{
	bool dial = m->p.state == PCONN_DIAL && !m->doomed;

	CHECK("race", !m->race || m->flying > 0 || m->offered != OFFER_NONE);
	CHECK("race", !m->race || dial || is_held_back(m));
	CHECK("race", m->queued == 0 || dial || is_held_back(m));
	CHECK("race", !dial || m->flying > 0 || m->queued > 0);
	CHECK("race", !dial || m->offered != OFFER_TOLD);
	CHECK("race", m->offered != OFFER_MADE || m->queued > 0);
	CHECK("race", m->p.state != PCONN_OBTAINED || m->offered == OFFER_TOLD || m->queued > 0 || m->orphan);
	CHECK("race", m->p.state != PCONN_FAILED || m->p.last == (!m->race && m->queued == 0 && !m->orphan));
	CHECK("ends", !dial || !m->race || !is_ending(m) || (m->stopped && m->left == 0));
}

static void
check_flight(const struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before)
{
	bool handler = m->p.state == PCONN_ATTEMPTING || m->p.state == PCONN_OBTAINED ||
	    m->p.state == PCONN_FAILED || m->p.state == PCONN_DISCONNECTED;
	unsigned resume = pconn_resume(&m->p);

	if (m->p.state != PCONN_CONNECTED) {
		CHECK("one_in_flight", m->handler == handler);
		CHECK("one_in_flight", m->lookup == (m->p.state == PCONN_LOOKUP));
		CHECK("one_in_flight", m->dialling == 0 && m->ready == 0);
	}
	CHECK("resumes", resume == ((m->handler ? PCONN_DO_HANDLE : 0) | (m->doomed ? PCONN_DO_FAIL :
	    (m->lookup ? PCONN_DO_LOOKUP : 0) | (m->p.state == PCONN_DIAL ? PCONN_DO_DIAL : 0) |
	    (m->p.state == PCONN_DIAL && is_ending(m) ? PCONN_DO_STOP : 0))));
	CHECK("pairs", m->connected == (m->p.state == PCONN_CONNECTED && m->p.event == PCONN_REPORT_CONNECTED));
	CHECK("pairs", m->p.state != PCONN_CONNECTED || m->connected || m->handler);
}

static void
check_deadline(const struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before,
    const struct pconn_input *in)
{
	bool wants = m->p.state == PCONN_CONNECTED && !m->untold && !m->p.lost && !m->p.closing && m->p.ending == 0 &&
	    pconn_wanted(&m->p, &settings, in) > 0;

	if (m->p.state == PCONN_WAIT)
		CHECK("deadline", m->p.deadline != CLOCK_NEVER);
	else if (m->p.state != PCONN_CONNECTED && m->p.state != PCONN_NEW)
		CHECK("deadline", m->p.deadline == CLOCK_NEVER);
	if (wants)
		CHECK("deadline", m->p.deadline != CLOCK_NEVER || m->lookup || m->dialling > 0);
	if (m->p.lost && m->p.state == PCONN_CONNECTED)
		CHECK("deadline", m->handler);
}

static void
check_ends(struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before, int64_t attempt_before)
{
	bool operators = event == PCONN_RECONNECT || event == PCONN_RENEW || event == PCONN_OPEN ||
	    event == PCONN_START || (todo & PCONN_DO_FINISHED) != 0 || m->p.retry_at <= m->now;

	if ((todo & PCONN_DO_FINISHED) != 0) {
		CHECK("ends", !m->finished && before != PCONN_CLOSED);
		m->finished = m->p.state == PCONN_CLOSED;
	}
	if (m->p.state != PCONN_CLOSED)
		m->finished = 0;
	else
		CHECK("ends", m->finished && !m->handler && !m->lookup && !m->race && m->ready == 0);
	if (m->p.attempt_at != attempt_before && before == PCONN_WAIT && m->p.state == PCONN_LOOKUP && !operators)
		CHECK("gap", m->p.attempt_at - attempt_before >= 7 * CLOCK_MILLISECOND || attempt_before == 0);
}

static void
check_orders(const struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before)
{
	bool connected = m->p.state == PCONN_CONNECTED && !m->p.lost;
	bool rested = before == PCONN_NEW || before == PCONN_IDLE || before == PCONN_WAIT || before == PCONN_CLOSED ||
	    before == PCONN_DISCONNECTED;

	if ((todo & PCONN_DO_GIVE_UP) != 0)
		CHECK("paused", (todo & PCONN_DO_DROP) != 0 && (m->failing || m->paused));
	if (m->failing) {
		CHECK("failing", (todo & (PCONN_DO_LOOKUP | PCONN_DO_DIAL | PCONN_DO_GO | PCONN_DO_FILL)) == 0);
		CHECK("failing", !connected);
	}
	CHECK("failing", !m->failing || m->doomed == (m->p.state == PCONN_LOOKUP || m->p.state == PCONN_DIAL));
	if (!m->paused)
		return;
	CHECK("paused", m->p.state != PCONN_WAIT);
	CHECK("paused", !connected || m->in_use || m->p.ending != PCONN_END_NONE);
	CHECK("paused", (todo & PCONN_DO_FILL) == 0 && (!connected || (todo & PCONN_DO_LOOKUP) == 0));
	CHECK("paused", !rested || (todo & (PCONN_DO_LOOKUP | PCONN_DO_FAIL)) == 0);
	CHECK("paused", m->p.state != PCONN_ATTEMPTING || before == PCONN_ATTEMPTING);
}

/* One event is told; further: other dials of the attempt are under way, or come. */
static void
tell(struct model *m, const struct choice *c, enum pconn_event event, bool further)
{
	enum pconn_state before = (enum pconn_state)m->p.state;
	int64_t attempt_before = m->p.attempt_at;
	struct pconn_input in = { .event = event, .now = m->now, .roll = DELAY_EXACT, .held = m->held,
		.ready = m->ready, .dialling = m->dialling, .elsewhere = c->elsewhere, .fresh = c->fresh,
		.further = further, .same = c->same, .age = c->age, .paused = m->paused, .in_use = m->in_use,
		.failing = m->failing };
	unsigned todo = pconn_step(&m->p, &settings, &in);

	steps++;
	obey(m, todo, event, before, &in);
	m->renewed = is_held_back(m) && (m->renewed || event == PCONN_RENEW);
	in.ready = m->ready;
	in.dialling = m->dialling;
	if (event == PCONN_OFFERED && before == PCONN_DIAL && !m->failing && !m->doomed)
		CHECK("race", in.fresh ? m->handler && m->p.event == PCONN_REPORT_OBTAINED : todo == PCONN_DO_GO);
	check_race(m, todo, event, before);
	check_flight(m, todo, event, before);
	check_deadline(m, todo, event, before, &in);
	check_ends(m, todo, event, before, attempt_before);
	check_orders(m, todo, event, before);
}

/* The attempt's dials tell what was held back, in its order, up to the next handler. */
static void
tell_queued(struct model *m, const struct choice *c)
{
	static const enum pconn_event events[] = { [TOLD_OFFERED] = PCONN_OFFERED, [TOLD_DIALED] = PCONN_DIALED,
		[TOLD_FAILED] = PCONN_DIAL_FAILED, [TOLD_LAST_FAILED] = PCONN_DIAL_FAILED };

	while (m->queued > 0 && !is_held_back(m)) {
		enum told told = pull(m);

		if (told == TOLD_OFFERED && m->race)
			m->offered = OFFER_TOLD;
		m->ready = (uint8_t)(m->ready + (told == TOLD_DIALED));
		tell(m, c, events[told], told == TOLD_FAILED);
	}
}

/* Of the dials nothing is left; a new worker begins again what must be under way. */
static void
die(struct model *m)
{
	race_forget(m);
	m->orphan = 1;
	obey_race(m, pconn_resume(&m->p), PCONN_EVENTS, (enum pconn_state)m->p.state);
}

static bool
is_of_race(const struct model *m, enum pconn_event event)
{
	return m->race && (event == PCONN_OFFERED || event == PCONN_DIALED || event == PCONN_DIAL_FAILED) &&
	    !(event != PCONN_OFFERED && m->flying == 0);
}

static void
take_step(struct model *m, const struct choice *c)
{
	if (c->event == PCONN_EVENTS && c->change != DIE) {
		change(m, c->change);
		return;
	}
	if (c->event == PCONN_EVENTS) {
		die(m);
	} else if (is_of_race(m, c->event)) {
		race_happens(m, c->event);
	} else {
		happen(m, c);
		m->untold &= c->event != PCONN_HELD;
		tell(m, c, c->event, false);
	}
	tell_queued(m, c);
}

#endif
