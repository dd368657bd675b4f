/* The table of settings, and what each type takes and prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libconfig.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/read.h"
#include "config/settings.h"
#include "config/write.h"

/* Takes "value = TEXT;" into the row's field.  The error, to be freed, or NULL. */
static char *
take(const struct setting *row, const char *text, void *object)
{
	char *whole = mem_print("value = %s;", text), *error;
	const config_setting_t *where;
	config_t config;

	config_init(&config);
	assert_int_equal(config_read_string(&config, whole), CONFIG_TRUE);
	error = setting_take(row, config_lookup(&config, "value"), object, &where);
	config_destroy(&config);
	mem_free(whole);
	return error;
}

static void
check_table(const struct settings *settings, void *object)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		char *error = take(row, row->fallback, object);

		if (error != NULL)
			fail_msg("%s: %s", row->name, error);
		assert_in_range(row->reload, SETTING_IN_PLACE, SETTING_RESTART);
		assert_true(row->min <= row->max);
		assert_true(strlen(row->name) < SETTINGS_NAME_SIZE);
		assert_ptr_equal(strchr(row->name, '.'), strrchr(row->name, '.'));
		assert_ptr_equal(settings_find(settings, row->name), row);
		if (row->type == SETTING_CHOICE)
			assert_non_null(row->choices);
	}
	settings_clear(settings, object);
}

static void
each_row_has_a_default_in_range_and_a_reload_class(void **state)
{
	struct service_settings service = { 0 };
	struct config top = { 0 };

	(void)state;
	check_table(&settings_service, &service);
	check_table(&settings_top, &top);
}

static void
what_is_cleared_owns_nothing(void **state)
{
	struct service_settings service = { 0 }, zero = { 0 };

	(void)state;
	settings_defaults(&settings_service, &service);
	assert_string_equal(service.listeners.at[0].path, "NAME.sock");
	settings_clear(&settings_service, &service);
	assert_memory_equal(&service, &zero, sizeof zero);
}

static void
a_copy_prints_the_same_and_shares_nothing(void **state)
{
	struct service_settings one = { 0 }, two = { 0 };
	char *first, *second;

	(void)state;
	settings_defaults(&settings_service, &one);
	assert_null(take(settings_find(&settings_service, "listen.allow_users"), "[\"root\", \"0\"]", &one));
	settings_copy(&settings_service, &two, &one);
	one.name = mem_copy_text("x");
	two.name = mem_copy_text("x");
	one.upstream.endpoints.pick = two.upstream.endpoints.pick = ENDPOINTS_ROTATE;
	first = config_service_text(&one, setting_print);
	settings_clear(&settings_service, &one);
	second = config_service_text(&two, setting_print);
	assert_string_equal(first, second);
	settings_clear(&settings_service, &two);
	free(first);
	free(second);
}

static void
change(const struct settings *settings, const char *name, const char *text, void *object)
{
	char *error = take(settings_find(settings, name), text, object);

	if (error != NULL)
		fail_msg("%s: %s", name, error);
}

static void
the_strongest_class_among_changed_rows_counts(void **state)
{
	static const struct {
		const char *name, *text;
		enum setting_reload strongest; /* of this change and those before it */
	} rows[] = {
		{ "hold_timeout", "60", SETTING_SAME },
		{ "retry.delay", "11", SETTING_IN_PLACE },
		{ "down_reply", "\"later\"", SETTING_IN_PLACE },
		{ "listen.path", "\"x.sock\"", SETTING_IN_PLACE },
		{ "address", "\"h:1\"", SETTING_RENEW },
		{ "warm", "2", SETTING_RENEW },
	};
	struct service_settings old = { 0 }, new = { 0 };

	(void)state;
	settings_defaults(&settings_service, &old);
	settings_copy(&settings_service, &new, &old);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		change(&settings_service, rows[i].name, rows[i].text, &new);
		assert_int_equal(settings_compare(&settings_service, &old, &new), rows[i].strongest);
		assert_int_equal(settings_compare(&settings_service, &new, &old), rows[i].strongest);
		assert_int_equal(settings_compare(&settings_service, &new, &new), SETTING_SAME);
	}
	settings_clear(&settings_service, &old);
	settings_clear(&settings_service, &new);
}

static void
a_list_differs_by_an_item_more_and_by_an_item_changed(void **state)
{
	struct service_settings old = { 0 }, new = { 0 };

	(void)state;
	change(&settings_service, "lookup.args", "[\"a\", \"b\"]", &old);
	change(&settings_service, "lookup.args", "[\"a\", \"b\"]", &new);
	assert_int_equal(settings_compare(&settings_service, &old, &new), SETTING_SAME);
	change(&settings_service, "lookup.args", "[\"a\", \"c\"]", &new);
	assert_int_equal(settings_compare(&settings_service, &old, &new), SETTING_RENEW);
	change(&settings_service, "lookup.args", "[\"a\", \"b\", \"c\"]", &new);
	assert_int_equal(settings_compare(&settings_service, &old, &new), SETTING_RENEW);
	change(&settings_service, "lookup.args", "[]", &new);
	assert_int_equal(settings_compare(&settings_service, &old, &new), SETTING_RENEW);
	settings_clear(&settings_service, &old);
	settings_clear(&settings_service, &new);
}

