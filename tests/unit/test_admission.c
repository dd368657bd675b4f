/* May this client come in: lists, the number per user, and one log line a minute per user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "client/admission.h"
#include "keep_side.h"

#define NOBODY ((uid_t)-1)

static struct table_service services[1];
static struct table table = { .services = services };
static struct admission *admission;
static int pair[2];
static char *strangers[] = { (char[]){ "4000000000" }, NULL };

static int
set_up(void **state)
{
	(void)state;
	side_pair(pair);
	strcpy(services[0].name, "cache");
	admission = admission_new(NULL, &table, 0, NULL, NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	admission_free(admission);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void
without_rules_everybody_comes_in_unasked(void **state)
{
	uid_t uid = 5;

	(void)state;
	assert_int_equal(admission_ask(admission, -1, &uid), CLOSING_UNKNOWN); /* no credentials were looked at */
	assert_int_equal(uid, NOBODY);
}

static void
a_user_has_so_many_clients_and_no_more(void **state)
{
	uid_t uid[3];

	(void)state;
	admission_set(admission, NULL, NULL, 2);
	assert_int_equal(admission_ask(admission, pair[0], &uid[0]), CLOSING_UNKNOWN);
	assert_int_equal(admission_ask(admission, pair[0], &uid[1]), CLOSING_UNKNOWN);
	assert_int_equal(uid[1], geteuid());
	assert_int_equal(admission_ask(admission, pair[0], &uid[2]), CLOSING_LIMIT);
	assert_int_equal(uid[2], NOBODY);
	admission_leave(admission, uid[2]);
	assert_int_equal(admission_ask(admission, pair[0], &uid[2]), CLOSING_LIMIT);
	admission_leave(admission, uid[0]);
	assert_int_equal(admission_ask(admission, pair[0], &uid[0]), CLOSING_UNKNOWN);
	admission_leave(admission, uid[0]);
	admission_leave(admission, uid[1]);
}

static void
who_was_here_before_counts_too(void **state)
{
	uid_t old = NOBODY, uid;

	(void)state;
	admission_rejoin(admission, pair[0], &old);
	assert_int_equal(old, NOBODY); /* no limit, nothing to count */
	admission_set(admission, NULL, NULL, 1);
	admission_rejoin(admission, pair[0], &old);
	assert_int_equal(old, geteuid());
	admission_rejoin(admission, pair[0], &old); /* once is enough */
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_LIMIT);
	admission_leave(admission, old);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_UNKNOWN);
	admission_leave(admission, uid);
}

static void
strangers_are_turned_away_and_named_once_a_minute(void **state)
{
	FILE *log = tmpfile();
	int old = dup(STDERR_FILENO), lines = 0;
	char line[512];
	uid_t uid;

	(void)state;
	admission_set(admission, strangers, NULL, 0);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	fflush(stderr);
	dup2(fileno(log), STDERR_FILENO);
	for (int i = 0; i < 5; i++)
		assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_NOT_ALLOWED);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(log);
	while (fgets(line, sizeof line, log) != NULL) {
		lines++;
		assert_non_null(strstr(line, "not in allow_users"));
		assert_non_null(strstr(line, "pid="));
	}
	fclose(log);
	assert_int_equal(lines, 1);
	assert_int_equal(uid, NOBODY);
}

/* Instead of the C library's: it may ask other hosts. */
static volatile unsigned *asked; /* shared with the children that ask */

struct passwd *
getpwnam(const char *name)
{
	static struct passwd self;

	++*asked;
	self.pw_uid = geteuid();
	return strcmp(name, "self") == 0 ? &self : NULL;
}

struct group *
getgrnam(const char *name)
{
	(void)name;
	++*asked;
	return NULL;
}

static void
names_are_looked_up_once_not_for_each_client(void **state)
{
	char *users[] = { (char[]){ "self" }, (char[]){ "no-such" }, NULL };
	char *groups[] = { (char[]){ "no-such" }, NULL };
	uid_t uid;

	(void)state;
	asked = mmap(NULL, sizeof *asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(asked != MAP_FAILED);
	admission_set(admission, users, groups, 0);
	assert_int_equal(*asked, 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_UNKNOWN);
	assert_int_equal(*asked, 3);
}

static void
unknown_names_let_nobody_in(void **state)
{
	char *names[] = { (char[]){ "no-such" }, NULL };
	uid_t uid;

	(void)state;
	admission_set(admission, names, names, 0);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_NOT_ALLOWED);
	admission_set(admission, NULL, NULL, 0);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_UNKNOWN);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(without_rules_everybody_comes_in_unasked),
		ROW(a_user_has_so_many_clients_and_no_more),
		ROW(who_was_here_before_counts_too),
		ROW(strangers_are_turned_away_and_named_once_a_minute),
		ROW(names_are_looked_up_once_not_for_each_client),
		ROW(unknown_names_let_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
