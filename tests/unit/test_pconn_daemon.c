/* test_pconn_daemon.c - rules P23 to P30: what the daemon adds to the persistent connection. */
#include "pconn_story.h"

static void
p23_endpoints_are_tried_in_one_attempt(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 5000, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 5000, PCONN_HANDLED, DIAL, PCONN_DIAL, NO });
	assert_int_equal(p.failures, 0);
	PLAY(&p, &usual, { 5000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 5001, PCONN_DIAL_FAILED, DIAL, PCONN_DIAL, NO, .further = true, .same = true },
	    { 5001, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 5001, PCONN_HANDLED, GO, PCONN_DIAL, NO },
	    { 5002, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
}

/* The first one is under way all along: only of the second is anything told. */
static void
p23_of_two_dials_beside_each_other_the_second_may_win(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 300, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true });
	assert_int_equal(p.event, PCONN_REPORT_OBTAINED);
	PLAY(&p, &usual, { 310, PCONN_HANDLED, GO, PCONN_DIAL, NO },
	    { 320, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 },
	    { 321, PCONN_OFFERED, 0, PCONN_CONNECTED, NO, .ready = 1, .fresh = true }, /* the race is over */
	    { 330, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.event, PCONN_REPORT_CONNECTED);
}

static void
p23_a_failure_beside_another_dial_is_told_and_the_attempt_goes_on(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 300, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 310, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true }); /* nobody is answered (P14) */
	assert_int_equal(p.event, PCONN_REPORT_FAILED);
	assert_int_equal(p.failures, 0);
	PLAY(&p, &usual, { 320, PCONN_HANDLED, DIAL, PCONN_DIAL, NO },
	    { 400, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO });
	assert_int_equal(p.failures, 1); /* one attempt, however many endpoints */
	PLAY(&p, &usual, { 410, PCONN_HANDLED, 0, PCONN_WAIT, 10000 });
}

/* P9: what the dials tell meanwhile is told afterwards, in its order. */
static void
p23_an_offer_waits_for_the_handler_of_a_failure(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 10, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 11, PCONN_OFFERED, 0, PCONN_FAILED, NO, .fresh = true }, /* told too early nothing is begun */
	    { 20, PCONN_HANDLED, DIAL, PCONN_DIAL, NO },
	    { 20, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 21, PCONN_OFFERED, 0, PCONN_OBTAINED, NO }, { 22, PCONN_DIALED, 0, PCONN_OBTAINED, NO },
	    { 23, PCONN_DIAL_FAILED, 0, PCONN_OBTAINED, NO }, { 30, PCONN_HANDLED, GO, PCONN_DIAL, NO });
}

static void
p23_one_that_gets_connected_while_another_is_told_of_wins(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 300, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 400, PCONN_HANDLED, GO, PCONN_DIAL, NO }, /* there is none to dial any more */
	    { 400, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 });
}

/* The caller keeps one endpoint's word until the attempt ends without a connection. */
static void
p23_an_abort_by_one_endpoint_ends_it_alone(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 2, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 3, PCONN_HANDLED, DIAL, PCONN_DIAL, NO },
	    { 4, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(p.ending, PCONN_END_NONE);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 2, PCONN_ABORT, SHUT, PCONN_FAILED, NO }, /* the last one's failure waits for the handler */
	    { 3, PCONN_HANDLED, DIAL | STOP, PCONN_DIAL, NO },
	    { 3, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 4, PCONN_HANDLED, FINISHED, PCONN_CLOSED, NO });
	assert_int_equal(p.ending, PCONN_END_ABORT);
}

