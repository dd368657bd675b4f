/* The text of the metrics, out of snapshots of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "control/metrics.h"
#include "daemon/figures.h"

static struct evbuffer *out;
static unsigned services;

/* All that is written of the snapshot, in pieces of at least size bytes; valid until the next. */
static const char *
text_of(struct metrics *metrics, size_t size)
{
	struct evbuffer *piece = evbuffer_new();
	bool more;

	evbuffer_drain(out, evbuffer_get_length(out));
	do {
		more = metrics_write(metrics, piece, size);
		assert_true(!more || evbuffer_get_length(piece) == 0 || evbuffer_get_length(piece) >= size);
		evbuffer_add_buffer(out, piece);
	} while (more);
	assert_false(metrics_write(metrics, piece, size));
	assert_int_equal(evbuffer_get_length(piece), 0);
	evbuffer_free(piece);
	evbuffer_add(out, "", 1);
	return (const char *)evbuffer_pullup(out, -1);
}

struct numbers {
	struct figures_service figures;
	struct table_service record;
};

static struct table_header header;
static struct numbers one, two;
static struct service_settings settings;

static bool
take(void *arg, struct metrics *metrics)
{
	struct figures_daemon daemon = { .version = "x" };
	unsigned *count = arg;

	if ((*count)++ == 0) {
		daemon.object = (struct stats_object){ .part = { &daemon, &header } };
		metrics_add(metrics, METRICS_OF_DAEMON, &daemon.object, NULL, NULL);
		return services > 0;
	}
	metrics_add(metrics, METRICS_OF_SERVICES, *count == 2 ? &one.figures.object : &two.figures.object,
	    *count == 2 ? "one" : "two-2", NULL);
	return *count <= services;
}

static struct metrics *
some_services(enum metrics_format format, unsigned count)
{
	services = count;
	return metrics_new(format, figures_rows, "1.0 \"x\\y\"\nz",
	    &(struct metrics_taker){ take, mem_free, mem_new(1, sizeof(unsigned)) });
}

static struct metrics *
two_services(enum metrics_format format)
{
	header.started = INT64_C(1700000000123000);
	header.worker_restarts = 3;
	strcpy(header.config_error, "bad");
	one.figures.object = (struct stats_object){ .part = { &one.figures, &one.figures.status, &one.record,
		&settings }, .sort = 1 };
	one.figures.status.upstream.counters.outages = 7;
	one.figures.status.upstream.down_since = clock_wall() - 1000 * CLOCK_SECOND;
	one.figures.status.bytes[TABLE_DOWN] = UINT64_MAX;
	one.record.histogram[TABLE_HISTOGRAM_HOLD] = (struct table_histogram){
		.step = { 2, 0, 1, [13] = 4 }, .sum = 2000000250 };
	two.figures.object = (struct stats_object){ .part = { &two.figures, &two.figures.status, &two.record,
		&settings }, .sort = 2 };
	two.figures.status.upstream.down_since = clock_wall() + 1000 * CLOCK_SECOND; /* it was set back */
	two.figures.status.shared.lost = 5;
	return some_services(format, 2);
}

static void
expect(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no %s in:\n%s", part, text);
}

static void
openmetrics_names_families_without_total_and_ends_with_eof(void **state)
{
	struct metrics *metrics = two_services(METRICS_OPENMETRICS);
	const char *text = text_of(metrics, SIZE_MAX);

	(void)state;
	expect(text, "# TYPE holdfast_outages counter\n# HELP holdfast_outages ");
	expect(text, "holdfast_outages_total{service=\"one\"} 7\nholdfast_outages_total{service=\"two-2\"} 0\n");
	expect(text, "# TYPE holdfast_bytes counter\n# UNIT holdfast_bytes bytes\n");
	expect(text, "holdfast_bytes_total{service=\"one\",direction=\"to_clients\"} 18446744073709551615\n");
	expect(text, "# TYPE holdfast_build info\n");
	expect(text, "holdfast_build_info{version=\"1.0 \\\"x\\\\y\\\"\\nz\"} 1\n");
	expect(text, "holdfast_start_time_seconds 1700000000.123\n");
	expect(text, "\nholdfast_down_seconds{service=\"two-2\"} 0.0\n");
	expect(text, "\nholdfast_down_seconds{service=\"one\"} 10");
	expect(text, "holdfast_worker_restarts_total 3\n");
	assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
	metrics_free(metrics);
}

static void
prometheus_names_what_stands_on_the_lines(void **state)
{
	struct metrics *metrics = two_services(METRICS_PROMETHEUS);
	const char *text = text_of(metrics, SIZE_MAX);

	(void)state;
	expect(text, "# TYPE holdfast_outages_total counter\n# HELP holdfast_outages_total ");
	expect(text, "# TYPE holdfast_build_info gauge\n");
	expect(text, "# TYPE holdfast_hold_seconds histogram\n");
	assert_null(strstr(text, "# UNIT"));
	assert_non_null(strstr(text, "\n# EOF\n"));
	metrics_free(metrics);
}

