/* A reply that is longer than max_message passes to its asker as it comes: nobody else gets a byte of it, and
 * nothing but a loss tears it, for its asker alone. */
#include "shared_stage.h"

#include <stdio.h>

#include "client/ring.h"

#define LIMIT 100
#define LOST  "-ERR holdfast: connection to the service was lost\r\n"

static int client, other, upstream;

static void
begin_with(enum framing_kind framing)
{
	world.settings.framing = framing;
	world.settings.max_message = LIMIT;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
}

static void
begin(void)
{
	begin_with(FRAMING_RESP);
}

/* The one asks for what has a long reply, the other for a number behind it. */
static void
ask_both(void)
{
	begin();
	world_say(client, "GET long\r\n");
	world_say(other, "INCR a\r\n");
	world_expect(upstream, "GET long\r\nINCR a\r\n");
}

/* So many letters. */
static const char *
text(size_t length)
{
	static char bytes[4096];

	memset(bytes, 'x', length);
	bytes[length] = '\0';
	return bytes;
}

/* The head of a string of 300 bytes, and 200 of these: more than may wait for it. */
static void
say_head(void)
{
	side_say(upstream, "$300\r\n");
	world_say(upstream, text(200));
}

static void
expect_head(void)
{
	world_expect(client, strcat(strcpy((char[300]){ 0 }, "$300\r\n"), text(200)));
}

static void
story_a_long_reply_passes_as_it_comes_and_others_wait_behind_it(void)
{
	ask_both();
	say_head();
	expect_head();
	world_expect(other, "");
	side_say(upstream, text(100));
	world_say(upstream, "\r");
	world_say(upstream, "\n:1\r\n");
	world_expect(client, strcat(strcpy((char[200]){ 0 }, text(100)), "\r\n"));
	world_expect(other, ":1\r\n");
	world_say(client, "GET b\r\n");
	world_expect(upstream, "GET b\r\n");
	world_say(upstream, "+B\r\n");
	world_expect(client, "+B\r\n");
	assert_int_equal(world_record()->messages[TABLE_DOWN], 3);
	assert_int_equal(world_record()->streamed, 0);
	assert_int_equal(remote.lost + world_record()->lost, 0);
	assert_int_equal(world_count_buffers(), 0);
}
WORLD_STORY(a_long_reply_passes_as_it_comes_and_others_wait_behind_it)

/* Byte by byte; it is counted over all levels, and its last element is empty. */
static void
story_a_reply_within_replies_ends_where_its_last_element_does(void)
{
	static const char reply[] = "*5\r\n*2\r\n%1\r\n+k\r\n,1.5\r\n~2\r\n_\r\n#t\r\n|1\r\n+a\r\n:1\r\n"
	    "$5\r\n*9\r\n:\r\n*3\r\n(12\r\n=7\r\ntxt:a\r\n\r\n-ERR no\r\n*-1\r\n*0\r\n";
	char heard[2 * sizeof reply] = "";

	ask_both();
	world.settings.max_message = 20;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	for (size_t i = 0; i < sizeof reply - 1; i++) {
		world_say(upstream, (char[]){ reply[i], '\0' });
		strcat(heard, side_hear(client));
		if (i + 2 < sizeof reply)
			assert_int_equal(world_record()->streamed, strlen(heard));
		world_expect(other, "");
	}
	assert_int_equal(world_record()->streamed, 0);
	assert_string_equal(heard, reply);
	world_say(upstream, ":1\r\n");
	world_expect(other, ":1\r\n");
}
WORLD_STORY(a_reply_within_replies_ends_where_its_last_element_does)

static void
story_a_reply_of_max_message_bytes_comes_whole_or_not_at_all(void)
{
	char reply[LIMIT + 1] = "$93\r\n";

	strcat(strcat(reply, text(93)), "\r\n");
	assert_int_equal(strlen(reply), LIMIT);
	ask_both();
	side_say(upstream, "$93\r\n");
	world_say(upstream, text(90));
	world_expect(client, "");
	world_say(upstream, "xxx\r\n:1\r\n");
	world_expect(client, reply);
	world_expect(other, ":1\r\n");
}
WORLD_STORY(a_reply_of_max_message_bytes_comes_whole_or_not_at_all)

