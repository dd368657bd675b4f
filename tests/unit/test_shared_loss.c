/* What becomes of requests when the connection is lost, or does not come. */
#include "shared_stage.h"

/* Settings' texts; they are read until the test is torn down. */
static char gone[] = "gone", late[] = "late", closed[] = "closed";

static void
story_lost_requests_get_the_loss_reply_as_a_message(void)
{
	int client, upstream;

	world.settings.loss_reply = gone;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\n");
	world_say(upstream, "1\n");
	world_leave(upstream);
	world_expect(client, "1\ngone\n");
	assert_int_equal(remote.lost, 1);
	assert_int_equal(world_record()->lost, 1);
	assert_int_equal(world_count_buffers(), 0);
	upstream = world_bring();
	world_say(client, "c\n");
	world_expect(upstream, "c\n");
	world_say(upstream, "3\n");
	world_expect(client, "3\n");
}
WORLD_STORY(lost_requests_get_the_loss_reply_as_a_message)

/* They lie between those of clients that are there. */
static void
story_what_the_gone_have_asked_is_not_sent(void)
{
	int client[4], upstream;

	world.aborts = true;
	world_begin();
	for (int i = 0; i < 4; i++)
		client[i] = world_come();
	for (int i = 0; i < 4; i++)
		world_say(client[i], (const char *const[]){ "a\n", "buy\n", "b\nc\n", "sell\n" }[i]);
	world_leave(client[1]);
	world_settle();
	world_leave(client[3]); /* in the very moment in which a connection comes */
	upstream = world_bring();
	world_expect(upstream, "a\nb\nc\n");
	world_say(upstream, "1\n2\n3\n");
	world_expect(client[0], "1\n");
	world_expect(client[2], "2\n3\n");
	assert_int_equal(world_record()->pending_head, world_record()->pending_tail);
	assert_int_equal(world_count_buffers(), 0);
	world_say(client[0], "d\n");
	world_expect(upstream, "d\n");
	world_say(upstream, "4\n");
	world_expect(client[0], "4\n");
}
WORLD_STORY(what_the_gone_have_asked_is_not_sent)

static void
story_when_all_have_gone_nothing_is_sent(void)
{
	int client, upstream;

	world.aborts = true;
	world_begin();
	client = world_come();
	world_say(client, "buy\nsell\n");
	world_leave(client);
	world_settle();
	upstream = world_bring();
	world_expect(upstream, "");
	client = world_come();
	world_say(client, "look\n");
	world_expect(upstream, "look\n");
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
}
WORLD_STORY(when_all_have_gone_nothing_is_sent)

static void
story_who_has_only_shut_down_is_answered(void)
{
	int client, upstream;

	world.aborts = true;
	world_begin();
	client = world_come();
	world_say(client, "look\n");
	shutdown(client, SHUT_WR);
	world_settle();
	upstream = world_bring();
	world_expect(upstream, "look\n");
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
	world_expect(client, "EOF");
}
WORLD_STORY(who_has_only_shut_down_is_answered)

static void
story_lost_requests_of_resp_get_an_error(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "GET a\r\nGET b\r\n");
	world_leave(upstream);
	world_expect(client, "-ERR holdfast: connection to the service was lost\r\n"
	    "-ERR holdfast: connection to the service was lost\r\n");
	assert_int_equal(world_record()->lost, 2);
}
WORLD_STORY(lost_requests_of_resp_get_an_error)

static void
story_without_a_loss_reply_who_lost_a_request_is_closed(void)
{
	int loser, other, upstream;

	world_begin();
	upstream = world_bring();
	loser = world_come();
	other = world_come();
	world_say(loser, "a\nb\n");
	world_say(upstream, "1\n");
	world_leave(upstream);
	world_expect(loser, "1\n");
	world_expect(loser, "EOF");
	assert_int_equal(world.ended, 1);
	upstream = world_bring();
	world_say(other, "o\n");
	world_expect(upstream, "o\n");
	world_say(upstream, "O\n");
	world_expect(other, "O\n");
}
WORLD_STORY(without_a_loss_reply_who_lost_a_request_is_closed)

static void
story_with_retry_they_are_sent_again_before_newer_ones(void)
{
	int client, other, upstream;

	world.settings.on_loss = SHARED_RETRY;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "a\nb\n");
	world_say(upstream, "1\n");
	world_leave(upstream);
	world_settle();
	world_say(other, "o\n");
	upstream = world_bring();
	world_expect(upstream, "b\no\n");
	world_say(upstream, "2\nO\n");
	world_expect(client, "1\n2\n");
	world_expect(other, "O\n");
	assert_int_equal(world_record()->retried, 1);
	assert_int_equal(world_record()->lost, 0);
}
WORLD_STORY(with_retry_they_are_sent_again_before_newer_ones)

