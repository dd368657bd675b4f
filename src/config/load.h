/* load.h - the configuration as the daemon gets it: read, and checked whole; a configuration with one error is none.
 *
 * From its files at a start and, by a child, at a reload; from the text in the table by a restarted worker.
 */
#ifndef HOLDFAST_CONFIG_LOAD_H
#define HOLDFAST_CONFIG_LOAD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/read.h"
#include "config/settings.h"
#include "keep/table.h"

#define CONFIG_LOAD_TIMEOUT (30 * CLOCK_SECOND)

/* Reads the main file and the files of its include_directory, and checks the files that they name.  The
 * configuration, or NULL with at least one error.  test (-t): also hints, and what a start could not do now. */
struct config *config_load(const char *path, bool test, struct config_errors *ret_errors);

/* Names of users and groups that are known become numbers: the worker need not ask for them.  May wait (NSS). */
void config_number_names(struct config *config);

/* Reads what config_text() gave, and NUL behind it: no other file is opened or looked at, and nothing is asked of the
 * user database.  source stands for the file in errors. */
struct config *config_parse_text(const char *text, const char *source, struct config_errors *ret_errors);

/* The same of the text in the table, whose files may have changed since.  check: as another
 * program, perhaps with other rules, has put it there. */
struct config *config_in_force(const struct table *table, bool check, struct config_errors *ret_errors);

/* Both of the first by a child, so that a name service that does not answer or a file on a mount that is dead holds
 * nobody up. */
struct config_load;

/* The configuration, with the text that config_text() would give, or NULL, NULL with at least one error; they, the
 * errors and the warnings are the callee's. */
typedef void config_load_callback(void *arg, struct config *config, char *text, struct config_errors *errors);

/* As config_load() without test; what the child has found is then taken in bits (loop_work_start()).  timeout, in
 * microseconds, is a patient job's (base/child.h).  *ret_group is the child's process group while it runs, else 0, as
 * child_start().
 * Never calls back before it returns; freed before the callback, which never comes after config_load_cancel(). */
struct config_load *config_load_start(struct event_base *loop, const char *path, int64_t timeout,
    volatile int32_t *ret_group, config_load_callback *callback, void *arg);

/* Kills the child.  NULL is fine. */
void config_load_cancel(struct config_load *reading);

#endif
