#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX 1e9

static const struct {
	const char *name;
	double seconds;
} clock_units[] = { { "ms", 0.001 }, { "s", 1 }, { "min", 60 }, { "h", 3600 } };

static int64_t
clock_read(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint32_t
clock_tick(void)
{
	return (uint32_t)(clock_read(CLOCK_MONOTONIC_COARSE) / CLOCK_TICK);
}

int64_t
clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t
clock_used_by(pid_t pid)
{
	struct timespec ts;
	clockid_t which;

	if (clock_getcpuclockid(pid, &which) != 0 || clock_gettime(which, &ts) == -1)
		return -1;
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec / 1000;
}

void
clock_format(int64_t wall, char ret_text[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall / CLOCK_SECOND);
	int milliseconds = (int)(wall % CLOCK_SECOND / CLOCK_MILLISECOND);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret_text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, CLOCK_TEXT_SIZE - n, ".%03dZ", milliseconds);
}

int64_t
clock_after(int64_t now, int64_t span)
{
	return span >= CLOCK_NEVER - now ? CLOCK_NEVER : now + span;
}

const char *
clock_parse(const char *text, const char *alone, double *ret_seconds)
{
	size_t digits = strspn(text, "0123456789.");
	const char *unit = text + digits + strspn(text + digits, " ");
	char *end;
	double number = strtod(text, &end);

	if (digits == 0 || end != text + digits) /* strtod() takes hexadecimal numbers and exponents, too */
		return "a time is a number and a unit (ms, s, min, h), such as \"250ms\"";
	if (*end == '\0' && alone != NULL)
		unit = alone;
	if (*unit == '\0')
		return "a time as a text needs a unit (ms, s, min, h)";
	for (size_t i = 0; i < sizeof clock_units / sizeof clock_units[0]; i++)
		if (strcmp(unit, clock_units[i].name) == 0) {
			*ret_seconds = number * clock_units[i].seconds;
			return NULL;
		}
	return "the unit is not one of ms, s, min, h";
}

bool
clock_read_seconds(const char *text, int64_t *ret_span)
{
	double seconds;

	if (text == NULL || clock_parse(text, "s", &seconds) != NULL || seconds > SECONDS_MAX)
		return false;
	*ret_span = (int64_t)(seconds * (double)CLOCK_SECOND + 0.5);
	return true;
}