/* P8, P23: what one attempt after the other would report. */
static void
p23_repeats_are_by_endpoint(void **state)
{
	struct repeats r;

	(void)state;
	repeats_begin(&r);
	repeats_attempt(&r);
	assert_true(repeats_try(&r, 1));
	assert_true(repeats_try(&r, 2));
	assert_false(repeats_dial_failed(&r, 1, 10));
	assert_false(repeats_dial_failed(&r, 2, 20));
	repeats_attempt(&r);
	assert_false(repeats_try(&r, 2));
	assert_true(repeats_try(&r, 3));
	assert_true(repeats_dial_failed(&r, 2, 20));
	assert_false(repeats_dial_failed(&r, 3, 20)); /* new to this address */
	repeats_attempt(&r);
	assert_false(repeats_try(&r, 3));
	assert_true(repeats_dial_failed(&r, 3, 20));
	assert_true(repeats_try(&r, 1)); /* the attempt before did not try it */
	assert_false(repeats_dial_failed(&r, 1, 10));
}

static void
p8_an_address_that_is_the_only_one_is_compared_with_the_last(void **state)
{
	static const uint16_t obtained[] = { 1, 1, 2, 1 };
	static const bool told[] = { true, false, true, true }; /* A, A, B, A gives A, B, A */
	struct repeats r;

	(void)state;
	repeats_begin(&r);
	for (size_t i = 0; i < 4; i++) {
		repeats_attempt(&r);
		assert_int_equal(repeats_try(&r, obtained[i]), told[i]);
		assert_false(repeats_try(&r, obtained[i])); /* a new worker begins the attempt's dials anew */
	}
	assert_false(repeats_dial_failed(&r, 1, 10));
	repeats_attempt(&r);
	assert_true(repeats_try(&r, 2));
	assert_true(repeats_dial_failed(&r, 2, 10)); /* the last failure of all was the same */
	assert_true(repeats_lookup_failed(&r, 10));
	assert_false(repeats_lookup_failed(&r, 30));
	repeats_attempt(&r);
	assert_false(repeats_try(&r, 2)); /* a failed lookup between tries nothing */
	assert_false(repeats_dial_failed(&r, 2, 10));
	repeats_begin(&r);
	assert_false(repeats_lookup_failed(&r, 10));
	repeats_attempt(&r);
	assert_true(repeats_try(&r, 2));
}

/* There are as many as a lookup can give; whose place another has taken is as good as new. */
static void
p23_repeats_know_as_many_endpoints_as_there_can_be(void **state)
{
	struct repeats r;

	(void)state;
	repeats_begin(&r);
	for (size_t attempt = 0; attempt < 2; attempt++) {
		repeats_attempt(&r);
		for (uint16_t i = 1; i <= ENDPOINTS_MAX; i++)
			assert_int_equal(repeats_try(&r, i), attempt == 0);
		for (uint16_t i = 1; i <= ENDPOINTS_MAX; i++)
			assert_int_equal(repeats_dial_failed(&r, i, i + 7u), attempt == 1);
	}
	repeats_attempt(&r);
	assert_true(repeats_try(&r, ENDPOINTS_MAX + 1));
	assert_false(repeats_try(&r, 2));
	assert_false(repeats_dial_failed(&r, ENDPOINTS_MAX + 1, 8)); /* the error of 1, whose place it has */
	assert_true(repeats_dial_failed(&r, ENDPOINTS_MAX + 1, 8));
	assert_true(repeats_dial_failed(&r, 2, 9));
	repeats_attempt(&r);
	assert_true(repeats_try(&r, 1));
}

static void
p24_a_wake_comes_within_spread_when_nobody_is_held(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 3000, PCONN_WAKE, 0, PCONN_WAIT, 3500, .roll = 0x80000000u },
	    { 3000, PCONN_WAKE, 0, PCONN_WAIT, 3500, .roll = 0xc0000000u }, /* not later than promised */
	    { 3500, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 3500, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 13500, .same = true }, /* its own delay (P4) */
	    { 4000, PCONN_WAKE, 0, PCONN_WAIT, 4000 });
}

static void
p24_a_wake_is_at_once_when_somebody_is_held(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 3000, PCONN_WAKE, 0, PCONN_WAIT, 10, .held = 1, .roll = 0x80000000u });
	p = (struct pconn){ 0 };
	s.hold_retry = 0;
	PLAY(&p, &s, TO_WAIT, { 3, PCONN_WAKE, 0, PCONN_WAIT, 10, .held = 1 }); /* 10 ms after the attempt at least */
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_WAKE, 0, PCONN_DIAL, NO }, /* during an attempt: after it */
	    { 5, PCONN_DIAL_FAILED, BAD, PCONN_WAIT, 505, .same = true, .roll = 0x80000000u });
}

