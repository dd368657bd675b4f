/* Many clients, one connection: each reply goes to who asked for it, whoever comes, goes, or dies. */
#include "shared_stage.h"

static void
story_pipelined_requests_are_answered_in_their_order(void)
{
	int client, upstream;

	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\n");
	world_expect(upstream, "a\nb\nc\n");
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
	world_say(upstream, "2\n3");
	world_expect(client, "2\n");
	world_say(upstream, "\n");
	world_expect(client, "3\n");
	assert_int_equal(world_count_buffers(), 0);
	assert_int_equal(world_record()->messages[TABLE_UP], 3);
	assert_int_equal(world_record()->messages[TABLE_DOWN], 3);
}
WORLD_STORY(pipelined_requests_are_answered_in_their_order)

static void
story_two_clients_get_their_own(void)
{
	int first, second, upstream;

	world_begin();
	upstream = world_bring();
	first = world_come();
	second = world_come();
	world_say(first, "f1\n");
	world_say(second, "s1\ns2\n");
	world_say(first, "f2\n");
	world_expect(upstream, "f1\ns1\ns2\nf2\n");
	world_say(upstream, "F1\nS1\nS2\nF2\n");
	world_expect(first, "F1\nF2\n");
	world_expect(second, "S1\nS2\n");
}
WORLD_STORY(two_clients_get_their_own)

static void
story_the_replies_of_one_who_left_are_thrown_away(void)
{
	int gone, next, upstream;

	world_begin();
	upstream = world_bring();
	gone = world_come();
	world_say(gone, "g1\ng2\n");
	world_leave(gone);
	next = world_come(); /* perhaps in the same slot */
	world_say(next, "n1\n");
	world_expect(upstream, "g1\ng2\nn1\n");
	world_say(upstream, "G1\nG2\nN1\n");
	world_expect(next, "N1\n");
	assert_int_equal(remote.lost, 0);
}
WORLD_STORY(the_replies_of_one_who_left_are_thrown_away)

static void
story_what_is_asked_before_there_is_a_connection_waits_for_it(void)
{
	int client, upstream;

	world_begin();
	client = world_come();
	world_say(client, "a\nb\n");
	assert_int_equal(remote.held, 1);
	upstream = world_bring();
	world_expect(upstream, "a\nb\n");
	assert_int_equal(remote.held, 0);
	world_say(upstream, "1\n2\n");
	world_expect(client, "1\n2\n");
}
WORLD_STORY(what_is_asked_before_there_is_a_connection_waits_for_it)

static void
story_who_has_said_the_last_gets_the_replies_and_the_end(void)
{
	int client, upstream;

	world_begin();
	upstream = world_bring();
	client = world_come();
	side_say(client, "a\nb\nhalf");
	shutdown(client, SHUT_WR);
	world_expect(upstream, "a\nb\n");
	assert_string_equal(side_hear(client), "");
	world_say(upstream, "1\n2\n");
	world_expect(client, "1\n2\n");
	world_expect(client, "EOF");
	assert_int_equal(world.ended, 1);
}
WORLD_STORY(who_has_said_the_last_gets_the_replies_and_the_end)

static void
story_local_answers_wait_for_the_replies_before_them(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "GET a\r\nSELECT 0\r\nGET b\r\n");
	world_expect(upstream, "GET a\r\n");
	assert_string_equal(side_hear(client), "");
	world_say(upstream, "$1\r\n1\r\n");
	world_expect(upstream, "GET b\r\n");
	world_expect(client, "$1\r\n1\r\n+OK\r\n");
	world_say(upstream, "$1\r\n2\r\n");
	world_expect(client, "$1\r\n2\r\n");
}
WORLD_STORY(local_answers_wait_for_the_replies_before_them)

/* What comes before it is carried out and answered first; nothing behind it is carried out, now or later. */
static void
story_multi_is_refused_and_nothing_behind_it_is_done(void)
{
	int client, other, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "GET a\r\nMULTI\r\nGET b\r\nEXEC\r\n");
	world_expect(upstream, "GET a\r\n");
	side_say(client, "GET c\r\n");
	world_say(upstream, "+1\r\n");
	world_expect(client, "+1\r\n-ERR MULTI needs a connection of its own; this service is shared: use a "
	    "service with mode = \"session\"\r\n");
	assert_int_equal(world.ended, 1);
	world_say(other, "GET d\r\n");
	world_expect(upstream, "GET d\r\n");
}
WORLD_STORY(multi_is_refused_and_nothing_behind_it_is_done)

static void
story_a_request_too_long_is_refused_and_nothing_behind_it_is_done(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_RESP;
	world.settings.max_message = 64;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "*2\r\n$4\r\nECHO\r\n$99\r\nGET x\r\nGET a\r\nGET b\r\n");
	world_expect(client, "-ERR Protocol error: holdfast: the request is longer than max_message\r\n");
	assert_int_equal(world.ended, 1);
	world_expect(upstream, "");
}
WORLD_STORY(a_request_too_long_is_refused_and_nothing_behind_it_is_done)

/* What it speaks outlives a death. */
static void
story_only_who_has_said_hello_3_shares_a_connection_of_resp3(void)
{
	static const struct resp_connection three = { 0, 3, false };
	int speaks, other, upstream;

	world.settings.framing = FRAMING_RESP;
	world.resp = three;
	world_begin();
	upstream = world_bring();
	speaks = world_come();
	other = world_come();
	world_say(speaks, "HELLO 3\r\n");
	assert_memory_equal(side_hear(speaks), "%7\r\n", 4);
	world_say(other, "GET a\r\nGET b\r\n");
	assert_memory_equal(side_hear(other), "-ERR this service is shared and speaks RESP3", 44);
	world_say(speaks, "GET c\r\n");
	world_expect(upstream, "GET c\r\n");
	world_say(upstream, "_\r\n");
	world_expect(speaks, "_\r\n");
	assert_int_equal(world.ended, 1);
}
WORLD_STORY(only_who_has_said_hello_3_shares_a_connection_of_resp3)

