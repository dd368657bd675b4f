/* reload.h - what a new configuration means for the services that run: planned first, then carried out. */
#ifndef HOLDFAST_DAEMON_RELOAD_H
#define HOLDFAST_DAEMON_RELOAD_H

#include "config/read.h"
#include "daemon/listen_socket.h"
#include "daemon/reload_changes.h"
#include "daemon/service.h"

/* A service to be added, for people: its socket, so that a typing error in it is seen. */
struct reload_addition {
	char *service;                     /* owned */
	struct listener_settings listener; /* its texts are owned */
};

/* What is to be done; and the sockets that were opened for it, one for each service of the new configuration, most of
 * them none.  All is owned. */
struct reload_plan {
	struct reload_addition *added;
	size_t added_count;
	struct reload_change *changed; /* in place or renewed */
	size_t changed_count;
	struct reload_change daemon;   /* what changes of the settings of the top level */
	char **removed;                /* names */
	struct prepared_socket *sockets;
	size_t socket_count;
};

/* Compares the services that run with a new configuration.  What cannot change while running is added to errors. */
void reload_make_plan(struct service *const *services, size_t count, const struct config *old,
    const struct config *new, struct reload_plan *ret_plan, struct config_errors *errors);

/* An error if services run and none would be left: more often an accident than a wish.  file is named in it. */
void reload_check_emptiness(const struct reload_plan *plan, const struct config *new, const char *file,
    struct config_errors *errors);

/* Opens the sockets that the plan needs and sets owner and mode of those that stay, so that nothing can fail later.
 * What does is added to errors; reload_plan_clear() then undoes the opening.  dry: adds the same errors, and leaves
 * everything as it is. */
void reload_prepare(struct table *table, struct service *const *services, size_t count, const struct config *new,
    bool dry, struct reload_plan *plan, struct config_errors *errors);

bool reload_adds(const struct reload_plan *plan, const char *name);
bool reload_changes(const struct reload_plan *plan, const char *name);
bool reload_removes(const struct reload_plan *plan, const char *name);

/* Closes the sockets that nobody has taken, and frees. */
void reload_plan_clear(struct reload_plan *plan);

#endif
