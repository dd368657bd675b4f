/* test_pconn_takeover.c - a connection that was kept ready takes the place of one that is gone: P4, P7, P10, P13,
 * P16, P20 to P22 as they hold then. */
#include "pconn_story.h"

#define STAY PCONN_CONNECTED, NO, .ready = 1

static void
p7_the_events_are_an_outages_each_held_up_by_its_handler(void **state)
{
	static const enum pconn_report order[] = { PCONN_REPORT_ATTEMPTING, PCONN_REPORT_OBTAINED,
		PCONN_REPORT_CONNECTED };
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 5000, PCONN_TAKEN_OVER, REPORT | YES, STAY });
	assert_int_equal(p.event, PCONN_REPORT_DISCONNECTED);
	for (size_t i = 0; i < 3; i++) {
		assert_true(pconn_is_connected(&p)); /* P13: it can be used all along */
		PLAY(&p, &usual, { 5000, PCONN_HANDLED, REPORT, STAY });
		assert_int_equal(p.event, order[i]);
	}
	PLAY(&p, &usual, { 5000, PCONN_HANDLED, 0, STAY });
	PLAY(&p, &usual, { 5000, PCONN_TAKEN_OVER, REPORT | YES, STAY }); /* and once more */
	assert_int_equal(p.event, PCONN_REPORT_DISCONNECTED);
}

static void
p10_disconnected_waits_for_the_handler_of_connected(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_HANDLING, { 10, PCONN_TAKEN_OVER, YES, STAY });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
	PLAY(&p, &usual, { 20, PCONN_TAKEN_OVER, YES, STAY }, { 30, PCONN_HANDLED, REPORT, STAY });
	assert_int_equal(p.event, PCONN_REPORT_DISCONNECTED);
	PLAY(&p, &usual, { 40, PCONN_HANDLED, REPORT, STAY });
	assert_int_equal(p.event, PCONN_REPORT_ATTEMPTING);
}

static void
p4_the_delay_is_drawn_when_the_handler_of_attempting_has_ended(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 30000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 30100, PCONN_HANDLED, REPORT, STAY }, { 30200, PCONN_HANDLED, REPORT, STAY },
	    { 30300, PCONN_HANDLED, REPORT, STAY }, { 30400, PCONN_HANDLED, 0, STAY },
	    { 31000, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 31000, PCONN_HANDLED, 0, PCONN_WAIT, 40200 });
}

/* Before its attempt had begun the rest of the former delay is waited for; connected is never reported. */
static void
p4_an_end_before_its_address_was_told_leaves_the_former_delay(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 3000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 3001, PCONN_LOST, DROP, PCONN_CONNECTED, NO }, { 3002, PCONN_HANDLED, 0, PCONN_WAIT, 10000 });
	assert_false(pconn_is_connected(&p));
	PLAY(&p, &usual, { 10000, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 3000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 3001, PCONN_HANDLED, REPORT, STAY }, { 3002, PCONN_LOST, DROP, PCONN_CONNECTED, NO },
	    { 3003, PCONN_HANDLED, 0, PCONN_WAIT, 10000 },
	    { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO }); /* P7: attempting was told */
}

static void
p22_an_end_after_its_address_was_told_is_a_failed_attempt(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 30000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 30000, PCONN_HANDLED, REPORT, STAY }, { 30000, PCONN_HANDLED, REPORT, STAY },
	    { 30001, PCONN_LOST, DROP, PCONN_CONNECTED, NO },
	    { 30002, PCONN_HANDLED, REPORT | BAD, PCONN_FAILED, NO });
	assert_int_equal(p.event, PCONN_REPORT_FAILED);
	assert_int_equal(p.failures, 1);
	PLAY(&p, &usual, { 30003, PCONN_HANDLED, 0, PCONN_WAIT, 40000 });
}

static void
p7_of_two_that_take_over_the_newer_one_counts(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 1000, PCONN_TAKEN_OVER, YES, STAY }, { 1001, PCONN_HANDLED, REPORT, STAY },
	    { 1001, PCONN_TAKEN_OVER, YES, STAY }, { 1002, PCONN_HANDLED, REPORT, STAY });
	assert_int_equal(p.event, PCONN_REPORT_OBTAINED);
	PLAY(&p, &usual, { 1003, PCONN_TAKEN_OVER, YES, STAY }, { 1004, PCONN_HANDLED, REPORT, STAY });
	assert_int_equal(p.event, PCONN_REPORT_OBTAINED); /* the newer one's */
	PLAY(&p, &usual, { 1005, PCONN_HANDLED, REPORT, STAY });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
	PLAY(&p, &usual, { 1006, PCONN_HANDLED, 0, STAY });
}

