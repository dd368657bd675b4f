/* keeper_parts.h - what keeper.c (the parent), keeper_leave.c (how it gives way to another program) and
 * keeper_worker.c (the worker's side) share; nobody else's. */
#ifndef HOLDFAST_KEEP_KEEPER_PARTS_H
#define HOLDFAST_KEEP_KEEPER_PARTS_H

#include <signal.h>
#include <stdbool.h>

#include "keep/keeper.h"
#include "keep/watchdog.h"

struct keeper {
	struct table *table; /* borrowed */
	keeper_worker *worker;
	void *arg;
	sigset_t signals;
	pid_t pid;           /* of the worker; 0 none */
	pid_t ended;         /* of the one that the keeper has ended itself; 0 none */
	int64_t born;        /* of the worker */
	struct watchdog watchdog;
	int64_t heard_at;    /* when its heartbeat was last seen to change */
	bool hung;           /* killed for want of one */
	unsigned failures;   /* young deaths of its own making in a row */
	unsigned unready;    /* deaths of its own making before any worker of an upgrade's program was ready */
	int64_t start_at;    /* of the next worker, when there is none */
	int64_t tick_at;     /* when to look at the heartbeat next */
	int64_t stopped_at;  /* when the first TERM came; 0 none */
	bool stopped_by_worker; /* it was handed on by the worker (K4) */
	int64_t killed_at;   /* when a second TERM came; 0 none */
	bool handed_over;    /* systemd has everything */
};

#define KEEPER_BACK 3 /* deaths before any worker was ready, after which an upgrade is taken back */

/* U1: ends the worker and executes the new program.  Comes back only if that cannot be. */
void keeper_upgrade(struct keeper *keeper);

/* A new program whose workers die before any was ready gives way to the one before it. */
void keeper_take_back(struct keeper *keeper);

/* U3: ends the worker and leaves all with systemd.  Whether systemd has everything; if not, all goes on. */
bool keeper_hand_over(struct keeper *keeper);

/* Signals that mean something to the daemon; up to a 0. */
extern const int keeper_forwarded[];

/* Signals of deaths that a program brings upon itself (K7); up to a 0. */
extern const int keeper_own_making[];

#endif
