/* config_check.h - what is wrong with a whole configuration though each value is right by itself. */
#ifndef HOLDFAST_CONFIG_CONFIG_CHECK_H
#define HOLDFAST_CONFIG_CONFIG_CHECK_H

#include "config/draft.h"

/* Adds errors and warnings: lengths of socket paths, sockets used twice; unless text_only also programs, catalogs,
 * users and groups that are not there; with test also hints, and whether the open files suffice. */
void config_check(struct draft *draft);

/* config_try.c, for -t: what a start could not do now is added as failures: draft_failure(). */
void config_try(struct draft *draft);

/* config_check_shared.c: of one service, what has to do with shared mode. */
void config_check_shared(struct draft *draft, const struct draft_service *service);

#endif
