/* Catalogs: what lies in one that nobody meant, or that somebody meant. */
#include "catalog_place.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void
make_link(const char *target, const char *name)
{
	assert_int_equal(symlink(target, stage_path(name)), 0);
}

static void
links_count_as_long_as_they_stay_beneath_the_catalog(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("outside", "10.9.9.9:1\n");
	mkdir(stage_path("c/cache/.v1"), 0755);
	mkdir(stage_path("c/shelf"), 0755);
	stage_publish("c/cache/.v1/one", "10.0.0.1:1\n");
	stage_publish("c/shelf/two", "10.0.0.2:1\n");
	make_link(".v1", "c/cache/..data");
	make_link("..data/one", "c/cache/one");
	make_link("../shelf/two", "c/cache/two");
	make_link("../../outside", "c/cache/out");
	make_link(stage_path("outside"), "c/cache/absolute");
	make_link(stage_path("c/shelf/two"), "c/cache/absolute-in");
	make_link("/proc/self/status", "c/cache/proc");
	make_link("a-circle", "c/cache/a-circle");
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.1:1 10.0.0.2:1");
	assert_string_equal(list_passed_over(catalog), "a-circle: links in a circle; "
	    "absolute: a link that leads out of the catalog; absolute-in: a link that leads out of the catalog; "
	    "out: a link that leads out of the catalog; proc: a link that leads out of the catalog");
	catalog_free(catalog);
}

/* As Kubernetes swaps a ConfigMap: a new directory, and "..data" is renamed over to lead there. */
static void
swap(const char *place, const char *version, const char *text)
{
	char name[100], aside[100];

	snprintf(name, sizeof name, "%s/%s", place, version);
	mkdir(stage_path(name), 0755);
	snprintf(name, sizeof name, "%s/%s/one", place, version);
	stage_write(name, text, 0644);
	snprintf(aside, sizeof aside, "%s/..new", place);
	make_link(version, aside);
	snprintf(name, sizeof name, "%s/..data", place);
	assert_int_equal(rename(stage_path(aside), stage_path(name)), 0);
}

static void
a_config_map_that_is_swapped_is_told_at_once(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	swap("c/cache", "..2026_1", "10.0.0.1:1\n");
	make_link("..data/one", "c/cache/one");
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	swap("c/cache", "..2026_2", "10.0.0.2:1\n");
	assert_true(stage_run(&listener.told, CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.2:1");
	assert_string_equal(list_passed_over(catalog), "");
	catalog_free(catalog);
}

static void
a_services_directory_may_be_such_a_link_itself(void **state)
{
	static struct listener listener;
	struct catalog *catalog;

	(void)state;
	clear();
	rmdir(stage_path("c/cache"));
	swap("c", "..2026_1", "unused\n");
	mkdir(stage_path("c/..2026_1/cache"), 0755);
	stage_write("c/..2026_1/cache/a", "10.0.0.1:1\n", 0644);
	make_link("..data/cache", "c/cache");
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	unlink(stage_path("c/cache"));
	make_link("../elsewhere", "c/cache");
	assert_string_equal(list(catalog), "error: /c: cache: a link that leads out of the catalog");
	catalog_free(catalog);
}

static void
what_everybody_may_write_counts_nothing(void **state)
{
	struct catalog *catalog;

	(void)state;
	clear();
	stage_publish("c/cache/all", "10.0.0.1:1\n");
	stage_publish("c/cache/group", "10.0.0.2:1\n");
	chmod(stage_path("c/cache/all"), 0646);
	chmod(stage_path("c/cache/group"), 0664);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.2:1");
	assert_string_equal(list_passed_over(catalog), "all: writable by everybody");
	chmod(stage_path("c/cache"), 0777);
	assert_string_equal(list(catalog), "error: /c: the service's directory is writable by everybody, "
	    "without the sticky bit");
	chmod(stage_path("c/cache"), 01777);
	assert_string_equal(list(catalog), "10.0.0.2:1");
	chmod(stage_path("c"), 0777);
	assert_string_equal(list(catalog), "error: /c: the directory is writable by everybody, "
	    "without the sticky bit");
	catalog_free(catalog);
}

static void
a_directory_of_another_user_counts_nothing(void **state)
{
	struct catalog *catalog;

	(void)state;
	if (geteuid() != 0)
		skip();
	clear();
	stage_publish("c/cache/a", "10.0.0.1:1\n");
	assert_int_equal(chown(stage_path("c/cache"), 12345, 0), 0);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "error: /c: the service's directory is owned by user 12345, "
	    "who is not in lookup.owners");
	assert_int_equal(chown(stage_path("c/cache"), 0, 0), 0);
	chmod(stage_path("c/cache/a"), 0600);
	chmod(stage_folder, 0755);
	assert_int_equal(seteuid(12345), 0);
	assert_string_equal(list(catalog), "error: /c: a: Permission denied");
	assert_int_equal(seteuid(0), 0);
	catalog_free(catalog);
}

static void
editors_of_other_systems_are_told_apart(void **state)
{
	static const char nul[] = "10.0.0.5:1\n\0\n";
	struct catalog *catalog;
	int fd;

	(void)state;
	clear();
	stage_publish("c/cache/bom", "\xef\xbb\xbf" "10.0.0.1:1\n");
	stage_publish("c/cache/crlf", "10.0.0.2:1\r\n");
	stage_publish("c/cache/two", "10.0.0.3:1\n10.0.0.4:1\n");
	fd = open(stage_path("c/cache/nul"), O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, nul, sizeof nul - 1), (ssize_t)sizeof nul - 1);
	close(fd);
	catalog = open_catalog(CLOCK_NEVER, NULL);
	assert_string_equal(list(catalog), "10.0.0.3:1");
	assert_string_equal(list_passed_over(catalog), "bom: a byte order mark at its start; "
	    "crlf: a carriage return in it (lines end with a newline alone); nul: a NUL byte in it");
	catalog_free(catalog);
}

