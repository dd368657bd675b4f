/* What is bounded, and the watch on the upstream: who asks too much waits, who does not read is closed, who does not
 * answer is lost. */
#include "shared_stage.h"

#include <stdio.h>
#include <sys/ioctl.h>

/* Settings' texts; they are read until the test is torn down. */
static char gone[] = "gone";

static void
story_max_in_flight_makes_the_next_wait_for_a_reply(void)
{
	int first, second, upstream;

	world.settings.max_in_flight = 2;
	world_begin();
	upstream = world_bring();
	first = world_come();
	second = world_come();
	world_say(first, "a\nb\nc\n");
	world_say(second, "o\n");
	assert_int_equal(world_record()->pending_tail - world_record()->pending_head, 4); /* they have their places */
	world_expect(upstream, "a\nb\n");
	world_say(upstream, "A\nB\n");
	world_expect(first, "A\nB\n");
	world_expect(upstream, "c\no\n");
	world_say(upstream, "C\nO\n");
	world_expect(first, "C\n");
	world_expect(second, "O\n");
}
WORLD_STORY(max_in_flight_makes_the_next_wait_for_a_reply)

static void
story_one_reply_lets_one_request_more_be_sent(void)
{
	int client, upstream;

	world.settings.max_in_flight = 2;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\nd\n");
	world_expect(upstream, "a\nb\n");
	world_say(upstream, "A\n");
	world_expect(upstream, "c\n");
	world_say(upstream, "B\n");
	world_expect(upstream, "d\n");
	world_say(upstream, "C\nD\n");
	world_expect(client, "A\nB\nC\nD\n");
}
WORLD_STORY(one_reply_lets_one_request_more_be_sent)

/* What was sent stays sent. */
static void
max_in_flight_may_become_less(void **state)
{
	int client, upstream;

	(void)state;
	world.settings.max_in_flight = 3;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\nd\ne\n");
	world_expect(upstream, "a\nb\nc\n");
	world.settings.max_in_flight = 1;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	world_say(upstream, "A\nB\n");
	world_expect(upstream, "");
	world_say(upstream, "C\n");
	world_expect(upstream, "d\n");
	world.settings.max_in_flight = 1000;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	world_say(upstream, "D\n");
	world_expect(upstream, "e\n");
	world_expect(client, "A\nB\nC\nD\n");
}

/* It is longer than what the connection takes at once. */
static void
a_request_that_was_begun_is_sent_to_its_end(void **state)
{
	int client, upstream;

	(void)state;
	world.settings.max_message = WORLD_LONG;
	world.settings.max_in_flight = 2;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say_long(client, 2);
	world_say_long(client, WORLD_LONG);
	world.settings.max_in_flight = 1;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	world_say(client, "b\n");
	world_hear_long(upstream, 2);
	world_hear_long(upstream, WORLD_LONG);
	world_expect(upstream, "");
	world_say(upstream, "A\nX\n");
	world_expect(upstream, "b\n");
}

#define QUEUE 65536

/* As many as the queue holds, and ten.  None of them has a reply of its own, so that one client may say so many. */
static void
the_queue_has_65536_places_and_who_finds_none_waits(void **state)
{
	static char said[2 * (QUEUE + 10) + 1], heard[sizeof said];
	int client, upstream;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < sizeof said - 1; i += 2)
		memcpy(said + i, (const char[]){ (char)('a' + i / 2 % 26), '\n' }, 2);
	world.settings.replies = SHARED_BROADCAST;
	world_begin();
	client = world_come();
	for (size_t i = 0; i < sizeof said - 1; i += n > 0 ? (size_t)n : 0) {
		n = send(client, said + i, sizeof said - 1 - i < 1000 ? sizeof said - 1 - i : 1000, MSG_DONTWAIT);
		world_settle();
	}
	assert_int_equal(world_record()->pending_tail - world_record()->pending_head, QUEUE);
	upstream = world_bring();
	for (size_t i = 0, turns = 0; i < sizeof said - 1 && turns < 10000; i += n > 0 ? (size_t)n : 0, turns++) {
		world_wait(CLOCK_MILLISECOND);
		n = recv(upstream, heard + i, sizeof said - 1 - i, MSG_DONTWAIT);
		assert_true(n <= 2 * (ssize_t)world.settings.max_in_flight); /* what is unread is unacknowledged */
	}
	assert_string_equal(heard, said);
	world_expect(upstream, "");
}

