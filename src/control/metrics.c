#include "control/metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/histogram.h"

#define LINE_SIZE 512 /* names have 64 bytes, the version 64, each twice as much when escaped */

/* A line in the making; cut where it is full, which no line is. */
struct metrics_line {
	size_t length;
	char text[LINE_SIZE];
};

struct metrics *
metrics_new(enum metrics_format format, size_t count)
{
	struct metrics *metrics = mem_new(1, sizeof *metrics);

	metrics->format = format;
	metrics->count = count;
	metrics->services = count == 0 ? NULL : mem_new(count, sizeof *metrics->services);
	return metrics;
}

void
metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	for (size_t i = 0; i < metrics->count; i++)
		mem_free(metrics->services[i].endpoints);
	mem_free(metrics->services);
	mem_free(metrics);
}

const char *
metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	    : "text/plain; version=0.0.4; charset=utf-8";
}

static void
line_add_bytes(struct metrics_line *line, const char *bytes, size_t length)
{
	if (length > sizeof line->text - line->length)
		length = sizeof line->text - line->length;
	memcpy(line->text + line->length, bytes, length);
	line->length += length;
}

static void
line_add(struct metrics_line *line, const char *text)
{
	line_add_bytes(line, text, strlen(text));
}

/* A label's value. */
static void
line_add_escaped(struct metrics_line *line, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			line_add_bytes(line, "\\", 1);
		if (*text == '\n')
			line_add(line, "\\n");
		else
			line_add_bytes(line, text, 1);
	}
}

static void
line_add_number(struct metrics_line *line, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	line_add_bytes(line, digits + at, sizeof digits - at);
}

/* Microseconds as seconds, with at least one digit behind the point and none that says nothing. */
static void
line_add_seconds(struct metrics_line *line, uint64_t span)
{
	char digits[] = ".000000";
	uint64_t rest = span % CLOCK_SECOND;
	size_t length = sizeof digits - 1;

	for (size_t i = length - 1; i > 0; i--, rest /= 10)
		digits[i] = (char)('0' + rest % 10);
	while (length > 2 && digits[length - 1] == '0')
		length--;
	line_add_number(line, span / CLOCK_SECOND);
	line_add_bytes(line, digits, length);
}

static void
line_end(struct metrics_line *line, struct evbuffer *out)
{
	line_add_bytes(line, "\n", 1);
	evbuffer_add(out, line->text, line->length);
	line->length = 0;
}

/* "# WHAT NAME TEXT": for Prometheus the name is that of the lines below. */
static void
family_describe(const struct metrics *metrics, const struct metrics_family *family, const char *what,
    const char *text, struct evbuffer *out)
{
	struct metrics_line line = { 0 };

	line_add(&line, what);
	line_add(&line, family->name);
	if (metrics->format == METRICS_PROMETHEUS)
		line_add(&line, metrics_suffix(family->type));
	line_add(&line, " ");
	line_add(&line, text);
	line_end(&line, out);
}

static void
family_head(const struct metrics *metrics, const struct metrics_family *family, struct evbuffer *out)
{
	bool open = metrics->format == METRICS_OPENMETRICS;
	const char *type = metrics_type_name(family->type);

	if (!open && family->type == METRICS_INFO)
		type = "gauge";
	family_describe(metrics, family, "# TYPE ", type, out);
	if (open && family->unit != NULL)
		family_describe(metrics, family, "# UNIT ", family->unit, out);
	family_describe(metrics, family, "# HELP ", family->help, out);
}

/* "NAME_SUFFIX{service="..."" */
static void
line_begin(struct metrics_line *line, const struct metrics_family *family, const char *suffix,
    const struct metrics_service *service)
{
	line_add(line, family->name);
	line_add(line, suffix);
	if (service == NULL)
		return;
	line_add(line, "{service=\"");
	line_add_escaped(line, service->name);
	line_add_bytes(line, "\"", 1);
}

static void
line_add_value(struct metrics_line *line, const struct metrics_family *family, const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)object + offset, sizeof value);
	if (metrics_is_time(family))
		line_add_seconds(line, value);
	else
		line_add_number(line, value);
}