static bool
is_one_of(const char *name, const char *const *names)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

static void
only_where_sockets_are_and_what_clients_were_promised_stays(void **state)
{
	static const char *const names[] = { "runtime_directory", "control.path" };
	static const char *const promised[] = { "name", "mode", "listen.type", "framing", "replies",
		"spool.path", "spool.fsync", NULL };
	/* As holdfastd(8) and holdfast.conf(5) say; and all of tls but where it is, of lookup but how often. */
	static const char *const renewing[] = { "address", "addresses", "hello", "probe",
		"probe_path", "standby", NULL };

	(void)state;
	for (size_t i = 0; i < settings_top.count; i++) {
		const struct setting *row = &settings_top.rows[i];
		bool restart = strcmp(row->name, names[0]) == 0 || strcmp(row->name, names[1]) == 0;

		assert_int_equal(row->reload, restart ? SETTING_RESTART : SETTING_IN_PLACE);
	}
	for (size_t i = 0; i < settings_service.count; i++) {
		const struct setting *row = &settings_service.rows[i];

		assert_int_equal(row->reload == SETTING_RESTART, is_one_of(row->name, promised));
		assert_int_equal(row->reload == SETTING_RENEW, is_one_of(row->name, renewing) ||
		    (strncmp(row->name, "tls.", 4) == 0 && strcmp(row->name, "tls.socket") != 0 &&
		    strcmp(row->name, "tls.start") != 0) ||
		    (strncmp(row->name, "lookup.", 7) == 0 && strcmp(row->name, "lookup.min_interval") != 0 &&
		    strcmp(row->name, "lookup.refresh") != 0));
	}
}

static void
paths_of_the_same_place_become_the_same_text(void **state)
{
	static const char *const rows[][2] = {
		{ "/a/b", "/a/b" }, { "//a///b", "/a/b" }, { "/a/./b/././c", "/a/b/c" },
		{ "/a/.//.b/..c", "/a/.b/..c" }, { "/a/../b", "/a/../b" }, { "/a/b//", "/a/b/" }, { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *path = mem_copy_text(rows[i][0]);

		config_clean_path(path);
		assert_string_equal(path, rows[i][1]);
		mem_free(path);
	}
}

static void
times_are_numbers_of_seconds_or_texts_with_a_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t time;
	} rows[] = {
		{ "2", 2 * CLOCK_SECOND }, { "2.0", 2 * CLOCK_SECOND }, { "0.25", 250 * CLOCK_MILLISECOND },
		{ "\"250ms\"", 250 * CLOCK_MILLISECOND }, { "\"5s\"", 5 * CLOCK_SECOND },
		{ "\"2min\"", 120 * CLOCK_SECOND }, { "\"1h\"", 3600 * CLOCK_SECOND },
		{ "\"1.5 min\"", 90 * CLOCK_SECOND }, { "3L", 3 * CLOCK_SECOND }, { "0", 0 },
		{ "1e-9", 1 /* not 0, which means no limit */ },
	};
	const struct setting *row = settings_find(&settings_service, "hold_timeout");
	struct service_settings service = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_null(take(row, rows[i].text, &service));
		assert_int_equal(service.clients.hold_timeout, rows[i].time);
	}
}

static void
no_limit_is_written_as_0(void **state)
{
	const struct setting *row = settings_find(&settings_service, "lookup.max_age");
	struct service_settings service = { 0 };

	(void)state;
	assert_null(take(row, "0", &service));
	assert_true(service.upstream.lookup.max_age == CLOCK_NEVER);
	assert_null(take(row, "\"30s\"", &service));
	assert_int_equal(service.upstream.lookup.max_age, 30 * CLOCK_SECOND);
}

static void
keepalive_is_kept_in_the_units_of_the_kernel(void **state)
{
	struct service_settings service = { 0 };
	char *error;

	(void)state;
	assert_null(take(settings_find(&settings_service, "keepalive.idle"), "\"2min\"", &service));
	assert_int_equal(service.upstream.dial.keepalive_idle, 120);
	assert_null(take(settings_find(&settings_service, "keepalive.user_timeout"), "0.5", &service));
	assert_int_equal(service.upstream.dial.user_timeout, 500);
	error = take(settings_find(&settings_service, "keepalive.interval"), "1.5", &service);
	assert_string_equal(error, "must be in whole seconds");
	mem_free(error);
}

