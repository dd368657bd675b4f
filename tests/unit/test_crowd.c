/* All clients of one service: who is served, who is held, who is refused. */
#include "crowd_stage.h"

static void
a_client_gets_the_connection_that_is_ready(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	assert_int_equal(crowd_count(crowd), 1);
	assert_int_equal(crowd_held(crowd), 0);
	assert_int_equal(remote.taken, 1);
	side_say(client, "question");
	settle();
	assert_string_equal(side_hear(upstream), "question");
	assert_int_equal(remote.attached, 1);
	assert_int_equal(counters()->clients, 1);
	close(client);
}

static void
clients_are_held_and_served_in_their_order(void **state)
{
	int client[3], upstream;

	(void)state;
	for (int i = 0; i < 3; i++)
		client[i] = come();
	assert_int_equal(crowd_held(crowd), 3);
	assert_int_equal(remote.held, 3);
	for (int i = 0; i < 3; i++) {
		upstream = bring();
		crowd_serve(crowd);
		assert_int_equal(remote.held, 2 - i);
		side_say(client[i], "mine");
		settle();
		assert_string_equal(side_hear(upstream), "mine");
		close(client[i]);
	}
}

static void
a_newcomer_does_not_overtake_those_who_wait(void **state)
{
	int first = come(), upstream = bring(), second = come();

	(void)state;
	crowd_serve(crowd);
	side_say(first, "first");
	side_say(second, "second");
	settle();
	assert_string_equal(side_hear(upstream), "first");
	assert_int_equal(crowd_held(crowd), 1);
	close(first);
	close(second);
}

static void
a_client_that_leaves_while_held_is_forgotten(void **state)
{
	int client = come();

	(void)state;
	close(client);
	settle();
	assert_int_equal(crowd_held(crowd), 0);
	assert_int_equal(remote.held, 0);
	assert_int_equal(remote.ended, 1);
}

static void
beyond_max_held_a_client_is_told_and_counted(void **state)
{
	int client[3];

	(void)state;
	settings.max_held = 2;
	settings.down_reply = (char[]){ "421 later\r\n" };
	for (int i = 0; i < 3; i++)
		client[i] = come();
	assert_int_equal(crowd_held(crowd), 2);
	assert_int_equal(counters()->refused_held_max, 1);
	assert_string_equal(side_hear(client[2]), "421 later\r\n");
	assert_string_equal(side_hear(client[2]), "EOF");
	assert_string_equal(side_hear(client[0]), "");
	for (int i = 0; i < 3; i++)
		close(client[i]);
}

static void
hold_timeout_ends_the_waiting(void **state)
{
	int client;

	(void)state;
	settings.hold_timeout = 30 * CLOCK_MILLISECOND;
	settings.down_reply = (char[]){ "503" };
	crowd_set(crowd, &settings, false);
	client = come();
	assert_int_equal(crowd_held(crowd), 1);
	side_turns(loop, 60 * CLOCK_MILLISECOND);
	assert_int_equal(crowd_held(crowd), 0);
	assert_int_equal(counters()->refused_hold_timeout, 1);
	assert_string_equal(side_hear(client), "503");
	close(client);
}

static void
on_down_refuse_refuses_only_while_down(void **state)
{
	int client;

	(void)state;
	settings.on_down = CROWD_REFUSE;
	client = come();
	assert_string_equal(side_hear(client), "EOF");
	assert_int_equal(counters()->refused_down, 1);
	close(client);
	remote.up = true;
	client = come();
	assert_int_equal(crowd_held(crowd), 1);
	close(client);
}

static void
a_closed_service_refuses_new_and_held_and_keeps_the_open(void **state)
{
	int upstream = bring(), served = come(), held = come(), fresh;

	(void)state;
	remote.refuses = true;
	crowd_serve(crowd);
	fresh = come();
	assert_string_equal(side_hear(held), "EOF");
	assert_string_equal(side_hear(fresh), "EOF");
	assert_int_equal(counters()->refused_down, 2);
	side_say(upstream, "still here");
	settle();
	assert_string_equal(side_hear(served), "still here");
	close(served);
	close(held);
	close(fresh);
}

static void
at_max_clients_accepting_pauses(void **state)
{
	int client[3];

	(void)state;
	settings.max_clients = 2;
	for (int i = 0; i < 3; i++)
		client[i] = come();
	assert_int_equal(crowd_held(crowd), 2);
	assert_true(crowd_is_paused(crowd));
	close(client[0]);
	settle();
	assert_int_equal(crowd_held(crowd), 2);
	assert_int_equal(counters()->clients, 3);
	close(client[1]);
	close(client[2]);
	settle();
	assert_false(crowd_is_paused(crowd));
}

static void
a_limit_per_user_counts_those_who_are_here_already(void **state)
{
	int first = come(), second;

	(void)state;
	settings.max_clients_per_user = 1;
	crowd_set(crowd, &settings, false);
	second = come();
	assert_string_equal(side_hear(second), "EOF");
	assert_int_equal(counters()->refused_per_user, 1);
	close(first);
	settle();
	close(second);
	second = come();
	assert_string_equal(side_hear(second), "");
	close(second);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_client_gets_the_connection_that_is_ready),
		ROW(clients_are_held_and_served_in_their_order),
		ROW(a_newcomer_does_not_overtake_those_who_wait),
		ROW(a_client_that_leaves_while_held_is_forgotten),
		ROW(beyond_max_held_a_client_is_told_and_counted),
		ROW(hold_timeout_ends_the_waiting),
		ROW(on_down_refuse_refuses_only_while_down),
		ROW(a_closed_service_refuses_new_and_held_and_keeps_the_open),
		ROW(at_max_clients_accepting_pauses),
		ROW(a_limit_per_user_counts_those_who_are_here_already),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
