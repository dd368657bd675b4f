/* test_pconn_explore.c - tries every sequence of events of upstream/pconn to a depth, and checks after each step:
 *
 * one_in_flight   outside CONNECTED exactly one of handler, look-up, dial is under way, or none and the state
 *                 waits; while connected at most one handler and one look-up, and PCONN_DIALS dials; nothing is
 *                 begun that is under way already
 * deadline        a state that waits has a deadline, no other but CONNECTED has one; a connected one that wants
 *                 further connections has a deadline or something under way
 * drop            only what was begun is dropped: connections, further dials and their look-up
 * pairs           connected and disconnected alternate (P10), attempting_to_connect comes once in an outage (P7)
 * order           obtained_address comes only in an outage, connected only after it (P7)
 * ends            finished comes once for each end, nothing is ready or under way then; once closed no look-up
 *                 begins and nobody is answered "connected" (P13, P17)
 * gap             two attempts are at least 7 ms apart unless an operator wants it so (P24)
 * closes          left alone with handlers that end and dials that fail, whatever was closed comes to its end
 * connects        left alone with look-ups and dials that succeed, it gets connected, or idles with warm = 0
 * resumes         what pconn_resume() names is what is under way (P26)
 * failing         while it fails by order nothing is looked up or dialled, what is there is lost or ends as failed
 * paused          in a pause nothing is begun, and what is there is in use or lost; left alone it comes to rest;
 *                 after it, as after a failure by order, it gets connected as ever
 *
 * States that differ in nothing but the time are visited once for each depth that is left.
 */
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

#define DEPTH   13
#define VISITED (1u << 22)

/* The machine and the world that does what it says. */
struct model {
	struct pconn p;
	int64_t now;
	uint8_t handler, lookup, dial, dialling, ready, held, taken;
	uint8_t connected; /* reported, and disconnected not yet */
	uint8_t outage;    /* attempting_to_connect was reported, connected not yet */
	uint8_t finished;  /* since the last start */
	uint8_t paused, failing, in_use;
	uint8_t untold;    /* one of these has changed */
	uint8_t doomed;    /* what is under way has been ended, and will be told as failed */
	uint8_t stale;     /* the same of something that a reload has ended before */
};

/* What else changes: the next event shows it, and one that says nothing else will come. */
enum change { NOTHING, PAUSE, RESUME, LEND, LET_GO, FAIL, MEND };

struct choice {
	enum pconn_event event;
	unsigned candidates;
	uint64_t fresh;
	bool same;
	int held;          /* the new number, or -1 */
	int64_t age;
	enum change change;
};

struct visit {
	uint64_t key;
	uint8_t left;
};

static struct pconn_settings settings;
static bool orders;
static struct visit *visited;
static uint64_t steps, states;

