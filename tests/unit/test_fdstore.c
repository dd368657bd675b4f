/* The vault: what one process stores with a service manager, another takes out, whatever happens in between (U3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep/table.h"
#include "keep/notify.h"
#include "keep/recover.h"
#include "keep/rights.h"
#include "keep/fdstore.h"
#include "keep_side.h"

#define SESSIONS 700 /* with two files each: several messages */

/* What the manager does with what it has been given. */
enum part { TAKES, TAKES_TWICE, HAS_TOO_FEW_FILES, FINDS_ANOTHER_LAYOUT, FINDS_TOO_OLD_A_LAYOUT, FINDS_IT_TAKEN };

static struct table table;
static struct sockaddr_un stray_name; /* of a listener that is no service's; its length is 0 for none */
static socklen_t stray_length;
static int manager;
static ino_t inodes[SESSIONS * 2 + 8]; /* of the files in the pairs, in the table's order */
static size_t inode_count;

static ino_t
inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == -1 ? 0 : status.st_ino;
}

static void
note_inode(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	(void)arg;
	if (kind == TABLE_OF_PIPES || kind == TABLE_OF_CLIENTS || kind == TABLE_OF_CONNS)
		inodes[inode_count++] = inode_of(*fd);
}

static int
set_up(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct rlimit limit;
	socklen_t length;
	char path[64];

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	snprintf(path, sizeof path, "@holdfast-test-vault-%d", (int)getpid());
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	memcpy(name.sun_path + 1, path + 1, strlen(path) - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (manager == -1 || bind(manager, (struct sockaddr *)&name, length) == -1 ||
	    table_new(SESSIONS * 2, &table) < 0)
		return -1;
	setenv("NOTIFY_SOCKET", path, 1);
	inode_count = 0;
	stray_length = 0;
	return notify_open(&table);
}

static int
tear_down(void **state)
{
	(void)state;
	close(table.header->file[TABLE_FILE_NOTIFY]);
	table_free(&table);
	close(manager);
	for (int fd = 20; fd < SESSIONS * 2 + 100; fd++)
		close(fd);
	return 0;
}

/* Sessions of several kinds, a pipe, and a listener. */
static void
fill_table(unsigned sessions)
{
	int ends[2];

	side_listener(&table);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	table.header->pipe[1].read_fd = ends[0];
	table.header->pipe[1].write_fd = ends[1];
	for (unsigned i = 0; i < sessions; i++) {
		side_pair(ends);
		if (i % 3 == 0)
			side_client(&table, ends[0]);
		else if (i % 3 == 1)
			side_session(&table, ends[0], ends[1]);
		else
			side_conn(&table, TABLE_READY, ends[1]);
	}
	table_each_file(&table, note_inode, NULL);
}

/* One message of the daemon's: what it stores is added to given.  false at the barrier that ends the storing. */
static bool
manage(struct passed_fds *passed_fds, unsigned *barriers)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	char text[256];
	struct iovec vector = { text, sizeof text - 1 };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof control };
	ssize_t n = recvmsg(manager, &header, 0);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	int files[RIGHTS_MAX];
	size_t size = rights == NULL ? 0 : rights->cmsg_len - CMSG_LEN(0);
	const char *name;

	text[n > 0 ? n : 0] = '\0';
	if (size > 0)
		memcpy(files, CMSG_DATA(rights), size);
	name = strstr(text, "FDNAME=");
	if (strncmp(text, "FDSTORE=1", 9) != 0) {
		for (size_t i = 0; i < size / sizeof *files; i++)
			close(files[i]);
		return strcmp(text, "BARRIER=1") != 0 || ++*barriers < 2;
	}
	for (size_t i = 0; i < size / sizeof *files; i++) {
		passed_fds->files = mem_resize(passed_fds->files, passed_fds->count + 1, sizeof *passed_fds->files);
		passed_fds->files[passed_fds->count].fd = files[i];
		passed_fds->files[passed_fds->count++].name = mem_copy_text(name + 7);
	}
	return true;
}

