/* memcache: what memcached answers once is one request, and what a client reads as one answer is one reply. */
#include "framing/memcache.h"

#include "framing/memcache_stream.h"
#include "parse_rows.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])
#define M           1000
#define K50         "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250        K50 K50 K50 K50 K50

static const struct parse_row lines[] = {
	ALL("get a\r\n", M), ALL("get a\n", M), ALL("get a\r\n", 7), ALL("get a b c d e f g h i j k l m n\r\n", M),
	ALL("gets a\r\n", M), ALL("gat 0 a b\r\n", M), ALL("gats 0 a\r\n", M), ALL("get\r\n", M),
	ALL("delete a\r\n", M), ALL("delete a 0 noreply\r\n", M), ALL("incr a 1\r\n", M), ALL("decr a 1\r\n", M),
	ALL("touch a 0\r\n", M), ALL("version\r\n", M), ALL("verbosity 1\r\n", M), ALL("flush_all\r\n", M),
	ALL("stats\r\n", M), ALL("stats items\r\n", M), ALL("mn\r\n", M), ALL("mg a v t q\r\n", M),
	ALL("md a q\r\n", M), ALL("ma a\r\n", M), ALL("me a\r\n", M), ALL("quit\r\n", M), ALL("watch\r\n", M),
	ALL("\r\n", M), ALL("\n", M), ALL("  \r\n", M), ALL("nonsense\r\n", M), ALL("SET a 0 0 1\r\n", M),
	ALL("a\rb\r\n", M), ALL("get " K250 "k\r\n", M),
	WHOLE("get a\r\nget b\r\n", M, 7), WHOLE("\n\n", 1, 1), WHOLE("quit\nx", 5, 5),
	MORE("", M), MORE("g", M), MORE("get a", M), MORE("get a\r", M), MORE("set a 0 0 1", M),
	MALFORMED("\x80", M), MALFORMED("\x80\x00\x00\x01\x00\x00\x00\x00", M), MALFORMED("get a\0b\r\n", M),
	MALFORMED("\0\n", M), TOO_LONG("get a\n", 5), TOO_LONG("get a", 5), TOO_LONG("g", 0),
};

static void
a_line_is_a_request(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_MEMCACHE)->request, lines, COUNT(lines));
}

static const struct parse_row stores[] = {
	ALL("set a 0 0 2\r\nhi\r\n", M), ALL("set a 0 0 2\nhi\r\n", M), ALL("set a 0 0 0\r\n\r\n", M),
	ALL("set a 0 0 2 noreply\r\nhi\r\n", M), ALL("  set  a  0  0  2  noreply  \r\nhi\r\n", M),
	ALL("add a 0 -1 2\r\nhi\r\n", M), ALL("replace a 0 0 2\r\nhi\r\n", M), ALL("append a 0 0 2\r\n\r\n\r\n", M),
	ALL("prepend a 0 0 4\r\n\0\n\r\n\r\n", M), ALL("cas a 0 0 2 7\r\nhi\r\n", M),
	ALL("cas a 0 0 2 7 noreply\r\nhi\r\n", M), ALL("set a 0 0 2\r\nhi\r\n", 17), ALL("set a 0 0 02\r\nhi\r\n", M),
	ALL("set a x y 2\r\nhi\r\n", M), ALL("set " K250 "k 0 0 2\r\nhi\r\n", M), ALL("cas a 0 0 2 x\r\nhi\r\n", M),
	ALL("ms a 2\r\nhi\r\n", M), ALL("ms a 2 T0 q\r\nhi\r\n", M), ALL("ms a 0\r\n\r\n", M),
	ALL("ms a 2 1 2 3 4 5 6 7 8 9 a b c d e f g\r\nhi\r\n", M),
	WHOLE("set a 0 0 2\r\nhi\r\nset", M, 17), WHOLE("set a 0 0 2\r\nhi\r\n\r\n", 17, 17),
	MORE("set a 0 0 2\r\n", M), MORE("set a 0 0 2\r\nhi", M), MORE("set a 0 0 2\r\nhi\r", M),
	MORE("ms a 2\r\nh", M),
	MALFORMED("set a 0 0 2\r\nhix\n", M), MALFORMED("set a 0 0 2\r\nhi\rx", M),
	MALFORMED("set a 0 0 2\r\nhi\n\n", M),
	MALFORMED("set\r\n", M), MALFORMED("set a 0 0\r\n", M), MALFORMED("set a 0 0 -1\r\n", M),
	MALFORMED("set a 0 0 x\r\n", M), MALFORMED("set a 0 0 +2\r\n", M), MALFORMED("set a 0 0 2 \t\r\n", M),
	MALFORMED("set a 0 0 2\r\r\n", M), MALFORMED("set a 0 0 2x\r\n", M), MALFORMED("set a 0 0 2 more\r\n", M),
	MALFORMED("set a 0 0 2 noreply more\r\n", M), MALFORMED("set a 0 0 noreply\r\n", M),
	MALFORMED("set a\0b 0 0 2\r\n", M), MALFORMED("set a 0 0 4294967296\r\n", M), MALFORMED("cas a 0 0 2\r\n", M),
	ALL("cas a 0 0 2 noreply\r\nhi\r\n", M), MALFORMED("cas a 0 0 2 7 8\r\n", M),
	MALFORMED("set a 0 0 99999999999999999999999\r\n", M),
	MALFORMED("ms\r\n", M), MALFORMED("ms a\r\n", M), MALFORMED("ms a S2\r\n", M), MALFORMED("ms a q\r\n", M),
	MALFORMED("ms a 2 1 2 3 4 5 6 7 8 9 a b c d e f g h\r\n", M),
	TOO_LONG("set a 0 0 2\r\n", 16), TOO_LONG("set a 0 0 1000\r\n", M), TOO_LONG("ms a 4294967295\r\n", M),
	TOO_LONG("set a 0 0 2\r\n", 13), MORE("set a 0 0 4294967295\r\n", SIZE_MAX / 2),
};

