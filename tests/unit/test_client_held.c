/* A client that is held: watched, refused, closed. */
#include "client_stage.h"

#include <time.h>

static void
a_held_client_is_not_read_from(void **state)
{
	(void)state;
	side_say(far, "patience");
	settle();
	assert_true(client_is_held(client));
	assert_int_equal(record->buffer[TABLE_UP], 0);
	assert_in_range(side_turns(loop, 30 * CLOCK_MILLISECOND), 0, 3);
}

static void
a_held_client_that_leaves_is_seen(void **state)
{
	(void)state;
	close(far);
	far = -1;
	settle();
	assert_int_equal(left, 1);
}

static void
a_held_client_that_wrote_and_left_is_served_all_the_same(void **state)
{
	int upstream;

	(void)state;
	side_say(far, "do it");
	close(far);
	far = -1;
	settle();
	assert_int_equal(left, 0);
	assert_in_range(side_turns(loop, 30 * CLOCK_MILLISECOND), 0, 3);
	upstream = open_with(false);
	settle();
	assert_string_equal(side_hear(upstream), "do it");
	assert_string_equal(side_hear(upstream), "EOF");
	close(upstream);
}

static void
a_held_client_that_only_shut_down_is_held_on(void **state)
{
	(void)state;
	shutdown(far, SHUT_WR);
	settle();
	assert_int_equal(left, 0);
	assert_in_range(side_turns(loop, 30 * CLOCK_MILLISECOND), 0, 3);
}

/* Bytes that lie unread at the client's side make libevent tell of an error, not of a hang-up. */
static void
a_held_client_that_dies_with_unread_bytes_is_seen_and_does_not_make_the_loop_spin(void **state)
{
	int upstream = open_with(false);
	clock_t begin;

	(void)state;
	gives_back = true;
	side_say(upstream, "not read");
	settle();
	close(upstream);
	settle();
	assert_true(client_is_held(client));
	close(far);
	far = -1;
	begin = clock(); /* CPU time: libevent turns without coming back */
	side_turns(loop, 100 * CLOCK_MILLISECOND);
	assert_in_range(clock() - begin, 0, CLOCKS_PER_SEC / 20);
	assert_int_equal(left, 1);
}

static void
closing_a_held_client_closes_no_connection_of_others(void **state)
{
	int other = side_file();

	(void)state;
	side_conn(&table, TABLE_READY, other);
	client_close(client);
	client = NULL;
	assert_true(side_is_open(other));
	close(other);
}

static void
a_held_client_is_a_ghost_a_minute_after_it_was_first_seen_gone(void **state)
{
	static struct waiting_queue held; /* outlives the client */

	(void)state;
	waiting_init(&held, 0);
	client_wait(client, &held);
	assert_false(client_is_ghost(client, &held, false, CLOCK_SECOND));
	shutdown(far, SHUT_WR);
	assert_false(client_is_ghost(client, &held, false, 100 * CLOCK_SECOND));
	side_put(&table, client->index, TABLE_UP, "kept for the next");
	close(far);
	far = -1;
	assert_false(client_is_ghost(client, &held, false, 200 * CLOCK_SECOND));
	assert_true(client_is_ghost(client, &held, true, 200 * CLOCK_SECOND));
	assert_false(client_is_ghost(client, &held, false, 260 * CLOCK_SECOND - 1));
	assert_true(client_is_ghost(client, &held, false, 260 * CLOCK_SECOND));
	held.timeout = 3600 * CLOCK_SECOND;
	assert_false(client_is_ghost(client, &held, false, 260 * CLOCK_SECOND));
	assert_false(client_has_left(client, false));
	table.buffers[record->buffer[TABLE_UP]].head = table.buffers[record->buffer[TABLE_UP]].tail;
	assert_true(client_has_left(client, false));
	assert_true(client_is_ghost(client, &held, false, 260 * CLOCK_SECOND));
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_held_client_is_not_read_from),
		ROW(a_held_client_that_leaves_is_seen),
		ROW(a_held_client_that_wrote_and_left_is_served_all_the_same),
		ROW(a_held_client_that_only_shut_down_is_held_on),
		ROW(a_held_client_that_dies_with_unread_bytes_is_seen_and_does_not_make_the_loop_spin),
		ROW(closing_a_held_client_closes_no_connection_of_others),
		ROW(a_held_client_is_a_ghost_a_minute_after_it_was_first_seen_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
