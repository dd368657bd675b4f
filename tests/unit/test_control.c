/* The control socket: what comes in, in whatever way, and what goes out. */
#include "control_side.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* Lines. */

static void
a_line_may_come_in_pieces(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "ec");
	side_turn();
	side_put(fd, "ho \"a b");
	side_turn();
	assert_int_equal(side.runs, 0);
	side_put(fd, "\" c\r\n");
	side_expect_ok(fd, "words", "[\"a b\",\"c\"]");
	close(fd);
}

static void
many_commands_in_one_write_are_answered_in_order(void **state)
{
	char text[200 * 12] = "", word[24];
	int fd = side_client();

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof word, "echo %d\n", i);
		strcat(text, word);
	}
	side_put(fd, text);
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof word, "[\"%d\"]", i);
		side_expect_ok(fd, "words", word);
	}
	close(fd);
}

static void
malformed_lines_get_an_error_and_the_connection_stays(void **state)
{
	static const struct { const char *line, *error; } rows[] = {
		{ "\n", "no command" },
		{ "ehco\n", "no command \"ehco\"; did you mean \"echo\"?" },
		{ "x\xff\n", "no command" },
		{ "size\n", "usage: size BYTES" },
		{ "size 1 2\n", "usage: size BYTES" },
		{ "later x\n", "usage: later" },
		{ "echo \"x\n", "is not closed" },
		{ "echo \x01\x02 \"\n", "is not closed" },
	};
	int fd = side_client();

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		side_put(fd, rows[i].line);
		side_expect_error(fd, rows[i].error);
	}
	side_put_bytes(fd, "echo a\0b\n", 9);
	side_expect_error(fd, "NUL");
	side_put(fd, "echo \xc3\xa4 \xff\n");
	side_expect_ok(fd, "words", "[\"\xc3\xa4\",\"\\\\xff\"]");
	close(fd);
}

static void
a_line_of_4096_bytes_is_taken_and_a_longer_one_skipped(void **state)
{
	char line[3 * CONTROL_LINE_MAX];
	int fd = side_client();

	(void)state;
	memset(line, ' ', sizeof line);
	memcpy(line, "echo a", 6);
	line[CONTROL_LINE_MAX] = '\n';
	side_put_bytes(fd, line, CONTROL_LINE_MAX + 1);
	side_expect_ok(fd, "words", "[\"a\"]");
	line[CONTROL_LINE_MAX] = ' ';
	line[CONTROL_LINE_MAX + 1] = '\n';
	side_put_bytes(fd, line, CONTROL_LINE_MAX + 2);
	side_expect_error(fd, "longer than 4096 bytes");
	line[CONTROL_LINE_MAX + 1] = ' ';
	line[sizeof line - 1] = '\n';
	side_put_bytes(fd, line, sizeof line);
	side_expect_error(fd, "longer than 4096 bytes");
	side_put(fd, "echo b\n");
	side_expect_ok(fd, "words", "[\"b\"]");
	assert_int_equal(side.runs, 2);
	close(fd);
}

static void
a_last_line_without_newline_is_not_run(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "echo a\necho b");
	shutdown(fd, SHUT_WR);
	side_expect_ok(fd, "words", "[\"a\"]");
	side_expect_error(fd, "no newline");
	side_expect_end(fd);
	assert_int_equal(side.runs, 1);
}

/* Requests that are answered later. */

static void
turn_until_waiting(void)
{
	for (int64_t until = clock_now() + SIDE_BOUND; side.waiting == NULL; side_turn())
		assert_true(clock_now() < until);
}

static void
turn_until_cancelled(unsigned number)
{
	for (int64_t until = clock_now() + SIDE_BOUND; side.cancelled < number; side_turn())
		assert_true(clock_now() < until);
}

static void
the_next_command_waits_until_the_one_before_is_answered(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "later\necho a\n");
	turn_until_waiting();
	for (int i = 0; i < 10; i++)
		side_turn();
	assert_int_equal(side.runs, 0);
	control_answer(side.waiting, json_pack("{s:i}", "n", 1));
	side_expect_ok(fd, "n", "1");
	side_expect_ok(fd, "words", "[\"a\"]");
	assert_int_equal(side.cancelled, 0);
	close(fd);
}

