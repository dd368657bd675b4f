/* One client: opened, given back with its bytes, closed. */
#include "client_stage.h"

#include "client/introduction.h"
#include "keep/io_journal.h"

static void
a_client_is_attached_by_its_first_byte_and_answered_by_the_upstreams(void **state)
{
	int upstream = open_with(false);

	(void)state;
	gives_back = true;
	settle();
	assert_true(client_is_unused(client));
	side_say(far, "one");
	settle();
	assert_int_equal(answered, 0);
	assert_false(client_is_unused(client));
	side_say(upstream, "answer");
	settle();
	assert_int_equal(answered, 1);
	close(upstream);
	settle();
	assert_true(client_is_held(client));
	upstream = open_with(false);
	assert_true(client_is_unused(client));
	assert_true(client_was_attached(client));
	side_say(upstream, "two");
	settle();
	assert_int_equal(answered, 2);
	close(upstream);
}

static void
a_new_worker_takes_up_an_open_session(void **state)
{
	int upstream = open_with(false);
	uint32_t index = client->index;

	(void)state;
	side_say(far, "before");
	side_say(upstream, "with it");
	settle();
	client_free(client);
	assert_string_equal(side_hear(upstream), "before");
	assert_string_equal(side_hear(far), "with it");
	client = client_new(&owner, index);
	client_begin(client);
	side_say(upstream, "after");
	settle();
	assert_string_equal(side_hear(far), "after");
	assert_int_equal(answered, 1); /* by the dead one */
	close(upstream);
}

