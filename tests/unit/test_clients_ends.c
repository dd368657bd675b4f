/* All clients of one service: what follows the end of a connection, of a worker, of a client. */
#include "client/client.h"
#include "clients_stage.h"

/* Settings' texts; they are read until the test is torn down. */
static char later[] = "421 later\r\n";

static void
a_connection_that_ended_unused_puts_the_client_back(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	hang_up(upstream);
	assert_int_equal(status().held, 1);
	assert_int_equal(remote.unused, 1);
	assert_true(remote.unused_age < CLOCK_SECOND);
	upstream = bring();
	clients_serve(clients);
	side_say(client, "at last");
	settle();
	assert_string_equal(side_hear(upstream), "at last");
	close(client);
}

static void
an_attached_client_ends_with_its_upstream(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	side_say(upstream, "last words");
	hang_up(upstream);
	assert_string_equal(side_hear(client), "last words");
	assert_string_equal(side_hear(client), "EOF");
	assert_int_equal(remote.unused, 0);
	close(client);
	settle();
	assert_int_equal(status().open, 0);
	assert_int_equal(counters()->bytes[TABLE_DOWN], 10);
}

static void
with_reconnect_a_client_stays(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	settings.hold_timeout = 1; /* is not for those who had been attached */
	clients_set(clients, &settings, false);
	for (int i = 0; i < 5; i++) {
		side_say(client, "line");
		settle();
		assert_string_equal(side_hear(upstream), "line");
		side_say(upstream, "answer");
		settle();
		hang_up(upstream);
		assert_int_equal(status().held, 1);
		upstream = bring();
		clients_serve(clients);
	}
	assert_int_equal(remote.unused, 0);
	assert_int_equal(remote.answered, 5);
	close(client);
}

/* Else a server that accepts and hangs up would be dialled without a pause. */
static void
with_reconnect_an_unused_connection_is_told_too(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	side_say(client, "line");
	settle();
	hang_up(upstream);
	assert_int_equal(remote.unused, 0);
	upstream = bring();
	clients_serve(clients);
	hang_up(upstream);
	assert_int_equal(remote.unused, 1);
	assert_int_equal(status().held, 1);
	close(client);
}

static void
a_silent_client_is_closed_by_idle_timeout_and_not_early(void **state)
{
	int client;
	int64_t begun;

	(void)state;
	bring();
	settings.idle_timeout = 30 * CLOCK_SECOND;
	clients_set(clients, &settings, false);
	begun = clock_now();
	client = come();
	clients_look(clients, begun + 30 * CLOCK_SECOND);
	assert_int_equal(status().open, 1);
	after(31 * CLOCK_SECOND);
	assert_int_equal(status().open, 0);
	assert_string_equal(side_hear(client), "EOF");
	close(client);
}

static void
all_are_taken_up_by_the_next_worker(void **state)
{
	int upstream = bring(), served = come(), held[2], next;

	(void)state;
	held[0] = come();
	held[1] = come();
	clients_free(clients);
	table_derive(&table);
	begin();
	assert_int_equal(status().open, 1);
	assert_int_equal(status().held, 2);
	side_say(served, "on");
	settle();
	assert_string_equal(side_hear(upstream), "on");
	next = bring();
	clients_serve(clients);
	side_say(held[0], "I was first");
	settle();
	assert_string_equal(side_hear(next), "I was first");
	assert_int_equal(counters()->clients, 3);
	close(served);
	close(held[0]);
	close(held[1]);
}

static void
adopted_clients_are_counted_and_asked_who_they_are(void **state)
{
	int client[2], accepted[2];
	char *strangers[] = { (char[]){ "4000000000" }, NULL };

	(void)state;
	clients_free(clients);
	for (int i = 0; i < 2; i++) {
		client[i] = side_connect(&table);
		accepted[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		table.clients[side_client(&table, accepted[i])].flags = TABLE_CLIENT_ADOPTED;
		if (i == 1)
			listeners.at[0].allow_users = strangers;
		begin();
		assert_int_equal(status().held, 1);
		assert_int_equal(counters()->clients, 1);
		if (i == 0)
			clients_free(clients);
	}
	assert_string_equal(side_hear(client[0]), "");
	assert_string_equal(side_hear(client[1]), "EOF");
	assert_int_equal(counters()->refused_permission, 1);
	close(client[0]);
	close(client[1]);
	listeners.at[0].allow_users = NULL;
	clients_set(clients, &settings, false);
}

static void
an_adopted_client_is_refused_while_down_as_any_new_one_is(void **state)
{
	int client = side_connect(&table);
	int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)state;
	clients_free(clients);
	settings.on_down = CLIENTS_REFUSE;
	settings.max_clients_per_user = 1;
	settings.down_reply = later;
	table.clients[side_client(&table, accepted)].flags = TABLE_CLIENT_ADOPTED;
	begin();
	assert_int_equal(status().held, 0);
	assert_int_equal(counters()->clients, 1);
	assert_int_equal(counters()->refused_down, 1);
	assert_string_equal(side_hear(client), "421 later\r\n");
	assert_string_equal(side_hear(client), "EOF");
	close(client);
	remote.up = true;
	client = come();
	assert_int_equal(counters()->refused_per_user, 0);
	assert_int_equal(status().held, 1);
	close(client);
}

