/* Messages without replies for which the queue has no place: who waits, what is dropped, what is told of it. */
#include "shared_stage.h"


#include "log_lines.h"

/* The queue holds so many messages of two bytes. */
#define PLACES 5

static void
begin(enum shared_on_full on_full)
{
	world.settings.replies = SHARED_NONE;
	world.settings.on_full = on_full;
	world.settings.queue_size = PLACES * (2 + sizeof(struct table_pending));
	world_begin();
}

static void
with_block_who_finds_the_queue_full_waits_and_all_arrive(void **state)
{
	char text[18] = "";
	int client, other, upstream;
	ssize_t n;

	(void)state;
	begin(SHARED_BLOCK);
	client = world_come();
	other = world_come();
	world_say(client, "a\nb\nc\nd\ne\nf\ng\n");
	world_say(other, "h\n");
	assert_int_equal(world_record()->pending_tail, PLACES);
	upstream = world_bring();
	for (size_t heard = 0; heard < 16; heard += n > 0 ? (size_t)n : 0) {
		world_wait(CLOCK_MILLISECOND);
		n = recv(upstream, text + heard, 17 - heard, MSG_DONTWAIT);
	}
	assert_string_equal(text, "a\nb\nc\nd\ne\nf\ng\nh\n");
	assert_int_equal(world_record()->dropped, 0);
}

/* Two clients say eight messages, for five of which there is a place; these are what the upstream gets. */
static void
drop_three(enum shared_on_full on_full, const char *rest)
{
	int client, other, upstream;

	begin(on_full);
	client = world_come();
	other = world_come();
	world_say(client, "a\nb\nc\nd\ne\nf\ng\n");
	world_say(other, "h\n");
	assert_int_equal(world_record()->dropped, 3);
	upstream = world_bring();
	world_expect(upstream, rest);
	assert_int_equal(world_record()->dropped, 3);
}

static void
story_drop_newest_drops_what_finds_the_queue_full(void)
{
	drop_three(SHARED_DROP_NEWEST, "a\nb\nc\nd\ne\n");
	assert_int_equal(world_record()->lost, 0);
}
WORLD_STORY(drop_newest_drops_what_finds_the_queue_full)

static void
story_drop_oldest_drops_what_came_first(void)
{
	drop_three(SHARED_DROP_OLDEST, "d\ne\nf\ng\nh\n");
	assert_int_equal(world_record()->messages[TABLE_UP], 8);
}
WORLD_STORY(drop_oldest_drops_what_came_first)

/* A message by itself decides: a shorter one behind a long one finds its place. */
static void
story_drop_newest_drops_only_what_does_not_fit(void)
{
	int client, upstream;

	begin(SHARED_DROP_NEWEST);
	client = world_come();
	world_say(client, "a\nb\nc\n0123456789 0123456789 0123456789\n0123456789 0123456789 0123456789\nd\ne\nf\n");
	assert_int_equal(world_record()->dropped, 3);
	upstream = world_bring();
	world_expect(upstream, "a\nb\nc\nd\ne\n");
}
WORLD_STORY(drop_newest_drops_only_what_does_not_fit)

/* Two are in flight: a Unix socket's host has acknowledged what was read. */
static void
story_drop_oldest_keeps_what_was_given(void)
{
	int client, upstream;

	world.settings.max_in_flight = 2;
	begin(SHARED_DROP_OLDEST);
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\nd\ne\n");
	assert_int_equal(mux_in_flight(world.mux), 2);
	world_say(client, "f\n");
	assert_int_equal(world_record()->dropped, 2); /* as many as are in flight, to make room for those */
	assert_int_equal(mux_in_flight(world.mux), 2);
	world_say(client, "g\n");
	assert_int_equal(world_record()->dropped, 2);
	assert_string_equal(side_hear(upstream), "a\nb\n");
	world_wait(300 * CLOCK_MILLISECOND);
	assert_string_equal(side_hear(upstream), "e\nf\n");
	world_wait(300 * CLOCK_MILLISECOND);
	world_expect(upstream, "g\n");
	assert_int_equal(world_record()->dropped, 2);
}
WORLD_STORY(drop_oldest_keeps_what_was_given)

/* All that the queue holds is in flight: then it is the newest that finds no place. */
static void
story_where_all_was_given_the_newest_is_dropped(void)
{
	int client, upstream;

	begin(SHARED_DROP_OLDEST);
	upstream = world_bring();
	client = world_come();
	world_say(client, "a\nb\nc\nd\ne\n");
	assert_int_equal(mux_in_flight(world.mux), PLACES);
	world_say(client, "f\n");
	assert_int_equal(world_record()->dropped, 1);
	world_expect(upstream, "a\nb\nc\nd\ne\n");
	world_wait(300 * CLOCK_MILLISECOND);
	world_say(client, "g\n");
	world_expect(upstream, "g\n");
}
WORLD_STORY(where_all_was_given_the_newest_is_dropped)

