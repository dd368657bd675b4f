/* settings.h - the table of all settings: what may stand in the file, of which type, and where it is kept.
 *
 * The checker, the dump (-T), holdfastctl config and the check of the papers read this table.  Service
 * settings lie in struct service_settings, the others in struct config.
 */
#ifndef HOLDFAST_CONFIG_SETTINGS_H
#define HOLDFAST_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/clients.h"
#include "client/listener.h"
#include "client/shared.h"
#include "upstream/upstream_settings.h"

/* All a service can be told.  Filled by the table; owns what its parts own. */
enum service_mode { SERVICE_SESSION, SERVICE_SHARED };

struct service_settings {
	char *name;                  /* owned */
	enum service_mode mode;
	struct listener_settings listener;
	struct clients_settings clients;
	struct shared_settings shared;
	struct upstream_settings upstream;
	int64_t drain_timeout;       /* 0: no limit */
};

/* What stands in the file, and the type of the field it fills. */
enum setting_type {
	SETTING_TEXT,         /* char *; "" is NULL */
	SETTING_PATH,         /* the same, absolute */
	SETTING_PROGRAM,      /* the same, of a program */
	SETTING_TEXTS,        /* char **: a list of texts, or one text */
	SETTING_NAMES,        /* char **: users or groups, names or numbers */
	SETTING_ADDRESS,      /* char **: one address */
	SETTING_ADDRESSES,    /* char **: several */
	SETTING_ENVIRONMENT,  /* char **: NAME=VALUE */
	SETTING_ARGUMENTS,    /* char **: a list of texts, of which some may be secret */
	SETTING_BOOL,         /* bool */
	SETTING_COUNT,        /* unsigned */
	SETTING_COUNT_OR_AUTO, /* the same; "auto" is UINT_MAX */
	SETTING_SIZE,         /* unsigned, bytes */
	SETTING_MEMORY,       /* int64_t, bytes; 0 is a default that depends */
	SETTING_INTEGER,      /* int */
	SETTING_NUMBER,       /* double */
	SETTING_TIME,         /* int64_t, microseconds */
	SETTING_LIMIT,        /* int64_t, microseconds; 0 in the file is CLOCK_NEVER */
	SETTING_SECONDS,      /* int, whole seconds */
	SETTING_MILLISECONDS, /* int, milliseconds */
	SETTING_MODE,         /* mode_t: text of octal digits */
	SETTING_ID,           /* char *: a user or group, name or number; whether there is one is not asked */
	SETTING_CHOICE,       /* an enum, by name */
	SETTING_HELLO,        /* struct hello_settings: a list of groups */
	SETTING_TYPES
};

/* How a reload brings a changed value in force; the later, the stronger. */
enum setting_reload {
	SETTING_SAME,     /* no value has changed */
	SETTING_IN_PLACE, /* without touching a connection or a timer; seen by what begins afterwards */
	SETTING_RENEW,    /* the service's upstream side begins anew; attached and held clients stay */
	SETTING_RESTART,  /* not while running: the reload is refused */
};

struct setting_choice {
	const char *name; /* borrowed; NULL ends the list */
	int value;
};

struct setting {
	const char *name;     /* borrowed; "retry.delay"; at most one dot */
	const char *fallback; /* borrowed; default, as it would be written in the file */
	enum setting_type type;
	double min, max;      /* numbers; times in seconds; lengths of texts and lists; modes */
	enum setting_reload reload;
	size_t offset;        /* of the field */
	const struct setting_choice *choices; /* borrowed; SETTING_CHOICE only */
};

#define SETTINGS_MAX 96 /* rows of either table, at most */
#define SETTINGS_NAME_SIZE 40

/* A table: rows of service settings, or those of the top level. */
struct settings {
	const struct setting *rows;  /* borrowed */
	size_t count;
	const char *const *sections; /* borrowed; names beside them that are not settings; NULL ends the list */
};

extern const struct settings settings_service; /* fills struct service_settings */
extern const struct settings settings_top;     /* fills struct config */

/* The row of this name, or NULL. */
const struct setting *settings_find(const struct settings *settings, const char *name);

/* The number of a row that exists. */
size_t settings_index(const struct settings *settings, const char *name);

/* Whether some row's name begins with "group.". */
bool settings_is_group(const struct settings *settings, const char *group);

/* What an unknown name in a group ("" outside of groups) may have been meant for: the known name that is most
 * like it, or one that ends like it elsewhere.  Whether there is one; then it is in ret_name. */
bool settings_nearest(const struct settings *settings, const char *group, const char *name,
    char ret_name[SETTINGS_NAME_SIZE]);

/* Fills all fields of a struct that is zero with their defaults. */
void settings_defaults(const struct settings *settings, void *object);

/* Copies all fields, deep, into a struct whose fields own nothing. */
void settings_copy(const struct settings *settings, void *to, const void *from);

/* What it takes to bring b in force in place of a: the strongest class of the rows whose values differ. */
enum setting_reload settings_compare(const struct settings *settings, const void *a, const void *b);

/* Frees what fields own and makes them zero. */
void settings_clear(const struct settings *settings, void *object);

/* Frees what a service's settings own, its name too, not the struct. */
void service_settings_clear(struct service_settings *settings);

#endif