static void
buckets_add_up_to_the_count(void **state)
{
	struct metrics *metrics = two_services(METRICS_OPENMETRICS);
	const char *text = text_of(metrics, SIZE_MAX);

	(void)state;
	expect(text, "holdfast_hold_seconds_bucket{service=\"one\",le=\"0.0003\"} 2\n"
	    "holdfast_hold_seconds_bucket{service=\"one\",le=\"0.001\"} 2\n"
	    "holdfast_hold_seconds_bucket{service=\"one\",le=\"0.003\"} 3\n");
	expect(text, "holdfast_hold_seconds_bucket{service=\"one\",le=\"300.0\"} 3\n"
	    "holdfast_hold_seconds_bucket{service=\"one\",le=\"+Inf\"} 7\n"
	    "holdfast_hold_seconds_sum{service=\"one\"} 2000.00025\n"
	    "holdfast_hold_seconds_count{service=\"one\"} 7\n");
	metrics_free(metrics);
}

static void
what_a_mode_does_not_have_is_left_out(void **state)
{
	struct metrics *metrics = two_services(METRICS_OPENMETRICS);
	const char *text = text_of(metrics, SIZE_MAX);

	(void)state;
	assert_null(strstr(text, "holdfast_hold_seconds_count{service=\"two-2\"}"));
	assert_null(strstr(text, "holdfast_requests_lost_total{service=\"one\"}"));
	expect(text, "holdfast_requests_lost_total{service=\"two-2\"} 5\n");
	metrics_free(metrics);
}

static void
pieces_make_the_same_text(void **state)
{
	struct metrics *metrics = two_services(METRICS_OPENMETRICS);
	char *whole;

	(void)state;
	one.figures.status.upstream.down_since = 0; /* the clock would go on */
	whole = mem_copy_text(text_of(metrics, SIZE_MAX));
	metrics_free(metrics);
	for (size_t size = 1; size < 2000; size = size * 3 + 1) {
		metrics = two_services(METRICS_OPENMETRICS);
		one.figures.status.upstream.down_since = 0;
		assert_string_equal(text_of(metrics, size), whole);
		metrics_free(metrics);
	}
	mem_free(whole);
}

static void
no_service_is_no_sample(void **state)
{
	struct metrics *metrics = some_services(METRICS_OPENMETRICS, 0);
	const char *text = text_of(metrics, 100);

	(void)state;
	expect(text, "holdfast_config_ok 0\n");
	assert_null(strstr(text, "service="));
	assert_null(strstr(text, "holdfast_clients"));
	metrics_free(metrics);
}

static bool
ends_with(const char *text, const char *end)
{
	return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* How many rows before this one have its name. */
static size_t
families_before(size_t table, const struct stats_row *row)
{
	size_t count = 0;

	for (size_t i = 0; i <= table; i++)
		for (const struct stats_row *a = figures_rows[i]; !stats_is_end(a) && a != row; a++)
			count += a->metric != NULL && strcmp(a->metric, row->metric) == 0;
	return count;
}

/* OpenMetrics 1.0.0: a unit is the end of the name; a family's name is no other one's with a suffix.  Ours: a family
 * has a help, and its rows stand together. */
static void
names_keep_the_rules(void **state)
{
	const struct stats_row *before;

	(void)state;
	for (size_t i = 0; i < METRICS_TABLES; i++)
		for (const struct stats_row *a = figures_rows[i]; !stats_is_end(a); a++) {
			before = a == figures_rows[i] || a[-1].metric == NULL ? NULL : a - 1;
			if (a->metric == NULL)
				continue;
			assert_memory_equal(a->metric, "holdfast_", 9);
			assert_int_equal(strspn(a->metric, "abcdefghijklmnopqrstuvwxyz_"), strlen(a->metric));
			assert_true(a->unit == NULL || ends_with(a->metric, a->unit));
			assert_false(ends_with(a->metric, "_total") || ends_with(a->metric, "_count"));
			if (before != NULL && strcmp(before->metric, a->metric) == 0) {
				assert_true(a->type == before->type && a->label != NULL && before->label != NULL);
				continue;
			}
			assert_true(strpbrk(a->help, "\\\n") == NULL && ends_with(a->help, "."));
			assert_int_equal(families_before(i, a), 0);
		}
}

static int
setup(void **state)
{
	(void)state;
	out = evbuffer_new();
	return out == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	evbuffer_free(out);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openmetrics_names_families_without_total_and_ends_with_eof),
		cmocka_unit_test(prometheus_names_what_stands_on_the_lines),
		cmocka_unit_test(buckets_add_up_to_the_count),
		cmocka_unit_test(what_a_mode_does_not_have_is_left_out),
		cmocka_unit_test(pieces_make_the_same_text),
		cmocka_unit_test(no_service_is_no_sample),
		cmocka_unit_test(names_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
