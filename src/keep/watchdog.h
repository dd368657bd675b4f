/* watchdog.h - decides whether a worker is hung (K6).
 *
 * Pure: told once a tick what can be seen of the worker.  What counts is the processor's time that the worker has
 * had without a heartbeat: one that gets little of it, under a quota or on a busy machine, is slow and not hung.  One
 * that gets none at all, because it waits in a system call, is given a number of the keeper's own ticks (not a
 * difference of times: a stopped machine ages both), one that is not ready yet more of them, and each that follows a
 * hung one twice as many.
 */
#ifndef HOLDFAST_KEEP_WATCHDOG_H
#define HOLDFAST_KEEP_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
	uint32_t heartbeat; /* last seen */
	unsigned silent;    /* ticks since */
	unsigned idle;      /* the last of them, in which the worker used no processor's time */
	int64_t used, used_at_beat;
	unsigned hung;      /* workers in a row */
	unsigned well;      /* ticks with a heartbeat since the last that was */
};

/* What is seen of the worker at a tick. */
struct watchdog_look {
	uint32_t heartbeat;
	int64_t used;       /* processor's time in microseconds, -1 unknown; ignored with a new heartbeat */
	bool ready;         /* it is, or was */
	bool stopped;       /* by a signal: it will not continue by itself */
};

enum watchdog_verdict {
	WATCHDOG_WELL,      /* it has given a sign of life, or works without */
	WATCHDOG_QUIET,     /* nothing is seen of it: wait */
	WATCHDOG_HUNG       /* to be killed */
};

/* Another worker begins, with this heartbeat. */
void watchdog_begin(struct watchdog *watchdog, uint32_t heartbeat);

/* To be called once a tick. */
enum watchdog_verdict watchdog_tick(struct watchdog *watchdog, const struct watchdog_look *look);

/* It was no hang after all: a debugger holds it. */
void watchdog_excuse(struct watchdog *watchdog);

#endif
