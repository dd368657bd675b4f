/* Words of a command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "control/words.h"

static void
words_are_split_by_blanks_and_quotes(void **state)
{
	static const struct {
		const char *line;
		const char *words; /* joined by | */
		const char *error;
	} rows[] = {
		{ "", "", NULL },
		{ "  \t ", "", NULL },
		{ "a", "a", NULL },
		{ " a\t b  ", "a|b", NULL },
		{ "\"a b\" c", "a b|c", NULL },
		{ "a\"b c\"d", "ab cd", NULL },
		{ "\"\" x \"\"", "|x|", NULL },
		{ "a\\ b \\\"c \\\\", "a b|\"c|\\", NULL },
		{ "\"a\\\"b\"", "a\"b", NULL },
		{ "\"a", NULL, "a \" is not closed" },
		{ "a\\", NULL, "nothing follows the last \\" },
		{ "a b c d e", NULL, "too many words" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char line[64], joined[64] = "", *words[5];
		const char *error;
		int count = -1;

		strcpy(line, rows[i].line);
		error = words_split(line, 4, words, &count);
		if (rows[i].error != NULL) {
			assert_string_equal(error, rows[i].error);
			continue;
		}
		assert_null(error);
		assert_null(words[count]);
		for (int j = 0; j < count; j++) {
			strcat(joined, j == 0 ? "" : "|");
			strcat(joined, words[j]);
		}
		assert_string_equal(joined, rows[i].words);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_by_blanks_and_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