static void
story_the_oldest_of_five_losses_in_a_row_is_the_suspect(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_RESP;
	world.settings.on_loss = SHARED_RETRY;
	world_begin();
	client = world_come();
	world_say(client, "GET bad\r\nGET good\r\n");
	for (int i = 0; i < 5; i++) {
		world_expect(client, "");
		upstream = world_bring();
		world_expect(upstream, "GET bad\r\nGET good\r\n");
		if (i == 4) /* that is, over ten seconds */
			world_record()->stuck_since -= 10 * CLOCK_SECOND;
		world_leave(upstream);
		world_settle();
	}
	world_expect(client, "-ERR holdfast: connection to the service was lost\r\n");
	upstream = world_bring();
	world_expect(upstream, "GET good\r\n");
	world_say(upstream, "+2\r\n");
	world_expect(client, "+2\r\n");
}
WORLD_STORY(the_oldest_of_five_losses_in_a_row_is_the_suspect)

static void
story_a_reply_too_long_is_lost_and_not_asked_for_again(void)
{
	char text[200];
	int client, upstream;

	world.settings.max_message = 100;
	world.settings.on_loss = SHARED_RETRY;
	world.settings.loss_reply = gone;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "long\nshort\n");
	memset(text, 'x', sizeof text);
	text[150] = '\0';
	world_say(upstream, text);
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "it sent a message of more than max_message (100 bytes)");
	world_expect(client, "gone\n");
	upstream = world_bring();
	world_expect(upstream, "short\n");
	world_say(upstream, "S\n");
	world_expect(client, "S\n");
}
WORLD_STORY(a_reply_too_long_is_lost_and_not_asked_for_again)

/* The upstream reads nothing: a part of a request stays with us, and the connection is lost. */
static void
story_a_request_that_was_sent_in_part_goes_out_whole_on_the_next(void)
{
	static char text[100001];
	size_t length = 0, whole = sizeof text - 1;
	ssize_t n;
	int client, upstream;

	world.settings.max_message = sizeof text;
	world_begin();
	upstream = world_bring();
	assert_int_equal(setsockopt(upstream, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int)), 0);
	setsockopt(world_near_upstream(), SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
	client = world_come();
	memset(text, 'x', whole - 1);
	text[whole - 1] = '\n';
	assert_int_equal(send(client, text, whole, MSG_NOSIGNAL), (long)whole);
	for (int i = 0; i < 4; i++)
		world_settle();
	assert_in_range(world_record()->sent, 1, whole - 1);
	world_leave(upstream);
	world_settle();
	assert_int_equal(remote.lost, 1);
	upstream = world_bring();
	for (int i = 0; i < 100 && length < whole; i++) {
		world_settle();
		while ((n = recv(upstream, text, whole - length, MSG_DONTWAIT)) > 0)
			length += (size_t)n;
	}
	assert_int_equal(length, whole);
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
	assert_int_equal(world_record()->lost, 0);
}
WORLD_STORY(a_request_that_was_sent_in_part_goes_out_whole_on_the_next)

static void
who_waits_longer_than_hold_timeout_ends_as_lost(void **state)
{
	int client, upstream;

	(void)state;
	world.hold_timeout = 80 * CLOCK_MILLISECOND;
	world.settings.loss_reply = late;
	world_begin();
	client = world_come();
	world_say(client, "a\nb\n");
	world_wait(40 * CLOCK_MILLISECOND);
	assert_string_equal(side_hear(client), "");
	world_wait(80 * CLOCK_MILLISECOND);
	assert_string_equal(side_hear(client), "late\nlate\n");
	upstream = world_bring();
	world_say(client, "c\n");
	world_expect(upstream, "c\n");
	world_say(upstream, "3\n");
	world_expect(client, "3\n");
}

/* One that has a place in the queue, and one behind it that has none: the older one ends first. */
static void
nobody_is_turned_away_before_what_the_client_asked_earlier(void **state)
{
	int client, upstream = -1;
	const char *text = "";

	(void)state;
	world.hold_timeout = 160 * CLOCK_MILLISECOND;
	world.settings.loss_reply = late;
	world.settings.max_message = WORLD_LONG;
	world_begin();
	client = world_come();
	world_say_long(client, WORLD_LONG);
	world_say_long(client, WORLD_LONG);
	for (int i = 0; i < 400 && text[0] == '\0'; i++) {
		world_wait(CLOCK_MILLISECOND);
		text = side_hear(client);
	}
	assert_memory_equal(text, "late\n", 5);
	upstream = world_bring();
	world_settle();
	if (strcmp(text, "late\n") == 0)
		world_hear_long(upstream, WORLD_LONG);
	else
		assert_string_equal(side_hear(upstream), "");
}

