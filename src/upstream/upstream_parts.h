/* upstream_parts.h - struct upstream, for the files that upstream/upstream is made of:
 *
 * upstream.c       what others ask of it; its begin and end
 * upstream_act.c   steps of the machine, and what they say is to be done
 * upstream_find.c  look-ups, and what becomes of the endpoints
 * upstream_begin.c how it begins, and goes on after a worker's death
 * upstream_lend.c  a shared service's one connection, and what takes its place
 * upstream_tell.c  events, history, log lines, status
 */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_PARTS_H
#define HOLDFAST_UPSTREAM_UPSTREAM_PARTS_H

#include <sys/queue.h>

#include "base/loop.h"
#include "base/stock.h"
#include "upstream/handlers.h"
#include "upstream/upstream.h"
#include "upstream/pool.h"
#include "upstream/record.h"
#include "upstream/waiters.h"

#define UPSTREAM_WITHDRAWN "withdrawn by the look-up" /* why a connection is given up */

/* What has happened and was not told to the machine yet. */
struct upstream_input {
	STAILQ_ENTRY(upstream_input) next;
	struct pconn_input input;
	uint16_t number;                        /* OFFERED, DIALED, DIAL_FAILED: the endpoint's */
	char *error;                            /* owned: DIAL_FAILED; NULL none */
};

struct upstream {
	struct event_base *loop;                /* borrowed */
	struct table *table;                    /* borrowed */
	uint16_t service;
	const char *name;                       /* borrowed: the table's */
	const struct upstream_settings *settings;   /* borrowed */
	struct pconn_settings pconn;            /* theirs, as the machine is to see them */
	struct endpoints_settings endpoints;    /* likewise */
	const struct upstream_callbacks *callbacks; /* borrowed */
	void *arg;                              /* borrowed */
	struct upstream_record *record;             /* borrowed: the table's */
	struct lookup *lookup;                  /* owned */
	struct lookup_waiter *asking;           /* owned; NULL: no look-up of ours */
	struct lookup_waiter *asking_standby;   /* owned; the same for a standby */
	struct pool *pool;                      /* owned */
	struct handlers *handlers;              /* owned */
	struct waiters *waiters;                /* owned */
	struct loop_timer turn;                 /* the loop's next turn: upstream_begin() or upstream_run() */
	struct loop_timer timer;                /* the machine's deadline */
	struct loop_timer still;                /* "still down" */
	struct loop_timer tending;              /* of the endpoints: the next is due */
	STAILQ_HEAD(upstream_inputs, upstream_input) inputs;
	struct stock stock;                     /* of inputs */
	bool begun, running, refused, was_up;
	bool asked_to_end, asked_to_open;       /* what of the inputs changes upstream_refuses() already */
	bool moving;                            /* the lent connection's endpoint is withdrawn: at rest it goes */
	bool withdrawing;                       /* the next reconnect is for that */
	bool let_go;                            /* while paused or moving: the lent connection is in use no more */
	char failing_by[UPSTREAM_BY_SIZE];          /* who has it fail, while it is failing by order */
	struct loop_timer failing;              /* the end of that */
	unsigned held;
	uint64_t random;
	uint32_t lent;                          /* the connection that is lent; 0 none */
	int64_t lent_since;                     /* its connect */
	uint16_t lent_number;                   /* its endpoint */
	uint32_t left[ENDPOINTS_MAX];           /* P33: connections to each that end, but are still open */
	bool lost;                              /* it has ended, and the machine was not told yet */
	int64_t ended_age;                      /* of the last unused one that ended */
};

static inline const struct pconn *
upstream_pconn(const struct upstream *upstream)
{
	return &record_current(upstream->record)->pconn;
}

/* The machine shall be told this in the loop's next turn.  Those that say nothing but "look again" come once. */
void upstream_push(struct upstream *upstream, struct pconn_input input);

/* What has become of one of the attempt's dials, or of a further one; error is copied. */
void upstream_push_dial(struct upstream *upstream, enum pconn_event event, uint16_t number, const char *error,
    bool further);

/* Takes an input out of the queue, and frees it. */
void upstream_free_input(struct upstream *upstream, struct upstream_input *input);

/* Tells the machine all that was pushed, and does what it says; only from the loop. */
void upstream_run(struct upstream *upstream);

/* Does what the machine says; in is what it was told. */
void upstream_act(struct upstream *upstream, unsigned todo, const struct pconn_input *in);

/* The settings are new. */
void upstream_note_settings(struct upstream *upstream);

/* The settings of a pool, as they are now. */
struct pool_settings upstream_pool_settings(const struct upstream *upstream);