static void
a_line_with_its_data_is_a_request(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_MEMCACHE)->request, stores, COUNT(stores));
}

/* Lines of this beginning, filled with x. */
static enum framing_result
parse_long_line(const char *begin, size_t length, size_t step)
{
	framing_parser *request = framing_of(FRAMING_MEMCACHE)->request;
	struct framing_progress progress = { 0 };
	unsigned char *bytes = malloc(length);
	enum framing_result result = FRAMING_MORE;
	size_t whole = 0;

	assert_non_null(bytes);
	memset(bytes, 'x', length);
	memcpy(bytes, begin, strlen(begin));
	bytes[length - 1] = '\n';
	for (size_t at = 0; at < length && result == FRAMING_MORE;) {
		at = at + step < length ? at + step : length;
		result = request(&progress, bytes, at, 1 << 20, &whole);
	}
	free(bytes);
	assert_int_equal(whole, result == FRAMING_WHOLE ? length : 0);
	return result;
}

static void
only_get_and_gets_have_a_line_of_more_than_2048_bytes(void **state)
{
	static const char *const others[] = { "set ", "delete ", "gat 0 ", "gats 0 ", " get ", "get", "mg ",
		"gett " };

	(void)state;
	for (size_t step = 1; step <= 10000; step *= 100) {
		for (size_t i = 0; i < COUNT(others); i++) {
			if (strcmp(others[i], "set ") != 0)
				assert_int_equal(parse_long_line(others[i], 2048, step), FRAMING_WHOLE);
			assert_int_equal(parse_long_line(others[i], 2049, step), FRAMING_TOO_LONG);
			assert_int_equal(parse_long_line(others[i], 9000, step), FRAMING_TOO_LONG);
		}
		assert_int_equal(parse_long_line("get ", 9000, step), FRAMING_WHOLE);
		assert_int_equal(parse_long_line("gets ", 2049, step), FRAMING_WHOLE);
	}
}

