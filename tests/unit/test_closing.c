/* The two letters of a client's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/closing.h"

static void
the_first_letter_is_the_cause(void **state)
{
	static const char letters[CLOSING_CAUSES + 1] = "-CUHRLNIWODSPTBMX";
	const struct closing_state open = { .open = true };
	char code[CLOSING_CODE_SIZE];

	(void)state;
	for (int cause = 0; cause < CLOSING_CAUSES; cause++) {
		closing_code((enum closing_cause)cause, &open, code);
		assert_int_equal(code[0], letters[cause]);
		assert_ptr_equal(strchr(letters, letters[cause]), &letters[cause]);
		assert_true(strlen(closing_words((enum closing_cause)cause)) > 5);
	}
}

static void
the_second_letter_is_how_far_it_had_come(void **state)
{
	static const struct {
		struct closing_state state;
		const char *code;
	} rows[] = {
		{ { .held = false }, "CN" },
		{ { .held = true }, "CH" },
		{ { .held = true, .attached = true }, "CR" },
		{ { .open = true }, "CC" },
		{ { .open = true, .attached = true }, "CA" },
		{ { .open = true, .asking = true }, "CQ" },
		{ { .open = true, .attached = true, .asking = true }, "CQ" },
	};
	char code[CLOSING_CODE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		closing_code(CLOSING_CLIENT, &rows[i].state, code);
		assert_string_equal(code, rows[i].code);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_letter_is_the_cause),
		cmocka_unit_test(the_second_letter_is_how_far_it_had_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
