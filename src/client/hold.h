/* hold.h - the clients that wait for a connection: first come first served, each for a limited time.
 *
 * Their places are the ids in the table, so a new worker finds the same order.
 */
#ifndef HOLDFAST_CLIENT_HOLD_H
#define HOLDFAST_CLIENT_HOLD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/session.h"

struct hold;

/* timeout in microseconds, 0: no limit.  expired is called for each client whose time is over; the callee removes
 * it.  A client that had been attached and waits for a reconnect has no limit. */
struct hold *hold_new(struct event_base *loop, int64_t timeout, void (*expired)(void *arg, struct session *session),
    void *arg);

/* The clients must have been removed. */
void hold_free(struct hold *hold);

void hold_set_timeout(struct hold *hold, int64_t timeout);

/* Nobody's time runs out while it is paused; then all begin to wait anew, from this point of the monotonic clock. */
void hold_pause(struct hold *hold, bool paused, int64_t from);

/* In its place by id.  The session stays the caller's; it must be in no other list. */
void hold_add(struct hold *hold, struct session *session);

/* Only takes it out, to be closed or opened by the caller; it must be in here.  Allowed in expired. */
void hold_remove(struct hold *hold, struct session *session);

/* Whether the client's waiting ends by itself. */
bool hold_is_limited(const struct hold *hold, const struct session *session);

/* Since when the client waits (monotonic): its coming, or the loss of the connection it had; after a worker's death
 * that is known to the tick. */
int64_t hold_since(const struct session *session);

/* Who is next, or NULL; borrowed. */
struct session *hold_first(const struct hold *hold);
struct session *hold_next(struct session *session);

unsigned hold_count(const struct hold *hold);

/* How long the one who has waited longest has done so, in microseconds; 0 if there is none. */
int64_t hold_longest(const struct hold *hold);

#endif
