/* Who waits: the order of places, and each one's end of waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/waiting.h"

#define COUNT   4
#define TIMEOUT (50 * CLOCK_MILLISECOND)
#define BEGIN   (100 * CLOCK_SECOND)

static struct waiting_queue waiting;
static struct waiting_entry entry[COUNT];

/* All have come at BEGIN, in the order of their numbers. */
static int
set_up(void **state)
{
	(void)state;
	waiting_init(&waiting, TIMEOUT);
	for (int i = 0; i < COUNT; i++)
		entry[i] = (struct waiting_entry){ .place = (uint64_t)i, .since = BEGIN };
	return 0;
}

/* How many times are over now; who is first among them leaves each time. */
static unsigned
expire(int64_t now)
{
	struct waiting_entry *over;
	unsigned count = 0;

	for (; (over = waiting_over(&waiting, now)) != NULL; count++)
		waiting_leave(over);
	return count;
}

static void
places_are_by_arrival_whoever_is_added_when(void **state)
{
	static const int order[COUNT] = { 2, 0, 3, 1 };
	int i = 0;

	(void)state;
	assert_null(waiting_first(&waiting));
	for (int n = 0; n < COUNT; n++)
		waiting_enter(&waiting, &entry[order[n]]);
	assert_int_equal(waiting.count, COUNT);
	for (struct waiting_entry *e = waiting_first(&waiting); e != NULL; e = waiting_next(e))
		assert_ptr_equal(e, &entry[i++]);
	assert_int_equal(i, COUNT);
	waiting_leave(&entry[0]);
	assert_ptr_equal(waiting_first(&waiting), &entry[1]);
	assert_int_equal(waiting.count, COUNT - 1);
}

static void
those_of_one_place_are_in_the_order_of_coming(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++) {
		entry[i].place = 7;
		waiting_enter(&waiting, &entry[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		assert_ptr_equal(waiting_first(&waiting), &entry[i]);
		waiting_leave(&entry[i]);
	}
}

static void
all_are_expired_in_time_and_not_before(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++)
		waiting_enter(&waiting, &entry[i]);
	assert_int_equal(waiting_next_end(&waiting), BEGIN + TIMEOUT);
	assert_int_equal(expire(BEGIN + TIMEOUT - 1), 0);
	assert_int_equal(expire(BEGIN + TIMEOUT), COUNT);
	assert_int_equal(waiting.count, 0);
	assert_int_equal(waiting_next_end(&waiting), CLOCK_NEVER);
}

/* Who was put back began to wait later, but stands further ahead; a new worker adds all in the table's order. */
static void
one_with_a_later_end_further_ahead_keeps_nobody_waiting(void **state)
{
	(void)state;
	entry[0].since = BEGIN + 10 * CLOCK_SECOND;
	waiting_enter(&waiting, &entry[0]);
	waiting_enter(&waiting, &entry[1]);
	assert_int_equal(waiting_next_end(&waiting), BEGIN + TIMEOUT);
	assert_ptr_equal(waiting_over(&waiting, BEGIN + TIMEOUT), &entry[1]);
	assert_int_equal(expire(BEGIN + TIMEOUT), 1);
	assert_ptr_equal(waiting_first(&waiting), &entry[0]);
	assert_int_equal(waiting_next_end(&waiting), entry[0].since + TIMEOUT);
}

static void
who_is_unlimited_waits_without_end(void **state)
{
	(void)state;
	entry[0].unlimited = true;
	waiting_enter(&waiting, &entry[0]);
	waiting_enter(&waiting, &entry[1]);
	assert_int_equal(waiting_end(&waiting, &entry[0]), CLOCK_NEVER);
	assert_int_equal(waiting_end(&waiting, &entry[1]), BEGIN + TIMEOUT);
	assert_int_equal(expire(BEGIN + 3600 * CLOCK_SECOND), 1);
	assert_ptr_equal(waiting_first(&waiting), &entry[0]);
}

static void
without_a_limit_nobody_expires_until_there_is_one(void **state)
{
	(void)state;
	waiting.timeout = 0;
	waiting_enter(&waiting, &entry[0]);
	assert_int_equal(waiting_next_end(&waiting), CLOCK_NEVER);
	assert_int_equal(expire(BEGIN + 3600 * CLOCK_SECOND), 0);
	waiting.timeout = TIMEOUT;
	assert_int_equal(expire(BEGIN + TIMEOUT), 1);
}

static void
the_longest_wait_is_told(void **state)
{
	(void)state;
	assert_int_equal(waiting_longest(&waiting, BEGIN), 0);
	entry[1].since = BEGIN - 10 * CLOCK_SECOND;
	entry[1].unlimited = true;
	waiting_enter(&waiting, &entry[0]);
	waiting_enter(&waiting, &entry[1]);
	assert_int_equal(waiting_longest(&waiting, BEGIN), 10 * CLOCK_SECOND);
}

static void
nobody_expires_in_a_pause_and_the_time_begins_anew_after_it(void **state)
{
	int64_t end = BEGIN + 10 * TIMEOUT;

	(void)state;
	waiting_pause(&waiting, true, 0);
	waiting_enter(&waiting, &entry[0]);
	assert_int_equal(waiting_end(&waiting, &entry[0]), CLOCK_NEVER);
	assert_int_equal(expire(end), 0);
	waiting_pause(&waiting, false, end);
	assert_int_equal(waiting_longest(&waiting, end), 10 * TIMEOUT);
	assert_int_equal(waiting_next_end(&waiting), end + TIMEOUT);
	assert_int_equal(expire(end + TIMEOUT - 1), 0);
	assert_int_equal(expire(end + TIMEOUT), 1);
}

#define ROW(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(places_are_by_arrival_whoever_is_added_when),
		ROW(those_of_one_place_are_in_the_order_of_coming),
		ROW(all_are_expired_in_time_and_not_before),
		ROW(one_with_a_later_end_further_ahead_keeps_nobody_waiting),
		ROW(who_is_unlimited_waits_without_end),
		ROW(without_a_limit_nobody_expires_until_there_is_one),
		ROW(the_longest_wait_is_told),
		ROW(nobody_expires_in_a_pause_and_the_time_begins_anew_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