static void
story_all_who_wait_are_turned_away_when_none_will_come(void)
{
	int client, other, upstream;

	world.settings.loss_reply = closed;
	world.settings.max_message = WORLD_LONG;
	world_begin();
	client = world_come();
	other = world_come();
	world_say(client, "a\nb\n");
	world_say_long(other, WORLD_LONG);
	world_say_long(client, WORLD_LONG); /* has no place in the queue */
	remote.refuses = true;
	mux_serve(world.mux);
	world_expect(client, "closed\nclosed\nclosed\n");
	world_expect(other, "closed\n");
	assert_int_equal(world_record()->lost, 4);
	world_say(client, "d\n");
	world_expect(client, "closed\n");
	remote.refuses = false;
	upstream = world_bring();
	world_say(client, "e\n");
	world_expect(upstream, "e\n");
	world_say(upstream, "E\n");
	world_expect(client, "E\n");
}
WORLD_STORY(all_who_wait_are_turned_away_when_none_will_come)

/* What was not sent yet loses nothing. */
static void
story_a_loss_ends_max_in_flight_requests_at_most(void)
{
	int client, upstream;

	world.settings.loss_reply = closed;
	world.settings.max_in_flight = 2;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\nd\n");
	world_expect(upstream, "a\nb\n");
	world_leave(upstream);
	world_expect(client, "closed\nclosed\n");
	upstream = world_bring();
	world_expect(upstream, "c\nd\n");
	world_say(upstream, "C\nD\n");
	world_expect(client, "C\nD\n");
	assert_int_equal(world_record()->lost, 2);
}
WORLD_STORY(a_loss_ends_max_in_flight_requests_at_most)

/* Each of the two kinds ends the other's row. */
static void
many_requests_of_both_kinds_are_turned_away_in_their_order(void **state)
{
	static const char pair[] = "GET a\r\nSELECT 0\r\n";
	static const char lost[] = "-ERR holdfast: connection to the service was lost\r\n+OK\r\n";
	static char text[4000 * (sizeof pair - 1)], heard[4000 * (sizeof lost - 1) + 1];
	size_t length = 0;
	ssize_t n;
	int client;

	(void)state;
	world.settings.framing = FRAMING_RESP;
	remote.refuses = true;
	world_begin();
	client = world_come();
	/* All fits, so that nothing but the messages ends a row. */
	setsockopt(world_near_client(), SOL_SOCKET, SO_SNDBUFFORCE, &(int){ 16 << 20 }, sizeof(int));
	for (size_t i = 0; i < 4000; i++)
		memcpy(text + i * (sizeof pair - 1), pair, sizeof pair - 1);
	assert_int_equal(send(client, text, sizeof text, MSG_NOSIGNAL), (long)sizeof text);
	for (int i = 0; i < 1000 && length < sizeof heard - 1; i++) {
		world_settle();
		while ((n = recv(client, heard + length, sizeof heard - length, MSG_DONTWAIT)) > 0)
			length += (size_t)n;
	}
	assert_int_equal(length, sizeof heard - 1);
	for (size_t i = 0; i < 4000; i++)
		assert_memory_equal(heard + i * (sizeof lost - 1), lost, sizeof lost - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(lost_requests_get_the_loss_reply_as_a_message),
		WORLD_ROW(what_the_gone_have_asked_is_not_sent),
		WORLD_ROW(when_all_have_gone_nothing_is_sent),
		WORLD_ROW(who_has_only_shut_down_is_answered),
		WORLD_ROW(lost_requests_of_resp_get_an_error),
		WORLD_ROW(without_a_loss_reply_who_lost_a_request_is_closed),
		WORLD_ROW(with_retry_they_are_sent_again_before_newer_ones),
		WORLD_ROW(the_oldest_of_five_losses_in_a_row_is_the_suspect),
		WORLD_ROW(a_reply_too_long_is_lost_and_not_asked_for_again),
		WORLD_ROW(a_request_that_was_sent_in_part_goes_out_whole_on_the_next),
		WORLD_ROW(who_waits_longer_than_hold_timeout_ends_as_lost),
		WORLD_ROW(nobody_is_turned_away_before_what_the_client_asked_earlier),
		WORLD_ROW(all_who_wait_are_turned_away_when_none_will_come),
		WORLD_ROW(a_loss_ends_max_in_flight_requests_at_most),
		WORLD_ROW(many_requests_of_both_kinds_are_turned_away_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