/* Nothing tells of the change: it is made through another name of the file, whose directory nobody watches. */
static void
what_is_unfinished_is_looked_at_again_soon(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	int fd;

	(void)state;
	clear();
	stage_write("half", "10.0.0.1:1", 0644);
	assert_int_equal(link(stage_path("half"), stage_path("c/cache/a")), 0);
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list(catalog), "error: /c: a: no newline at its end");
	fd = open(stage_path("half"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	assert_true(stage_run(&listener.told, 3 * CLOCK_SECOND));
	assert_string_equal(list(catalog), "10.0.0.1:1");
	catalog_free(catalog);
}

static void
where_inotify_is_blind_max_age_says_how_often_it_is_looked_at(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	int64_t began;
	int fd;

	(void)state;
	clear();
	stage_write("far", "10.0.0.1:1\n", 0644);
	assert_int_equal(link(stage_path("far"), stage_path("c/cache/a")), 0);
	catalog = open_catalog(3 * CLOCK_SECOND, &listener);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	fd = open(stage_path("far"), O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "10.0.0.2:1\n", 11), 11);
	close(fd);
	began = clock_now();
	assert_true(stage_run(&listener.told, 3 * CLOCK_SECOND));
	assert_in_range(clock_now() - began, 0, 2 * CLOCK_SECOND);
	assert_string_equal(list(catalog), "10.0.0.2:1");
	catalog_free(catalog);
}

static void
very_many_names_are_read_over_several_turns(void **state)
{
	static struct listener listener;
	struct catalog *catalog;
	char name[40];
	int64_t began;

	(void)state;
	clear();
	stage_publish("c/cache/A", "10.0.0.1:1\n");
	for (int i = 0; i < 3 * CATALOG_NAMES_TURN; i++) {
		snprintf(name, sizeof name, "c/cache/%s%05d", i % 2 == 0 ? "junk" : ".hidden", i);
		stage_write(name, "", 0644);
	}
	catalog = open_catalog(CLOCK_NEVER, &listener);
	assert_string_equal(list(catalog), "10.0.0.1:1");
	assert_memory_equal(list_passed_over(catalog), "(others): there are too many: the first 1024 by name are "
	    "looked at; junk00000: empty; junk00002: empty; ", 100);
	/* A change in the middle of a look is seen by the next one; meanwhile what was last seen counts. */
	listener.told = false;
	stage_publish("c/cache/B", "10.0.0.2:1\n");
	assert_string_equal(list(catalog), "10.0.0.1:1");
	began = clock_now();
	while (strcmp(list(catalog), "10.0.0.1:1 10.0.0.2:1") != 0 && clock_now() - began < 5 * CLOCK_SECOND)
		stage_idle(20 * CLOCK_MILLISECOND);
	assert_string_equal(list(catalog), "10.0.0.1:1 10.0.0.2:1");
	catalog_free(catalog);
}

