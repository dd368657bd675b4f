#include "control/metrics.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"
#include "keep/histogram.h"

#define VALUE_SIZE 32 /* of a number as text */

/* The numbers of an object, in the order of its table's rows that are metrics. */
struct metrics_numbers {
	char *labels;     /* owned; escaped; "" none */
	unsigned sort;
	uint64_t *number; /* owned; a histogram takes several */
};

struct metrics_table {
	const struct stats_row *rows;     /* borrowed */
	size_t width;                     /* of an object: numbers */
	struct metrics_numbers *objects;  /* owned */
	size_t count;
};

struct metrics {
	enum metrics_format format;
	char *info;                       /* owned; label of the daemon's STATS_INFO */
	struct metrics_table table[METRICS_TABLES];
	/* what is written next: an object's part of a row; and where its numbers begin */
	size_t next_table, next_row, next_object, next_number;
	struct metrics_taker taker;
	bool taken, ended;
};

/* How many numbers a row is. */
static size_t
row_width(const struct stats_row *row)
{
	if (row->metric == NULL)
		return 0;
	return row->kind == STATS_HISTOGRAM ? row->size / sizeof(uint64_t) : 1;
}

/* Adds a label and its value, first escaped for people, then as the format wants it. */
static void
label_add(struct evbuffer *text, const char *label, const char *value)
{
	char *shown = escape_text(value, ESCAPE_LINES);

	evbuffer_add_printf(text, "%s=\"", label);
	for (const char *at = shown; *at != '\0'; at++)
		evbuffer_add_printf(text, "%s%c", strchr("\\\"\n", *at) != NULL ? "\\" : "", *at == '\n' ? 'n' : *at);
	evbuffer_add(text, "\"", 1);
	mem_free(shown);
}

/* The labels with these values (NULL: none) as a text of the caller's. */
static char *
labels_new(const char *version, const char *service, const char *address)
{
	struct evbuffer *text = evbuffer_new();
	char *result;

	if (version != NULL)
		label_add(text, "version", version);
	if (service != NULL)
		label_add(text, "service", service);
	if (address != NULL)
		label_add(text, ",address", address);
	evbuffer_add(text, "", 1);
	result = mem_copy_text((const char *)evbuffer_pullup(text, -1));
	evbuffer_free(text);
	return result;
}

struct metrics *
metrics_new(enum metrics_format format, const struct stats_row *const rows[METRICS_TABLES], const char *version,
    const struct metrics_taker *taker)
{
	struct metrics *metrics = mem_new(1, sizeof *metrics);

	metrics->format = format;
	metrics->taker = *taker;
	metrics->info = labels_new(version, NULL, NULL);
	for (size_t i = 0; i < METRICS_TABLES; i++) {
		metrics->table[i].rows = rows[i];
		for (const struct stats_row *row = rows[i]; !stats_is_end(row); row++)
			metrics->table[i].width += row_width(row);
	}
	return metrics;
}

void
metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	metrics->taker.end(metrics->taker.arg);
	for (struct metrics_table *table = metrics->table; table < metrics->table + METRICS_TABLES; table++) {
		for (size_t i = 0; i < table->count; i++) {
			mem_free(table->objects[i].labels);
			mem_free(table->objects[i].number);
		}
		mem_free(table->objects);
	}
	mem_free(metrics->info);
	mem_free(metrics);
}

void
metrics_add(struct metrics *metrics, enum metrics_of of, const struct stats_object *object, const char *service,
    const char *address)
{
	struct metrics_table *table = &metrics->table[of];
	struct metrics_numbers *numbers;
	uint64_t *number;

	if ((table->count & (table->count - 1)) == 0)
		table->objects = mem_resize(table->objects, table->count == 0 ? 1 : table->count * 2,
		    sizeof *table->objects);
	numbers = &table->objects[table->count++];
	numbers->labels = labels_new(NULL, service, address);
	numbers->sort = object->sort;
	numbers->number = number = mem_new(table->width, sizeof *number);
	for (const struct stats_row *row = table->rows; !stats_is_end(row); number += row_width(row), row++) {
		if (row_width(row) > 1)
			memcpy(number, stats_place(row, object), row->size);
		else if (row->metric != NULL)
			*number = stats_metric(row, object);
	}
}

static void
value_print(uint64_t number, char ret_text[VALUE_SIZE])
{
	snprintf(ret_text, VALUE_SIZE, "%llu", (unsigned long long)number);
}

/* Microseconds as seconds, with at least one digit behind the point and none that says nothing. */
static void
value_print_seconds(uint64_t span, char ret_text[VALUE_SIZE])
{
	int length = snprintf(ret_text, VALUE_SIZE, "%llu.%06u", (unsigned long long)(span / CLOCK_SECOND),
	    (unsigned)(span % CLOCK_SECOND));

	while (ret_text[length - 1] == '0' && ret_text[length - 2] != '.')
		ret_text[--length] = '\0';
}

/* What a family is called, and what its one line's name ends with. */
static const char *
row_type(const struct metrics *metrics, const struct stats_row *row)
{
	static const char *const types[] = { "gauge", "counter", "info" };

	if (row->kind == STATS_HISTOGRAM)
		return "histogram";
	return types[row->type == STATS_INFO && metrics->format == METRICS_PROMETHEUS ? STATS_GAUGE : row->type];
}

static const char *
row_suffix(const struct stats_row *row)
{
	static const char *const suffixes[] = { "", "_total", "_info" };

	return row->kind == STATS_HISTOGRAM ? "" : suffixes[row->type];
}

