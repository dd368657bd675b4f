/* test_hello_talk.c - what hello says and waits for, at any split of the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "upstream/hello_talk.h"

#define SECOND CLOCK_SECOND

static char auth[] = "AUTH x\r\n", ping[] = "PING\r\n", ok[] = "+OK", pong[] = "+PONG", wrong[] = "-WRONGPASS";

/* A greeting that is only read, two steps, and a text that is not answered. */
static struct hello_step steps[] = {
	{ .expect = ok, .timeout = 5 * SECOND },
	{ .send = auth, .abort_on = wrong, .timeout = 5 * SECOND },
	{ .send = ping, .expect = pong, .abort_on = wrong, .timeout = 2 * SECOND },
	{ .send = ping, .timeout = SECOND / 20 },
};
static const struct hello_settings settings = { .steps = steps, .count = 4 };
static struct hello_talk talk;

/* Says whatever is to be said and hears the bytes in pieces of this size; how many were hello's. */
static size_t
play_with(const struct hello_settings *with, const char *bytes, size_t piece)
{
	size_t length = strlen(bytes), at = 0, size, taken;

	hello_talk_begin(&talk, with, 0);
	while (talk.wants != HELLO_OVER) {
		if (talk.wants == HELLO_SAY) {
			hello_talk_said(&talk, with, 0);
			continue;
		}
		size = length - at < piece ? length - at : piece;
		if (size == 0)
			break;
		taken = hello_talk_heard(&talk, with, bytes + at, size, 0);
		assert_true(taken > 0 && taken <= size);
		at += taken;
	}
	return at;
}

static size_t
play(const char *bytes, size_t piece)
{
	return play_with(&settings, bytes, piece);
}

static void
every_split_of_the_answers_gives_the_same(void **state)
{
	const char *answers = "+OK ready\r\nwhatever\n+PONG\r\nfor the client\n";

	(void)state;
	for (size_t piece = 1; piece <= strlen(answers); piece++) {
		assert_int_equal(play(answers, piece), strlen("+OK ready\r\nwhatever\n+PONG\r\n"));
		assert_int_equal(talk.end, HELLO_DONE);
		assert_string_equal(talk.error, "");
		assert_true(talk.deadline == CLOCK_NEVER);
	}
}

static void
a_whole_reply_of_redis_is_taken_at_any_split(void **state)
{
	static const char *const replies[] = { "+OK\r\n", "$5\r\na\r\nbc\r\n", "$-1\r\n", "*0\r\n", "*-1\r\n",
		"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*2\r\n$0\r\n\r\n#t\r\n",
		"|1\r\n+ttl\r\n:5\r\n*1\r\n=6\r\ntxt:\r\n\r\n" };
	static char any[] = "";
	struct hello_step step = { .send = ping, .expect = any, .timeout = SECOND };
	const struct hello_settings redis = { .steps = &step, .count = 1, .whole_replies = true };
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
		for (size_t piece = 1; piece <= strlen(replies[i]) + 5; piece++) {
			snprintf(bytes, sizeof bytes, "%s:next", replies[i]);
			assert_int_equal(play_with(&redis, bytes, piece), strlen(replies[i]));
			assert_int_equal(talk.end, HELLO_DONE);
			assert_int_equal(talk.wants, HELLO_OVER);
		}
}

static void
an_unexpected_line_is_shown(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 60; piece++) {
		play("+OK\r\n+OK\r\n-NOAUTH \"now\"\t\r\n", piece);
		assert_int_equal(talk.wants, HELLO_OVER);
		assert_int_equal(talk.end, HELLO_FAILED);
		assert_string_equal(talk.error, "hello: expected \"+PONG\", got \"-NOAUTH \\x22now\\x22\\t\"");
	}
}

static void
at_most_80_bytes_are_shown(void **state)
{
	char line[300], *shown;

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line + 298, "\n", 2);
	play(line, 7);
	shown = strstr(talk.error, "got \"");
	assert_non_null(shown);
	assert_int_equal(strspn(shown + 5, "x"), 80);
	assert_string_equal(shown + 85, "\"");
}

static void
p21_abort_on_comes_before_expect(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 60; piece++) {
		play("+OK\n-WRONGPASS invalid\r\n", piece);
		assert_int_equal(talk.wants, HELLO_OVER);
		assert_int_equal(talk.end, HELLO_ABORTED);
		assert_string_equal(talk.error, "hello: the server said \"-WRONGPASS invalid\"");
	}
}