static void
a_file_that_is_swapped_all_the_time_never_blocks_and_never_gives_half(void **state)
{
	struct catalog *catalog;
	char odd[100];
	pid_t swapper;

	(void)state;
	clear();
	snprintf(odd, sizeof odd, "%s", stage_path("c/cache/odd"));
	stage_publish("c/cache/good", "10.0.0.1:1\n");
	stage_write("whole", "10.0.0.2:2222\n", 0644);
	swapper = fork();
	if (swapper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (mkfifo(stage_path("fifo"), 0644) == 0 && rename(stage_path("fifo"), odd) == 0 &&
		    symlink("/dev/zero", stage_path("zero")) == 0 && rename(stage_path("zero"), odd) == 0 &&
		    link(stage_path("whole"), stage_path("again")) == 0 && rename(stage_path("again"), odd) == 0 &&
		    truncate(odd, 0) == 0)
			stage_write("whole", "10.0.0.2:2222\n", 0644);
		_exit(1);
	}
	catalog = open_catalog(CLOCK_NEVER, NULL);
	for (int i = 0; i < 3000; i++) {
		const char *said = list(catalog);

		if (strcmp(said, "10.0.0.1:1") != 0)
			assert_string_equal(said, "10.0.0.1:1 10.0.0.2:2222");
	}
	assert_int_equal(waitpid(swapper, NULL, WNOHANG), 0);
	kill(swapper, SIGKILL);
	assert_int_equal(waitpid(swapper, NULL, 0), swapper);
	catalog_free(catalog);
}

/* Refuses openat2() with this error, as an old kernel does, or an old container's filter. */
static void
refuse_openat2(unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof filter / sizeof filter[0], .filter = filter };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void
without_openat2_no_link_is_followed(void **state)
{
	(void)state;
	clear();
	stage_publish("c/cache/.hidden", "10.0.0.9:1\n");
	stage_publish("c/cache/a", "10.0.0.1:1\n");
	mkdir(stage_path("c/cache/folder"), 0755);
	make_link(".hidden", "c/cache/link");
	make_link("/etc/passwd", "c/cache/out");
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			struct catalog *catalog = open_catalog(CLOCK_NEVER, NULL);
			bool good;

			refuse_openat2(i == 0 ? ENOSYS : EPERM);
			good = strcmp(list(catalog), "10.0.0.1:1") == 0 && strcmp(list_passed_over(catalog),
			    "folder: not a regular file; "
			    "link: a link; without openat2() it cannot be followed safely; "
			    "out: a link; without openat2() it cannot be followed safely") == 0;
			if (!good)
				fprintf(stderr, "%s; %s\n", list(catalog), list_passed_over(catalog));
			_exit(good ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_count_as_long_as_they_stay_beneath_the_catalog),
		cmocka_unit_test(a_config_map_that_is_swapped_is_told_at_once),
		cmocka_unit_test(a_services_directory_may_be_such_a_link_itself),
		cmocka_unit_test(what_everybody_may_write_counts_nothing),
		cmocka_unit_test(a_directory_of_another_user_counts_nothing),
		cmocka_unit_test(editors_of_other_systems_are_told_apart),
		cmocka_unit_test(what_is_unfinished_is_looked_at_again_soon),
		cmocka_unit_test(where_inotify_is_blind_max_age_says_how_often_it_is_looked_at),
		cmocka_unit_test(very_many_names_are_read_over_several_turns),
		cmocka_unit_test(a_file_that_is_swapped_all_the_time_never_blocks_and_never_gives_half),
		cmocka_unit_test(without_openat2_no_link_is_followed),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