static void
a_request_is_cancelled_when_its_connection_goes(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "later\necho a\n");
	turn_until_waiting();
	close(fd);
	turn_until_cancelled(1);
	assert_int_equal(side.runs, 0);
}

static void
a_shutdown_still_waits_for_the_answer_and_a_close_after_it_cancels(void **state)
{
	int fd = side_client(), other = side_client();

	(void)state;
	side_put(fd, "later\n");
	shutdown(fd, SHUT_WR);
	turn_until_waiting();
	for (int i = 0; i < 10; i++)
		side_turn();
	assert_int_equal(side.cancelled, 0);
	control_answer(side.waiting, NULL);
	side.waiting = NULL;
	side_expect_ok(fd, NULL, NULL);
	side_expect_end(fd);
	side_put(other, "later\n");
	shutdown(other, SHUT_WR);
	turn_until_waiting();
	for (int i = 0; i < 10; i++)
		side_turn();
	close(other);
	turn_until_cancelled(1);
}

static void
requests_under_way_are_cancelled_when_control_is_freed(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "later\n");
	turn_until_waiting();
	control_free(side.control);
	side.control = NULL;
	assert_int_equal(side.cancelled, 1);
	side_expect_end(fd);
}

/* Bounds. */

/* Files for both ends of all connections, and so many that a quarter is enough. */
static void
need_files(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 4 * CONTROL_CONNECTIONS)
		skip();
}

static void
who_finds_no_place_is_told_so_and_closed(void **state)
{
	static int files[CONTROL_CONNECTIONS];
	int fd;

	(void)state;
	need_files();
	for (int i = 0; i < CONTROL_CONNECTIONS; i++) {
		files[i] = side_client();
		side_put(files[i], "events\n");
		side_turn();
	}
	fd = side_client();
	side_expect_error(fd, "too many control connections");
	side_expect_end(fd);
	close(files[0]);
	for (int i = 0; i < 10; i++)
		side_turn();
	fd = side_client();
	side_put(fd, "echo\n");
	side_expect_ok(fd, "words", "[]");
	close(fd);
	for (int i = 1; i < CONTROL_CONNECTIONS; i++)
		close(files[i]);
}

/* Waits until the connection that asked nothing for longest has been ended for a new one; gives the new one. */
static int
take_an_idle_place(int idle)
{
	int64_t until = clock_now() + SIDE_BOUND;
	char byte;

	for (;;) {
		int fd = side_client();

		side_put(fd, "echo\n");
		for (int i = 0; i < 10; i++)
			side_turn();
		if (recv(idle, &byte, 1, MSG_DONTWAIT) == 0)
			return fd;
		assert_true(clock_now() < until);
		close(fd);
		usleep(20000);
	}
}

static void
a_connection_that_asks_nothing_gives_up_its_place(void **state)
{
	static int files[CONTROL_CONNECTIONS];
	int fd;

	(void)state;
	need_files();
	for (int i = 0; i < CONTROL_CONNECTIONS; i++) {
		files[i] = side_client();
		if (i > 0)
			side_put(files[i], "events\n");
		side_turn();
	}
	fd = take_an_idle_place(files[0]);
	side_expect_ok(fd, "words", "[]");
	close(fd);
	for (int i = 0; i < CONTROL_CONNECTIONS; i++)
		close(files[i]);
}

static void
as_many_wait_as_may_and_others_are_answered(void **state)
{
	static int files[CONTROL_WAITING];
	int fd = side_client();

	(void)state;
	need_files();
	for (int i = 0; i < CONTROL_WAITING; i++) {
		files[i] = side_client();
		side_put(files[i], "patient\n");
		side_turn();
	}
	side_put(fd, "patient\necho a\n");
	side_expect_error(fd, "1024 control connections wait");
	side_expect_ok(fd, "words", "[\"a\"]");
	close(files[7]);
	for (int i = 0; i < 10; i++)
		side_turn();
	side_put(fd, "patient\n");
	for (int i = 0; i < 10; i++)
		side_turn();
	assert_int_equal(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
	close(fd);
	for (int i = 0; i < CONTROL_WAITING; i++)
		if (i != 7)
			close(files[i]);
}

static void
all_that_is_not_read_has_a_bound(void **state)
{
	enum { READERS = 8 };
	int files[READERS], fd = side_client();

	(void)state;
	for (int i = 0; i < READERS; i++) {
		files[i] = side_client();
		side_put(files[i], "size 10000000\n");
		for (int k = 0; k < 10; k++)
			side_turn();
	}
	side_put(fd, "size 10000000\necho a\n");
	side_expect_error(fd, "too many answers wait");
	side_expect_ok(fd, "words", "[\"a\"]");
	for (int i = 0; i < READERS; i++)
		close(files[i]);
	for (int i = 0; i < 50; i++)
		side_turn();
	side_put(fd, "size 1000000\n");
	side_expect_ok(fd, NULL, NULL);
	close(fd);
}

static void
an_answer_beyond_12_mib_is_an_error(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "size 12582912\necho a\n");
	side_expect_error(fd, "more than 12 MiB");
	side_expect_ok(fd, "words", "[\"a\"]");
	close(fd);
}

