#include "ctl/help.h"

#include <stddef.h>
#include <string.h>

#include "base/nearest.h"

#define COMMAND(name, run, arguments, least, most, changes, repeatable, patient, help) \
	{ #name, arguments, help, least, most, repeatable, patient },

const struct help_command help_commands[] = {
#include "base/commands.def"
	{ NULL, NULL, NULL, 0, 0, false, false },
};

static const struct help_command help_own[] = {
	{ "top", "", "all services live, on a terminal; ? shows the keys", 0, 0, true, true },
	{ "check", "[-w SECONDS] [-c SECONDS] [SERVICE]", "for monitoring; has exit codes of its own", 0, 5, true,
	    false },
	{ NULL, NULL, NULL, 0, 0, false, false },
};

const struct help_command *
help_at(size_t index)
{
	size_t count = sizeof help_commands / sizeof help_commands[0] - 1;
	const struct help_command *command = index < count ? &help_commands[index] : &help_own[index - count];

	return command->name == NULL ? NULL : command;
}

bool
help_is_own(const struct help_command *command)
{
	for (const struct help_command *own = help_own; own->name != NULL; own++)
		if (own == command)
			return true;
	return false;
}

const struct help_command *
help_find(const char *name)
{
	const struct help_command *command;

	for (size_t i = 0; (command = help_at(i)) != NULL; i++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

static const char *
help_name(const void *arg, size_t index)
{
	const struct help_command *command = help_at(index);

	(void)arg;
	return command == NULL ? NULL : command->name;
}

const char *
help_nearest(const char *name)
{
	return nearest_name(name, help_name, NULL);
}

void
help_print(FILE *file)
{
	const struct help_command *command;

	fputs("usage: holdfastctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n"
	    "  -s, --socket SOCKET  the control socket; else $HOLDFAST_SOCKET, the user's, the system's\n"
	    "      --json           print answers as they come\n"
	    "  -V, --version        print the version\n"
	    "  -h, --help           print this\n\n", file);
	for (size_t i = 0; (command = help_at(i)) != NULL; i++)
		fprintf(file, "  %-9s %-46s %s\n", command->name, command->arguments, command->help);
	fputs("\nExit codes: 0 yes or done, 1 no or refused, 2 usage, 3 no daemon reached, 4 time ran out.\n"
	    "Those of check: 0 ok, 1 warning, 2 critical, 3 unknown.\n", file);
}