static void
an_empty_queue_takes_a_longer_message_than_queue_size(void **state)
{
	int client, upstream;

	(void)state;
	begin(SHARED_DROP_OLDEST);
	client = world_come();
	world_say_long(client, 200);
	upstream = world_bring();
	world_hear_long(upstream, 200);
	assert_int_equal(world_record()->dropped, 0);
}

/* The receive buffer of their socket does not fill. */
static void
story_datagrams_are_read_and_dropped(void)
{
	int pair[2], upstream;

	world.settings.type = LISTENER_DGRAM;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	world.datagrams = pair[0];
	world.table.services[0].sockets[0].fd = pair[0];
	world.table.services[1].sockets[0].fd = pair[1];
	begin(SHARED_DROP_OLDEST);
	world.settings.queue_size *= 3; /* a packet is counted with all that its framing could add */
	for (char text[2] = "a"; text[0] <= 'z'; text[0]++)
		world_say(pair[1], text);
	assert_in_range(world_record()->dropped, 1, 25);
	upstream = world_bring();
	world_settle();
	assert_string_equal(strstr(side_hear(upstream), "y"), "y\nz\n");
}
WORLD_STORY(datagrams_are_read_and_dropped)

static void
who_waits_goes_on_when_a_reload_says_drop(void **state)
{
	int client;

	(void)state;
	begin(SHARED_BLOCK);
	client = world_come();
	world_say(client, "a\nb\nc\nd\ne\nf\ng\n");
	assert_int_equal(world_record()->dropped, 0);
	world.settings.on_full = SHARED_DROP_NEWEST;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	world_settle();
	assert_int_equal(world_record()->dropped, 2);
}

/* Without memory for more the queue is full before queue_size says so. */
static void
a_queue_without_memory_is_full(void **state)
{
	int client, upstream;

	(void)state;
	begin(SHARED_DROP_NEWEST);
	world.settings.queue_size = 8 << 20;
	budget_set(world.table.budget, 1 << 20);
	client = world_come();
	for (int i = 0; i < 1000; i++)
		world_say_long(client, 2000);
	assert_in_range(world_record()->dropped, 600, 999);
	assert_int_equal(world_record()->dropped + world_record()->messages[TABLE_UP], 1000);
	upstream = world_bring();
	world_hear_long(upstream, 2000);
	world_say(client, "x\n");
	assert_in_range(budget_taken(world.table.budget), 1, 512 << 10);
}

static int teller;

static void
drop_two(void)
{
	world_say(teller, "a\nb\nc\nd\ne\nf\n");
	world_say(teller, "g\n");
	world_wait(59 * CLOCK_SECOND);
}

static void
drop_one(void)
{
	world_say(teller, "h\n");
}

static void
wait_a_minute(void)
{
	world_wait(61 * CLOCK_SECOND);
}

/* The next worker has nothing to tell. */
static void
wait_and_die(void)
{
	wait_a_minute();
	world_die();
	world_settle();
}

static void
a_drop_is_told_at_once_and_then_counted_every_minute(void **state)
{
	(void)state;
	begin(SHARED_DROP_NEWEST);
	teller = world_come();
	assert_int_equal(count_lines(drop_two, LOG_LEVEL_WARNING, "cache: the queue is full (90 of queue_size 90 "
	    "bytes): messages are dropped"), 1);
	assert_int_equal(count_lines(wait_a_minute, LOG_LEVEL_WARNING, "cache: 2 messages dropped in the last "
	    "minute: the queue was full (queue_size 90 bytes)"), 1);
	assert_int_equal(count_lines(wait_and_die, LOG_LEVEL_WARNING, ""), 0);
	assert_int_equal(count_lines(drop_one, LOG_LEVEL_WARNING, "the queue is full"), 1);
	world_die();
	assert_int_equal(count_lines(wait_a_minute, LOG_LEVEL_WARNING, "1 messages dropped"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_ROW(with_block_who_finds_the_queue_full_waits_and_all_arrive),
		WORLD_ROW(drop_newest_drops_what_finds_the_queue_full),
		WORLD_ROW(drop_oldest_drops_what_came_first),
		WORLD_ROW(drop_newest_drops_only_what_does_not_fit),
		WORLD_ROW(drop_oldest_keeps_what_was_given),
		WORLD_ROW(where_all_was_given_the_newest_is_dropped),
		WORLD_ROW(an_empty_queue_takes_a_longer_message_than_queue_size),
		WORLD_ROW(datagrams_are_read_and_dropped),
		WORLD_ROW(who_waits_goes_on_when_a_reload_says_drop),
		WORLD_ROW(a_queue_without_memory_is_full),
		WORLD_ROW(a_drop_is_told_at_once_and_then_counted_every_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
