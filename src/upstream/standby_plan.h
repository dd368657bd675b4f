/* standby_plan.h - decides when connections to other endpoints are looked up and dialled, to be ready for a failover.
 *
 * Pure, like upstream/pconn: told what has happened and when, it answers with what to do (STANDBY_DO_*) and leaves in
 * p->deadline when to be told STANDBY_LOOK.  Silent: nothing of this is an event of the service.  All zero is a
 * new one.
 */
#ifndef HOLDFAST_UPSTREAM_STANDBY_PLAN_H
#define HOLDFAST_UPSTREAM_STANDBY_PLAN_H

#include "upstream/pconn.h"

enum standby_event {
	STANDBY_LOOK,          /* a count may have changed, or the deadline has come */
	STANDBY_LOOKED_UP,
	STANDBY_LOOKUP_FAILED,
	STANDBY_DIALED,
	STANDBY_DIAL_FAILED,   /* on all that are left of the lookup's addresses */
	STANDBY_WAKE,          /* P24: the catalog's list has changed */
};

struct standby_input {
	enum standby_event event;
	int64_t now;
	uint32_t roll;
	/* counts as they are after the event */
	unsigned wanted;       /* 0: the service is not connected, or ends */
	unsigned ready, dialling;
	unsigned others;       /* addresses of the last lookup at which there is no connection */
};

#define STANDBY_DO_LOOKUP 1u /* then LOOKED_UP or LOOKUP_FAILED */
#define STANDBY_DO_DIAL   2u /* one of the others; then DIALED or DIAL_FAILED */
#define STANDBY_DO_DROP   4u /* all of it, what is under way too */

struct standby_plan {
	bool looking;
	uint32_t failures;     /* in a row */
	int64_t retry_at;      /* P4: the next lookup is not before */
	int64_t deadline;      /* CLOCK_NEVER: none */
};

unsigned standby_step(struct standby_plan *p, const struct pconn_settings *s, const struct standby_input *in);

#endif
