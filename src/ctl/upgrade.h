/* upgrade.h - after "upgrade" was answered: how it ended. */
#ifndef HOLDFAST_CTL_UPGRADE_H
#define HOLDFAST_CTL_UPGRADE_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/progress.h"

/* Waits until the daemon is ready as the new program, or again as the one that answered.  Says which, unless quiet;
 * what went wrong in any case.  The exit code. */
int upgrade_follow(struct progress *progress, const json_t *answer, bool quiet);

#endif
