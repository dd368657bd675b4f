/* syntax.h - what may stand behind a command: its help's text for arguments, taken apart.
 *
 * Pure.  In such a text blanks separate, | stands between alternatives, [] is around what may be missing, what
 * begins with - is an option and what follows it, in the same brackets, its value; the rest is taken by its place:
 * SERVICE|--all [--wait SECONDS].
 */
#ifndef HOLDFAST_CTL_SYNTAX_H
#define HOLDFAST_CTL_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#define SYNTAX_ITEMS     24
#define SYNTAX_TEXT_SIZE 32

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