static const struct parse_row replies[] = {
	ALL("STORED\r\n", M), ALL("NOT_STORED\r\n", M), ALL("EXISTS\r\n", M), ALL("NOT_FOUND\r\n", M),
	ALL("DELETED\r\n", M), ALL("TOUCHED\r\n", M), ALL("17\r\n", M), ALL("OK\r\n", M),
	ALL("VERSION 1.6.18\r\n", M),
	ALL("RESET\r\n", M), ALL("ERROR\r\n", M), ALL("CLIENT_ERROR bad\r\n", M), ALL("SERVER_ERROR bad\r\n", M),
	ALL("HD\r\n", M), ALL("HD t-1 kfoo\r\n", M), ALL("NF\r\n", M), ALL("NS\r\n", M), ALL("EX\r\n", M),
	ALL("EN\r\n", M), ALL("MN\r\n", M), ALL("ME a exp=-1\r\n", M), ALL("BUSY wait\r\n", M), ALL("END\r\n", M),
	ALL("VALUE a 0 2\r\nhi\r\nEND\r\n", M), ALL("VALUE a 0 0\r\n\r\nEND\r\n", M),
	ALL("VALUE a 0 5\r\nEND\r\n\r\nEND\r\n", M), ALL("VALUE a 0 2 77\r\nhi\r\nVALUE b 1 1\r\nx\r\nEND\r\n", M),
	ALL("VALUE a 0 2\r\nhi\r\nSERVER_ERROR out of memory\r\n", M),
	ALL("STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n", M), ALL("ITEM a [2 b; 0 s]\r\nEND\r\n", M),
	ALL("PREFIX a get 1\r\nEND\r\n", M),
	ALL("VA 2\r\nhi\r\n", M), ALL("VA 2 t-1 q\r\nhi\r\n", M), ALL("VA 0\r\n\r\n", M), ALL("VA 2\r\nhi\r\n", 10),
	WHOLE("VA 2\r\nhi\r\nEND\r\n", M, 10), WHOLE("END\r\nEND\r\n", M, 5), WHOLE("HD\r\nVA 2", 4, 4),
	MORE("", M), MORE("E", M), MORE("END", M), MORE("END\r", M), MORE("VALUE a 0 2", M),
	MORE("VALUE a 0 2\r\n", M),
	MORE("VALUE a 0 2\r\nhi\r\n", M), MORE("VALUE a 0 2\r\nhi\r\nEN", M), MORE("STAT pid 1\r\n", M),
	MORE("VA 2\r\nhi\r", M),
	MALFORMED("\r\n", M), MALFORMED("\n", M), MALFORMED("END\n", M), MALFORMED("hello\r\n", M),
	MALFORMED("-ERR\r\n", M), MALFORMED("VALUE a 0\r\n", M), MALFORMED("VALUE a 0 x\r\n", M),
	MALFORMED("VALUE a 0 -1\r\n", M), MALFORMED("VALUE a 0 2\r\nhixx", M),
	MALFORMED("VALUE a 0 2\r\nhi\r\nOK\r\n", M),
	MALFORMED("VALUE a 0 2\r\nhi\r\nSTAT a\r\n", M), MALFORMED("STAT a\r\nVALUE a 0 1\r\n", M),
	MALFORMED("VALUE a 0 2\r\nhi\r\nVA 2\r\n", M), MALFORMED("STAT a\r\nOK\r\n", M), MALFORMED("VA x\r\n", M),
	MALFORMED("VA 2\r\nhi\n\n", M), MALFORMED("VA  \r\n", M), MALFORMED("\x81\x00\n", M),
	TOO_LONG("VA 995\r\n", M), TOO_LONG("VALUE a 0 4294967295\r\n", M), TOO_LONG("END\r\n", 4),
	TOO_LONG("STAT a\r\nSTAT b\r\n", 16), TOO_LONG("VA 2\r\nhi\r\n", 9),
};

static void
lines_values_and_lists_are_replies(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_MEMCACHE)->reply, replies, COUNT(replies));
}

static enum framing_result
feed_in_steps(const struct parse_row *row, size_t step, size_t *ret_length)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	enum framing_result result = FRAMING_MORE;
	struct memcache_stream stream;
	size_t used;

	framing->stream_begin(&stream);
	for (*ret_length = 0; *ret_length < row->length && result == FRAMING_MORE; *ret_length += used) {
		size_t left = row->length - *ret_length, next = step < left ? step : left;

		result = framing->stream_feed(&stream, (const unsigned char *)row->bytes + *ret_length, next, &used);
	}
	return result;
}