static void
a_bare_mode_is_told_the_text_to_write(void **state)
{
	const struct setting *row = settings_find(&settings_service, "listen.mode");
	struct service_settings service = { 0 };
	char *error = take(row, "660", &service);

	(void)state;
	assert_string_equal(error, "a mode is a text of octal digits: write \"0660\", in quotation marks");
	mem_free(error);
	error = take(row, "0x1b0", &service);
	assert_string_equal(error, "a mode is a text of octal digits, in quotation marks, such as \"0660\"");
	mem_free(error);
	assert_null(take(row, "0", &service));
	assert_int_equal(service.listeners.at[0].mode, 0);
	assert_null(take(row, "\"0640\"", &service));
	assert_int_equal(service.listeners.at[0].mode, 0640);
}

static void
names_that_are_nearly_right_are_recognised(void **state)
{
	static const struct {
		const struct settings *settings;
		const char *group, *name, *meant;
	} rows[] = {
		{ &settings_service, "", "adress", "address" },
		{ &settings_service, "", "lokup", "lookup" },
		{ &settings_service, "retry", "dealy", "delay" },
		{ &settings_service, "", "delay", "retry.delay" },
		{ &settings_service, "", "script", "lookup.script" },
		{ &settings_top, "", "service", "services" },
		{ &settings_top, "log", "levle", "level" },
	};
	char nearest[SETTINGS_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(settings_nearest(rows[i].settings, rows[i].group, rows[i].name, nearest));
		assert_string_equal(nearest, rows[i].meant);
	}
	assert_false(settings_nearest(&settings_service, "", "zzzzzzzz", nearest));
}

static void
texts_are_printed_so_that_libconfig_reads_the_same_bytes(void **state)
{
	struct service_settings service = { .clients.down_reply = mem_new(256, 1) };
	char *all = service.clients.down_reply, *printed, *whole;
	config_t config;

	(void)state;
	for (unsigned i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	printed = config_value_text(settings_find(&settings_service, "down_reply"), &service, setting_show);
	whole = mem_print("value = %s;", printed);
	config_init(&config);
	assert_int_equal(config_read_string(&config, whole), CONFIG_TRUE);
	assert_string_equal(config_setting_get_string(config_lookup(&config, "value")), all);
	config_destroy(&config);
	mem_free(whole);
	mem_free(printed);
	mem_free(all);
}

static void
what_hello_sends_is_hidden_from_people_but_not_from_the_next_worker(void **state)
{
	const char *text = "services: { a: { address = \"h:1\"; hello = ( { send = \"AUTH s3cret\\r\\n\"; "
	    "abort_on = \"-WRONGPASS\"; }, { send = \"PING\\r\\n\"; expect = \"+PONG\"; timeout = 0.5; } ); }; };";
	struct config_errors errors = { 0 };
	struct config *config = config_parse_text(text, "first", &errors), *again;
	const struct hello_settings *hello;
	char *kept = config_text(config, setting_print), *shown = config_text(config, setting_show);
	char *service = config_service_text(config->services[0], setting_show);

	(void)state;
	assert_non_null(strstr(shown, "\n\t\thello = ({ send = \"***\"; timeout = 5; abort_on = \"-WRONGPASS\"; }, "
	    "{ send = \"***\"; expect = \"+PONG\"; timeout = 0.5; });\n"));
	assert_null(strstr(shown, "s3cret"));
	assert_null(strstr(service, "s3cret"));
	again = config_parse_text(kept, "kept", &errors);
	assert_null(config_parse_text(shown, "shown", &errors));
	assert_string_equal(strstr(errors.errors[0], "services.a.hello"), "services.a.hello: \"***\" is what is "
	    "shown in a secret's place: write the secret itself");
	config_errors_clear(&errors);
	hello = &again->services[0]->upstream.hello;
	assert_string_equal(hello->steps[0].send, "AUTH s3cret\r\n");
	assert_int_equal(hello->steps[1].timeout, CLOCK_SECOND / 2);
	assert_true(hello_settings_are_same(hello, &config->services[0]->upstream.hello));
	config_free(again);
	config_free(config);
	mem_free(kept);
	mem_free(shown);
	mem_free(service);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_has_a_default_in_range_and_a_reload_class),
		cmocka_unit_test(what_is_cleared_owns_nothing),
		cmocka_unit_test(what_hello_sends_is_hidden_from_people_but_not_from_the_next_worker),
		cmocka_unit_test(a_copy_prints_the_same_and_shares_nothing),
		cmocka_unit_test(the_strongest_class_among_changed_rows_counts),
		cmocka_unit_test(a_list_differs_by_an_item_more_and_by_an_item_changed),
		cmocka_unit_test(only_where_sockets_are_and_what_clients_were_promised_stays),
		cmocka_unit_test(paths_of_the_same_place_become_the_same_text),
		cmocka_unit_test(times_are_numbers_of_seconds_or_texts_with_a_unit),
		cmocka_unit_test(no_limit_is_written_as_0),
		cmocka_unit_test(keepalive_is_kept_in_the_units_of_the_kernel),
		cmocka_unit_test(a_bare_mode_is_told_the_text_to_write),
		cmocka_unit_test(names_that_are_nearly_right_are_recognised),
		cmocka_unit_test(texts_are_printed_so_that_libconfig_reads_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
