/* standby.h - keeps connections to other copies of a shared service ready, for a failover without a connect.
 *
 * Each is at an address of its own, with hello spoken.  Their records in the table are of the
 * role STANDBY, so that a new worker goes on with them.  standby_plan.h decides.
 */
#ifndef HOLDFAST_UPSTREAM_STANDBY_H
#define HOLDFAST_UPSTREAM_STANDBY_H

#include "upstream/lookup.h"
#include "upstream/pconn.h"
#include "upstream/pool.h"

struct standby_callbacks {
	/* Looks the service up, as lookup_ask() does. */
	struct lookup_waiter *(*look_up)(void *arg, lookup_callback *callback, void *callback_arg);
	uint32_t (*roll)(void *arg); /* 32 random bits */
};

struct standby;

/* Everything is borrowed; name is for the log.  pconn may change. */
struct standby *standby_new(struct event_base *loop, struct table *table, uint16_t service, const char *name,
    const struct dial_settings *dial, const struct hello_settings *hello, const struct pconn_settings *pconn,
    const struct standby_callbacks *callbacks, void *arg);

/* As pool_set(), pool_free() and pool_adopt(). */
void standby_set(struct standby *standby, const struct dial_settings *dial, const struct hello_settings *hello);
void standby_free(struct standby *standby);
void standby_adopt(struct standby *standby, bool keep);

/* So many shall be ready beside the connection to current; 0: the service is not connected, or ends. */
void standby_look(struct standby *standby, unsigned wanted, const char *current);

/* P24: the catalog's list has changed. */
void standby_wake(struct standby *standby);

/* Closes all and ends what is under way. */
void standby_drop(struct standby *standby);

/* Moves the first ready one that has not ended to the other pool, and gives its address; false if there is none.  Its
 * record keeps the role STANDBY until pool_own(). */
bool standby_give(struct standby *standby, struct pool *to, char ret_address[ADDRESS_TEXT_SIZE]);

unsigned standby_ready(const struct standby *standby);

#endif
