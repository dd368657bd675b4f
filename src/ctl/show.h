/* show.h - what the daemon's answers say, in words for people.
 *
 * Pure, but for the function that writes to a file and those that take the age of something now.
 */
#ifndef HOLDFAST_CTL_SHOW_H
#define HOLDFAST_CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The text of a member, or "" if there is none.  Numbers and yes or no likewise. */
const char *show_text(const json_t *object, const char *key);
long long show_number(const json_t *object, const char *key);
double show_real(const json_t *object, const char *key);
bool show_is_true(const json_t *object, const char *key);

/* Whether there is such a member and it is not null. */
bool show_has(const json_t *object, const char *key);

/* "s" behind what is not one. */
const char *show_plural(long long count);

/* How many seconds before wall (microseconds since 1970 UTC) a point in time was, or -1 if it is none. */
double show_age(const char *time, int64_t wall);

/* A text made as printf makes it, good until 31 more are made: so are all texts below that are made of several. */
char *show_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A span of seconds, "5min 3s". */
char *show_span(double seconds);

/* Seconds until a point in time of a member, below 0 if it is past; false: there is none. */
bool show_until(const json_t *object, const char *key, int64_t wall, double *ret_seconds);

/* How long ago, in the same form, a point in time of a member was, or "" without one. */
const char *show_ago(const json_t *object, const char *key);

/* Of one service in the answer to "status": its state in the word for people (UP, DOWN, HOLD, PAUSED, CLOSED), why
 * ("" if there is nothing to say), and since when (RFC 3339, or ""). */
const char *show_state(const json_t *service);
const char *show_why(const json_t *service);
const char *show_since_at(const json_t *service);

/* Why the service accepts nobody for now. */
const char *show_pause(const json_t *service);

/* Of an endpoint in the answer to "endpoints" or "explain": its story in one line, "10.0.0.5:5432 failed: Connection
 * refused; tried again in 8.2 s"; wall: microseconds since 1970 UTC. */
const char *show_endpoint(const json_t *endpoint, int64_t wall);

/* When it is tried again: "tried again in 8.2 s". */
const char *show_again(const json_t *endpoint, int64_t wall);

/* Prints as fprintf() does, escaped as base/escape.h says but for newlines and tabs. */
void show_printf(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
