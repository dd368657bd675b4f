/* Catalogs: what counts, whose files, how old. */
#include "catalog_place.h"

#include "upstream/entry.h"

static void
copies_come_in_the_order_of_their_names(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/b", "10.0.0.2:1 ttl=30 priority=5 weight=100\nanything\n");
	stage_publish("c/cache/a", "  10.0.0.1:1\t\n");
	stage_publish("c/cache/C", "unix:/run/x ttl=0.5\n");
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "unix:/run/x 10.0.0.1:1 10.0.0.2:1");
	catalog_free(catalog);
}

static void
what_is_no_copy_is_passed_over(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/good", "10.0.0.1:1\n");
	stage_publish("c/cache/.hidden", "10.0.0.2:1\n");
	stage_publish("c/cache/backup~", "10.0.0.3:1\n");
	stage_publish("c/cache/half.tmp", "10.0.0.4:1\n");
	stage_publish("c/cache/unfinished", "10.0.0.5:1");
	stage_publish("c/cache/empty", "");
	stage_publish("c/cache/blank", "\n10.0.0.6:1\n");
	stage_publish("c/cache/nonsense", "10.0.0.7\n");
	stage_publish("c/cache/colour", "unix:/\x1b[31m\n");
	mkdir(stage_path("c/cache/folder"), 0755);
	mkfifo(stage_path("c/cache/fifo"), 0644);
	assert_int_equal(symlink("nowhere", stage_path("c/cache/dangling")), 0);
	assert_int_equal(symlink("/dev/zero", stage_path("c/cache/device")), 0);
	assert_int_equal(symlink("cache", stage_path("c/cache/loop")), 0);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	assert_string_equal(list_passed_over(catalog), "blank: the first line is blank; "
	    "colour: the address has a control character; dangling: a link to nothing; "
	    "device: a link that leads out of the catalog; empty: empty; fifo: not a regular file; "
	    "folder: not a regular file; loop: a link to nothing; nonsense: no port; "
	    "unfinished: no newline at its end");
	catalog_free(catalog);
}

static void
entries_are_parsed_strictly(void **state)
{
	static const char *const bad[] = {
		"", " ", "10.0.0.1", "10.0.0.1:1 ttl", "10.0.0.1:1 ttl=", "10.0.0.1:1 ttl=0",
		"10.0.0.1:1 ttl=-1", "10.0.0.1:1 ttl=1s", "10.0.0.1:1 ttl=0x10",
		"10.0.0.1:1 ttl=1e3", "10.0.0.1:1 ttl=nan", "10.0.0.1:1 ttl=inf",
		"10.0.0.1:1 ttl=1.2.3", "10.0.0.1:1 ttl=99999999999", "10.0.0.1:1 priority=1.5",
		"10.0.0.1:1 priority=-1", "10.0.0.1:1 weight=65536", "10.0.0.1:1 weight=x",
		"10.0.0.1:1 colour=red", "10.0.0.1:1 10.0.0.2:1", "10.0.0.1:1\r",
	};
	struct endpoint_listed entry;
	char line[200];
	int64_t ttl;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		strcpy(line, bad[i]);
		if (entry_parse(line, &entry, &ttl) == NULL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	strcpy(line, "10.0.0.1:1 weight=7  ttl=1.5 priority=65535");
	assert_null(entry_parse(line, &entry, &ttl));
	assert_int_equal(ttl, 1500000);
	assert_int_equal(entry.weight, 7);
	assert_int_equal(entry.priority, 65535);
}

static void
errors_name_the_cause(void **state)
{
	struct catalog *catalog = catalog_new(stage_loop, "/no/such/place", "cache", CLOCK_NEVER, NULL, NULL, NULL);

	(void)state;
	assert_string_equal(list(catalog), "error: catalog /no/such/place: No such file or directory");
	catalog_free(catalog);
	clear();
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "error: /c: no instance of cache is listed");
	stage_publish("c/cache/a", "10.0.0.1:0\n");
	assert_string_equal(list(catalog), "error: /c: a: port 0 is not a port");
	stage_publish("c/cache/b", "x\n");
	assert_string_equal(list(catalog), "error: /c: no valid address: a: port 0 is not a port (and 1 more)");
	unlink(stage_path("c/cache/a"));
	unlink(stage_path("c/cache/b"));
	rmdir(stage_path("c/cache"));
	assert_string_equal(list(catalog), "error: /c: cache: No such file or directory");
	catalog_free(catalog);
}

static void
large_files_and_many_files_are_bounded(void **state)
{
	struct catalog *catalog;
	char name[40], text[40], *large = mem_new(5000, 1);

	(void)state;
	clear();
	memset(large, 'x', 4999);
	memcpy(large, "10.9.9.9:1\n", 11);
	large[4095] = '\n';
	large[4096] = '\0';
	stage_publish("c/cache/00-just-so", large);
	large[4096] = 'x';
	large[4998] = '\n';
	stage_publish("c/cache/01-too-large", large);
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof name, "c/cache/%03d", i + 100);
		snprintf(text, sizeof text, "10.0.0.1:%d\n", i + 1);
		stage_publish(name, text);
	}
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_memory_equal(list(catalog), "10.9.9.9:1 10.0.0.1:1 10.0.0.1:2 ", 33);
	assert_null(strstr(list(catalog), ":64"));
	assert_non_null(strstr(list(catalog), ":63"));
	assert_memory_equal(list_passed_over(catalog), "01-too-large: larger than 4 KiB", 31);
	assert_non_null(strstr(list_passed_over(catalog), "; 163: there are 64 addresses before it"));
	for (int i = 70; i < 170; i++) {
		snprintf(name, sizeof name, "c/cache/%03d", i + 100);
		stage_publish(name, "10.0.0.2:1\n");
	}
	catalog_free(catalog);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_non_null(strstr(list_passed_over(catalog), "; 44 more"));
	catalog_free(catalog);
	mem_free(large);
}

