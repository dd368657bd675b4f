/* When a worker counts as hung (K6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keep/watchdog.h"

#define MS CLOCK_MILLISECOND

static struct watchdog dog;
static struct watchdog_look look;

static int
set_up(void **state)
{
	(void)state;
	dog = (struct watchdog){ 0 };
	look = (struct watchdog_look){ .ready = true };
	watchdog_begin(&dog, 0);
	return 0;
}

/* Ticks, in each of which the worker uses so much of the processor, until it is hung; 0: not within the most. */
static unsigned
ticks_until_hung(int64_t used, unsigned most)
{
	for (unsigned ticks = 1; ticks <= most; ticks++) {
		look.used += used;
		if (watchdog_tick(&dog, &look) == WATCHDOG_HUNG)
			return ticks;
	}
	return 0;
}

static void
beat(unsigned times)
{
	while (times-- > 0) {
		look.heartbeat++;
		assert_int_equal(watchdog_tick(&dog, &look), WATCHDOG_WELL);
	}
}

static void
one_that_turns_in_a_circle_is_hung_after_2_s(void **state)
{
	(void)state;
	beat(3);
	assert_in_range(ticks_until_hung(250 * MS, 100), 8, 10);
}

static void
one_that_waits_in_a_system_call_is_hung_after_2_s(void **state)
{
	(void)state;
	beat(3);
	assert_int_equal(ticks_until_hung(0, 100), 8);
}

static void
one_whose_time_cannot_be_told_is_hung_after_2_s(void **state)
{
	(void)state;
	look.used = -1;
	assert_int_equal(ticks_until_hung(0, 100), 8);
}

/* 3 % of a core, as a quota gives it: 7.5 ms of each 250. */
static void
one_that_gets_little_of_the_processor_is_slow_and_not_hung(void **state)
{
	(void)state;
	beat(1);
	assert_int_equal(ticks_until_hung(7500, 239), 0);
	beat(1);
	assert_int_equal(ticks_until_hung(7500, 239), 0);
	assert_int_equal(dog.hung, 0);
}

static void
one_that_works_is_well_and_one_that_does_not_is_quiet(void **state)
{
	(void)state;
	beat(1);
	assert_int_equal(watchdog_tick(&dog, &look), WATCHDOG_QUIET);
	look.used += 1;
	assert_int_equal(watchdog_tick(&dog, &look), WATCHDOG_WELL);
	assert_int_equal(watchdog_tick(&dog, &look), WATCHDOG_QUIET);
}

static void
one_that_is_not_ready_has_longer(void **state)
{
	(void)state;
	look.ready = false;
	assert_int_equal(ticks_until_hung(0, 1000), 40);
	set_up(NULL);
	look.ready = false;
	assert_in_range(ticks_until_hung(250 * MS, 1000), 40, 42);
	set_up(NULL);
	look.ready = false;
	assert_int_equal(ticks_until_hung(7500, 479), 0); /* 2 minutes, for 3.6 s of the processor */
}

static void
a_heartbeat_begins_all_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ticks_until_hung(i % 2 == 0 ? 250 * MS : 0, 7), 0);
		beat(1);
	}
}

static void
each_after_a_hung_one_has_twice_as_long_up_to_8_times(void **state)
{
	static const unsigned expected[] = { 8, 16, 32, 64, 64, 64 };

	(void)state;
	for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
		assert_int_equal(ticks_until_hung(0, 1000), expected[i]);
		watchdog_begin(&dog, look.heartbeat);
		look.used = 0;
	}
}

static void
a_minute_of_heartbeats_makes_forgotten_who_was_hung(void **state)
{
	(void)state;
	assert_int_equal(ticks_until_hung(0, 1000), 8);
	beat(239);
	assert_int_equal(ticks_until_hung(0, 1000), 16);
	beat(240);
	assert_int_equal(ticks_until_hung(0, 1000), 8);
}

/* Somebody did that: no reason to doubt the limit. */
static void
one_that_is_stopped_has_2_s_always(void **state)
{
	(void)state;
	look.stopped = true;
	for (int i = 0; i < 5; i++) {
		look.ready = i % 2;
		assert_int_equal(ticks_until_hung(0, 1000), 8);
		watchdog_begin(&dog, look.heartbeat);
	}
	look.stopped = false;
	look.ready = true;
	assert_int_equal(ticks_until_hung(0, 1000), 8);
}

static void
one_that_a_debugger_holds_is_excused(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ticks_until_hung(0, 1000), 8);
		watchdog_excuse(&dog);
	}
}

#define ROW(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(one_that_turns_in_a_circle_is_hung_after_2_s),
		ROW(one_that_waits_in_a_system_call_is_hung_after_2_s),
		ROW(one_whose_time_cannot_be_told_is_hung_after_2_s),
		ROW(one_that_gets_little_of_the_processor_is_slow_and_not_hung),
		ROW(one_that_works_is_well_and_one_that_does_not_is_quiet),
		ROW(one_that_is_not_ready_has_longer),
		ROW(a_heartbeat_begins_all_anew),
		ROW(each_after_a_hung_one_has_twice_as_long_up_to_8_times),
		ROW(a_minute_of_heartbeats_makes_forgotten_who_was_hung),
		ROW(one_that_is_stopped_has_2_s_always),
		ROW(one_that_a_debugger_holds_is_excused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
