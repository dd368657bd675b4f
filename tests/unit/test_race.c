/* test_race.c - one client's dials beside each other: P23, RFC 8305; and what becomes of an endpoint that was late.
 *
 * A row is { milliseconds, event, endpoint -> to do, which one is dialled, deadline }.
 */
#include "endpoints_story.h"

#define DIAL   RACE_DO_DIAL
#define USE    256u /* it is won with this, which no bit says */
#define FAIL   RACE_DO_FAIL

struct row {
	int64_t ms;
	enum race_event event;
	char letter;
	unsigned todo;
	char dial;
	int64_t deadline_ms;
};

static struct endpoints e;
static struct race r;

static int
setup(void **state)
{
	(void)state;
	memset(&e, 0, sizeof e);
	memset(&r, 0, sizeof r);
	list(&e, "abc", 1);
	return 0;
}

/* Plays the rows as who makes the dials does: endpoints are told first. */
static void
play(const struct endpoints_settings *s, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct race_input in = { .event = row->event, .now = row->ms * MS, .roll = DELAY_EXACT };
		int64_t deadline = row->deadline_ms == NEVER ? CLOCK_NEVER : row->deadline_ms * MS;
		bool ran = r.state == RACE_RUNS;
		unsigned todo;

		if (row->letter != 0) {
			in.number = number_of(&e, row->letter);
			tell(&e, s, row->event == RACE_FAILED ? ENDPOINTS_FAILED : ENDPOINTS_CONNECTED, row->letter,
			    row->ms, 0);
		}
		todo = race_step(&r, &e, s, &in) | (ran && r.state == RACE_WON ? USE : 0);
		if (todo != row->todo || r.deadline != deadline ||
		    ((todo & DIAL) != 0 && letter_of(&e, r.dial) != row->dial))
			fail_msg("row %zu: to do %#x instead of %#x, dial %c instead of %c, deadline %lld us "
			    "instead of %lld", i, todo, row->todo, letter_of(&e, r.dial), row->dial,
			    (long long)r.deadline, (long long)deadline);
		if ((todo & DIAL) != 0)
			tell(&e, s, ENDPOINTS_BEGAN, row->dial, row->ms, row->ms);
	}
}

#define PLAY(s, ...) \
	do { \
		static const struct row rows_[] = { __VA_ARGS__ }; \
		play((s), rows_, sizeof rows_ / sizeof *rows_); \
	} while (0)

static void
p23_the_first_that_answers_is_used_and_the_others_are_cancelled(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 249, RACE_DEADLINE, 0, 0, 0, 250 },
	    { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 }, { 500, RACE_DEADLINE, 0, DIAL, 'c', 750 },
	    { 600, RACE_CONNECTED, 'b', USE, 0, NEVER }, { 601, RACE_CONNECTED, 'a', 0, 0, NEVER },
	    { 601, RACE_FAILED, 'c', 0, 0, NEVER }, { 750, RACE_DEADLINE, 0, 0, 0, NEVER });
	assert_int_equal(r.under_way, bit_of(&e, 'a') | bit_of(&e, 'c'));
}

static void
p23_a_failure_begins_the_next_at_once(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 10, RACE_FAILED, 'a', DIAL, 'b', 260 },
	    { 20, RACE_FAILED, 'b', DIAL, 'c', 270 }, { 30, RACE_CONNECTED, 'c', USE, 0, NEVER });
}

static void
p23_of_those_beside_each_other_only_the_one_before_counts(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 },
	    { 260, RACE_FAILED, 'a', 0, 0, 500 }, { 300, RACE_FAILED, 'b', DIAL, 'c', 550 });
}

static void
p23_it_fails_when_all_have(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 },
	    { 300, RACE_FAILED, 'b', DIAL, 'c', 550 }, { 550, RACE_DEADLINE, 0, 0, 0, NEVER },
	    { 600, RACE_FAILED, 'c', 0, 0, NEVER }, { 5000, RACE_FAILED, 'a', FAIL, 0, NEVER },
	    { 5001, RACE_FAILED, 'a', 0, 0, NEVER });
	assert_int_equal(r.state, RACE_LOST);
	assert_int_equal(r.under_way, 0);
}

static void
stagger_0_is_one_after_the_other(void **state)
{
	struct endpoints_settings s = usual;

	(void)state;
	s.stagger = 0;
	PLAY(&s, { 0, RACE_START, 0, DIAL, 'a', NEVER }, { 5000, RACE_FAILED, 'a', DIAL, 'b', NEVER },
	    { 6000, RACE_FAILED, 'b', DIAL, 'c', NEVER }, { 7000, RACE_FAILED, 'c', FAIL, 0, NEVER });
}

static void
a_deadline_that_is_told_late_begins_one_dial_then(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 3000, RACE_DEADLINE, 0, DIAL, 'b', 3250 });
}

static void
without_an_endpoint_it_fails_at_once(void **state)
{
	(void)state;
	endpoints_renew(&e);
	PLAY(&usual, { 0, RACE_START, 0, FAIL, 0, NEVER });
}

