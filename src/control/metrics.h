/* metrics.h - the state of the daemon as numbers for a monitoring system: OpenMetrics, or Prometheus's older text.
 *
 * Works on a snapshot, in which all numbers of an object are of one moment, so that a long text can be written in
 * pieces, as fast as it is read.  A family's numbers of all objects stand together, as both formats want it.
 */
#ifndef HOLDFAST_CONTROL_METRICS_H
#define HOLDFAST_CONTROL_METRICS_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>

#include "control/http.h"
#include "control/stats.h"

enum metrics_format {
	METRICS_OPENMETRICS, /* 1.0.0 */
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
};

enum metrics_of { METRICS_OF_DAEMON, METRICS_OF_SERVICES, METRICS_OF_ENDPOINTS, METRICS_TABLES };

struct metrics;

/* Who takes the snapshot: take adds some objects, false when those were the last; end frees what is its own. */
struct metrics_taker {
	bool (*take)(void *arg, struct metrics *metrics);
	void (*end)(void *arg);
	void *arg; /* owned by way of end */
};

/* An empty snapshot, in which each kind of object has its table of rows (borrowed); version (copied) is what the
 * daemon's STATS_INFO tells.  To be freed with metrics_free(). */
struct metrics *metrics_new(enum metrics_format format, const struct stats_row *const rows[METRICS_TABLES],
    const char *version, const struct metrics_taker *taker);

/* NULL is fine. */
void metrics_free(struct metrics *metrics);

/* Adds an object's numbers as they are now.  Service and address (copied) are its labels; NULL none. */
void metrics_add(struct metrics *metrics, enum metrics_of of, const struct stats_object *object,
    const char *service, const char *address);

/* Takes a bit of the snapshot; or, once that is whole, writes the next piece of the text, at least this many bytes
 * and not many more.  false: that was the last one. */
bool metrics_write(struct metrics *metrics, struct evbuffer *out, size_t size);

/* By HTTP: the text is the answer, which frees the snapshot at its end. */
void metrics_answer(struct metrics *metrics, struct http_answer *ret_answer);

#endif
