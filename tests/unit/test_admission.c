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
#include "client/listener.h"
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

/* Of the listener of this number. */
static void
rule(unsigned i, char **users, char **groups, unsigned per_user)
{
	static struct listeners_settings listeners;

	listeners.count = 2;
	listeners.at[i].allow_users = users;
	listeners.at[i].allow_groups = groups;
	admission_set(admission, &listeners, per_user);
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
	rule(0, NULL, NULL, 2);
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
	rule(0, NULL, NULL, 1);
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
	rule(0, strangers, NULL, 0);
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
	rule(0, users, groups, 0);
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
	rule(0, names, names, 0);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_NOT_ALLOWED);
	rule(0, NULL, NULL, 0);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_UNKNOWN);
}

/* As after a death: nobody tells at which socket the client came in, but its own name does. */
static void
who_came_by_one_listener_is_judged_by_its_rules(void **state)
{
	struct sockaddr_un name[2] = { { .sun_family = AF_UNIX }, { .sun_family = AF_UNIX } };
	socklen_t length = sizeof name[0];
	int client, came, fd;
	uid_t uid;

	(void)state;
	rule(1, strangers, NULL, 0);
	assert_int_equal(admission_ask(admission, pair[0], &uid), CLOSING_NOT_ALLOWED); /* it may not be everywhere */
	for (unsigned i = 0; i < 2; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&name[i], sizeof name[i].sun_family), 0);
		assert_int_equal(listen(fd, 1), 0);
		length = sizeof name[i];
		assert_int_equal(getsockname(fd, (struct sockaddr *)&name[i], &length), 0);
		services[0].sockets[i] = (struct table_socket){ .fd = fd, .length = length, .bound = name[i] };
		client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(client, (struct sockaddr *)&name[i], length), 0);
		came = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		assert_int_equal(admission_ask(admission, came, &uid),
		    i == 0 ? CLOSING_UNKNOWN : CLOSING_NOT_ALLOWED);
		close(came);
		close(client);
		close(fd);
	}
	rule(1, NULL, NULL, 0);
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
		ROW(who_came_by_one_listener_is_judged_by_its_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