static void
a_held_client_that_shut_down_and_went_later_is_found(void **state)
{
	int client = come();

	(void)state;
	shutdown(client, SHUT_WR);
	settle();
	after(10 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	close(client);
	after(20 * CLOCK_SECOND);
	assert_int_equal(status().held, 0);
	assert_int_equal(remote.held, 0);
	assert_int_equal(side.ended, 1);
}

/* Comes, says this, and is gone. */
static void
haunt(const char *said)
{
	int client = come();

	side_say(client, said);
	close(client);
}

static void
a_held_client_that_wrote_and_went_is_kept_for_its_bytes(void **state)
{
	int upstream;

	(void)state;
	haunt("fire and forget");
	after(10 * CLOCK_SECOND);
	after(60 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	upstream = bring();
	clients_serve(clients);
	settle();
	assert_string_equal(side_hear(upstream), "fire and forget");
}

/* It goes in the very moment in which a connection comes: the loop has not told of it. */
static void
with_abort_on_close_a_ghost_is_given_no_connection(void **state)
{
	int ghost, client, upstream;

	(void)state;
	settings.abort_on_close = true;
	ghost = come();
	client = come();
	side_say(ghost, "buy");
	side_say(client, "look");
	settle();
	assert_int_equal(status().held, 2);
	close(ghost);
	upstream = bring();
	clients_serve(clients);
	settle();
	assert_string_equal(side_hear(upstream), "look");
	assert_int_equal(status().held, 0);
	assert_int_equal(remote.taken, 1);
	assert_int_equal(remote.held, 0);
	close(client);
}

static void
with_abort_on_close_who_has_only_shut_down_is_served(void **state)
{
	int client = come(), upstream;

	(void)state;
	settings.abort_on_close = true;
	side_say(client, "buy");
	shutdown(client, SHUT_WR);
	after(CLOCK_SECOND); /* it is watched by now */
	settle();
	upstream = bring();
	clients_serve(clients);
	settle();
	assert_string_equal(side_hear(upstream), "buy");
	close(client);
}

static void
but_no_longer_than_a_minute(void **state)
{
	(void)state;
	haunt("fire and forget");
	after(10 * CLOCK_SECOND);
	haunt("the same");
	after(20 * CLOCK_SECOND);
	after(69 * CLOCK_SECOND);
	assert_int_equal(status().held, 2);
	after(75 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
}

static void
with_a_hold_timeout_that_is_the_limit_but_not_for_reconnects(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	settings.hold_timeout = 3600 * CLOCK_SECOND;
	clients_set(clients, &settings, false);
	side_say(upstream, "hello");
	settle();
	hang_up(upstream);
	assert_string_equal(side_hear(client), "hello");
	side_say(client, "I was attached");
	close(client);
	haunt("fire and forget");
	after(10 * CLOCK_SECOND);
	assert_int_equal(status().held, 2);
	after(75 * CLOCK_SECOND);
	assert_int_equal(status().held, 1);
	upstream = bring();
	clients_serve(clients);
	settle();
	assert_string_equal(side_hear(upstream), "fire and forget");
}

static bool
visit(void *arg, uint32_t client)
{
	unsigned *count = arg;

	++*count;
	clients_kill(clients, client);
	return true;
}

static void
each_client_can_be_ended_while_they_are_looked_at(void **state)
{
	int client[4];
	unsigned count = 0;

	(void)state;
	bring();
	bring();
	for (int i = 0; i < 4; i++)
		client[i] = come();
	clients_each(clients, visit, &count);
	assert_int_equal(count, 4);
	assert_int_equal(status().open + status().held, 0);
	assert_int_equal(side.ended, 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(side_hear(client[i]), "EOF");
		close(client[i]);
	}
}

static void
bytes_are_those_of_the_living_and_of_the_dead(void **state)
{
	int client[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		side_say(bring(), "answer");
		client[i] = come();
		side_say(client[i], "hi");
		settle();
	}
	assert_int_equal(status().bytes[TABLE_UP], 4);
	assert_int_equal(status().bytes[TABLE_DOWN], 12);
	clients_close(clients, CLOSING_OPERATOR, true);
	assert_int_equal(status().bytes[TABLE_UP], 4);
	assert_int_equal(status().bytes[TABLE_DOWN], 12);
	close(client[0]);
	close(client[1]);
}

static void
bytes_of_who_waits_for_a_reconnect_are_counted_on(void **state)
{
	int upstream = bring(), client = come();

	(void)state;
	settings.on_upstream_end = CLIENTS_RECONNECT;
	side_say(client, "line");
	settle();
	hang_up(upstream);
	assert_int_equal(status().held, 1);
	assert_int_equal(status().bytes[TABLE_UP], 4);
	close(client);
}

static void
closing_ends_the_held_and_on_wish_the_others(void **state)
{
	int client[2];

	(void)state;
	bring();
	client[0] = come();
	client[1] = come();
	clients_close(clients, CLOSING_OPERATOR, false);
	assert_int_equal(status().held, 0);
	assert_int_equal(status().open, 1);
	clients_close(clients, CLOSING_OPERATOR, true);
	assert_int_equal(status().open, 0);
	close(client[0]);
	close(client[1]);
}

static void
without_a_listener_nobody_comes_and_all_stay(void **state)
{
	int upstream = bring(), client = come(), late;

	(void)state;
	clients_listen(clients, 0, -1, false);
	late = come();
	side_say(client, "x");
	settle();
	assert_string_equal(side_hear(upstream), "x");
	assert_int_equal(counters()->clients, 1);
	close(client);
	close(late);
}

/* A refused one that does not end by itself. */
static int
come_and_be_refused(void)
{
	settings.on_down = CLIENTS_REFUSE;
	settings.down_reply = later;
	clients_set(clients, &settings, false);
	return come();
}

static void
one_that_is_turned_away_is_closed_after_a_second(void **state)
{
	int64_t begun = clock_now();
	int client = come_and_be_refused();

	(void)state;
	assert_string_equal(side_hear(client), later);
	assert_string_equal(side_hear(client), "EOF");
	clients_look(clients, begun + CLOCK_SECOND - 1);
	assert_int_equal(status().lingering, 1);
	assert_int_equal(status().bytes[TABLE_DOWN], strlen(later)); /* never less */
	assert_false(clients_is_empty(clients));
	side.ended = 0;
	after(CLOCK_SECOND);
	assert_int_equal(status().lingering, 0);
	assert_true(clients_is_empty(clients));
	assert_int_equal(side.ended, 1);
	close(client);
}

static void
one_that_is_turned_away_and_ends_is_closed_then(void **state)
{
	int client = come_and_be_refused();

	(void)state;
	side.ended = 0;
	close(client);
	settle();
	assert_int_equal(status().lingering, 0);
	assert_int_equal(side.ended, 1);
}

static void
beyond_the_most_who_was_turned_away_first_is_closed(void **state)
{
	int first = come_and_be_refused(), second;

	(void)state;
	assert_int_equal(table.lingering, 1);
	table.lingering = CLIENT_LINGERING_MOST; /* of other services */
	second = come_and_be_refused();
	assert_int_equal(status().lingering, 1);
	assert_string_equal(side_hear(second), later);
	table.lingering -= CLIENT_LINGERING_MOST - 1;
	close(second);
	settle();
	assert_int_equal(status().lingering, 0);
	close(first);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_connection_that_ended_unused_puts_the_client_back),
		ROW(an_attached_client_ends_with_its_upstream),
		ROW(with_reconnect_a_client_stays),
		ROW(with_reconnect_an_unused_connection_is_told_too),
		ROW(a_silent_client_is_closed_by_idle_timeout_and_not_early),
		ROW(all_are_taken_up_by_the_next_worker),
		ROW(adopted_clients_are_counted_and_asked_who_they_are),
		ROW(each_client_can_be_ended_while_they_are_looked_at),
		ROW(bytes_are_those_of_the_living_and_of_the_dead),
		ROW(closing_ends_the_held_and_on_wish_the_others),
		ROW(without_a_listener_nobody_comes_and_all_stay),
		ROW(an_adopted_client_is_refused_while_down_as_any_new_one_is),
		ROW(a_held_client_that_shut_down_and_went_later_is_found),
		ROW(a_held_client_that_wrote_and_went_is_kept_for_its_bytes),
		ROW(with_abort_on_close_a_ghost_is_given_no_connection),
		ROW(with_abort_on_close_who_has_only_shut_down_is_served),
		ROW(but_no_longer_than_a_minute),
		ROW(with_a_hold_timeout_that_is_the_limit_but_not_for_reconnects),
		ROW(bytes_of_who_waits_for_a_reconnect_are_counted_on),
		ROW(one_that_is_turned_away_is_closed_after_a_second),
		ROW(one_that_is_turned_away_and_ends_is_closed_then),
		ROW(beyond_the_most_who_was_turned_away_first_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