/* Attempts that fail at once, with somebody held from `from` on: the gap of the first attempt after `at`. */
static int64_t
gap_after(struct pconn *p, const struct pconn_settings *s, int64_t at_ms)
{
	struct row row = { 0, PCONN_DEADLINE, 0, 0, 0, .held = 1, .same = true };

	for (;;) {
		int64_t before = p->attempt_at;

		row.ms = (p->deadline + MS - 1) / MS;
		row.event = PCONN_DEADLINE;
		step_row(p, s, &row);
		assert_int_equal(p->state, PCONN_LOOKUP);
		row.event = PCONN_LOOKUP_FAILED;
		step_row(p, s, &row);
		assert_int_equal(p->state, PCONN_WAIT);
		if (before >= at_ms * MS)
			return p->attempt_at - before;
	}
}

static void
p24_gaps_grow_while_somebody_is_held(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 5000, PCONN_HELD, 0, PCONN_WAIT, 10, .held = 1 },
	    { 5000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO, .held = 1 },
	    { 5000, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 5010, .same = true, .held = 1 });
	assert_in_range(gap_after(&p, &usual, 5100), 10 * MS, 11 * MS);
	assert_in_range(gap_after(&p, &usual, 8000), 180 * MS, 210 * MS);  /* 1/16 of 3 s */
	assert_in_range(gap_after(&p, &usual, 12000), 250 * MS, 251 * MS); /* hold_retry */
	assert_in_range(gap_after(&p, &usual, 16000), 500 * MS, 501 * MS);
	assert_in_range(gap_after(&p, &usual, 25500), CLOCK_SECOND, CLOCK_SECOND + MS);
	assert_in_range(gap_after(&p, &usual, 400000), 10 * CLOCK_SECOND, 10 * CLOCK_SECOND + MS); /* the delay */
}

static void
p24_gaps_are_jittered_and_hold_retry_0_keeps_to_the_delay(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	assert_int_equal(delay_gap(4 * CLOCK_SECOND, s.hold_retry, s.retry.delay, 0x80000001u), 250 * MS * 115 / 100);
	assert_int_equal(delay_gap(4 * CLOCK_SECOND, s.hold_retry, s.retry.delay, 0x80000000u), 250 * MS * 85 / 100);
	s.hold_retry = 0;
	PLAY(&p, &s, TO_WAIT, { 1, PCONN_HELD, 0, PCONN_WAIT, 10000, .held = 1 });
}

/* Else all hosts would dial a machine that is gone in step, each time that connect_timeout is over. */
static void
p24_after_a_time_out_the_next_attempt_comes_within_hold_retry(void **state)
{
	static const struct row failed = { 10000, PCONN_LOOKUP_FAILED, .held = 1, .same = true, .roll = 0x80000000u };
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 5000, PCONN_HELD, 0, PCONN_WAIT, 10, .held = 1 },
	    { 5000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO, .held = 1 });
	step_row(&p, &usual, &failed);
	assert_int_equal(p.state, PCONN_WAIT);
	assert_int_equal(p.deadline, 10000 * MS + 250 * MS * 85 / 100 / 2);
}

static void
p24_when_nobody_is_held_any_more_the_delay_holds(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 5, PCONN_HELD, 0, PCONN_WAIT, 10, .held = 1 },
	    { 6, PCONN_HELD, 0, PCONN_WAIT, 10000 });
}

static void
p25_a_taken_connection_is_refilled_after_20_ms(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 100, PCONN_TAKEN, 0, PCONN_CONNECTED, 120 },
	    { 119, PCONN_HELD, 0, PCONN_CONNECTED, 120 }, { 120, PCONN_DEADLINE, FILL, PCONN_CONNECTED, NO },
	    { 121, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 1 });
}

