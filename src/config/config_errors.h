/* config_errors.h - what is found wrong with a configuration, collected: all of it is told, not only the first. */
#ifndef HOLDFAST_CONFIG_CONFIG_ERRORS_H
#define HOLDFAST_CONFIG_CONFIG_ERRORS_H

#include <stddef.h>

#define CONFIG_ERRORS_MAX 1000 /* further ones are counted only */

/* What was found.  Zero before use; config_errors_clear() frees. */
struct config_errors {
	char **errors;         /* owned; ends with NULL, or is NULL */
	size_t count;
	size_t further;        /* not kept for their number */
	size_t failures;       /* of all these: what can be understood, but could not be done now */
	char **warnings;       /* owned; likewise */
	size_t warning_count;
};

/* Adds a line that is not there yet; the second one that is a failure. */
void config_error(struct config_errors *errors, const char *format, ...) __attribute__((format(printf, 2, 3)));
void config_failure(struct config_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void config_warning(struct config_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees what was collected and makes it zero. */
void config_errors_clear(struct config_errors *errors);

#endif
