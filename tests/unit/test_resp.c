/* resp: what Redis answers once is one request, and what a client reads as one answer is one reply. */
#include "framing/resp_words.h"
#include "parse_rows.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])
#define M           1000

static const struct parse_row arrays[] = {
	ALL("*1\r\n$4\r\nPING\r\n", M), ALL("*1\r\n$4\r\nPING\r\n", 14), ALL("*1\r\n$0\r\n\r\n", M),
	ALL("*2\r\n$3\r\nGET\r\n$3\r\na\nb\r\n", M), ALL("*2\r\n$3\r\nGET\r\n$6\r\n\r\n\0$*\r\r\n", M),
	WHOLE("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", M, 14), WHOLE("*1\r\n$4\r\nPING\r\nx", 14, 14),
	ALL("*0\r\n", M), ALL("*-1\r\n", M), ALL("*-9223372036854775808\r\n", M), WHOLE("*0\r\n*0\r\n", 4, 4),
	MORE("", M), MORE("*", M), MORE("*1", M), MORE("*1\r", M), MORE("*1\r\n", M), MORE("*1\r\n$", M),
	MORE("*1\r\n$4\r\nPING\r", M), MORE("*2\r\n$4\r\nPING\r\n", M), MORE("*2\r\n$4\r\nPING\r\n$2\r\n", M),
	MALFORMED("*\r\n", M), MALFORMED("*x\r\n", M), MALFORMED("* 1\r\n", M), MALFORMED("*01\r\n", M),
	MALFORMED("*+1\r\n", M), MALFORMED("*-0\r\n", M), MALFORMED("*--1\r\n", M), MALFORMED("*-\r\n", M),
	MALFORMED("*1 \r\n", M), MALFORMED("*1\n", M), MALFORMED("*1\rx", M), MALFORMED("*?\r\n", M),
	MALFORMED("*11111111111111111111\r\n", M), MALFORMED("*-99999999999999999999\r\n", M),
	MALFORMED("*1\r\nPING\r\n", M), MALFORMED("*1\r\n+PING\r\n", M), MALFORMED("*1\r\n:1\r\n", M),
	MALFORMED("*1\r\n*1\r\n", M), MALFORMED("*1\r\n$-1\r\n", M), MALFORMED("*1\r\n$\r\n", M),
	MALFORMED("*1\r\n$04\r\nPING\r\n", M), MALFORMED("*1\r\n$4x\r\n", M), MALFORMED("*1\r\n$4\r\nPINGxx", M),
	MALFORMED("*1\r\n$4\r\nPING\rx", M), MALFORMED("*1\r\n$4\r\nPING\n\r", M),
	MALFORMED("*1\r\n$4\r\nPINGS\r\n", M),
	MALFORMED("*1\r\n$99999999999999999999\r\n", M),
	TOO_LONG("*1\r\n$4\r\nPING\r\n", 13), TOO_LONG("*1\r\n$5\r\n", 14), TOO_LONG("*1\r\n$", 5), TOO_LONG("*", 0),
	TOO_LONG("*1\r\n$9999999999999999999\r\n", M), TOO_LONG("*1\r\n$1000\r\n", M), TOO_LONG("*2\r\n", 15),
	TOO_LONG("*1048577\r\n", SIZE_MAX / 2), TOO_LONG("*9999999999999999999\r\n", SIZE_MAX / 2),
	MORE("*1048576\r\n", SIZE_MAX / 2), TOO_LONG("*1048576\r\n", 1 << 20),
	TOO_LONG("*1\r\n$536870913\r\n", SIZE_MAX / 2), MORE("*1\r\n$536870912\r\n", SIZE_MAX / 2),
	MORE("*2\r\n", 16),
};

static void
an_array_of_strings_is_a_request(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_RESP)->request, arrays, COUNT(arrays));
}

