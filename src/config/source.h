/* source.h - one configuration file, read and parsed in a way that no file can end or hang the program. */
#ifndef HOLDFAST_CONFIG_SOURCE_H
#define HOLDFAST_CONFIG_SOURCE_H

#include <libconfig.h>
#include <stddef.h>

#include "config/config_errors.h"

#define SOURCE_MAX (1u << 20) /* bytes of one file */

struct source {
	char *name;    /* owned: the file's, as errors show it */
	config_t tree;
};

/* Reads and parses a file: a regular one of at most SOURCE_MAX bytes.  NULL after adding an error. */
struct source *source_read(const char *path, struct config_errors *errors);

/* Parses a text that we wrote ourselves. */
struct source *source_parse(const char *text, size_t length, const char *name, struct config_errors *errors);

/* Frees it; NULL is fine. */
void source_free(struct source *source);

#endif
