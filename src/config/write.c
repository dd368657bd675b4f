#include "config/write.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char tabs[] = "\t\t\t"; /* the first so many indent */

bool
config_is_written(const struct setting *setting, const struct service_settings *service)
{
	const struct lookup_settings *lookup = service == NULL ? NULL : &service->upstream.lookup;
	bool several = lookup != NULL && mem_list_length(lookup->addresses) > 1;

	if (lookup == NULL)
		return true;
	if (strcmp(setting->name, "name") == 0)
		return strchr(service->name, '.') != NULL; /* else it is the group's */
	if (setting->type == SETTING_LISTENERS || strncmp(setting->name, "listen.", strlen("listen.")) == 0)
		return (setting->type == SETTING_LISTENERS) == (service->listeners.count > 1);
	if (strcmp(setting->name, "address") == 0)
		return lookup->addresses != NULL && !several;
	if (strcmp(setting->name, "addresses") == 0)
		return several;
	if (strcmp(setting->name, "lookup.script") == 0)
		return lookup->script != NULL;
	if (strcmp(setting->name, "lookup.catalog") == 0)
		return lookup->catalog != NULL;
	return true;
}

/* Ends the group that was open if this name is not in it, and begins its own. */
static void
write_group(FILE *out, int depth, const char *name, char group[SETTINGS_NAME_SIZE])
{
	char next[SETTINGS_NAME_SIZE] = "";

	if (strchr(name, '.') != NULL)
		snprintf(next, sizeof next, "%.*s", (int)strcspn(name, "."), name);
	if (strcmp(next, group) == 0)
		return;
	if (*group != '\0')
		fprintf(out, "%.*s};\n", depth, tabs);
	if (*next != '\0')
		fprintf(out, "%.*s%s:\n%.*s{\n", depth, tabs, next, depth, tabs);
	strcpy(group, next);
}

static void
write_rows(FILE *out, write_value *print, const struct settings *settings, const void *object,
    const struct service_settings *service, int depth)
{
	char group[SETTINGS_NAME_SIZE] = "";

	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		const char *dot = strchr(row->name, '.');

		if (!config_is_written(row, service))
			continue;
		write_group(out, depth, row->name, group);
		fprintf(out, "%.*s%s = ", depth + (dot != NULL), tabs, dot != NULL ? dot + 1 : row->name);
		print(row, object, out);
		fputs(";\n", out);
	}
	write_group(out, depth, "", group);
}

/* The name is as a group can have it: an asterisk is in no service's name, so that this is no other's. */
static void
write_service(FILE *out, write_value *print, const struct service_settings *service, int depth)
{
	fprintf(out, "%.*s", depth, tabs);
	for (const char *c = service->name; *c != '\0'; c++)
		fputc(*c == '.' ? '*' : *c, out);
	fprintf(out, ":\n%.*s{\n", depth, tabs);
	write_rows(out, print, &settings_service, service, service, depth + 1);
	fprintf(out, "%.*s};\n", depth, tabs);
}

/* open_memstream fails only without memory. */
static FILE *
write_begin(char **ret_text, size_t *ret_length)
{
	FILE *out = open_memstream(ret_text, ret_length);

	if (out == NULL)
		abort();
	return out;
}

char *
config_text(const struct config *config, write_value *print)
{
	struct config top = *config;
	size_t length;
	char *text;
	FILE *out = write_begin(&text, &length);

	fputs("# The effective configuration of holdfastd: every default is filled in.\n", out);
	top.include_directory = NULL; /* its services are here */
	write_rows(out, print, &settings_top, &top, NULL, 0);
	fputs(&WRITE_SERVICES[1], out); /* a line has ended already */
	for (size_t i = 0; i < config->service_count; i++)
		if (config->services[i] != NULL)
			write_service(out, print, config->services[i], 1);
	fputs(WRITE_SERVICES_END, out);
	fclose(out);
	return text;
}

char *
config_service_text(const struct service_settings *settings, write_value *print)
{
	size_t length;
	char *text;
	FILE *out = write_begin(&text, &length);

	write_service(out, print, settings, 0);
	fclose(out);
	return text;
}

char *
config_value_text(const struct setting *setting, const void *object, write_value *print)
{
	size_t length;
	char *text;
	FILE *out = write_begin(&text, &length);

	print(setting, object, out);
	fclose(out);
	return text;
}