static void
family_write_histogram(const struct metrics_family *family, const struct metrics_service *service,
    struct evbuffer *out)
{
	const struct table_histogram *histogram = &service->histogram[family->kind];
	struct metrics_line line = { 0 };
	size_t count;
	const int64_t *bounds = histogram_bounds(family->kind, &count);
	uint64_t sum = 0;

	for (size_t i = 0; i <= count; i++) {
		sum += histogram->step[i];
		line_begin(&line, family, "_bucket", service);
		line_add(&line, ",le=\"");
		if (i < count)
			line_add_seconds(&line, (uint64_t)bounds[i]);
		else
			line_add(&line, "+Inf");
		line_add(&line, "\"} ");
		line_add_number(&line, sum);
		line_end(&line, out);
	}
	line_begin(&line, family, "_sum", service);
	line_add(&line, "} ");
	line_add_seconds(&line, histogram->sum);
	line_end(&line, out);
	line_begin(&line, family, "_count", service);
	line_add(&line, "} ");
	line_add_number(&line, sum);
	line_end(&line, out);
}

static void
family_write_endpoints(const struct metrics_family *family, const struct metrics_service *service,
    struct evbuffer *out)
{
	struct metrics_line line = { 0 };

	for (size_t i = 0; i < service->endpoint_count; i++) {
		line_begin(&line, family, metrics_suffix(family->type), service);
		line_add(&line, ",address=\"");
		line_add_escaped(&line, service->endpoints[i].address);
		line_add(&line, "\"} ");
		line_add_value(&line, family, &service->endpoints[i], family->samples->offset);
		line_end(&line, out);
	}
}

static void
family_write_service(const struct metrics_family *family, const struct metrics_service *service, struct evbuffer *out)
{
	struct metrics_line line = { 0 };

	if (family->of == METRICS_OF_ENDPOINTS) {
		family_write_endpoints(family, service, out);
		return;
	}
	if ((service->shared ? METRICS_OF_SHARED : METRICS_OF_SESSIONS) & ~family->of)
		return;
	if (family->type == METRICS_HISTOGRAM) {
		family_write_histogram(family, service, out);
		return;
	}
	for (const struct metrics_sample *sample = family->samples; sample->there; sample++) {
		line_begin(&line, family, metrics_suffix(family->type), service);
		if (sample->label != NULL) {
			line_add(&line, ",");
			line_add(&line, sample->label);
		}
		line_add(&line, "} ");
		line_add_value(&line, family, service, sample->offset);
		line_end(&line, out);
	}
}

static void
family_write_daemon(const struct metrics_family *family, const struct metrics_daemon *of, struct evbuffer *out)
{
	struct metrics_line line = { 0 };

	line_begin(&line, family, metrics_suffix(family->type), NULL);
	if (family->type == METRICS_INFO) {
		line_add(&line, "{version=\"");
		line_add_escaped(&line, of->version);
		line_add(&line, "\"} 1");
	} else {
		line_add(&line, " ");
		line_add_value(&line, family, of, family->samples->offset);
	}
	line_end(&line, out);
}

/* One service's part of the family that is written next, or the daemon's; goes on to what comes then. */
static void
metrics_write_one(struct metrics *metrics, struct evbuffer *out)
{
	const struct metrics_family *family = &metrics_families[metrics->family];
	bool whole = family->of == METRICS_OF_DAEMON;

	if (metrics->service == 0 && (whole || metrics->count > 0))
		family_head(metrics, family, out);
	if (whole)
		family_write_daemon(family, &metrics->daemon, out);
	else if (metrics->service < metrics->count)
		family_write_service(family, &metrics->services[metrics->service++], out);
	if (whole || metrics->service == metrics->count) {
		metrics->service = 0;
		metrics->family++;
	}
}

bool
metrics_write(struct metrics *metrics, struct evbuffer *out, size_t size)
{
	while (metrics_families[metrics->family].name != NULL && evbuffer_get_length(out) < size)
		metrics_write_one(metrics, out);
	if (metrics_families[metrics->family].name != NULL)
		return true;
	if (!metrics->ended) /* for Prometheus a comment, by which a reader sees that nothing is missing */
		evbuffer_add(out, "# EOF\n", 6);
	metrics->ended = true;
	return false;
}
