/* What others said, as people are shown it. */
#include "base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct {
	const char *bytes;
	unsigned how;
	const char *text;
} rows[] = {
	{ "", 0, "" },
	{ "plain ~", 0, "plain ~" },
	{ "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa2", 0, "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa2" },
	{ "\x1b]0;title\x07", 0, "\\x1b]0;title\\x07" },
	{ "a\nb\tc\rd\x7f", 0, "a\\x0ab\\x09c\\x0dd\\x7f" },
	{ "a\nb\tc\rd\x1b", ESCAPE_LINES, "a\nb\tc\\x0dd\\x1b" },
	{ "a\nb\tc\rd\"\\\x01", ESCAPE_QUOTED, "a\\nb\\tc\\rd\\x22\\x5c\\x01" },
	{ "\xc3\xbc", ESCAPE_ASCII, "\\xc3\\xbc" },
	{ "\xc2\x80 \xc2\x9b \xc2\x9f \xc2\xa0", 0, "\\xc2\\x80 \\xc2\\x9b \\xc2\\x9f \xc2\xa0" },
	{ "\xe2\x80\xaa \xe2\x80\xae \xe2\x81\xa6 \xe2\x81\xa9", 0,
	    "\\xe2\\x80\\xaa \\xe2\\x80\\xae \\xe2\\x81\\xa6 \\xe2\\x81\\xa9" },
	{ "\xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\x8e \xe2\x80\x8f \xd8\x9c", 0,
	    "\\xe2\\x80\\xa8 \\xe2\\x80\\xa9 \\xe2\\x80\\x8e \\xe2\\x80\\x8f \\xd8\\x9c" },
	{ "\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xa5 \xe2\x81\xaa", 0,
	    "\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xa5 \xe2\x81\xaa" },
	{ "\x9b" "31m\xff\xfe", 0, "\\x9b31m\\xff\\xfe" },
	{ "\xc3", 0, "\\xc3" },                                  /* cut short */
	{ "\xc3(", 0, "\\xc3(" },
	{ "\xe2\x80", 0, "\\xe2\\x80" },
	{ "\xc0\x9b \xc1\xbf", 0, "\\xc0\\x9b \\xc1\\xbf" },     /* longer than it needs to be */
	{ "\xe0\x82\x9b", 0, "\\xe0\\x82\\x9b" },
	{ "\xf0\x80\x82\x9b", 0, "\\xf0\\x80\\x82\\x9b" },
	{ "\xed\xa0\x80", 0, "\\xed\\xa0\\x80" },                /* half of a pair of UTF-16 */
	{ "\xf4\x90\x80\x80 \xf5\x80\x80\x80", 0, "\\xf4\\x90\\x80\\x80 \\xf5\\x80\\x80\\x80" }, /* beyond Unicode */
};

static void
what_may_harm_is_written_byte_by_byte(void **state)
{
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *all = escape_text(rows[i].bytes, rows[i].how);

		escape(rows[i].bytes, strlen(rows[i].bytes), rows[i].how, text, sizeof text);
		assert_string_equal(text, rows[i].text);
		assert_string_equal(all, rows[i].text);
		mem_free(all);
	}
}

static void
a_text_ends_where_a_character_and_its_nul_have_no_room(void **state)
{
	char text[9];

	(void)state;
	memset(text, '#', sizeof text);
	escape("ab\x1b\x1b", 4, 0, text, 8);
	assert_string_equal(text, "ab\\x1b");
	assert_int_equal(text[8], '#');
	escape("abcdef\xc3\xbc", 8, 0, text, 8);
	assert_string_equal(text, "abcdef");
	escape("abcde\xc3\xbc", 7, 0, text, 8);
	assert_string_equal(text, "abcde\xc3\xbc");
	escape("abcdefgh", 8, 0, text, 8);
	assert_string_equal(text, "abcdefg");
	escape("abc", 3, 0, text, 1);
	assert_string_equal(text, "");
}

static void
nothing_that_is_written_is_escaped_once_more(void **state)
{
	static const unsigned char thirds[] = { 0x80, 0x8e, 0xa6, 0xae, 0xbf, 0xff, 'a' };

	(void)state;
	for (unsigned i = 0; i < sizeof thirds << 16; i++) {
		unsigned char bytes[3] = { (unsigned char)i, (unsigned char)(i >> 8), thirds[i >> 16] };
		char text[16];
		size_t length;

		escape(bytes, sizeof bytes, 0, text, sizeof text);
		for (const char *at = text; *at != '\0'; at += length)
			assert_true(escape_is_harmless(at, strlen(at), &length));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_harm_is_written_byte_by_byte),
		cmocka_unit_test(a_text_ends_where_a_character_and_its_nul_have_no_room),
		cmocka_unit_test(nothing_that_is_written_is_escaped_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