static struct passed_fds
copy_passed_fds(const struct passed_fds *passed_fds)
{
	struct passed_fds copy = { .files = mem_new(passed_fds->count, sizeof *copy.files), .count =
	    passed_fds->count };

	for (size_t i = 0; i < passed_fds->count; i++) {
		copy.files[i].fd = fcntl(passed_fds->files[i].fd, F_DUPFD_CLOEXEC, 3);
		copy.files[i].name = mem_copy_text(passed_fds->files[i].name);
	}
	return copy;
}

struct comparison {
	size_t next;
	bool wrong;
};

static void
compare(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	struct comparison *comparison = arg;

	if (kind == TABLE_OF_PIPES || kind == TABLE_OF_CLIENTS || kind == TABLE_OF_CONNS)
		comparison->wrong = comparison->wrong || inode_of(*fd) != inodes[comparison->next++];
}

/* Whether this process has the listener that is no service's. */
static bool
has_stray(void)
{
	struct sockaddr_un name;
	socklen_t length;

	for (int fd = 3; fd < SESSIONS * 2 + 200; fd++) {
		length = sizeof name;
		if (getsockname(fd, (struct sockaddr *)&name, &length) == 0 && length == stray_length &&
		    memcmp(&name, &stray_name, length) == 0)
			return true;
	}
	return false;
}

/* 0 if the table names all the files that it named before. */
static int
take(struct passed_fds *passed_fds)
{
	struct comparison comparison = { .next = 0 };
	struct sockaddr_un name;
	socklen_t length = sizeof name;
	struct table taken;
	char *config;
	int error = fdstore_take(passed_fds, &taken, &config);

	mem_free(config);
	if (error < 0)
		return -error;
	table_each_file(&taken, compare, &comparison);
	if (comparison.wrong || comparison.next != inode_count)
		return 201;
	if (getsockname(taken.services[0].sockets[0].fd, (struct sockaddr *)&name, &length) == -1 ||
	    length != taken.services[0].sockets[0].length ||
	    memcmp(&name, &taken.services[0].sockets[0].bound, length) != 0)
		return 202;
	if (stray_length != 0 && !has_stray())
		return 206;
	return passed_fds_claim(passed_fds, "cache") != -1 ? 203 : 0;
}

