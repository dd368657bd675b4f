/* Seconds as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void
seconds_are_read_as_microseconds(void **state)
{
	static const struct {
		const char *text;
		int64_t span;
	} rows[] = {
		{ "0", 0 }, { "1", CLOCK_SECOND }, { "0.5", CLOCK_SECOND / 2 },
		{ "1000000000", 1000000000 * CLOCK_SECOND }, { "0.0000001", 0 }, { "250ms", CLOCK_SECOND / 4 },
		{ "5s", 5 * CLOCK_SECOND }, { "5 s", 5 * CLOCK_SECOND }, { "2min", 120 * CLOCK_SECOND },
		{ "1.5h", 5400 * CLOCK_SECOND }, { "0ms", 0 }, { ".5", CLOCK_SECOND / 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t span = -1;

		assert_true(clock_read_seconds(rows[i].text, &span));
		assert_int_equal(span, rows[i].span);
	}
}

static void
what_is_no_number_of_seconds_changes_nothing(void **state)
{
	static const char *const rows[] = { NULL, "", "x", "1x", "1 ", "-1", "-0.001", "1e10", "1000000001", "inf",
		"nan", "1,5", "1e3", "0x10", "0x10s", "1e1s", " 1", "+1", ".", "1.2.3", "1m", "1sec", "5s ",
		"300000h" };
	int64_t span = 7;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_false(clock_read_seconds(rows[i], &span));
	assert_int_equal(span, 7);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(seconds_are_read_as_microseconds),
		cmocka_unit_test(what_is_no_number_of_seconds_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
