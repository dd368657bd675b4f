/* The worker dies before any instruction: in asking, answering, a loss, and turning away.  Whatever it had done, the
 * next one answers each request once, and in its order. */
#include "shared_stage.h"

#include <stdio.h>

static int client, other, upstream;

static void
begin_world(void)
{
	static char gone[] = "gone";

	world_open(NULL);
	world.settings.loss_reply = gone;
	world_begin();
	client = world_come();
	other = world_come();
}

static void
act(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++)
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
}

/* Whatever is there to be heard, with what was heard before. */
static void
hear(int fd, char *heard, size_t size)
{
	size_t length = strlen(heard);
	const char *text = side_hear(fd);

	assert_true(length + strlen(text) < size);
	strcpy(heard + length, text);
}

/* What both have heard when a worker has died and the next one has done what there was to do. */
static void
hear_over_a_death(char first[64], char second[64])
{
	first[0] = second[0] = '\0';
	hear(client, first, 64);
	hear(other, second, 64);
	world_die();
	world_settle();
	hear(client, first, 64);
	hear(other, second, 64);
}

static void
prepare_to_ask(void *arg)
{
	(void)arg;
	begin_world();
	upstream = world_bring();
	world_settle();
	side_say(client, "a\nb\n");
	side_say(other, "o\n");
}

/* The upstream answers what it hears by the same word. */
static void
check_asked(void *arg, bool finished)
{
	char asked[64] = "", first[64] = "", second[64] = "";

	(void)arg;
	(void)finished;
	world_die();
	world_settle();
	hear(upstream, asked, sizeof asked);
	assert_int_equal(strlen(asked), 6);
	world_say(upstream, asked);
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	assert_string_equal(first, "a\nb\n");
	assert_string_equal(second, "o\n");
	assert_int_equal(world_count_buffers(), 0);
	world_close(NULL);
}

static void
a_death_while_they_ask_sends_each_request_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_ask, act, check_asked, NULL))
		skip();
}

static void
prepare_to_answer(void *arg)
{
	prepare_to_ask(arg);
	world_settle();
	assert_string_equal(side_hear(upstream), "a\nb\no\n");
	side_say(upstream, "A\nB\nO\n");
}

static void
check_answered(void *arg, bool finished)
{
	char first[64], second[64];

	(void)arg;
	(void)finished;
	hear_over_a_death(first, second);
	assert_string_equal(first, "A\nB\n");
	assert_string_equal(second, "O\n");
	world_close(NULL);
}

static void
a_death_while_they_are_answered_gives_each_reply_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_answer, act, check_answered, NULL))
		skip();
}

static void
prepare_to_lose(void *arg)
{
	prepare_to_ask(arg);
	world_settle();
	assert_string_equal(side_hear(upstream), "a\nb\no\n");
	side_say(upstream, "A\n");
	world_leave(upstream);
}

/* All who are there go on with the next connection. */
static void
go_on(void)
{
	char asked[64] = "", first[64] = "", second[64] = "";

	if (!mux_is_connected(world.mux))
		upstream = world_bring();
	side_say(client, "c\n");
	world_say(other, "p\n");
	hear(upstream, asked, sizeof asked);
	assert_int_equal(strlen(asked), 4);
	world_say(upstream, asked);
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	assert_string_equal(first, "c\n");
	assert_string_equal(second, "p\n");
	assert_int_equal(world_count_buffers(), 0);
	world_close(NULL);
}

static void
check_lost(void *arg, bool finished)
{
	char first[64], second[64];

	(void)arg;
	(void)finished;
	hear_over_a_death(first, second);
	assert_string_equal(first, "A\ngone\n");
	assert_string_equal(second, "gone\n");
	assert_int_equal(world_record()->lost, 2);
	go_on();
}

static void
a_death_in_a_loss_tells_each_who_lost_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_lose, act, check_lost, NULL))
		skip();
}