static const struct choice choices[] = {
	{ PCONN_START, .held = -1 }, { PCONN_DEADLINE, .held = -1 }, { PCONN_HANDLED, .held = -1 },
	{ PCONN_LOOKED_UP, .candidates = 1, .fresh = 1, .held = -1 },
	{ PCONN_LOOKED_UP, .candidates = 2, .held = -1 },
	{ PCONN_LOOKUP_FAILED, .held = -1 }, { PCONN_LOOKUP_FAILED, .same = true, .held = -1 },
	{ PCONN_DIALED, .held = -1 }, { PCONN_DIAL_FAILED, .held = -1 },
	{ PCONN_DIAL_FAILED, .same = true, .held = -1 },
	{ PCONN_HELD, .held = 0 }, { PCONN_HELD, .held = 2 },
	{ PCONN_TAKEN, .held = -1 }, { PCONN_RELAYED, .held = -1 },
	{ PCONN_ENDED, .age = 1000, .held = -1 }, { PCONN_ENDED, .age = 1000, .candidates = 1, .held = -1 },
	{ PCONN_ENDED, .age = 2 * CLOCK_SECOND, .candidates = 1, .held = -1 },
	{ PCONN_LOST, .held = -1 }, { PCONN_TAKEN_OVER, .held = -1 }, { PCONN_WAKE, .held = -1 },
	{ PCONN_RECONNECT, .held = -1 }, { PCONN_RENEW, .held = -1 }, { PCONN_CLOSE, .held = -1 },
	{ PCONN_DRAIN, .held = -1 }, { PCONN_ABORT, .held = -1 }, { PCONN_OPEN, .held = -1 },
	{ PCONN_HELD, .held = -1 },
	{ PCONN_EVENTS, .change = PAUSE }, { PCONN_EVENTS, .change = RESUME }, { PCONN_EVENTS, .change = LEND },
	{ PCONN_EVENTS, .change = LET_GO }, { PCONN_EVENTS, .change = FAIL }, { PCONN_EVENTS, .change = MEND },
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
	}
	return false;
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
		return m->handler;
	case PCONN_LOOKED_UP:
		return m->lookup;
	case PCONN_LOOKUP_FAILED:
		return m->lookup || m->stale;
	case PCONN_DIALED:
		return m->dial || m->dialling > 0;
	case PCONN_DIAL_FAILED:
		return m->dial || m->dialling > 0 || m->stale;
	case PCONN_HELD:
		return c->held == -1 ? m->untold : m->held != c->held;
	case PCONN_EVENTS:
		return can_change(m, c->change);
	case PCONN_TAKEN: case PCONN_ENDED:
		return m->ready > 0 && !m->in_use;
	case PCONN_RELAYED:
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

