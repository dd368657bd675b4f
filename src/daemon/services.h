/* services.h - all services of the daemon: those in force, and the removed ones whose clients end. */
#ifndef HOLDFAST_DAEMON_SERVICES_H
#define HOLDFAST_DAEMON_SERVICES_H

#include <event2/event.h>

#include "config/read.h"
#include "daemon/reload.h"
#include "daemon/service.h"

struct services;

struct services_sum {
	size_t services, up;
	unsigned clients, held; /* clients without the held, those of removed services included */
	unsigned lingering;     /* turned away, and still being told why */
	size_t shut;            /* services whose socket could not be opened */
	const char *shut_service, *shut_error; /* borrowed: of the first of them; NULL none */
};

/* watcher (borrowed) is told each event of each service; drained when a removed service's last client has gone. */
struct services *services_new(struct event_base *loop, struct table *table, const struct upstream_watcher *watcher,
    void (*drained)(void *arg), void *arg);
void services_free(struct services *services);

/* A start: first what the table has beyond the services of the configuration ends, then these are started or resumed,
 * one with each call (the configuration then has it no more); false: that was the last.  One whose socket cannot be
 * opened is down, and tries again. */
void services_resume(struct services *services, const struct config *config);
bool services_start_bit(struct services *services, struct config *config);

/* A reload, of a plan that was begun (reload_plan_begin()), in bits, each of which does one thing with one service;
 * false: that was the last.  First what would change, with all that it needs opened; then, if no error was added, the
 * plan is carried out with the services of its new configuration; else it is undone: what was opened is closed, and
 * the sockets have the owner and mode of the settings in force again. */
bool services_plan_bit(struct services *services, struct reload_plan *plan);
bool services_apply_bit(struct services *services, struct reload_plan *plan);
bool services_undo_bit(struct services *services, struct reload_plan *plan);

/* Closes the sockets that systemd has handed over under a name that no service has, or under one twice, and tells. */
void services_refuse_passed_fds(struct services *services);

/* Closes listeners and held clients; with all set the others too. */
void services_stop(struct services *services, bool all);

/* Number index in the order of the configuration, or NULL; and by name. */
struct service *services_at(const struct services *services, size_t index);
struct service *services_at_all(const struct services *services, size_t index); /* behind them the removed ones */
struct service *services_find(const struct services *services, const char *name);

void services_get_sum(const struct services *services, struct services_sum *ret_sum);

/* Writes the state of each service to the log (USR1). */
void services_dump(const struct services *services);

#endif
