/* read.h - reads the configuration's files into settings, and knows where each value stands, for the errors.
 *
 * Every error is collected, as "FILE:LINE: SETTING: what is wrong": all of it is told, not only the first.
 */
#ifndef HOLDFAST_CONFIG_READ_H
#define HOLDFAST_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "config/settings.h"

#define READ_FILE_MAX     (1u << 20) /* bytes of one file */
#define READ_FILES_MAX    256        /* files of include_directory */
#define CONFIG_ERRORS_MAX 1000       /* further ones are counted only */

enum read_severity {
	READ_ERROR,
	READ_FAILURE,   /* what the configuration says is understood, but could not be done now */
	READ_WARNING,
	READ_MOMENTARY, /* may be otherwise in a moment: for -t a failure; else a warning, for all go on without it */
};

/* What was found.  Zero before use; config_errors_clear() frees. */
struct config_errors {
	char **errors;         /* owned; ends with NULL, or is NULL */
	size_t count;
	size_t further;        /* not kept for their number */
	size_t failures;       /* of all these: what can be understood, but could not be done now */
	char **warnings;       /* owned; likewise */
	size_t warning_count;
};

/* Adds a line that is not there yet, and takes it over; or one that printf makes. */
void config_tell(struct config_errors *errors, enum read_severity severity, char *line);
#define config_error(errors, ...)   config_tell(errors, READ_ERROR, mem_print(__VA_ARGS__))
#define config_warning(errors, ...) config_tell(errors, READ_WARNING, mem_print(__VA_ARGS__))

/* Frees what was collected and makes it zero. */
void config_errors_clear(struct config_errors *errors);

/* Where a value stands.  line 0: nowhere, it is a default. */
struct read_place {
	const char *file;    /* borrowed from the reader */
	const char *section; /* borrowed: "", "defaults", "services.NAME" */
	unsigned line;
};

struct read_service {
	struct service_settings *settings; /* owned by the config */
	char *section;                     /* owned */
	struct read_place place;           /* of the service itself */
	struct read_place named[SETTINGS_MAX];
};

struct reader {
	struct config *config;             /* borrowed; what is filled */
	struct config_errors *errors;      /* borrowed */
	bool text_only;                    /* no file and no user is looked at */
	bool test;                         /* hints too */
	char **files;                      /* owned: names of those that could be parsed, the main file first */
	struct read_place top[SETTINGS_MAX];
	struct service_settings defaults;
	struct read_place defaults_named[SETTINGS_MAX];
	struct read_service **services;    /* owned, each too; in the order of config->services */
	size_t service_count;
};

/* Adds "FILE:LINE: SECTION.SETTING: what is wrong": at the place where the service (NULL: the top level) names the
 * setting, or at its beginning.  Takes wrong over. */
void reader_tell(struct reader *reader, enum read_severity severity, const struct read_service *service,
    const char *setting, char *wrong);
#define reader_say(reader, severity, service, setting, ...) \
	reader_tell(reader, severity, service, setting, mem_print(__VA_ARGS__))

/* Whether the service itself names the setting, not defaults alone. */
bool reader_is_own(const struct reader *reader, const struct read_service *service, const char *setting);

/* Fills config, which is zero, with defaults, then the reader, whose first fields are set, with the main file and
 * those of its include_directory.  Whether there is anything to be checked. */
bool reader_read(struct reader *reader, const char *path);

/* Likewise with a text that config_text() gave, which ends with NUL, in bits: the first call takes all but the
 * services, each further one a service; other texts are taken whole.  *at is the text first.  Whether there is more;
 * reader_end_text() comes behind the last: whether there is anything to be checked. */
bool reader_read_bit(struct reader *reader, const char **at, const char *name);
bool reader_end_text(struct reader *reader);

/* Frees all but config and errors. */
void reader_clear(struct reader *reader);

/* Takes repeated slashes and parts "." out of a path, so that the same place is the same text; ".." stays. */
void config_clean_path(char *path);

#endif
