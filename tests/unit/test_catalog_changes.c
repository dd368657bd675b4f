/* Catalogs: a change of the list is told, but not a heartbeat. */
#include "catalog_place.h"

static void
p24_a_change_of_the_list_is_told_within_50_ms(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	unsigned quick = 0;
	int64_t began;

	(void)state;
	clear();
	catalog = open_catalog(CLOCK_NEVER, &listener);
	for (int i = 0; i < 12; i++) {
		began = clock_now();
		listener.told = false;
		if (i % 3 == 0)
			stage_publish("c/cache/a", "10.0.0.1:1 ttl=30\n");
		else if (i % 3 == 1)
			stage_publish("c/cache/a", "10.0.0.9:1 ttl=30\n");
		else
			unlink(stage_path("c/cache/a"));
		assert_true(stage_run(&listener.told, CLOCK_SECOND));
		quick += clock_now() - began < 50 * CLOCK_MILLISECOND;
	}
	assert_int_equal(listener.calls, 12);
	assert_in_range(quick, 6, 12); /* a busy machine may be late now and then */
	catalog_free(catalog);
}

static void
a_heartbeat_is_not_a_change(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=30\n");
	catalog = open_catalog(CLOCK_NEVER, &listener);
	set_age("c/cache/a", 5);
	stage_idle(60 * CLOCK_MILLISECOND);
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=40\n");
	stage_publish("c/cache/.hidden", "10.0.0.1:1 ttl=40\n");
	stage_idle(60 * CLOCK_MILLISECOND);
	assert_int_equal(listener.calls, 0);
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=40 weight=2\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND)); /* that is one */
	assert_int_equal(listener.calls, 1);
	catalog_free(catalog);
}

static void
a_storm_of_changes_ends_in_the_last(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	char name[40];

	(void)state;
	clear();
	catalog = open_catalog(CLOCK_NEVER, &listener);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "c/cache/%04d", i);
		stage_publish(name, "10.0.0.1:1\n");
		unlink(stage_path(name));
	}
	stage_publish("c/cache/last", "10.0.0.2:1\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	stage_idle(50 * CLOCK_MILLISECOND);
	assert_in_range(listener.calls, 1, 3);
	assert_string_equal(list(catalog), "10.0.0.2:1");
	catalog_free(catalog);
}

static void
folders_that_come_and_go_are_noticed(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	rmdir(stage_path("c/cache"));
	rmdir(stage_path("c"));
	catalog = open_catalog(CLOCK_NEVER, &listener);
	mkdir(stage_path("c"), 0755);
	stage_idle(40 * CLOCK_MILLISECOND);
	mkdir(stage_path("c/cache"), 0755);
	stage_idle(40 * CLOCK_MILLISECOND);
	assert_int_equal(listener.calls, 0);
	stage_publish("c/cache/a", "10.0.0.1:1\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	listener.told = false;
	assert_int_equal(rename(stage_path("c"), stage_path("moved")), 0);
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	listener.told = false;
	assert_int_equal(rename(stage_path("moved"), stage_path("c")), 0);
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	listener.told = false;
	assert_int_equal(rename(stage_path("c/cache"), stage_path("moved")), 0);
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	listener.told = false;
	assert_int_equal(rename(stage_path("moved"), stage_path("c/cache")), 0);
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.1:1");
	catalog_free(catalog);
}

static void
what_is_passed_over_is_told_when_it_changes(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/a", "10.0.0.1\n");
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list_passed_over(catalog), "a: no port");
	set_age("c/cache/a", 5);
	stage_idle(60 * CLOCK_MILLISECOND);
	assert_int_equal(listener.passed_over, 0);
	stage_publish("c/cache/a", "10.0.0.1:0\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list_passed_over(catalog), "a: port 0 is not a port");
	listener.told = false;
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=0.3\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_int_equal(listener.calls, 1);
	assert_string_equal(list_passed_over(catalog), "");
	listener.told = false;
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list_passed_over(catalog), "a: expired");
	assert_int_equal(listener.passed_over, 3);
	assert_int_equal(listener.calls, 2);
	catalog_free(catalog);
}

static void
many_catalogs_share_one_file(void **state)
{
	unsigned files = stage_count_files();
	struct catalog *catalogs[200];
	static struct listener listeners[200];

	(void)state;
	clear();
	for (int i = 0; i < 200; i++)
		catalogs[i] = open_catalog(CLOCK_NEVER, &listeners[i]);
	assert_int_equal(stage_count_files(), files + 1);
	for (int i = 0; i < 200; i += 2)
		catalog_free(catalogs[i]);
	stage_publish("c/cache/a", "10.0.0.1:1\n");
	assert_true(stage_run(&listeners[199].told, CLOCK_SECOND));
	stage_idle(50 * CLOCK_MILLISECOND);
	for (int i = 1; i < 200; i += 2) {
		assert_int_equal(listeners[i].calls, 1);
		catalog_free(catalogs[i]);
	}
	assert_int_equal(stage_count_files(), files);
	catalog_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p24_a_change_of_the_list_is_told_within_50_ms),
		cmocka_unit_test(a_heartbeat_is_not_a_change),
		cmocka_unit_test(a_storm_of_changes_ends_in_the_last),
		cmocka_unit_test(folders_that_come_and_go_are_noticed),
		cmocka_unit_test(what_is_passed_over_is_told_when_it_changes),
		cmocka_unit_test(many_catalogs_share_one_file),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
