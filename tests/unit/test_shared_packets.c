/* Clients of packets, who send datagrams, and upstreams that do not reply. */
#include "shared_stage.h"

static void
begin_packets(void)
{
	world.settings.type = LISTENER_SEQPACKET;
	world_begin();
}

static void
story_a_packet_is_a_message_without_its_framing(void)
{
	int client, upstream;

	begin_packets();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a");
	side_say(client, "b");
	world_say(client, "c");
	world_expect(upstream, "a\nb\nc\n");
	world_say(upstream, "1\n2\n3\n");
	world_expect(client, "1");
	world_expect(client, "2");
	world_expect(client, "3");
	world_expect(client, "");
}
WORLD_STORY(a_packet_is_a_message_without_its_framing)

static void
story_a_packet_that_is_no_message_ends_its_client(void)
{
	int client, other, upstream;

	begin_packets();
	upstream = world_bring();
	client = world_come();
	other = world_come();
	world_say(client, "two\nlines");
	world_say(other, "o");
	world_expect(client, "EOF");
	world_expect(upstream, "o\n");
}
WORLD_STORY(a_packet_that_is_no_message_ends_its_client)

static void
story_replies_come_before_the_end_for_what_is_no_message(void)
{
	static const char *const ends[] = { "two\nlines", "0123456789012345678901234567890123456789" };

	world.settings.max_message = 30;
	begin_packets();
	for (size_t i = 0; i < 2; i++) {
		int client = world_come(), upstream = world_bring();

		world_say(client, "a");
		world_say(client, ends[i]);
		world_expect(client, "");
		world_expect(upstream, "a\n");
		world_say(upstream, "1\n");
		world_expect(client, "1");
		world_expect(client, "EOF");
		world_leave(upstream);
		world_settle();
	}
}
WORLD_STORY(replies_come_before_the_end_for_what_is_no_message)

static void
an_empty_packet_is_passed_over_and_the_next_is_not_lost(void **state)
{
	int client, upstream;

	(void)state;
	begin_packets();
	upstream = world_bring();
	client = world_come();
	side_say(client, "a");
	side_say(client, "");
	side_say(client, "b");
	world_leave(client);
	world_expect(upstream, "a\nb\n");
	world_say(upstream, "1\n2\n");
	assert_int_equal(world.ended, 1);
}

static void
who_has_said_the_last_packet_is_read_no_more(void **state)
{
	int client, upstream;

	(void)state;
	begin_packets();
	upstream = world_bring();
	client = world_come();
	side_say(client, "a");
	shutdown(client, SHUT_WR);
	world_expect(upstream, "a\n");
	assert_true(world_is_idle());
	world_say(upstream, "1\n");
	world_expect(client, "1");
	world_expect(client, "EOF");
}

static int
begin_datagrams(void)
{
	int pair[2];

	world.settings.type = LISTENER_DGRAM;
	world.settings.replies = SHARED_NONE;
	world.settings.max_message = 100;
	world.tcp = true;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	world.datagrams = pair[0];
	world.table.services[0].sockets[0].fd = pair[0];
	world.table.services[1].sockets[0].fd = pair[1];
	world_begin();
	return pair[1];
}

static void
story_each_datagram_is_a_message_and_what_is_none_is_counted(void)
{
	char text[201];
	int sender = begin_datagrams(), upstream = world_bring();

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	world_say(sender, "a");
	side_say(sender, "");
	side_say(sender, text);
	side_say(sender, "two\nlines");
	world_say(sender, "b");
	world_expect(upstream, "a\nb\n");
	assert_int_equal(world_record()->lost, 2);
	assert_int_equal(world_record()->messages[TABLE_UP], 2);
}
WORLD_STORY(each_datagram_is_a_message_and_what_is_none_is_counted)

static void
story_the_lines_of_a_datagram_are_messages_where_it_is_split(void)
{
	char text[101];
	int sender, upstream;

	world.settings.split_datagrams = true;
	sender = begin_datagrams();
	upstream = world_bring();
	side_say(sender, "a\nb");
	side_say(sender, "c\n");
	world_say(sender, "d\n\ne\n");
	side_say(sender, "");
	world_say(sender, "\n");
	world_expect(upstream, "a\nb\nc\nd\n\ne\n\n");
	assert_int_equal(world_record()->messages[TABLE_UP], 7);
	memset(text, 'x', sizeof text - 1); /* max_message, without a newline */
	text[sizeof text - 1] = '\0';
	world_say(sender, text);
	world_hear_long(upstream, sizeof text);
	assert_int_equal(world_record()->lost, 0);
	assert_int_equal(world_record()->unfinished, 0);
}
WORLD_STORY(the_lines_of_a_datagram_are_messages_where_it_is_split)

