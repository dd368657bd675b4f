#include "ctl/help.h"

#include <string.h>

#include "base/nearest.h"

#define HELP_WIDTH 46 /* of the arguments, where they fit */

#define COMMAND(name, run, arguments, least, most, changes, repeatable, patient, help) \
	{ #name, arguments, help, least, most, repeatable, patient, false },

const struct help_command help_commands[] = {
#include "base/commands.def"
	{ "top", "", "all services live, on a terminal; ? shows the keys", 0, 0, true, true, true },
	{ "check", "[-w SECONDS] [-c SECONDS] [SERVICE]", "for monitoring; has exit codes of its own", 0, 5, true,
	    false, true },
	{ "add", "NAME ADDRESS [--directory DIRECTORY]", "writes a service's file and reloads", 2, 4, false, true,
	    true },
	{ "remove", "SERVICE [--directory DIRECTORY]", "removes a file that add wrote and reloads", 1, 3, false, true,
	    true },
	{ "publish", "CATALOG SERVICE ADDRESS [--copy NAME] [--every SECONDS] [--check COMMAND] "
	    "[--check-every SECONDS] [--priority N] [--weight N] [-- COMMAND...]",
	    "keeps an instance's address in a catalog while it, or its command, runs", 3, 4096, false, true, true },
	{ NULL, NULL, NULL, 0, 0, false, false, false },
};

static const char *const common_options[] = { "--json", "--help", NULL };

const struct help_command *
help_find(const char *name)
{
	const struct help_command *command = help_commands;

	while (command->name != NULL && strcmp(command->name, name) != 0)
		command++;
	return command->name == NULL ? NULL : command;
}

static const char *
help_name(const void *arg, size_t index)
{
	(void)arg;
	return help_commands[index].name;
}

const char *
help_nearest(const char *name)
{
	return nearest_name(name, help_name, NULL);
}

void
help_usage(FILE *file, const char *text, const struct help_command *command)
{
	fprintf(file, "%s %s%s%s\n", text, command->name, command->arguments[0] == '\0' ? "" : " ",
	    command->arguments);
}

void
help_print(FILE *file)
{
	fputs("usage: holdfastctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n"
	    "  -s, --socket SOCKET  the control socket; else $HOLDFAST_SOCKET, the user's, the system's\n"
	    "      --json           print answers as they come\n"
	    "  -V, --version        print the version\n"
	    "  -h, --help           print this\n\n", file);
	for (const struct help_command *command = help_commands; command->name != NULL; command++) {
		bool wide = strlen(command->arguments) > HELP_WIDTH;

		fprintf(file, "  %-9s %-*s %s", command->name, HELP_WIDTH, command->arguments,
		    wide ? "\n" : command->help);
		if (wide)
			fprintf(file, "  %-9s %-*s %s", "", HELP_WIDTH, "", command->help);
		fputc('\n', file);
	}
	fputs("\nExit codes: 0 yes or done, 1 no or refused, 2 usage, 3 no daemon reached, 4 time ran out.\n"
	    "Those of check: 0 ok, 1 warning, 2 critical, 3 unknown.\n", file);
}

/* What a word is, by what stands before it. */
static void
syntax_place(struct syntax *syntax, struct syntax_item *item, const struct syntax_item *before, char separator)
{
	bool alternative = separator == '|' && before != NULL;

	if (item->text[0] == '-') {
		item->kind = SYNTAX_OPTION;
		item->of = syntax->count;
	} else if (before != NULL && before->kind == (alternative ? SYNTAX_VALUE : SYNTAX_OPTION) &&
	    separator != ']') {
		item->kind = SYNTAX_VALUE;
		item->of = before->of;
	} else {
		item->kind = SYNTAX_PLACE;
		item->of = alternative && before->kind == SYNTAX_PLACE ? before->of : syntax->places++;
	}
}

void
syntax_read(struct syntax *syntax, const char *arguments)
{
	char separator = ' ';

	memset(syntax, 0, sizeof *syntax);
	while (*arguments != '\0' && syntax->count < SYNTAX_ITEMS) {
		struct syntax_item *item = &syntax->items[syntax->count];
		size_t length = strcspn(arguments, " |[]");

		if (length == 0) {
			if (*arguments != ' ' || separator != ']')
				separator = *arguments == '[' ? ']' : *arguments;
			arguments++;
			continue;
		}
		if (length < sizeof item->text) {
			memcpy(item->text, arguments, length);
			syntax_place(syntax, item, syntax->count == 0 ? NULL : item - 1, separator);
			syntax->count++;
		}
		separator = ' ';
		arguments += length;
	}
}

const struct syntax_item *
syntax_option(const struct syntax *syntax, const char *name)
{
	for (size_t i = 0; i < syntax->count; i++)
		if (syntax->items[i].kind == SYNTAX_OPTION && strcmp(syntax->items[i].text, name) == 0)
			return &syntax->items[i];
	return NULL;
}

bool
syntax_takes_value(const struct syntax *syntax, const struct syntax_item *option)
{
	const struct syntax_item *next = option + 1;

	return next < syntax->items + syntax->count && next->kind == SYNTAX_VALUE;
}

const char *
syntax_bad_option(const struct syntax *syntax, int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++) {
		const struct syntax_item *option = syntax_option(syntax, argv[i]);

		if (strcmp(argv[i], "--") == 0)
			return NULL;
		if (argv[i][0] == '-' && argv[i][1] != '\0' && option == NULL)
			return argv[i];
		if (option != NULL && syntax_takes_value(syntax, option))
			i++;
	}
	return NULL;
}

/* All options by their number: the command's, then the common ones. */
static const char *
syntax_option_at(const void *arg, size_t index)
{
	const struct syntax *syntax = arg;

	for (size_t i = 0; i < syntax->count; i++)
		if (syntax->items[i].kind == SYNTAX_OPTION && index-- == 0)
			return syntax->items[i].text;
	return common_options[index];
}

const char *
syntax_nearest(const struct syntax *syntax, const char *word)
{
	return nearest_name(word, syntax_option_at, syntax);
}
