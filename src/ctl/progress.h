/* progress.h - what a command that takes its time is waiting for, on one line of the terminal, once a second.
 *
 * What it shows it asks over a connection of its own; the command's is not touched.
 */
#ifndef HOLDFAST_CTL_PROGRESS_H
#define HOLDFAST_CTL_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *path;      /* borrowed; the control socket */
	const char *verb;      /* borrowed; "pausing"; NULL: nothing is shown */
	const char *service;   /* borrowed; NULL: all */
	const char *kind;      /* borrowed; the command */
	int64_t begun, next;   /* monotonic */
	bool asks;             /* what is waited for; else only how long is told */
	bool shown;
};

/* For this command, whose words are argv; shows nothing unless wanted, the command is one that waits, and standard
 * error is a terminal. */
void progress_begin(struct progress *progress, const char *path, int argc, char *const *argv, bool wanted);

/* When progress_show() is due, or CLOCK_NEVER. */
int64_t progress_next(const struct progress *progress);

/* Asks, for a second at most, and writes the line again. */
void progress_show(struct progress *progress);

/* Takes the line away, before anything else is written. */
void progress_clear(struct progress *progress);

/* After "upgrade" was answered: waits until the daemon is ready as the new program, or again as the old one.  Says
 * which, unless quiet; what went wrong in any case.  The exit code. */
int progress_follow_upgrade(struct progress *progress, const json_t *answer, bool quiet);

#endif
