/* A shared service that an operator pauses: what is in flight ends, all else waits. */
#include "shared_stage.h"

static void
pause_it(void)
{
	world.table.services[0].pause = (struct table_order){ .value = 1, .since = 1 };
	mux_pause(world.mux);
	world_settle();
}

static void
resume_it(void)
{
	world.table.services[0].pause.value = 0;
	mux_unpause(world.mux);
	world_settle();
}

static void
story_what_is_in_flight_is_answered_and_the_rest_waits(void)
{
	int client, upstream;

	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\n");
	world_expect(upstream, "a\nb\n");
	pause_it();
	world_say(client, "c\nd\n");
	world_expect(upstream, "");
	assert_int_equal(mux_in_flight(world.mux), 2);
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
	assert_int_equal(remote.let_go, 0);
	world_say(upstream, "2\n");
	world_expect(client, "2\n");
	assert_true(remote.let_go > 0);
	assert_int_equal(mux_in_flight(world.mux), 0);
	mux_drop(world.mux);
	upstream = world_bring();
	world_expect(upstream, "");
	assert_int_equal(remote.taken, 1);
	resume_it();
	mux_serve(world.mux);
	world_expect(upstream, "c\nd\n");
	world_say(upstream, "3\n4\n");
	world_expect(client, "3\n4\n");
	assert_int_equal(world_record()->lost, 0);
}
WORLD_STORY(what_is_in_flight_is_answered_and_the_rest_waits)

static void
story_a_pause_that_is_over_early_goes_on_with_the_same_connection(void)
{
	int client, upstream;

	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\n");
	pause_it();
	world_say(client, "b\n");
	world_expect(upstream, "a\n");
	resume_it();
	world_expect(upstream, "b\n");
	world_say(upstream, "1\n2\n");
	world_expect(client, "1\n2\n");
	assert_int_equal(remote.lost, 0);
}
WORLD_STORY(a_pause_that_is_over_early_goes_on_with_the_same_connection)

/* Else the next connection's first request would begin in the middle of one. */
static void
a_request_that_was_given_in_part_is_given_as_a_whole(void **state)
{
	size_t length = 3u << 20, heard = 0;
	char *text = malloc(length + 1);
	int client, upstream;
	ssize_t n;

	(void)state;
	memset(text, 'x', length);
	text[length - 1] = '\n';
	text[length] = '\0';
	world.settings.max_message = 4u << 20;
	world_begin();
	upstream = world_bring();
	client = world_come();
	for (size_t said = 0; said < length; world_settle()) {
		n = send(client, text + said, length - said, MSG_DONTWAIT);
		said += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(mux_in_flight(world.mux), 1);
	pause_it();
	world_say(client, "later\n");
	while (heard < length) {
		n = recv(upstream, text, length, MSG_DONTWAIT);
		heard += n > 0 ? (size_t)n : 0;
		world_settle();
	}
	assert_int_equal(heard, length);
	assert_int_equal(remote.let_go, 0);
	world_say(upstream, "1\n");
	world_expect(client, "1\n");
	assert_true(remote.let_go > 0);
	world_expect(upstream, "");
	free(text);
}

static void
nothing_that_waits_ends_in_a_pause(void **state)
{
	int client;

	(void)state;
	world.hold_timeout = 40 * CLOCK_MILLISECOND;
	world_begin();
	pause_it();
	client = world_come();
	world_say(client, "a\n");
	world_wait(120 * CLOCK_MILLISECOND);
	assert_int_equal(world.ended, 0);
	resume_it();
	assert_int_equal(world.ended, 0);
	world_wait(200 * CLOCK_MILLISECOND);
	assert_int_equal(world.ended, 1);
}

static void
a_heartbeat_is_not_sent_in_a_pause(void **state)
{
	int upstream;

	(void)state;
	world.settings.heartbeat_send = (char[]){ "beat" };
	world.settings.heartbeat_interval = world.settings.heartbeat_timeout = 20 * CLOCK_MILLISECOND;
	world_begin();
	upstream = world_bring();
	pause_it();
	world_wait(100 * CLOCK_MILLISECOND);
	world_expect(upstream, "");
	assert_int_equal(remote.lost, 0);
	assert_true(remote.let_go > 0);
}

static void
story_a_one_way_message_is_in_flight_until_the_other_host_has_it(void)
{
	int client, upstream;

	world.settings.replies = SHARED_NONE;
	world.tcp = true;
	world_begin();
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\n");
	world_expect(upstream, "a\n");
	pause_it();
	world_say(client, "b\n");
	world_wait(20 * CLOCK_MILLISECOND);
	assert_int_equal(mux_in_flight(world.mux), 0);
	assert_true(remote.let_go > 0);
	world_expect(upstream, "");
	resume_it();
	world_expect(upstream, "b\n");
}
WORLD_STORY(a_one_way_message_is_in_flight_until_the_other_host_has_it)

static bool
on_client(void *arg, uint32_t session)
{
	unsigned *count = arg;

	assert_true(table_client_is_open(&world.table, session));
	return ++*count < 2;
}

static void
each_client_in_flight_is_named_once(void **state)
{
	int clients[3], upstream;
	unsigned count = 0;

	(void)state;
	world_begin();
	upstream = world_bring();
	for (int i = 0; i < 3; i++)
		clients[i] = world_come();
	world_say(clients[0], "a\nb\n");
	pause_it();
	world_say(clients[1], "c\n");
	mux_each_in_flight(world.mux, on_client, &count);
	assert_int_equal(count, 1);
	resume_it();
	world_say(clients[2], "d\n");
	count = 0;
	mux_each_in_flight(world.mux, on_client, &count);
	assert_int_equal(count, 2); /* and no further one, since the second was enough */
	world_expect(upstream, "a\nb\nc\nd\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(what_is_in_flight_is_answered_and_the_rest_waits),
		WORLD_ROW(a_pause_that_is_over_early_goes_on_with_the_same_connection),
		WORLD_ROW(a_request_that_was_given_in_part_is_given_as_a_whole),
		WORLD_ROW(nothing_that_waits_ends_in_a_pause),
		WORLD_ROW(a_heartbeat_is_not_sent_in_a_pause),
		WORLD_ROW(a_one_way_message_is_in_flight_until_the_other_host_has_it),
		WORLD_ROW(each_client_in_flight_is_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
