/* write.h - the configuration as text: for the next worker, and for people. */
#ifndef HOLDFAST_CONFIG_WRITE_H
#define HOLDFAST_CONFIG_WRITE_H

#include <stdbool.h>
#include <stdio.h>

#include "config/settings.h"

/* How values are written: setting_print(), or setting_show() for people. */
typedef void write_value(const struct setting *setting, const void *object, FILE *out);

/* The effective configuration, every setting of every service written out: a valid file that gives the same again.
 * Services that were taken are left out.  All texts here are to be freed with mem_free(). */
char *config_text(const struct config *config, write_value *print);

/* Where in it the services begin and end, and each of them ends: it has no such line elsewhere. */
#define WRITE_SERVICES     "\nservices:\n{\n"
#define WRITE_SERVICE_END  "\n\t};\n"
#define WRITE_SERVICES_END "};\n"

/* One service's settings likewise; the value of one of them, or of the top level's. */
char *config_service_text(const struct service_settings *settings, write_value *print);
char *config_value_text(const struct setting *setting, const void *object, write_value *print);

/* Whether a row stands in the dump of a service (NULL: of the top level).  Only the source of addresses that is in
 * force does: two would be an error. */
bool config_is_written(const struct setting *setting, const struct service_settings *service);

#endif
