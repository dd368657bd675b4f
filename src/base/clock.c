#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS_MAX 1e9

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

bool
clock_read_seconds(const char *text, int64_t *ret_span)
{
	char *end;
	double seconds;

	if (text == NULL)
		return false;
	seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
		return false;
	*ret_span = (int64_t)(seconds * (double)CLOCK_SECOND);
	return true;
}
