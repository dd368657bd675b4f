/* check.h - what is wrong with a whole configuration though each value is right by itself. */
#ifndef HOLDFAST_CONFIG_CHECK_H
#define HOLDFAST_CONFIG_CHECK_H

#include "config/read.h"

/* Adds errors and warnings: lengths of socket paths, sockets used twice, settings that go together; unless text_only
 * also programs, catalogs, users and groups that are not there; with test also hints, whether the open files suffice,
 * and as failures what a start could not do now: a daemon that runs with the same files is not disturbed by that. */
void config_check(struct reader *reader);

#endif
