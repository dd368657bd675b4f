/* The Unix socket of a service: the stale-socket rule, permissions, directories, and accepting with its rests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/listener.h"
#include "keep_side.h"
#include "stage.h"

static struct listener_settings settings = {
	.mode = 0660, .backlog = 8,
};
static struct sockaddr_un bound;
static socklen_t bound_length;
static char path[200];

static char *
open_at(const char *place, int *ret_fd)
{
	settings.path = path;
	snprintf(path, sizeof path, "%s", place);
	return listener_open(&settings, stage_folder, ret_fd, &bound, &bound_length);
}

static int
open_good(const char *place)
{
	int fd = -1;
	char *wrong = open_at(place, &fd);

	assert_null(wrong);
	assert_int_not_equal(fd, -1);
	return fd;
}

static void
assert_refused(const char *place, const char *part)
{
	int fd = -1;
	char *wrong = open_at(place, &fd), *check = listener_rehearse(&settings, stage_folder, false);

	assert_non_null(wrong);
	assert_non_null(strstr(wrong, part));
	assert_non_null(check);
	assert_string_equal(check, wrong);
	assert_int_equal(fd, -1);
	mem_free(wrong);
	mem_free(check);
}

static int
connect_to(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&bound, bound_length), 0);
	return fd;
}

static void
a_socket_has_its_mode_and_flags(void **state)
{
	struct stat st;
	mode_t old = umask(0077);
	int fd;

	(void)state;
	settings.mode = 0664;
	fd = open_good(stage_path("mode.sock"));
	settings.mode = 0660;
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void
the_bound_name_is_what_accepted_sockets_bear(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		char place[200];
		struct sockaddr_un name = { 0 };
		socklen_t length = sizeof name;
		int fd, client, accepted;

		snprintf(place, sizeof place, "%s%s", i == 0 ? stage_folder : "@holdfast-test-",
		    i == 0 ? "/named.sock" : strrchr(stage_folder, '/') + 1);
		fd = open_good(place);
		client = connect_to();
		accepted = accept(fd, NULL, NULL);
		assert_int_equal(getsockname(accepted, (struct sockaddr *)&name, &length), 0);
		assert_int_equal(length, bound_length);
		assert_memory_equal(&name, &bound, length);
		close(client);
		close(accepted);
		close(fd);
	}
}

static void
a_stale_socket_is_replaced(void **state)
{
	int fd;

	(void)state;
	close(open_good(stage_path("stale.sock")));
	fd = open_good(stage_path("stale.sock"));
	close(connect_to());
	close(fd);
}

static void
a_live_server_is_left_alone(void **state)
{
	int fd = open_good(stage_path("live.sock"));

	(void)state;
	assert_refused(stage_path("live.sock"), "another live server");
	close(connect_to());
	close(fd);
}

static void
a_file_that_is_no_socket_is_left_alone(void **state)
{
	(void)state;
	assert_refused(stage_write("plain", "precious", 0600), "not a socket");
	assert_int_equal(access(path, F_OK), 0);
}

static void
a_path_that_is_too_long_is_refused_and_one_that_just_fits_works(void **state)
{
	char place[200];
	size_t room = sizeof bound.sun_path - 1;

	(void)state;
	memset(place, 'x', sizeof place);
	memcpy(place, stage_folder, strlen(stage_folder));
	place[strlen(stage_folder)] = '/';
	place[room + 1] = '\0';
	assert_refused(place, "at most 107");
	place[room] = '\0';
	close(open_good(place));
}

static void
missing_directories_below_the_runtime_directory_are_made(void **state)
{
	struct stat st;
	char place[200];

	(void)state;
	snprintf(place, sizeof place, "%s/a/b/c.sock", stage_folder);
	close(open_good(place));
	snprintf(place, sizeof place, "%s/a/b", stage_folder);
	assert_int_equal(stat(place, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(place), 0);
	assert_int_equal(rmdir(stage_path("a")), 0);
}

static void
directories_elsewhere_are_not(void **state)
{
	int fd = -1;
	char *wrong = open_at("/nonexistent-holdfast/x.sock", &fd);

	(void)state;
	assert_non_null(wrong);
	assert_non_null(strstr(wrong, "/nonexistent-holdfast/x.sock"));
	mem_free(wrong);
}

static struct listener *listener;
static unsigned accepted, exhausted, pause_at;
static int accepted_fd[256];

static void
on_accepted(void *arg, int fd)
{
	(void)arg;
	accepted_fd[accepted++] = fd;
	if (accepted == pause_at)
		listener_pause(listener, true);
}

static void
on_exhausted(void *arg, int error)
{
	(void)arg;
	assert_int_equal(error, EMFILE);
	exhausted++;
}

static int
begin(const char *name)
{
	int fd = open_good(stage_path(name));

	accepted = exhausted = pause_at = 0;
	listener = listener_new(stage_loop, fd, on_accepted, on_exhausted, NULL);
	return fd;
}

static void
end(int fd)
{
	listener_free(listener);
	close(fd);
	for (unsigned i = 0; i < accepted; i++)
		close(accepted_fd[i]);
}

static void
clients_come_until_it_is_paused_and_then_wait(void **state)
{
	int client[6], fd = begin("pause.sock");

	(void)state;
	pause_at = 4;
	for (int i = 0; i < 6; i++)
		client[i] = connect_to();
	side_settle(stage_loop);
	assert_int_equal(accepted, 4);
	assert_true(fcntl(accepted_fd[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(accepted_fd[0], F_GETFD) & FD_CLOEXEC);
	assert_in_range(side_turns(stage_loop, 30 * CLOCK_MILLISECOND), 0, 3);
	listener_pause(listener, false);
	side_settle(stage_loop);
	assert_int_equal(accepted, 6);
	for (int i = 0; i < 6; i++)
		close(client[i]);
	end(fd);
}

static void
a_crowd_is_accepted_in_a_few_turns(void **state)
{
	int client[9], fd = begin("crowd.sock");

	(void)state;
	for (int i = 0; i < 9; i++)
		client[i] = connect_to();
	for (int turn = 0; turn < 4; turn++)
		event_base_loop(stage_loop, EVLOOP_NONBLOCK);
	assert_int_equal(accepted, 9); /* 1, 2, 4, 2 */
	for (int i = 0; i < 9; i++)
		close(client[i]);
	end(fd);
}

