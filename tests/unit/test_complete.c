#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/complete.h"

static struct complete_plan plan;

/* Decides for a line of words, "_" being one of which nothing is typed yet. */
static void
decide(const char *line)
{
	static char text[256];
	char *words[32], *rest = text, *word;
	int count = 0;

	strncpy(text, line, sizeof text - 1);
	while ((word = strsep(&rest, " ")) != NULL)
		words[count++] = strcmp(word, "_") == 0 ? word + 1 : word;
	complete_decide(&plan, count, words);
}

static const char *
words(void)
{
	static char text[2048];

	text[0] = '\0';
	for (size_t i = 0; i < plan.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i == 0 ? "" : " ",
		    plan.words[i].text);
	return text;
}

static void
the_first_word_is_a_command_or_an_option(void **state)
{
	size_t commands = 0;

	(void)state;
	while (help_commands[commands].name != NULL)
		commands++;
	decide("_");
	assert_int_equal(plan.count, commands);
	assert_string_equal(plan.words[0].text, "status");
	assert_string_equal(plan.words[0].help, help_find("status")->help);
	decide("help _");
	assert_int_equal(plan.count, commands);
	decide("--json -");
	assert_string_equal(words(), "-s --socket --json -V --version -h --help");
	decide("-s _");
	assert_int_equal(plan.kinds, COMPLETE_FILES);
	assert_int_equal(plan.count, 0);
	complete_decide(&plan, 0, NULL);
	assert_int_equal(plan.count, 0);
}

static void
what_stands_where_comes_from_the_help(void **state)
{
	static const struct { const char *line; unsigned kinds; const char *words; } rows[] = {
		{ "status _", COMPLETE_SERVICES, "" }, { "status s _", 0, "" }, { "status --", 0, "--json --help" },
		{ "clients s _", 0, "--by" }, { "clients --by _", 0, "user unit pid address socket" },
		{ "clients --by user _", COMPLETE_SERVICES, "" }, { "close s _", 0, "--kill" },
		{ "drain _", COMPLETE_SERVICES, "" }, { "drain -", 0, "--all --wait --json --help" },
		{ "drain s --wait _", 0, "" }, { "kill s --id _", COMPLETE_IDS, "" },
		{ "kill s --user x", COMPLETE_USERS, "" }, { "kill s --unit _", COMPLETE_UNITS, "" },
		{ "kill s --address _", COMPLETE_ADDRESSES, "" }, { "log _", COMPLETE_LEVELS, "default" },
		{ "-s /x --json explain _", COMPLETE_SERVICES, "" }, { "check -w 5 _", COMPLETE_SERVICES, "" },
		{ "check -", 0, "-w -c" }, { "lookup -v _", COMPLETE_SERVICES, "" }, { "nonsense _", 0, "" },
		{ "wait s _", 0, "" }, { "top _", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		decide(rows[i].line);
		assert_int_equal(plan.kinds, rows[i].kinds);
		assert_string_equal(words(), rows[i].words);
	}
}

static void
the_socket_and_the_service_are_remembered(void **state)
{
	(void)state;
	decide("-s /run/x kill cache --id _");
	assert_string_equal(plan.socket, "/run/x");
	assert_string_equal(plan.service, "cache");
	decide("kill --user u cache --id _");
	assert_string_equal(plan.service, "cache");
	decide("clients --by _");
	assert_null(plan.service);
	/* Behind -- stands another program's command, with options of its own. */
	decide("publish /x cache 10.0.0.1:1 -- server --check _");
	assert_int_equal(plan.kinds, COMPLETE_FILES);
	assert_int_equal(plan.count, 0);
}

/* A new command is completed without a change: each one's places and values have a meaning here, or are numbers. */
static void
every_word_of_the_help_is_known(void **state)
{
	static const char *const free_words[] = { "SECONDS", "N", "NAME" };
	struct syntax syntax;

	(void)state;
	for (const struct help_command *command = help_commands; command->name != NULL; command++) {
		char line[64];

		syntax_read(&syntax, command->arguments);
		for (size_t j = 0; j < syntax.count; j++) {
			const struct syntax_item *item = &syntax.items[j];
			bool free_word = false;

			for (size_t k = 0; k < sizeof free_words / sizeof free_words[0]; k++)
				free_word = free_word || strcmp(item->text, free_words[k]) == 0;
			if (item->kind == SYNTAX_OPTION || free_word)
				continue;
			snprintf(line, sizeof line, item->kind == SYNTAX_VALUE ? "%s x %s _" : "%s _", command->name,
			    syntax.items[item->of].text);
			decide(line);
			if (item->kind == SYNTAX_VALUE || item->of == 0)
				assert_true(plan.kinds != 0 || plan.count > 0);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_word_is_a_command_or_an_option),
		cmocka_unit_test(what_stands_where_comes_from_the_help),
		cmocka_unit_test(the_socket_and_the_service_are_remembered),
		cmocka_unit_test(every_word_of_the_help_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
