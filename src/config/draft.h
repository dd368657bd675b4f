/* draft.h - a configuration while it is read: with the place where each value stands, for the errors. */
#ifndef HOLDFAST_CONFIG_DRAFT_H
#define HOLDFAST_CONFIG_DRAFT_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/config_errors.h"
#include "config/settings.h"
#include "config/source.h"

/* Where a value stands.  line 0: nowhere, it is a default. */
struct draft_place {
	const char *file;    /* borrowed from a source */
	const char *section; /* borrowed: "", "defaults", "services.NAME" */
	unsigned line;
};

struct draft_service {
	struct service_settings *settings; /* owned by the config */
	char *section;                     /* owned */
	struct draft_place place;          /* of the service itself */
	struct draft_place named[SETTINGS_MAX];
};

struct draft {
	struct config *config;             /* borrowed; what is filled */
	struct config_errors *errors;      /* borrowed */
	bool text_only;                    /* no file and no user is looked at */
	bool test;                         /* hints too */
	struct source **sources;           /* owned, each too */
	size_t source_count;
	struct draft_place top[SETTINGS_MAX];
	struct service_settings defaults;
	struct draft_place defaults_named[SETTINGS_MAX];
	struct draft_service **services;   /* owned, each too; in the order of config->services */
	size_t service_count;
};

/* Adds "FILE:LINE: SECTION.SETTING: what is wrong".  setting may be NULL: the section itself.  A failure: what the
 * configuration says is understood, but could not be done now. */
void draft_error(struct draft *draft, const struct draft_place *place, const char *setting, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void draft_failure(struct draft *draft, const struct draft_place *place, const char *setting, const char *format,
    ...) __attribute__((format(printf, 4, 5)));
void draft_warning(struct draft *draft, const struct draft_place *place, const char *setting, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

/* What may be otherwise in a moment: for -t a failure; at a start and a reload, which go on without it, a warning. */
void draft_momentary(struct draft *draft, const struct draft_place *place, const char *setting, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

/* The place of a value: where the setting was named, else that of the service. */
const struct draft_place *draft_service_place(const struct draft_service *service, const char *setting);

/* Whether the service itself names the setting, not defaults alone. */
bool draft_is_own(const struct draft *draft, const struct draft_service *service, const char *setting);

/* Takes the main file, then any number of further ones. */
void draft_take_main(struct draft *draft, struct source *source);
void draft_take_further(struct draft *draft, struct source *source);

/* What depends on more than one setting: names of sockets, defaults that follow the kind of source. */
void draft_complete(struct draft *draft);

/* Frees all but config and errors. */
void draft_clear(struct draft *draft);

#endif
