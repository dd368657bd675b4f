/* source.h - one configuration file, read and parsed in a way that no file can end or hang the program. */
#ifndef HOLDFAST_DAEMON_SOURCE_H
#define HOLDFAST_DAEMON_SOURCE_H

#include <libconfig.h>
#include <stddef.h>

#include "daemon/config.h"

struct source {
	char *name;    /* owned: the file's, as errors show it */
	config_t tree;
};

/* Reads and parses a file: a regular one of at most CONFIG_FILE_MAX bytes, tried in a child process first.
 * NULL after adding an error. */
struct source *source_read(const char *path, struct config_errors *errors);

/* Parses a text that we wrote ourselves: no child is asked first. */
struct source *source_parse(const char *text, size_t length, const char *name, struct config_errors *errors);

/* Frees it; NULL is fine. */
void source_free(struct source *source);

#endif
