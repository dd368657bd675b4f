#include "status_stage.h"

#include "ctl/verdict.h"

static char *said;

static int
teardown(void **state)
{
	(void)state;
	mem_free(said);
	said = NULL;
	return 0;
}

/* Services of two clients. */
static json_t *
well(const char *name, const char *state, bool up)
{
	return with(service(name, state, up, 3600), "clients", json_integer(2));
}

static json_t *
lost(const char *name, int seconds, const char *error)
{
	json_t *object = with(down(name, 3600, error), "clients", json_integer(2));

	return with(object, "down_since", json_string(ago(seconds)));
}

/* Judges these services (taken over, NULL behind the last) with the limits 10 and 60. */
static enum verdict_level
judge(const char *config_error, ...)
{
	static const struct verdict_limits limits = { 10, 60 };
	json_t *services = json_array(), *object;
	enum verdict_level level;
	va_list args;

	va_start(args, config_error);
	while ((object = va_arg(args, json_t *)) != NULL)
		json_array_append_new(services, object);
	va_end(args);
	object = json_pack("{s:s?, s:o}", "config_error", config_error, "services", services);
	mem_free(said);
	level = verdict_judge(object, &limits, WALL, &said);
	json_decref(object);
	return level;
}

static void
all_up_is_one_line(void **state)
{
	(void)state;
	assert_int_equal(judge(NULL, well("a", "connected", true), well("b", "idle", true), NULL), VERDICT_OK);
	assert_string_equal(said, "HOLDFAST OK - 2 of 2 services up | services=2;;;0 up=2;;;0 down=0.000s;10;60;0 "
	    "clients=4;;;0 held=0;;;0 a_down=0.000s;10;60;0 a_clients=2;;;0 a_held=0;;;0 b_down=0.000s;10;60;0 "
	    "b_clients=2;;;0 b_held=0;;;0\n");
}

static void
a_configuration_without_services_is_a_warning(void **state)
{
	(void)state;
	assert_int_equal(judge(NULL, NULL), VERDICT_WARNING);
	assert_ptr_equal(strstr(said, "HOLDFAST WARNING - 0 of 0 services up; the configuration has no services |"),
	    said);
}