static void
p25_or_at_the_first_relayed_byte(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 100, PCONN_TAKEN, 0, PCONN_CONNECTED, 120 },
	    { 101, PCONN_ANSWERED, FILL, PCONN_CONNECTED, NO },
	    { 120, PCONN_DEADLINE, 0, PCONN_CONNECTED, NO, .dialling = 1 });
}

static void
p25_only_a_failed_replacement_loses_the_service(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 60000, PCONN_TAKEN, 0, PCONN_CONNECTED, 60020 },
	    { 60020, PCONN_DEADLINE, FILL, PCONN_CONNECTED, NO },
	    { 60021, PCONN_DIAL_FAILED, BAD | REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 60022, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }, { 60022, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO });
}

static void
p25_several_warm_ones_are_lost_only_when_none_is_ready(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 3;
	PLAY(&p, &s, TO_DIAL, { 0, PCONN_DIALED, REPORT | YES | FILL, PCONN_CONNECTED, NO, .ready = 1 },
	    { 0, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1, .dialling = 2 },
	    { 1, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 2, .dialling = 1 },
	    { 2, PCONN_DIAL_FAILED, 0, PCONN_CONNECTED, 10002, .ready = 2 },
	    { 3, PCONN_TAKEN, 0, PCONN_CONNECTED, 10002, .ready = 1 },
	    { 10002, PCONN_DEADLINE, FILL, PCONN_CONNECTED, NO, .ready = 1 });
	s.warm = 1;
	assert_int_equal(pconn_wanted(&p, &s, &(struct pconn_input){ .ready = 1 }), 0);
	assert_int_equal(pconn_wanted(&p, &s, &(struct pconn_input){ .held = 9, .ready = 1, .dialling = 2 }), 6);
	assert_int_equal(pconn_wanted(&p, &s, &(struct pconn_input){ .held = 999, .dialling = 4 }), 60);
	assert_int_equal(pconn_wanted(&p, &s, &(struct pconn_input){ .held = 999, .dialling = 64 }), 0);
}

static void
p25_a_crowd_is_dialled_for_side_by_side(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 5, PCONN_HELD, FILL, PCONN_CONNECTED, NO, .held = 90, .ready = 1 },
	    { 6, PCONN_DIALED, YES | FILL, PCONN_CONNECTED, NO, .held = 89, .ready = 1, .dialling = 63 },
	    { 7, PCONN_HELD, 0, PCONN_CONNECTED, NO, .held = 10, .ready = 0, .dialling = 64 },
	    { 8, PCONN_DIAL_FAILED, 0, PCONN_CONNECTED, NO, .held = 10, .dialling = 63 }); /* no loss yet */
}

static void
p26_what_ran_is_begun_again_and_nothing_else(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO });
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 0, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO });
	assert_int_equal(pconn_resume(&p), LOOKUP);
	PLAY(&p, &usual, { 0, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO });
	assert_int_equal(pconn_resume(&p), DIAL);
	PLAY(&p, &usual, { 0, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true });
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 0, PCONN_HANDLED, GO, PCONN_DIAL, NO });
	assert_int_equal(pconn_resume(&p), DIAL);
	PLAY(&p, &usual, { 0, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 0, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_int_equal(pconn_resume(&p), 0);
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_WAIT);
	assert_int_equal(pconn_resume(&p), 0);
	assert_int_equal(p.deadline, 10000 * MS); /* the delay goes on */
	assert_true(sizeof p < 512);
}

/* Of the dials nothing is left: GO and DIAL begin them anew, and an address that was told is not told again. */
static void
p26_a_death_in_a_handler_of_the_attempt_begins_its_dials_anew(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_OBTAINED);
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 5, PCONN_HANDLED, GO, PCONN_DIAL, NO }, { 5, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 6, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true });
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 7, PCONN_HANDLED, DIAL, PCONN_DIAL, NO }, { 7, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 8, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO });
	assert_int_equal(pconn_resume(&p), PCONN_DO_HANDLE);
	PLAY(&p, &usual, { 9, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }); /* the attempt was over */
}

