/* Timers: in the order of their deadlines, each once, whatever the callbacks do; and nobody is starved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "keep_side.h"

#define LIMIT (5 * CLOCK_SECOND)
#define MANY  500

static struct event_base *loop;
static struct loop_timer timer[MANY];
static size_t ran[4 * MANY]; /* numbers of those that ran, in order */
static size_t count;

static void
on_timer(void *arg)
{
	ran[count++] = (size_t)((struct loop_timer *)arg - timer);
}

static int
set_up(void **state)
{
	(void)state;
	loop = loop_new();
	count = 0;
	for (size_t i = 0; i < MANY; i++)
		loop_timer_init(&timer[i], loop, on_timer, &timer[i]);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < MANY; i++)
		loop_timer_stop(&timer[i]);
	loop_free(loop);
	return 0;
}

static bool
have_run(void *arg)
{
	return count >= *(const size_t *)arg;
}

static void
run_until(size_t wanted)
{
	assert_true(side_run(loop, have_run, &wanted, LIMIT));
	side_turns(loop, 5 * CLOCK_MILLISECOND);
	assert_int_equal(count, wanted);
}

static void
timers_run_in_the_order_of_their_deadlines(void **state)
{
	int64_t now = clock_now();

	(void)state;
	loop_timer_at(&timer[0], now + 3000);
	loop_timer_at(&timer[1], now + 1000);
	loop_timer_at(&timer[2], now + 2000);
	loop_timer_at(&timer[3], now + 1000); /* after the other one of this time */
	run_until(4);
	assert_true(clock_now() >= now + 3000);
	assert_memory_equal(ran, ((const size_t[]){ 1, 3, 2, 0 }), 4 * sizeof *ran);
}

static void
a_timer_that_is_set_anew_runs_once(void **state)
{
	int64_t now = clock_now();

	(void)state;
	loop_timer_at(&timer[0], now + 1000);
	loop_timer_at(&timer[0], now + 20000);
	loop_timer_at(&timer[1], now + 500000);
	loop_timer_at(&timer[1], now + 10000);
	run_until(2);
	assert_memory_equal(ran, ((const size_t[]){ 1, 0 }), 2 * sizeof *ran);
}

static void
a_stopped_timer_does_not_run(void **state)
{
	(void)state;
	loop_timer_at(&timer[0], clock_now() + 1000);
	loop_timer_at(&timer[1], clock_now() + 2000);
	loop_timer_soon(&timer[2]);
	assert_true(loop_timer_is_set(&timer[0]) && loop_timer_is_set(&timer[2]));
	loop_timer_stop(&timer[0]);
	loop_timer_stop(&timer[2]);
	loop_timer_stop(&timer[3]); /* never set */
	loop_timer_stop(&(struct loop_timer){ 0 });
	assert_false(loop_timer_is_set(&timer[0]) || loop_timer_is_set(&timer[2]));
	loop_timer_at(&timer[4], CLOCK_NEVER);
	run_until(1);
	assert_int_equal(ran[0], 1);
}

