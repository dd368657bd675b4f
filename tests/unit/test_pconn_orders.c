/* test_pconn_orders.c - what operators order for a while: a pause, the failure of the upstream. */
#include "pconn_story.h"

static void
a_pause_gives_up_what_is_ready_and_idles_until_it_is_over(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 1000, PCONN_HELD, REPORT | DROP | GIVE_UP, PCONN_DISCONNECTED, NO, .ready = 1, .paused = true },
	    { 1001, PCONN_HANDLED, 0, PCONN_IDLE, NO, .paused = true },
	    { 1002, PCONN_HELD, 0, PCONN_IDLE, NO, .held = 3, .paused = true },
	    { 1003, PCONN_WAKE, 0, PCONN_IDLE, NO, .held = 3, .paused = true },
	    { 1004, PCONN_RECONNECT, 0, PCONN_IDLE, NO, .held = 3, .paused = true },
	    { 1005, PCONN_RENEW, 0, PCONN_IDLE, NO, .held = 3, .paused = true },
	    { 2000, PCONN_HELD, REPORT, PCONN_ATTEMPTING, NO });
}

static void
a_pause_waits_for_what_is_in_use(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 1000, PCONN_HELD, 0, PCONN_CONNECTED, NO, .ready = 1, .paused = true, .in_use = true },
	    { 1001, PCONN_HELD, 0, PCONN_CONNECTED, NO, .ready = 1, .in_use = true }, /* over before that */
	    { 1002, PCONN_HELD, 0, PCONN_CONNECTED, NO, .ready = 1, .paused = true, .in_use = true },
	    { 1003, PCONN_HELD, REPORT | DROP | GIVE_UP, PCONN_DISCONNECTED, NO, .ready = 1, .paused = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED,
	    { 1000, PCONN_HELD, 0, PCONN_CONNECTED, NO, .ready = 1, .paused = true, .in_use = true },
	    { 1001, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO, .paused = true },
	    { 1002, PCONN_HANDLED, 0, PCONN_IDLE, NO, .paused = true });
}

static void
p20_a_drain_keeps_its_connection_in_a_pause(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1, .in_use = true },
	    { 2, PCONN_HELD, 0, PCONN_CONNECTED, NO, .ready = 1, .paused = true });
}

static void
an_attempt_under_way_comes_to_its_end_in_a_pause(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP,
	    { 1, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO, .paused = true },
	    { 1, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true, .paused = true },
	    { 2, PCONN_HANDLED, GO, PCONN_DIAL, NO, .paused = true },
	    { 3, PCONN_DIALED, REPORT | YES | DROP | GIVE_UP, PCONN_CONNECTED, NO, .ready = 1, .paused = true },
	    { 4, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO, .paused = true }, /* P10 */
	    { 5, PCONN_HANDLED, 0, PCONN_IDLE, NO, .paused = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO, .paused = true },
	    { 2, PCONN_HANDLED, 0, PCONN_IDLE, NO, .paused = true },
	    { 3, PCONN_HELD, LOOKUP, PCONN_LOOKUP, NO }); /* P7: the same outage */
}

static void
a_pause_ends_a_wait(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 500, PCONN_HELD, 0, PCONN_IDLE, NO, .held = 1, .paused = true },
	    { 600, PCONN_HELD, LOOKUP, PCONN_LOOKUP, NO, .held = 1 });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_WAIT, { 500, PCONN_RECONNECT, 0, PCONN_IDLE, NO, .paused = true });
}

static void
p30_the_end_of_a_pause_dials_for_nobody(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 0;
	PLAY(&p, &s, { 0, PCONN_START, 0, PCONN_IDLE, NO }, { 1, PCONN_HELD, 0, PCONN_IDLE, NO, .paused = true },
	    { 2, PCONN_HELD, 0, PCONN_IDLE, NO }, { 3, PCONN_HELD, 0, PCONN_IDLE, NO, .held = 1, .paused = true },
	    { 4, PCONN_HELD, REPORT, PCONN_ATTEMPTING, NO, .held = 1 });
}

static void
a_pause_that_is_over_while_a_handler_runs_is_followed_at_once(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 100, PCONN_HELD, REPORT | DROP | GIVE_UP, PCONN_DISCONNECTED, NO, .ready = 1, .paused = true },
	    { 200, PCONN_HELD, 0, PCONN_DISCONNECTED, NO }, { 300, PCONN_HANDLED, 0, PCONN_WAIT, 200 },
	    { 300, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO });
}

static void
an_abort_that_is_renewed_in_a_pause_waits_for_its_end(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_ABORT, FINISHED | SHUT, PCONN_CLOSED, NO },
	    { 2, PCONN_RENEW, 0, PCONN_IDLE, NO, .paused = true }, { 3, PCONN_HELD, REPORT, PCONN_ATTEMPTING, NO });
}