static void
p16_stopped_it_begins_no_further_dial(void **state)
{
	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 },
	    { 300, RACE_STOP, 0, 0, 0, NEVER }, { 310, RACE_FAILED, 'b', 0, 0, NEVER },
	    { 320, RACE_CONNECTED, 'a', USE, 0, NEVER });
	setup(state);
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 10, RACE_STOP, 0, 0, 0, NEVER },
	    { 20, RACE_FAILED, 'a', FAIL, 0, NEVER });
}

/* Ten addresses, nine of them drop what is sent to them. */
static void
later_ones_do_not_wait_for_those_that_were_late(void **state)
{
	int64_t ms = 0;

	(void)state;
	list(&e, "abcdefghij", 1);
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 });
	for (char letter = 'b'; letter <= 'j'; letter++) {
		ms += 250;
		play(&usual, &(struct row){ ms, RACE_DEADLINE, 0, DIAL, letter, ms + 250 }, 1);
	}
	PLAY(&usual, { 2251, RACE_CONNECTED, 'j', USE, 0, NEVER });
	for (char letter = 'a'; letter <= 'i'; letter++)
		tell(&e, &usual, ENDPOINTS_CANCELLED, letter, 2251, 0);
	PLAY(&usual, { 2252, RACE_START, 0, DIAL, 'j', 2502 });
	assert_int_equal(due(&e, &usual, 2252), 'a');
	assert_int_equal(endpoint_of(&e, 'j')->slow_until, 0);
}

static void
a_client_that_comes_meanwhile_does_not_wait_either(void **state)
{
	struct race other = { 0 };
	struct race_input in = { .event = RACE_START, .now = 260 * MS, .roll = DELAY_EXACT };

	(void)state;
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 });
	assert_int_equal(race_step(&other, &e, &usual, &in), DIAL);
	assert_int_equal(letter_of(&e, other.dial), 'b');
}

static void
one_that_is_listed_meanwhile_is_dialled_beside_what_hangs(void **state)
{
	(void)state;
	list(&e, "a", 1);
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 });
	list(&e, "ab", 100);
	PLAY(&usual, { 100, RACE_DEADLINE, 0, 0, 0, 250 }, { 250, RACE_DEADLINE, 0, DIAL, 'b', 500 },
	    { 500, RACE_DEADLINE, 0, 0, 0, NEVER });
	list(&e, "abc", 600);
	PLAY(&usual, { 600, RACE_DEADLINE, 0, DIAL, 'c', 850 }, { 850, RACE_DEADLINE, 0, 0, 0, NEVER });
	list(&e, "abcd", 900);
	PLAY(&usual, { 900, RACE_FAILED, 'a', DIAL, 'd', 1150 });
}

static void
the_only_one_is_never_late(void **state)
{
	(void)state;
	list(&e, "a", 1);
	PLAY(&usual, { 0, RACE_START, 0, DIAL, 'a', 250 }, { 250, RACE_DEADLINE, 0, 0, 0, NEVER },
	    { 400, RACE_CONNECTED, 'a', USE, 0, NEVER });
	expect_deadline(&e, &usual, NEVER);
}

static void
one_that_answers_late_again_is_left_alone_for_retry_max(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	tell(&e, &usual, ENDPOINTS_LATE, 'a', 1250, 1000);
	tell(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1300, 1000);
	assert_int_equal(due(&e, &usual, 1300), 'a');
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1300, 1600);
	expect_deadline(&e, &usual, 61600);
	assert_int_equal(choose(&e, &usual, ""), 'b');
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 2000, 2010); /* a client's, b being tried */
	assert_int_equal(choose(&e, &usual, ""), 'a');
	expect_deadline(&e, &usual, NEVER);
}

static void
a_late_one_that_fails_has_failed(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	tell(&e, &usual, ENDPOINTS_LATE, 'a', 1250, 1000);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_FAILED, 'a', 6000, 1000), ENDPOINTS_FELL);
	expect_deadline(&e, &usual, 16000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 16000, 16001);
	assert_int_equal(choose(&e, &usual, ""), 'a');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(p23_the_first_that_answers_is_used_and_the_others_are_cancelled, setup),
		cmocka_unit_test_setup(p23_a_failure_begins_the_next_at_once, setup),
		cmocka_unit_test_setup(p23_of_those_beside_each_other_only_the_one_before_counts, setup),
		cmocka_unit_test_setup(p23_it_fails_when_all_have, setup),
		cmocka_unit_test_setup(stagger_0_is_one_after_the_other, setup),
		cmocka_unit_test_setup(a_deadline_that_is_told_late_begins_one_dial_then, setup),
		cmocka_unit_test_setup(without_an_endpoint_it_fails_at_once, setup),
		cmocka_unit_test_setup(p16_stopped_it_begins_no_further_dial, setup),
		cmocka_unit_test_setup(later_ones_do_not_wait_for_those_that_were_late, setup),
		cmocka_unit_test_setup(a_client_that_comes_meanwhile_does_not_wait_either, setup),
		cmocka_unit_test_setup(one_that_is_listed_meanwhile_is_dialled_beside_what_hangs, setup),
		cmocka_unit_test_setup(the_only_one_is_never_late, setup),
		cmocka_unit_test_setup(one_that_answers_late_again_is_left_alone_for_retry_max, setup),
		cmocka_unit_test_setup(a_late_one_that_fails_has_failed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
