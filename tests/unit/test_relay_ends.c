/* The relay with no death in it: data then reset, clients that vanish, bytes that a dead worker left,
 * many sessions. */
#include "relay_flow.h"

/* Ends with 4 MB still to go to a slow reader. */
static void
end_behind_much_story(void)
{
	ring.to_send[TABLE_DOWN] = 200000;
	ring.deaf[TABLE_DOWN] = true;
	while (!ring.finished[TABLE_DOWN]) {
		ring_move(&ring, TABLE_DOWN);
		side_turns(loop, CLOCK_MILLISECOND);
	}
	close(ring.upstream);
	ring.upstream = -1;
	assert_rest();
	ring.deaf[TABLE_DOWN] = false;
	assert_true(side_run(loop, ring_down_is_through, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
}

static void
an_upstream_that_closed_is_heard_to_its_last_byte(void **state)
{
	(void)state;
	with_both(end_behind_much_story);
}

static void
reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

static void
upstream_data_then_reset(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 300000; size = size * 7 + 3) {
		int arrived = 0;
		uint64_t seed;

		ring_begin(&ring, true);
		seed = ring.session * 2 + 1;
		while (ring.sent[TABLE_DOWN] < size) {
			size_t n = side_write(ring.upstream, seed, ring.sent[TABLE_DOWN],
			    size - ring.sent[TABLE_DOWN]);

			if (n == 0)
				break;
			ring.sent[TABLE_DOWN] += n;
		}
		assert_int_equal(ioctl(ring.near_upstream, FIONREAD, &arrived), 0);
		reset(ring.upstream);
		ring.upstream = -1;
		assert_true(arrived > 0);
		ring.to_send[TABLE_DOWN] = ring.sent[TABLE_DOWN] = (uint64_t)arrived;
		ring.finished[TABLE_DOWN] = true;
		assert_true(side_run(loop, ring_down_is_through, &ring, LIMIT));
		assert_int_equal(ring.wrong, 0);
		assert_rest();
		side_write(ring.client, 0, 0, 1); /* to a dead upstream: the end of all */
		assert_true(side_run(loop, ring_is_over, &ring, LIMIT));
		ring_end(&ring);
	}
	ring.client = ring.upstream = -1;
	ring.ended = 1;
}

/* A Unix client that closes with unread bytes resets; what it wrote before must arrive. */
static void
client_reset_story(void)
{
	uint64_t seed = ring.session * 2;

	side_say(ring.upstream, "never read");
	side_turns(loop, 10 * CLOCK_MILLISECOND);
	ring.to_send[TABLE_UP] = 100000;
	while (ring.sent[TABLE_UP] < ring.to_send[TABLE_UP])
		ring.sent[TABLE_UP] += side_write(ring.client, seed, ring.sent[TABLE_UP],
		    ring.to_send[TABLE_UP] - ring.sent[TABLE_UP]);
	ring.finished[TABLE_UP] = true;
	close(ring.client);
	ring.client = -1;
	assert_true(side_run(loop, ring_up_is_through, &ring, LIMIT));
	assert_int_equal(ring.wrong, 0);
	close(ring.upstream);
	ring.upstream = -1;
	assert_true(side_run(loop, ring_is_over, &ring, LIMIT));
}

static void
client_data_then_reset(void **state)
{
	(void)state;
	with_both(client_reset_story);
}

static bool
upstream_wrote_all(void *arg)
{
	struct ring *f = arg;

	if (f->sent[TABLE_DOWN] < f->to_send[TABLE_DOWN])
		f->sent[TABLE_DOWN] += side_write(f->upstream, 1, 0, 16384);
	return f->sent[TABLE_DOWN] >= f->to_send[TABLE_DOWN];
}

static void
client_gone_story(void)
{
	side_say(ring.client, "last words");
	close(ring.client);
	ring.client = -1;
	ring.to_send[TABLE_DOWN] = 4 << 20;
	assert_true(side_run(loop, upstream_wrote_all, &ring, LIMIT)); /* it is not held up */
	assert_string_equal(side_hear(ring.upstream), "last words");
	assert_string_equal(side_hear(ring.upstream), "EOF");
	assert_true(relay_is_client_gone(&ring.relay));
	assert_rest();
	assert_int_equal(ring.ended, 0);
	close(ring.upstream);
	ring.upstream = -1;
	assert_true(side_run(loop, ring_is_over, &ring, LIMIT));
	assert_int_equal(ring.upstream_ended, 0);
}

static void
an_upstream_may_go_on_for_a_client_that_is_gone(void **state)
{
	(void)state;
	with_both(client_gone_story);
}

static void
client_gone_while_blocked_story(void)
{
	ring.to_send[TABLE_DOWN] = 16 << 20;
	for (int i = 0; i < 100; i++) {
		side_write(ring.upstream, 1, 0, 16384);
		side_turns(loop, CLOCK_MILLISECOND);
	}
	assert_int_not_equal(table.clients[ring.session].buffer[TABLE_DOWN], 0);
	close(ring.client);
	ring.client = -1;
	ring.to_send[TABLE_DOWN] = 4 << 20;
	assert_true(side_run(loop, upstream_wrote_all, &ring, LIMIT));
	close(ring.upstream);
	ring.upstream = -1;
	assert_true(side_run(loop, ring_is_over, &ring, LIMIT));
}

static void
a_client_that_goes_while_it_is_behind_frees_the_upstream(void **state)
{
	(void)state;
	with_both(client_gone_while_blocked_story);
}

/* A worker came and found bytes in the buffers; they go first. */
static void
bytes_in_buffers_are_delivered_first(void **state)
{
	(void)state;
	ring_begin(&ring, false);
	relay_stop(&ring.relay);
	side_put(&table, ring.session, TABLE_UP, "old ");
	side_put(&table, ring.session, TABLE_DOWN, "alt ");
	side_say(ring.client, "new");
	side_say(ring.upstream, "neu");
	shutdown(ring.client, SHUT_WR);
	relay_init(&ring.relay, loop, &table, ring.session, ring_events, &ring);
	relay_start(&ring.relay);
	assert_rest();
	assert_string_equal(side_hear(ring.upstream), "old new");
	assert_string_equal(side_hear(ring.upstream), "EOF");
	assert_string_equal(side_hear(ring.client), "alt neu");
}

static void
bytes_in_buffers_wait_for_nothing(void **state)
{
	(void)state;
	ring_begin(&ring, false);
	relay_stop(&ring.relay);
	side_put(&table, ring.session, TABLE_UP, "old");
	relay_init(&ring.relay, loop, &table, ring.session, ring_events, &ring);
	relay_start(&ring.relay);
	assert_rest();
	assert_string_equal(side_hear(ring.upstream), "old");
}

static void
an_empty_buffer_that_a_death_left_is_given_back(void **state)
{
	(void)state;
	ring_begin(&ring, false);
	relay_stop(&ring.relay);
	side_put(&table, ring.session, TABLE_UP, "");
	relay_init(&ring.relay, loop, &table, ring.session, ring_events, &ring);
	relay_start(&ring.relay);
	assert_rest();
	assert_int_equal(table.clients[ring.session].buffer[TABLE_UP], 0);
	side_say(ring.client, "x");
	assert_rest();
	assert_string_equal(side_hear(ring.upstream), "x");
}

static struct ring flows[MANY];

static bool
all_exchange(void *arg)
{
	bool done = true;

	(void)arg;
	for (unsigned i = 0; i < MANY; i++)
		done = ring_exchange(&flows[i]) && done;
	return done;
}

static void
many_sessions_side_by_side(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		ring_begin(&flows[i], i % 2 == 0);
		flows[i].to_send[TABLE_UP] = 20000 + 317 * i;
		flows[i].to_send[TABLE_DOWN] = 100 * i;
	}
	assert_true(side_run(loop, all_exchange, NULL, 2 * LIMIT));
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(flows[i].wrong, 0);
		assert_int_equal(flows[i].ended, 1);
		ring_end(&flows[i]);
	}
	assert_int_equal(table.header->client_high, MANY + 1);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(an_upstream_that_closed_is_heard_to_its_last_byte),
		ROW(upstream_data_then_reset),
		ROW(client_data_then_reset),
		ROW(an_upstream_may_go_on_for_a_client_that_is_gone),
		ROW(a_client_that_goes_while_it_is_behind_frees_the_upstream),
		ROW(bytes_in_buffers_are_delivered_first),
		ROW(bytes_in_buffers_wait_for_nothing),
		ROW(an_empty_buffer_that_a_death_left_is_given_back),
		ROW(many_sessions_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
