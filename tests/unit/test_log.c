/* What the log leaves out, and that it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "log_lines.h"

static void
say_25_lines(void)
{
	for (int i = 0; i < 25; i++)
		log_info("busy", "a line");
	log_info("quiet", "another service's line");
	log_rare(LOG_LEVEL_WARNING, "busy", "what is said seldom");
}

static void
look_before_the_window_is_over(void)
{
	log_tell_suppressed(clock_now());
}

static void
look_when_the_window_is_over(void)
{
	log_tell_suppressed(clock_now() + 10 * CLOCK_SECOND);
}

static void
twenty_lines_are_written_and_the_rest_counted_though_no_further_line_comes(void **state)
{
	(void)state;
	assert_int_equal(count_lines(say_25_lines, LOG_LEVEL_INFO, "busy: a line"), 20);
	assert_int_equal(count_lines(look_before_the_window_is_over, LOG_LEVEL_INFO, "suppressed"), 0);
	assert_int_equal(count_lines(look_when_the_window_is_over, LOG_LEVEL_INFO, "busy: suppressed 5"), 1);
	assert_int_equal(count_lines(look_when_the_window_is_over, LOG_LEVEL_INFO, "suppressed"), 0);
}

static void
say_others(void)
{
	for (int i = 0; i < 25; i++)
		log_info("other", "a line");
	for (int i = 0; i < 30; i++)
		log_debug("other", "nobody wants this");
	log_rare(LOG_LEVEL_WARNING, "other", "what is said seldom");
	log_info("quiet", "a line");
}

static void
what_is_said_seldom_and_other_services_are_not_left_out(void **state)
{
	(void)state;
	assert_int_equal(count_lines(say_others, LOG_LEVEL_INFO, ""), 22);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twenty_lines_are_written_and_the_rest_counted_though_no_further_line_comes),
		cmocka_unit_test(what_is_said_seldom_and_other_services_are_not_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
