/* reloads.h - one reload after the other: a child reads the files, then it is planned, and carried out or refused.
 *
 * LOOP_BITS services a turn are compared, opened for and changed.  All that can fail is done before the first change;
 * then the new configuration is put into the table, the commit: a worker that dies afterwards is followed by one that
 * starts with it, whatever was carried out already.
 */
#ifndef HOLDFAST_DAEMON_RELOADS_H
#define HOLDFAST_DAEMON_RELOADS_H

#include <event2/event.h>
#include <stdbool.h>

#include "config/settings.h"
#include "control/pending.h"
#include "daemon/metrics_socket.h"
#include "daemon/services.h"
#include "keep/table.h"

struct reloads;

/* What they work on, all of it borrowed. */
struct reloads_daemon {
	struct event_base *loop;
	struct table *table;
	struct services *services;
	struct listen_socket *control;
	struct metrics_socket *metrics;
	struct pendings *pendings;    /* COMMAND_RELOAD and COMMAND_DRY_RUN are told the result */
	struct config *const *config; /* the one in force */
	void *arg;

	/* The files were read, and what somebody has removed should be there again. */
	void (*read)(void *arg);

	/* The services are as this configuration says, which is the callee's.  metrics: for metrics_socket_set(). */
	void (*take)(void *arg, struct config *config, struct prepared_socket *metrics);

	/* It has ended, carried out or refused. */
	void (*ended)(void *arg);
};

struct reloads *reloads_new(const struct reloads_daemon *daemon);

/* Leaves one that is under way undone.  NULL is fine. */
void reloads_free(struct reloads *reloads);

/* Reads the configuration once more, after what is under way: for who waits for COMMAND_RELOAD, or (dry)
 * COMMAND_DRY_RUN; they are never told before this returns.  force: even if no service is left then. */
void reloads_ask(struct reloads *reloads, bool dry, bool force);

/* Whether one was read and has not ended: until then nothing else opens or closes the sockets of services. */
bool reloads_is_at_work(const struct reloads *reloads);

#endif
