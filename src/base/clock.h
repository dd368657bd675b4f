/* clock.h - the only place that asks the kernel for the time.  All times are int64_t microseconds. */
#ifndef HOLDFAST_BASE_CLOCK_H
#define HOLDFAST_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLOCK_MILLISECOND INT64_C(1000)
#define CLOCK_SECOND      INT64_C(1000000)
#define CLOCK_NEVER       INT64_MAX
#define CLOCK_TEXT_SIZE   32

/* The monotonic clock: what deadlines are counted in. */
int64_t clock_now(void);

/* The same in whole ticks, cheaper and up to a few milliseconds late; it lasts for 8 years. */
#define CLOCK_TICK (CLOCK_SECOND / 16)
uint32_t clock_tick(void);

/* The wall clock, since 1970 UTC: for people only. */
int64_t clock_wall(void);

/* The processor's time that a process (0: this one), not its children, has used so far; -1 if it cannot be told.
 * Opens no file. */
int64_t clock_used_by(pid_t pid);

/* Writes a point of the wall clock as RFC 3339, UTC, with milliseconds: 2026-11-23T10:11:12.345Z. */
void clock_format(int64_t wall, char ret_text[CLOCK_TEXT_SIZE]);

/* now + span, staying at CLOCK_NEVER instead of overflowing. */
int64_t clock_after(int64_t now, int64_t span);

/* A time as people write it: a number and a unit ("250ms", "5s", "2.5min", "1h"); a number alone has the unit alone,
 * if that is not NULL.  NULL, or what is wrong: a static text. */
const char *clock_parse(const char *text, const char *alone, double *ret_seconds);

/* The same of 0 to 1e9 seconds, which a number alone is in, in microseconds; false, and *ret_span as it was, for
 * anything else, NULL too. */
bool clock_read_seconds(const char *text, int64_t *ret_span);

#endif
