/* show.h - answers of the daemon, printed for people. */
#ifndef HOLDFAST_CTL_SHOW_H
#define HOLDFAST_CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Prints the good answer to the command argv[0] to standard output. */
void show_answer(int argc, char *const *argv, const json_t *answer);

/* Prints what is wrong to standard error. */
void show_error(int argc, char *const *argv, const json_t *answer);

/* show_status.c: the answer to "status"; single: one service was asked for, and is shown in full. */
void show_status(const json_t *answer, bool single);

/* The text of a member, or "" if there is none.  Numbers and yes or no likewise. */
const char *show_text(const json_t *object, const char *key);
long long show_number(const json_t *object, const char *key);
double show_real(const json_t *object, const char *key);

/* How long ago a point in time of a member was, "5min 3s", or "" without one; in one of a few buffers. */
const char *show_ago(const json_t *object, const char *key);

/* A span of seconds in the same form. */
const char *show_span(double seconds);

/* Prints text, control characters but newline and tab replaced. */
void show_print(FILE *file, const char *text);

#endif
