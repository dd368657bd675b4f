/* A client that ends within a message: the last line is sent with a newline where there are no replies, all else
 * is dropped and counted. */
#include "shared_stage.h"

static void
begin(enum shared_replies replies)
{
	world.settings.replies = replies;
	world.settings.on_loss = SHARED_RETRY;
	world.tcp = true;
	world_begin();
}

static void
story_the_last_line_goes_on_with_a_newline(void)
{
	int client, upstream;

	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nlast");
	world_expect(upstream, "a\n");
	world_leave(client);
	world_expect(upstream, "last\n");
	assert_int_equal(world.ended, 1);
	assert_int_equal(world_record()->unfinished, 0);
	assert_int_equal(world_record()->messages[TABLE_UP], 2);
}
WORLD_STORY(the_last_line_goes_on_with_a_newline)

static void
story_so_it_does_at_a_half_close(void)
{
	int client, upstream;

	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	side_say(client, "a\nlast");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	world_expect(upstream, "a\nlast\n");
	world_expect(client, "EOF");
}
WORLD_STORY(so_it_does_at_a_half_close)

static void
story_without_anything_unfinished_nothing_is_added(void)
{
	int client, upstream;

	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	side_say(client, "a\n");
	world_leave(client);
	world_expect(upstream, "a\n");
	world_expect(upstream, "");
	assert_int_equal(world_record()->messages[TABLE_UP], 1);
	assert_int_equal(world_record()->unfinished, 0);
}
WORLD_STORY(without_anything_unfinished_nothing_is_added)

static void
story_the_last_line_waits_for_its_place_though_its_client_has_gone(void)
{
	int client, upstream;

	world.settings.queue_size = 40;
	begin(SHARED_NONE);
	client = world_come();
	side_say(client, "a\nb\nlast");
	world_leave(client);
	world_settle();
	assert_int_equal(world.ended, 0);
	upstream = world_bring();
	world_expect(upstream, "a\nb\n");
	world_wait(300 * CLOCK_MILLISECOND);
	world_expect(upstream, "last\n");
	world_settle();
	assert_int_equal(world.ended, 1);
}
WORLD_STORY(the_last_line_waits_for_its_place_though_its_client_has_gone)

static void
story_or_is_dropped_like_any_other(void)
{
	int client;

	world.settings.queue_size = 40;
	world.settings.on_full = SHARED_DROP_NEWEST;
	begin(SHARED_NONE);
	client = world_come();
	side_say(client, "a\nb\nlast");
	world_leave(client);
	world_settle();
	assert_int_equal(world.ended, 1);
	assert_int_equal(world_record()->dropped, 1);
	assert_int_equal(world_record()->unfinished, 0);
}
WORLD_STORY(or_is_dropped_like_any_other)

static void
story_of_ordered_replies_it_is_counted(void)
{
	int client, upstream;

	begin(SHARED_ORDERED);
	upstream = world_bring();
	client = world_come();
	side_say(client, "a\nhalf");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	world_expect(upstream, "a\n");
	assert_int_equal(world_record()->unfinished, 1);
	world_say(upstream, "A\n");
	world_expect(client, "A\n");
	assert_int_equal(world.ended, 1);
	assert_int_equal(world_record()->unfinished, 1);
}
WORLD_STORY(of_ordered_replies_it_is_counted)

static void
story_of_another_framing_it_is_counted(void)
{
	int client, upstream;

	world.settings.framing = FRAMING_OCTETS;
	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	side_say(client, "1 a4 hal");
	world_leave(client);
	world_expect(upstream, "1 a");
	assert_int_equal(world.ended, 1);
	assert_int_equal(world_record()->unfinished, 1);
}
WORLD_STORY(of_another_framing_it_is_counted)

/* Something is unread at its side when it ends: no clean end. */
static void
a_reset_is_no_end_of_a_line(void **state)
{
	int client, upstream;

	(void)state;
	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nhalf");
	world_expect(upstream, "a\n");
	assert_int_equal(send(world_near_client(), "x", 1, 0), 1);
	world_leave(client);
	world_expect(upstream, "");
	assert_int_equal(world.ended, 1);
	assert_int_equal(world_record()->unfinished, 1);
}

static void
a_line_of_max_message_goes_on_and_a_longer_one_does_not(void **state)
{
	char line[4097];
	int client, upstream;

	(void)state;
	memset(line, 'x', sizeof line);
	begin(SHARED_NONE);
	upstream = world_bring();
	client = world_come();
	line[4095] = '\0';
	side_say(client, line);
	side_say(client, "x");
	world_leave(client);
	world_hear_long(upstream, 4097);
	line[4095] = 'x';
	line[4096] = '\0';
	client = world_come();
	side_say(client, line);
	side_say(client, "y");
	world_leave(client);
	world_expect(upstream, "");
	assert_int_equal(world.ended, 2);
	assert_int_equal(world_record()->messages[TABLE_UP], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(the_last_line_goes_on_with_a_newline),
		WORLD_ROW(so_it_does_at_a_half_close),
		WORLD_ROW(without_anything_unfinished_nothing_is_added),
		WORLD_ROW(the_last_line_waits_for_its_place_though_its_client_has_gone),
		WORLD_ROW(or_is_dropped_like_any_other),
		WORLD_ROW(of_ordered_replies_it_is_counted),
		WORLD_ROW(of_another_framing_it_is_counted),
		WORLD_ROW(a_reset_is_no_end_of_a_line),
		WORLD_ROW(a_line_of_max_message_goes_on_and_a_longer_one_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
