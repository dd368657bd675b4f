/* Catalogs: what counts, whose files, how old, and that a change of the list is told, but not a heartbeat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stage.h"
#include "upstream/catalog.h"
#include "upstream/entry.h"

struct listener {
	bool told;
	unsigned calls;
};

static void
on_changed(void *arg)
{
	struct listener *listener = arg;

	listener->told = true;
	listener->calls++;
}

/* The list, or "error: ..."; valid until the next call. */
static const char *
list(struct catalog *catalog)
{
	static char text[8000];
	struct address addresses[CATALOG_ADDRESSES];
	char one[ADDRESS_TEXT_SIZE], *error;
	bool folder;
	size_t count;

	text[0] = '\0';
	error = catalog_read(catalog, addresses, &count, &folder);
	if (error != NULL) {
		const char *said = strstr(error, stage_folder) != NULL ? strstr(error, stage_folder) +
		    strlen(stage_folder) : error;

		snprintf(text, sizeof text, "error: %s", said);
		mem_free(error);
		return text;
	}
	for (size_t i = 0; i < count; i++) {
		address_format(&addresses[i], one);
		strcat(text, i > 0 ? " " : "");
		strcat(text, one);
	}
	return text;
}

/* A fresh catalog folder "c" with the service's folder in it. */
static void
clear(void)
{
	char command[200];

	snprintf(command, sizeof command, "rm -rf %s", stage_path("c"));
	assert_int_equal(system(command), 0);
	assert_int_equal(mkdir(stage_path("c"), 0755), 0);
	assert_int_equal(mkdir(stage_path("c/cache"), 0755), 0);
}

static struct catalog *
open_catalog(int64_t max_age, struct listener *listener)
{
	if (listener != NULL)
		memset(listener, 0, sizeof *listener);
	return catalog_new(stage_loop, stage_path("c"), "cache", max_age, NULL, listener != NULL ? on_changed : NULL,
	    listener);
}

static void
set_age(const char *name, int64_t seconds)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = clock_wall() / CLOCK_SECOND - seconds } };

	assert_int_equal(utimensat(AT_FDCWD, stage_path(name), times, 0), 0);
}

/* ---- what counts ---- */

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
	mkdir(stage_path("c/cache/folder"), 0755);
	mkfifo(stage_path("c/cache/fifo"), 0644);
	assert_int_equal(symlink("nowhere", stage_path("c/cache/dangling")), 0);
	assert_int_equal(symlink("/dev/zero", stage_path("c/cache/device")), 0);
	assert_int_equal(symlink("cache", stage_path("c/cache/loop")), 0);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.1:1");
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
	struct entry entry;
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		strcpy(line, bad[i]);
		if (entry_parse(line, &entry) == NULL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	strcpy(line, "10.0.0.1:1 weight=7  ttl=1.5 priority=65535");
	assert_null(entry_parse(line, &entry));
	assert_int_equal(entry.ttl, 1500000);
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
	assert_string_equal(list(catalog), "error: /c: no copy of cache is listed");
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
	char name[40], text[40], *large = mem_new(70000, 1);

	(void)state;
	clear();
	memset(large, 'x', 69999);
	memcpy(large, "10.9.9.9:1\n", 11);
	large[65535] = '\n';
	large[65536] = '\0';
	stage_publish("c/cache/00-just-so", large);
	large[65536] = 'x';
	large[69998] = '\n';
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

/* ---- one file ---- */

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
	assert_string_equal(list(catalog), "error: /c: no copy of cache is listed");
	stage_publish("c", "cache 10.0.0.1:1");
	assert_string_equal(list(catalog), "error: /c: no newline at its end");
	unlink(stage_path("c"));
	catalog_free(catalog);
}

/* ---- age ---- */

static void
what_was_there_before_us_is_as_old_as_it_says(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/old", "10.0.0.1:1 ttl=30\n");
	stage_publish("c/cache/young", "10.0.0.2:1 ttl=30\n");
	stage_publish("c/cache/skewed", "10.0.0.3:1 ttl=30\n");
	set_age("c/cache/old", 31);
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

/* ---- changes ---- */

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
		cmocka_unit_test(p24_a_change_of_the_list_is_told_within_50_ms),
		cmocka_unit_test(a_heartbeat_is_not_a_change),
		cmocka_unit_test(a_storm_of_changes_ends_in_the_last),
		cmocka_unit_test(folders_that_come_and_go_are_noticed),
		cmocka_unit_test(many_catalogs_share_one_file),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