static void
a_reply_that_is_seen_only_once_ends_at_the_same_place(void **state)
{
	(void)state;
	for (const struct parse_row *row = replies; row < replies + COUNT(replies); row++)
		for (size_t step = 1; step < 100 && row->result != FRAMING_TOO_LONG; step = step * 2 + 1) {
			size_t length;

			if (feed_in_steps(row, step, &length) != row->result)
				fail_msg("\"%.60s\", %zu at a time", row->bytes, step);
			if (row->result == FRAMING_WHOLE)
				assert_int_equal(length, row->whole);
		}
}

static void
a_reply_that_is_seen_only_once_may_have_any_length_but_its_lines(void **state)
{
	static const struct parse_row value = ALL("VALUE a 0 4294967295\r\n", M), end = ALL("\r\nEND\r\n", M);
	struct memcache_stream stream;
	unsigned char bytes[1000];
	enum framing_result result = FRAMING_MORE;
	size_t used;

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	memcache_stream_begin(&stream);
	assert_int_equal(memcache_stream_feed(&stream, (const unsigned char *)value.bytes, value.length, &used),
	    FRAMING_MORE);
	for (uint64_t left = 4294967295; left > 0; left -= used)
		assert_int_equal(memcache_stream_feed(&stream, bytes,
		    left < sizeof bytes ? (size_t)left : sizeof bytes, &used), FRAMING_MORE);
	assert_int_equal(memcache_stream_feed(&stream, (const unsigned char *)end.bytes, end.length, &used),
	    FRAMING_WHOLE);
	assert_int_equal(used, end.length);
	memcache_stream_begin(&stream);
	for (size_t length = 0; result == FRAMING_MORE; length += used) {
		assert_true(length < 70000);
		result = memcache_stream_feed(&stream, bytes, sizeof bytes, &used);
	}
	assert_int_equal(result, FRAMING_TOO_LONG);
}