static const struct parse_row inlines[] = {
	ALL("PING\r\n", M), ALL("PING\n", M), ALL("PING\r\n", 6), ALL("\r\n", M), ALL("\n", M), ALL("  \r\n", M),
	ALL("$4\r\n", M), ALL("+OK\r\n", M), ALL("GET a b\t c\r\n", M), ALL("PING\r\r\n", M), ALL("A\rB\n", M),
	WHOLE("PING\nPING\n", M, 5), WHOLE("\n\n", 1, 1), WHOLE("PING\n*", 5, 5),
	ALL("\"PING\"\r\n", M), ALL("'PING'\n", M), ALL("PI\"NG\"\r\n", M), ALL("SET a \"\"\r\n", M),
	ALL("'' ''\n", M),
	ALL("\"a\\\"b\"\n", M), ALL("'a\\'b'\n", M), ALL("\"a\\\\\" b\n", M), ALL("\"\\x41\\x4\\xzz\"\n", M),
	ALL("'a\"b' \"c'd\"\n", M), ALL("\"a\"\tb\n", M), ALL("\"a\"\vb\n", M), ALL("'a\\b'\n", M),
	ALL("ok 'a\\\\'b'\n", M),
	MORE("PING", M), MORE("PING\r", M), MORE("\"PING", M),
	MALFORMED("\"PING\r\n", M), MALFORMED("'PING\r\n", M), MALFORMED("x\"\n", M), MALFORMED("\"a\"b\n", M),
	MALFORMED("'a'b\n", M), MALFORMED("\"a\"'b'\n", M), MALFORMED("\"a\\\"\n", M), MALFORMED("'a\\'\n", M),
	MALFORMED("\"\\\n", M), MALFORMED("a b \"c\n", M),
	MALFORMED("PI\0NG\r\n", M), MALFORMED("\0\n", M), MALFORMED("PING \"\0\"\n", M),
	TOO_LONG("PING\n", 4), TOO_LONG("PING", 4), TOO_LONG("\"PING", 5), TOO_LONG("\0\0", 2),
};

static void
a_line_whose_quotes_match_is_a_request(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_RESP)->request, inlines, COUNT(inlines));
}

static void
a_line_has_at_most_64_kib(void **state)
{
	unsigned char *bytes = malloc(70000);
	framing_parser *request = framing_of(FRAMING_RESP)->request;

	(void)state;
	for (size_t length = 65535; length < 65539; length++)
		for (size_t step = 1; step <= 65536; step *= 4096) {
			struct framing_progress progress = { 0 };
			enum framing_result result = FRAMING_MORE;
			size_t whole;

			memset(bytes, 'x', 70000);
			bytes[length] = '\n';
			for (size_t at = 60000; at < length + step && result == FRAMING_MORE; at += step)
				result = request(&progress, bytes, at < 70000 ? at : 70000, 1 << 20, &whole);
			if (result == FRAMING_MORE)
				result = request(&progress, bytes, 70000, 1 << 20, &whole);
			assert_int_equal(result, length <= 65536 ? FRAMING_WHOLE : FRAMING_TOO_LONG);
		}
	free(bytes);
}

