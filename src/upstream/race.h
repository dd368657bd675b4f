/* race.h - where a client's dials go: one endpoint after the other, or beside each other, until one answers.
 *
 * Pure: told what became of its dials and when, it answers with what to do (RACE_DO_*) and leaves in r->deadline when
 * to be told RACE_DEADLINE; told that later, it only acts later.  P23 and RFC 8305: the next endpoint is dialled
 * when the dial before has failed, or beside it when that has not answered, connect and hello, within
 * connect_stagger; each endpoint once; the first that has answered wins.
 *
 * upstream/endpoints is told here what a race alone can know: that a dial is late.  All else about a dial (that it
 * began, failed, connected, was cancelled) it is told by who makes dials, before the race is.
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
	RACE_START,     /* or restart, whatever was before: its dials must have ended */
	RACE_DEADLINE,  /* r->deadline has come, or there may be one more to dial */
	RACE_FAILED,    /* dial number has failed, or was cancelled before the race was over */
	RACE_CONNECTED, /* dial number has answered hello */
	RACE_STOP       /* P16: no further dial; those under way come to their end */
};

struct race_input {
	enum race_event event;
	uint16_t number;   /* FAILED, CONNECTED: the endpoint's */
	uint64_t without;  /* START: endpoints that are not to be dialled, a bit each */
	int64_t now;
	uint32_t roll;     /* 32 random bits, or DELAY_EXACT */
};

#define RACE_DO_DIAL 1u /* the endpoint r->dial, beside those under way; then FAILED or CONNECTED */
#define RACE_DO_FAIL 2u /* all that could be tried have failed, or none can; the race is over */

struct race {
	uint8_t state;       /* enum race_state; once WON, nothing more is told of the dials under way */
	bool stopped;
	uint16_t dial;       /* the last that was begun */
	uint64_t tried;      /* bits of endpoints */
	uint64_t under_way;  /* of these; once WON, those to be cancelled */
	int64_t deadline;    /* CLOCK_NEVER: none */
};

unsigned race_step(struct race *r, struct endpoints *e, const struct endpoints_settings *s,
    const struct race_input *in);

/* The dial that was asked for last is begun only now: its time runs from here. */
void race_begun(struct race *r, const struct endpoints_settings *s, int64_t now);

/* Which endpoint the next upstream connection goes to (pick, P23, P31): its number, not one whose bit is in
 * without; 0 if none is left.  roll is 32 random bits, or DELAY_EXACT.
 *
 * It is a listed one, healthy if there is one; not slow, if there is one; of the best priority that has such;
 * of these the one that pick says.  `random` and `rotate` go by weight, 0 being 1/64 of 1; `least` counts
 * connections and dials, those with equally many take turns by weight.  When all have failed, by priority again, the
 * one that failed longest ago: nobody has asked it for longest, so it has most likely changed, and each gets its
 * turn to be first. */
uint16_t race_choose(struct endpoints *e, const struct endpoints_settings *s, uint64_t without, uint32_t roll);

#endif
