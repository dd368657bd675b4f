/* mux_drops.h - tells in the log what a full queue drops: that it begins to, then how many messages once a minute,
 * until a minute has gone by without one.
 *
 * How many were told of lies in the table, so that a worker's death hides none.
 */
#ifndef HOLDFAST_CLIENT_MUX_DROPS_H
#define HOLDFAST_CLIENT_MUX_DROPS_H

#include <event2/event.h>

#include "base/loop.h"
#include "client/mux_ask.h"

struct mux_drops {
	const struct mux_rules *rules; /* borrowed */
	struct loop_timer minute;      /* set: messages were dropped in the last minute */
};

void mux_drops_init(struct mux_drops *drops, struct event_base *loop, const struct mux_rules *rules);

/* Some may have been dropped. */
void mux_drops_look(struct mux_drops *drops);

/* Nothing more is told. */
void mux_drops_stop(struct mux_drops *drops);

#endif
