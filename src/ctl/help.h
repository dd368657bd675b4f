/* help.h - the commands that holdfastctl knows. */
#ifndef HOLDFAST_CTL_HELP_H
#define HOLDFAST_CTL_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct help_command {
	const char *name;      /* borrowed */
	const char *arguments; /* borrowed */
	const char *help;      /* borrowed; one line */
	int least, most;       /* words after the name */
	bool repeatable;       /* may be asked again when the connection ended before the answer */
	bool patient;          /* may take as long as it likes */
};

/* Those that the daemon answers, in its register's order.  The last one's name is NULL. */
extern const struct help_command help_commands[];

/* Those, and then the ones that holdfastctl has by itself, one after the other; NULL behind the last. */
const struct help_command *help_at(size_t index);

/* Whether the command is one of those that holdfastctl has by itself. */
bool help_is_own(const struct help_command *command);

const struct help_command *help_find(const char *name);

/* The command that was perhaps meant, or NULL. */
const char *help_nearest(const char *name);

/* Prints all commands with one line each. */
void help_print(FILE *file);

#endif
