/* values.h - times, modes, numbers and texts as the configuration writes them. */
#ifndef HOLDFAST_CONFIG_VALUES_H
#define HOLDFAST_CONFIG_VALUES_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define VALUES_TEXT_SIZE 40

/* "250ms", "5s", "2.5min", "1h" to microseconds.  NULL, or what is wrong: a static text. */
const char *values_parse_time(const char *text, int64_t *ret_time);

/* "512", "64KiB", "1MiB", "1GiB" to bytes.  NULL, or what is wrong: a static text. */
const char *values_parse_size(const char *text, int64_t *ret_size);

/* Seconds to microseconds; what is not 0 does not become 0. */
int64_t values_from_seconds(double seconds);

/* "0660" to a mode of at most 0777.  NULL, or what is wrong: a static text. */
const char *values_parse_mode(const char *text, mode_t *ret_mode);

/* A user's or group's number written in digits; -1 if it is none. */
int64_t values_parse_id(const char *text);

/* Microseconds as seconds, with no more digits than needed: "10", "0.25". */
void values_format_time(int64_t time, char ret_text[VALUES_TEXT_SIZE]);

/* A text that gives the same number again. */
void values_format_number(double number, char ret_text[VALUES_TEXT_SIZE]);

/* Takes repeated slashes and parts "." out of a path, so that the same place is the same text; ".." stays. */
void values_clean_path(char *path);

/* Prints a text in quotation marks, escaped so that libconfig reads the same bytes; NULL as "". */
void values_print_text(FILE *out, const char *text);

#endif
