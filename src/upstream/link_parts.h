/* link_parts.h - struct link, for the files that upstream/link is made of:
 *
 * link.c       what others ask of it; its begin and end
 * link_act.c   steps of the machine, and what they say is to be done
 * link_find.c  look-ups, and what becomes of the endpoints
 * link_begin.c how it begins, and goes on after a worker's death
 * link_lend.c  a shared service's one connection, and what takes its place
 * link_tell.c  events, history, log lines, status
 */
#ifndef HOLDFAST_UPSTREAM_LINK_PARTS_H
#define HOLDFAST_UPSTREAM_LINK_PARTS_H

#include <sys/queue.h>

#include "base/loop.h"
#include "base/stock.h"
#include "upstream/handlers.h"
#include "upstream/link.h"
#include "upstream/pool.h"
#include "upstream/record.h"
#include "upstream/standby.h"
#include "upstream/waiters.h"

#define LINK_WITHDRAWN "withdrawn by the look-up" /* why a connection is given up */

/* What has happened and was not told to the machine yet. */
struct link_input {
	STAILQ_ENTRY(link_input) next;
	struct pconn_input input;
	uint16_t number;                        /* OFFERED, DIALED, DIAL_FAILED: the endpoint's */
	char *error;                            /* owned: DIAL_FAILED; NULL none */
};

struct link {
	struct event_base *loop;                /* borrowed */
	struct table *table;                    /* borrowed */
	uint16_t service;
	const char *name;                       /* borrowed: the table's */
	const struct link_settings *settings;   /* borrowed */
	struct pconn_settings pconn;            /* theirs, as the machine is to see them */
	struct endpoints_settings endpoints;    /* likewise */
	const struct link_callbacks *callbacks; /* borrowed */
	void *arg;                              /* borrowed */
	struct link_record *record;             /* borrowed: the table's */
	struct lookup *lookup;                  /* owned */
	struct lookup_waiter *asking;           /* owned; NULL: no look-up of ours */
	struct lookup_waiter *asking_standby;   /* owned; the same for a standby */
	struct pool *pool;                      /* owned */
	struct standby *standby;                /* owned */
	struct handlers *handlers;              /* owned */
	struct waiters *waiters;                /* owned */
	struct loop_timer turn;                 /* the loop's next turn: link_begin() or link_run() */
	struct loop_timer timer;                /* the machine's deadline */
	struct loop_timer still;                /* "still down" */
	struct loop_timer tending;              /* of the endpoints: the next is due */
	STAILQ_HEAD(link_inputs, link_input) inputs;
	struct stock stock;                     /* of inputs */
	bool begun, running, refused, was_up;
	bool asked_to_end, asked_to_open;       /* what of the inputs changes link_refuses() already */
	bool moving;                            /* the lent connection's endpoint is withdrawn: at rest it goes */
	bool withdrawing;                       /* the next reconnect is for that */
	bool let_go;                            /* while paused or moving: the lent connection is in use no more */
	char failing_by[LINK_BY_SIZE];          /* who has it fail, while it is failing by order */
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
link_pconn(const struct link *link)
{
	return &record_current(link->record)->pconn;
}

/* The machine shall be told this in the loop's next turn.  Those that say nothing but "look again" come once. */
void link_push(struct link *link, struct pconn_input input);

/* What has become of one of the attempt's dials, or of a further one; error is copied. */
void link_push_dial(struct link *link, enum pconn_event event, uint16_t number, const char *error, bool further);

/* Takes an input out of the queue, and frees it. */
void link_free_input(struct link *link, struct link_input *input);

/* Tells the machine all that was pushed, and does what it says; only from the loop. */
void link_run(struct link *link);

/* Does what the machine says; in is what it was told. */
void link_act(struct link *link, unsigned todo, const struct pconn_input *in);

/* The settings are new. */
void link_note_settings(struct link *link);

/* The settings of a pool, as they are now. */
struct pool_settings link_pool_settings(const struct link *link);

/* Forgets what the attempt's dials have told and the machine was not told yet. */
void link_forget_dials(struct link *link);

/* P33: gives up the connection whose endpoint is withdrawn. */
void link_withdraw(struct link *link);

/* Begins the look-up of an attempt, or for further dials. */
void link_ask(struct link *link);

/* P21; the end of the look-up or dial that says so is told next. */
void link_abort(struct link *link, const char *error);

/* An endpoint is in good health again, or is not any more. */
void link_on_turned(void *arg, uint16_t number, bool good);

/* Where an endpoint is, for people; "" for a number that is stale. */
void link_address(const struct link *link, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE]);