/* A look-up or dial has ended.  Of one that was ended by order the failure is still to come. */
static void
end_of_attempt(struct model *m, enum pconn_event event)
{
	bool lookup = event == PCONN_LOOKED_UP || event == PCONN_LOOKUP_FAILED;

	if (m->doomed && (event == PCONN_LOOKED_UP || event == PCONN_DIALED))
		return;
	if (lookup && m->lookup)
		m->lookup = m->doomed = 0;
	else if (!lookup && m->dial)
		m->dial = m->doomed = 0;
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
	if (c->event == PCONN_RELAYED)
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

/* Does what the step said, and sees that it can be done. */
static void
obey(struct model *m, unsigned todo, enum pconn_event event, enum pconn_state before,
    const struct pconn_input *in)
{
	if ((todo & PCONN_DO_DROP) != 0) {
		CHECK("drop", before == PCONN_CONNECTED || (before == PCONN_DIAL && event == PCONN_DIALED) ||
		    (before == PCONN_DIAL && event == PCONN_RENEW));
		m->ready = m->dialling = m->dial = m->in_use = 0;
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
	if ((todo & PCONN_DO_DIAL) != 0) {
		CHECK("one_in_flight", !m->dial);
		m->dial = 1;
	}
	if ((todo & PCONN_DO_FAIL) != 0) {
		CHECK("failing", m->failing && !m->doomed);
		m->doomed = 1;
		m->lookup = m->p.state == PCONN_LOOKUP;
		m->dial = m->p.state == PCONN_DIAL;
	}
	if ((todo & PCONN_DO_FILL) != 0) {
		unsigned more = pconn_wanted(&m->p, &settings, in);

		CHECK("one_in_flight", more > 0 && m->dialling + more <= PCONN_DIALS);
		CHECK("one_in_flight", m->p.state == PCONN_CONNECTED);
		m->dialling = (uint8_t)(m->dialling + more);
	}
	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		CHECK("ends", !pconn_is_closed(&m->p));
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
		CHECK("one_in_flight", m->dial == (m->p.state == PCONN_DIAL));
		CHECK("one_in_flight", m->dialling == 0 && m->ready == 0);
	}
	CHECK("resumes", resume == ((m->handler ? PCONN_DO_HANDLE : 0) | (m->doomed ? PCONN_DO_FAIL :
	    (m->lookup ? PCONN_DO_LOOKUP : 0) | (m->dial ? PCONN_DO_DIAL : 0))));
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
		CHECK("ends", m->finished && !m->handler && !m->lookup && !m->dial && m->ready == 0);
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
		CHECK("failing", (todo & (PCONN_DO_LOOKUP | PCONN_DO_DIAL | PCONN_DO_FILL)) == 0);
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

static void
take_step(struct model *m, const struct choice *c)
{
	enum pconn_state before = (enum pconn_state)m->p.state;
	int64_t attempt_before = m->p.attempt_at;
	struct pconn_input in = { .event = c->event, .roll = DELAY_EXACT, .candidates = c->candidates,
		.fresh = c->fresh, .same = c->same, .age = c->age };
	unsigned todo;

	if (c->event == PCONN_EVENTS) {
		change(m, c->change);
		return;
	}
	happen(m, c);
	m->untold &= c->event != PCONN_HELD;
	in.now = m->now;
	in.held = m->held;
	in.ready = m->ready;
	in.dialling = m->dialling;
	in.paused = m->paused;
	in.in_use = m->in_use;
	in.failing = m->failing;
	todo = pconn_step(&m->p, &settings, &in);
	steps++;
	obey(m, todo, c->event, before, &in);
	in.ready = m->ready;
	in.dialling = m->dialling;
	check_flight(m, todo, c->event, before);
	check_deadline(m, todo, c->event, before, &in);
	check_ends(m, todo, c->event, before, attempt_before);
	check_orders(m, todo, c->event, before);
}

/* Goes on with nothing but what is under way, everything ending well or badly; true once nothing is. */
static bool
leave_alone(struct model *m, bool well)
{
	static const struct choice handled = { PCONN_HANDLED, .held = -1 }, deadline = { PCONN_DEADLINE, .held = -1 },
	    found = { PCONN_LOOKED_UP, .candidates = 1, .held = -1 }, lost = { PCONN_LOOKUP_FAILED, .held = -1 },
	    dialled = { PCONN_DIALED, .held = -1 }, refused = { PCONN_DIAL_FAILED, .held = -1 };

	for (unsigned i = 0; i < 24; i++) {
		if (m->handler)
			take_step(m, &handled);
		else if (m->lookup)
			take_step(m, well && !m->doomed ? &found : &lost);
		else if (m->dial || m->dialling > 0)
			take_step(m, well && !m->doomed ? &dialled : &refused);
		else if (m->p.deadline != CLOCK_NEVER && m->p.state != PCONN_NEW)
			take_step(m, &deadline);
		else
			return true;
	}
	return false;
}

/* What operators have ordered for a while is over. */
static void
free_of_orders(struct model *m)
{
	static const struct choice told = { PCONN_HELD, .held = -1 };

	if (m->failing)
		change(m, MEND);
	if (m->untold)
		take_step(m, &told);
	if (!m->paused)
		return;
	if (!leave_alone(m, true) || (m->p.state != PCONN_IDLE && m->p.state != PCONN_CLOSED &&
	    !(m->p.state == PCONN_CONNECTED && (m->in_use || m->p.ending != PCONN_END_NONE))))
		fail_msg("paused: state %d is no rest", m->p.state);
	change(m, RESUME);
	take_step(m, &told);
}

static void
check_outcome(const struct model *m)
{
	struct model left = *m;
	bool closing = m->p.closing && !m->p.reopen, at_rest;

	if (m->p.state == PCONN_NEW)
		return;
	free_of_orders(&left);
	at_rest = leave_alone(&left, true);
	if (!at_rest)
		fail_msg("connects: state %d does not come to rest", m->p.state);
	if (closing && left.p.state != PCONN_CLOSED)
		fail_msg("closes: state %d ends in %d", m->p.state, left.p.state);
	if (!pconn_is_closed(&left.p) && left.p.state != PCONN_CONNECTED &&
	    !(left.p.state == PCONN_IDLE && settings.warm == 0))
		fail_msg("connects: state %d ends in %d", m->p.state, left.p.state);
	if (!m->p.reopen && (closing || m->p.ending != PCONN_END_NONE)) {
		left = *m;
		if (!leave_alone(&left, false) || (closing && left.p.state != PCONN_CLOSED))
			fail_msg("closes: state %d ends in %d", m->p.state, left.p.state);
	}
}

/* The time itself does not matter, only what lies how far from now. */
static uint64_t
model_key(const struct model *m)
{
	struct model n;
	int64_t *times[] = { &n.p.attempt_at, &n.p.retry_at, &n.p.wake_at, &n.p.early_at, &n.p.early_first,
		&n.p.early_last, &n.p.fill_at, &n.p.expired_at, &n.p.deadline };
	const unsigned char *bytes = (const unsigned char *)&n;
	uint64_t key = UINT64_C(14695981039346656037);

	memcpy(&n, m, sizeof n);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (*times[i] != 0 && *times[i] != CLOCK_NEVER)
			*times[i] = *times[i] > n.now ? *times[i] - n.now : -1 - (n.now - *times[i]) / CLOCK_SECOND;
	if (n.p.failures > 3)
		n.p.failures = 3;
	n.now = 0;
	for (size_t i = 0; i < sizeof n; i++)
		key = (key ^ bytes[i]) * UINT64_C(1099511628211);
	return key == 0 ? 1 : key;
}

/* True if everything from here was tried to this depth. */
static bool
was_here(const struct model *m, unsigned left)
{
	uint64_t key = model_key(m);
	struct visit *v = &visited[key % VISITED];

	while (v->key != 0 && v->key != key)
		v = v + 1 == visited + VISITED ? visited : v + 1;
	if (v->key == key && v->left >= left)
		return true;
	states += v->key == 0;
	v->key = key;
	v->left = (uint8_t)left;
	return false;
}

static void
explore(const struct model *m, unsigned left)
{
	if (left == 0 || states > VISITED / 2 || was_here(m, left))
		return;
	check_outcome(m);
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		struct model next;

		if (!possible(m, &choices[i]))
			continue;
		memcpy(&next, m, sizeof next);
		take_step(&next, &choices[i]);
		explore(&next, left - 1);
	}
}

static void
explore_with(unsigned warm, int64_t hold_retry, bool with_orders, unsigned depth)
{
	struct model m;
	int64_t begin = clock_now();

	memset(&m, 0, sizeof m);
	m.now = CLOCK_SECOND;
	orders = with_orders;
	settings = (struct pconn_settings){ .delay = 10 * CLOCK_SECOND, .jitter = 0.3, .factor = 1,
		.max = 60 * CLOCK_SECOND, .spread = CLOCK_SECOND, .hold_retry = hold_retry, .warm = warm };
	visited = calloc(VISITED, sizeof *visited);
	assert_non_null(visited);
	steps = states = 0;
	explore(&m, depth);
	free(visited);
	assert_true(states < VISITED / 2);
	print_message("warm %u, %s orders, depth %u: %llu states, %llu steps, %lld ms\n", warm,
	    orders ? "with" : "without", depth,
	    (unsigned long long)states, (unsigned long long)steps, (long long)(clock_now() - begin) / 1000);
}

static void
every_sequence_with_one_warm(void **state)
{
	(void)state;
	explore_with(1, CLOCK_SECOND / 4, false, DEPTH);
}

static void
every_sequence_with_two_warm(void **state)
{
	(void)state;
	explore_with(2, CLOCK_SECOND / 4, false, DEPTH - 1);
}

static void
every_sequence_with_none_warm(void **state)
{
	(void)state;
	explore_with(0, 0, false, DEPTH);
}

static void
every_sequence_with_orders(void **state)
{
	(void)state;
	explore_with(1, CLOCK_SECOND / 4, true, DEPTH - 1);
	explore_with(0, CLOCK_SECOND / 4, true, DEPTH - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sequence_with_one_warm),
		cmocka_unit_test(every_sequence_with_two_warm),
		cmocka_unit_test(every_sequence_with_none_warm),
		cmocka_unit_test(every_sequence_with_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
