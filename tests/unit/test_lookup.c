/* Lookups: every source, what is shared, the order. */
#include "lookup_outcome.h"

#include <sys/stat.h>


static struct lookup_settings
settings_of_addresses(char **texts)
{
	return (struct lookup_settings){ .addresses = texts, .timeout = 2 * CLOCK_SECOND, .max_age = CLOCK_NEVER };
}

static void
fixed_addresses_come_in_order(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "10.0.0.2:1");
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	look(&settings, &outcome);
	assert_string_equal(outcome.list, "10.0.0.2:1 10.0.0.1:1");
	mem_list_free(texts);
}

static void
host_names_are_resolved_in_place(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "10.0.0.2:1");
	mem_list_add(&texts, "localhost:77");
	mem_list_add(&texts, "nobody.onion:1");
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "");
	assert_memory_equal(outcome.list, "10.0.0.2:1 ", 11);
	assert_non_null(strstr(outcome.list, " 127.0.0.1:77 "));
	assert_non_null(strstr(outcome.list, " 10.0.0.1:1"));
	assert_non_null(strstr(outcome.whole, ", 127.0.0.1:77 0/1 1 \"localhost\", "));
	assert_non_null(strstr(outcome.whole, ", 10.0.0.1:1 0/1 3 \"\""));
	assert_memory_equal(outcome.incomplete, "resolve nobody.onion: ", 22);
	assert_int_equal(outcome.good_for, CLOCK_NEVER); /* no server was asked */
	mem_list_free(texts);
}

static void
an_unknown_name_is_an_error_that_names_it(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "nobody.onion:1");
	settings = settings_of_addresses(texts);
	look(&settings, &outcome);
	assert_memory_equal(outcome.error, "resolve nobody.onion: ", 22);
	mem_list_free(texts);
}

static void
all_who_wait_share_one_look_up(void **state)
{
	const char *script = stage_script("script", "echo x >> $0.runs; sleep 0.1; echo 10.0.0.1:1");
	struct lookup_settings settings = settings_of_script(script);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &no_callbacks, NULL);
	static struct outcome outcomes[3];
	struct lookup_waiter *waiters[3];
	struct stat st;
	char runs[300];

	(void)state;
	settings.timeout = 5 * CLOCK_SECOND;
	memset(outcomes, 0, sizeof outcomes);
	for (int i = 0; i < 3; i++)
		waiters[i] = lookup_ask(lookup, 0, on_lookup, &outcomes[i]);
	lookup_leave(waiters[1]);
	assert_true(stage_run(&outcomes[0].done, 5 * CLOCK_SECOND));
	assert_true(outcomes[2].done);
	assert_false(outcomes[1].done);
	snprintf(runs, sizeof runs, "%s.runs", script);
	assert_int_equal(stat(runs, &st), 0);
	assert_int_equal(st.st_size, 2);
	lookup_free(lookup);
}

static void
the_last_who_leaves_ends_it(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script", "sleep 60"));
	volatile pid_t groups[4] = { 0 };
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, groups, &record, &no_callbacks, NULL);
	struct lookup_waiter *waiter;

	(void)state;
	settings.timeout = CLOCK_NEVER;
	memset(&outcome, 0, sizeof outcome);
	waiter = lookup_ask(lookup, 0, on_lookup, &outcome);
	assert_true(groups[TABLE_GROUP_LOOKUP] > 0);
	lookup_leave(waiter);
	assert_int_equal(groups[TABLE_GROUP_LOOKUP], 0);
	assert_int_equal(lookup_running_since(lookup), 0);
	assert_true(stage_no_children());
	lookup_free(lookup);
	lookup_leave(NULL);
	lookup_free(NULL);
}

static void
a_callback_may_leave_ask_anew_and_free(void **state)
{
	char **texts = NULL;
	static struct outcome outcomes[5];
	struct lookup_settings settings;
	struct lookup *lookup;

	(void)state;
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &no_callbacks, NULL);
	memset(outcomes, 0, sizeof outcomes);
	lookup_ask(lookup, 0, on_lookup, &outcomes[0]);
	outcomes[0].leave_this = lookup_ask(lookup, 0, on_lookup, &outcomes[1]);
	outcomes[0].ask_again = lookup;
	outcomes[0].next = &outcomes[2];
	assert_true(stage_run(&outcomes[2].done, 5 * CLOCK_SECOND));
	assert_false(outcomes[1].done);
	/* Freed by the first who is told: the second is told that, through the loop. */
	outcomes[2].calls = 0;
	outcomes[2].free_this = lookup;
	lookup_ask(lookup, 0, on_lookup, &outcomes[2]);
	lookup_ask(lookup, 0, on_lookup, &outcomes[3]);
	lookup_leave(lookup_ask(lookup, 0, on_lookup, &outcomes[4]));
	assert_true(stage_run(&outcomes[3].done, 5 * CLOCK_SECOND));
	assert_string_equal(outcomes[2].error, "");
	assert_string_equal(outcomes[3].error, "the service was changed or removed meanwhile");
	assert_int_equal(outcomes[3].calls, 1);
	assert_int_equal(outcomes[4].calls, 0);
	mem_list_free(texts);
}

