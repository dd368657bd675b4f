/* The relay with no death in it: both ways, half-close, slow readers, and a loop at rest. */
#include "relay_flow.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static void
exchange_story(void)
{
	ring.to_send[TABLE_UP] = 3000000;
	ring.to_send[TABLE_DOWN] = 2000001;
	assert_true(side_run(loop, ring_exchange, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
	assert_int_equal(ring.attached, 1);
	assert_int_equal(table_client_state(&table, ring.session), TABLE_FREE);
}

static void
bytes_pass_both_ways_at_once(void **state)
{
	(void)state;
	with_both(exchange_story);
	assert_int_equal(table.services[0].counters.bytes[TABLE_UP], 6000000);
	assert_int_equal(table.services[0].counters.bytes[TABLE_DOWN], 4000002);
}

static void
client_half_close_story(void)
{
	ring.to_send[TABLE_UP] = 4 << 20;
	assert_true(side_run(loop, ring_up_is_through, &ring, LIMIT)); /* and the upstream has read the end */
	assert_int_equal(ring.ended, 0);
	assert_rest();
	ring.to_send[TABLE_DOWN] = 4 << 20;
	assert_true(side_run(loop, ring_exchange, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
}

static void
a_client_that_shut_down_reads_the_whole_answer(void **state)
{
	(void)state;
	with_both(client_half_close_story);
}

static void
upstream_half_close_story(void)
{
	ring.to_send[TABLE_DOWN] = 4 << 20;
	assert_true(side_run(loop, ring_down_is_through, &ring, LIMIT));
	assert_int_equal(ring.upstream_ended, 1);
	assert_int_equal(ring.ended, 0);
	assert_rest();
	ring.to_send[TABLE_UP] = 4 << 20;
	assert_true(side_run(loop, ring_exchange, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
	assert_int_equal(ring.upstream_ended, 1);
}

static void
an_upstream_that_shut_down_hears_the_whole_of_the_client(void **state)
{
	(void)state;
	with_both(upstream_half_close_story);
}

static void
slow_reader_story(enum table_direction d)
{
	ring.to_send[d] = 16 << 20; /* more than any buffers of the kernel */
	ring.deaf[d] = true;
	for (uint64_t before = 1; before != ring.sent[d];) {
		before = ring.sent[d];
		ring_move(&ring, d);
		side_turns(loop, 10 * CLOCK_MILLISECOND);
	}
	assert_true(ring.sent[d] < ring.to_send[d]);
	assert_rest(); /* blocked, and at rest */
	assert_int_equal(table.clients[ring.session].buffer[1 - d], 0);
	ring.deaf[d] = false;
	assert_true(side_run(loop, ring_exchange, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
}

static void
slow_upstream_story(void)
{
	slow_reader_story(TABLE_UP);
}

static void
slow_client_story(void)
{
	slow_reader_story(TABLE_DOWN);
}

static void
a_slow_reader_slows_its_writer_and_nobody_turns_in_circles(void **state)
{
	(void)state;
	with_both(slow_upstream_story);
	with_both(slow_client_story);
}

static bool
is_hastened(int fd)
{
	int on = 0;
	socklen_t length = sizeof on;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
	return on != 0;
}

static bool
upstream_has_words(void *arg)
{
	char byte;

	(void)arg;
	return recv(ring.upstream, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void
say(const char *text)
{
	side_say(ring.client, text);
	assert_true(side_run(loop, upstream_has_words, NULL, LIMIT));
	assert_string_equal(side_hear(ring.upstream), text);
}

static void
no_piece_waits_for_the_acknowledgement_of_another(void **state)
{
	(void)state;
	ring_begin(&ring, true);
	say("one");
	assert_false(is_hastened(ring.near_upstream)); /* none is on its way before it */
	say("two");
	assert_true(is_hastened(ring.near_upstream));
}

static void
a_new_worker_lets_no_piece_wait_either(void **state)
{
	int off = 0;

	(void)state;
	ring_begin(&ring, true);
	say("one");
	relay_stop(&ring.relay);
	setsockopt(ring.near_upstream, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
	relay_init(&ring.relay, loop, &table, ring.session, ring_events, &ring);
	ring.relay.attached = true;
	relay_start(&ring.relay);
	say("two");
	assert_true(is_hastened(ring.near_upstream));
}

static void
a_blocked_way_holds_its_pipe_and_a_free_one_nothing(void **state)
{
	const struct table_client *record;

	(void)state;
	ring_begin(&ring, true);
	record = &table.clients[ring.session];
	ring.relay.way[TABLE_DOWN].relay_buffer.splices = true;
	ring.to_send[TABLE_DOWN] = 4 << 20;
	ring.deaf[TABLE_DOWN] = true;
	for (uint64_t before = 1; before != ring.sent[TABLE_DOWN];) {
		before = ring.sent[TABLE_DOWN];
		ring_move(&ring, TABLE_DOWN);
		side_turns(loop, 5 * CLOCK_MILLISECOND);
	}
	assert_int_not_equal(record->pipe[TABLE_DOWN], 0);
	assert_int_equal(record->buffer[TABLE_DOWN], 0);
	assert_int_equal(record->buffer[TABLE_UP] | record->pipe[TABLE_UP], 0);
	ring.deaf[TABLE_DOWN] = false;
	assert_true(side_run(loop, ring_down_is_through, &ring, LIMIT));
	assert_int_equal(record->buffer[TABLE_DOWN] | record->pipe[TABLE_DOWN], 0);
	assert_int_equal(ring.wrong, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(bytes_pass_both_ways_at_once),
		ROW(a_client_that_shut_down_reads_the_whole_answer),
		ROW(an_upstream_that_shut_down_hears_the_whole_of_the_client),
		ROW(no_piece_waits_for_the_acknowledgement_of_another),
		ROW(a_new_worker_lets_no_piece_wait_either),
		ROW(a_blocked_way_holds_its_pipe_and_a_free_one_nothing),
		ROW(a_slow_reader_slows_its_writer_and_nobody_turns_in_circles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