static void
a_shorter_line_than_expected_does_not_begin_with_it(void **state)
{
	(void)state;
	play("+O\r\n", 10);
	assert_string_equal(talk.error, "hello: expected \"+OK\", got \"+O\"");
}

static void
lines_have_a_limit(void **state)
{
	static char line[HELLO_LINE_MAX + 3];

	(void)state;
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "+OK", 3);
	line[HELLO_LINE_MAX] = '\n';
	assert_int_equal(play(line, 4096), HELLO_LINE_MAX + 2); /* the next line has begun */
	assert_int_equal(talk.wants, HELLO_HEAR);
	line[HELLO_LINE_MAX] = 'x';
	hello_talk_begin(&talk, &settings, 0);
	assert_int_equal(hello_talk_heard(&talk, &settings, line, HELLO_LINE_MAX, 0), HELLO_LINE_MAX);
	hello_talk_heard(&talk, &settings, "x", 1, 0);
	assert_int_equal(talk.end, HELLO_FAILED);
	assert_string_equal(talk.error, "hello: the server's line is longer than 4096 bytes");
}

static void
the_timeout_runs_from_the_steps_begin(void **state)
{
	(void)state;
	hello_talk_begin(&talk, &settings, 0);
	assert_true(talk.deadline == 5 * SECOND);
	hello_talk_heard(&talk, &settings, "+OK\n", 4, 3 * SECOND);
	assert_true(talk.deadline == 8 * SECOND);
	hello_talk_said(&talk, &settings, 6 * SECOND);
	assert_true(talk.deadline == 8 * SECOND);
	assert_int_equal(talk.wants, HELLO_HEAR);
	hello_talk_late(&talk, &settings);
	assert_string_equal(talk.error, "hello: no answer within 5.0 s");
}

static void
lateness_says_what_was_missing(void **state)
{
	(void)state;
	hello_talk_begin(&talk, &settings, 0);
	hello_talk_heard(&talk, &settings, "+O", 2, 0);
	hello_talk_late(&talk, &settings);
	assert_string_equal(talk.error, "hello: no whole line within 5.0 s, got \"+O\"");
	play("+OK\n+OK\n", 10);
	assert_int_equal(talk.wants, HELLO_HEAR);
	hello_talk_closed(&talk);
	assert_string_equal(talk.error, "hello: the server closed the connection");
	hello_talk_begin(&talk, &settings, 0);
	hello_talk_heard(&talk, &settings, "bye", 3, 0);
	hello_talk_closed(&talk);
	assert_string_equal(talk.error, "hello: the server closed the connection after \"bye\"");
	hello_talk_begin(&talk, &(struct hello_settings){ .steps = &steps[3], .count = 1 }, 0);
	hello_talk_late(&talk, &(struct hello_settings){ .steps = &steps[3], .count = 1 });
	assert_string_equal(talk.error, "hello: the server takes nothing within 0.050 s");
}

static void
settings_are_copied_and_compared_deeply(void **state)
{
	struct hello_settings copy;

	(void)state;
	hello_settings_copy(&copy, &settings);
	assert_true(hello_settings_are_same(&copy, &settings));
	copy.steps[2].expect[1] = 'X';
	assert_false(hello_settings_are_same(&copy, &settings));
	copy.steps[2].expect[1] = 'P';
	copy.steps[0].timeout++;
	assert_false(hello_settings_are_same(&copy, &settings));
	hello_settings_clear(&copy);
	assert_int_equal(copy.count, 0);
	assert_false(hello_settings_are_same(&copy, &settings));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_of_the_answers_gives_the_same),
		cmocka_unit_test(a_whole_reply_of_redis_is_taken_at_any_split),
		cmocka_unit_test(an_unexpected_line_is_shown),
		cmocka_unit_test(at_most_80_bytes_are_shown),
		cmocka_unit_test(p21_abort_on_comes_before_expect),
		cmocka_unit_test(a_shorter_line_than_expected_does_not_begin_with_it),
		cmocka_unit_test(lines_have_a_limit),
		cmocka_unit_test(the_timeout_runs_from_the_steps_begin),
		cmocka_unit_test(lateness_says_what_was_missing),
		cmocka_unit_test(settings_are_copied_and_compared_deeply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
