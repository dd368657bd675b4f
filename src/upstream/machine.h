/* machine.h - one service's upstream/pconn as it lies in the table; what has happened that it was not told yet; what
 * it says of the service, and who waits for that. */
#ifndef HOLDFAST_UPSTREAM_MACHINE_H
#define HOLDFAST_UPSTREAM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/record.h"
#include "upstream/upstream_settings.h"

/* What the parts of one service's upstream share.  All borrowed. */
struct upstream_context {
	struct event_base *loop;
	struct table *table;
	uint16_t service;
	const char *name;                    /* the table's */
	struct upstream_record *record;      /* the table's */
	const struct upstream_settings *settings;
	struct pconn_settings pconn;         /* theirs, as the machine is to see them */
	struct endpoints_settings endpoints; /* likewise, with what the source of lookups means by its order */
	unsigned held;                       /* clients that wait */
	struct machine *machine;             /* what has happened is pushed there */
	struct upstream_log *log;            /* and told there */
	const struct upstream_watcher *watcher;
	const struct upstream_callbacks *callbacks;
	void *arg;
};

/* These settings count from now on; or the same ones, with another source. */
void upstream_context_set(struct upstream_context *context, const struct upstream_settings *settings);

/* What an operator has set for a while. */
static inline bool
upstream_context_is_paused(const struct upstream_context *context)
{
	return table_is_paused(context->table, context->service);
}

static inline bool
upstream_context_is_failing(const struct upstream_context *context)
{
	return table_is_failing(context->table, context->service);
}

struct machine_input {
	struct pconn_input input;
	uint16_t number; /* OFFERED, DIALED, DIAL_FAILED: the endpoint's; 0 none */
	char *error;     /* owned: DIAL_FAILED; NULL none */
};

struct machine;

/* turn is called once in the loop's turn whenever something was pushed, first of all to begin: there it is told all,
 * with machine_next() and machine_step(), and machine_rest() follows. */
struct machine *machine_new(const struct upstream_context *context, void (*turn)(void *arg), void *arg);
void machine_free(struct machine *machine);

/* What is pushed from here on comes before what was pushed until now; it ends with what operators set and a dead
 * worker did not come to do, by machine_began(). */
void machine_begin(struct machine *machine);
void machine_began(struct machine *machine);
bool machine_has_begun(const struct machine *machine);

/* It shall be told this.  What says nothing but "look again" waits once. */
void machine_push(struct machine *machine, struct pconn_input input);
void machine_push_event(struct machine *machine, enum pconn_event event);

/* What has become of one of the attempt's dials, or of a further one; error is copied. */
void machine_push_dial(struct machine *machine, enum pconn_event event, uint16_t number, const char *error,
    bool further);

/* P21; the end of the lookup or dial that says so is pushed next. */
void machine_push_abort(struct machine *machine, const char *error);

/* It shall restart, since a reload changed the service; what an operator ended stays so. */
void machine_push_renewal(struct machine *machine);

/* Likewise for an operator or client; of CLOSE, DRAIN and OPEN machine_refuses() knows at once. */
void machine_tell(struct machine *machine, enum pconn_event event);

/* turn is called in this turn of the loop; or at a moment, unless something is pushed earlier. */
void machine_look(struct machine *machine);
void machine_look_at(struct machine *machine, int64_t at);

/* Takes out what is to be told next, error to be freed with mem_free(); false: nothing.  What the attempt's dials
 * have told waits while a handler runs (P9). */
bool machine_next(struct machine *machine, struct machine_input *ret_input);

/* Makes a step, with what was reported before of this endpoint in mind (P8, P23): in->fresh and in->same are set.
 * What is to be done, and the place in which the step was made: record_commit() puts it in force. */
unsigned machine_step(struct machine *machine, struct pconn_input *in, uint16_t number,
    struct record_place **ret_place);

/* 32 random bits, never DELAY_EXACT; also a callback, whose arg is nothing. */
uint32_t machine_roll(void *arg);

/* All was told. */
void machine_rest(struct machine *machine);

/* Forgets what the attempt's dials have told; of that only what is offered.  Whether anything of dials waits. */
void machine_forget(struct machine *machine, bool offers);
bool machine_has_dials(const struct machine *machine);

/* A connection of which it was not told yet has ended: its dial has failed, with this error (copied).  false: it was
 * told of all. */
bool machine_undo_dialled(struct machine *machine, const char *error);

/* Whether clients may have a connection now, if there is one; whether it is connected, and meant to stay so (P31 to
 * P33). */
bool machine_gives(const struct machine *machine);
bool machine_is_to_stay(const struct machine *machine);

/* Whether attempts have failed and are not continued, since no client waits (P30). */
bool machine_is_idle_down(const struct machine *machine);

/* An idle service (P30) has an attempt for an operator who waits to be told of a connection, as for a client; and,
 * after attempts that failed, once an endpoint was found since the last of them (endpoints_found_at()): the attempt
 * tells whether the outage is over. */
void machine_end_idleness(struct machine *machine, int64_t found_at);

/* Answers who waits, as the step says (PCONN_DO_ANSWER_*, FINISHED). */
void machine_answer(struct machine *machine, unsigned todo);

/* upstream_wait() and upstream_leave(); whether there is a connection, whether it machine_refuses(). */
struct upstream_waiter *machine_wait(struct machine *machine, unsigned kind, bool connected, bool refuses,
    upstream_answer *answer, void *arg);
void machine_leave(struct upstream_waiter *waiter);

/* Whether it has ended for good, or is going to; in_use: a drain waits for the end of a connection (P20). */
bool machine_refuses(const struct machine *machine, bool in_use);

/* Whether a connection is there or on its way without a retry delay. */
bool machine_is_up(const struct machine *machine);

#endif
