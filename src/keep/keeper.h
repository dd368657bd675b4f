/* keeper.h - the parent that does nothing but keep: starts workers, speaks to systemd, forwards signals.
 *
 * Rules K1 to K8 of surviving.md.
 */
#ifndef HOLDFAST_KEEP_KEEPER_H
#define HOLDFAST_KEEP_KEEPER_H

#include <signal.h>

#include "keep/passed_fds.h"
#include "keep/table.h"

/* Runs in the worker; its result is the worker's exit code. */
typedef int keeper_worker(struct table *table);

/* Makes the files that the keeper needs and that are not there from before an upgrade, and names them in the table:
 * the request eventfd and, when $NOTIFY_SOCKET is set, a datagram socket.  The files that are left in passed_fds,
 * which is cleared, become activated sockets (K2).  0 or -errno. */
int keeper_prepare(struct table *table, struct passed_fds *passed_fds);

/* All signals that the keeper waits for (K4) are left to wait for it, also those that are ignored: the first thing
 * that a program does.  *ret_before: the mask before. */
void keeper_block_signals(sigset_t *ret_before);

/* Becomes the keeper: starts workers until one ends with the daemon stopping.  Gives the exit code of the
 * whole: 0, or the worker's own if no worker ever was ready. */
int keeper_run(struct table *table, keeper_worker *worker);

/* In a worker, or alone under --no-keeper: takes TERM, INT, HUP, USR1 and USR2 either to the keeper or, without one,
 * as requests; notes signals that were sent from outside (K7). */
void keeper_worker_signals(struct table *table);

/* In a worker: when memory runs out, the kernel shall take it and spare the keeper (K8); needs no privilege.  Opens a
 * file: not before the sweep. */
void keeper_volunteer(const struct table *table);

/* Adds bits TABLE_REQUEST_* and rings the eventfd.  Safe in a signal handler. */
void keeper_request(struct table *table, uint32_t bits);

/* In a worker: takes the bits asked for since, and empties the eventfd. */
uint32_t keeper_take_requests(struct table *table);

/* In a worker: the reload that keeper_take_requests() told of (TABLE_REQUEST_RELOADING) is done; until then a new
 * worker is told of it again. */
void keeper_reloaded(struct table *table);

/* In a worker: the new program of an upgrade (TABLE_REQUEST_UPGRADING) was tried.  If it is good the keeper kills
 * this worker and executes it; else all continues. */
void keeper_upgrade_tried(struct table *table, bool good);

/* In a worker: makes the keeper look at ready and status now instead of at its next tick.  Without a keeper systemd
 * is told from here. */
void keeper_nudge(struct table *table);

#endif