static void
story_replies_before_a_long_one_and_behind_it_are_what_they_are(void)
{
	begin();
	world_say(client, "GET a\r\nGET long\r\nGET b\r\nGET long\r\nGET c\r\n");
	side_say(upstream, "+A\r\n$120\r\n");
	side_say(upstream, text(120));
	side_say(upstream, "\r\n+B\r\n*1\r\n+");
	side_say(upstream, text(120));
	world_say(upstream, "\r\n+C\r\n");
	assert_non_null(strstr(strcpy((char[600]){ 0 }, side_hear(client)), "x\r\n+B\r\n*1\r\n+x"));
	assert_int_equal(world_record()->messages[TABLE_DOWN], 5);
	world_say(other, "GET d\r\n");
	world_say(upstream, "+D\r\n");
	world_expect(other, "+D\r\n");
	assert_int_equal(world_count_buffers(), 0);
}
WORLD_STORY(replies_before_a_long_one_and_behind_it_are_what_they_are)

/* The one is closed with what it has; the other is told, or asked again. */
static void
lose_the_connection(bool retries)
{
	world.settings.on_loss = retries ? SHARED_RETRY : SHARED_FAIL;
	ask_both();
	say_head();
	world_leave(upstream);
	expect_head();
	assert_int_equal(recv(client, (char[1]){ 0 }, 1, MSG_DONTWAIT), 0);
	world_expect(other, retries ? "" : LOST);
	assert_int_equal(world_record()->lost, retries ? 1 : 2);
	assert_int_equal(world.ended, 1);
	upstream = world_bring();
	if (!retries)
		world_say(other, "INCR a\r\n");
	world_expect(upstream, "INCR a\r\n");
	world_say(upstream, ":1\r\n");
	world_expect(other, ":1\r\n");
	assert_int_equal(world_count_buffers(), 0);
}

static void
story_a_loss_in_its_midst_ends_its_asker_and_fails_the_others(void)
{
	lose_the_connection(false);
}
WORLD_STORY(a_loss_in_its_midst_ends_its_asker_and_fails_the_others)

static void
story_a_loss_in_its_midst_ends_its_asker_and_the_others_are_asked_again(void)
{
	lose_the_connection(true);
}
WORLD_STORY(a_loss_in_its_midst_ends_its_asker_and_the_others_are_asked_again)

/* What is no reply in its midst is its own fault, not that of the request behind it. */
static void
story_nonsense_in_its_midst_is_blamed_on_it_alone(void)
{
	world.settings.on_loss = SHARED_RETRY;
	ask_both();
	side_say(upstream, "*2\r\n$110\r\n");
	side_say(upstream, text(110));
	world_say(upstream, "\r\n");
	world_say(upstream, "?");
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "it sent what is no message of framing resp");
	assert_int_equal(world.ended, 1);
	upstream = world_bring();
	world_expect(upstream, "INCR a\r\n");
	world_say(upstream, ":1\r\n");
	world_expect(other, ":1\r\n");
	assert_int_equal(world_record()->lost, 1);
}
WORLD_STORY(nonsense_in_its_midst_is_blamed_on_it_alone)

static void
story_the_rest_of_it_is_nobodys_when_its_asker_has_gone(void)
{
	ask_both();
	say_head();
	world_leave(client);
	side_say(upstream, text(100));
	world_say(upstream, "\r\n:1\r\n");
	world_expect(other, ":1\r\n");
	assert_int_equal(remote.lost, 0);
	assert_int_equal(world_count_buffers(), 0);
}
WORLD_STORY(the_rest_of_it_is_nobodys_when_its_asker_has_gone)

static void
story_who_has_said_its_last_gets_the_rest(void)
{
	ask_both();
	say_head();
	shutdown(client, SHUT_WR);
	expect_head();
	side_say(upstream, text(100));
	world_say(upstream, "\r\n:1\r\n");
	world_expect(client, strcat(strcpy((char[200]){ 0 }, text(100)), "\r\n"));
	assert_int_equal(recv(client, (char[1]){ 0 }, 1, MSG_DONTWAIT), 0);
	world_expect(other, ":1\r\n");
}
WORLD_STORY(who_has_said_its_last_gets_the_rest)

/* So the asker has no part of what will never come. */
static void
an_upstream_that_only_announces_much_costs_its_asker_nothing(void **state)
{
	(void)state;
	world.settings.reply_timeout = 80 * CLOCK_MILLISECOND;
	ask_both();
	world_say(upstream, "*1\r\n$999999999999\r\n");
	world_wait(200 * CLOCK_MILLISECOND);
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "no reply within reply_timeout");
	world_expect(client, LOST);
	world_expect(other, LOST);
	assert_int_equal(world.ended, 0);
}