static void
what_the_dead_upstream_did_not_take_goes_to_the_next(void **state)
{
	struct linger linger = { .l_onoff = 1 };
	int upstream = open_with(true);

	(void)state;
	gives_back = true;
	setsockopt(upstream, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(upstream); /* a reset: the next send fails */
	side_say(far, "hello");
	settle();
	assert_int_equal(upstream_ended, 1);
	assert_true(client_is_held(client));
	assert_false(client_was_attached(client));
	assert_int_equal(record->conn, 0);
	upstream = open_with(false);
	settle();
	assert_string_equal(side_hear(upstream), "hello");
	close(upstream);
}

/* Much lies on the way when the upstream dies; by pipe or in a buffer. */
static void
keep_in_order(bool by_pipe)
{
	uint64_t sent = 0, received = 0;
	unsigned wrong = 0;
	int upstream = open_with(false), next;
	long n;

	gives_back = true;
	client->relay->way[TABLE_UP].relay_buffer.splices = by_pipe;
	for (int i = 0; i < 100; i++) {
		sent += side_write(far, 5, sent, 16384);
		settle();
	}
	assert_int_equal(record->pipe[TABLE_UP] != 0, by_pipe);
	assert_int_equal(record->buffer[TABLE_UP] != 0, !by_pipe);
	while ((n = side_read(upstream, 5, received, 16384, &wrong)) > 0)
		received += (uint64_t)n; /* without the relay's turning: the rest is in its hands */
	close(upstream);
	settle();
	assert_true(client_is_held(client));
	assert_false(client_has_left(client, false));
	assert_true(client_was_attached(client));
	assert_int_equal(record->bytes[TABLE_UP], received);
	next = open_with(by_pipe);
	for (int i = 0; i < 1000 && received < sent; i++) {
		side_turns(loop, CLOCK_MILLISECOND);
		while ((n = side_read(next, 5, received, 16384, &wrong)) > 0)
			received += (uint64_t)n;
	}
	assert_int_equal(received, sent);
	assert_int_equal(wrong, 0);
	close(next);
}

static void
much_that_is_on_its_way_is_kept_in_order(void **state)
{
	(void)state;
	keep_in_order(false);
}

static void
what_a_pipe_held_for_the_dead_upstream_goes_to_the_next(void **state)
{
	(void)state;
	keep_in_order(true);
}

/* Its end is behind bytes that nobody takes. */
static void
a_client_that_vanishes_behind_a_full_pipe_is_found_by_a_look(void **state)
{
	int upstream = open_with(false);
	uint64_t sent = 0, before;

	(void)state;
	client->relay->way[TABLE_UP].relay_buffer.splices = true;
	do {
		before = sent;
		sent += side_write(far, 5, sent, 16384);
		settle();
	} while (sent > before);
	assert_false(client_look(client));
	assert_false(relay_is_client_gone(client->relay));
	close(far);
	far = -1;
	assert_false(client_look(client));
	assert_true(relay_is_client_gone(client->relay));
	assert_true(client_has_words(client));
	close(upstream);
}

static void
the_options_of_a_connection_go_with_it(void **state)
{
	int upstream = open_with(false);

	(void)state;
	gives_back = true;
	side_say(far, "x");
	settle();
	table.conns[record->conn].flags |= TABLE_CONN_TUNED;
	close(upstream);
	settle();
	upstream = open_with(false);
	assert_int_equal(table.conns[record->conn].flags, 0);
	close(upstream);
}

/* A client that has waited since then gets a connection that ends unused after so long. */
static void
return_unused(int64_t since, int64_t lasted)
{
	gives_back = true;
	record->since = since;
	close(open_with(false));
	client->opened -= lasted;
	settle();
	assert_true(client_is_held(client));
}

static void
a_returned_client_that_was_never_attached_begins_its_time_anew(void **state)
{
	(void)state;
	return_unused(clock_now() - 3600 * CLOCK_SECOND, CLOCK_SECOND);
	assert_true(clock_now() - record->since < CLOCK_SECOND);
}

/* Else a server that accepts and hangs up would hold it for ever. */
static void
a_client_that_comes_back_at_once_has_waited_all_the_time(void **state)
{
	(void)state;
	return_unused(12345, 0);
	assert_int_equal(record->since, 12345);
}

static void
a_client_gone_after_its_end_is_found_by_a_look(void **state)
{
	int upstream = open_with(false);

	(void)state;
	shutdown(far, SHUT_WR);
	settle();
	client_look(client);
	assert_false(relay_is_client_gone(client->relay));
	close(far);
	far = -1;
	settle();
	client_look(client);
	assert_true(relay_is_client_gone(client->relay));
	close(upstream);
	settle();
	assert_int_equal(ended, 1);
}

/* No event may be left that would tell. */
static void
a_client_found_gone_behind_its_upstreams_end_is_over_at_once(void **state)
{
	int upstream = open_with(false);

	(void)state;
	shutdown(far, SHUT_WR);
	settle();
	side_put(&table, client->index, TABLE_DOWN, "not taken");
	client->relay->way[TABLE_DOWN].ended = true;
	event_del(&client->relay->way[TABLE_DOWN].read);
	close(far);
	far = -1;
	assert_true(client_look(client));
	assert_int_equal(ended, 1);
	assert_null(client);
	close(upstream);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void
the_upstream_hears_who_the_client_is_before_its_first_byte(void **state)
{
	int upstream;

	(void)state;
	owner.proxy = PROXY_V1;
	side_say(far, "one");
	upstream = open_with(false);
	settle();
	assert_string_equal(side_hear(upstream), "PROXY UNKNOWN\r\none");
	assert_int_equal(record->bytes[TABLE_UP], 3);
	assert_int_equal(answered, 0);
	close(upstream);
}

/* And its connection is not used by that: it can still be given another, which hears the same. */
static void
who_the_client_is_counts_as_none_of_its_bytes(void **state)
{
	int upstream;

	(void)state;
	owner.proxy = PROXY_V1;
	gives_back = true;
	upstream = open_with(true);
	settle();
	assert_string_equal(side_hear(upstream), "PROXY UNKNOWN\r\n");
	assert_true(client_is_unused(client));
	close(upstream);
	settle();
	assert_true(client_is_held(client));
	assert_int_equal(lost, 0);
	upstream = open_with(true);
	settle();
	assert_string_equal(side_hear(upstream), "PROXY UNKNOWN\r\n");
	close(upstream);
}

/* The worker died as soon as the client had it, and a reload has come between. */
static void
a_new_worker_says_what_a_connection_still_owes(void **state)
{
	uint32_t index = client->index, conn;
	int pair[2];

	(void)state;
	side_pair(pair);
	conn = side_conn(&table, TABLE_READY, pair[0]);
	introduction_owe(&table, conn, PROXY_V1);
	table_client_take(&table, index, conn);
	for (int worker = 0; worker < 3; worker++) {
		client_free(client);
		client = client_new(&owner, index);
		client_begin(client);
		settle();
		assert_string_equal(side_hear(pair[1]), worker == 0 ? "PROXY UNKNOWN\r\n" : "");
	}
	close(pair[1]);
}

/* Nor does one in whose midst a reload has begun to ask for it. */
static void
a_connection_that_owes_nothing_hears_nothing(void **state)
{
	int upstream = open_with(false);
	uint32_t index = client->index;

	(void)state;
	owner.proxy = PROXY_V2;
	client_free(client);
	client = client_new(&owner, index);
	client_begin(client);
	settle();
	assert_string_equal(side_hear(upstream), "");
	close(upstream);
}

/* What the call has sent, as its record has it when a worker dies in it. */
static void
a_connection_that_heard_a_part_is_left_for_another(void **state)
{
	struct table_io_journal *io_journal = &table.header->io_journal;
	uint32_t index = client->index, conn;
	int pair[2], upstream;

	(void)state;
	gives_back = true;
	owner.proxy = PROXY_V1;
	side_tcp_pair(pair);
	conn = side_conn(&table, TABLE_READY, pair[0]);
	introduction_owe(&table, conn, PROXY_V1);
	table_client_take(&table, index, conn);
	io_journal->index = conn;
	io_journal->base = 15;
	io_journal->message.msg_len = 7;
	io_journal->phase = TABLE_IO_JOURNAL_HEADER;
	io_journal_replay(&table);
	client_free(client);
	client = client_new(&owner, index);
	client_begin(client);
	settle();
	assert_int_equal(upstream_ended, 1);
	assert_true(client_is_held(client));
	assert_string_equal(side_hear(pair[1]), "EOF");
	close(pair[1]);
	side_say(far, "one");
	upstream = open_with(false);
	settle();
	assert_string_equal(side_hear(upstream), "PROXY UNKNOWN\r\none");
	close(upstream);
}

static void
a_connection_that_takes_nothing_is_left_for_another(void **state)
{
	char bytes[4096] = { 0 };
	int pair[2];

	(void)state;
	gives_back = true;
	owner.proxy = PROXY_V2;
	side_pair(pair);
	while (send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	client_open(client, side_conn(&table, TABLE_READY, pair[0]));
	settle();
	assert_int_equal(upstream_ended, 1);
	assert_true(client_is_held(client));
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_client_is_attached_by_its_first_byte_and_answered_by_the_upstreams),
		ROW(a_new_worker_takes_up_an_open_session),
		ROW(what_the_dead_upstream_did_not_take_goes_to_the_next),
		ROW(much_that_is_on_its_way_is_kept_in_order),
		ROW(a_client_that_vanishes_behind_a_full_pipe_is_found_by_a_look),
		ROW(what_a_pipe_held_for_the_dead_upstream_goes_to_the_next),
		ROW(the_options_of_a_connection_go_with_it),
		ROW(a_returned_client_that_was_never_attached_begins_its_time_anew),
		ROW(a_client_that_comes_back_at_once_has_waited_all_the_time),
		ROW(a_client_gone_after_its_end_is_found_by_a_look),
		ROW(a_client_found_gone_behind_its_upstreams_end_is_over_at_once),
		ROW(the_upstream_hears_who_the_client_is_before_its_first_byte),
		ROW(who_the_client_is_counts_as_none_of_its_bytes),
		ROW(a_new_worker_says_what_a_connection_still_owes),
		ROW(a_connection_that_owes_nothing_hears_nothing),
		ROW(a_connection_that_heard_a_part_is_left_for_another),
		ROW(a_connection_that_takes_nothing_is_left_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
