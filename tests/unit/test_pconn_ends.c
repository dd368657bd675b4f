/* test_pconn_ends.c - rules P13 to P21 of the persistent connection: who asks for it, and how it ends. */
#include "pconn_story.h"

static void
p13_connected_is_seen_before_the_handler_runs_and_never_dead(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL);
	assert_false(pconn_is_connected(&p));
	PLAY(&p, &usual, { 1, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 });
	assert_true(pconn_is_connected(&p)); /* though the handler runs */
	PLAY(&p, &usual, { 2, PCONN_LOST, DROP, PCONN_CONNECTED, NO });
	assert_false(pconn_is_connected(&p)); /* though disconnected is not reported */
}

static void
p13_not_while_an_ended_one_is_being_replaced(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 5000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 5000, .elsewhere = true });
	assert_false(pconn_is_connected(&p));
	PLAY(&p, &usual, { 5001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 });
	assert_true(pconn_is_connected(&p));
}

static void
p14_the_next_attempt_to_end_answers_reported_or_not(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 20000, .same = true },
	    { 20000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 20000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 20000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 20000, PCONN_DIAL_FAILED, DIAL, PCONN_DIAL, NO, .further = true, .same = true }, /* not its end */
	    { 20000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 20000, PCONN_DIAL_FAILED, BAD, PCONN_WAIT, 30000, .same = true });
}

static void
p14_a_close_answers(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_CLOSE, SHUT, PCONN_LOOKUP, NO },
	    { 2, PCONN_CLOSE, 0, PCONN_LOOKUP, NO },
	    { 2, PCONN_LOOKUP_FAILED, BAD | FINISHED, PCONN_CLOSED, NO, .same = true });
}

static void
p15_current_is_told_though_it_may_be_dead(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED);
	assert_int_equal(p.state, PCONN_CONNECTED); /* nobody has told of an end: current it is */
	assert_true(pconn_is_connected(&p));
	PLAY(&p, &usual, { 1, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO });
	assert_false(pconn_is_connected(&p));
}

static void
p16_close_lets_an_attempt_come_to_its_end(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_CLOSE, SHUT, PCONN_LOOKUP, NO },
	    { 2, PCONN_LOOKED_UP, DIAL | STOP, PCONN_DIAL, NO },
	    { 2, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 3, PCONN_HANDLED, GO | STOP, PCONN_DIAL, NO },
	    { 4, PCONN_DIALED, REPORT | DROP, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
	PLAY(&p, &usual, { 5, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO },
	    { 6, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
}

static void
p16_close_dials_no_further_endpoint(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 4, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO },
	    { 5, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 6, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
}

static void
p16_close_lets_two_dials_under_way_come_to_their_end(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 2, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO },
	    { 3, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 4, PCONN_HANDLED, DIAL | STOP, PCONN_DIAL, NO },
	    { 5, PCONN_DIALED, REPORT | DROP, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
	PLAY(&p, &usual, { 6, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO },
	    { 7, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 2, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO },
	    { 3, PCONN_DIAL_FAILED, DIAL | STOP, PCONN_DIAL, NO, .further = true, .same = true },
	    { 4, PCONN_DIAL_FAILED, BAD | FINISHED, PCONN_CLOSED, NO, .same = true });
}

/* The handler of an address that was obtained before ends, and it is dialled: the last one. */
static void
p16_close_in_a_handler_of_the_attempt_stops_it_when_that_ends(void **state)
{
	static const enum pconn_event ends[] = { PCONN_CLOSE, PCONN_DRAIN, PCONN_ABORT };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pconn p = { 0 };
		const struct row obtained = { 1, ends[i], SHUT, PCONN_OBTAINED, NO };
		const struct row failed = { 2, ends[i], SHUT, PCONN_FAILED, NO };

		PLAY(&p, &usual, TO_OBTAINED);
		play(&p, &usual, &obtained, 1);
		PLAY(&p, &usual, { 2, PCONN_HANDLED, GO | STOP, PCONN_DIAL, NO },
		    { 3, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
		    { 4, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
		p = (struct pconn){ 0 };
		PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true });
		play(&p, &usual, &failed, 1);
		PLAY(&p, &usual, { 3, PCONN_HANDLED, DIAL | STOP, PCONN_DIAL, NO },
		    { 4, PCONN_DIAL_FAILED, BAD | FINISHED, PCONN_CLOSED, NO, .same = true });
	}
}

static void
p16_close_cuts_a_wait_short_and_drops_a_connection(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_CLOSE, SHUT | FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_CLOSE, SHUT | REPORT | DROP, PCONN_DISCONNECTED, NO, .ready = 1 },
	    { 2, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO }, { 3, PCONN_WAKE, 0, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO },
	    { 1, PCONN_CLOSE, SHUT, PCONN_ATTEMPTING, NO }, { 2, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
}

static void
p17_is_closed_at_once_or_when_a_drain_takes_effect(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP);
	assert_false(pconn_is_closed(&p));
	PLAY(&p, &usual, { 1, PCONN_CLOSE, SHUT, PCONN_LOOKUP, NO });
	assert_true(pconn_is_closed(&p));
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_false(pconn_is_closed(&p));
	PLAY(&p, &usual, { 2, PCONN_LOST, SHUT | REPORT | DROP, PCONN_DISCONNECTED, NO });
	assert_true(pconn_is_closed(&p));
}

static void
p18_it_finishes_once_and_starts_nothing(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_CLOSE, SHUT | FINISHED, PCONN_CLOSED, NO },
	    { 2, PCONN_CLOSE, 0, PCONN_CLOSED, NO }, { 3, PCONN_DRAIN, 0, PCONN_CLOSED, NO },
	    { 10000, PCONN_DEADLINE, 0, PCONN_CLOSED, NO }, { 10001, PCONN_HELD, 0, PCONN_CLOSED, NO, .held = 1 });
}

