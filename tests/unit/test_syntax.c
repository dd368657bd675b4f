#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/help.h"

/* The items in short: 0SERVICE is what stands at the first place, =X a value of the option before it. */
static const char *
read_in_short(const char *arguments)
{
	static char text[512];
	struct syntax syntax;

	text[0] = '\0';
	syntax_read(&syntax, arguments);
	for (size_t i = 0; i < syntax.count; i++) {
		const struct syntax_item *item = &syntax.items[i];
		size_t used = strlen(text);

		snprintf(text + used, sizeof text - used, "%s%.1s%s", i == 0 ? "" : " ",
		    item->kind == SYNTAX_PLACE ? &"0123456789"[item->of] : item->kind == SYNTAX_VALUE ? "=" : "",
		    item->text);
	}
	return text;
}

static void
places_options_and_values_are_told_apart(void **state)
{
	(void)state;
	assert_string_equal(read_in_short(""), "");
	assert_string_equal(read_in_short("[SERVICE]"), "0SERVICE");
	assert_string_equal(read_in_short("SERVICE [SECONDS] [--kill]"), "0SERVICE 1SECONDS --kill");
	assert_string_equal(read_in_short("SERVICE|--all [--wait SECONDS]"), "0SERVICE --all --wait =SECONDS");
	assert_string_equal(read_in_short("SERVICE --id N|--user U"), "0SERVICE --id =N --user =U");
	assert_string_equal(read_in_short("[SERVICE] [--by user|unit]"), "0SERVICE --by =user =unit");
	assert_string_equal(read_in_short("[-w SECONDS] [-v] [SERVICE]"), "-w =SECONDS -v 0SERVICE");
	assert_string_equal(read_in_short("on|off WHAT"), "0on 0off 1WHAT");
}

static void
values_belong_to_their_option(void **state)
{
	struct syntax syntax;

	(void)state;
	syntax_read(&syntax, "[--by user|unit] [-v]");
	assert_true(syntax_takes_value(&syntax, syntax_option(&syntax, "--by")));
	assert_false(syntax_takes_value(&syntax, syntax_option(&syntax, "-v")));
	assert_null(syntax_option(&syntax, "user"));
	assert_int_equal(syntax.items[2].of, 0);
}

static void
an_unknown_option_is_found_and_a_value_is_none(void **state)
{
	char *good[] = { "kill", "s", "--user", "-odd" }, *bad[] = { "kill", "s", "--usr", "x" };
	char *behind[] = { "kill", "--", "-x" }, *dash[] = { "kill", "-" };
	struct syntax syntax;

	(void)state;
	syntax_read(&syntax, "SERVICE --id N|--user U");
	assert_null(syntax_bad_option(&syntax, 4, good));
	assert_string_equal(syntax_bad_option(&syntax, 4, bad), "--usr");
	assert_null(syntax_bad_option(&syntax, 3, behind));
	assert_null(syntax_bad_option(&syntax, 2, dash));
	assert_string_equal(syntax_nearest(&syntax, "--usr"), "--user");
	assert_string_equal(syntax_nearest(&syntax, "--jsn"), "--json");
	assert_null(syntax_nearest(&syntax, "--colour"));
}

/* Each word of each command's arguments has a place: nothing is too long, no option too much. */
static void
all_commands_are_understood(void **state)
{
	struct syntax syntax;

	(void)state;
	for (const struct help_command *command = help_commands; command->name != NULL; command++) {
		size_t words = 0;

		for (const char *at = command->arguments; *(at += strspn(at, " |[]")) != '\0';
		    at += strcspn(at, " |[]"))
			words++;
		syntax_read(&syntax, command->arguments);
		assert_int_equal(syntax.count, words);
	}
}

static void
what_is_too_much_is_left_out(void **state)
{
	char text[SYNTAX_ITEMS * 4 + 64] = "";
	struct syntax syntax;

	(void)state;
	for (int i = 0; i < SYNTAX_ITEMS + 5; i++)
		strcat(text, "A ");
	syntax_read(&syntax, text);
	assert_int_equal(syntax.count, SYNTAX_ITEMS);
	syntax_read(&syntax, "A234567890123456789012345678901234567890 B");
	assert_int_equal(syntax.count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_options_and_values_are_told_apart),
		cmocka_unit_test(values_belong_to_their_option),
		cmocka_unit_test(an_unknown_option_is_found_and_a_value_is_none),
		cmocka_unit_test(all_commands_are_understood),
		cmocka_unit_test(what_is_too_much_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