/* "# WHAT NAME TEXT": for Prometheus the name is that of the lines below. */
static void
family_describe(const struct metrics *metrics, const struct stats_row *row, const char *what, const char *text,
    struct evbuffer *out)
{
	evbuffer_add_printf(out, "# %s %s%s %s\n", what, row->metric,
	    metrics->format == METRICS_PROMETHEUS ? row_suffix(row) : "", text);
}

static void
family_head(const struct metrics *metrics, const struct stats_row *row, struct evbuffer *out)
{
	family_describe(metrics, row, "TYPE", row_type(metrics, row), out);
	if (metrics->format == METRICS_OPENMETRICS && row->unit != NULL)
		family_describe(metrics, row, "UNIT", row->unit, out);
	family_describe(metrics, row, "HELP", row->help, out);
}

/* "NAME_SUFFIX{LABELS,LABEL} VALUE"; label may be NULL, labels "". */
static void
row_write_line(const struct stats_row *row, const char *suffix, const char *labels, const char *label,
    const char *value, struct evbuffer *out)
{
	bool some = labels[0] != '\0', more = label != NULL;

	evbuffer_add_printf(out, "%s%s%s%s%s%s%s %s\n", row->metric, suffix, some || more ? "{" : "", labels,
	    some && more ? "," : "", more ? label : "", some || more ? "}" : "", value);
}

/* number: the steps of a struct table_histogram, and their sum. */
static void
row_write_histogram(const struct stats_row *row, const char *labels, const uint64_t *number, struct evbuffer *out)
{
	char value[VALUE_SIZE], bound[VALUE_SIZE], label[VALUE_SIZE + 8];
	size_t count;
	const int64_t *bounds = histogram_bounds(row->histogram, &count);
	uint64_t sum = 0;

	for (size_t i = 0; i <= count; i++) {
		sum += number[i];
		value_print(sum, value);
		if (i < count)
			value_print_seconds((uint64_t)bounds[i], bound);
		snprintf(label, sizeof label, "le=\"%s\"", i < count ? bound : "+Inf");
		row_write_line(row, "_bucket", labels, label, value, out);
	}
	value_print_seconds(number[TABLE_HISTOGRAM], bound);
	row_write_line(row, "_sum", labels, NULL, bound, out);
	row_write_line(row, "_count", labels, NULL, value, out);
}

static void
row_write(const struct metrics *metrics, const struct stats_row *row, const struct metrics_numbers *numbers,
    const uint64_t *number, struct evbuffer *out)
{
	char value[VALUE_SIZE] = "1";

	if (row->metric_sorts != 0 && (row->metric_sorts & numbers->sort) == 0)
		return;
	if (row->kind == STATS_HISTOGRAM) {
		row_write_histogram(row, numbers->labels, number, out);
		return;
	}
	if (stats_is_time(row))
		value_print_seconds(*number, value);
	else if (row->type != STATS_INFO)
		value_print(*number, value);
	row_write_line(row, row_suffix(row), numbers->labels, row->type == STATS_INFO ? metrics->info : row->label,
	    value, out);
}

/* The next row of a table, with no object yet. */
static void
metrics_next_row(struct metrics *metrics, const struct stats_row *row)
{
	metrics->next_number += row_width(row);
	metrics->next_object = 0;
	metrics->next_row++;
}

/* Writes one object's part of the row that is next, and steps to the next.  false: there is none. */
static bool
metrics_write_one(struct metrics *metrics, struct evbuffer *out)
{
	const struct metrics_table *table = &metrics->table[metrics->next_table];
	const struct stats_row *row = &table->rows[metrics->next_row];

	if (stats_is_end(row)) {
		metrics->next_row = metrics->next_number = 0;
		return ++metrics->next_table < METRICS_TABLES;
	}
	if (row->metric == NULL || metrics->next_object == table->count) {
		metrics_next_row(metrics, row);
		return true;
	}
	if (metrics->next_object == 0 &&
	    (row == table->rows || row[-1].metric == NULL || strcmp(row[-1].metric, row->metric) != 0))
		family_head(metrics, row, out);
	row_write(metrics, row, &table->objects[metrics->next_object],
	    table->objects[metrics->next_object].number + metrics->next_number, out);
	metrics->next_object++;
	return true;
}

bool
metrics_write(struct metrics *metrics, struct evbuffer *out, size_t size)
{
	if (!metrics->taken) {
		metrics->taken = !metrics->taker.take(metrics->taker.arg, metrics);
		return true;
	}
	while (!metrics->ended && evbuffer_get_length(out) < size)
		if (!metrics_write_one(metrics, out)) {
			/* for Prometheus a comment, by which a reader sees that nothing is missing */
			evbuffer_add(out, "# EOF\n", 6);
			metrics->ended = true;
		}
	return !metrics->ended;
}

static bool
metrics_on_write(void *arg, struct evbuffer *out, size_t size)
{
	return metrics_write(arg, out, size);
}

static void
metrics_on_end(void *arg)
{
	metrics_free(arg);
}

void
metrics_answer(struct metrics *metrics, struct http_answer *ret_answer)
{
	bool open = metrics->format == METRICS_OPENMETRICS;

	*ret_answer = (struct http_answer){ .code = 200, .write = metrics_on_write, .end = metrics_on_end,
		.arg = metrics, .type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		    : "text/plain; version=0.0.4; charset=utf-8" };
}