static void
a_reader_that_does_not_read_gets_no_further_command_run(void **state)
{
	int fd = side_client();

	(void)state;
	for (int i = 0; i < 20; i++)
		side_put(fd, "size 1000000\n");
	for (int i = 0; i < 200; i++)
		side_turn();
	assert_in_range(side.runs, 1, 3);
	for (int i = 0; i < 20; i++)
		side_expect_ok(fd, NULL, NULL);
	assert_int_equal(side.runs, 20);
	close(fd);
}

/* Who may what. */

enum { ROOT = 0, DAEMON = 1, ALICE = 2, BOB = 3, STAFF = 50, OTHERS = 60, NOBODY = 65534 };

struct who {
	uid_t daemon, uid; /* whose the daemon is, and who asks */
	gid_t gid, more;   /* its group, and one that it is in besides */
	bool lists;        /* 3 and group 50 are administrators; else nobody is */
	bool may;
};

static const struct who whos[] = {
	{ ROOT, ROOT, ROOT, ROOT, false, true },
	{ ROOT, ALICE, ALICE, ALICE, false, false },
	{ ROOT, DAEMON, DAEMON, DAEMON, false, false },
	{ DAEMON, ROOT, ROOT, ROOT, false, true },
	{ DAEMON, DAEMON, DAEMON, DAEMON, false, true },
	{ DAEMON, ALICE, DAEMON, DAEMON, false, false }, /* in the daemon's group, which is the socket's */
	{ DAEMON, ALICE, ROOT, ROOT, false, false },     /* and in root's */
	{ DAEMON, NOBODY, NOBODY, NOBODY, false, false },
	{ DAEMON, ROOT, ROOT, ROOT, true, true },
	{ DAEMON, DAEMON, DAEMON, DAEMON, true, true },
	{ DAEMON, BOB, OTHERS, OTHERS, true, true },
	{ DAEMON, ALICE, STAFF, STAFF, true, true },
	{ DAEMON, ALICE, OTHERS, STAFF, true, true },
	{ DAEMON, ALICE, DAEMON, OTHERS, true, false },
	{ DAEMON, NOBODY, NOBODY, NOBODY, true, false },
	{ NOBODY, NOBODY, NOBODY, NOBODY, false, false }, /* every user of other namespaces is shown as nobody */
};

/* Another user's side, in a process of its own: asks and leaves with 0 if that was granted, 1 if it was refused. */
static void
ask_as(const struct who *who, const char *command)
{
	char answer[512] = "";
	int fd;

	alarm(10);
	if (setgroups(1, &who->more) == -1 || setgid(who->gid) == -1 || setuid(who->uid) == -1)
		_exit(2);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&side.name, side.name_length) == -1 ||
	    write(fd, command, strlen(command)) == -1 || read(fd, answer, sizeof answer - 1) <= 0)
		_exit(3);
	_exit(strstr(answer, "\"ok\":true") == NULL);
}

static void
expect_who(const struct who *who, const char *command, bool may)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		ask_as(who, command);
	assert_int_equal(seteuid(who->daemon), 0);
	while (waitpid(child, &status, WNOHANG) == 0)
		side_turn();
	assert_int_equal(seteuid(0), 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != !may)
		fail_msg("%s by user %u, group %u: status %x", command, who->uid, who->gid, (unsigned)status);
}