static const struct parse_row replies[] = {
	ALL("+OK\r\n", M), ALL("+\r\n", M), ALL("+OK\r\n", 5), ALL("-ERR a b\r\n", M), ALL(":0\r\n", M),
	ALL(":-1\r\n", M), ALL(":9223372036854775807\r\n", M), ALL(":-9223372036854775808\r\n", M),
	ALL("$0\r\n\r\n", M), ALL("$-1\r\n", M), ALL("$3\r\na\nb\r\n", M), ALL("$4\r\n\r\n\0\n\r\n", M),
	ALL("*0\r\n", M), ALL("*-1\r\n", M), ALL("*2\r\n$1\r\na\r\n:1\r\n", M), ALL("+a\rb\r\n", M),
	ALL("+\0\r\n", M),
	ALL("*2\r\n*2\r\n+a\r\n+b\r\n*1\r\n*0\r\n", M), ALL("*3\r\n*-1\r\n$-1\r\n-E\r\n", M),
	ALL("_\r\n", M), ALL("#t\r\n", M), ALL("#f\r\n", M), ALL(",3.14\r\n", M), ALL(",inf\r\n", M),
	ALL("(12345\r\n", M),
	ALL("!5\r\nERR x\r\n", M), ALL("=5\r\ntxt:x\r\n", M), ALL("~2\r\n+a\r\n+b\r\n", M), ALL("~0\r\n", M),
	ALL("%1\r\n+a\r\n:1\r\n", M), ALL("%0\r\n", M), ALL("%2\r\n+a\r\n%1\r\n_\r\n_\r\n+b\r\n#t\r\n", M),
	ALL("|1\r\n+a\r\n:1\r\n+OK\r\n", M), ALL("|0\r\n+OK\r\n", M), ALL("|1\r\n+a\r\n*1\r\n+b\r\n*1\r\n+c\r\n", M),
	ALL("*2\r\n|1\r\n+a\r\n:1\r\n+b\r\n+c\r\n", M), ALL("|0\r\n|0\r\n:1\r\n", M),
	ALL(">2\r\n+message\r\n+x\r\n", M), ALL(">1\r\n*1\r\n+x\r\n", M), ALL(">0\r\n", M),
	WHOLE("+OK\r\n+OK\r\n", M, 5), WHOLE("$-1\r\n$", 5, 5), WHOLE("*0\r\nx", M, 4),
	WHOLE("*3\r\n+1\r\n+2\r\n+3\r\n+4\r\n", M, 16),
	MORE("", M), MORE("+", M), MORE("+OK", M), MORE("+OK\r", M), MORE(":", M), MORE(":1\r", M), MORE("$", M),
	MORE("$-", M), MORE("$3\r\nabc", M), MORE("$3\r\nabc\r", M), MORE("*2\r\n+a\r\n", M), MORE("_\r", M),
	MORE("#t\r", M),
	MORE("|1\r\n+a\r\n:1\r\n", M), MORE("%1\r\n+a\r\n", M), MORE("*1\r\n*1\r\n*1\r\n*1\r\n", M),
	MORE("|0\r\n", M),
	MALFORMED("OK\r\n", M), MALFORMED("\r\n", M), MALFORMED("\0", M), MALFORMED("+a\n", M), MALFORMED("+\n", M),
	MALFORMED(":\r\n", M), MALFORMED(":x\r\n", M), MALFORMED(":1.5\r\n", M), MALFORMED(":01\r\n", M),
	MALFORMED(":99999999999999999999\r\n", M), MALFORMED("$-2\r\n", M), MALFORMED("*-2\r\n", M),
	MALFORMED("$-0\r\n", M), MALFORMED("$01\r\n", M), MALFORMED("$3\r\nabcxy", M), MALFORMED("$3\r\nabcd\r\n", M),
	MALFORMED("$?\r\n", M), MALFORMED("*?\r\n", M), MALFORMED(";4\r\n", M), MALFORMED(".\r\n", M),
	MALFORMED("%?\r\n", M),
	MALFORMED("%-1\r\n", M), MALFORMED("~-1\r\n", M), MALFORMED("|-1\r\n", M), MALFORMED(">-1\r\n", M),
	MALFORMED("!-1\r\n", M), MALFORMED("=-1\r\n", M), MALFORMED("_x\r", M), MALFORMED("_\rx", M),
	MALFORMED("#x\r\n", M),
	MALFORMED("#tt\r\n", M), MALFORMED("#\r\nx", M), MALFORMED("*1\r\n>1\r\n", M), MALFORMED("|0\r\n>1\r\n", M),
	MALFORMED("*1\r\nx", M), MALFORMED("*2\r\n+a\r\n\r\n", M), MALFORMED("$99999999999999999999\r\n", M),
	MALFORMED("*99999999999999999999\r\n", M),
	TOO_LONG("+OK\r\n", 4), TOO_LONG("+OKOK", 5), TOO_LONG("$3\r\n", 8), TOO_LONG("$1000\r\n", M),
	TOO_LONG("_\r\n", 2),
	TOO_LONG("$9999999999999999999\r\n", M), TOO_LONG("$9999999999999999999\r\n", SIZE_MAX / 2),
	TOO_LONG("*1000\r\n", M), TOO_LONG("*2\r\n", 9), TOO_LONG("%1\r\n", 9), TOO_LONG("|1\r\n", 12),
	TOO_LONG("*2\r\n*2\r\n", 16), TOO_LONG("*9999999999999999999\r\n", SIZE_MAX), TOO_LONG("*0\r\n", 3),
	TOO_LONG("%6148914691236517203\r\n", SIZE_MAX), TOO_LONG("|6148914691236517198\r\n", SIZE_MAX),
	TOO_LONG("%9999999999999999999\r\n", SIZE_MAX), TOO_LONG("|0\r\n|0\r\n", 8),
	MORE("*2\r\n", 10), MORE("%1\r\n", 10), MORE("|1\r\n", 13), MORE("*2\r\n*2\r\n", 17),
};

