/* show.h - answers of the daemon, printed for people. */
#ifndef HOLDFAST_CTL_SHOW_H
#define HOLDFAST_CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Prints the good answer to the command argv[0] to standard output. */
void show_answer(int argc, char *const *argv, const json_t *answer);

/* Prints what is wrong to standard error. */
void show_error(int argc, char *const *argv, const json_t *answer);

/* show_status.c: the answer to "status"; single: one service was asked for, and is shown in full. */
void show_status(const json_t *answer, bool single);

/* Of one service in that answer: its state in the word for people (UP, DOWN, HOLD, PAUSED, CLOSED), why (to be freed
 * with mem_free(); "" if there is nothing to say), and since when (RFC 3339, or ""). */
const char *show_state(const json_t *service);
char *show_why(const json_t *service);
const char *show_since_at(const json_t *service);

/* Of an endpoint in the answer to "endpoints" or "explain": its story in one line, "10.0.0.5:5432 failed: Connection
 * refused; tried again in 8.2 s"; wall: microseconds since 1970 UTC.  To be freed with mem_free(). */
char *show_endpoint(const json_t *endpoint, int64_t wall);

/* Why the service accepts nobody for now. */
const char *show_pause(const json_t *service);

/* show_reload.c: the answer to "reload", or to what it would do. */
void show_reload(int argc, char *const *argv, const json_t *answer);

/* The text of a member, or "" if there is none.  Numbers and yes or no likewise. */
const char *show_text(const json_t *object, const char *key);
long long show_number(const json_t *object, const char *key);
double show_real(const json_t *object, const char *key);

/* How many seconds before wall (microseconds since 1970 UTC) a point in time was, or -1 if it is none. */
double show_age(const char *time, int64_t wall);

/* How long ago a point in time of a member was, "5min 3s", or "" without one; in one of a few buffers. */
const char *show_ago(const json_t *object, const char *key);

/* A span of seconds in the same form. */
const char *show_span(double seconds);

/* Prints text, control characters but newline and tab replaced. */
void show_print(FILE *file, const char *text);

/* Likewise, with a newline after it if it has none. */
void show_print_line(FILE *file, const char *text);

#endif