static void
down_is_judged_by_its_time(void **state)
{
	static const struct { int seconds; enum verdict_level level; } rows[] = {
		{ 0, VERDICT_OK }, { 10, VERDICT_OK }, { 11, VERDICT_WARNING }, { 60, VERDICT_WARNING },
		{ 61, VERDICT_CRITICAL }, { 100000, VERDICT_CRITICAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(judge(NULL, lost("a", rows[i].seconds, "refused"), NULL), rows[i].level);
	judge(NULL, lost("a", 123, "refused"), well("b", "connected", true), NULL);
	assert_ptr_equal(strstr(said, "HOLDFAST CRITICAL - 1 of 2 services up; a down for 2min 3s: refused | "),
	    said);
	assert_non_null(strstr(said, " a_down=123.000s;10;60;0 "));
	assert_non_null(strstr(said, "\nCRITICAL: a down for 2min 3s: refused\n"));
}

static void
the_held_are_told(void **state)
{
	(void)state;
	judge(NULL, with(lost("a", 20, "refused"), "held", json_integer(7)), NULL);
	assert_non_null(strstr(said, "WARNING: a down for 20s, 7 held: refused\n"));
	assert_non_null(strstr(said, " held=7;;;0 "));
}

static void
aborted_is_critical_at_once_and_closed_a_warning_with_by_whom(void **state)
{
	json_t *closed = with(well("b", "closed", false), "administered", json_pack("{s:s, s:s, s:s}",
	    "what", "closed", "by", "root", "since", ago(300)));
	json_t *drained = with(well("c", "drained", false), "administered", json_pack("{s:s, s:s, s:s}",
	    "what", "drained", "by", "ann", "since", ago(100000)));

	(void)state;
	assert_int_equal(judge(NULL, closed, drained, NULL), VERDICT_WARNING);
	assert_non_null(strstr(said, "WARNING: b closed by root for 5min 0s\n"));
	assert_non_null(strstr(said, "WARNING: c drained by ann for 1d 3h\n"));
	assert_int_equal(judge(NULL, with(with(well("a", "aborted", false), "since", json_string(ago(0))),
	    "last_error", json_string("abort: gone")), NULL), VERDICT_CRITICAL);
	assert_non_null(strstr(said, "CRITICAL: a aborted for 0s: abort: gone\n"));
}

static void
a_pause_is_told_after_ten_minutes(void **state)
{
	json_t *late = lost("b", 700, "paused");

	(void)state;
	assert_int_equal(judge(NULL, with(with(lost("a", 600, "x"), "paused", json_true()), "paused_since",
	    json_string(ago(600))), NULL), VERDICT_OK);
	assert_ptr_equal(strstr(said, "HOLDFAST OK - 0 of 1 service up, 1 paused | "), said);
	with(with(with(late, "paused", json_true()), "paused_since", json_string(ago(601))), "paused_by",
	    json_string("ann"));
	assert_int_equal(judge(NULL, late, NULL), VERDICT_WARNING);
	assert_non_null(strstr(said, "WARNING: b paused by ann for 10min 1s\n"));
	assert_int_equal(judge(NULL, with(well("c", "connected", true), "paused", json_true()), NULL), VERDICT_OK);
}

static void
bad_files_and_full_services_are_warnings(void **state)
{
	(void)state;
	assert_int_equal(judge("a.conf:3: mode: bad", well("a", "connected", true), NULL), VERDICT_WARNING);
	assert_non_null(strstr(said, "; the configuration files are bad, the one before is in force: "
	    "a.conf:3: mode: bad |"));
	assert_int_equal(judge(NULL, with(well("a", "connected", true), "accepting_paused", json_true()), NULL),
	    VERDICT_WARNING);
	assert_non_null(strstr(said, "a accepting pauses"));
}

static void
what_an_error_says_breaks_no_line_and_no_perfdata(void **state)
{
	(void)state;
	judge(NULL, lost("a", 20, "one\ntwo | three"), NULL);
	assert_non_null(strstr(said, "one?two ? three"));
	assert_ptr_equal(strchr(said, '|'), strrchr(said, '|'));
	mem_free(said);
	said = verdict_alone(VERDICT_UNKNOWN, "a|b\n");
	assert_string_equal(said, "HOLDFAST UNKNOWN - a?b?\n");
}

static void
the_worst_comes_first(void **state)
{
	(void)state;
	judge(NULL, lost("a", 20, "x"), lost("b", 70, "y"), lost("c", 80, "z"), NULL);
	assert_ptr_equal(strstr(said, "HOLDFAST CRITICAL - 0 of 3 services up; b down for 1min 10s: y; and 2 more |"),
	    said);
	assert_true(strstr(said, "\nCRITICAL: c") < strstr(said, "\nWARNING: a"));
}

static void
many_services_give_a_bounded_text(void **state)
{
	static const struct verdict_limits limits = { 0, 60 };
	json_t *services = json_array(), *answer = json_pack("{s:o}", "services", services);
	size_t lines = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "service-%d", i);
		json_array_append_new(services, lost(name, 61, "refused"));
	}
	assert_int_equal(verdict_judge(answer, &limits, WALL, &said), VERDICT_CRITICAL);
	json_decref(answer);
	for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 1 + VERDICT_LINES + 1);
	assert_non_null(strstr(said, "\nCRITICAL: 980 more\n"));
	assert_non_null(strstr(said, "; and 999 more |"));
	assert_true(strlen(said) < VERDICT_PERFDATA + 3000);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_up_is_one_line),
		TEST(a_configuration_without_services_is_a_warning),
		TEST(down_is_judged_by_its_time),
		TEST(the_held_are_told),
		TEST(aborted_is_critical_at_once_and_closed_a_warning_with_by_whom),
		TEST(a_pause_is_told_after_ten_minutes),
		TEST(bad_files_and_full_services_are_warnings),
		TEST(what_an_error_says_breaks_no_line_and_no_perfdata),
		TEST(the_worst_comes_first),
		TEST(many_services_give_a_bounded_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