/* What is said of a request; sent: what the server gets of it, or the answer. */
static const struct judge_row {
	const char *request;
	enum framing_verdict verdict;
	const char *sent;
	const char *silenced, *told; /* replies that the client does not get, and that it gets; NULL none */
} judgements[] = {
	{ "get a\r\n", FRAMING_FORWARD, "get a\r\n", NULL, "END\r\n" },
	{ "get noreply\r\n", FRAMING_FORWARD, "get noreply\r\n", NULL, "END\r\n" },
	{ "delete noreply\r\n", FRAMING_FORWARD, "delete noreply\r\n", NULL, "DELETED\r\n" },
	{ "version noreply\r\n", FRAMING_FORWARD, "version noreply\r\n", NULL, "VERSION 1\r\n" },
	{ "mn q\r\n", FRAMING_FORWARD, "mn q\r\n", NULL, "MN\r\n" },
	{ "me a q\r\n", FRAMING_FORWARD, "me a q\r\n", NULL, "EN\r\n" },
	{ "set a 0 0 2\r\nhi\r\n", FRAMING_FORWARD, "set a 0 0 2\r\nhi\r\n", NULL, "STORED\r\n" },
	{ "set a 0 0 7\r\nnoreply\r\n", FRAMING_FORWARD, "set a 0 0 7\r\nnoreply\r\n", NULL, "STORED\r\n" },
	{ "set a 0 0 2 noreply\r\nhi\r\n", FRAMING_FORWARD, "set a 0 0 2\r\nhi\r\n", "SERVER_ERROR x\r\n", NULL },
	{ "cas a 0 0 2 18446744073709551615  noreply \nhi\r\n", FRAMING_FORWARD,
	    "cas a 0 0 2 18446744073709551615  \nhi\r\n", "EXISTS\r\n", NULL },
	{ "delete a noreply\r\n", FRAMING_FORWARD, "delete a\r\n", "NOT_FOUND\r\n", NULL },
	{ "delete a 0 noreply\r\n", FRAMING_FORWARD, "delete a 0\r\n", "DELETED\r\n", NULL },
	{ "incr a 1 noreply\r\n", FRAMING_FORWARD, "incr a 1\r\n", "2\r\n", NULL },
	{ "touch a noreply\r\n", FRAMING_FORWARD, "touch a\r\n", "ERROR\r\n", NULL },
	{ "verbosity 1 noreply\r\n", FRAMING_FORWARD, "verbosity 1\r\n", "OK\r\n", NULL },
	{ "flush_all noreply\r\n", FRAMING_FORWARD, "flush_all\r\n", "OK\r\n", NULL },
	{ "mg a v q\r\n", FRAMING_FORWARD, "mg a v\r\n", "EN\r\n", "HD\r\n" },
	{ "mg a q v k\r\n", FRAMING_FORWARD, "mg a v k\r\n", "EN ka\r\n", "VA 2\r\nhi\r\n" },
	{ "mg a qq v\r\n", FRAMING_FORWARD, "mg a v\r\n", "EN\r\n", "END\r\n" },
	{ "mg q v\r\n", FRAMING_FORWARD, "mg q v\r\n", NULL, "EN\r\n" },
	{ "ms a 2 q\r\nhi\r\n", FRAMING_FORWARD, "ms a 2\r\nhi\r\n", "HD\r\n", "NS\r\n" },
	{ "ms q 2 T1\r\nhi\r\n", FRAMING_FORWARD, "ms q 2 T1\r\nhi\r\n", NULL, "HD\r\n" },
	{ "md a q\r\n", FRAMING_FORWARD, "md a\r\n", "HD\r\n", "NF\r\n" },
	{ "ma a q v\r\n", FRAMING_FORWARD, "ma a v\r\n", "VA 1\r\n1\r\n", "NF\r\n" },
	{ "ma a q\r\n", FRAMING_FORWARD, "ma a\r\n", "HD\r\n", "CLIENT_ERROR x\r\n" },
	{ "mg a q q\r\n", FRAMING_ANSWER, "CLIENT_ERROR duplicate flag\r\n", NULL, NULL },
	{ "ms a 2 q q\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR duplicate flag\r\n", NULL, NULL },
	{ "mg\r\n", FRAMING_ANSWER, "ERROR\r\n", NULL, NULL },
	{ "mg a 1 2 3 4 5 6 7 8 9 a b c d e f g h i q\r\n", FRAMING_ANSWER,
	    "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "mg " K250 "k q\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "set " K250 " 0 0 2\r\nhi\r\n", FRAMING_FORWARD, "set " K250 " 0 0 2\r\nhi\r\n", NULL, "STORED\r\n" },
	{ "set " K250 "k 0 0 2\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "set " K250 "k 0 0 2 noreply\r\nhi\r\n", FRAMING_ANSWER, "", NULL, NULL },
	{ "set a 4294967296 0 2\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "set a 0 2147483648 2\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "set a 0 -2147483647 2\r\nhi\r\n", FRAMING_FORWARD, "set a 0 -2147483647 2\r\nhi\r\n", NULL, NULL },
	{ "set a 0 - 2\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "cas a 0 0 2 x\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n", NULL, NULL },
	{ "cas a 0 0 2 18446744073709551616\r\nhi\r\n", FRAMING_ANSWER, "CLIENT_ERROR bad command line format\r\n",
	    NULL, NULL },
	{ "incr a\r\n", FRAMING_ANSWER, "ERROR\r\n", NULL, NULL },
	{ "incr a 1 2 noreply\r\n", FRAMING_ANSWER, "ERROR\r\n", NULL, NULL },
	{ "\r\n", FRAMING_ANSWER, "ERROR\r\n", NULL, NULL },
	{ "quit\r\n", FRAMING_QUIT, "", NULL, NULL },
	{ "watch fetchers\r\n", FRAMING_ANSWER,
	    "CLIENT_ERROR holdfast: watch is not for a connection that others share\r\n", NULL, NULL },
	{ "refresh_certs\n", FRAMING_ANSWER,
	    "CLIENT_ERROR holdfast: refresh_certs is not for a connection that others share\r\n", NULL, NULL },
	{ "GET a\r\n", FRAMING_REFUSE, "ERROR holdfast: unknown command GET\r\n", NULL, NULL },
	{ "\x01\xff\r\n", FRAMING_REFUSE, "ERROR holdfast: unknown command ??\r\n", NULL, NULL },
	{ "abcdefghijklmnopqrstuvwxyz\r\n", FRAMING_REFUSE,
	    "ERROR holdfast: unknown command abcdefghijklmnopqrstuvw\r\n", NULL, NULL },
};

static void
check_replies(const struct judge_row *row, unsigned silence)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);

	assert_int_equal(silence != 0, row->silenced != NULL);
	if (row->silenced != NULL)
		assert_true(framing->is_silent(silence, (const unsigned char *)row->silenced, strlen(row->silenced)));
	if (row->told != NULL && silence != 0)
		assert_false(framing->is_silent(silence, (const unsigned char *)row->told, strlen(row->told)));
}