/* Two changes of the loop for each turn of a client that asks nothing more meanwhile cost as much as the turn. */
static void
who_waits_for_a_place_stays_watched(void **state)
{
	int client, other, events;

	(void)state;
	world.settings.max_message = WORLD_LONG;
	world_begin();
	world_bring();
	client = world_come();
	other = world_come();
	world_say_long(other, WORLD_LONG);
	events = event_base_get_num_events(world.loop, EVENT_BASE_COUNT_ADDED);
	world_say_long(client, WORLD_LONG);
	assert_int_equal(world_record()->pending_tail - world_record()->pending_head, 1);
	assert_int_equal(event_base_get_num_events(world.loop, EVENT_BASE_COUNT_ADDED), events);
}

static int
unread(int fd)
{
	int bytes;

	assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
	return bytes;
}

static void
story_who_waits_for_a_place_and_says_more_is_read_when_it_has_one(void)
{
	int client, other, upstream, near;

	world.settings.max_message = WORLD_LONG;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say_long(other, WORLD_LONG);
	world_say_long(client, WORLD_LONG);
	near = world_near_client();
	world_say(client, "c\n"); /* and the loop comes to rest */
	assert_int_equal(unread(near), 2);
	world_say(client, "d\n");
	assert_int_equal(unread(near), 4);
	world_hear_long(upstream, WORLD_LONG);
	world_expect(upstream, "");
	world_say(upstream, "A\n");
	world_expect(other, "A\n");
	world_hear_long(upstream, WORLD_LONG);
	world_expect(upstream, "c\nd\n");
	world_say(upstream, "B\nC\nD\n");
	world_expect(client, "B\nC\nD\n");
}
WORLD_STORY(who_waits_for_a_place_and_says_more_is_read_when_it_has_one)

static void
a_client_has_eight_requests_in_flight_at_first(void **state)
{
	int client, upstream;

	(void)state;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n");
	world_expect(upstream, "1\n2\n3\n4\n5\n6\n7\n8\n");
	world_say(upstream, "1\n");
	world_expect(upstream, "9\n");
	world_expect(client, "1\n");
	world_say(upstream, "2\n3\n4\n5\n6\n7\n8\n9\n");
	world_expect(upstream, "0\n");
	world_say(upstream, "0\n");
	world_expect(client, "2\n3\n4\n5\n6\n7\n8\n9\n0\n");
}

#define LARGE ((size_t)2 << 20)

static char replies[8 * LARGE + 3];
static size_t fed;

/* The upstream says what is left of the first so many bytes of its replies, as far as it is heard. */
static void
feed_until(int upstream, size_t limit)
{
	ssize_t n;

	for (size_t idle = 0; idle < 10 && fed < limit; fed += n > 0 ? (size_t)n : 0) {
		n = send(upstream, replies + fed, limit - fed, MSG_NOSIGNAL | MSG_DONTWAIT);
		idle = n > 0 ? 0 : idle + 1;
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
	}
}

static void
feed(int upstream)
{
	feed_until(upstream, sizeof replies - 1);
}

/* Eight large replies are asked for, and a small one by another client behind them.  The upstream. */
static int
ask_for_much(int *ret_client, int *ret_other)
{
	int upstream;

	world.settings.max_message = LARGE;
	world_begin();
	upstream = world_bring();
	*ret_client = world_come();
	*ret_other = world_come();
	world_say(*ret_client, "1\n2\n3\n4\n5\n6\n7\n8\n");
	world_say(*ret_other, "o\n");
	world_expect(upstream, "1\n2\n3\n4\n5\n6\n7\n8\no\n");
	memset(replies, 'x', sizeof replies);
	for (size_t i = 1; i <= 8; i++)
		replies[i * LARGE - 1] = '\n';
	strcpy(replies + 8 * LARGE, "O\n");
	fed = 0;
	return upstream;
}

/* They come, and the client does not read. */
static int
backpressure(int *ret_client, int *ret_other)
{
	int upstream = ask_for_much(ret_client, ret_other);

	feed(upstream);
	return upstream;
}

static bool
one_has_ended(void)
{
	return world.ended == 1;
}

static void
who_takes_nothing_makes_the_others_wait_until_it_is_closed(void **state)
{
	int64_t begun = clock_now();
	int client, other, upstream;

	(void)state;
	upstream = backpressure(&client, &other);
	world_expect(other, "");
	assert_true(world_run(one_has_ended, 5 * CLOCK_SECOND));
	assert_true(clock_now() - begun >= 500 * CLOCK_MILLISECOND);
	feed(upstream);
	world_expect(other, "O\n");
	assert_int_equal(remote.lost, 0);
}

static void
who_takes_its_replies_in_time_gets_all(void **state)
{
	static char heard[65536];
	size_t length = 0;
	int client, other, upstream;
	ssize_t n;

	(void)state;
	upstream = backpressure(&client, &other);
	world_die(); /* the next one finds again whom all wait for */
	world_wait(300 * CLOCK_MILLISECOND);
	for (int i = 0; i < 5000 && length < 8 * LARGE; i++) {
		while ((n = recv(client, heard, sizeof heard, MSG_DONTWAIT)) > 0)
			length += (size_t)n;
		feed(upstream);
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
	}
	assert_int_equal(length, 8 * LARGE);
	world_expect(other, "O\n");
	assert_int_equal(world.ended, 0);
	assert_int_equal(remote.lost, 0);
}