/* The same as a sorted list would do. */
static void
any_number_set_and_stopped_at_random_keep_their_order(void **state)
{
	int64_t deadline[MANY], now = clock_now();
	unsigned seed = 7;
	size_t set = 0;

	(void)state;
	for (int round = 0; round < 5 * MANY; round++) {
		size_t i = (size_t)rand_r(&seed) % MANY;

		deadline[i] = rand_r(&seed) % 4 == 0 ? CLOCK_NEVER : now + rand_r(&seed) % 20000;
		loop_timer_at(&timer[i], deadline[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		set += loop_timer_is_set(&timer[i]);
	assert_in_range(set, MANY / 2, MANY);
	run_until(set);
	for (size_t i = 0; i < count; i++)
		assert_true(deadline[ran[i]] != CLOCK_NEVER &&
		    (i == 0 || deadline[ran[i - 1]] <= deadline[ran[i]]));
}

/* Sets others, stops one that is due, and itself again. */
static void
on_busy(void *arg)
{
	on_timer(arg);
	loop_timer_stop(&timer[1]);
	loop_timer_at(&timer[2], clock_now() - 1);
	loop_timer_soon(&timer[3]);
	if (count < 3)
		loop_timer_at(arg, clock_now());
}

static void
a_callback_may_set_and_stop_any_timer(void **state)
{
	int64_t now = clock_now();

	(void)state;
	loop_timer_init(&timer[0], loop, on_busy, &timer[0]);
	loop_timer_at(&timer[0], now);
	loop_timer_at(&timer[1], now + 1);
	run_until(6);
	assert_int_equal(ran[0], 0);
	for (size_t i = 0; i < count; i++)
		assert_int_not_equal(ran[i], 1);
}

static void
on_soon(void *arg)
{
	on_timer(arg);
	if (arg == &timer[0])
		loop_timer_soon(&timer[1]);
}

static void
soon_is_in_this_turn_of_the_loop(void **state)
{
	(void)state;
	loop_timer_init(&timer[0], loop, on_soon, &timer[0]);
	loop_timer_soon(&timer[0]);
	loop_timer_soon(&timer[2]);
	assert_int_equal(count, 0);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_memory_equal(ran, ((const size_t[]){ 0, 2, 1 }), 3 * sizeof *ran);
	assert_int_equal(count, 3);
}

static unsigned heard;

static void
on_file(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	heard++;
}

static void
on_eager(void *arg)
{
	on_timer(arg);
	if (count < 2 * MANY)
		loop_timer_at(arg, clock_now() - CLOCK_SECOND);
}

static bool
has_heard(void *arg)
{
	(void)arg;
	return heard > 0;
}

static void
a_timer_that_is_always_due_starves_nobody(void **state)
{
	int pair[2];
	struct event event;

	(void)state;
	heard = 0;
	side_pair(pair);
	event_assign(&event, loop, pair[0], EV_READ, on_file, NULL);
	event_add(&event, NULL);
	side_say(pair[1], "x");
	loop_timer_init(&timer[0], loop, on_eager, &timer[0]);
	loop_timer_at(&timer[0], clock_now());
	assert_true(side_run(loop, has_heard, NULL, LIMIT));
	assert_in_range(count, 0, 10);
	event_del(&event);
	close(pair[0]);
	close(pair[1]);
}

static bool
work_bit(void *arg)
{
	(void)arg;
	return ++count < 5 * LOOP_BITS / 2;
}

static void
on_worked(void *arg)
{
	*(bool *)arg = true;
}

static void
long_work_leaves_the_loop_to_others_between_its_turns(void **state)
{
	static const size_t after[] = { LOOP_BITS, 2 * LOOP_BITS, 5 * LOOP_BITS / 2 };
	struct loop_work work = { .arg = NULL };
	bool done = false;

	(void)state;
	loop_work_init(&work, loop, &done);
	loop_work_start(&work, work_bit, on_worked);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
		assert_false(done);
		event_base_loop(loop, EVLOOP_ONCE);
		assert_int_equal(count, after[i]);
	}
	assert_true(done);
	done = false;
	loop_work_start(&work, work_bit, on_worked);
	loop_work_stop(&work);
	side_turns(loop, 5 * CLOCK_MILLISECOND);
	assert_false(done);
}

static void
a_loop_with_far_timers_is_at_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < MANY; i++)
		loop_timer_at(&timer[i], clock_now() + CLOCK_SECOND + (int64_t)i);
	side_turns(loop, 5 * CLOCK_MILLISECOND);
	assert_in_range(side_turns(loop, 50 * CLOCK_MILLISECOND), 0, 3);
	assert_int_equal(count, 0);
}

/* A regular file is what epoll never takes. */
static void
what_cannot_be_waited_for_ends_the_process_with_its_cause(void **state)
{
	char said[512];
	struct event event = { 0 };
	int out[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), status;
	ssize_t length;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		dup2(out[1], STDERR_FILENO);
		log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
		event_assign(&event, loop, file, EV_READ, NULL, NULL);
		loop_event_add(&event);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	length = read(out[0], said, sizeof said - 1);
	assert_true(length > 0);
	said[length] = '\0';
	assert_non_null(strstr(said, "cannot be waited for: Operation not permitted; this process ends"));
	close(out[0]);
	close(out[1]);
	close(file);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(timers_run_in_the_order_of_their_deadlines),
		ROW(a_timer_that_is_set_anew_runs_once),
		ROW(a_stopped_timer_does_not_run),
		ROW(any_number_set_and_stopped_at_random_keep_their_order),
		ROW(a_callback_may_set_and_stop_any_timer),
		ROW(soon_is_in_this_turn_of_the_loop),
		ROW(a_timer_that_is_always_due_starves_nobody),
		ROW(long_work_leaves_the_loop_to_others_between_its_turns),
		ROW(a_loop_with_far_timers_is_at_rest),
		ROW(what_cannot_be_waited_for_ends_the_process_with_its_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
