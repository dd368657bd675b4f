/* reload.h - what a new configuration means for the services that run: planned first, then carried out. */
#ifndef HOLDFAST_DAEMON_RELOAD_H
#define HOLDFAST_DAEMON_RELOAD_H

#include "daemon/config.h"
#include "daemon/door.h"
#include "daemon/service.h"

/* What is to be done.  Lists of names, owned; and the doors that were opened for it, one for each service of the new
 * configuration, most of them none. */
struct reload_plan {
	char **added, **changed, **removed;
	struct door *doors; /* owned */
	size_t door_count;
};

/* Compares the services that run with a new configuration.  What cannot change while running is added to errors. */
void reload_make_plan(struct service *const *services, size_t count, const struct config *old,
    const struct config *new, struct reload_plan *ret_plan, struct config_errors *errors);

/* Opens the sockets that the plan needs and sets owner and mode of those that stay, so that nothing can fail later.
 * What does is added to errors; reload_plan_clear() then undoes the opening. */
void reload_prepare(struct table *table, struct service *const *services, size_t count, const struct config *new,
    struct reload_plan *plan, struct config_errors *errors);

bool reload_names(char *const *list, const char *name);

/* Closes the doors that nobody has taken, and frees. */
void reload_plan_clear(struct reload_plan *plan);

#endif
