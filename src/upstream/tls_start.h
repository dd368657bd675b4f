/* tls_start.h - starts holdfast-tls where nobody else does (tls.start).
 *
 * It is a process of its own session and group, so that no worker's death ends it, and it is found again by its
 * socket; it ends, with its last session, when the daemon that it was started for has.
 */
#ifndef HOLDFAST_UPSTREAM_TLS_START_H
#define HOLDFAST_UPSTREAM_TLS_START_H

#include <event2/event.h>

#include "keep/table.h"

/* Nobody listens at this path (borrowed): the program beside this daemon's is started there, unless that was done
 * less than a second ago.  What becomes of it is logged. */
void tls_start(struct event_base *loop, const struct table *table, const char *socket);

#endif
