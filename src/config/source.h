/* source.h - one configuration file, read and parsed in a way that no file can end or hang the program. */
#ifndef HOLDFAST_CONFIG_SOURCE_H
#define HOLDFAST_CONFIG_SOURCE_H

#include <libconfig.h>
#include <stddef.h>

#include "config/config_errors.h"

#define SOURCE_MAX (1u << 20) /* bytes of one file */

struct source {
	char *name;    /* owned: the file's, as errors show it */
	char *text;    /* owned */
	const char **lines; /* owned: where each line of the text begins */
	unsigned line_count;
	config_t tree;
};

/* Reads and parses a file: a regular one of at most SOURCE_MAX bytes, tried in a child process first, for a second of
 * the processor at most.  NULL after adding an error. */
struct source *source_read(const char *path, struct config_errors *errors);

/* Parses a text that we wrote ourselves: no child is asked first. */
struct source *source_parse(const char *text, size_t length, const char *name, struct config_errors *errors);

/* A number, or another value of one word, as the file has it: libconfig reads 0660 as 660 or as 432.  NULL if it
 * cannot be found; else a text to free with mem_free(). */
char *source_written(const config_setting_t *value);

/* Frees it; NULL is fine. */
void source_free(struct source *source);

#endif
