/* turns.h - lets few openings go on in each turn of the loop, however many could.
 *
 * A step of a handshake takes as long as a hundred records of a session that is up, which are not to wait for all
 * handshakes of a server that is up again.  First come, first served.
 */
#ifndef HOLDFAST_TLS_TURNS_H
#define HOLDFAST_TLS_TURNS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/loop.h"

struct turns {
	struct loop_work work;
	TAILQ_HEAD(, turn) waiting; /* of borrowed */
	bool busy;
};

/* All zero is one that does not wait. */
struct turn {
	TAILQ_ENTRY(turn) entry;
	struct turns *turns;      /* borrowed; NULL: it does not wait */
	void (*go)(void *arg);
	void *arg;                /* borrowed */
};

void turns_init(struct turns *turns, struct event_base *loop);

/* All of them must have left.  Harmless when it was never initialised. */
void turns_end(struct turns *turns);

/* Calls go(arg) in this turn of the loop, after all that is due, or in a later one; once, if it waits already. */
void turns_wait(struct turns *turns, struct turn *turn, void (*go)(void *arg), void *arg);

/* Waits no longer; harmless when it does not. */
void turns_leave(struct turn *turn);

#endif
