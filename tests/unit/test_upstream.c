/* test_upstream.c - upstream/upstream against real loopback listeners. */
#include "upstream_world.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void
it_connects_eagerly_and_refills_what_is_taken(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), first, second, fd;

	(void)state;
	world_make(port, 0);
	world_begin();
	assert_int_equal(world_status().state, UPSTREAM_CONNECTING);
	RUN_UNTIL(1000, world_status().warm == 1);
	assert_string_equal(w.events, "Ta+");
	assert_true(world_status().up && w.ready > 0);
	first = world_accept(listener);
	fd = world_take();
	assert_true(fd != -1);
	assert_int_equal(world_take(), -1);
	RUN_UNTIL(1000, world_status().warm == 1);
	second = world_accept(listener);
	assert_string_equal(w.events, "Ta+");
	assert_int_equal(write(first, "x", 1), 1);
	close(fd);
	close(first);
	close(second);
	close(listener);
	world_end();
}

static void
a_refused_dial_fails_and_waiters_are_told(void **state)
{
	uint16_t port = 0;
	char expected[128];
	int listener = world_listen(&port);

	(void)state;
	close(listener);
	world_make(port, 0);
	world_begin();
	upstream_wait(w.upstream, UPSTREAM_WAIT_RESULT, world_on_answer, NULL);
	upstream_leave(upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL));
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING && strcmp(w.answer, "none") != 0);
	snprintf(expected, sizeof expected, "dial 127.0.0.1:%u: Connection refused", port);
	assert_string_equal(w.answer, expected);
	assert_string_equal(w.events, "TaF");
	assert_string_equal(w.error, "Connection refused");
	assert_string_equal(world_status().last_error, expected);
	assert_true(world_status().next_attempt > clock_now() + 6 * CLOCK_SECOND);
	assert_int_equal(world_status().failures, 1);
	assert_true(world_status().down_since != 0);
	world_end();
}

static void
a_held_client_hastens_attempts(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);
	int64_t begun;

	(void)state;
	close(listener);
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	upstream_set_held(w.upstream, 1);
	begun = clock_now();
	while (clock_now() < begun + 300 * CLOCK_MILLISECOND)
		world_turn();
	listener = world_listen(&port);
	RUN_UNTIL(300, world_status().warm == 1);
	assert_string_equal(w.events, "TaF+");
	upstream_set_held(w.upstream, 0);
	close(listener);
	world_end();
}

static void
the_next_candidate_is_tried_at_once(void **state)
{
	uint16_t silent = 0, port = 0;
	int listener = world_listen(&silent);

	(void)state;
	close(listener);
	listener = world_listen(&port);
	world_make(silent, port);
	world_begin();
	upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_string_equal(w.events, "TaFa+");
	close(listener);
	world_end();
}

static void
a_crowd_is_dialled_for_side_by_side(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), fds[100];

	(void)state;
	world_make(port, 0);
	world_begin();
	upstream_set_held(w.upstream, 100);
	for (unsigned got = 0; got < 100;) {
		RUN_UNTIL(1000, world_status().warm > 0);
		assert_true(world_status().dialling <= 64);
		while (got < 100 && (fds[got] = world_take()) != -1)
			upstream_set_held(w.upstream, 100 - ++got);
	}
	RUN_UNTIL(1000, world_status().warm == 1 && world_status().dialling == 0);
	assert_string_equal(w.events, "Ta+");
	for (unsigned i = 0; i < 100; i++)
		close(fds[i]);
	close(listener);
	world_end();
}

static void
the_death_of_one_copy_costs_no_delay(void **state)
{
	uint16_t first = 0, second = 0;
	int a = world_listen(&first), b = world_listen(&second), warm;
	int64_t begun;

	(void)state;
	world_make(first, second);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	warm = world_accept(a);
	close(a);
	close(warm);
	begun = clock_now();
	RUN_UNTIL(50, world_status().warm == 1 && strcmp(world_status().address, w.addresses[1]) == 0);
	assert_true(clock_now() - begun < 50 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "Ta+"); /* P27: no event */
	close(b);
	world_end();
}