static void
who_stops_in_its_midst_is_lost_after_reply_timeout(void **state)
{
	(void)state;
	world.settings.reply_timeout = 80 * CLOCK_MILLISECOND;
	world.settings.on_loss = SHARED_RETRY;
	ask_both();
	say_head();
	world_wait(60 * CLOCK_MILLISECOND);
	world_say(upstream, "x");
	world_wait(60 * CLOCK_MILLISECOND);
	assert_int_equal(remote.lost, 0);
	world_wait(100 * CLOCK_MILLISECOND);
	assert_string_equal(remote.reason, "no reply within reply_timeout");
	assert_int_equal(world.ended, 1);
	upstream = world_bring();
	world_expect(upstream, "INCR a\r\n");
}

static void
story_values_of_memcached_pass_as_they_come(void)
{
	begin_with(FRAMING_MEMCACHE);
	world_say(client, "get a b\r\n");
	world_say(other, "incr n 1\r\n");
	world_expect(upstream, "get a b\r\nincr n 1\r\n");
	side_say(upstream, "VALUE a 0 200\r\n");
	world_say(upstream, text(200));
	world_expect(client, strcat(strcpy((char[300]){ 0 }, "VALUE a 0 200\r\n"), text(200)));
	world_expect(other, "");
	world_say(upstream, "\r\nVALUE b 0 4\r\nEND\r");
	world_say(upstream, "\r\nEND\r\n5\r\n");
	world_expect(client, "\r\nVALUE b 0 4\r\nEND\r\r\nEND\r\n");
	world_expect(other, "5\r\n");
	assert_int_equal(world_record()->streamed, 0);
	assert_int_equal(remote.lost + world_record()->lost, 0);
	assert_int_equal(world_count_buffers(), 0);
}
WORLD_STORY(values_of_memcached_pass_as_they_come)

/* As q asks for it: what was found of the one, what was missed of the other. */
static void
story_a_long_reply_that_its_asker_does_not_want_is_nobodys(void)
{
	begin_with(FRAMING_MEMCACHE);
	world_say(client, "ma n v q\r\nmg a v q\r\nmn\r\n");
	side_say(upstream, "VA 200\r\n");
	world_say(upstream, text(200));
	world_say(upstream, "\r\nVA 150\r\n");
	side_say(upstream, text(150));
	world_say(upstream, "\r\nMN\r\n");
	world_expect(client, strcat(strcat(strcpy((char[300]){ 0 }, "VA 150\r\n"), text(150)), "\r\nMN\r\n"));
	assert_int_equal(remote.lost + world_record()->lost, 0);
}
WORLD_STORY(a_long_reply_that_its_asker_does_not_want_is_nobodys)

/* Lost with this reason over what it says, and nobody is closed. */
static void
expect_too_long(const char *message)
{
	world_say(upstream, message);
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "it sent a message of more than max_message (100 bytes)");
	assert_int_equal(world.ended, 0);
}

static void
a_long_push_or_one_that_nobody_asked_for_is_too_long(void **state)
{
	(void)state;
	ask_both();
	expect_too_long(">1\r\n$200\r\n");
	world_close(NULL);
	world_open(NULL);
	begin();
	expect_too_long("$200\r\n");
}

static void
a_long_answer_to_the_heartbeat_is_too_long(void **state)
{
	static char ping[] = "PING\r\n", pong[] = "+PONG";

	(void)state;
	world.settings.heartbeat_send = ping;
	world.settings.heartbeat_expect = pong;
	world.settings.heartbeat_interval = 40 * CLOCK_MILLISECOND;
	world.settings.heartbeat_timeout = 80 * CLOCK_MILLISECOND;
	begin();
	world_wait(60 * CLOCK_MILLISECOND);
	world_expect(upstream, "PING\r\n");
	expect_too_long("$200\r\n");
}

static void
a_long_broadcast_is_too_long(void **state)
{
	(void)state;
	world.settings.replies = SHARED_BROADCAST;
	begin();
	expect_too_long("$200\r\n");
}

static void
a_long_reply_to_a_client_of_packets_is_too_long(void **state)
{
	(void)state;
	world.settings.type = LISTENER_SEQPACKET;
	begin();
	world_say(client, "GET long\r\n");
	expect_too_long("$200\r\n");
}

#define MIB ((size_t)1 << 20)
#define HUGE (24 * MIB)

static size_t fed, taken;
static char *huge;

/* The upstream says what is left of a huge reply, as far as it is heard; the small one last. */
static void
feed(void)
{
	ssize_t n;

	for (int idle = 0; idle < 10; event_base_loop(world.loop, EVLOOP_NONBLOCK)) {
		n = fed == HUGE ? -1 : send(upstream, huge + fed, HUGE - fed, MSG_NOSIGNAL | MSG_DONTWAIT);
		idle = n > 0 ? 0 : idle + 1;
		fed += n > 0 ? (size_t)n : 0;
	}
}