static void
p16_a_close_in_the_middle_ends_it(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 1001, PCONN_CLOSE, SHUT | DROP, PCONN_CONNECTED, NO },
	    { 1001, PCONN_TAKEN_OVER, 0, PCONN_CONNECTED, NO },
	    { 1002, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_HANDLING, { 1000, PCONN_TAKEN_OVER, YES, STAY },
	    { 1001, PCONN_CLOSE, SHUT | DROP, PCONN_CONNECTED, NO },
	    { 1002, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO },
	    { 1002, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
}

static void
p20_p21_a_drain_or_abort_in_the_middle_keeps_it_to_its_end(void **state)
{
	static const enum pconn_event ends[] = { PCONN_DRAIN, PCONN_ABORT };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pconn p = { 0 };
		struct row end = { 1001, ends[i], 0, STAY };

		PLAY(&p, &usual, TO_CONNECTED, { 1000, PCONN_TAKEN_OVER, REPORT | YES, STAY });
		play(&p, &usual, &end, 1);
		PLAY(&p, &usual, { 1002, PCONN_HANDLED, REPORT, STAY }, { 1002, PCONN_HANDLED, REPORT, STAY },
		    { 1002, PCONN_HANDLED, REPORT, STAY }, { 1002, PCONN_HANDLED, 0, STAY });
		assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
		PLAY(&p, &usual, { 9000, PCONN_LOST, REPORT | DROP | SHUT, PCONN_DISCONNECTED, NO },
		    { 9000, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
	}
}

static void
a_reconnect_in_the_middle_attempts_at_once(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1000, PCONN_TAKEN_OVER, REPORT | YES, STAY },
	    { 1001, PCONN_HANDLED, REPORT, STAY }, { 1002, PCONN_RECONNECT, DROP, PCONN_CONNECTED, NO },
	    { 1003, PCONN_HANDLED, 0, PCONN_WAIT, 1002 }, { 1003, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p26_a_new_worker_runs_the_handler_that_ran(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1000, PCONN_TAKEN_OVER, REPORT | YES, STAY });
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
		PLAY(&p, &usual, { 1000, PCONN_HANDLED, REPORT, STAY });
	}
	PLAY(&p, &usual, { 1000, PCONN_HANDLED, 0, STAY });
	assert_int_equal(pconn_resume(&p), 0);
}

/* A server that was good has early attempts begin anew; one that ends at once has not. */
static void
p24_a_loss_after_a_good_second_begins_early_attempts_anew(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED);
	p.early_first = 5;
	PLAY(&p, &usual, { 100, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO, .age_ms = 100 });
	assert_int_equal(p.early_first, 5);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED);
	p.early_first = 5;
	PLAY(&p, &usual, { 2000, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO, .age_ms = 2000 });
	assert_int_equal(p.early_first, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p7_the_events_are_an_outages_each_held_up_by_its_handler),
		cmocka_unit_test(p10_disconnected_waits_for_the_handler_of_connected),
		cmocka_unit_test(p4_the_delay_is_drawn_when_the_handler_of_attempting_has_ended),
		cmocka_unit_test(p4_an_end_before_its_address_was_told_leaves_the_former_delay),
		cmocka_unit_test(p22_an_end_after_its_address_was_told_is_a_failed_attempt),
		cmocka_unit_test(p7_of_two_that_take_over_the_newer_one_counts),
		cmocka_unit_test(p16_a_close_in_the_middle_ends_it),
		cmocka_unit_test(p20_p21_a_drain_or_abort_in_the_middle_keeps_it_to_its_end),
		cmocka_unit_test(a_reconnect_in_the_middle_attempts_at_once),
		cmocka_unit_test(p26_a_new_worker_runs_the_handler_that_ran),
		cmocka_unit_test(p24_a_loss_after_a_good_second_begins_early_attempts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
