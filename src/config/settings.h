/* settings.h - the tables of all settings: what may stand in the file, of which type, and where it is kept.
 *
 * The reader, the checks, the dump (-T), holdfastctl config and the check of the papers read these tables.  Service
 * settings lie in struct service_settings, the others in struct config.
 */
#ifndef HOLDFAST_CONFIG_SETTINGS_H
#define HOLDFAST_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "client/clients.h"
#include "client/listener.h"
#include "client/shared_settings.h"
#include "config/types.h"
#include "keep/table.h"
#include "upstream/upstream_settings.h"

/* All a service can be told.  Filled by the table; owns what its parts own. */
enum service_mode { SERVICE_SESSION, SERVICE_SHARED };

struct service_settings {
	char *name;                  /* owned */
	enum service_mode mode;
	struct listeners_settings listeners;
	struct clients_settings clients;
	struct shared_settings shared;
	struct upstream_settings upstream;
	int64_t drain_timeout;       /* 0: no limit */
};

#define CONFIG_SERVICES_MAX TABLE_SERVICES

struct config_log {
	enum log_level level;
	enum log_target target;
	bool clients;          /* a line per client */
};

struct config_control {
	struct listener_settings listener; /* path is absolute, or "@name" */
	char **admin_users, **admin_groups; /* owned; who may change something */
};

struct config {
	char *runtime_directory;           /* owned; absolute */
	char *include_directory;           /* owned; as written; NULL none */
	int64_t stop_timeout;              /* microseconds */
	int64_t max_memory;                /* bytes; 0: by what the machine allows */
	struct config_log log;
	struct config_control control;
	char *metrics_listen;              /* owned; NULL nowhere */
	struct service_settings **services; /* owned, each too; NULL where taken */
	size_t service_count;
};

#define SETTINGS_MAX 128 /* rows of a table, at most */
#define SETTINGS_NAME_SIZE 40

/* A table: rows of service settings, or those of the top level. */
struct settings {
	const struct setting *rows;  /* borrowed */
	size_t count;
	const char *const *sections; /* borrowed; names beside them that are not settings; NULL ends the list */
};

extern const struct settings settings_service; /* fills struct service_settings */
extern const struct settings settings_top;     /* fills struct config */

/* Stores the value in the object's field, whose old value is freed; on an error the field stays.  NULL, or what is
 * wrong, to be freed with mem_free(), and *ret_where is the part of the value that it is about. */
char *setting_take(const struct setting *setting, const config_setting_t *value, void *object,
    const config_setting_t **ret_where);

/* Prints the field as the file would have it, without name; the second for people, secrets hidden: what hello sends,
 * and what arguments and variables of a service hold. */
void setting_print(const struct setting *setting, const void *object, FILE *out);
void setting_show(const struct setting *setting, const void *object, FILE *out);

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

/* The service of this name, borrowed, or NULL. */
const struct service_settings *config_find_service(const struct config *config, const char *name);

/* Service number i becomes the caller's: settings_clear() and mem_free().  NULL if it was taken. */
struct service_settings *config_take_service(struct config *config, size_t i);

/* Frees it; NULL is fine. */
void config_free(struct config *config);

#endif
