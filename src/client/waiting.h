/* waiting.h - who waits: first come first served, each for a limited time.  For a connection, in both modes, or to
 * have heard why it was turned away.
 *
 * Pure: the time is told, and the owner has the timer.  An entry is a part of what waits; waiting_of() gives the
 * whole.
 */
#ifndef HOLDFAST_CLIENT_WAITING_H
#define HOLDFAST_CLIENT_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Filled before waiting_enter(), but for where it waits. */
struct waiting_entry {
	TAILQ_ENTRY(waiting_entry) entry;
	uint64_t place;  /* the lower is served first */
	int64_t since;   /* when it began to wait */
	bool unlimited;  /* it may wait as long as it takes */
	struct waiting_queue *queue; /* borrowed: where it waits; NULL: nowhere */
};

struct waiting_queue {
	TAILQ_HEAD(waiting_entries, waiting_entry) list;
	unsigned count;
	int64_t timeout; /* microseconds, 0: no limit; may be set at any time */
	bool paused;     /* nobody's time runs out */
	int64_t from;    /* nobody's waiting counts from before */
};

#define waiting_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

void waiting_init(struct waiting_queue *waiting, int64_t timeout);

/* In its place; those of the same place in the order of coming.  It must wait nowhere. */
void waiting_enter(struct waiting_queue *waiting, struct waiting_entry *entry);

/* It waits no more.  Harmless where it does not wait. */
void waiting_leave(struct waiting_entry *entry);

/* Who is next, or NULL; who after that. */
struct waiting_entry *waiting_first(const struct waiting_queue *waiting);
struct waiting_entry *waiting_next(const struct waiting_entry *entry);

/* Nobody's time runs out while it is paused; then the time of all restarts, from this point of the monotonic
 * clock. */
void waiting_pause(struct waiting_queue *waiting, bool paused, int64_t from);

/* When the time of one is over, or of the first whose is; CLOCK_NEVER: never.  The latter looks at all. */
int64_t waiting_end(const struct waiting_queue *waiting, const struct waiting_entry *entry);
int64_t waiting_next_end(const struct waiting_queue *waiting);

/* The first in place whose time is over, or NULL. */
struct waiting_entry *waiting_over(const struct waiting_queue *waiting, int64_t now);

/* How long the one who has waited longest has done so, in microseconds; 0 if there is none. */
int64_t waiting_longest(const struct waiting_queue *waiting, int64_t now);

#endif