static void
what_fails_by_order_is_lost_and_fails_at_each_attempt(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 1000, PCONN_HELD, REPORT | DROP | GIVE_UP, PCONN_DISCONNECTED, NO, .ready = 1, .in_use = true,
		.failing = true },
	    { 1000, PCONN_HANDLED, 0, PCONN_WAIT, 10000, .failing = true }, /* P4 */
	    { 10000, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO, .failing = true },
	    { 10000, PCONN_HANDLED, FAIL, PCONN_LOOKUP, NO, .failing = true },
	    { 10000, PCONN_WAKE, 0, PCONN_LOOKUP, NO, .failing = true },
	    { 10000, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true },
	    { 10000, PCONN_HANDLED, 0, PCONN_WAIT, 10010, .held = 1, .failing = true }, /* P24 */
	    { 10010, PCONN_DEADLINE, FAIL, PCONN_LOOKUP, NO, .held = 1, .failing = true },
	    { 10010, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 20010, .same = true, .failing = true }, /* P8 */
	    { 15000, PCONN_HELD, LOOKUP, PCONN_LOOKUP, NO });
	assert_int_equal(p.failures, 2);
}

static void
a_look_up_or_dial_under_way_fails_by_order(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_HELD, FAIL, PCONN_LOOKUP, NO, .failing = true });
	assert_int_equal(pconn_resume(&p), FAIL);
	PLAY(&p, &usual, { 2, PCONN_LOOKED_UP, 0, PCONN_LOOKUP, NO, .failing = true },
	    { 3, PCONN_RENEW, FAIL, PCONN_LOOKUP, NO, .failing = true },
	    { 4, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true },
	    { 4, PCONN_LOOKUP_FAILED, 0, PCONN_FAILED, NO, .failing = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_HELD, FAIL, PCONN_DIAL, NO, .failing = true });
	assert_int_equal(pconn_resume(&p), FAIL);
	PLAY(&p, &usual, { 2, PCONN_DIALED, 0, PCONN_DIAL, NO, .ready = 1, .failing = true },
	    { 3, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true },
	    { 4, PCONN_HELD, 0, PCONN_FAILED, NO }, /* over: the next attempt is not waited for */
	    { 5, PCONN_HANDLED, 0, PCONN_WAIT, 4 }, { 5, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p23_an_attempt_that_fails_by_order_dials_no_other_endpoint(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_HELD, FAIL, PCONN_DIAL, NO, .failing = true },
	    { 1, PCONN_OFFERED, 0, PCONN_DIAL, NO, .fresh = true, .failing = true },
	    { 1, PCONN_CLOSE, SHUT, PCONN_DIAL, NO, .failing = true }, /* there is nothing to stop */
	    { 1, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_OBTAINED, { 1, PCONN_HELD, 0, PCONN_OBTAINED, NO, .failing = true },
	    { 2, PCONN_HANDLED, FAIL, PCONN_DIAL, NO, .failing = true },
	    { 2, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 2, PCONN_HELD, 0, PCONN_FAILED, NO, .failing = true },
	    { 3, PCONN_HANDLED, FAIL, PCONN_DIAL, NO, .failing = true },
	    { 3, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true });
	assert_int_equal(p.failures, 1);
}

static void
an_order_to_fail_in_a_pause_leaves_it_at_rest(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 100, PCONN_HELD, 0, PCONN_IDLE, NO, .paused = true },
	    { 200, PCONN_HELD, 0, PCONN_IDLE, NO, .paused = true, .failing = true },
	    { 300, PCONN_HELD, 0, PCONN_IDLE, NO, .paused = true },
	    { 400, PCONN_HELD, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p16_p20_what_fails_by_order_can_be_closed_and_drained(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_HELD, FAIL, PCONN_LOOKUP, NO, .failing = true },
	    { 2, PCONN_CLOSE, SHUT, PCONN_LOOKUP, NO, .failing = true },
	    { 3, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO, .failing = true },
	    { 4, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO, .failing = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1, .in_use = true },
	    { 2, PCONN_DIALED, REPORT | DROP | GIVE_UP | SHUT, PCONN_DISCONNECTED, NO, .ready = 2, .in_use = true,
		.failing = true }, /* P13: nobody is told "connected" */
	    { 3, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO, .failing = true });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_gives_up_what_is_ready_and_idles_until_it_is_over),
		cmocka_unit_test(a_pause_waits_for_what_is_in_use),
		cmocka_unit_test(p20_a_drain_keeps_its_connection_in_a_pause),
		cmocka_unit_test(an_attempt_under_way_comes_to_its_end_in_a_pause),
		cmocka_unit_test(a_pause_ends_a_wait),
		cmocka_unit_test(p30_the_end_of_a_pause_dials_for_nobody),
		cmocka_unit_test(a_pause_that_is_over_while_a_handler_runs_is_followed_at_once),
		cmocka_unit_test(an_abort_that_is_renewed_in_a_pause_waits_for_its_end),
		cmocka_unit_test(what_fails_by_order_is_lost_and_fails_at_each_attempt),
		cmocka_unit_test(a_look_up_or_dial_under_way_fails_by_order),
		cmocka_unit_test(p23_an_attempt_that_fails_by_order_dials_no_other_endpoint),
		cmocka_unit_test(an_order_to_fail_in_a_pause_leaves_it_at_rest),
		cmocka_unit_test(p16_p20_what_fails_by_order_can_be_closed_and_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