static void
the_last_client_of_a_drain_may_be_one_that_reads_nothing(void **state)
{
	int client, other, upstream;

	(void)state;
	world.drains = true;
	upstream = ask_for_much(&client, &other);
	world_leave(other);
	feed_until(upstream, 5 * LARGE);
	world_wait(700 * CLOCK_MILLISECOND);
	assert_int_equal(world.ended, 1);
	feed(upstream); /* more than may wait for it: it is closed over a reply, and the connection with it */
	assert_int_equal(world.ended, 2);
	assert_false(mux_is_connected(world.mux));
	world.drains = false;
	client = world_come();
	upstream = world_bring();
	world_say(client, "a\n");
	world_expect(upstream, "a\n");
	world_say(upstream, "A\n");
	world_expect(client, "A\n");
}

static bool
has_lost(void)
{
	return remote.lost > 0;
}

static unsigned
own_waiting(void)
{
	struct mux_status status;

	mux_get_status(world.mux, &status);
	return status.own_waiting;
}

static void
who_owes_a_reply_for_too_long_is_lost(void **state)
{
	int client, upstream;

	(void)state;
	world.settings.reply_timeout = 80 * CLOCK_MILLISECOND;
	world.settings.on_loss = SHARED_RETRY;
	world.settings.loss_reply = gone;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_wait(120 * CLOCK_MILLISECOND); /* who owes nothing may be silent */
	assert_int_equal(remote.lost, 0);
	world_say(client, "a\nb\n");
	assert_true(world_run(has_lost, CLOCK_SECOND));
	assert_string_equal(remote.reason, "no reply within reply_timeout");
	world_expect(client, "gone\n");
	upstream = world_bring();
	world_expect(upstream, "b\n");
	world_say(upstream, "B\n");
	world_expect(client, "B\n");
}

/* As long as nobody else waits, it may be a long command. */
static void
who_makes_others_wait_for_too_long_is_lost(void **state)
{
	int client, other, upstream;

	(void)state;
	world.settings.framing = FRAMING_RESP;
	world.settings.reply_timeout = SHARED_REPLY_AUTO;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "EVAL endless 0\r\nGET a\r\n");
	world_wait(40 * CLOCK_SECOND);
	assert_int_equal(remote.lost, 0);
	world_say(other, "GET b\r\n");
	world_wait(29 * CLOCK_SECOND);
	assert_int_equal(remote.lost, 0);
	assert_true(world_run(has_lost, 3 * CLOCK_SECOND));
	assert_string_equal(remote.reason, "no reply within reply_timeout");
	world_expect(other, "-ERR holdfast: connection to the service was lost\r\n");
	upstream = world_bring();
	world_say(other, "GET c\r\n");
	world_expect(upstream, "GET c\r\n");
}

/* What needs no order is not for the connection that others are held up on, unless its client is owed something
 * there. */
static void
what_needs_no_order_passes_by_one_that_is_stuck(void **state)
{
	int client, other, upstream;

	(void)state;
	world.settings.framing = FRAMING_RESP;
	world.settings.on_state = RESP_ON_STATE_OWN;
	world.hold_timeout = 3600 * CLOCK_SECOND;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "EVAL endless 0\r\n");
	world_say(other, "PING\r\n");
	world_expect(upstream, "EVAL endless 0\r\nPING\r\n");
	world_wait(2 * CLOCK_SECOND);
	world_say(other, "PING\r\n"); /* its answers keep their order */
	world_expect(upstream, "PING\r\n");
	other = world_come();
	world_say(other, "GET a\r\n");
	world_expect(upstream, "GET a\r\n");
	other = world_come();
	world_say(other, "PING\r\n");
	world_expect(upstream, "");
	assert_int_equal(own_waiting(), 1);
	world_say(upstream, "+1\r\n+PONG\r\n+PONG\r\n+2\r\n");
	other = world_come();
	world_say(other, "PING\r\n"); /* it is not stuck any more */
	world_expect(upstream, "PING\r\n");
}

