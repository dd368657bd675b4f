/* keep/budget: one bound for all buffers, and nobody starves another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keep/budget.h"
#include "keep/table.h"
#include "stage.h"

#define SMALL TABLE_BUFFER_SIZE
#define MOST  (128u * SMALL) /* 64 small ones are ours, the rest is the kernel's */

static struct budget *budget;

static int
set_up(void **state)
{
	(void)state;
	budget = budget_new(TABLE_SERVICES, TABLE_BUFFER_SIZE);
	budget_set(budget, MOST);
	budget_run(budget, stage_loop);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	budget_free(budget);
	return 0;
}

static struct budget_payer
intake(uint16_t service)
{
	return (struct budget_payer){ .service = service };
}

static struct budget_payer
onward(uint16_t service)
{
	return (struct budget_payer){ .service = service, .moves_on = true };
}

/* As many small ones as it gets. */
static unsigned
fill(struct budget_payer payer)
{
	unsigned n = 0;

	for (; n < MOST / SMALL && budget_permits(budget, payer, SMALL); n++)
		budget_take(budget, payer, SMALL);
	return n;
}

static void
without_a_bound_all_is_permitted(void **state)
{
	(void)state;
	budget_set(budget, 0);
	assert_true(budget_permits(budget, intake(0), UINT64_C(1) << 40));
}

static void
one_that_takes_all_it_gets_leaves_some_for_others(void **state)
{
	(void)state;
	assert_int_equal(fill(intake(0)), 21); /* a third of 64 */
	assert_int_equal(fill(intake(1)), 14);
	assert_true(budget_taken(budget) <= MOST / 2);
}

static void
each_service_gets_something_however_many_there_are(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < TABLE_SERVICES; i++)
		assert_true(fill(intake(i)) >= 1);
}

static void
what_is_here_may_always_move_on_but_counts(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 30; i++)
		fill(intake(i));
	assert_true(budget_permits(budget, onward(0), MOST));
	budget_take(budget, onward(0), MOST);
	assert_true(budget_is_over(budget, 0));
	assert_false(budget_permits(budget, intake(1), SMALL));
}

static void
what_is_given_back_can_be_taken_again(void **state)
{
	unsigned n = fill(intake(3));

	(void)state;
	assert_false(budget_permits(budget, intake(3), SMALL));
	budget_give(budget, intake(3), SMALL);
	assert_true(budget_permits(budget, intake(3), SMALL));
	assert_int_equal(budget_taken(budget), (n - 1) * SMALL);
}

static char order[8];
static unsigned resumed;
static bool done;

static void
on_memory(void *arg)
{
	order[resumed++] = *(const char *)arg;
	budget_take(budget, intake(0), SMALL);
	done = true;
}

static void
who_waits_is_resumed_first_come_first_served_and_only_as_far_as_there_is_some(void **state)
{
	struct budget_wait *third;

	(void)state;
	resumed = 0;
	fill(intake(0));
	budget_wait_start(budget, intake(0), on_memory, "a");
	budget_wait_start(budget, intake(0), on_memory, "b");
	third = budget_wait_start(budget, intake(0), on_memory, "c");
	assert_int_equal(budget_short(budget, 0), 3);
	budget_give(budget, intake(0), SMALL);
	done = false;
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(resumed, 1);
	budget_give(budget, intake(0), SMALL);
	done = false;
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_memory_equal(order, "ab", 2);
	budget_wait_cancel(third);
	assert_int_equal(budget_short_all(budget), 0);
}

static void
who_waits_is_looked_after_though_nobody_gives_anything_back(void **state)
{
	(void)state;
	resumed = 0;
	fill(intake(0));
	budget_wait_start(budget, intake(0), on_memory, "a");
	budget_set(budget, 2 * MOST); /* by a reload, say */
	done = false;
	assert_true(stage_run(&done, CLOCK_SECOND));
}

static void
many_connections_have_a_bounded_share_of_the_kernel_s_buffers(void **state)
{
	uint64_t sum = 0;

	(void)state;
	budget_set(budget, UINT64_C(6) << 30);
	assert_int_equal(budget_socket_share(budget, 100), 0); /* no need */
	assert_true(budget_socket_share(budget, 10000) > 0);
	budget_set(budget, 16 << 20);
	for (uint32_t i = 2; i < 400; i++)
		sum += budget_socket_share(budget, i);
	assert_true(sum < 32 << 20);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_a_bound_all_is_permitted),
		TEST(one_that_takes_all_it_gets_leaves_some_for_others),
		TEST(each_service_gets_something_however_many_there_are),
		TEST(what_is_here_may_always_move_on_but_counts),
		TEST(what_is_given_back_can_be_taken_again),
		TEST(who_waits_is_resumed_first_come_first_served_and_only_as_far_as_there_is_some),
		TEST(who_waits_is_looked_after_though_nobody_gives_anything_back),
		TEST(many_connections_have_a_bounded_share_of_the_kernel_s_buffers),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
