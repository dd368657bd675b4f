/* When an instance's entry is put into a catalog, beaten for, checked and taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/publisher.h"

#define S CLOCK_SECOND

struct row {
	int64_t now;
	enum publisher_event event;
	unsigned todo;
	enum publisher_state state;
	int64_t deadline;
};

static void
play(int64_t check_every, const struct row *rows, size_t count)
{
	struct publisher p;

	publisher_init(&p, 10 * S, check_every);
	for (size_t i = 0; i < count; i++) {
		unsigned todo = publisher_step(&p, rows[i].event, rows[i].now);

		if (todo != rows[i].todo || p.state != rows[i].state || p.deadline != rows[i].deadline)
			fail_msg("row %zu: to do %u, state %d, deadline %lld", i, todo, (int)p.state,
			    (long long)p.deadline);
	}
}

#define PLAY(check_every, ...) do { \
	static const struct row rows[] = { __VA_ARGS__ }; \
	play(check_every, rows, sizeof rows / sizeof rows[0]); \
} while (0)

static void
an_entry_is_put_at_once_and_beaten_for_until_the_end(void **state)
{
	(void)state;
	PLAY(0,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_PUT, PUBLISHER_TRYING, CLOCK_NEVER },
	    { 1, PUBLISHER_PUT, 0, PUBLISHER_LISTED, 10 * S + 1 },
	    { 9 * S, PUBLISHER_DEADLINE, 0, PUBLISHER_LISTED, 10 * S + 1 },
	    { 10 * S + 1, PUBLISHER_DEADLINE, PUBLISHER_DO_PUT, PUBLISHER_LISTED, CLOCK_NEVER },
	    { 10 * S + 2, PUBLISHER_PUT, 0, PUBLISHER_LISTED, 20 * S + 2 },
	    { 12 * S, PUBLISHER_STOP, PUBLISHER_DO_WITHDRAW, PUBLISHER_ENDED, CLOCK_NEVER },
	    { 13 * S, PUBLISHER_STOP, 0, PUBLISHER_ENDED, CLOCK_NEVER });
}

static void
what_fails_is_tried_each_second(void **state)
{
	(void)state;
	PLAY(0,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_PUT, PUBLISHER_TRYING, CLOCK_NEVER },
	    { 0, PUBLISHER_PUT_FAILED, 0, PUBLISHER_TRYING, 1 * S },
	    { 1 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_PUT, PUBLISHER_TRYING, CLOCK_NEVER },
	    { 1 * S, PUBLISHER_PUT, 0, PUBLISHER_LISTED, 11 * S },
	    { 11 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_PUT, PUBLISHER_LISTED, CLOCK_NEVER },
	    { 11 * S, PUBLISHER_PUT_FAILED, 0, PUBLISHER_TRYING, 12 * S },
	    /* It may still be there, and is taken out. */
	    { 11 * S + 5, PUBLISHER_STOP, PUBLISHER_DO_WITHDRAW, PUBLISHER_ENDED, CLOCK_NEVER });
}

static void
with_a_check_nothing_is_put_before_it_has_passed(void **state)
{
	(void)state;
	PLAY(2 * S,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_CHECK, PUBLISHER_UNCHECKED, 2 * S },
	    { 1 * S, PUBLISHER_CHECK_FAILED, PUBLISHER_DO_WITHDRAW, PUBLISHER_ABSENT, 2 * S },
	    { 2 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_ABSENT, 4 * S },
	    { 3 * S, PUBLISHER_CHECK_PASSED, PUBLISHER_DO_PUT, PUBLISHER_TRYING, 4 * S },
	    { 3 * S, PUBLISHER_PUT, 0, PUBLISHER_LISTED, 4 * S },
	    { 4 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_LISTED, 6 * S },
	    { 4 * S, PUBLISHER_CHECK_PASSED, 0, PUBLISHER_LISTED, 6 * S },
	    { 6 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_LISTED, 8 * S },
	    { 7 * S, PUBLISHER_CHECK_FAILED, PUBLISHER_DO_WITHDRAW, PUBLISHER_ABSENT, 8 * S },
	    { 8 * S, PUBLISHER_STOP, 0, PUBLISHER_ENDED, CLOCK_NEVER });
}

