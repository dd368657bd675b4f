/* A message's end and its first words, of bytes that are seen only once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "framing/resp_stream.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

struct stream_row {
	enum resp_stream_kind kind;
	const char *bytes;
	size_t length;
	enum framing_result result;
	size_t used; /* of FRAMING_WHOLE */
	uint64_t count;
	const char *words[RESP_STREAM_WORDS];
};

#define REQUEST(TEXT, USED, COUNT, ...) \
	{ RESP_STREAM_REQUEST, TEXT, sizeof TEXT - 1, FRAMING_WHOLE, USED, COUNT, { __VA_ARGS__ } }
#define REPLY(TEXT, USED, COUNT, ...) \
	{ RESP_STREAM_REPLY, TEXT, sizeof TEXT - 1, FRAMING_WHOLE, USED, COUNT, { __VA_ARGS__ } }
#define ENDS(KIND, TEXT, RESULT) { RESP_STREAM_##KIND, TEXT, sizeof TEXT - 1, FRAMING_##RESULT, 0, 0, { NULL } }

static enum framing_result
feed_text(struct resp_stream *stream, const char *text, size_t length, size_t *ret_used)
{
	return resp_stream_feed(stream, (const unsigned char *)text, length, ret_used);
}

/* Fed step bytes at a time, each from memory of its own. */
static enum framing_result
feed(struct resp_stream *stream, const struct stream_row *row, size_t first, size_t step)
{
	enum framing_result result = FRAMING_MORE;
	size_t at = 0, piece = first, used;

	resp_stream_begin(stream, row->kind);
	while (at < row->length && result == FRAMING_MORE) {
		unsigned char *bytes;

		piece = piece < row->length - at ? piece : row->length - at;
		bytes = malloc(piece > 0 ? piece : 1);
		memcpy(bytes, row->bytes + at, piece);
		result = resp_stream_feed(stream, bytes, piece, &used);
		free(bytes);
		assert_true(used <= piece);
		at += used;
		piece = step;
	}
	assert_int_equal(stream->length, at);
	return result;
}

static void
check_one(const struct stream_row *row, size_t first, size_t step)
{
	struct resp_stream stream;
	enum framing_result result = feed(&stream, row, first, step);

	if (result != row->result)
		fail_msg("\"%.60s\", %zu and %zu bytes at a time: %d instead of %d", row->bytes, first, step, result,
		    row->result);
	if (result != FRAMING_WHOLE)
		return;
	assert_int_equal(stream.length, row->used);
	assert_int_equal(stream.count, row->count);
	for (size_t i = 0; i < RESP_STREAM_WORDS && row->words[i] != NULL; i++) {
		assert_int_equal(stream.words[i].length, strlen(row->words[i]));
		assert_memory_equal(stream.words[i].bytes, row->words[i], strlen(row->words[i]));
	}
}

static void
check_rows(const struct stream_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_one(&rows[i], 0, 1);
		check_one(&rows[i], 0, 3);
		for (size_t first = 1; first <= rows[i].length; first++)
			check_one(&rows[i], first, rows[i].length);
	}
}