static void
prepare_to_refuse(void *arg)
{
	(void)arg;
	begin_world();
	side_say(client, "a\nb\n");
	side_say(other, "o\n");
	world_settle();
	remote.refuses = true;
}

static void
refuse(void *arg)
{
	mux_serve(world.mux);
	act(arg);
}

/* The next worker finds that a connection will come after all: what was not turned away is asked. */
static void
check_refused(void *arg, bool finished)
{
	char first[64] = "", second[64] = "", asked[64] = "";

	(void)arg;
	(void)finished;
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	remote.refuses = false;
	world_die();
	upstream = world_bring();
	world_settle();
	hear(upstream, asked, sizeof asked);
	world_say(upstream, asked);
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	assert_int_equal(remote.lost, 0);
	if (strcmp(first, "a\nb\n") != 0 && strcmp(first, "gone\nb\n") != 0)
		assert_string_equal(first, "gone\ngone\n");
	assert_string_equal(second, strchr(asked, 'o') != NULL ? "o\n" : "gone\n");
	go_on();
}

static void
a_death_while_they_are_turned_away_answers_each_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_refuse, refuse, check_refused, NULL))
		skip();
}

static void
begin_world_of_resp(void)
{
	world_open(NULL);
	world.settings.framing = FRAMING_RESP;
	world_begin();
	client = world_come();
	other = world_come();
	upstream = world_bring();
	world_settle();
}

/* One asks for what it cannot have, the other says what is no request; each goes on as if nothing were. */
static void
prepare_to_close(void *arg)
{
	(void)arg;
	begin_world_of_resp();
	side_say(client, "INCR a\r\nMULTI\r\nINCR b\r\nEXEC\r\n");
	side_say(other, "*x\r\nINCR c\r\n");
}

static void
check_closed(void *arg, bool finished)
{
	char asked[64] = "", first[256] = "", second[256] = "";

	(void)arg;
	(void)finished;
	world_die();
	world_settle();
	hear(upstream, asked, sizeof asked);
	assert_string_equal(asked, "INCR a\r\n");
	world_say(upstream, ":1\r\n");
	world_die();
	world_settle();
	hear(client, first, sizeof first);
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	hear(other, second, sizeof second);
	assert_string_equal(first, ":1\r\n-ERR MULTI needs a connection of its own; this service is shared: use "
	    "a service with mode = \"session\"\r\nEOF");
	assert_string_equal(second, "-ERR Protocol error: invalid multibulk length\r\nEOF");
	assert_string_equal(side_hear(upstream), "");
	world_close(NULL);
}

static void
a_death_before_they_are_closed_does_nothing_of_what_is_behind(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_close, act, check_closed, NULL))
		skip();
}

/* The reply to INCR a is there: what is refused is refused now. */
static void
prepare_to_end(void *arg)
{
	prepare_to_close(arg);
	world_settle();
	side_say(upstream, ":1\r\n");
}

/* In this turn alone: few steps, so that hardly one is left out. */
static void
act_once(void *arg)
{
	(void)arg;
	event_base_loop(world.loop, EVLOOP_NONBLOCK);
}

static void
check_ended(void *arg, bool finished)
{
	char asked[64] = "";

	(void)arg;
	(void)finished;
	hear(upstream, asked, sizeof asked);
	assert_string_equal(asked, "INCR a\r\n");
	world_die();
	world_settle();
	assert_string_equal(side_hear(client), ":1\r\n-ERR MULTI needs a connection of its own; this service is "
	    "shared: use a service with mode = \"session\"\r\n");
	assert_string_equal(side_hear(client), "EOF");
	assert_string_equal(side_hear(upstream), "");
	world_close(NULL);
}

static void
a_death_while_one_is_refused_leaves_its_error_whole_and_its_end(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_end, act_once, check_ended, NULL))
		skip();
}

#define LONG_HEAD "*2\r\n$20\r\nabcdefghijklmno"
#define LONG_TAIL "pqrst\r\n:7\r\n"

