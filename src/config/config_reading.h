/* config_reading.h - reads and checks the configuration's files in a child, so that a name service that does not
 * answer or a file on a mount that is dead holds nobody up.
 */
#ifndef HOLDFAST_CONFIG_CONFIG_READING_H
#define HOLDFAST_CONFIG_CONFIG_READING_H

#include <event2/event.h>
#include <stdint.h>

#include "config/config.h"

#define CONFIG_READING_TIMEOUT (30 * CLOCK_SECOND)

struct config_reading;

/* The configuration, or NULL with at least one error; it, the errors and the warnings are the callee's. */
typedef void config_reading_callback(void *arg, struct config *config, struct config_errors *errors);

/* As config_load() without test.  timeout, in microseconds, is a patient job's (base/child.h).  *ret_group is the
 * child's process group while it runs, else 0, as child_start().
 * Never calls back before it returns; freed before the callback, which never comes after config_reading_cancel(). */
struct config_reading *config_reading_start(struct event_base *loop, const char *path, int64_t timeout,
    volatile int32_t *ret_group, config_reading_callback *callback, void *arg);

/* Kills the child.  NULL is fine. */
void config_reading_cancel(struct config_reading *reading);

#endif
