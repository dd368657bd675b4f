/* standby.h - keeps connections to other endpoints of a shared service ready, for a failover without a connect.
 *
 * Each is at an endpoint of its own, with hello spoken.  They are upstream/pool's, with the role STANDBY, so that a
 * new worker goes on with them.  standby_plan.h decides.
 */
#ifndef HOLDFAST_UPSTREAM_STANDBY_H
#define HOLDFAST_UPSTREAM_STANDBY_H

#include "upstream/pconn.h"
#include "upstream/pool.h"
#include "upstream/standby_plan.h"

struct standby_callbacks {
	/* A look-up is to be made; then STANDBY_LOOKED_UP or STANDBY_LOOKUP_FAILED, never before it returns. */
	void (*look_up)(void *arg);
	void (*leave)(void *arg); /* it is not wanted any more */
	uint32_t (*roll)(void *arg); /* 32 random bits */
};

struct standby;

/* Everything is borrowed; pconn may change. */
struct standby *standby_new(struct event_base *loop, struct pool *pool, const struct pconn_settings *pconn,
    const struct standby_callbacks *callbacks, void *arg);
void standby_free(struct standby *standby);

/* So many shall be ready beside the connection to the current endpoint; 0: the service is not connected, or ends. */
void standby_look(struct standby *standby, unsigned wanted, uint16_t current);

/* Anything but STANDBY_LOOK has happened. */
void standby_tell(struct standby *standby, enum standby_event event);

/* Closes all and ends what is under way. */
void standby_drop(struct standby *standby);

#endif
