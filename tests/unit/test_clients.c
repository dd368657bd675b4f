/* All clients of one service: who is served, who is held, who is refused. */
#include "clients_stage.h"
#include "log_lines.h"

#include <stdio.h>
#include <sys/resource.h>

/* Settings' texts; they are read until the test is torn down. */
static char later[] = "421 later\r\n", unavailable[] = "503";

static void
a_client_gets_the_connection_that_is_ready(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	assert_int_equal(status().open, 1);
	assert_int_equal(status().held, 0);
	assert_int_equal(remote.taken, 1);
	side_say(client, "question");
	settle();
	assert_string_equal(side_hear(upstream), "question");
	assert_int_equal(remote.answered, 0);
	side_say(upstream, "answer");
	settle();
	assert_int_equal(remote.answered, 1);
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
	assert_int_equal(status().held, 3);
	assert_int_equal(remote.held, 3);
	for (int i = 0; i < 3; i++) {
		upstream = bring();
		clients_serve(clients);
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
	clients_serve(clients);
	side_say(first, "first");
	side_say(second, "second");
	settle();
	assert_string_equal(side_hear(upstream), "first");
	assert_int_equal(status().held, 1);
	close(first);
	close(second);
}

static bool
nobody_is_held(void *arg)
{
	(void)arg;
	return status().held == 0;
}

static void
a_client_that_leaves_while_held_is_forgotten(void **state)
{
	int client = come();

	(void)state;
	close(client);
	assert_true(side_run(loop, nobody_is_held, NULL, CLOCK_SECOND)); /* sooner than the scan */
	assert_int_equal(status().held, 0);
	assert_int_equal(remote.held, 0);
	assert_int_equal(side.ended, 1);
}

static void
beyond_max_held_a_client_is_told_and_counted(void **state)
{
	int client[3];

	(void)state;
	settings.max_held = 2;
	settings.down_reply = later;
	for (int i = 0; i < 3; i++)
		client[i] = come();
	assert_int_equal(status().held, 2);
	assert_int_equal(counters()->refused_held_max, 1);
	assert_string_equal(side_hear(client[2]), "421 later\r\n");
	assert_string_equal(side_hear(client[2]), "EOF");
	assert_string_equal(side_hear(client[0]), "");
	for (int i = 0; i < 3; i++)
		close(client[i]);
}

static void
beyond_max_held_of_a_service_that_is_up_clients_wait_in_the_backlog(void **state)
{
	int client[4];

	(void)state;
	settings.max_held = 2;
	remote.up = true;
	for (int i = 0; i < 4; i++)
		client[i] = come();
	assert_int_equal(status().held, 2);
	assert_int_equal(status().paused, TABLE_PAUSE_MAX_HELD);
	bring();
	clients_serve(clients);
	settle();
	assert_int_equal(status().open, 1);
	assert_int_equal(status().held, 2); /* the third has come in */
	remote.up = false;
	clients_serve(clients);
	settle();
	assert_int_equal(status().held, 2);
	assert_int_equal(counters()->refused_held_max, 1);
	assert_string_equal(side_hear(client[3]), "EOF");
	assert_int_equal(status().paused, TABLE_PAUSE_NONE);
	assert_int_equal(table.services[0].pauses[TABLE_PAUSE_MAX_HELD], 2);
	for (int i = 0; i < 4; i++)
		close(client[i]);
}

static void
hold_timeout_ends_the_waiting(void **state)
{
	int client;

	(void)state;
	settings.hold_timeout = 30 * CLOCK_SECOND;
	settings.down_reply = unavailable;
	clients_set(clients, &settings, false);
	client = come();
	after(29 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	after(30 * CLOCK_SECOND);
	assert_int_equal(status().held, 0);
	assert_int_equal(counters()->refused_hold_timeout, 1);
	assert_string_equal(side_hear(client), "503");
	close(client);
}

static void
on_down_refuse_refuses_only_while_down(void **state)
{
	int client;

	(void)state;
	settings.on_down = CLIENTS_REFUSE;
	client = come();
	assert_string_equal(side_hear(client), "EOF");
	assert_int_equal(counters()->refused_down, 1);
	close(client);
	remote.up = true;
	client = come();
	assert_int_equal(status().held, 1);
	close(client);
}

static void
a_closed_service_refuses_new_and_held_and_keeps_the_open(void **state)
{
	int upstream = bring(), served = come(), held = come(), fresh;

	(void)state;
	remote.refuses = true;
	clients_serve(clients);
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

/* As a new worker finds it, too. */
static void
a_connection_that_has_lived_for_a_second_gets_its_socket_options(void **state)
{
	int64_t since = clock_now();
	int client;

	(void)state;
	bring();
	client = come();
	assert_int_equal(status().open, 1);
	clients_look(clients, since + CLOCK_SECOND - 1);
	assert_false(table.conns[1].flags & TABLE_CONN_TUNED);
	after(CLOCK_SECOND);
	assert_true(table.conns[1].flags & TABLE_CONN_TUNED);
	close(client);
}

static void
at_max_clients_accepting_pauses(void **state)
{
	int client[3];

	(void)state;
	settings.max_clients = 2;
	for (int i = 0; i < 3; i++)
		client[i] = come();
	assert_int_equal(status().held, 2);
	assert_true(status().paused);
	leave(client[0]);
	assert_int_equal(status().held, 2);
	assert_int_equal(counters()->clients, 3);
	leave(client[1]);
	leave(client[2]);
	assert_false(status().paused);
}

static unsigned
warnings(void (*act)(void), const char *text)
{
	return count_lines(act, LOG_LEVEL_WARNING, text);
}

static bool
is_paused(void *wanted)
{
	return status().paused == (wanted != NULL);
}

static void
come_and_go_at_the_limit(void)
{
	bool yes = true;
	int client;

	for (int i = 0; i < 50; i++)
		log_warning("cache", "other trouble"); /* the service's lines are used up */
	for (int i = 0; i < 5; i++) {
		client = come();
		assert_true(side_run(loop, is_paused, &yes, 5 * CLOCK_SECOND));
		close(client);
		assert_true(side_run(loop, is_paused, NULL, 5 * CLOCK_SECOND));
	}
}

static void
the_limit_is_warned_of_once_a_minute_whatever_else_is_logged(void **state)
{
	(void)state;
	settings.max_clients = 1;
	assert_int_equal(warnings(come_and_go_at_the_limit, "max_clients (1) reached"), 1);
}

static void
refused_five_times(void)
{
	for (int i = 0; i < 5; i++)
		close(come());
}

static void
refused_in_the_next_minute(void)
{
	refused_five_times();
	after(61 * CLOCK_SECOND);
	after(62 * CLOCK_SECOND);
}

static void
timed_out(void)
{
	after(3600 * CLOCK_SECOND);
}

static void
refusals_are_told_of_once_a_minute_with_their_number(void **state)
{
	int client;

	(void)state;
	settings.max_held = 0;
	assert_int_equal(warnings(refused_five_times, " 1 client was refused: max_held (0) reached"), 1);
	assert_int_equal(warnings(refused_five_times, "max_held"), 0);
	assert_int_equal(warnings(refused_in_the_next_minute, " 14 clients were refused: max_held (0) reached"),
	    1);
	settings.max_held = 5;
	settings.hold_timeout = 3600 * CLOCK_SECOND;
	clients_set(clients, &settings, false);
	client = come();
	assert_int_equal(warnings(timed_out, " 1 client timed out waiting: hold_timeout (3600.0 s) over"), 1);
	close(client);
}

static bool
somebody_is_held(void *arg)
{
	return !nobody_is_held(arg);
}

static void
without_files_accepting_pauses_too(void **state)
{
	int client = side_connect(&table);
	struct rlimit limit, none;
	bool paused;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	settle();
	paused = status().paused;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(paused);
	assert_true(side_run(loop, somebody_is_held, NULL, 5 * CLOCK_SECOND));
	assert_false(status().paused);
	close(client);
}

static void
a_client_without_a_record_is_not_counted_as_its_users(void **state)
{
	uint32_t record[64], count = 0;
	int client;

	(void)state;
	settings.max_clients_per_user = 1;
	clients_set(clients, &settings, false);
	while ((record[count] = table_client_claim(&table)) != 0)
		count++;
	client = come();
	assert_string_equal(side_hear(client), "EOF");
	close(client);
	while (count > 0)
		table_client_free(&table, record[--count]);
	client = come();
	assert_int_equal(counters()->refused_per_user, 0);
	assert_int_equal(status().held, 1);
	close(client);
}

static void
a_stranger_is_closed_and_leaves_no_record(void **state)
{
	char *strangers[] = { (char[]){ "4000000000" }, NULL };
	int client;

	(void)state;
	listeners.at[0].allow_users = strangers;
	clients_set(clients, &settings, false);
	client = come();
	assert_string_equal(side_hear(client), "EOF");
	assert_int_equal(counters()->refused_permission, 1);
	assert_int_equal(counters()->clients, 0);
	assert_int_equal(table.clients_used, 0);
	close(client);
	listeners.at[0].allow_users = NULL;
	clients_set(clients, &settings, false);
}

static void
a_limit_per_user_counts_those_who_are_here_already(void **state)
{
	int first = come(), second;

	(void)state;
	settings.max_clients_per_user = 1;
	clients_set(clients, &settings, false);
	second = come();
	assert_string_equal(side_hear(second), "EOF");
	assert_int_equal(counters()->refused_per_user, 1);
	leave(first);
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
		ROW(beyond_max_held_of_a_service_that_is_up_clients_wait_in_the_backlog),
		ROW(hold_timeout_ends_the_waiting),
		ROW(on_down_refuse_refuses_only_while_down),
		ROW(a_closed_service_refuses_new_and_held_and_keeps_the_open),
		ROW(a_connection_that_has_lived_for_a_second_gets_its_socket_options),
		ROW(at_max_clients_accepting_pauses),
		ROW(a_stranger_is_closed_and_leaves_no_record),
		ROW(a_limit_per_user_counts_those_who_are_here_already),
		ROW(the_limit_is_warned_of_once_a_minute_whatever_else_is_logged),
		ROW(refusals_are_told_of_once_a_minute_with_their_number),
		ROW(without_files_accepting_pauses_too),
		ROW(a_client_without_a_record_is_not_counted_as_its_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
