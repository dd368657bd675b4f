/* The clients of a service that an operator pauses, or makes fail. */
#include "clients_stage.h"

static int upstream;

/* A client that has a connection. */
static int
serve(const char *said)
{
	int client;

	upstream = bring();
	client = come();
	clients_serve(clients);
	if (said != NULL)
		side_say(client, said);
	settle();
	return client;
}

static void
pause_it(bool kill)
{
	table.services[0].pause.value = 1;
	clients_pause(clients, kill);
	settle();
}

static void
a_pause_holds_who_is_not_attached_yet_and_leaves_the_others(void **state)
{
	int attached = serve("question"), other_upstream = upstream, fresh = serve(NULL);

	(void)state;
	assert_int_equal(status().open, 2);
	pause_it(false);
	assert_int_equal(status().open, 1);
	assert_int_equal(status().held, 1);
	assert_int_equal(remote.held, 1);
	assert_int_equal(remote.unused, 0); /* the server has not failed */
	assert_string_equal(side_hear(upstream), "EOF");
	assert_string_equal(side_hear(other_upstream), "question");
	side_say(other_upstream, "answer");
	settle();
	assert_string_equal(side_hear(attached), "answer");
	close(attached);
	close(fresh);
}

static void
what_a_client_said_before_it_was_held_goes_to_the_next_connection(void **state)
{
	int client;

	(void)state;
	client = serve(NULL);
	side_say(client, "early");
	pause_it(false);
	assert_int_equal(status().held + status().open, 1);
	if (status().held == 0) { /* it was quicker */
		assert_string_equal(side_hear(upstream), "early");
		return;
	}
	upstream = bring();
	clients_serve(clients);
	settle();
	assert_string_equal(side_hear(upstream), "early");
}

static void
with_kill_the_attached_are_closed(void **state)
{
	int client = serve("question");

	(void)state;
	pause_it(true);
	assert_int_equal(status().open + status().held, 0);
	assert_string_equal(side_hear(client), "EOF");
}

static void
with_kill_those_who_may_change_their_upstream_are_held(void **state)
{
	int client;

	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	client = serve("question");
	pause_it(true);
	assert_int_equal(status().open, 0);
	assert_int_equal(status().held, 1);
	serve(NULL);
	side_say(client, "more");
	settle();
	assert_string_equal(side_hear(upstream), "more");
}

static void
an_upstream_that_ends_in_a_pause_has_its_client_held(void **state)
{
	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	serve("question");
	pause_it(false);
	assert_int_equal(status().open, 1);
	hang_up(upstream);
	assert_int_equal(status().open, 0);
	assert_int_equal(status().held, 1);
}

static void
hold_timeout_ends_nobody_in_a_pause(void **state)
{
	(void)state;
	settings.hold_timeout = 30 * CLOCK_SECOND;
	clients_set(clients, &settings, false);
	pause_it(false);
	come();
	after(3600 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	clients_free(clients); /* the worker dies */
	begin();
	after(3600 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	table.services[0].pause.value = 0;
	clients_pause(clients, false);
	after(29 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	after(30 * CLOCK_SECOND);
	assert_int_equal(status().held, 0);
	assert_int_equal(counters()->refused_hold_timeout, 1);
}

/* It may have died between the end of the pause and noting when that was. */
static void
a_new_worker_goes_by_the_end_of_the_pause(void **state)
{
	static const int64_t ends[] = { -1, 1 };

	(void)state;
	settings.hold_timeout = 10 * CLOCK_SECOND;
	for (int i = 0; i < 2; i++) {
		come();
		table.clients[1 + i].since = clock_now() - 20 * CLOCK_SECOND;
		clients_free(clients);
		table.services[0].pause.since = clock_now() + ends[i] * CLOCK_SECOND;
		begin();
		settle();
		assert_int_equal(status().held, 1 + i);
	}
}

static void
max_held_counts_in_a_pause_too(void **state)
{
	int last;

	(void)state;
	settings.max_held = 1;
	pause_it(false);
	come();
	last = come();
	assert_int_equal(status().held, 1);
	assert_string_equal(side_hear(last), "EOF");
	assert_int_equal(counters()->refused_held_max, 1);
}

static void
a_failure_by_order_is_an_end_of_all_upstreams(void **state)
{
	int attached = serve("question"), other_upstream = upstream;

	(void)state;
	side_say(other_upstream, "last words");
	serve(NULL);
	clients_cut(clients, 0, CLOSING_UPSTREAM);
	settle();
	assert_string_equal(side_hear(attached), "last words");
	assert_string_equal(side_hear(attached), "EOF");
	assert_int_equal(status().held, 1);
	assert_string_equal(side_hear(other_upstream), "question");
	assert_string_equal(side_hear(other_upstream), "EOF");
	assert_string_equal(side_hear(upstream), "EOF");
}

static void
a_client_whose_connection_is_cut_is_ended_though_it_stays(void **state)
{
	int attached = serve("question");

	(void)state;
	side_say(upstream, "last words");
	clients_cut(clients, 0, CLOSING_WITHDRAWN);
	settle();
	assert_string_equal(side_hear(attached), "last words");
	assert_string_equal(side_hear(attached), "EOF");
	assert_int_equal(status().open, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_pause_holds_who_is_not_attached_yet_and_leaves_the_others),
		ROW(what_a_client_said_before_it_was_held_goes_to_the_next_connection),
		ROW(with_kill_the_attached_are_closed),
		ROW(with_kill_those_who_may_change_their_upstream_are_held),
		ROW(an_upstream_that_ends_in_a_pause_has_its_client_held),
		ROW(hold_timeout_ends_nobody_in_a_pause),
		ROW(a_new_worker_goes_by_the_end_of_the_pause),
		ROW(max_held_counts_in_a_pause_too),
		ROW(a_failure_by_order_is_an_end_of_all_upstreams),
		ROW(a_client_whose_connection_is_cut_is_ended_though_it_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