static void
p16_p26_a_new_worker_offers_no_second_endpoint_after_a_close(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 1, PCONN_CLOSE, SHUT | STOP, PCONN_DIAL, NO });
	assert_int_equal(pconn_resume(&p), DIAL | STOP);
}

static void
p27_an_unused_one_that_ends_is_replaced_without_an_event(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 60000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 60000, .elsewhere = true },
	    { 60001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 });
	PLAY(&p, &usual, { 60002, PCONN_TAKEN, 0, PCONN_CONNECTED, 60022 },
	    { 60022, PCONN_DEADLINE, FILL, PCONN_CONNECTED, NO },
	    { 60023, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 1 },
	    { 90000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 29000, .elsewhere = true },
	    { 90001, PCONN_DIAL_FAILED, BAD | REPORT | DROP, PCONN_DISCONNECTED, NO });
}

static void
p27_a_young_one_that_ends_is_a_failed_attempt(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 10000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 10000, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 },
	    { 10000, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1 },
	    { 10999, PCONN_ENDED, BAD | REPORT | DROP, PCONN_DISCONNECTED, NO, .age_ms = 999 });
	assert_int_equal(p.failures, 2);
	PLAY(&p, &usual, { 11000, PCONN_HANDLED, 0, PCONN_WAIT, 20000 });
}

static void
p27_a_young_one_that_ends_is_replaced_at_another_endpoint(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 500, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 500, .elsewhere = true },
	    { 501, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 1 });
}

static void
p28_two_expiries_without_a_client_bring_a_rest(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED,
	    { 60000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 60000, .elsewhere = true },
	    { 60001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 },
	    { 120000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 59999, .elsewhere = true },
	    { 120001, PCONN_DIALED, YES | DROP | PCONN_DO_EXPIRED | PCONN_DO_REST, PCONN_CONNECTED, NO, .ready = 1 });
	assert_true(p.resting);
	PLAY(&p, &usual, { 120002, PCONN_HELD, 0, PCONN_CONNECTED, NO },
	    { 130000, PCONN_HELD, LOOKUP, PCONN_CONNECTED, NO, .held = 1 },
	    { 130001, PCONN_LOOKED_UP, FILL, PCONN_CONNECTED, NO, .held = 1 });
	assert_false(p.resting);
}

static void
p28_a_wake_ends_the_rest_and_a_client_between_prevents_it(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED);
	p.resting = 1;
	PLAY(&p, &usual, { 1000, PCONN_WAKE, 0, PCONN_CONNECTED, 1500, .roll = 0x80000000u },
	    { 1500, PCONN_DEADLINE, LOOKUP, PCONN_CONNECTED, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_CONNECTED,
	    { 60000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 60000, .elsewhere = true },
	    { 60001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 },
	    { 60002, PCONN_TAKEN, 0, PCONN_CONNECTED, 60022 }, { 60022, PCONN_DEADLINE, FILL, PCONN_CONNECTED, NO },
	    { 60023, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 1 },
	    { 120000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 59977, .elsewhere = true },
	    { 120001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 });
	assert_false(p.resting);
}

static void
p28_several_that_end_together_are_one_expiry(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 2;
	PLAY(&p, &s, TO_DIAL, { 0, PCONN_DIALED, REPORT | YES | FILL, PCONN_CONNECTED, NO, .ready = 1 },
	    { 0, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1, .dialling = 1 },
	    { 1, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 2 },
	    { 60000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .ready = 1, .age_ms = 60000, .elsewhere = true },
	    { 60001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 2 },
	    { 60002, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .ready = 1, .age_ms = 60001, .elsewhere = true },
	    { 60003, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .ready = 2 });
	assert_false(p.resting);
}

static void
p29_one_dropped_at_the_hand_over_is_made_up_for_at_once(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 60000, PCONN_HELD, FILL, PCONN_CONNECTED, NO, .held = 1 });
}

