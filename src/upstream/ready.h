/* ready.h - the part of upstream/pconn that decides while connected: what is kept ready, dialled ahead, lost.
 *
 * All give what to do (PCONN_DO_*).  For pconn.c alone.
 */
#ifndef HOLDFAST_UPSTREAM_READY_H
#define HOLDFAST_UPSTREAM_READY_H

#include "upstream/pconn.h"

/* The attempt's dial has succeeded: to CONNECTED, unless it is to be closed at once (P16, P20, P21). */
unsigned ready_connected(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* Begins further dials if they are wanted and due, or leaves the deadline for it (P25). */
unsigned ready_fill(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* A further dial has succeeded (P27, P28), or has failed on all endpoints (P25). */
unsigned ready_filled(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned ready_fill_failed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* A client has taken one; its first byte has passed (P25). */
unsigned ready_taken(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned ready_relayed(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* The server has spoken on one that nobody has taken (P28). */
unsigned ready_spoke(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* The server has ended an unused one (P27). */
unsigned ready_ended(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* A handler has ended while connected; another connection has taken the place of the current one, which is gone.
 * The events of that are an outage's (P7), though the service is up all along. */
unsigned ready_handled(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);
unsigned ready_taken_over(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* What was known of the addresses is old (P24). */
unsigned ready_woken(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* The connection is gone: to DISCONNECTED, as soon as the handler of connected has ended (P10). */
unsigned ready_lose(struct pconn *p);

#endif
