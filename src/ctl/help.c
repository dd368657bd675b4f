#include "ctl/help.h"

#include <stddef.h>
#include <string.h>

#include "base/nearest.h"

const struct help_command help_commands[] = {
	{ "status", "[SERVICE]", "how the services are", 0, 1, true, false },
	{ "endpoints", "[SERVICE]", "where the services are, and how each endpoint is", 0, 1, true, false },
	{ "clients", "[SERVICE] [--by user|unit|pid|address]", "each client, or how many of whom", 0, 3, true,
	    false },
	{ "wait", "SERVICE [SECONDS]", "answers when connected; 0: says whether it is", 1, 2, true, true },
	{ "try", "SERVICE [SECONDS]", "answers when connected, or with the next failure", 1, 2, true, true },
	{ "close", "SERVICE [--kill]", "refuses new and held clients; --kill: ends the others too", 1, 2, false,
	    true },
	{ "disable", "SERVICE [--kill]", "the same as close", 1, 2, false, true },
	{ "drain", "SERVICE|--all [--wait SECONDS]", "lets the clients end, takes no new ones", 1, 3, false, true },
	{ "open", "SERVICE|--all", "starts anew after close, drain or abort", 1, 1, false, false },
	{ "enable", "SERVICE|--all", "the same as open", 1, 1, false, false },
	{ "kill", "SERVICE --id N|--user U|--unit U|--address A", "ends those clients", 3, 3, false, false },
	{ "reconnect", "SERVICE", "drops the upstream and connects anew, at once", 1, 1, false, false },
	{ "pause", "SERVICE [SECONDS] [--kill]", "holds new work, answers when the rest has ended", 1, 3, true,
	    true },
	{ "resume", "SERVICE", "lets new work go on after a pause", 1, 1, true, false },
	{ "fail", "SERVICE SECONDS", "treats the upstream as down for so long; 0: no more", 2, 2, true, false },
	{ "lookup", "SERVICE [-v]", "runs the look-up and shows its result; changes nothing", 1, 2, true, true },
	{ "events", "[SERVICE]", "prints each event as it happens, the last one first", 0, 1, true, true },
	{ "explain", "SERVICE", "the last 64 events, look-up results and errors", 1, 1, true, false },
	{ "reload", "[--dry-run] [--force]", "reads the configuration anew; --dry-run: only says what that would do; "
	    "--force: even if no service is left", 0, 2, true, true },
	{ "upgrade", "", "restarts with the new program file; connections stay", 0, 0, false, true },
	{ "config", "[SERVICE]", "the settings in force, defaults filled in", 0, 1, true, false },
	{ "metrics", "[--openmetrics]", "the metrics in the text format of Prometheus, or as strict OpenMetrics", 0,
	    1, true, false },
	{ "log", "[LEVEL|default]", "sets or tells the log level", 0, 1, false, false },
	{ "ping", "", "answers", 0, 0, true, false },
	{ "help", "", "lists the commands", 0, 0, true, false },
	{ NULL, NULL, NULL, 0, 0, false, false },
};

static const struct help_command help_own[] = {
	{ "top", "", "all services live, on a terminal; ? tells its keys", 0, 0, true, true },
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
