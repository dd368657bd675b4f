/* begin.h - what happens before there is a keeper: a first start, a restart under systemd, an upgrade. */
#ifndef HOLDFAST_DAEMON_BEGIN_H
#define HOLDFAST_DAEMON_BEGIN_H

#include <stdbool.h>

#include "config/settings.h"

struct begin_options {
	const char *config;   /* borrowed; path of the main file */
	bool no_keeper, verbose;
	char **argv;          /* borrowed, for good; of the program */
	const char *version;  /* borrowed, for good */
};

enum begin_exit {
	BEGIN_OK = 0, BEGIN_FAILURE = 1, BEGIN_USAGE = 2, BEGIN_ANOTHER_RUNS = 75, BEGIN_BAD_CONFIG = 78
};

/* Continues where another program ended: in an upgrade, or before a restart under systemd, with the configuration
 * that was in force.  True: that was it, *ret_code is the exit code.  False: there is nothing to take over. */
bool begin_again(const struct begin_options *options, int *ret_code);

/* After begin_again() has found nothing to take over, and where the files are bad: the configuration that was in
 * force before the restart, which is kept beside the connections.  The caller's; NULL if there is none either. */
struct config *begin_kept_config(void);

/* Starts afresh.  The exit code. */
int begin_first(const struct begin_options *options, struct config *config);

/* Whether this program could take over the table in the file: its layout and its configuration.  Prints why not.
 * The exit code. */
int begin_check_table(const char *path);

#endif
