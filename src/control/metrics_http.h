/* metrics_http.h - serves the metrics by HTTP: GET /metrics, and nothing else.
 *
 * Nobody who connects can slow the daemon or keep others from their answer: a text is written as fast as it is read,
 * piece by piece; each connection is for one request; and when METRICS_HTTP_CONNECTIONS are there, those that have
 * said nothing for a moment make room for the next.
 */
#ifndef HOLDFAST_CONTROL_METRICS_HTTP_H
#define HOLDFAST_CONTROL_METRICS_HTTP_H

#include <event2/event.h>

#include "base/clock.h"
#include "control/metrics.h"

#define METRICS_HTTP_CONNECTIONS 16                       /* at once; further ones wait in the backlog */
#define METRICS_HTTP_HEAD_MAX    8192                     /* bytes of a request's line and headers */
#define METRICS_HTTP_BODY_MAX    4096                     /* bytes that may follow, for nothing */
#define METRICS_HTTP_TIME        (10 * CLOCK_SECOND)      /* of a connection, from its accept to the answer's end */
#define METRICS_HTTP_SILENT      (100 * CLOCK_MILLISECOND) /* without a request: goes, when others want in */
#define METRICS_HTTP_BITS        16                       /* of a snapshot, taken in one turn of the loop */
#define METRICS_HTTP_SLOW        (1 * CLOCK_SECOND)       /* with its answer: the same */

struct metrics_http;

/* Serves at the listening socket fd, which stays the caller's.  Connections whose descriptor is file_max or above
 * are closed: the last ones are for others.  take(arg) makes the snapshot of an answer. */
struct metrics_http *metrics_http_new(struct event_base *loop, int fd, unsigned file_max,
    struct metrics *(*take)(void *arg, enum metrics_format format), void *arg);

/* Closes all connections.  NULL is fine. */
void metrics_http_free(struct metrics_http *http);

#endif