static void
a_check_that_takes_until_the_next_is_killed_and_has_failed(void **state)
{
	(void)state;
	PLAY(2 * S,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_CHECK, PUBLISHER_UNCHECKED, 2 * S },
	    { 1, PUBLISHER_CHECK_PASSED, PUBLISHER_DO_PUT, PUBLISHER_TRYING, 2 * S },
	    { 1, PUBLISHER_PUT, 0, PUBLISHER_LISTED, 2 * S },
	    { 2 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_LISTED, 4 * S },
	    { 4 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_KILL_CHECK, PUBLISHER_LISTED, 6 * S },
	    { 4 * S, PUBLISHER_CHECK_FAILED, PUBLISHER_DO_WITHDRAW, PUBLISHER_ABSENT, 6 * S },
	    { 6 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_ABSENT, 8 * S },
	    { 7 * S, PUBLISHER_STOP, PUBLISHER_DO_KILL_CHECK, PUBLISHER_ENDED, CLOCK_NEVER },
	    { 7 * S, PUBLISHER_CHECK_FAILED, 0, PUBLISHER_ENDED, CLOCK_NEVER });
}

static void
what_a_killed_publisher_has_left_goes_with_the_first_check_that_fails_or_at_the_end(void **state)
{
	(void)state;
	PLAY(2 * S,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_CHECK, PUBLISHER_UNCHECKED, 2 * S },
	    { 1 * S, PUBLISHER_STOP, PUBLISHER_DO_WITHDRAW | PUBLISHER_DO_KILL_CHECK, PUBLISHER_ENDED, CLOCK_NEVER });
	PLAY(2 * S,
	    { 0, PUBLISHER_BEGIN, PUBLISHER_DO_CHECK, PUBLISHER_UNCHECKED, 2 * S },
	    { 1 * S, PUBLISHER_CHECK_FAILED, PUBLISHER_DO_WITHDRAW, PUBLISHER_ABSENT, 2 * S },
	    { 2 * S, PUBLISHER_DEADLINE, PUBLISHER_DO_CHECK, PUBLISHER_ABSENT, 4 * S },
	    { 3 * S, PUBLISHER_CHECK_FAILED, 0, PUBLISHER_ABSENT, 4 * S });
}

/* All sequences of events of this length from here on: a deadline while there is something to wait for, no second
 * check, no entry that nobody will take out. */
static void
explore(struct publisher p, bool there, bool checking, int64_t now, unsigned depth)
{
	for (int event = PUBLISHER_DEADLINE; event <= PUBLISHER_STOP && depth > 0; event++) {
		struct publisher next = p;
		bool is_check = event == PUBLISHER_CHECK_PASSED || event == PUBLISHER_CHECK_FAILED;
		bool is_there = there, is_checking = checking && !is_check;
		int64_t then = event == PUBLISHER_DEADLINE ? p.deadline : now + 1;
		unsigned todo;

		if (event == PUBLISHER_BEGIN || event == PUBLISHER_PUT || event == PUBLISHER_PUT_FAILED ||
		    (is_check && !checking) || then == CLOCK_NEVER)
			continue;
		todo = publisher_step(&next, (enum publisher_event)event, then);
		if (todo & PUBLISHER_DO_CHECK) {
			assert_false(is_checking);
			is_checking = true;
		}
		assert_true((todo & PUBLISHER_DO_KILL_CHECK) == 0 || is_checking);
		assert_false((todo & PUBLISHER_DO_PUT) != 0 && (todo & PUBLISHER_DO_WITHDRAW) != 0);
		if (todo & PUBLISHER_DO_WITHDRAW)
			is_there = false;
		if (todo & PUBLISHER_DO_PUT) {
			struct publisher failed = next;

			publisher_step(&failed, PUBLISHER_PUT_FAILED, then);
			explore(failed, is_there, is_checking, then, depth - 1);
			publisher_step(&next, PUBLISHER_PUT, then);
			is_there = true;
		}
		assert_true(next.state == PUBLISHER_ENDED || next.deadline != CLOCK_NEVER);
		assert_true(event != PUBLISHER_DEADLINE || next.deadline > then);
		assert_false(next.state == PUBLISHER_ENDED && (is_there || next.deadline != CLOCK_NEVER));
		assert_false(next.state == PUBLISHER_ABSENT && is_there);
		explore(next, is_there, is_checking, then, depth - 1);
	}
}

static void
whatever_happens_no_entry_stays_behind(void **state)
{
	struct publisher p;

	(void)state;
	publisher_init(&p, 10 * S, 7 * S);
	assert_int_equal(publisher_step(&p, PUBLISHER_BEGIN, 0), PUBLISHER_DO_CHECK);
	explore(p, true, true, 0, 9); /* a killed publisher's */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_put_at_once_and_beaten_for_until_the_end),
		cmocka_unit_test(what_fails_is_tried_each_second),
		cmocka_unit_test(with_a_check_nothing_is_put_before_it_has_passed),
		cmocka_unit_test(a_check_that_takes_until_the_next_is_killed_and_has_failed),
		cmocka_unit_test(what_a_killed_publisher_has_left_goes_with_the_first_check_that_fails_or_at_the_end),
		cmocka_unit_test(whatever_happens_no_entry_stays_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
