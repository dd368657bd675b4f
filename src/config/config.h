/* config.h - the configuration: read, checked whole, and printed back.
 *
 * Read from files at start and reload; from the canonical text in the table by a restarted worker.  Every
 * error is collected, as "FILE:LINE: SETTING: what is wrong"; a configuration with one error is none.
 */
#ifndef HOLDFAST_CONFIG_CONFIG_H
#define HOLDFAST_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "client/listener.h"
#include "config/config_errors.h"
#include "config/settings.h"
#include "keep/table.h"

#define CONFIG_SERVICES_MAX TABLE_SERVICES
#define CONFIG_FILES_MAX    256 /* files of include_directory */

struct config_log {
	enum log_level level;
	enum log_target target;
	bool clients;          /* a line per client */
};

struct config_control {
	struct listener_settings listener; /* path is absolute, or "@name" */
	char **admin_users, **admin_groups; /* owned; both empty: everybody who can open the socket */
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

/* Reads the main file and the files of its include_directory, and checks the files that they name.  The
 * configuration, or NULL with at least one error.  test (-t): also hints, and whether the open files suffice.  Forks
 * to try the parser first. */
struct config *config_load(const char *path, bool test, struct config_errors *ret_errors);

/* Names of users and groups that are known become numbers: the worker need not ask for them.  May wait (NSS). */
void config_number_names(struct config *config);

/* Reads what config_dump() gave: no other file is opened or looked at, and nothing is asked of the user
 * database.  source stands for the file in errors. */
struct config *config_parse_text(const char *text, size_t length, const char *source,
    struct config_errors *ret_errors);

/* The same of the text in the table, whose files may have changed since. */
struct table;
struct config *config_in_force(const struct table *table, struct config_errors *ret_errors);

/* The effective configuration, every setting of every service written out: a valid file that gives the same
 * again.  To be freed with mem_free().  Services that were taken are left out. */
char *config_dump(const struct config *config);

/* The same for people: what hello sends is hidden. */
char *config_show(const struct config *config);
char *config_show_settings(const struct service_settings *settings);

/* Whether a row stands in the dump of a service (NULL: of the top level).  Only the source of addresses that is in
 * force does: two would be an error. */
struct setting;
bool config_is_written(const struct setting *setting, const struct service_settings *service);

/* One service's settings as in config_dump().  To be freed with mem_free(). */
char *config_dump_settings(const struct service_settings *settings);

/* The service of this name, borrowed, or NULL. */
const struct service_settings *config_find_service(const struct config *config, const char *name);

/* Service number i becomes the caller's: service_settings_clear() and mem_free().  NULL if it was taken. */
struct service_settings *config_take_service(struct config *config, size_t i);

/* Frees it; NULL is fine. */
void config_free(struct config *config);

#endif
