/* loop_parts.h - what loop.c and loop_timer.c share; nobody else's. */
#ifndef HOLDFAST_BASE_LOOP_PARTS_H
#define HOLDFAST_BASE_LOOP_PARTS_H

#include "base/loop.h"

/* The timers of a loop.  NULL if there can be none. */
struct loop_timers *loop_timers_new(struct event_base *loop);
void loop_timers_free(struct loop_timers *clock);

/* The timers of this loop; borrowed; NULL if loop_new() did not make it. */
struct loop_timers *loop_timers_of(const struct event_base *loop);

#endif
