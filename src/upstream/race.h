/* race.h - one client's dials: one endpoint after the other, or beside each other; the first that answers is used.
 *
 * Pure: told what became of its dials and when, it answers with what to do (RACE_DO_*) and leaves in r->deadline when
 * to be told RACE_DEADLINE; told that later, it only goes on later.  P23 and RFC 8305: the next endpoint is dialled
 * when the dial before has failed, or beside it when that has not answered, connect and hello, within
 * connect_stagger; each endpoint once; the first that has answered wins.
 *
 * Which endpoint is next upstream/choice says.  upstream/endpoints is told here what a race alone can know: that a
 * dial is late.  All else about a dial (that it began, failed, connected, was cancelled) it is told by who makes
 * dials, before the race is.
 *
 * All zero is a new one.  It belongs to dials, which end with the process, and need not outlive it.
 */
#ifndef HOLDFAST_UPSTREAM_RACE_H
#define HOLDFAST_UPSTREAM_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/endpoints.h"

enum race_state { RACE_NEW, RACE_RUNS, RACE_WON, RACE_LOST };

enum race_event {
	RACE_START,     /* anew, whatever was before: its dials must have ended */
	RACE_DEADLINE,  /* r->deadline has come */
	RACE_FAILED,    /* dial number has failed, or was cancelled before the race was over */
	RACE_CONNECTED, /* dial number has answered hello */
	RACE_LISTED,    /* a look-up has changed the list: there may be one more */
	RACE_STOP       /* P16: no further dial; those under way come to their end */
};

struct race_input {
	enum race_event event;
	uint16_t number;   /* FAILED, CONNECTED: the endpoint's */
	uint64_t without;  /* START: endpoints that are not to be dialled, a bit each */
	int64_t now;
	uint32_t roll;     /* 32 random bits, or DELAY_EXACT */
};

#define RACE_DO_DIAL   1u /* the endpoint r->dial, beside those under way; then FAILED or CONNECTED */
#define RACE_DO_USE    2u /* the connection to r->winner; the race is over */
#define RACE_DO_CANCEL 4u /* the dials to those in r->under_way; nothing more is told of them */
#define RACE_DO_FAIL   8u /* all that could be tried have failed, or none can; the race is over */

struct race {
	uint8_t state;       /* enum race_state */
	bool stopped;
	uint16_t dial;       /* the last that was begun */
	uint16_t winner;
	uint64_t tried;      /* bits of endpoints */
	uint64_t under_way;  /* of these; once won, those to be cancelled */
	int64_t deadline;    /* CLOCK_NEVER: none */
};

unsigned race_step(struct race *r, struct endpoints *e, const struct endpoints_settings *s,
    const struct race_input *in);

/* The dial that was asked for last is begun only now: its time runs from here. */
void race_begun(struct race *r, const struct endpoints_settings *s, int64_t now);

#endif
