/* loop_parts.h - what loop.c and loop_timer.c share; nobody else's. */
#ifndef HOLDFAST_BASE_LOOP_PARTS_H
#define HOLDFAST_BASE_LOOP_PARTS_H

#include "base/loop.h"

/* The timers of a loop.  NULL if there can be none. */
struct loop_clock *loop_clock_new(struct event_base *loop);
void loop_clock_free(struct loop_clock *clock);

/* A loop's. */
struct loop_clock *loop_clock_of(const struct event_base *loop);

#endif
