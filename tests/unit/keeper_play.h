/* keeper_play.h - a keeper whose workers do as the test says. */
#ifndef HOLDFAST_TESTS_KEEPER_PLAY_H
#define HOLDFAST_TESTS_KEEPER_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "keep/keeper.h"
#include "keep/recover.h"
#include "keep_side.h"

#define SECONDS(n) ((n) * CLOCK_SECOND)

/* What the worker is to do, and what it has done.  Shared by all processes. */
struct play {
	volatile uint32_t workers;     /* started so far */
	volatile int64_t started[64];  /* when */
	volatile uint32_t exit_code;   /* exit at once with code - 1 */
	volatile uint32_t abort_until; /* workers up to this one abort at once */
	volatile uint32_t handling;    /* session to be named as handled */
	volatile uint32_t hang;        /* no more heartbeat, nor anything else */
	volatile uint32_t ignore_stop; /* a first TERM is taken and nothing is done */
	volatile uint32_t noise;       /* nudges the keeper without end */
	volatile uint32_t stops, stops_now, reloads, dumps;
	volatile uint32_t own_id_right;
	volatile uint32_t orphan;      /* a grandchild's pid */
};

static struct table table;
static struct play *play;
static pid_t keeper;

static inline void
work_requests(struct table_header *header, bool *ret_end)
{
	uint32_t bits = keeper_take_requests(&table);

	play->reloads += (bits & TABLE_REQUEST_RELOAD) != 0;
	play->dumps += (bits & TABLE_REQUEST_DUMP) != 0;
	play->stops += (bits & TABLE_REQUEST_STOP) != 0;
	play->stops_now += (bits & TABLE_REQUEST_STOP_NOW) != 0;
	*ret_end = play->stops_now > 0 || (header->stopping && !play->ignore_stop);
}

static inline int
work(struct table *kept)
{
	struct table_header *header = table.header;
	struct pollfd request = { .fd = header->file[TABLE_FILE_REQUEST], .events = POLLIN };
	uint32_t number = play->workers;
	bool end = false;

	(void)kept;
	if (number < 64)
		play->started[number] = clock_now();
	play->own_id_right = raise(0) == 0 && getppid() == header->keeper_pid;
	header->handling = play->handling;
	play->workers = number + 1;
	if (play->exit_code != 0)
		return (int)play->exit_code - 1;
	if (number < play->abort_until)
		abort();
	recover_run(&table);
	header->was_ready = 1;
	header->ready = 1;
	while (!end) {
		poll(&request, 1, play->noise ? 1 : 20);
		while (play->hang)
			pause();
		header->heartbeat++;
		if (play->noise)
			keeper_nudge(&table);
		work_requests(header, &end);
	}
	return 0;
}

static inline void
begin(void)
{
	keeper = fork();
	if (keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(keeper_prepare(&table, &(struct passed_fds){ .count = 0 }) == 0 ? keeper_run(&table, work)
		    : 99);
	}
}

static inline bool
await_workers(uint32_t count)
{
	return side_await(&play->workers, count, SECONDS(10));
}

static inline void
begin_ready(void)
{
	begin();
	assert_true(side_await(&table.header->ready, 1, SECONDS(10)));
}

/* The keeper's exit code, or -1 if it does not end in time. */
static inline int
await_end(int64_t limit)
{
	int64_t end = clock_now() + limit;
	int status;

	while (waitpid(keeper, &status, WNOHANG) == 0) {
		if (clock_now() > end)
			return -1;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	keeper = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

/* A worker may be ready before its keeper has noted its number. */
static inline pid_t
await_worker_pid(void)
{
	int64_t end = clock_now() + SECONDS(10);
	pid_t worker;

	while ((worker = table.header->worker_pid) <= 0 && clock_now() < end)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_true(worker > 0);
	return worker;
}

static inline void
kill_worker(int number)
{
	assert_int_equal(kill(await_worker_pid(), number), 0);
}

static inline int
set_up(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	memset(play, 0, sizeof *play);
	keeper = 0;
	return table_new(100, &table);
}

static inline int
tear_down(void **state)
{
	(void)state;
	if (keeper > 0) {
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
	}
	table_free(&table);
	return 0;
}

#endif
