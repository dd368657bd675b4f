/* opening.h - a session until TLS is up: reads the header, dials, speaks starttls, shakes hands.
 *
 * A failure is answered here.  Where TLS is up the answer is given, and not yet sent: the tunnel sends it.
 * With MySQL the answer, which says nothing of TLS, and the greeting are sent once the server has greeted.
 */
#ifndef HOLDFAST_TLS_OPENING_H
#define HOLDFAST_TLS_OPENING_H

#include <event2/event.h>

#include "tls/answer.h"
#include "tls/context.h"
#include "tls/header.h"
#include "tls/tunnel.h"
#include "tls/turns.h"

#define OPENING_HEADER_TIMEOUT (5 * CLOCK_SECOND)

struct opening;

/* How it went.  All is borrowed, valid during the callback only, but for sides->local, sides->remote and sides->ssl,
 * which become the receiver's. */
struct opening_result {
	const struct tunnel_sides *sides;  /* NULL: there is no session */
	const struct failure *failure;     /* NULL: there is one, or the client has gone */
	const char *service, *address;     /* "" as long as no header has come */
};

/* The opening is gone with this call, and must not be cancelled in it. */
typedef void opening_ended(void *arg, const struct opening_result *result);

/* Takes local, a client's socket. */
struct opening *opening_start(struct event_base *loop, struct contexts *contexts, struct turns *turns, int local,
    opening_ended *ended, void *arg);

/* Ends it at once, without an answer; no callback.  NULL is fine. */
void opening_cancel(struct opening *opening);

/* Answers a client that gets no session, and closes its socket. */
void opening_refuse(int local, const struct failure *failure);

#endif
