/* daemon.h - the running whole: what a worker does from its first act to its last. */
#ifndef HOLDFAST_DAEMON_DAEMON_H
#define HOLDFAST_DAEMON_DAEMON_H

#include "keep/table.h"

/* Runs a worker on the table, which holds the configuration in force: recovers what an earlier worker left, serves
 * until asked to stop.  The exit code: 0, or 1 if it could not start. */
int daemon_run(struct table *table);

#endif
