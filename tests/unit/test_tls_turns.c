/* test_tls_turns.c - openings go on one after the other, few in a turn of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/turns.h"

#define COUNT (LOOP_BITS * 3)

static struct event_base *loop;
static struct turns turns;
static struct turn all[COUNT];
static int gone[COUNT + 1], gone_count;

static void
go(void *arg)
{
	gone[gone_count++] = (int)((struct turn *)arg - all);
}

static void
go_again(void *arg)
{
	go(arg);
	if (gone_count == 1)
		turns_wait(&turns, arg, go_again, arg);
}

static void
go_and_have_the_next_leave(void *arg)
{
	go(arg);
	turns_leave((struct turn *)arg + 1);
}

static int
setup(void **state)
{
	(void)state;
	loop = loop_new();
	turns_init(&turns, loop);
	gone_count = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	turns_end(&turns);
	loop_free(loop);
	return 0;
}

static void
first_come_is_first_served_and_few_in_a_turn(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++)
		turns_wait(&turns, &all[i], go, &all[i]);
	assert_int_equal(gone_count, 0);
	event_base_loop(loop, EVLOOP_ONCE);
	assert_int_equal(gone_count, LOOP_BITS);
	while (gone_count < COUNT)
		event_base_loop(loop, EVLOOP_ONCE);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(gone[i], i);
}

static void
who_waits_already_goes_once(void **state)
{
	(void)state;
	turns_wait(&turns, &all[0], go, &all[0]);
	turns_wait(&turns, &all[0], go, &all[0]);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(gone_count, 1);
}

static void
who_has_left_does_not_go(void **state)
{
	(void)state;
	turns_leave(&all[1]);
	turns_wait(&turns, &all[0], go, &all[0]);
	turns_wait(&turns, &all[1], go_and_have_the_next_leave, &all[1]);
	turns_wait(&turns, &all[2], go, &all[2]);
	turns_leave(&all[0]);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(gone_count, 1);
	assert_int_equal(gone[0], 1);
}

static void
who_goes_may_wait_again(void **state)
{
	(void)state;
	turns_wait(&turns, &all[0], go_again, &all[0]);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(gone_count, 2);
	turns_wait(&turns, &all[0], go, &all[0]);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(gone_count, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_come_is_first_served_and_few_in_a_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_already_goes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_left_does_not_go, setup, teardown),
		cmocka_unit_test_setup_teardown(who_goes_may_wait_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