static void
story_quit_ends_the_client_after_its_replies(void)
{
	int client, other, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "GET a\r\nQUIT\r\nGET never\r\n");
	world_say(other, "GET b\r\n");
	world_expect(upstream, "GET a\r\nGET b\r\n");
	world_say(upstream, "+1\r\n+2\r\n");
	world_expect(client, "+1\r\n+OK\r\n");
	world_expect(client, "EOF");
	world_expect(other, "+2\r\n");
	world_expect(upstream, "");
}
WORLD_STORY(quit_ends_the_client_after_its_replies)

static void
story_what_is_no_request_is_told_after_the_replies(void)
{
	const char *text;
	int client, other, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "GET a\r\n*1\r\n!\r\n");
	world_say(other, "GET b\r\n");
	world_expect(upstream, "GET a\r\nGET b\r\n");
	assert_string_equal(side_hear(client), "");
	world_say(upstream, "+1\r\n+2\r\n");
	text = side_hear(client);
	assert_memory_equal(text, "+1\r\n-ERR Protocol error", 23);
	world_expect(client, "EOF");
	world_expect(other, "+2\r\n");
	assert_int_equal(remote.lost, 0);
}
WORLD_STORY(what_is_no_request_is_told_after_the_replies)

static void
story_a_request_that_is_too_long_ends_its_client_alone(void)
{
	char text[200];
	int client, other, upstream;

	world.settings.max_message = 100;
	world_begin();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	memset(text, 'x', sizeof text);
	strcpy(text + 150, "\nafter\n");
	world_say(client, "before\n");
	world_say(client, text);
	world_say(other, "o\n");
	world_expect(upstream, "before\no\n");
	world_say(upstream, "B\nO\n");
	world_expect(client, "B\n");
	world_expect(client, "EOF");
	world_expect(other, "O\n");
}
WORLD_STORY(a_request_that_is_too_long_ends_its_client_alone)

static void
story_a_reply_that_nobody_asked_for_loses_the_connection(void)
{
	int client, upstream;

	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\n");
	world_say(upstream, "1\nwhat?\n");
	world_expect(client, "1\n");
	assert_int_equal(remote.lost, 1);
	assert_string_equal(remote.reason, "it sent a reply that nobody asked for");
	world_expect(upstream, "a\n");
	world_expect(upstream, "EOF");
	upstream = world_bring();
	world_say(client, "b\n");
	world_expect(upstream, "b\n");
	world_say(upstream, "2\n");
	world_expect(client, "2\n");
}
WORLD_STORY(a_reply_that_nobody_asked_for_loses_the_connection)

static void
story_a_push_is_nobodys(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_RESP;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(upstream, ">1\r\n+news\r\n");
	world_say(client, "GET a\r\nGET b\r\n");
	world_say(upstream, "+1\r\n>1\r\n+new");
	world_expect(client, "+1\r\n");
	world_say(upstream, "s\r\n+2\r\n");
	world_expect(client, "+2\r\n");
	assert_int_equal(remote.lost, 0);
}
WORLD_STORY(a_push_is_nobodys)

/* Its replies filled its socket, and it asked more than was in flight: that is not forgotten. */
static void
a_slow_reader_who_has_said_the_last_gets_all_replies(void **state)
{
	static char reply[8001], heard[65536];
	unsigned asked = 0, answered = 0;
	int client, upstream;
	ssize_t n;

	(void)state;
	world.settings.max_message = sizeof reply;
	world_begin();
	upstream = world_bring();
	client = world_come();
	memset(reply, 'x', sizeof reply - 2);
	reply[sizeof reply - 2] = '\n';
	for (int i = 0; i < 40; i++)
		side_say(client, "q\n");
	shutdown(client, SHUT_WR);
	for (int i = 0; i < 200 && answered < 40 * (sizeof reply - 1); i++) {
		world_settle();
		for (const char *text = side_hear(upstream); *text != '\0'; text += 2, asked++)
			side_say(upstream, reply);
		world_settle();
		if (i % 4 == 3)
			while ((n = recv(client, heard, sizeof heard, MSG_DONTWAIT)) > 0)
				answered += (unsigned)n;
	}
	assert_int_equal(asked, 40);
	assert_int_equal(answered, 40 * (sizeof reply - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(pipelined_requests_are_answered_in_their_order),
		WORLD_ROW(two_clients_get_their_own),
		WORLD_ROW(the_replies_of_one_who_left_are_thrown_away),
		WORLD_ROW(what_is_asked_before_there_is_a_connection_waits_for_it),
		WORLD_ROW(who_has_said_the_last_gets_the_replies_and_the_end),
		WORLD_ROW(local_answers_wait_for_the_replies_before_them),
		WORLD_ROW(multi_is_refused_and_nothing_behind_it_is_done),
		WORLD_ROW(a_request_too_long_is_refused_and_nothing_behind_it_is_done),
		WORLD_ROW(only_who_has_said_hello_3_shares_a_connection_of_resp3),
		WORLD_ROW(quit_ends_the_client_after_its_replies),
		WORLD_ROW(what_is_no_request_is_told_after_the_replies),
		WORLD_ROW(a_request_that_is_too_long_ends_its_client_alone),
		WORLD_ROW(a_reply_that_nobody_asked_for_loses_the_connection),
		WORLD_ROW(a_push_is_nobodys),
		WORLD_ROW(a_slow_reader_who_has_said_the_last_gets_all_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