/* Whatever it has said; with unread words of ours, too, which is an error of the socket. */
static void
who_leaves_while_it_waits_for_a_connection_of_its_own_is_noticed(void **state)
{
	static const char *const requests[] = { "MULTI\r\n", "MULTI\r\nGET a\r\n",
		"CLIENT SETNAME a\r\nMULTI\r\n" };
	int client;

	(void)state;
	world.settings.framing = FRAMING_RESP;
	world.settings.on_state = RESP_ON_STATE_OWN;
	world.aborts = true;
	world_begin();
	world_bring();
	for (unsigned i = 0; i < 3; i++) {
		client = world_come();
		world_say(client, requests[i]);
		assert_int_equal(own_waiting(), 1);
		if (i == 1)
			world_say(client, "GET b\r\n");
		shutdown(client, SHUT_WR);
		world_settle();
		assert_int_equal(world.ended, i); /* it may hear still */
		world_leave(client);
		world_settle();
		assert_int_equal(own_waiting(), 0);
		assert_int_equal(world.ended, i + 1);
	}
}

static void
set_heartbeat(void)
{
	static char send[] = "ping\n", expect[] = "pong";

	world.settings.heartbeat_send = send;
	world.settings.heartbeat_expect = expect;
	world.settings.heartbeat_interval = 40 * CLOCK_MILLISECOND;
	world.settings.heartbeat_timeout = 80 * CLOCK_MILLISECOND;
}

static void
an_idle_upstream_that_answers_the_heartbeat_stays(void **state)
{
	int client, upstream;

	(void)state;
	set_heartbeat();
	world_begin();
	upstream = world_bring();
	client = world_come();
	for (int i = 0; i < 3; i++) {
		world_wait(60 * CLOCK_MILLISECOND);
		assert_string_equal(side_hear(upstream), "ping\n");
		world_die(); /* the answer is still nobody's */
		side_say(client, "a\n");
		world_settle();
		world_say(upstream, "pong\nA\n");
		world_expect(upstream, "a\n");
		world_expect(client, "A\n");
	}
	assert_int_equal(remote.lost, 0);
	assert_int_equal(world_record()->lost, 0);
}

static void
a_wrong_answer_to_the_heartbeat_is_a_loss(void **state)
{
	int upstream;

	(void)state;
	set_heartbeat();
	world_begin();
	upstream = world_bring();
	world_wait(60 * CLOCK_MILLISECOND);
	world_say(upstream, "pang\n");
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "the answer to the heartbeat is not the one expected");
	assert_int_equal(world_record()->lost, 0);
}

static void
no_answer_to_the_heartbeat_is_a_loss(void **state)
{
	(void)state;
	set_heartbeat();
	world_begin();
	world_bring();
	assert_true(world_run(has_lost, CLOCK_SECOND));
	assert_string_equal(remote.reason, "no answer to the heartbeat");
}

static void
any_word_is_a_pulse_of_a_broadcast_if_nothing_is_expected(void **state)
{
	int client, upstream;

	(void)state;
	set_heartbeat();
	world.settings.heartbeat_expect = NULL;
	world.settings.replies = SHARED_BROADCAST;
	world_begin();
	client = world_come();
	upstream = world_bring();
	world_wait(60 * CLOCK_MILLISECOND);
	world_expect(upstream, "ping\n");
	world_say(upstream, "news\n");
	world_expect(client, "news\n"); /* it may well be news */
	world_wait(50 * CLOCK_MILLISECOND);
	assert_int_equal(remote.lost, 0);
	assert_true(world_run(has_lost, CLOCK_SECOND));
	assert_string_equal(remote.reason, "no answer to the heartbeat");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(max_in_flight_makes_the_next_wait_for_a_reply),
		WORLD_ROW(one_reply_lets_one_request_more_be_sent),
		WORLD_ROW(max_in_flight_may_become_less),
		WORLD_ROW(a_request_that_was_begun_is_sent_to_its_end),
		WORLD_ROW(the_queue_has_65536_places_and_who_finds_none_waits),
		WORLD_ROW(who_waits_for_a_place_stays_watched),
		WORLD_ROW(who_waits_for_a_place_and_says_more_is_read_when_it_has_one),
		WORLD_ROW(a_client_has_eight_requests_in_flight_at_first),
		WORLD_ROW(who_takes_nothing_makes_the_others_wait_until_it_is_closed),
		WORLD_ROW(who_takes_its_replies_in_time_gets_all),
		WORLD_ROW(the_last_client_of_a_drain_may_be_one_that_reads_nothing),
		WORLD_ROW(who_owes_a_reply_for_too_long_is_lost),
		WORLD_ROW(who_makes_others_wait_for_too_long_is_lost),
		WORLD_ROW(what_needs_no_order_passes_by_one_that_is_stuck),
		WORLD_ROW(who_leaves_while_it_waits_for_a_connection_of_its_own_is_noticed),
		WORLD_ROW(an_idle_upstream_that_answers_the_heartbeat_stays),
		WORLD_ROW(any_word_is_a_pulse_of_a_broadcast_if_nothing_is_expected),
		WORLD_ROW(a_wrong_answer_to_the_heartbeat_is_a_loss),
		WORLD_ROW(no_answer_to_the_heartbeat_is_a_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
