/* write.h - the configuration as text: for the next worker, and for people. */
#ifndef HOLDFAST_CONFIG_WRITE_H
#define HOLDFAST_CONFIG_WRITE_H

#include <stdbool.h>

#include "config/settings.h"

/* The effective configuration, every setting of every service written out: a valid file that gives the same again.
 * Services that were taken are left out.  All texts here are to be freed with mem_free(). */
char *config_dump(const struct config *config);

/* The same for people: secrets are hidden. */
char *config_show(const struct config *config);

/* One service's settings likewise. */
char *config_dump_settings(const struct service_settings *settings);
char *config_show_settings(const struct service_settings *settings);

/* The value of one of a service's settings, or of the top level's, for people. */
char *config_show_value(const struct setting *setting, const void *object);

/* Whether a row stands in the dump of a service (NULL: of the top level).  Only the source of addresses that is in
 * force does: two would be an error. */
bool config_is_written(const struct setting *setting, const struct service_settings *service);

#endif
