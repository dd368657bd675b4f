/* own.h - shared mode: connections for clients whose commands need one of their own, beside the one that all share.
 *
 * Each is dialled for one client, to the endpoint that all are connected to; after hello it is told what that client
 * had been promised on the shared one.  A failure tells nothing of the endpoint: it has room for one connection less.
 */
#ifndef HOLDFAST_UPSTREAM_OWN_H
#define HOLDFAST_UPSTREAM_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upstream/machine.h"

struct own;
struct owns;

/* Those of one service, whose context is borrowed: clients are told by its callback when one is ready, or is not any
 * more, and the machine's turn comes when something is to be done. */
struct owns *owns_new(const struct upstream_context *context);
void owns_free(struct owns *owns);

/* These settings are about to take the place of the context's: what is not ready is dialled again. */
void owns_set(struct owns *owns, const struct upstream_settings *next);

/* Dials for all that have none, to this endpoint, unless the service is paused or made to fail; 0: none may be
 * dialled now.  Those there are end then.  For the machine's turn. */
void owns_tend(struct owns *owns, uint16_t endpoint);

/* Asks for one, on which each of these requests (borrowed, count of them) is said, whatever the reply to it is; only
 * HELLO must succeed.  Then first (constant; NULL none) is said, which must succeed, too.  It is dialled by
 * owns_tend(), again and again, until own_taken() or own_cancel(), which take it away; the latter takes NULL. */
struct own *own_start(struct owns *owns, const char *const *requests, size_t count, const char *first);
void own_cancel(struct own *own);

/* The connection, once it is ready and alive, or 0.  own_taken() must follow: by then the table says whose it is, and
 * the caller has its own event for its descriptor in the loop. */
uint32_t own_take(struct own *own);
void own_taken(struct own *own);

#endif