/* The client takes so much of it, if it is there. */
static void
take(size_t length)
{
	static char heard[MIB];
	ssize_t n;

	while (length > 0 && (n = recv(client, heard, length < MIB ? length : MIB, MSG_DONTWAIT)) > 0) {
		assert_memory_equal(heard, huge + taken, (size_t)n);
		taken += (size_t)n;
		length -= (size_t)n;
	}
}

static void
ask_for_huge(void)
{
	int head;

	world.settings.framing = FRAMING_RESP;
	world.settings.max_message = MIB;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "GET huge\r\n");
	world_say(other, "INCR a\r\n");
	world_expect(upstream, "GET huge\r\nINCR a\r\n");
	huge = malloc(HUGE);
	for (size_t i = 0; i < HUGE; i++)
		huge[i] = (char)('a' + i % 23);
	head = sprintf(huge, "$%zu\r\n", HUGE - 17);
	huge[head] = 'a';
	memcpy(huge + HUGE - 6, "\r\n:1\r\n", 6);
	assert_int_equal(head + (int)(HUGE - 17) + 6, HUGE);
	fed = taken = 0;
}

/* Takes so much of it in each tenth of a second, until it has all or is closed: how long that took. */
static int64_t
take_at(size_t pace)
{
	int64_t begun = clock_now();

	while (taken < HUGE - 4 && world.ended == 0) {
		feed();
		assert_in_range(ring_length(&world.table, world.table.clients[1].buffer[TABLE_DOWN]), 0, 9 * MIB);
		take(pace);
		world_wait(100 * CLOCK_MILLISECOND);
	}
	return clock_now() - begun;
}

static void
expect_that_the_other_goes_on(void)
{
	feed();
	world_expect(other, ":1\r\n");
	assert_int_equal(remote.lost, 0);
	free(huge);
}

/* Of 24 MiB, about 8 may wait. */
static void
who_takes_it_at_a_moderate_pace_gets_all_of_it(void **state)
{
	(void)state;
	ask_for_huge();
	assert_true(take_at(220000) > 9 * CLOCK_SECOND);
	assert_int_equal(world.ended, 0);
	expect_that_the_other_goes_on();
}

static void
who_takes_it_slowly_is_closed(void **state)
{
	(void)state;
	ask_for_huge();
	assert_true(take_at(50000) < 6 * CLOCK_SECOND);
	assert_int_equal(world.ended, 1);
	expect_that_the_other_goes_on();
}

static void
who_takes_nothing_of_it_is_closed_after_a_second(void **state)
{
	(void)state;
	ask_for_huge();
	assert_in_range(take_at(0), 900 * CLOCK_MILLISECOND, 1300 * CLOCK_MILLISECOND);
	assert_int_equal(world.ended, 1);
	expect_that_the_other_goes_on();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(a_long_reply_passes_as_it_comes_and_others_wait_behind_it),
		WORLD_ROW(a_reply_within_replies_ends_where_its_last_element_does),
		WORLD_ROW(a_reply_of_max_message_bytes_comes_whole_or_not_at_all),
		WORLD_ROW(replies_before_a_long_one_and_behind_it_are_what_they_are),
		WORLD_ROW(a_loss_in_its_midst_ends_its_asker_and_fails_the_others),
		WORLD_ROW(a_loss_in_its_midst_ends_its_asker_and_the_others_are_asked_again),
		WORLD_ROW(nonsense_in_its_midst_is_blamed_on_it_alone),
		WORLD_ROW(the_rest_of_it_is_nobodys_when_its_asker_has_gone),
		WORLD_ROW(who_has_said_its_last_gets_the_rest),
		WORLD_ROW(an_upstream_that_only_announces_much_costs_its_asker_nothing),
		WORLD_ROW(who_stops_in_its_midst_is_lost_after_reply_timeout),
		WORLD_ROW(values_of_memcached_pass_as_they_come),
		WORLD_ROW(a_long_reply_that_its_asker_does_not_want_is_nobodys),
		WORLD_ROW(a_long_push_or_one_that_nobody_asked_for_is_too_long),
		WORLD_ROW(a_long_answer_to_the_heartbeat_is_too_long),
		WORLD_ROW(a_long_broadcast_is_too_long),
		WORLD_ROW(a_long_reply_to_a_client_of_packets_is_too_long),
		WORLD_ROW(who_takes_it_at_a_moderate_pace_gets_all_of_it),
		WORLD_ROW(who_takes_it_slowly_is_closed),
		WORLD_ROW(who_takes_nothing_of_it_is_closed_after_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