static const struct stream_row requests[] = {
	REQUEST("*1\r\n$4\r\nPING\r\n*", 14, 1, "PING"), REQUEST("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 19, 2, "GET", ""),
	REQUEST("*4\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n$1\r\nx\r\n", 43, 4, "CLIENT", "REPLY", "OFF"),
	REQUEST("*1\r\n$6\r\nPOST\0x\r\n", 16, 1, "POST"), REQUEST("*0\r\n*0", 4, 0, NULL),
	REQUEST("*-1\r\n", 5, 0, NULL),
	REQUEST("PING\r\nPING", 6, 1, "PING"), REQUEST("\n", 1, 0, NULL), REQUEST(" \t\v\r\n", 5, 0, NULL),
	REQUEST("set \"a b\\x41\\x4\" 'c\\'\\d'\n", 25, 3, "set", "a bAx4", "c'\\d"),
	REQUEST("a b c d\r\n", 9, 4, "a", "b", "c"), REQUEST("P'I'\t\"\"\n", 8, 2, "PI", ""),
	ENDS(REQUEST, "*1\r\n$4\r\nPING\r", MORE), ENDS(REQUEST, "PING", MORE), ENDS(REQUEST, "", MORE),
	ENDS(REQUEST, "*1\r\nPING\r\n", MALFORMED), ENDS(REQUEST, "*1\r\n*1\r\n", MALFORMED),
	ENDS(REQUEST, "*01\r\n", MALFORMED), ENDS(REQUEST, "*1\r\n$-1\r\n", MALFORMED),
	ENDS(REQUEST, "*1\r\n$4\r\nPINGS\r\n", MALFORMED), ENDS(REQUEST, "*1\r\n$4\r\nPING\n", MALFORMED),
	ENDS(REQUEST, "x \"a\r\n", MALFORMED), ENDS(REQUEST, "\"a\"b\n", MALFORMED), ENDS(REQUEST, "a\0", MALFORMED),
	ENDS(REQUEST, "*1048577\r\n", TOO_LONG), ENDS(REQUEST, "*1048576\r\n", MORE),
	ENDS(REQUEST, "*1\r\n$536870913\r\n", TOO_LONG), ENDS(REQUEST, "*1\r\n$536870912\r\n", MORE),
};

static void
requests_keep_their_first_words(void **state)
{
	(void)state;
	check_rows(requests, COUNT(requests));
}

static const struct stream_row replies[] = {
	REPLY("+OK\r\n+", 5, 1, "OK"), REPLY("-ERR a\rb\r\n", 10, 1, "ERR a\rb"), REPLY("+\r\n", 3, 1, ""),
	REPLY(":-12\r\n", 6, 1, "-12"), REPLY("$3\r\n\r\n\0\r\n", 9, 1, "\r\n"), REPLY("$-1\r\n", 5, 1, ""),
	REPLY("*-1\r\n", 5, 1, ""), REPLY("_\r\n", 3, 1, ""), REPLY("#t\r\n", 4, 1, "t"),
	REPLY(",1.5\r\n", 6, 1, "1.5"),
	REPLY("(123\r\n", 6, 1, "123"), REPLY("=5\r\ntxt:a\r\n", 11, 1, "txt:a"), REPLY("!1\r\nx\r\n", 7, 1, "x"),
	REPLY("*0\r\n", 4, 0, NULL),
	REPLY("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n", 30, 3, "subscribe", "a", "1"),
	REPLY(">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", 29, 3, "unsubscribe", "", "0"),
	REPLY("%1\r\n+a\r\n~2\r\n:1\r\n#f\r\n", 20, 4, "a", "", "1"),
	REPLY("*1\r\n*1\r\n:5\r\n:6\r\n", 12, 2, "", "5"),
	REPLY("|1\r\n+a\r\n:1\r\n*1\r\n+b\r\n", 20, 4, "a", "1", ""),
	ENDS(REPLY, "*2\r\n*1\r\n:5\r\n", MORE), ENDS(REPLY, "|1\r\n+a\r\n:1\r\n", MORE),
	ENDS(REPLY, "$5\r\nabc", MORE),
	ENDS(REPLY, "*1\r\n>1\r\n:1\r\n", MALFORMED), ENDS(REPLY, "|0\r\n>0\r\n", MALFORMED),
	ENDS(REPLY, "+OK\n", MALFORMED), ENDS(REPLY, "x\r\n", MALFORMED), ENDS(REPLY, "$-2\r\n", MALFORMED),
	ENDS(REPLY, "~-1\r\n", MALFORMED), ENDS(REPLY, ":-0\r\n", MALFORMED), ENDS(REPLY, ":1a\r\n", MALFORMED),
	ENDS(REPLY, "#x\r\n", MALFORMED), ENDS(REPLY, "_a\r\n", MALFORMED), ENDS(REPLY, "$1\r\nab\r\n", MALFORMED),
	ENDS(REPLY, ":99999999999999999999\r\n", MALFORMED), ENDS(REPLY, "$9999999999999999999\r\n", TOO_LONG),
	ENDS(REPLY, "*281474976710657\r\n", TOO_LONG), ENDS(REPLY, "*9999999999999999999\r\n", TOO_LONG),
	ENDS(REPLY, "%281474976710656\r\n", TOO_LONG), ENDS(REPLY, "*2\r\n*281474976710656\r\n", TOO_LONG),
};

static void
replies_are_counted_as_they_pass(void **state)
{
	(void)state;
	check_rows(replies, COUNT(replies));
}

/* Nesting is counted, not stacked, so that it has no limit. */
static void
replies_may_nest_without_limit(void **state)
{
	struct resp_stream stream;
	size_t used;

	(void)state;
	resp_stream_begin(&stream, RESP_STREAM_REPLY);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(feed_text(&stream, "*2\r\n:1\r\n", 8, &used), FRAMING_MORE);
	assert_int_equal(feed_text(&stream, ":2\r\n", 4, &used), FRAMING_WHOLE);
	assert_int_equal(stream.length, 800004);
}

static void
contents_can_be_passed_on_without_a_look(void **state)
{
	static const char head[] = "*2\r\n$3\r\nGET\r\n$1099511627776\r\n";
	struct resp_stream stream;
	size_t used;

	(void)state;
	resp_stream_begin(&stream, RESP_STREAM_REPLY);
	assert_int_equal(resp_stream_ahead(&stream), 0);
	assert_int_equal(feed_text(&stream, head, sizeof head - 1, &used), FRAMING_MORE);
	/* The first bytes of a word are kept, and have to be seen. */
	assert_int_equal(resp_stream_ahead(&stream), 0);
	assert_int_equal(feed_text(&stream, "012345678901234567890123", 24, &used), FRAMING_MORE);
	assert_int_equal(resp_stream_ahead(&stream), (1LL << 40) - 24);
	resp_stream_pass(&stream, 1LL << 39);
	assert_int_equal(resp_stream_ahead(&stream), (1LL << 39) - 24);
	resp_stream_pass(&stream, (1LL << 39) - 24);
	assert_int_equal(resp_stream_ahead(&stream), 0);
	assert_int_equal(feed_text(&stream, "\r\n+", 3, &used), FRAMING_WHOLE);
	assert_int_equal(used, 2);
	assert_int_equal(stream.length, sizeof head - 1 + (1LL << 40) + 2);
	assert_memory_equal(stream.words[1].bytes, "012345678901234567890123", 24);
}

static void
null_is_told_from_what_looks_like_it(void **state)
{
	static const struct {
		const char *bytes;
		bool null;
	} rows[] = {
		{ "_\r\n", true }, { "$-1\r\n", true }, { "*-1\r\n", true },
		{ ":-1\r\n", false }, { "*1\r\n_\r\n", false },
		{ "*1\r\n$-1\r\n", false }, { "*0\r\n", false }, { "+_\r\n", false }, { "$0\r\n\r\n", false },
	};
	struct resp_stream stream;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		resp_stream_begin(&stream, RESP_STREAM_REPLY);
		assert_int_equal(feed_text(&stream, rows[i].bytes, strlen(rows[i].bytes), &used),
		    FRAMING_WHOLE);
		assert_int_equal(resp_stream_is_null(&stream), rows[i].null);
	}
}

static void
a_line_has_at_most_64_kib(void **state)
{
	unsigned char *bytes = malloc(65538);
	struct resp_stream stream;
	size_t used;

	(void)state;
	memset(bytes, 'x', 65538);
	bytes[65536] = '\n';
	resp_stream_begin(&stream, RESP_STREAM_REQUEST);
	assert_int_equal(resp_stream_feed(&stream, bytes, 65538, &used), FRAMING_WHOLE);
	assert_int_equal(used, 65537);
	bytes[65536] = 'x';
	resp_stream_begin(&stream, RESP_STREAM_REQUEST);
	assert_int_equal(resp_stream_feed(&stream, bytes, 65536, &used), FRAMING_MORE);
	assert_int_equal(resp_stream_feed(&stream, bytes, 1, &used), FRAMING_TOO_LONG);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_keep_their_first_words),
		cmocka_unit_test(replies_are_counted_as_they_pass),
		cmocka_unit_test(replies_may_nest_without_limit),
		cmocka_unit_test(contents_can_be_passed_on_without_a_look),
		cmocka_unit_test(null_is_told_from_what_looks_like_it),
		cmocka_unit_test(a_line_has_at_most_64_kib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
