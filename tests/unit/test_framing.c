/* Framings but resp: what is a message, what is none, and that what was put on is taken off again. */
#include "parse_rows.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

static const struct parse_row lines[] = {
	ALL("\n", 0), ALL("\n", 10), ALL("abc\n", 3), ALL("abc\r\n", 4), ALL("a\0b\n", 3), ALL("\xff\xfe\n", 2),
	WHOLE("abc\ndef\n", 3, 4), WHOLE("\n\n", 0, 1), WHOLE("a\nlonger than that\n", 1, 2),
	MORE("", 0), MORE("", 3), MORE("abc", 3), MORE("abc\r", 4),
	TOO_LONG("a", 0), TOO_LONG("abcd", 3), TOO_LONG("abcd\n", 3), TOO_LONG("abc\r\n", 3),
};

static void
a_line_ends_with_its_newline(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_LINE)->request, lines, COUNT(lines));
	check_rows(framing_of(FRAMING_LINE)->reply, lines, COUNT(lines));
}

static const struct parse_row netstrings[] = {
	ALL("0:,", 0), ALL("0:,", 9), ALL("3:abc,", 3), ALL("3:a,b,", 3), ALL("10:0123456789,", 10),
	ALL("3:\0:,,", 3), WHOLE("1:a,1:b,", 1, 4), WHOLE("0:,x", 5, 3),
	MORE("", 5), MORE("3", 5), MORE("3:", 5), MORE("3:ab", 5), MORE("3:abc", 5), MORE("0", 0), MORE("0:", 0),
	MALFORMED(":", 5), MALFORMED(":,", 5), MALFORMED("x", 5), MALFORMED("-1:", 5), MALFORMED(" 1:a,", 5),
	MALFORMED("+1:a,", 5), MALFORMED("00:,", 5), MALFORMED("01:a,", 5), MALFORMED("1 :a,", 5),
	MALFORMED("3;abc,", 5), MALFORMED("3:abcd", 5), MALFORMED("0:x", 5), MALFORMED("3:abc\n", 5),
	TOO_LONG("1", 0), TOO_LONG("4", 3), TOO_LONG("4:abcd,", 3), TOO_LONG("11:", 10),
	TOO_LONG("99999999999999999999:", 1000), TOO_LONG("18446744073709551615:", 1 << 20),
	TOO_LONG("18446744073709551617:", SIZE_MAX / 2),
	TOO_LONG("1111111111111111111111111111111111111111111111111111111111:", SIZE_MAX / 2),
};

static void
a_netstring_says_its_length_in_plain_digits(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_NETSTRING)->request, netstrings, COUNT(netstrings));
	check_rows(framing_of(FRAMING_NETSTRING)->reply, netstrings, COUNT(netstrings));
}

static const struct parse_row octets[] = {
	ALL("1 a", 1), ALL("3 a,b", 3), ALL("10 0123456789", 10), ALL("2 \0 ", 2), WHOLE("1 a1 b", 1, 3),
	WHOLE("1 a\n", 5, 3), MORE("", 5), MORE("3", 5), MORE("3 ", 5), MORE("3 ab", 5),
	MALFORMED(" ", 5), MALFORMED("0 ", 5), MALFORMED("0 a", 5), MALFORMED("x", 5), MALFORMED("-1 ", 5),
	MALFORMED("01 a", 5), MALFORMED("1:a,", 5), MALFORMED("<34>1", 5), MALFORMED("1\ta", 5),
	TOO_LONG("4", 3), TOO_LONG("4 abcd", 3), TOO_LONG("99999999999999999999 ", 1000),
	TOO_LONG("18446744073709551617 ", SIZE_MAX / 2),
};

static void
an_octet_counted_message_has_its_length_before_a_space(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_OCTETS)->request, octets, COUNT(octets));
	check_rows(framing_of(FRAMING_OCTETS)->reply, octets, COUNT(octets));
}