/* The one's reply is longer than max_message; its head has come. */
static void
prepare_to_pass(void *arg)
{
	(void)arg;
	begin_world_of_resp();
	world.settings.max_message = 20;
	world.settings.on_loss = SHARED_RETRY;
	mux_set(world.mux, &world.settings, 0, false, false, &world.resp);
	side_say(client, "GET long\r\n");
	world_say(other, "INCR a\r\n");
	assert_string_equal(side_hear(upstream), "GET long\r\nINCR a\r\n");
	side_say(upstream, LONG_HEAD);
}

static void
check_passed(void *arg, bool finished)
{
	char first[64] = "", second[64] = "";

	(void)arg;
	(void)finished;
	hear_over_a_death(first, second);
	assert_string_equal(first, LONG_HEAD);
	world_say(upstream, LONG_TAIL ":1\r\n");
	hear(client, first, sizeof first);
	hear(other, second, sizeof second);
	assert_string_equal(first, LONG_HEAD LONG_TAIL);
	assert_string_equal(second, ":1\r\n");
	assert_int_equal(world_count_buffers(), 0);
	world_close(NULL);
}

static void
a_death_while_a_long_reply_begins_gives_each_byte_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_pass, act, check_passed, NULL))
		skip();
}

/* And its end, with the reply behind it. */
static void
prepare_to_end_long(void *arg)
{
	prepare_to_pass(arg);
	world_settle();
	side_say(upstream, LONG_TAIL ":1\r\n");
}

static void
check_ended_long(void *arg, bool finished)
{
	char first[64], second[64];

	(void)arg;
	(void)finished;
	hear_over_a_death(first, second);
	assert_string_equal(first, LONG_HEAD LONG_TAIL);
	assert_string_equal(second, ":1\r\n");
	assert_int_equal(world_record()->streamed, 0);
	assert_int_equal(world_count_buffers(), 0);
	world_close(NULL);
}

static void
a_death_while_a_long_reply_ends_gives_each_byte_once(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_end_long, act, check_ended_long, NULL))
		skip();
}

static void
prepare_to_cut(void *arg)
{
	prepare_to_pass(arg);
	world_settle();
	world_leave(upstream);
}

static void
check_cut(void *arg, bool finished)
{
	char first[64], second[64];

	(void)arg;
	(void)finished;
	hear_over_a_death(first, second);
	if (strcmp(first, LONG_HEAD) == 0)
		hear(client, first, sizeof first);
	assert_string_equal(first, LONG_HEAD "EOF");
	assert_string_equal(second, "");
	assert_int_equal(world_record()->lost, 1);
	if (!mux_is_connected(world.mux))
		upstream = world_bring();
	world_settle();
	assert_string_equal(side_hear(upstream), "INCR a\r\n");
	world_say(upstream, ":1\r\n");
	hear(other, second, sizeof second);
	assert_string_equal(second, ":1\r\n");
	assert_int_equal(world_count_buffers(), 0);
	world_close(NULL);
}

static void
a_death_while_a_long_reply_is_cut_off_ends_its_asker_alone(void **state)
{
	(void)state;
	if (!side_every_step(prepare_to_cut, act, check_cut, NULL))
		skip();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_while_they_ask_sends_each_request_once),
		cmocka_unit_test(a_death_while_they_are_answered_gives_each_reply_once),
		cmocka_unit_test(a_death_in_a_loss_tells_each_who_lost_once),
		cmocka_unit_test(a_death_while_they_are_turned_away_answers_each_once),
		cmocka_unit_test(a_death_before_they_are_closed_does_nothing_of_what_is_behind),
		cmocka_unit_test(a_death_while_one_is_refused_leaves_its_error_whole_and_its_end),
		cmocka_unit_test(a_death_while_a_long_reply_begins_gives_each_byte_once),
		cmocka_unit_test(a_death_while_a_long_reply_ends_gives_each_byte_once),
		cmocka_unit_test(a_death_while_a_long_reply_is_cut_off_ends_its_asker_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