static void
root_the_daemon_s_user_and_administrators_may_change_something_others_may_read(void **state)
{
	char *users[] = { "3", NULL }, *groups[] = { "50", NULL };

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof whos / sizeof whos[0]; i++) {
		control_set_admins(side.control, whos[i].lists ? users : NULL, whos[i].lists ? groups : NULL);
		expect_who(&whos[i], "echo\n", true);
		side.runs = 0;
		expect_who(&whos[i], "change\n", whos[i].may);
		assert_int_equal(side.runs, whos[i].may);
	}
}

/* The refusal by a daemon of this user. */
static void
expect_refusal(uid_t own, char *const *users, const char *text)
{
	struct peer peer = { .uid = 4000000001, .gid = 4000000001 };
	char *refusal;

	assert_int_equal(seteuid(own), 0);
	refusal = permission_refuse(-1, &peer, users, NULL, "pause");
	assert_int_equal(seteuid(0), 0);
	assert_string_equal(refusal, text);
	mem_free(refusal);
}

static void
a_refusal_says_who_asked_and_who_may(void **state)
{
	char *users[] = { "3", NULL };

	(void)state;
	if (geteuid() != 0)
		skip();
	expect_refusal(0, NULL, "permission denied: user 4000000001 may read, but \"pause\" changes something; that "
	    "is for root, control.admin_users and control.admin_groups (both empty)");
	expect_refusal(4000000002, users, "permission denied: user 4000000001 may read, but \"pause\" changes "
	    "something; that is for root, user 4000000002, control.admin_users and control.admin_groups");
}

static void
what_only_shows_is_for_everybody(void **state)
{
	char *alone[] = { "x", NULL }, *dry[] = { "x", "--force", "--dry-run", NULL }, *word[] = { "x", "y", NULL };

	(void)state;
	assert_false(permission_is_needed(PERMISSION_reads, 2, word));
	assert_true(permission_is_needed(PERMISSION_changes, 1, alone));
	assert_false(permission_is_needed(PERMISSION_changes_with_words, 1, alone));
	assert_true(permission_is_needed(PERMISSION_changes_with_words, 2, word));
	assert_false(permission_is_needed(PERMISSION_changes_unless_dry, 3, dry));
	assert_true(permission_is_needed(PERMISSION_changes_unless_dry, 2, word));
}

static void
who_is_no_administrator_any_more_is_refused_on_an_open_connection(void **state)
{
	char *lists[] = { "4000000001", NULL };
	struct peer peer = { .uid = 4000000001, .gid = 4000000001 };
	char *refusal = permission_refuse(-1, &peer, lists, NULL, "pause");

	(void)state;
	assert_null(refusal);
	lists[0] = NULL;
	refusal = permission_refuse(-1, &peer, lists, NULL, "pause");
	assert_non_null(refusal);
	mem_free(refusal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SIDE_TEST(a_line_may_come_in_pieces),
		SIDE_TEST(many_commands_in_one_write_are_answered_in_order),
		SIDE_TEST(malformed_lines_get_an_error_and_the_connection_stays),
		SIDE_TEST(a_line_of_4096_bytes_is_taken_and_a_longer_one_skipped),
		SIDE_TEST(a_last_line_without_newline_is_not_run),
		SIDE_TEST(the_next_command_waits_until_the_one_before_is_answered),
		SIDE_TEST(a_request_is_cancelled_when_its_connection_goes),
		SIDE_TEST(a_shutdown_still_waits_for_the_answer_and_a_close_after_it_cancels),
		SIDE_TEST(requests_under_way_are_cancelled_when_control_is_freed),
		SIDE_TEST(who_finds_no_place_is_told_so_and_closed),
		SIDE_TEST(a_connection_that_asks_nothing_gives_up_its_place),
		SIDE_TEST(as_many_wait_as_may_and_others_are_answered),
		SIDE_TEST(all_that_is_not_read_has_a_bound),
		SIDE_TEST(an_answer_beyond_12_mib_is_an_error),
		SIDE_TEST(a_reader_that_does_not_read_gets_no_further_command_run),
		SIDE_TEST(root_the_daemon_s_user_and_administrators_may_change_something_others_may_read),
		SIDE_TEST(a_refusal_says_who_asked_and_who_may),
		SIDE_TEST(what_only_shows_is_for_everybody),
		SIDE_TEST(who_is_no_administrator_any_more_is_refused_on_an_open_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