static void
a_young_end_is_a_failed_attempt_and_says_what_was_said(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), fd;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	fd = world_accept(listener);
	assert_int_equal(write(fd, "421 busy\r\n", 10), 10);
	for (int i = 0; i < 10; i++)
		world_turn();
	assert_int_equal(world_status().warm, 1); /* who speaks first is fine */
	close(fd);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	assert_string_equal(w.events, "Ta+-");
	assert_non_null(strstr(w.error, "it said \"421 busy\\r\\n\""));
	assert_int_equal(world_status().failures, 1);
	close(listener);
	world_end();
}

static void
what_the_server_said_first_is_the_clients(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), there, here;
	char got[16];

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	there = world_accept(listener);
	assert_int_equal(write(there, "hello", 5), 5);
	for (int i = 0; i < 10; i++)
		world_turn();
	here = world_take();
	assert_true(here != -1);
	assert_int_equal(recv(here, got, sizeof got, MSG_DONTWAIT), 5);
	close(here);
	close(there);
	close(listener);
	world_end();
}

static void
close_drops_and_open_begins_anew(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	upstream_tell(w.upstream, PCONN_CLOSE);
	assert_true(upstream_refuses(w.upstream));
	assert_int_equal(world_take(), -1);
	upstream_wait(w.upstream, UPSTREAM_WAIT_CLOSED, world_on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_int_equal(world_status().state, UPSTREAM_CLOSED);
	assert_int_equal(world_status().warm, 0);
	assert_string_equal(w.events, "Ta+-");
	w.answer = "none";
	upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "persistent connection closed") == 0);
	upstream_tell(w.upstream, PCONN_OPEN);
	assert_false(upstream_refuses(w.upstream));
	RUN_UNTIL(1000, world_status().warm == 1);
	upstream_tell(w.upstream, PCONN_DRAIN);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_DRAINED);
	assert_string_equal(w.events, "Ta+-Ta+-");
	close(listener);
	world_end();
}

static void
reconnect_drops_and_dials_at_once(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0);
	assert_string_equal(w.error, "");
	close(listener);
	world_end();
}

static void
with_warm_0_nothing_is_dialled_before_a_client(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), fd;
	struct pollfd look = { .fd = listener, .events = POLLIN };

	(void)state;
	world_make(port, 0);
	w.settings.pconn.warm = 0;
	world_begin();
	for (int i = 0; i < 10; i++)
		world_turn();
	assert_int_equal(world_status().state, UPSTREAM_IDLE);
	assert_int_equal(poll(&look, 1, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		upstream_set_held(w.upstream, 1);
		RUN_UNTIL(1000, world_status().warm == 1);
		fd = world_take();
		assert_true(fd != -1);
		upstream_set_held(w.upstream, 0);
		close(fd);
		for (int j = 0; j < 10; j++)
			world_turn();
		assert_int_equal(world_status().warm, 0);
	}
	assert_string_equal(w.events, "Ta+");
	close(listener);
	world_end();
}

static void
one_that_is_too_old_is_not_given_away(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), fd;

	(void)state;
	world_make(port, 0);
	w.settings.warm_max_age = 20 * CLOCK_MILLISECOND;
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	for (int i = 0; i < 6; i++)
		world_turn();
	upstream_set_held(w.upstream, 1);
	assert_int_equal(world_take(), -1);
	RUN_UNTIL(1000, world_status().warm == 1);
	fd = world_take();
	assert_true(fd != -1);
	assert_string_equal(w.events, "Ta+");
	close(fd);
	close(listener);
	world_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_connects_eagerly_and_refills_what_is_taken),
		cmocka_unit_test(a_refused_dial_fails_and_waiters_are_told),
		cmocka_unit_test(a_held_client_hastens_attempts),
		cmocka_unit_test(the_next_candidate_is_tried_at_once),
		cmocka_unit_test(a_crowd_is_dialled_for_side_by_side),
		cmocka_unit_test(the_death_of_one_copy_costs_no_delay),
		cmocka_unit_test(a_young_end_is_a_failed_attempt_and_says_what_was_said),
		cmocka_unit_test(what_the_server_said_first_is_the_clients),
		cmocka_unit_test(close_drops_and_open_begins_anew),
		cmocka_unit_test(reconnect_drops_and_dials_at_once),
		cmocka_unit_test(with_warm_0_nothing_is_dialled_before_a_client),
		cmocka_unit_test(one_that_is_too_old_is_not_given_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
