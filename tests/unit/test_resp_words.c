/* A request's words: as Redis would split and unquote them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "framing/resp_words.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

static const struct {
	const char *request;
	const char *words[4];
} rows[] = {
	{ "GET a\r\n", { "GET", "a" } },
	{ " \t GET\ta  b \r\n", { "GET", "a", "b" } },
	{ "GET a", { "GET", "a" } },
	{ "", { NULL } },
	{ "\r\n", { NULL } },
	{ "a\rb\n", { "a", "b" } },
	{ "a\vb \fc\n", { "a\vb", "c" } },
	{ "\"a b\" 'c d'\n", { "a b", "c d" } },
	{ "a\"b c\" d\n", { "ab c", "d" } },
	{ "\"\" ''\n", { "", "" } },
	{ "\"\\n\\r\\t\\b\\a\\\\\\\"\\z\"\n", { "\n\r\t\b\a\\\"z" } },
	{ "\"\\x41\\x6a\\x4A\\xg1\\x1\"\n", { "AjJxg1x1" } },
	{ "'\\n\\'\\\\\\x41'\n", { "\\n'\\\\\\x41" } },
	{ "\\n \\\"a\"\n", { "\\n", "\\a" } },
	{ "\"a'b\" 'c\"d'\n", { "a'b", "c\"d" } },
	{ "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", { "GET", "a" } },
	{ "*3\r\n$0\r\n\r\n$4\r\n\"a\"\n\r\n$2\r\n\r\n\r\n", { "", "\"a\"\n", "\r\n" } },
	{ "*0\r\n", { NULL } },
	{ "*-12\r\n", { NULL } },
};

static void
words_are_split_and_unquoted(void **state)
{
	struct resp_words words;
	struct resp_word word;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t k = 0;

		resp_words_begin(&words, (const unsigned char *)rows[i].request, strlen(rows[i].request));
		for (; resp_words_next(&words, &word); k++) {
			assert_non_null(rows[i].words[k]);
			assert_int_equal(word.length, strlen(rows[i].words[k]));
			assert_memory_equal(word.bytes, rows[i].words[k], word.length);
		}
		assert_null(rows[i].words[k]);
		assert_false(words.unbalanced);
	}
}

static void
quotes_that_do_not_match_end_the_words(void **state)
{
	static const char *const requests[] = { "a \"b\n", "a 'b\n", "a \"b\"c\n", "a 'b'c\n", "a b\"\n",
		"a \"\\\"\n", "a \"\\\n", "a '\\'\n", "a \"\\x4\n" };
	struct resp_words words;
	struct resp_word word;

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		resp_words_begin(&words, (const unsigned char *)requests[i], strlen(requests[i]));
		assert_true(resp_words_next(&words, &word));
		assert_false(resp_words_next(&words, &word));
		assert_true(words.unbalanced);
		assert_false(resp_words_next(&words, &word));
	}
}

static void
a_long_word_keeps_its_length_and_is_no_name(void **state)
{
	struct resp_words words;
	struct resp_word word;
	char request[102];

	(void)state;
	memset(request, 'A', 100);
	strcpy(request + 100, "\n");
	resp_words_begin(&words, (const unsigned char *)request, 101);
	assert_true(resp_words_next(&words, &word));
	assert_int_equal(word.length, 100);
	assert_false(resp_word_is(&word, "AAAAAAAAAAAAAAAAAAAAAAAA"));
	assert_false(resp_word_is(&word, "A"));
}

static void
a_name_is_known_in_any_case(void **state)
{
	struct resp_word word = { (const unsigned char *)"no-EvicT", 8, { 0 } };

	(void)state;
	assert_true(resp_word_is(&word, "NO-EVICT"));
	assert_false(resp_word_is(&word, "NO-EVIC"));
	assert_false(resp_word_is(&word, "NO-EVICTS"));
	word.bytes = (const unsigned char *)"NO\rEVICT";
	assert_false(resp_word_is(&word, "NO-EVICT"));
}

static void
a_number_has_no_sign_and_no_zeros_before_it(void **state)
{
	static const struct {
		const char *text;
		int number; /* -1: it is none */
	} numbers[] = { { "0", 0 }, { "7", 7 }, { "999999999", 999999999 }, { "1000000000", -1 }, { "", -1 },
	{ "00", -1 },
		{ "01", -1 }, { "-1", -1 }, { "+1", -1 }, { " 1", -1 }, { "1 ", -1 }, { "1a", -1 }, { "/", -1 },
		{ ":", -1 },
		{ "99999999999999999999", -1 } };

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct resp_word word = { (const unsigned char *)numbers[i].text, strlen(numbers[i].text), { 0 } };
		unsigned number = 12345;

		assert_int_equal(resp_word_number(&word, &number), numbers[i].number >= 0);
		assert_int_equal(number, numbers[i].number >= 0 ? numbers[i].number : 12345);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_and_unquoted),
		cmocka_unit_test(quotes_that_do_not_match_end_the_words),
		cmocka_unit_test(a_long_word_keeps_its_length_and_is_no_name),
		cmocka_unit_test(a_name_is_known_in_any_case),
		cmocka_unit_test(a_number_has_no_sign_and_no_zeros_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
