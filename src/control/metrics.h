/* metrics.h - the state of the daemon as numbers for a monitoring system: OpenMetrics, or Prometheus's older text.
 *
 * Works on a snapshot, so that a long text can be written in pieces, as fast as it is read, and is of one moment.  A
 * family's numbers of all services stand together, as both formats want it.
 */
#ifndef HOLDFAST_CONTROL_METRICS_H
#define HOLDFAST_CONTROL_METRICS_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/metrics_families.h"

enum metrics_format {
	METRICS_OPENMETRICS, /* 1.0.0 */
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
};

struct metrics {
	enum metrics_format format;
	struct metrics_daemon daemon;
	struct metrics_service *services; /* owned */
	size_t count;
	size_t family, service;           /* what is written next */
	bool ended;
};

/* A snapshot of so many services, all zero, for the caller to fill; to be freed with metrics_free(). */
struct metrics *metrics_new(enum metrics_format format, size_t count);

/* NULL is fine. */
void metrics_free(struct metrics *metrics);

/* Writes the next piece of the text, at least this many bytes and not many more.  false: that was the last one. */
bool metrics_write(struct metrics *metrics, struct evbuffer *out, size_t size);

/* What HTTP calls the format. */
const char *metrics_content_type(enum metrics_format format);

#endif
