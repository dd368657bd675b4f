/* metrics_families.h - the numbers that metrics are made of, and the table of all metrics: what each is called, and
 * where its numbers are. */
#ifndef HOLDFAST_CONTROL_METRICS_FAMILIES_H
#define HOLDFAST_CONTROL_METRICS_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "keep/table.h"

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

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM, METRICS_INFO };

/* What it is a number of: the daemon, or each service of these modes. */
#define METRICS_OF_DAEMON   0u
#define METRICS_OF_SESSIONS 1u
#define METRICS_OF_SHARED   2u
#define METRICS_OF_ENDPOINTS 4u /* each of each service */
#define METRICS_OF_SERVICES (METRICS_OF_SESSIONS | METRICS_OF_SHARED)

struct metrics_sample {
	bool there;              /* false ends the list */
	const char *label;       /* borrowed; besides service; NULL none */
	size_t offset;           /* of a uint64_t, or of an int64_t of microseconds */
};

struct metrics_family {
	const char *name;        /* borrowed; without a counter's _total; NULL ends the table */
	enum metrics_type type;
	unsigned of;             /* METRICS_OF_* */
	const char *unit;        /* borrowed; the name ends with it; NULL none */
	const char *help;        /* borrowed; holds nothing to be escaped */
	const struct metrics_sample *samples; /* borrowed */
	enum table_histogram_kind kind; /* METRICS_HISTOGRAM */
};

extern const struct metrics_family metrics_families[];

/* As both formats call it; an info is a gauge for Prometheus. */
const char *metrics_type_name(enum metrics_type type);

/* What its one line's name ends with, behind the family's. */
const char *metrics_suffix(enum metrics_type type);

/* Whether its numbers are microseconds, to be shown as seconds. */
bool metrics_is_time(const struct metrics_family *family);

#endif