static const struct parse_row length8[] = {
	ALL("\0", 0), ALL("\1a", 1), ALL("\3abc", 3), WHOLE("\1a\1b", 5, 2), WHOLE("\0\0", 0, 1),
	MORE("", 9), MORE("\3", 9), MORE("\3ab", 9), MORE("\xff", 255), TOO_LONG("\1", 0), TOO_LONG("\xff", 254),
	TOO_LONG("\4abcd", 3),
};
static const struct parse_row length16be[] = {
	ALL("\0\0", 0), ALL("\0\1a", 1), WHOLE("\0\1a\0", 1, 3), MORE("", 9), MORE("\1", 9), MORE("\0\3ab", 3),
	MORE("\xff\xff", 65535), TOO_LONG("\xff\xff", 65534), TOO_LONG("\1\0", 255), TOO_LONG("\0\2ab", 1),
};
static const struct parse_row length16le[] = {
	ALL("\0\0", 0), ALL("\1\0a", 1), WHOLE("\1\0a\0", 1, 3), MORE("\1", 9), MORE("\0\1", 256),
	TOO_LONG("\0\1", 255), TOO_LONG("\xff\xff", 65534),
};
static const struct parse_row length32be[] = {
	ALL("\0\0\0\0", 0), ALL("\0\0\0\1a", 1), WHOLE("\0\0\0\1ab", 1, 5), MORE("\0\0\0", 9), MORE("\0\0\0\2a", 9),
	MORE("\x7f\xff\xff\xff", 0x7fffffff), TOO_LONG("\x7f\xff\xff\xff", 0x7ffffffe), TOO_LONG("\0\1\0\0", 65535),
	TOO_LONG("\xff\xff\xff\xff", 0x7fffffff),
#if SIZE_MAX / 2 > 0xffffffff /* the largest max */
	MORE("\xff\xff\xff\xff", 0xffffffff), TOO_LONG("\xff\xff\xff\xff", 0xfffffffe),
#endif
};
static const struct parse_row length32le[] = {
	ALL("\0\0\0\0", 0), ALL("\1\0\0\0a", 1), WHOLE("\1\0\0\0ab", 1, 5), MORE("\1\0\0", 9), MORE("\2\0\0\0a", 9),
	MORE("\0\0\1\0", 65536), TOO_LONG("\0\0\1\0", 65535), TOO_LONG("\0\0\0\x80", 0x7fffffff),
};

static void
a_length_is_read_in_its_width_and_order(void **state)
{
	(void)state;
	check_rows(framing_of(FRAMING_LENGTH8)->request, length8, COUNT(length8));
	check_rows(framing_of(FRAMING_LENGTH16BE)->request, length16be, COUNT(length16be));
	check_rows(framing_of(FRAMING_LENGTH16LE)->request, length16le, COUNT(length16le));
	check_rows(framing_of(FRAMING_LENGTH32BE)->reply, length32be, COUNT(length32be));
	check_rows(framing_of(FRAMING_LENGTH32LE)->reply, length32le, COUNT(length32le));
}

static void
what_is_needed_is_told_as_soon_as_it_is_known(void **state)
{
	static const struct {
		enum framing_kind kind;
		const char *bytes;
		size_t length, expected;
	} rows[] = {
		{ FRAMING_NETSTRING, "100", 3, 0 },
		{ FRAMING_NETSTRING, "100:", 4, 105 },
		{ FRAMING_OCTETS, "100 ", 4, 104 },
		{ FRAMING_LENGTH8, "\x64", 1, 101 },
		{ FRAMING_LENGTH16BE, "\1\0", 2, 258 },
		{ FRAMING_LENGTH16LE, "\1\1", 2, 259 },
		{ FRAMING_LENGTH32BE, "\0\1\0\0", 4, 65540 },
		{ FRAMING_LENGTH32LE, "\0\1\0\0", 4, 260 },
		{ FRAMING_RESP, "*1\r\n$100\r\n", 10, 112 },
	};
	size_t whole;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct framing_progress progress = { 0 };

		assert_int_equal(framing_of(rows[i].kind)->request(&progress, (const unsigned char *)rows[i].bytes,
		    rows[i].length, 1 << 20, &whole), FRAMING_MORE);
		assert_int_equal(progress.expected, rows[i].expected);
	}
}