/* Forgets what the attempt's dials have told and the machine was not told yet. */
void upstream_forget_dials(struct upstream *upstream);

/* P33: gives up the connection whose endpoint is withdrawn. */
void upstream_withdraw(struct upstream *upstream);

/* Begins the look-up of an attempt, or for further dials. */
void upstream_ask(struct upstream *upstream);

/* P21; the end of the look-up or dial that says so is told next. */
void upstream_abort(struct upstream *upstream, const char *error);

/* An endpoint is in good health again, or is not any more. */
void upstream_on_turned(void *arg, uint16_t number, bool good);

/* Where an endpoint is, for people; "" for a number that is stale. */
void upstream_address(const struct upstream *upstream, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE]);

/* P31 to P33: it is connected, and meant to stay so. */
bool upstream_is_to_stay(const struct upstream *upstream);

/* Logs what of the catalog is passed over and was not told yet, by a dead worker neither; arg is the upstream. */
void upstream_tell_passed_over(void *arg);

/* Sees to the endpoints, now that the machine has come to rest. */
void upstream_tend(struct upstream *upstream);

/* The counts that the machine is given.  A shared connection serves all who wait, and is there as long as it is
 * lent. */
unsigned upstream_waiting(const struct upstream *upstream);
unsigned upstream_ready(const struct upstream *upstream);

static inline bool
upstream_is_paused(const struct upstream *upstream)
{
	return table_is_paused(upstream->table, upstream->service);
}

static inline bool
upstream_is_failing(const struct upstream *upstream)
{
	return table_is_failing(upstream->table, upstream->service);
}

/* How long it fails by order yet. */
int64_t upstream_failing_left(const struct upstream *upstream);

/* Whether clients may have a connection now, if there is one. */
static inline bool
upstream_gives(const struct upstream *upstream)
{
	return upstream->begun && !upstream->asked_to_end && !upstream_is_paused(upstream) &&
	    !upstream_is_failing(upstream);
}

/* P20: the lent connection's end is waited for. */
bool upstream_is_draining(const struct upstream *upstream);

/* Finds the connection that a dead worker had lent; then, from the loop, what becomes of it. */
void upstream_find_lent(struct upstream *upstream);
void upstream_resume_lent(struct upstream *upstream);

/* The lent connection, if there is one, is given up. */
void upstream_take_back(struct upstream *upstream);

/* The current connection has ended so long after its connect: a standby takes over, if one is ready. */
bool upstream_take_over(struct upstream *upstream, int64_t age);

/* The machine was told of it. */
void upstream_note_takeover(struct upstream *upstream);

/* Sees to the standbys, now that the machine has come to rest. */
void upstream_tend_standby(struct upstream *upstream);

/* Looks up for a standby; not any more (pool_callbacks). */
void upstream_look_up_standby(void *arg);
void upstream_leave_standby(void *arg);

/* Goes on with what the record says, or begins. */
void upstream_begin(struct upstream *upstream);

/* The machine shall begin anew; what an operator ended stays so. */
void upstream_push_renewal(struct upstream *upstream);

/* Callbacks of its parts. */
void upstream_on_timer(evutil_socket_t fd, short what, void *arg);
void upstream_on_tending(evutil_socket_t fd, short what, void *arg);
void upstream_on_still(evutil_socket_t fd, short what, void *arg);
void upstream_on_handled(void *arg);
extern const struct pool_callbacks upstream_pool_callbacks;
extern const struct lookup_callbacks upstream_lookup_callbacks;

/* P14's error of a closed upstream. */
const char *upstream_closed_error(const struct upstream *upstream);

/* 32 random bits, for the upstream (arg) and its parts. */
uint32_t upstream_roll(void *arg);

/* The event that the machine reported last. */
struct upstream_event upstream_last_event(const struct upstream *upstream);

/* History, log, subscribers, notify: everything but the handler. */
void upstream_report(struct upstream *upstream);

/* A failure: as the handler is told it; what failed ("dial 10.0.0.1:5", "" for nothing to add) for people. */
void upstream_set_error(struct upstream *upstream, const char *what, const char *error);

/* Why the connection is lost or given up, for the handler of disconnected; no error.  On purpose: no outage. */
void upstream_set_reason(struct upstream *upstream, const char *reason);
void upstream_set_purpose(struct upstream *upstream, const char *reason);

/* One that was not reported (P8). */
void upstream_tell_repeat(struct upstream *upstream);

/* What a look-up gave, if it differs from before. */
void upstream_tell_listing(struct upstream *upstream, const struct lookup_result *result);

void upstream_tell_rest(struct upstream *upstream);

/* Keeps since and down_since, and the time of "still down". */
void upstream_note_state(struct upstream *upstream);

#endif
