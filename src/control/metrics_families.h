/* metrics_families.h - the table of all metrics: what each is called, and where its numbers are. */
#ifndef HOLDFAST_CONTROL_METRICS_FAMILIES_H
#define HOLDFAST_CONTROL_METRICS_FAMILIES_H

#include "control/metrics.h"

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
