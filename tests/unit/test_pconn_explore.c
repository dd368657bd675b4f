/* test_pconn_explore.c - tries every sequence of events of upstream/pconn to a depth, and checks after each step:
 *
 * one_in_flight   outside CONNECTED exactly one of handler, lookup, race of dials is what is waited for, or none
 *                 and the state waits; while connected at most one handler and one lookup, and PCONN_DIALS
 *                 dials; nothing is begun that is under way already
 * race            the attempt's dials are begun once, or anew after a worker's death; in DIAL one at least is under
 *                 way; each endpoint that is offered is dialled, after the handler of its address if that was
 *                 fresh (P9); none outlives the attempt; after an end no other is offered (P16)
 * deadline        a state that waits has a deadline, no other but CONNECTED has one; a connected one that wants
 *                 further connections has a deadline or something under way
 * drop            only what was begun is dropped: connections, further dials and their lookup
 * pairs           connected and disconnected alternate (P10), attempting_to_connect comes once in an outage (P7)
 * order           obtained_address comes only in an outage, connected only after it (P7)
 * ends            finished comes once for each end, nothing is ready or under way then; once closed no lookup
 *                 begins and nobody is answered "connected" (P13, P17)
 * gap             two attempts are at least 7 ms apart unless an operator wants it so (P24)
 * closes          left alone with handlers that end and dials that fail, whatever was closed comes to its end
 * connects        left alone with lookups and dials that succeed, it gets connected, or idles with warm = 0
 * resumes         what pconn_resume() names is what is under way (P26)
 * failing         while it fails by order nothing is looked up or dialled, what is there is lost or ends as failed
 * paused          in a pause nothing is begun, and what is there is in use or lost; left alone it comes to rest;
 *                 after it, as after a failure by order, it gets connected as ever
 *
 * States that differ in nothing but the time are visited once for each depth that is left.
 */
#include "pconn_model.h"
#include "visited.h"

#ifdef __SANITIZE_ADDRESS__ /* the machine is pure: what they could find is found before */
#define DEPTH   11
#else
#define DEPTH   13
#endif

/* Goes on with nothing but what is under way, everything ending well or badly; true once nothing is. */
static bool
leave_alone(struct model *m, bool well)
{
	static const struct choice handled = { PCONN_HANDLED, .held = -1 }, deadline = { PCONN_DEADLINE, .held = -1 },
	    found = { PCONN_LOOKED_UP, .endpoints = 1, .held = -1 }, lost = { PCONN_LOOKUP_FAILED, .held = -1 },
	    dialled = { PCONN_DIALED, .held = -1 }, refused = { PCONN_DIAL_FAILED, .held = -1 };

	for (unsigned i = 0; i < 32; i++) {
		if (m->handler)
			take_step(m, &handled);
		else if (m->lookup)
			take_step(m, well && !m->doomed ? &found : &lost);
		else if (m->flying > 0 || is_doomed_dial(m) || m->dialling > 0)
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

static void
explore(const struct model *m, unsigned left)
{
	if (left == 0 || visited_before(model_key(m), left))
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
	settings = (struct pconn_settings){ .retry = { 10 * CLOCK_SECOND, 0.3, 1, 60 * CLOCK_SECOND },
		.spread = CLOCK_SECOND, .hold_retry = hold_retry, .warm = warm };
	visited_begin();
	steps = 0;
	explore(&m, depth);
	visited_end();
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