static void
p30_nothing_is_dialled_before_a_client(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 0;
	PLAY(&p, &s, { 0, PCONN_START, 0, PCONN_IDLE, NO }, { 5, PCONN_WAKE, 0, PCONN_IDLE, NO },
	    { 9, PCONN_HELD, REPORT, PCONN_ATTEMPTING, NO, .held = 1 },
	    { 9, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO, .held = 1 },
	    { 9, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO, .held = 1 },
	    { 9, PCONN_OFFERED, GO, PCONN_DIAL, NO, .held = 1 },
	    { 9, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .held = 1, .ready = 1 },
	    { 9, PCONN_TAKEN, 0, PCONN_CONNECTED, NO }, { 9, PCONN_HANDLED, 0, PCONN_CONNECTED, NO },
	    { 10, PCONN_HELD, 0, PCONN_CONNECTED, NO },
	    { 99, PCONN_HELD, LOOKUP, PCONN_CONNECTED, NO, .held = 1 }, /* P2: its dial is the attempt */
	    { 99, PCONN_LOOKED_UP, FILL, PCONN_CONNECTED, NO, .held = 1 },
	    { 99, PCONN_DIAL_FAILED, BAD | REPORT | DROP, PCONN_DISCONNECTED, NO, .held = 1 });
}

static void
p30_without_a_client_no_further_attempt(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 0;
	PLAY(&p, &s, { 0, PCONN_START, 0, PCONN_IDLE, NO },
	    { 0, PCONN_HELD, REPORT, PCONN_ATTEMPTING, NO, .held = 1 },
	    { 0, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO, .held = 1 },
	    { 0, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 10000, .same = true },
	    { 10000, PCONN_DEADLINE, 0, PCONN_IDLE, NO },
	    { 20000, PCONN_HELD, LOOKUP, PCONN_LOOKUP, NO, .held = 1 }); /* P7: the same outage */
}

/* P1: the attempt's connection proves that the server is there; whether it is kept is no matter of the machine's. */
static void
p30_an_eager_one_is_tried_at_once_and_again_though_none_is_kept(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.warm = 0;
	s.eager = true;
	PLAY(&p, &s, TO_WAIT, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 10000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 10000, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 },
	    { 10000, PCONN_HANDLED, 0, PCONN_CONNECTED, NO },
	    { 20000, PCONN_HELD, FILL, PCONN_CONNECTED, NO, .held = 1 }); /* the addresses are known */
}

static void
p28_where_warm_fades_two_expiries_end_it_for_good(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	s.fades = true;
	PLAY(&p, &s, TO_CONNECTED,
	    { 60000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 60000, .elsewhere = true },
	    { 60001, PCONN_DIALED, YES | PCONN_DO_EXPIRED, PCONN_CONNECTED, NO, .ready = 1 },
	    { 120000, PCONN_ENDED, FILL, PCONN_CONNECTED, NO, .age_ms = 59999, .elsewhere = true },
	    { 120001, PCONN_DIALED, YES | DROP | PCONN_DO_EXPIRED | PCONN_DO_REST, PCONN_CONNECTED, NO, .ready = 1 },
	    { 130000, PCONN_HELD, LOOKUP, PCONN_CONNECTED, NO, .held = 1 },
	    { 130001, PCONN_LOOKED_UP, FILL, PCONN_CONNECTED, NO, .held = 1 },
	    { 130002, PCONN_DIALED, YES, PCONN_CONNECTED, NO, .held = 1, .ready = 1 },
	    { 130002, PCONN_TAKEN, 0, PCONN_CONNECTED, NO }, { 140000, PCONN_HELD, 0, PCONN_CONNECTED, NO });
	assert_int_equal(pconn_warm(&p, &s), 0);
	s.fades = false; /* an operator has said a number */
	assert_int_equal(pconn_warm(&p, &s), 1);
}