static void
those_who_are_here_wait_for_eight_who_stay_in_a_turn(void **state)
{
	static const struct {
		int come, turns;
		unsigned accepted;
	} steps[] = { { 7, 3, 7 }, { 9, 1, 15 }, { 8, 1, 23 }, { 0, 1, 24 } }; /* 1, 2, 4, then 8 and 8 of 9 */
	int client[24], count = 0, fd = begin("stay.sock");

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		for (int n = 0; n < steps[i].come; n++)
			client[count++] = connect_to();
		for (int turn = 0; turn < steps[i].turns; turn++)
			event_base_loop(stage_loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_int_equal(accepted, steps[i].accepted);
	}
	while (count > 0)
		close(client[--count]);
	end(fd);
}

static void
who_has_left_without_a_word_is_let_go_beside_others(void **state)
{
	int client[9], fd = begin("left.sock");

	(void)state;
	for (int i = 0; i < 9; i++)
		client[i] = connect_to();
	assert_int_equal(write(client[5], "x", 1), 1);
	for (int i = 0; i < 8; i++)
		close(client[i]);
	for (int turn = 0; turn < 4; turn++)
		event_base_loop(stage_loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	/* The first of each turn comes, with the one who has said something and the one who is here. */
	assert_int_equal(accepted, 6);
	close(client[8]);
	end(fd);
}

static bool
somebody_has_come(void *arg)
{
	(void)arg;
	return accepted > 0;
}

static void
without_files_it_rests_says_so_once_and_goes_on(void **state)
{
	struct rlimit limit, none;
	int client, fd = begin("files.sock");

	(void)state;
	client = connect_to();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_in_range(side_turns(stage_loop, 250 * CLOCK_MILLISECOND), 0, 12);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(accepted, 0);
	assert_int_equal(exhausted, 1);
	assert_true(listener_is_exhausted(listener));
	assert_true(side_run(stage_loop, somebody_has_come, NULL, 5 * CLOCK_SECOND));
	assert_int_equal(accepted, 1);
	assert_false(listener_is_exhausted(listener));
	close(client);
	end(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_has_its_mode_and_flags),
		cmocka_unit_test(the_bound_name_is_what_accepted_sockets_bear),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_live_server_is_left_alone),
		cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(a_path_that_is_too_long_is_refused_and_one_that_just_fits_works),
		cmocka_unit_test(missing_directories_below_the_runtime_directory_are_made),
		cmocka_unit_test(directories_elsewhere_are_not),
		cmocka_unit_test(clients_come_until_it_is_paused_and_then_wait),
		cmocka_unit_test(a_crowd_is_accepted_in_a_few_turns),
		cmocka_unit_test(those_who_are_here_wait_for_eight_who_stay_in_a_turn),
		cmocka_unit_test(who_has_left_without_a_word_is_let_go_beside_others),
		cmocka_unit_test(without_files_it_rests_says_so_once_and_goes_on),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
