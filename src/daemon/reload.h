/* reload.h - what a new configuration means for the services that run: planned first, then carried out, a service at
 * a time (daemon/services.h, daemon/reloads.h). */
#ifndef HOLDFAST_DAEMON_RELOAD_H
#define HOLDFAST_DAEMON_RELOAD_H

#include "config/read.h"
#include "daemon/listen_socket.h"
#include "daemon/service.h"
#include "daemon/service_sockets.h"

/* Longer values are cut: an answer has its limit. */
#define RELOAD_VALUE_MAX 120

/* One setting, with its values as the file would have them, secrets hidden. */
struct reload_difference {
	const char *setting; /* borrowed: the row's name */
	char *from, *to;     /* owned; NULL where the setting has no say, as lookup.script beside an address */
};

/* What changes of one service, or of the top level. */
struct reload_change {
	char *service;                          /* owned; NULL: the top level */
	enum service_mode mode;
	enum setting_reload how;                /* SETTING_SAME: nothing changes */
	struct reload_difference *differences;  /* owned */
	size_t count;
};

/* A service to be added, for people: a socket of it, so that a typing error in it is seen. */
struct reload_addition {
	char *service;                     /* owned */
	struct listener_settings listener; /* owned, all of it */
};

/* Whose socket becomes another's: that of a service's listener of this number. */
struct reload_giver {
	struct service *service; /* borrowed; NULL none */
	unsigned listener;
};

/* What becomes of one service of the new configuration. */
struct reload_step {
	enum reload_what { RELOAD_SAME, RELOAD_ADD, RELOAD_CHANGE } what;
	struct service *service;         /* borrowed: the one that runs; NULL: it is added */
	unsigned count;                  /* of its listeners, once sockets for them were looked for; 0 not yet */
	struct reload_giver *givers;     /* owned: for each listener */
	struct prepared_socket *sockets; /* owned: opened for each; mostly none */
};

/* What is to be done, with the sockets that were opened for it; and what is done of that so far.  All of it is owned
 * but where it says borrowed. */
struct reload_plan {
	const struct config *old;      /* borrowed: in force */
	struct config *new;            /* borrowed: its services are taken when they are applied */
	struct config_errors *errors;  /* borrowed: what is wrong with it is added */
	bool dry;                      /* the plan is only looked at: nothing is opened, changed or touched */
	bool fits;                     /* what was compared has no error: sockets may be opened */
	struct reload_addition *added;
	size_t added_count;
	struct reload_change *changed; /* in place or renewed */
	size_t changed_count;
	struct reload_change daemon;   /* what changes of the settings of the top level */
	char **removed;                /* names; ends with NULL */
	struct service **removing;     /* those services, borrowed */
	size_t removed_count;
	size_t lasting;                /* so many of them have clients, and keep their records */
	struct reload_step *steps;     /* one for each service of the new configuration, in its order */
	size_t step_count;
	size_t stage, at;              /* what is done now, of which service */
};

/* Compares two services of the same name. */
void reload_compare_services(const struct service_settings *old, const struct service_settings *new,
    struct reload_change *ret_change);

/* Frees what it owns and makes it zero. */
void reload_change_clear(struct reload_change *change);

/* A plan, in which the top level is compared so far.  What cannot change while running is added to errors. */
void reload_plan_begin(const struct config *old, struct config *new, bool dry, struct config_errors *errors,
    struct reload_plan *ret_plan);

/* Compares service number i of the new configuration with the one that runs, if any.  Likewise. */
void reload_compare_step(struct reload_plan *plan, struct service *const *services, size_t count, size_t i);

/* Adds a service that runs to those to be removed, if the new configuration does not have it. */
void reload_compare_removed(struct reload_plan *plan, struct service *service);

/* An error if services run and none would be left: more often an accident than a wish.  file is named in it. */
void reload_check_emptiness(const struct reload_plan *plan, const char *file);

/* Opens the sockets that step number i needs, or sets owner and mode of those that stay, so that nothing can fail
 * later.  What does is added to errors. */
void reload_prepare_step(struct reload_plan *plan, struct table *table, struct service *const *services, size_t count,
    size_t i);

/* The socket of the giver's, as the table has it. */
struct table_socket *reload_given(const struct table *table, const struct reload_giver *giver);

/* Closes what nobody has taken of a step's sockets. */
void reload_step_close(struct reload_step *step);

/* What a renewal does to connections and clients, for people; NULL for a change in place. */
static inline const char *
reload_effect(const struct reload_change *change)
{
	if (change->how != SETTING_RENEW)
		return NULL;
	if (change->mode == SERVICE_SHARED)
		return "the connection is dropped and looked up again; requests in flight end as on_loss says";
	return "connections kept ready are dropped and looked up again; clients keep theirs";
}

/* Closes the sockets that nobody has taken, and frees. */
void reload_plan_clear(struct reload_plan *plan);

#endif