static void
p19_the_other_sides_closing_is_no_close(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 2, PCONN_HANDLED, 0, PCONN_WAIT, 10000 });
	assert_false(pconn_is_closed(&p));
}

static void
p20_drain_keeps_the_current_connection(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 60000, PCONN_LOST, SHUT | REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 60001, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
}

static void
p20_drain_closes_what_an_attempt_brings_without_connected(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DRAIN, SHUT | STOP, PCONN_DIAL, NO },
	    { 2, PCONN_DIALED, DROP | FINISHED, PCONN_CLOSED, NO, .ready = 1 });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_DRAIN, SHUT | FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_DRAIN, SHUT, PCONN_LOOKUP, NO },
	    { 2, PCONN_LOOKED_UP, FINISHED, PCONN_CLOSED, NO });
}

static void
p21_an_abort_stops_for_good_and_still_reports_its_failure(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_ABORT, SHUT, PCONN_LOOKUP, NO },
	    { 1, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 2, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
	assert_int_equal(p.ending, PCONN_END_ABORT);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_ABORT, SHUT | FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_ABORT, SHUT | STOP, PCONN_DIAL, NO },
	    { 2, PCONN_DIALED, DROP | FINISHED, PCONN_CLOSED, NO, .ready = 1 });
}

static void
p21_the_first_of_abort_and_drain_wins(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 2, PCONN_ABORT, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.ending, PCONN_END_DRAIN);
	PLAY(&p, &usual, { 3, PCONN_CLOSE, SHUT | REPORT | DROP, PCONN_DISCONNECTED, NO, .ready = 1 },
	    { 4, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO }, { 5, PCONN_CLOSE, 0, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_ABORT, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 2, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.ending, PCONN_END_ABORT);
}

static void
open_starts_anew_after_any_end(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_ABORT, SHUT | FINISHED, PCONN_CLOSED, NO },
	    { 2, PCONN_OPEN, REPORT, PCONN_ATTEMPTING, NO });
	assert_int_equal(p.ending, PCONN_END_NONE);
	assert_int_equal(p.failures, 0);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO },
	    { 2, PCONN_OPEN, 0, PCONN_DIAL, NO });
	assert_false(pconn_is_closed(&p));
	PLAY(&p, &usual, { 2, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO });
	assert_true(pconn_is_closed(&p));
	PLAY(&p, &usual, { 2, PCONN_OPEN, 0, PCONN_DIAL, NO });
	PLAY(&p, &usual, { 3, PCONN_DIAL_FAILED, BAD | FINISHED | REPORT, PCONN_ATTEMPTING, NO, .same = true });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 2, PCONN_OPEN, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.ending, PCONN_END_NONE);
}

static void
a_reload_begins_an_attempt_under_way_anew(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_RENEW, LOOKUP, PCONN_LOOKUP, NO },
	    { 2, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO },
	    { 2, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 3, PCONN_RENEW, 0, PCONN_OBTAINED, NO }, { 4, PCONN_HANDLED, DROP | LOOKUP, PCONN_LOOKUP, NO },
	    { 5, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 5, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 6, PCONN_RENEW, DROP | LOOKUP, PCONN_LOOKUP, NO, .dialling = 1 },
	    { 7, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 7, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 8, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 9, PCONN_RENEW, 0, PCONN_FAILED, NO }, { 10, PCONN_HANDLED, DROP, PCONN_WAIT, 9 },
	    { 10, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
	assert_int_equal(p.failures, 0); /* the second endpoint was not tried */
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO },
	    { 2, PCONN_RENEW, DROP | FINISHED, PCONN_CLOSED, NO, .dialling = 1 });
}