static void
only_files_of_allowed_owners_count(void **state)
{
	char *owners[] = { mem_copy_text("12345"), mem_copy_text("nobody"), mem_copy_text("no-such-user"), NULL };
	struct catalog *catalog;

	(void)state;
	if (geteuid() != 0)
		skip();
	clear();
	stage_publish("c/cache/a", "10.0.0.1:1\n");
	assert_int_equal(chown(stage_path("c/cache/a"), 12345, 0), 0);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "error: /c: a: owned by user 12345, who is not in lookup.owners");
	catalog_free(catalog);
	catalog = catalog_new(stage_loop, stage_path("c"), "cache", CLOCK_NEVER, owners, NULL, NULL);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	catalog_free(catalog);
	for (int i = 0; i < 3; i++)
		mem_free(owners[i]);
}

static void
one_file_lists_all_services(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	rmdir(stage_path("c/cache"));
	rmdir(stage_path("c"));
	stage_publish("c", "# ours\n\ndb 10.1.1.1:5\ncache 10.0.0.1:1 10.0.0.2:1\n  cache\t10.0.0.3:1\n"
	    "cached 10.4.4.4:1\ncache\n");
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list(catalog), "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1");
	stage_publish("c", "cache 10.0.0.1:0 10.0.0.2:1\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.2:1");
	stage_publish("c", "cache 10.0.0.1:0\n");
	assert_string_equal(list(catalog), "error: /c: line 1: port 0 is not a port");
	stage_publish("c", "db 10.0.0.1:1\n");
	assert_string_equal(list(catalog), "error: /c: no instance of cache is listed");
	stage_publish("c", "cache 10.0.0.1:1");
	assert_string_equal(list(catalog), "error: /c: no newline at its end");
	unlink(stage_path("c"));
	catalog_free(catalog);
}

static void
what_was_there_before_us_is_as_old_as_it_says(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/old", "10.0.0.1:1 ttl=30\n");
	stage_publish("c/cache/young", "10.0.0.2:1 ttl=30\n");
	stage_publish("c/cache/skewed", "10.0.0.3:1 ttl=30\n");
	stage_publish("c/cache/older-than-the-machine-runs", "10.0.0.4:1 ttl=30\n");
	set_age("c/cache/old", 31);
	set_age("c/cache/older-than-the-machine-runs", INT64_C(1000000000));
	set_age("c/cache/young", 20);
	set_age("c/cache/skewed", -1000);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.3:1 10.0.0.2:1");
	catalog_free(catalog);
	catalog = open_catalog(10 * CLOCK_SECOND, NULL);
	assert_string_equal(list(catalog), "10.0.0.3:1");
	catalog_free(catalog);
}

static void
skew_withdraws_nothing_that_we_saw_change(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=30\n");
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	/* A publisher whose clock is an hour behind beats. */
	set_age("c/cache/a", 3600);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	stage_publish("c/cache/b", "10.0.0.2:1 ttl=30\n");
	set_age("c/cache/b", 3600);
	assert_string_equal(list(catalog), "10.0.0.1:1 10.0.0.2:1");
	catalog_free(catalog);
}

static void
a_ttl_that_runs_out_is_told_in_time(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	int64_t began;

	(void)state;
	clear();
	catalog = open_catalog(CLOCK_NEVER, &listener);
	stage_publish("c/cache/a", "10.0.0.1:1 ttl=0.3\n");
	began = clock_now();
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.1:1");
	listener.told = false;
	assert_true(stage_run(&listener.told, 2 * CLOCK_SECOND));
	assert_in_range(clock_now() - began, 300 * CLOCK_MILLISECOND, 2 * CLOCK_SECOND);
	assert_string_equal(list(catalog), "error: /c: a: expired");
	/* Its heart beats again. */
	listener.told = false;
	set_age("c/cache/a", 0);
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.1:1");
	catalog_free(catalog);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_come_in_the_order_of_their_names),
		cmocka_unit_test(what_is_no_copy_is_passed_over),
		cmocka_unit_test(entries_are_parsed_strictly),
		cmocka_unit_test(errors_name_the_cause),
		cmocka_unit_test(large_files_and_many_files_are_bounded),
		cmocka_unit_test(only_files_of_allowed_owners_count),
		cmocka_unit_test(one_file_lists_all_services),
		cmocka_unit_test(what_was_there_before_us_is_as_old_as_it_says),
		cmocka_unit_test(skew_withdraws_nothing_that_we_saw_change),
		cmocka_unit_test(a_ttl_that_runs_out_is_told_in_time),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
