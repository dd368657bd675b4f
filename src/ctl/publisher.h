/* publisher.h - decides when an instance's entry is put into a catalog, beaten for, checked and taken out.
 *
 * Pure: told what happened and when, it answers with what to do (PUBLISHER_DO_*) and leaves in p->deadline when to be
 * told PUBLISHER_DEADLINE.
 */
#ifndef HOLDFAST_CTL_PUBLISHER_H
#define HOLDFAST_CTL_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define PUBLISHER_AGAIN CLOCK_SECOND /* after a failure, or a beat's time if that is less */
#define PUBLISHER_BEATS 3            /* that an entry lives without */

enum publisher_event {
	PUBLISHER_BEGIN,
	PUBLISHER_DEADLINE,
	PUBLISHER_PUT,          /* what PUBLISHER_DO_PUT led to: it is there */
	PUBLISHER_PUT_FAILED,   /* or not */
	PUBLISHER_CHECK_PASSED,
	PUBLISHER_CHECK_FAILED, /* or was killed */
	PUBLISHER_STOP
};

/* PUT: the entry is to be there, written if it is not, and to have changed now.  At most one check runs. */
#define PUBLISHER_DO_PUT        1u
#define PUBLISHER_DO_WITHDRAW   2u
#define PUBLISHER_DO_CHECK      4u
#define PUBLISHER_DO_KILL_CHECK 8u

/* UNCHECKED: no check has ended, and what a killed publisher has left may be there.  ABSENT: the check has failed.
 * TRYING: it is to be there, and is not as far as we know. */
enum publisher_state {
	PUBLISHER_UNCHECKED, PUBLISHER_ABSENT, PUBLISHER_TRYING, PUBLISHER_LISTED, PUBLISHER_ENDED
};

struct publisher {
	int64_t every;       /* microseconds between two heartbeats */
	int64_t check_every; /* 0: there is no check */
	enum publisher_state state;
	bool checking;
	int64_t next_put, next_check; /* monotonic; CLOCK_NEVER none */
	int64_t deadline;
};

/* Times are at least a millisecond. */
void publisher_init(struct publisher *p, int64_t every, int64_t check_every);

unsigned publisher_step(struct publisher *p, enum publisher_event event, int64_t now);

#endif