static void
each_request_goes_to_the_server_so_that_it_has_one_reply(void **state)
{
	(void)state;
	for (const struct judge_row *row = judgements; row < judgements + COUNT(judgements); row++) {
		const unsigned char *request = (const unsigned char *)row->request;
		size_t length = strlen(row->request);
		struct memcache_judgement judgement;
		char sent[600] = "";

		if (memcache_judge(request, length, &judgement) != row->verdict)
			fail_msg("%s", row->request);
		if (row->verdict != FRAMING_FORWARD) {
			memcpy(sent, judgement.answer, judgement.length);
		} else {
			memcpy(sent, request, length + 1);
			if (judgement.silence != 0)
				memcpy(sent + judgement.cut, row->request + judgement.cut + judgement.cut_length,
				    length - judgement.cut - judgement.cut_length + 1);
			check_replies(row, judgement.silence);
		}
		assert_string_equal(sent, row->sent);
	}
}

static void
what_is_no_request_is_refused_in_memcacheds_own_words(void **state)
{
	static const char *const rows[][2] = {
		{ "\x80\x01", "holdfast: the binary protocol is not for a connection that others share" },
		{ "set a 0 0 2\r\nhello\r\n", "bad data chunk" }, { "ms a 2\r\nhello\r\n", "bad data chunk" },
		{ "set a 0 0\r\n", "bad command line format" },
		{ "set a 0 0 noreply\r\n", "bad command line format" },
		{ "garbage", NULL }, { "set a 0 0 20\r\nhello", NULL }, { "", NULL },
	};
	char room[FRAMING_COMPLAINT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *complaint = framing_of(FRAMING_MEMCACHE)->complaint((const unsigned char *)rows[i][0],
		    strlen(rows[i][0]), room);

		if (rows[i][1] == NULL)
			assert_null(complaint);
		else
			assert_string_equal(complaint, rows[i][1]);
	}
}

static void
an_error_says_whose_mistake_it_is(void **state)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	char to[32];

	(void)state;
	assert_int_equal(framing->error(FRAMING_FAULT_SERVER, "a\nb", to, sizeof to), 18);
	assert_memory_equal(to, "SERVER_ERROR a b\r\n", 18);
	assert_int_equal(framing->error(FRAMING_FAULT_CLIENT, "12345678901234567890", to, sizeof to), 32);
	assert_memory_equal(to, "CLIENT_ERROR 12345678901234567\r\n", 32);
}

static void
a_packet_is_whole_requests_alone(void **state)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	unsigned char to[32];

	(void)state;
	assert_int_equal(framing->wrap((const unsigned char *)"get a\r\n", 7, to), 7);
	assert_int_equal(framing->wrap((const unsigned char *)"get a\r\nx", 8, to), 0);
	assert_int_equal(framing->wrap((const unsigned char *)"get a", 5, to), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_request),
		cmocka_unit_test(a_line_with_its_data_is_a_request),
		cmocka_unit_test(only_get_and_gets_have_a_line_of_more_than_2048_bytes),
		cmocka_unit_test(lines_values_and_lists_are_replies),
		cmocka_unit_test(a_reply_that_is_seen_only_once_ends_at_the_same_place),
		cmocka_unit_test(a_reply_that_is_seen_only_once_may_have_any_length_but_its_lines),
		cmocka_unit_test(each_request_goes_to_the_server_so_that_it_has_one_reply),
		cmocka_unit_test(what_is_no_request_is_refused_in_memcacheds_own_words),
		cmocka_unit_test(an_error_says_whose_mistake_it_is),
		cmocka_unit_test(a_packet_is_whole_requests_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
