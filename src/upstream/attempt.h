/* attempt.h - the part of upstream/pconn that decides while there is no connection: attempts, handlers, waits.
 *
 * All give what to do (PCONN_DO_*); each begins where its name says and moves p->state.  For pconn.c and
 * ready.c alone.
 */
#ifndef HOLDFAST_UPSTREAM_ATTEMPT_H
#define HOLDFAST_UPSTREAM_ATTEMPT_H

#include "upstream/pconn.h"

/* A close, drain or abort has come. */
bool attempt_is_ending(const struct pconn *p);

/* P1, P30: whether there is anybody, or anything to be kept ready, to make an attempt for. */
bool attempt_is_wanted(const struct pconn_settings *s, const struct pconn_input *in);

/* The retry delay after so many failures, without jitter. */
int64_t attempt_delay(const struct pconn *p, const struct pconn_settings *s);

/* An event; its handler holds up the next step in the given state (P9). */
unsigned attempt_report(struct pconn *p, enum pconn_state state, enum pconn_report event);

/* P1, P30: all anew, to IDLE or the first attempt. */
unsigned attempt_start(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* To CLOSED; or anew, if that was asked for meanwhile. */
unsigned attempt_finish(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* P7: attempting_to_connect, or in an outage the next attempt. */
unsigned attempt_next(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* P4: an attempt starts, and its delay with it; P2: with a look-up. */
void attempt_draw(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned attempt_begin(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* The look-up has given endpoints; one is offered; the dials go on, with this to do; look-up or dial have failed; the
 * handler of that has ended. */
unsigned attempt_looked_up(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned attempt_offered(struct pconn *p, const struct pconn_input *in);
unsigned attempt_dial(struct pconn *p, unsigned todo);
unsigned attempt_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned attempt_after_failure(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* A reload has changed the service: the look-up or dial under way is ended, the attempt begins anew. */
unsigned attempt_renew(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* P4, P24: the wait for the next attempt; a wake in it; its deadline, when the held have changed; its end, which a
 * pause brings at once. */
unsigned attempt_wait(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
void attempt_shorten(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
void attempt_wake(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
int64_t attempt_wait_deadline(const struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned attempt_wait_over(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

#endif