static void
freeing_kills_the_script_and_tells_who_waits(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script", "sleep 60"));
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &no_callbacks, NULL);
	struct outcome second = { 0 };
	struct lookup_waiter *waiter;

	(void)state;
	memset(&outcome, 0, sizeof outcome);
	lookup_ask(lookup, 0, on_lookup, &outcome);
	waiter = lookup_ask(lookup, 0, on_lookup, &second);
	lookup_free(lookup);
	assert_true(stage_no_children());
	lookup_leave(waiter);
	assert_true(stage_run(&outcome.done, CLOCK_SECOND));
	assert_false(second.done);
}

static void
keep_last_gives_the_last_ones_and_says_so(void **state)
{
	const char *script = stage_script("script", "test -e $0.bad && exit 9; echo 10.0.0.2:1; echo 10.0.0.1:1");
	struct endpoint_listed listed[2] = { { .from = "one", .weight = 1, .order = 1 },
		{ .from = "two", .weight = 7, .order = 0 } };
	struct lookup_settings settings = settings_of_script(script);
	struct lookup *lookup;

	(void)state;
	assert_null(address_parse("10.0.0.1:1", &listed[0].address));
	assert_null(address_parse("10.0.0.2:1", &listed[1].address));
	settings.keep_last = true;
	settings.timeout = 5 * CLOCK_SECOND;
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &no_callbacks, NULL);
	stage_write("script.bad", "", 0644);
	for (int i = 0; i < 3; i++) {
		memset(&outcome, 0, sizeof outcome);
		lookup_ask(lookup, 0, on_lookup, &outcome);
		assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
		if (i == 0) { /* nothing to keep yet */
			assert_string_equal(outcome.error, "lookup script: exit 9");
			remove(stage_path("script.bad"));
			continue;
		}
		assert_string_equal(outcome.error, "");
		assert_string_equal(outcome.list, "10.0.0.2:1 10.0.0.1:1");
		assert_string_equal(outcome.kept, i == 2 ? "lookup script: exit 9" : "");
		endpoints_list(&record.endpoints, listed, 2, clock_now());
		stage_write("script.bad", "", 0644);
	}
	assert_string_equal(outcome.whole, "10.0.0.2:1 0/7 0 \"two\", 10.0.0.1:1 0/1 1 \"one\"");
	memset(&record.endpoints, 0, sizeof record.endpoints);
	lookup_free(lookup);
}

static void
a_catalog_is_asked_afresh_and_its_folder_means_no_order(void **state)
{
	struct lookup_settings settings = { .catalog = (char *)(uintptr_t)stage_path("catalog"),
		.timeout = CLOCK_SECOND, .max_age = CLOCK_NEVER };
	struct lookup *lookup;

	(void)state;
	mkdir(stage_path("catalog"), 0755);
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &no_callbacks, NULL);
	assert_memory_equal(lookup_describe(lookup), "catalog /", 9);
	mkdir(stage_path("catalog/cache"), 0755);
	stage_publish("catalog/cache/a", "10.0.0.1:1\n");
	for (size_t count = 1; count <= 2; count++) {
		memset(&outcome, 0, sizeof outcome);
		lookup_ask(lookup, 0, on_lookup, &outcome);
		assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
		assert_int_equal(outcome.count, count);
		assert_true(outcome.random);
		stage_publish("catalog/cache/b", "10.0.0.2:1\n");
	}
	lookup_free(lookup);
}

static void
a_catalog_gives_priorities_weights_and_whose_they_are(void **state)
{
	struct lookup_settings settings = { .catalog = (char *)(uintptr_t)stage_path("catalog2"),
		.timeout = CLOCK_SECOND, .max_age = CLOCK_NEVER };

	(void)state;
	mkdir(stage_path("catalog2"), 0755);
	mkdir(stage_path("catalog2/cache"), 0755);
	stage_publish("catalog2/cache/a", "10.0.0.1:1 weight=5\n");
	stage_publish("catalog2/cache/b", "10.0.0.2:1 ttl=60 priority=2\n");
	look(&settings, &outcome);
	assert_string_equal(outcome.whole, "10.0.0.1:1 0/5 0 \"a\", 10.0.0.2:1 2/1 1 \"b\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_addresses_come_in_order),
		cmocka_unit_test(host_names_are_resolved_in_place),
		cmocka_unit_test(an_unknown_name_is_an_error_that_names_it),
		cmocka_unit_test(all_who_wait_share_one_look_up),
		cmocka_unit_test(the_last_who_leaves_ends_it),
		cmocka_unit_test(a_callback_may_leave_ask_anew_and_free),
		cmocka_unit_test(freeing_kills_the_script_and_tells_who_waits),
		cmocka_unit_test(keep_last_gives_the_last_ones_and_says_so),
		cmocka_unit_test(a_catalog_is_asked_afresh_and_its_folder_means_no_order),
		cmocka_unit_test(a_catalog_gives_priorities_weights_and_whose_they_are),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