static void
lower_limit(unsigned files)
{
	struct rlimit limit = { .rlim_cur = files, .rlim_max = files };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void
spoil(const struct passed_fds *passed_fds, size_t offset, uint32_t value)
{
	for (size_t i = 0; i < passed_fds->count; i++)
		if (strcmp(passed_fds->files[i].name, ".table") == 0 &&
		    pwrite(passed_fds->files[i].fd, &value, sizeof value, (off_t)offset) != sizeof value)
			_exit(204);
}

/* The manager's process, and the next start's: its exit code is the positive errno of the taking. */
static int
play(enum part part)
{
	struct passed_fds passed_fds = { 0 }, first;
	unsigned barriers = 0;

	while (manage(&passed_fds, &barriers))
		;
	switch (part) {
	case TAKES_TWICE:
		first = copy_passed_fds(&passed_fds);
		if (take(&first) != 0)
			return 205;
		break;
	case HAS_TOO_FEW_FILES:
		lower_limit((unsigned)passed_fds.files[0].fd + 100);
		break;
	case FINDS_ANOTHER_LAYOUT:
		spoil(&passed_fds, offsetof(struct table_shape, layout), TABLE_LAYOUT + 1);
		break;
	case FINDS_TOO_OLD_A_LAYOUT:
		spoil(&passed_fds, offsetof(struct table_shape, layout), TABLE_LAYOUT_FIRST - 1);
		break;
	case FINDS_IT_TAKEN:
		spoil(&passed_fds, offsetof(struct table_header, fdstore), 0);
		break;
	default:
		break;
	}
	return take(&passed_fds);
}

/* Stores what the table names with a manager that plays its part; gives how that has ended. */
static int
store(enum part part)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		recover_close_strays(&table); /* only what it is given counts */
		_exit(play(part));
	}
	assert_int_equal(fdstore_store(&table), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
u3_all_files_are_where_they_were(void **state)
{
	(void)state;
	fill_table(SESSIONS);
	assert_int_equal(store(TAKES), 0);
}

static void
u3_a_listener_that_a_reload_had_open_goes_along(void **state)
{
	int stray = side_listener(&table);

	(void)state;
	stray_length = table.services[0].sockets[0].length;
	memcpy(&stray_name, &table.services[0].sockets[0].bound, stray_length);
	memset(&table.services[0], 0, sizeof table.services[0]);
	recover_add_stray(&table, stray);
	fill_table(3);
	assert_int_equal(store(TAKES), 0);
	recover_close_strays(&table);
}

static void
u3_a_start_that_dies_over_it_can_be_repeated(void **state)
{
	(void)state;
	fill_table(SESSIONS);
	assert_int_equal(store(TAKES_TWICE), 0);
}

static void
an_empty_table_is_stored_too(void **state)
{
	(void)state;
	fill_table(0);
	assert_int_equal(store(TAKES_TWICE), 0);
}

static void
too_few_files_are_an_error_and_no_guess(void **state)
{
	(void)state;
	fill_table(SESSIONS);
	assert_int_equal(store(HAS_TOO_FEW_FILES), EMFILE);
}

static void
u4_an_unknown_layout_is_refused(void **state)
{
	(void)state;
	fill_table(3);
	assert_int_equal(store(FINDS_ANOTHER_LAYOUT), EPROTO);
}

static void
u4_a_layout_of_other_records_is_refused(void **state)
{
	(void)state;
	fill_table(3);
	assert_int_equal(store(FINDS_TOO_OLD_A_LAYOUT), EPROTO);
}

static void
what_was_taken_before_is_not_taken_again(void **state)
{
	(void)state;
	fill_table(3);
	assert_int_equal(store(FINDS_IT_TAKEN), ENODATA);
}

/* A user may have no more files in messages than it may have open. */
static int
store_as_nobody(unsigned files)
{
	struct rlimit limit = { .rlim_cur = files, .rlim_max = files };

	if (setrlimit(RLIMIT_NOFILE, &limit) == -1 || setresuid(65534, 65534, 65534) == -1)
		return 200;
	return -fdstore_store(&table);
}

static void
what_cannot_be_put_in_is_an_error(void **state)
{
	int reserve[8], status;
	pid_t child, answering;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (int i = 0; i < 8; i++)
		reserve[i] = side_file();
	fill_table(SESSIONS);
	for (int i = 0; i < 8; i++)
		close(reserve[i]);
	answering = fork();
	if (answering == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(play(TAKES));
	}
	child = fork();
	if (child == 0)
		_exit(store_as_nobody(100));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ETOOMANYREFS);
	kill(answering, SIGKILL);
	waitpid(answering, NULL, 0);
	assert_int_equal(table.header->fdstore, 0);
}

static void
a_manager_that_does_not_answer_is_given_no_file(void **state)
{
	int near[2];

	(void)state;
	side_pair(near);
	side_client(&table, near[0]);
	assert_int_equal(fdstore_store(&table), -ETIMEDOUT);
	assert_int_equal(table.header->fdstore, 0);
	close(near[0]);
	assert_string_equal(side_hear(near[1]), "EOF"); /* it is open nowhere else */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(u3_all_files_are_where_they_were, set_up, tear_down),
		cmocka_unit_test_setup_teardown(u3_a_listener_that_a_reload_had_open_goes_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(u3_a_start_that_dies_over_it_can_be_repeated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_empty_table_is_stored_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_few_files_are_an_error_and_no_guess, set_up, tear_down),
		cmocka_unit_test_setup_teardown(u4_an_unknown_layout_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(u4_a_layout_of_other_records_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_taken_before_is_not_taken_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_put_in_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_manager_that_does_not_answer_is_given_no_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