/* Each line by itself, and what is left of the datagram waits for its place. */
static void
story_the_lines_of_a_datagram_find_their_places_one_by_one(void)
{
	int sender, upstream;

	world.settings.split_datagrams = true;
	world.settings.queue_size = 2 * (2 + sizeof(struct table_pending));
	sender = begin_datagrams();
	world_say(sender, "a\nb\nc\nd");
	world_say(sender, "e");
	assert_int_equal(world_record()->messages[TABLE_UP], 2);
	upstream = world_bring();
	world_wait(CLOCK_SECOND);
	world_expect(upstream, "a\nb\nc\nd\ne\n");
	assert_int_equal(world_record()->lost, 0);
}
WORLD_STORY(the_lines_of_a_datagram_find_their_places_one_by_one)

static void
story_what_was_acknowledged_is_sent_no_more(void)
{
	int client, upstream;

	world.settings.replies = SHARED_NONE;
	world.settings.on_loss = SHARED_RETRY;
	world.tcp = true;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\n");
	world_expect(upstream, "a\nb\n");
	world_say(upstream, "whatever it says");
	world_leave(upstream);
	world_settle();
	assert_int_equal(remote.lost, 1);
	world_say(client, "c\n");
	upstream = world_bring();
	world_expect(upstream, "c\n");
	assert_string_equal(side_hear(client), "");
}
WORLD_STORY(what_was_acknowledged_is_sent_no_more)

static void
story_a_broadcast_goes_to_all(void)
{
	int client[3], upstream;

	world.settings.replies = SHARED_BROADCAST;
	world_begin();
	for (int i = 0; i < 3; i++)
		client[i] = world_come();
	upstream = world_bring();
	world_say(upstream, "news\nmore\nha");
	for (int i = 0; i < 3; i++)
		world_expect(client[i], "news\nmore\n");
	assert_int_equal(world_record()->messages[TABLE_DOWN], 6);
	world_leave(client[1]);
	world_say(upstream, "lf\n");
	world_expect(client[0], "half\n");
	world_expect(client[2], "half\n");
}
WORLD_STORY(a_broadcast_goes_to_all)

static void
who_does_not_keep_up_with_broadcasts_is_closed_and_not_before(void **state)
{
	static char text[65537];
	size_t sent = 0, heard = 0;
	int slow, fast, upstream;
	ssize_t n;

	(void)state;
	world.settings.replies = SHARED_BROADCAST;
	world.settings.max_message = sizeof text;
	world_begin();
	slow = world_come();
	fast = world_come();
	upstream = world_bring();
	memset(text, 'x', sizeof text - 2);
	text[sizeof text - 2] = '\n';
	while (world.ended == 0 && sent < 16 << 20) {
		side_say(upstream, text);
		sent += sizeof text - 1;
		world_settle();
		while ((n = recv(fast, text, sizeof text - 1, MSG_DONTWAIT)) > 0)
			heard += (size_t)n;
		memset(text, 'x', sizeof text - 2);
		text[sizeof text - 2] = '\n';
	}
	assert_int_equal(world.ended, 1);
	assert_int_equal(heard, sent);
	assert_in_range(sent, sizeof text + SHARED_SLACK, sizeof text + SHARED_SLACK + (1 << 20));
	(void)slow;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(a_packet_is_a_message_without_its_framing),
		WORLD_ROW(a_packet_that_is_no_message_ends_its_client),
		WORLD_ROW(replies_come_before_the_end_for_what_is_no_message),
		WORLD_ROW(an_empty_packet_is_passed_over_and_the_next_is_not_lost),
		WORLD_ROW(who_has_said_the_last_packet_is_read_no_more),
		WORLD_ROW(each_datagram_is_a_message_and_what_is_none_is_counted),
		WORLD_ROW(the_lines_of_a_datagram_are_messages_where_it_is_split),
		WORLD_ROW(the_lines_of_a_datagram_find_their_places_one_by_one),
		WORLD_ROW(what_was_acknowledged_is_sent_no_more),
		WORLD_ROW(a_broadcast_goes_to_all),
		WORLD_ROW(who_does_not_keep_up_with_broadcasts_is_closed_and_not_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
