/* The text of the metrics, out of snapshots of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "control/metrics.h"
#include "control/metrics_families.h"
#include "keep/histogram.h"

static struct evbuffer *out;

/* All that is written of the snapshot, in pieces of at least size bytes; valid until the next. */
static const char *
text_of(struct metrics *metrics, size_t size)
{
	struct evbuffer *piece = evbuffer_new();
	bool more;

	evbuffer_drain(out, evbuffer_get_length(out));
	do {
		more = metrics_write(metrics, piece, size);
		assert_true(!more || evbuffer_get_length(piece) >= size);
		evbuffer_add_buffer(out, piece);
	} while (more);
	assert_false(metrics_write(metrics, piece, size));
	assert_int_equal(evbuffer_get_length(piece), 0);
	evbuffer_free(piece);
	evbuffer_add(out, "", 1);
	return (const char *)evbuffer_pullup(out, -1);
}

static struct metrics *
two_services(enum metrics_format format)
{
	struct metrics *metrics = metrics_new(format, 2);

	snprintf(metrics->daemon.version, sizeof metrics->daemon.version, "1.0 \"x\\y\"\nz");
	metrics->daemon.started = INT64_C(1700000000123000);
	metrics->daemon.worker_restarts = 3;
	snprintf(metrics->services[0].name, TABLE_NAME_SIZE, "one");
	metrics->services[0].outages = 7;
	metrics->services[0].down = 1500000;
	metrics->services[0].bytes[TABLE_DOWN] = UINT64_MAX;
	metrics->services[0].histogram[TABLE_HISTOGRAM_HOLD] = (struct table_histogram){
		.step = { 2, 0, 1, [13] = 4 }, .sum = 2000000250 };
	snprintf(metrics->services[1].name, TABLE_NAME_SIZE, "two-2");
	metrics->services[1].shared = true;
	metrics->services[1].losses = 5;
	return metrics;
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
	expect(text, "holdfast_down_seconds{service=\"one\"} 1.5\nholdfast_down_seconds{service=\"two-2\"} 0.0\n");
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
	char *whole = mem_copy_text(text_of(metrics, SIZE_MAX));

	(void)state;
	metrics_free(metrics);
	for (size_t size = 1; size < 2000; size = size * 3 + 1) {
		metrics = two_services(METRICS_OPENMETRICS);
		assert_string_equal(text_of(metrics, size), whole);
		metrics_free(metrics);
	}
	mem_free(whole);
}

static void
no_service_is_no_sample(void **state)
{
	struct metrics *metrics = metrics_new(METRICS_OPENMETRICS, 0);
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

/* OpenMetrics 1.0.0: a unit is the end of the name; a family's name is no other one's with a suffix. */
static void
names_keep_the_rules(void **state)
{
	(void)state;
	for (const struct metrics_family *a = metrics_families; a->name != NULL; a++) {
		assert_memory_equal(a->name, "holdfast_", 9);
		assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(a->name));
		assert_true(a->unit == NULL || ends_with(a->name, a->unit));
		assert_false(ends_with(a->name, "_total") || ends_with(a->name, "_count"));
		assert_true(strpbrk(a->help, "\\\n") == NULL && ends_with(a->help, "."));
		for (const struct metrics_family *b = metrics_families; b->name != NULL; b++)
			assert_true(a == b || strcmp(a->name, b->name) != 0);
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
