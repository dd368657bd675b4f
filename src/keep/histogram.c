#include "keep/histogram.h"

#include "base/clock.h"

#define MS CLOCK_MILLISECOND
#define S  CLOCK_SECOND

/* Three to a factor of ten, or what people say: a minute, an hour, a day. */
static const int64_t connect_bounds[] = {
	100, 300, 1 * MS, 3 * MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS, 1 * S, 3 * S, 10 * S,
};
static const int64_t lookup_bounds[] = {
	100, 300, 1 * MS, 3 * MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS, 1 * S, 3 * S, 10 * S, 30 * S,
};
static const int64_t hold_bounds[] = {
	300, 1 * MS, 3 * MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS, 1 * S, 3 * S, 10 * S, 30 * S, 60 * S, 300 * S,
};
static const int64_t outage_bounds[] = {
	10 * MS, 100 * MS, 300 * MS, 1 * S, 3 * S, 10 * S, 30 * S, 60 * S, 300 * S, 900 * S, 3600 * S, 14400 * S,
	86400 * S,
};

#define BOUNDS(array) { (array), sizeof(array) / sizeof((array)[0]) }

static const struct {
	const int64_t *bound;
	size_t count;
} kinds[TABLE_HISTOGRAM_KINDS] = {
	[TABLE_HISTOGRAM_CONNECT] = BOUNDS(connect_bounds),
	[TABLE_HISTOGRAM_LOOKUP] = BOUNDS(lookup_bounds),
	[TABLE_HISTOGRAM_HOLD] = BOUNDS(hold_bounds),
	[TABLE_HISTOGRAM_OUTAGE] = BOUNDS(outage_bounds),
};

const int64_t *
histogram_bounds(enum table_histogram_kind kind, size_t *ret_count)
{
	*ret_count = kinds[kind].count;
	return kinds[kind].bound;
}

size_t
histogram_step(enum table_histogram_kind kind, int64_t duration)
{
	size_t step = 0;

	while (step < kinds[kind].count && duration > kinds[kind].bound[step])
		step++;
	return step;
}

void
histogram_add(struct redo *redo, uint16_t service, enum table_histogram_kind kind, int64_t duration)
{
	struct table_histogram *histogram = &redo->table->services[service].histogram[kind];
	uint64_t *step = &histogram->step[histogram_step(kind, duration)];

	redo_add(redo, step, *step + 1);
	redo_add(redo, &histogram->sum, histogram->sum + (duration > 0 ? (uint64_t)duration : 0));
}

void
histogram_count(struct table *table, uint16_t service, enum table_histogram_kind kind, int64_t duration)
{
	struct redo redo;

	redo_begin(&redo, table);
	histogram_add(&redo, service, kind, duration);
	redo_commit(&redo);
}
