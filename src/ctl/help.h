/* help.h - the commands that holdfastctl knows, and what may stand behind each: its help's text for arguments, taken
 * apart.
 *
 * In such a text blanks separate, | stands between alternatives, [] is around what may be missing, what begins with -
 * is an option and what follows it, in the same brackets, its value; the rest is taken by its place:
 * SERVICE|--all [--wait SECONDS].
 */
#ifndef HOLDFAST_CTL_HELP_H
#define HOLDFAST_CTL_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SYNTAX_ITEMS     24
#define SYNTAX_TEXT_SIZE 32

struct help_command {
	const char *name;      /* borrowed */
	const char *arguments; /* borrowed */
	const char *help;      /* borrowed; one line */
	int least, most;       /* words after the name */
	bool repeatable;       /* may be asked again when the connection ended before the answer */
	bool patient;          /* may take as long as it likes */
	bool own;              /* the daemon does not know it */
};

/* Those that the daemon answers, in its register's order, then holdfastctl's own.  The last one's name is NULL. */
extern const struct help_command help_commands[];

const struct help_command *help_find(const char *name);

/* The command that was perhaps meant, or NULL. */
const char *help_nearest(const char *name);

/* Prints "NAME ARGUMENTS" behind a text, and a newline. */
void help_usage(FILE *file, const char *text, const struct help_command *command);

/* Prints all commands with one line each. */
void help_print(FILE *file);

enum syntax_kind { SYNTAX_PLACE, SYNTAX_OPTION, SYNTAX_VALUE };

struct syntax_item {
	enum syntax_kind kind;
	size_t of;                   /* PLACE: which, from 0; VALUE: the index of its option; OPTION: its own */
	char text[SYNTAX_TEXT_SIZE];
};

struct syntax {
	struct syntax_item items[SYNTAX_ITEMS];
	size_t count;
	size_t places;
};

/* Takes a text apart.  What is too much or too long for it is left out; a unit test reads all texts there are. */
void syntax_read(struct syntax *syntax, const char *arguments);

/* The option of this name, or NULL. */
const struct syntax_item *syntax_option(const struct syntax *syntax, const char *name);

/* Whether a value must follow the option. */
bool syntax_takes_value(const struct syntax *syntax, const struct syntax_item *option);

/* The first of the words, from argv[1], that is an option and none of these, or NULL.  Behind -- all are good. */
const char *syntax_bad_option(const struct syntax *syntax, int argc, char *const *argv);

/* The option, or one of those that each command has (--json, --help), that was perhaps meant, or NULL. */
const char *syntax_nearest(const struct syntax *syntax, const char *word);

#endif
