/* The keeper: what it tells systemd, what signals become, and how it ends (K3 to K5). */
#include "keeper_play.h"

static int
notify_socket(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(sa_family_t), size = sizeof name;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[128] = "@";

	assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0); /* the kernel finds a name */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	memcpy(text + 1, name.sun_path + 1, size - sizeof(sa_family_t) - 1);
	setenv("NOTIFY_SOCKET", text, 1);
	return fd;
}

/* Waits for a message that begins with text. */
static bool
hear(int fd, const char *text, int64_t limit)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int64_t end = clock_now() + limit;
	char message[600];
	ssize_t n;

	while (clock_now() < end) {
		if (poll(&poll_fd, 1, 10) != 1)
			continue;
		n = recv(fd, message, sizeof message - 1, 0);
		message[n] = '\0';
		if (strncmp(message, text, strlen(text)) == 0)
			return true;
	}
	return false;
}

static void
k5_the_keeper_speaks_to_systemd(void **state)
{
	int fd = notify_socket();

	(void)state;
	begin();
	assert_true(hear(fd, "READY=1", SECONDS(5)));
	table_status_set(&table, "all is well");
	assert_true(hear(fd, "STATUS=all is well", SECONDS(2)));
	assert_true(hear(fd, "WATCHDOG=1", SECONDS(2)));
	kill(keeper, SIGTERM);
	assert_true(hear(fd, "STOPPING=1", SECONDS(2)));
	assert_int_equal(await_end(SECONDS(5)), 0);
	close(fd);
}

static void
k6_signals_without_end_keep_no_tick_away(void **state)
{
	int fd = notify_socket();

	(void)state;
	play->noise = 1;
	begin_ready();
	assert_true(hear(fd, "WATCHDOG=1", SECONDS(2)));
	assert_true(hear(fd, "WATCHDOG=1", SECONDS(2)));
	close(fd);
}

static void
k4_signals_become_requests(void **state)
{
	(void)state;
	begin_ready();
	kill(keeper, SIGHUP);
	assert_true(side_await(&play->reloads, 1, SECONDS(2)));
	kill_worker(SIGHUP); /* hands it on */
	assert_true(side_await(&play->reloads, 2, SECONDS(2)));
	kill_worker(SIGUSR1);
	assert_true(side_await(&play->dumps, 1, SECONDS(2)));
	kill_worker(SIGTERM);
	assert_int_equal(await_end(SECONDS(2)), 0);
}

static void
a_term_to_both_processes_is_one(void **state)
{
	(void)state;
	play->ignore_stop = 1;
	begin_ready();
	kill(keeper, SIGTERM);
	assert_true(side_await(&play->stops, 1, SECONDS(2)));
	kill_worker(SIGTERM);
	assert_int_equal(await_end(300 * CLOCK_MILLISECOND), -1);
	assert_int_equal(play->stops_now, 0);
	kill(keeper, SIGTERM); /* this is a second one */
	assert_int_equal(await_end(SECONDS(2)), 0);
	assert_int_equal(play->stops_now, 1);
}

static void
a_worker_killed_while_stopping_is_replaced_and_ends_in_order(void **state)
{
	(void)state;
	play->ignore_stop = 1;
	begin_ready();
	kill(keeper, SIGTERM);
	assert_true(side_await(&play->stops, 1, SECONDS(2)));
	play->ignore_stop = 0;
	kill_worker(SIGKILL);
	assert_int_equal(await_end(SECONDS(2)), 0);
}

static void
workers_that_only_die_do_not_hold_up_the_end(void **state)
{
	(void)state;
	play->abort_until = UINT32_MAX;
	begin();
	assert_true(await_workers(3));
	kill(keeper, SIGTERM);
	assert_int_equal(await_end(SECONDS(3)), 1);
}

static void
ignored_signals_are_heard_all_the_same(void **state)
{
	(void)state;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	begin();
	signal(SIGCHLD, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	kill_worker(SIGKILL);
	assert_true(await_workers(2));
	kill(keeper, SIGHUP);
	assert_true(side_await(&play->reloads, 1, SECONDS(2)));
}

static void
k3_a_worker_dies_with_its_keeper(void **state)
{
	pid_t worker;
	int64_t end = clock_now() + SECONDS(5);

	(void)state;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	begin_ready();
	worker = await_worker_pid();
	kill(keeper, SIGKILL);
	await_end(SECONDS(2));
	while (waitpid(worker, NULL, WNOHANG) != worker && clock_now() < end)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(kill(worker, 0), -1);
	assert_int_equal(errno, ESRCH);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(k5_the_keeper_speaks_to_systemd),
		ROW(k6_signals_without_end_keep_no_tick_away),
		ROW(k4_signals_become_requests),
		ROW(a_term_to_both_processes_is_one),
		ROW(a_worker_killed_while_stopping_is_replaced_and_ends_in_order),
		ROW(workers_that_only_die_do_not_hold_up_the_end),
		ROW(ignored_signals_are_heard_all_the_same),
		ROW(k3_a_worker_dies_with_its_keeper),
	};

	play = mmap(NULL, sizeof *play, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
