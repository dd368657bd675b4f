/* complete.h - "holdfastctl --complete WORD...": what the last word may become, for the completions of shells.
 *
 * The words are those behind the program's name, the last one as far as it is typed.  A line is printed for each
 * candidate, of whatever beginning: the word, a tab, a description; ":files" says that files are candidates.  What
 * can stand where is read from the commands' help, so that a new command is completed without change here; names
 * come from the daemon, and without one there are none.
 */
#ifndef HOLDFAST_CTL_COMPLETE_H
#define HOLDFAST_CTL_COMPLETE_H

#include <stddef.h>

#include "ctl/help.h"

#define COMPLETE_WORDS 96

/* What the daemon is asked for, or the shell has. */
enum complete_kind {
	COMPLETE_SERVICES = 1, COMPLETE_IDS = 2, COMPLETE_USERS = 4, COMPLETE_UNITS = 8, COMPLETE_ADDRESSES = 16,
	COMPLETE_LEVELS = 32, COMPLETE_FILES = 64
};

struct complete_plan {
	struct {
		char text[SYNTAX_TEXT_SIZE];
		const char *help;       /* borrowed; "" none */
	} words[COMPLETE_WORDS];
	size_t count;
	unsigned kinds;                 /* enum complete_kind */
	const char *service;            /* borrowed; whose clients are candidates, NULL all */
	const char *socket;             /* borrowed; as -s names it, or NULL */
};

/* Decides, pure: words and what else could stand where the last word is. */
void complete_decide(struct complete_plan *plan, int argc, char *const *argv);

/* Prints the candidates; the exit code. */
int complete_run(int argc, char **argv);

#endif