/* P31 to P33: it is connected, and meant to stay so. */
bool link_is_to_stay(const struct link *link);

/* Logs what of the catalog is passed over and was not told yet, by a dead worker neither; arg is the link. */
void link_tell_passed_over(void *arg);

/* Sees to the endpoints, now that the machine has come to rest. */
void link_tend(struct link *link);

/* The counts that the machine is given.  A shared connection serves all who wait, and is there as long as it is
 * lent. */
unsigned link_waiting(const struct link *link);
unsigned link_ready(const struct link *link);

static inline bool
link_is_paused(const struct link *link)
{
	return table_is_paused(link->table, link->service);
}

static inline bool
link_is_failing(const struct link *link)
{
	return table_is_failing(link->table, link->service);
}

/* How long it fails by order yet. */
int64_t link_failing_left(const struct link *link);

/* Whether clients may have a connection now, if there is one. */
static inline bool
link_gives(const struct link *link)
{
	return link->begun && !link->asked_to_end && !link_is_paused(link) && !link_is_failing(link);
}

/* P20: the lent connection's end is waited for. */
bool link_is_draining(const struct link *link);

/* Finds the connection that a dead worker had lent; then, from the loop, what becomes of it. */
void link_find_lent(struct link *link);
void link_resume_lent(struct link *link);

/* The lent connection, if there is one, is given up. */
void link_take_back(struct link *link);

/* The current connection has ended so long after its connect: a standby takes over, if one is ready. */
bool link_take_over(struct link *link, int64_t age);

/* The machine was told of it. */
void link_note_takeover(struct link *link);

/* Sees to the standbys, now that the machine has come to rest. */
void link_tend_standby(struct link *link);
extern const struct standby_callbacks link_standby_callbacks;

/* Goes on with what the record says, or begins. */
void link_begin(struct link *link);

/* The machine shall begin anew; what an operator ended stays so. */
void link_push_renewal(struct link *link);

/* Callbacks of its parts. */
void link_on_timer(evutil_socket_t fd, short what, void *arg);
void link_on_tending(evutil_socket_t fd, short what, void *arg);
void link_on_still(evutil_socket_t fd, short what, void *arg);
void link_on_handled(void *arg);
extern const struct pool_callbacks link_pool_callbacks;
extern const struct lookup_callbacks link_lookup_callbacks;

/* P14's error of a closed link. */
const char *link_closed_error(const struct link *link);

/* The question of a look-up now. */
struct lookup_question link_question(struct link *link);

/* 32 random bits, for the link (arg) and its parts. */
uint32_t link_roll(void *arg);

/* The event that the machine reported last. */
struct link_event link_last_event(const struct link *link);

/* History, log, subscribers, notify: everything but the handler. */
void link_report(struct link *link);

/* A failure: as the handler is told it; what failed ("dial 10.0.0.1:5", "" for nothing to add) for people. */
void link_set_error(struct link *link, const char *what, const char *error);

/* Why the connection is lost or given up, for the handler of disconnected; no error.  On purpose: no outage. */
void link_set_reason(struct link *link, const char *reason);
void link_set_purpose(struct link *link, const char *reason);

/* One that was not reported (P8). */
void link_tell_repeat(struct link *link);

/* What a look-up gave, if it differs from before. */
void link_tell_listing(struct link *link, const struct lookup_result *result);

void link_tell_rest(struct link *link);

/* Keeps since and down_since, and the time of "still down". */
void link_note_state(struct link *link);

#endif