static void
p28_where_warm_fades_a_server_that_speaks_first_ends_it_until_a_reload(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	PLAY(&p, &s, TO_CONNECTED, { 10, PCONN_SPOKE, 0, PCONN_CONNECTED, NO, .ready = 1 });
	s.fades = true;
	PLAY(&p, &s, { 10, PCONN_SPOKE, PCONN_DO_REST, PCONN_CONNECTED, NO, .ready = 1 },
	    { 11, PCONN_SPOKE, 0, PCONN_CONNECTED, NO, .ready = 1 }, /* said once */
	    { 12, PCONN_ENDED, 0, PCONN_CONNECTED, NO, .age_ms = 2000, .elsewhere = true },
	    { 20, PCONN_RENEW, REPORT | DROP, PCONN_DISCONNECTED, NO });
	assert_int_equal(pconn_warm(&p, &s), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p23_endpoints_are_tried_in_one_attempt),
		cmocka_unit_test(p23_of_two_dials_beside_each_other_the_second_may_win),
		cmocka_unit_test(p23_a_failure_beside_another_dial_is_told_and_the_attempt_goes_on),
		cmocka_unit_test(p23_an_offer_waits_for_the_handler_of_a_failure),
		cmocka_unit_test(p23_one_that_gets_connected_while_another_is_told_of_wins),
		cmocka_unit_test(p23_an_abort_by_one_endpoint_ends_it_alone),
		cmocka_unit_test(p23_repeats_are_by_endpoint),
		cmocka_unit_test(p8_an_address_that_is_the_only_one_is_compared_with_the_last),
		cmocka_unit_test(p23_repeats_know_as_many_endpoints_as_there_can_be),
		cmocka_unit_test(p24_a_wake_comes_within_spread_when_nobody_is_held),
		cmocka_unit_test(p24_a_wake_is_at_once_when_somebody_is_held),
		cmocka_unit_test(p24_gaps_grow_while_somebody_is_held),
		cmocka_unit_test(p24_gaps_are_jittered_and_hold_retry_0_keeps_to_the_delay),
		cmocka_unit_test(p24_after_a_time_out_the_next_attempt_comes_within_hold_retry),
		cmocka_unit_test(p24_when_nobody_is_held_any_more_the_delay_holds),
		cmocka_unit_test(p25_a_taken_connection_is_refilled_after_20_ms),
		cmocka_unit_test(p25_or_at_the_first_relayed_byte),
		cmocka_unit_test(p25_only_a_failed_replacement_loses_the_service),
		cmocka_unit_test(p25_several_warm_ones_are_lost_only_when_none_is_ready),
		cmocka_unit_test(p25_a_crowd_is_dialled_for_side_by_side),
		cmocka_unit_test(p26_what_ran_is_begun_again_and_nothing_else),
		cmocka_unit_test(p26_a_death_in_a_handler_of_the_attempt_begins_its_dials_anew),
		cmocka_unit_test(p16_p26_a_new_worker_offers_no_second_endpoint_after_a_close),
		cmocka_unit_test(p27_an_unused_one_that_ends_is_replaced_without_an_event),
		cmocka_unit_test(p27_a_young_one_that_ends_is_a_failed_attempt),
		cmocka_unit_test(p27_a_young_one_that_ends_is_replaced_at_another_endpoint),
		cmocka_unit_test(p28_two_expiries_without_a_client_bring_a_rest),
		cmocka_unit_test(p28_a_wake_ends_the_rest_and_a_client_between_prevents_it),
		cmocka_unit_test(p28_several_that_end_together_are_one_expiry),
		cmocka_unit_test(p29_one_dropped_at_the_hand_over_is_made_up_for_at_once),
		cmocka_unit_test(p30_nothing_is_dialled_before_a_client),
		cmocka_unit_test(p30_without_a_client_no_further_attempt),
		cmocka_unit_test(p30_an_eager_one_is_tried_at_once_and_again_though_none_is_kept),
		cmocka_unit_test(p28_where_warm_fades_two_expiries_end_it_for_good),
		cmocka_unit_test(p28_where_warm_fades_a_server_that_speaks_first_ends_it_until_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