static void
a_reply_is_whole_with_its_last_element(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_RESP)->reply, replies, COUNT(replies));
}

/* Not a fuzzer, but letters of the protocol in any order: splits agree whatever it is. */
static void
any_bytes_are_parsed_the_same_however_they_are_split(void **state)
{
	static const char letters[] = "*$+-:_,#!=(%~>|0123\r\n\r\n\r\nat\"' \\";
	char bytes[24];

	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++)
		for (int reply = 0; reply < 2; reply++) {
			const struct framing *framing = framing_of(FRAMING_RESP);
			framing_parser *parser = reply ? framing->reply : framing->request;
			struct framing_progress progress = { 0 };
			size_t max = 5 + (size_t)rand() % 30;
			struct parse_row row = { bytes, (size_t)rand() % sizeof bytes, max, FRAMING_MORE, 0 };

			for (size_t k = 0; k < row.length; k++)
				bytes[k] = letters[(size_t)rand() % (sizeof letters - 1)];
			row.result = parser(&progress, (unsigned char *)bytes, row.length, row.max, &row.whole);
			parse_in_steps(parser, &row, 0, 1);
			parse_in_steps(parser, &row, (size_t)rand() % (row.length + 1), 5);
		}
}

static void
a_push_is_no_reply(void **state)
{
	const struct framing *framing = framing_of(FRAMING_RESP);

	(void)state;
	assert_false(framing->is_reply((const unsigned char *)">1\r\n+x\r\n", 8));
	assert_true(framing->is_reply((const unsigned char *)"+>\r\n", 4));
	assert_null(framing_of(FRAMING_LINE)->is_reply);
}

static void
a_packet_of_exactly_one_request_is_sent_as_it_is(void **state)
{
	static const struct {
		const char *packet;
		bool sent;
	} rows[] = {
		{ "PING\r\n", true }, { "*1\r\n$4\r\nPING\r\n", true }, { "*0\r\n", true }, { "PING", false },
		{ "", false },
		{ "PING\r\nPING\r\n", false }, { "*1\r\n$4\r\nPING\r\n\n", false }, { "*1\r\n$4\r\nPING\r", false },
		{ "\"PING\n", false },
	};
	const struct framing *framing = framing_of(FRAMING_RESP);
	unsigned char to[64];
	size_t inner;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = strlen(rows[i].packet);

		assert_int_equal(framing->wrap((const unsigned char *)rows[i].packet, length, to),
		    rows[i].sent ? length : 0);
		if (rows[i].sent)
			assert_memory_equal(to, rows[i].packet, length);
	}
	assert_int_equal(framing->unwrap((const unsigned char *)"+OK\r\n", 5, &inner), 0);
	assert_int_equal(inner, 5);
}

