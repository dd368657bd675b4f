/* Histograms: which step, and that step and sum go together, wherever the death strikes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keep/histogram.h"
#include "keep_side.h"

static struct table table;

static struct table_histogram *
histogram(enum table_histogram_kind kind)
{
	return &table.services[3].histogram[kind];
}

static void
bounds_ascend_and_leave_room_for_the_step_without_an_end(void **state)
{
	(void)state;
	for (int kind = 0; kind < TABLE_HISTOGRAM_KINDS; kind++) {
		size_t count;
		const int64_t *bounds = histogram_bounds((enum table_histogram_kind)kind, &count);

		assert_in_range(count, 1, TABLE_HISTOGRAM - 1);
		assert_true(bounds[0] > 0);
		for (size_t i = 1; i < count; i++)
			assert_true(bounds[i] > bounds[i - 1]);
	}
}

static void
a_bound_belongs_to_its_step(void **state)
{
	static const struct { int64_t duration; size_t step; } rows[] = {
		{ -5, 0 }, { 0, 0 }, { 100, 0 }, { 101, 1 }, { 300, 1 }, { 301, 2 }, { CLOCK_MILLISECOND, 2 },
		{ CLOCK_SECOND, 8 }, { CLOCK_SECOND + 1, 9 }, { 10 * CLOCK_SECOND, 10 },
		{ 10 * CLOCK_SECOND + 1, 11 },
		{ INT64_MAX, 11 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(histogram_step(TABLE_HISTOGRAM_CONNECT, rows[i].duration), rows[i].step);
}

static void
a_count_adds_to_one_step_and_to_the_sum(void **state)
{
	(void)state;
	histogram_count(&table, 3, TABLE_HISTOGRAM_LOOKUP, 250);
	histogram_count(&table, 3, TABLE_HISTOGRAM_LOOKUP, 300);
	histogram_count(&table, 3, TABLE_HISTOGRAM_LOOKUP, 5000);
	histogram_count(&table, 3, TABLE_HISTOGRAM_LOOKUP, -1);
	assert_int_equal(histogram(TABLE_HISTOGRAM_LOOKUP)->step[0], 1);
	assert_int_equal(histogram(TABLE_HISTOGRAM_LOOKUP)->step[1], 2);
	assert_int_equal(histogram(TABLE_HISTOGRAM_LOOKUP)->step[4], 1);
	assert_int_equal(histogram(TABLE_HISTOGRAM_LOOKUP)->sum, 5550);
	assert_int_equal(histogram(TABLE_HISTOGRAM_CONNECT)->sum, 0);
}

static void
prepare(void *arg)
{
	(void)arg;
	redo_replay(&table);
	*histogram(TABLE_HISTOGRAM_HOLD) = (struct table_histogram){ .step = { 1 }, .sum = 100 };
}

static void
count(void *arg)
{
	(void)arg;
	histogram_count(&table, 3, TABLE_HISTOGRAM_HOLD, 200);
}

static unsigned counted, not_counted;

static void
step_and_sum_agree(void *arg, bool finished)
{
	uint64_t step;

	(void)arg;
	redo_replay(&table);
	step = histogram(TABLE_HISTOGRAM_HOLD)->step[0];
	assert_true(step == 2 || (step == 1 && !finished));
	assert_int_equal(histogram(TABLE_HISTOGRAM_HOLD)->sum, step == 2 ? 300 : 100);
	counted += step == 2;
	not_counted += step == 1;
}

static void
no_death_parts_step_and_sum(void **state)
{
	(void)state;
	if (!side_every_step(prepare, count, step_and_sum_agree, NULL))
		skip();
	assert_true(counted > 1);
	assert_true(not_counted > 1);
}

static int
setup(void **state)
{
	(void)state;
	return table_new(64, &table);
}

static int
teardown(void **state)
{
	(void)state;
	table_free(&table);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_ascend_and_leave_room_for_the_step_without_an_end),
		cmocka_unit_test(a_bound_belongs_to_its_step),
		cmocka_unit_test_setup_teardown(a_count_adds_to_one_step_and_to_the_sum, setup, teardown),
		cmocka_unit_test_setup_teardown(no_death_parts_step_and_sum, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
