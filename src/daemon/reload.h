/* reload.h - what a new configuration means for the services that run: planned first, then carried out. */
#ifndef HOLDFAST_DAEMON_RELOAD_H
#define HOLDFAST_DAEMON_RELOAD_H

#include "daemon/config.h"
#include "daemon/service.h"

/* What is to be done.  Lists of names, owned. */
struct reload_plan {
	char **added, **changed, **removed;
};

/* Compares the services that run with a new configuration.  Conflicts that only the running whole can show (a
 * socket of somebody else's, a runtime directory that would move) are added to errors. */
void reload_make_plan(struct service *const *services, size_t count, const struct config *old,
    const struct config *new, struct reload_plan *ret_plan, struct config_errors *errors);

bool reload_names(char *const *list, const char *name);

void reload_plan_clear(struct reload_plan *plan);

#endif