static void
an_error_reply_is_one_line_whatever_its_text(void **state)
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	char to[32];

	(void)state;
	assert_int_equal(framing->error(FRAMING_FAULT_SERVER, "lost", to, sizeof to), 11);
	assert_memory_equal(to, "-ERR lost\r\n", 11);
	assert_int_equal(framing->error(FRAMING_FAULT_SERVER, "a\r\nb\x7f\t\xc3\xa9", to, sizeof to), 15);
	assert_memory_equal(to, "-ERR a  b  \xc3\xa9\r\n", 15);
	assert_int_equal(framing->error(FRAMING_FAULT_SERVER, "123456789012345678901234567890", to, 16), 16);
	assert_memory_equal(to, "-ERR 123456789\r\n", 16);
	assert_null(framing_of(FRAMING_LINE)->error);
}

/* Words of Redis, whose own tests look for them; its server would not notice what has none. */
static void
what_no_server_would_take_is_said_in_the_server_s_words(void **state)
{
	static const struct {
		const char *message, *complaint;
	} rows[] = {
		{ "*x\r\n", "invalid multibulk length" },
		{ "*3000000000\r\n", "invalid multibulk length" },
		{ "*2000000000\r\n", NULL }, /* too long for us alone */
		{ "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'" },
		{ "*1\r\nfoo\r\n", "expected '$', got 'f'" },
		{ "*2\r\n$1\r\nx\r\n$-10\r\n", "invalid bulk length" },
		{ "*2\r\n$1\r\nx\r\n$2000000000\r\n", "invalid bulk length" },
		{ "*1\r\n$blabla\r\n", "invalid bulk length" },
		{ "*1\r\n$1\r\nx\r\nfoo", NULL }, /* what follows a message is not looked at */
		{ "*1\r\n$9\r\nx", NULL },
		{ "*1\r\n$1\r\nxyz", NULL },
		{ "*-5\r\nfoo", NULL },
		{ "*", NULL },
		{ "", NULL },
		{ "SET \"a\n", "unbalanced quotes in request" },
		{ "SET 'a' b\nGET \"\n", NULL },
		{ "SET a", NULL },
	};
	const struct framing *framing = framing_of(FRAMING_RESP);
	char room[FRAMING_COMPLAINT_SIZE];
	unsigned char *line = malloc(RESP_LINE_MAX + 2);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *complaint = framing->complaint((const unsigned char *)rows[i].message,
		    strlen(rows[i].message), room);

		if (rows[i].complaint == NULL)
			assert_null(complaint);
		else
			assert_string_equal(complaint, rows[i].complaint);
	}
	memset(line, 'a', RESP_LINE_MAX + 2);
	assert_null(framing->complaint(line, RESP_LINE_MAX, room));
	assert_string_equal(framing->complaint(line, RESP_LINE_MAX + 1, room), "too big inline request");
	line[RESP_LINE_MAX + 1] = '\n';
	assert_string_equal(framing->complaint(line, RESP_LINE_MAX + 2, room), "too big inline request");
	assert_null(framing->complaint((const unsigned char *)"a\0\"b\n", 5, room));
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_array_of_strings_is_a_request),
		cmocka_unit_test(a_line_whose_quotes_match_is_a_request),
		cmocka_unit_test(a_line_has_at_most_64_kib),
		cmocka_unit_test(a_reply_is_whole_with_its_last_element),
		cmocka_unit_test(any_bytes_are_parsed_the_same_however_they_are_split),
		cmocka_unit_test(a_push_is_no_reply),
		cmocka_unit_test(a_packet_of_exactly_one_request_is_sent_as_it_is),
		cmocka_unit_test(an_error_reply_is_one_line_whatever_its_text),
		cmocka_unit_test(what_no_server_would_take_is_said_in_the_server_s_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
