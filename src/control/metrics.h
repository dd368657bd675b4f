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

#include "base/address.h"
#include "keep/table.h"

enum metrics_format {
	METRICS_OPENMETRICS, /* 1.0.0 */
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
};

struct metrics_daemon {
	char version[64];
	uint64_t worker_restarts, restarts, upgrades, config_ok, services, max_files, log_lines_lost;
	uint64_t memory, max_memory, short_of_memory;
	int64_t started;     /* wall clock, microseconds */
};

struct metrics_endpoint {
	char address[ADDRESS_TEXT_SIZE];
	uint64_t up, connections, connects, failures;
};

struct metrics_service {
	char name[TABLE_NAME_SIZE];
	bool shared;         /* mode */
	uint64_t up, paused, failing, clients, held, max_clients, warm;
	int64_t down;        /* microseconds, 0 while up */
	uint64_t outages, attempts, connects, disconnects, lookup_failures, expiries;
	uint64_t handler_failures, notify_dropped;
	uint64_t accepted, refused_down, refused_held_max, refused_hold_timeout, refused_permission, refused_per_user;
	uint64_t pauses_max_clients, pauses_max_held, pauses_files;
	uint64_t bytes[2], lost_bytes;
	/* shared mode */
	uint64_t in_flight, queued, standby, messages[2], losses, retries;
	struct table_histogram histogram[TABLE_HISTOGRAM_KINDS];
	struct metrics_endpoint *endpoints; /* owned */
	size_t endpoint_count;
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