/* A parser that got max and all framing has made up its mind. */
static void
nothing_is_awaited_beyond_the_limit(void **state)
{
	static const char *const begins[] = { "", "0", "1:", "5:", "\1", "\0\1", "\0\0\0\5", "*1\r\n", "*1\r\n$4\r\n",
		"*2\r\n$0\r\n\r\n$", "*5\r\n", "+", "$1\r\n", "*1\r\n+", "|1\r\n", "|0\r\n|0\r\n", "%0", ":", "$0" };
	unsigned char bytes[5 + FRAMING_OVERHEAD + 1];
	size_t whole;

	(void)state;
	for (int kind = FRAMING_LINE; kind < FRAMING_KINDS; kind++)
		for (size_t i = 0; i < COUNT(begins); i++)
			for (size_t max = 0; max <= 5; max++) {
				const struct framing *framing = framing_of((enum framing_kind)kind);
				struct framing_progress progress = { 0 }, of_reply = { 0 };
				size_t length = max + FRAMING_OVERHEAD;

				memset(bytes, '0', sizeof bytes);
				memcpy(bytes, begins[i], strlen(begins[i]));
				assert_int_not_equal(framing->request(&progress, bytes, length, max, &whole),
				    FRAMING_MORE);
				assert_int_not_equal(framing->reply(&of_reply, bytes, length, max, &whole),
				    FRAMING_MORE);
			}
}

/* Sizes around every width's end, and contents that look like framing. */
static void
what_is_put_on_is_taken_off_again(void **state)
{
	static const size_t sizes[] = { 0, 1, 9, 10, 99, 100, 254, 255, 256, 999, 1000, 65534, 65535, 65536, 100000 };
	unsigned char *contents = malloc(100000), *message = malloc(100000 + FRAMING_OVERHEAD);

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		contents[i] = (unsigned char)"0:,\r1\0\xff"[i % 7];
	for (int kind = FRAMING_LINE; kind < FRAMING_KINDS; kind++)
		for (size_t i = 0; !framing_of((enum framing_kind)kind)->protocol && i < COUNT(sizes); i++) {
			const struct framing *framing = framing_of((enum framing_kind)kind);
			struct framing_progress progress = { 0 };
			size_t length = framing->wrap(contents, sizes[i], message), whole, inner;

			if ((kind == FRAMING_OCTETS && sizes[i] == 0) ||
			    (kind == FRAMING_LENGTH8 && sizes[i] > 255) ||
			    ((kind == FRAMING_LENGTH16BE || kind == FRAMING_LENGTH16LE) && sizes[i] > 65535)) {
				assert_int_equal(length, 0);
				continue;
			}
			assert_in_range(length, sizes[i] + 1, sizes[i] + FRAMING_OVERHEAD);
			assert_int_equal(framing->request(&progress, message, length, sizes[i], &whole),
			FRAMING_WHOLE);
			assert_int_equal(whole, length);
			assert_memory_equal(message + framing->unwrap(message, length, &inner), contents, sizes[i]);
			assert_int_equal(inner, sizes[i]);
		}
	free(contents);
	free(message);
}

static void
a_line_has_no_line_end_in_it(void **state)
{
	unsigned char to[3 + FRAMING_OVERHEAD];

	(void)state;
	assert_int_equal(framing_of(FRAMING_LINE)->wrap((const unsigned char *)"a\nb", 3, to), 0);
	assert_int_equal(framing_of(FRAMING_LINE)->wrap((const unsigned char *)"\n", 1, to), 0);
	assert_int_equal(framing_of(FRAMING_LINE)->wrap((const unsigned char *)"a\rb", 3, to), 4);
}

static void
a_framing_has_the_settings_name(void **state)
{
	static const char *const names[FRAMING_KINDS] = { NULL, "line", "netstring", "length8", "length16be",
		"length16le", "length32be", "length32le", "resp", "octet-counted", "memcache" };

	(void)state;
	for (int kind = FRAMING_LINE; kind < FRAMING_KINDS; kind++)
		assert_string_equal(framing_of((enum framing_kind)kind)->name, names[kind]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_with_its_newline),
		cmocka_unit_test(a_netstring_says_its_length_in_plain_digits),
		cmocka_unit_test(an_octet_counted_message_has_its_length_before_a_space),
		cmocka_unit_test(a_length_is_read_in_its_width_and_order),
		cmocka_unit_test(what_is_needed_is_told_as_soon_as_it_is_known),
		cmocka_unit_test(nothing_is_awaited_beyond_the_limit),
		cmocka_unit_test(what_is_put_on_is_taken_off_again),
		cmocka_unit_test(a_line_has_no_line_end_in_it),
		cmocka_unit_test(a_framing_has_the_settings_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