/* What was dialled for what the service was before is dropped when the handler has ended, and begun anew. */
static void
a_reload_in_a_handler_of_the_attempt_drops_its_dials(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 2, PCONN_RENEW, 0, PCONN_OBTAINED, NO, .dialling = 1 },
	    { 3, PCONN_HANDLED, DROP | LOOKUP, PCONN_LOOKUP, NO, .dialling = 1 },
	    { 4, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO },
	    { 4, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 5, PCONN_HANDLED, GO, PCONN_DIAL, NO }, /* once */
	    { 6, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 7, PCONN_RENEW, 0, PCONN_FAILED, NO, .dialling = 1 },
	    { 8, PCONN_HANDLED, DROP, PCONN_WAIT, 7, .dialling = 1 });
	assert_int_equal(p.failures, 0);
	PLAY(&p, &usual, { 8, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 9, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 10, PCONN_HANDLED, 0, PCONN_WAIT, 10008 });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_OBTAINED, { 1, PCONN_RENEW, 0, PCONN_OBTAINED, NO },
	    { 2, PCONN_CLOSE, SHUT, PCONN_OBTAINED, NO }, { 3, PCONN_HANDLED, DROP | FINISHED, PCONN_CLOSED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 2, PCONN_CLOSE, SHUT, PCONN_FAILED, NO }, { 3, PCONN_RENEW, 0, PCONN_FAILED, NO },
	    { 4, PCONN_HANDLED, DROP | FINISHED, PCONN_CLOSED, NO });
}

static void
a_reload_connects_anew(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 3, PCONN_RENEW, LOOKUP, PCONN_LOOKUP, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_HANDLING, { 1, PCONN_RENEW, DROP, PCONN_CONNECTED, NO, .ready = 1 },
	    { 2, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO }, { 3, PCONN_RENEW, 0, PCONN_DISCONNECTED, NO },
	    { 4, PCONN_HANDLED, 0, PCONN_WAIT, 3 }, { 4, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED, { 1, PCONN_DRAIN, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 2, PCONN_RENEW, SHUT | REPORT | DROP, PCONN_DISCONNECTED, NO, .ready = 1 },
	    { 3, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO }, { 4, PCONN_RENEW, 0, PCONN_CLOSED, NO });
}

static void
a_reload_forgets_an_abort_but_no_operator(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_ABORT, SHUT | FINISHED, PCONN_CLOSED, NO },
	    { 2, PCONN_RENEW, REPORT, PCONN_ATTEMPTING, NO });
	assert_int_equal(p.ending, PCONN_END_NONE);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_LOOKUP, { 1, PCONN_ABORT, SHUT, PCONN_LOOKUP, NO },
	    { 1, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO }, { 2, PCONN_RENEW, 0, PCONN_FAILED, NO });
	assert_false(pconn_is_closed(&p));
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_WAIT, { 1, PCONN_ABORT, SHUT | FINISHED, PCONN_CLOSED, NO },
	    { 2, PCONN_CLOSE, 0, PCONN_CLOSED, NO }, { 3, PCONN_RENEW, 0, PCONN_CLOSED, NO });
}

static void
a_reload_without_a_client_stays_idle_with_warm_0(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 0;
	PLAY(&p, &s, { 0, PCONN_START, 0, PCONN_IDLE, NO }, { 1, PCONN_RENEW, 0, PCONN_IDLE, NO });
	s.warm = 1;
	PLAY(&p, &s, { 2, PCONN_RENEW, REPORT, PCONN_ATTEMPTING, NO });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p13_connected_is_seen_before_the_handler_runs_and_never_dead),
		cmocka_unit_test(p13_not_while_an_ended_one_is_being_replaced),
		cmocka_unit_test(p14_the_next_attempt_to_end_answers_reported_or_not),
		cmocka_unit_test(p14_a_close_answers),
		cmocka_unit_test(p15_current_is_told_though_it_may_be_dead),
		cmocka_unit_test(p16_close_lets_an_attempt_come_to_its_end),
		cmocka_unit_test(p16_close_dials_no_further_endpoint),
		cmocka_unit_test(p16_close_lets_two_dials_under_way_come_to_their_end),
		cmocka_unit_test(p16_close_in_a_handler_of_the_attempt_stops_it_when_that_ends),
		cmocka_unit_test(p16_close_cuts_a_wait_short_and_drops_a_connection),
		cmocka_unit_test(p17_is_closed_at_once_or_when_a_drain_takes_effect),
		cmocka_unit_test(p18_it_finishes_once_and_starts_nothing),
		cmocka_unit_test(p19_the_other_sides_closing_is_no_close),
		cmocka_unit_test(p20_drain_keeps_the_current_connection),
		cmocka_unit_test(p20_drain_closes_what_an_attempt_brings_without_connected),
		cmocka_unit_test(p21_an_abort_stops_for_good_and_still_reports_its_failure),
		cmocka_unit_test(p21_the_first_of_abort_and_drain_wins),
		cmocka_unit_test(open_starts_anew_after_any_end),
		cmocka_unit_test(a_reload_begins_an_attempt_under_way_anew),
		cmocka_unit_test(a_reload_in_a_handler_of_the_attempt_drops_its_dials),
		cmocka_unit_test(a_reload_connects_anew),
		cmocka_unit_test(a_reload_forgets_an_abort_but_no_operator),
		cmocka_unit_test(a_reload_without_a_client_stays_idle_with_warm_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
