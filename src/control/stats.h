/* stats.h - figures of the daemon, of a service, of an endpoint: a row each says what it is, where it lies, and what
 * it is called in JSON and among the metrics.
 *
 * Pure.  A figure lies in one of a few structs that describe an object (struct stats_object), so that nothing is
 * copied to be told.
 */
#ifndef HOLDFAST_CONTROL_STATS_H
#define HOLDFAST_CONTROL_STATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a figure is; how JSON shows it; what it is as a metric. */
enum stats_kind {
	STATS_COUNT,     /* a number of any size without a sign */
	STATS_FLAG,      /* whether that is not 0: true; 1 */
	STATS_TEXT,      /* a pointer to it; null if that is NULL or ""; 1 if it is null */
	STATS_CHARS,     /* the same in an array */
	STATS_SPAN,      /* microseconds, below 0 none: seconds or null; seconds */
	STATS_UNTIL,     /* a point of the monotonic clock, 0 or CLOCK_NEVER none: seconds from now, or null */
	STATS_SINCE,     /* the same: seconds until now, or null */
	STATS_POINT,     /* the same: its time, or null */
	STATS_TIME,      /* a point of the wall clock, 0 none: its time, or null; in seconds of Unix time */
	STATS_AGE,       /* the same: its time, or null; seconds since then, 0 if there is none */
	STATS_MADE,      /* row.make's */
	STATS_HISTOGRAM, /* a struct table_histogram of microseconds; as a metric only */
};

#define STATS_PARTS 4

/* What is told of: its structs, and which it is of several sorts that not all figures are of. */
struct stats_object {
	const void *part[STATS_PARTS]; /* borrowed */
	unsigned sort;                 /* a bit; 0: all figures are of it */
};

enum stats_metric { STATS_GAUGE, STATS_COUNTER, STATS_INFO };

struct stats_row {
	const char *key;          /* borrowed; in JSON, GROUP.MEMBER for a member of an object; NULL: not there */
	enum stats_kind kind;
	unsigned part;            /* in which of stats_object.part */
	size_t offset, size;      /* bytes, in that */
	unsigned sorts;           /* of which sorts of objects JSON tells it; 0: all */
	json_t *(*make)(const struct stats_object *object); /* STATS_MADE */
	const char *metric;       /* borrowed; its family, without a counter's _total; NULL none.  Rows of one family
				   * stand together, and the first tells of it. */
	enum stats_metric type;
	unsigned metric_sorts;    /* of which sorts of objects the metrics tell it; 0: all */
	const char *label;        /* borrowed; beside the object's; NULL none */
	const char *unit;         /* borrowed; metric ends with it; NULL none */
	const char *help;         /* borrowed; holds nothing to be escaped */
	unsigned histogram;       /* which, of enum table_histogram_kind */
};

/* A table of rows, which ends with one that has neither a key nor a metric. */
bool stats_is_end(const struct stats_row *row);

/* What the rows tell of an object in JSON. */
json_t *stats_json(const struct stats_row *rows, const struct stats_object *object);

/* A row's metric: a number, of microseconds if stats_is_time(). */
uint64_t stats_metric(const struct stats_row *row, const struct stats_object *object);
bool stats_is_time(const struct stats_row *row);

/* Where the row's figure lies. */
const void *stats_place(const struct stats_row *row, const struct stats_object *object);

/* JSON: a text, NULL is null, escaped as base/escape.h says; one of many lines; a text, and "" is null too. */
json_t *stats_text(const char *text);
json_t *stats_lines(const char *text);
json_t *stats_text_or_null(const char *text);

/* JSON: microseconds as seconds; from one point of the monotonic clock to another, null if one is 0 (none) or
 * CLOCK_NEVER, and not below 0; a point of the wall clock, 0 as null. */
json_t *stats_span(int64_t span);
json_t *stats_between(int64_t from, int64_t to);
json_t *stats_time(int64_t wall);

#endif
