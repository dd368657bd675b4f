#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "config/setting_types.h"
#include "config/settings.h"

typedef void config_printer(const struct setting *setting, const void *object, FILE *out);

static void
config_dump_indent(FILE *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		fputc('\t', out);
}

bool
config_is_written(const struct setting *setting, const struct service_settings *service)
{
	const struct lookup_settings *lookup = service == NULL ? NULL : &service->upstream.lookup;
	bool several = lookup != NULL && mem_list_length(lookup->addresses) > 1;

	if (lookup == NULL)
		return true;
	if (strcmp(setting->name, "name") == 0)
		return strchr(service->name, '.') != NULL; /* else it is the group's */
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
config_dump_change_group(FILE *out, unsigned depth, const char *name, char group[SETTINGS_NAME_SIZE])
{
	char next[SETTINGS_NAME_SIZE] = "";

	if (strchr(name, '.') != NULL)
		snprintf(next, sizeof next, "%.*s", (int)strcspn(name, "."), name);
	if (strcmp(next, group) == 0)
		return;
	if (*group != '\0') {
		config_dump_indent(out, depth);
		fputs("};\n", out);
	}
	if (*next != '\0') {
		config_dump_indent(out, depth);
		fprintf(out, "%s:\n", next);
		config_dump_indent(out, depth);
		fputs("{\n", out);
	}
	strcpy(group, next);
}

static void
config_dump_rows(FILE *out, config_printer *print, const struct settings *settings, const void *object,
    const struct service_settings *service, unsigned depth)
{
	char group[SETTINGS_NAME_SIZE] = "";

	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		const char *dot = strchr(row->name, '.');

		if (!config_is_written(row, service))
			continue;
		config_dump_change_group(out, depth, row->name, group);
		config_dump_indent(out, depth + (dot != NULL));
		fprintf(out, "%s = ", dot != NULL ? dot + 1 : row->name);
		print(row, object, out);
		fputs(";\n", out);
	}
	config_dump_change_group(out, depth, "", group);
}

/* The name as a group can have it.  An asterisk is in no service's name, so that this is no other's. */
static void
config_dump_name(FILE *out, const char *name)
{
	for (; *name != '\0'; name++)
		fputc(*name == '.' ? '*' : *name, out);
	fputs(":\n", out);
}

static void
config_dump_service(FILE *out, config_printer *print, const struct service_settings *service, unsigned depth)
{
	config_dump_indent(out, depth);
	config_dump_name(out, service->name);
	config_dump_indent(out, depth);
	fputs("{\n", out);
	config_dump_rows(out, print, &settings_service, service, service, depth + 1);
	config_dump_indent(out, depth);
	fputs("};\n", out);
}

/* A stream into memory; open_memstream fails only without memory. */
static FILE *
config_dump_open(char **text, size_t *length)
{
	FILE *out = open_memstream(text, length);

	if (out == NULL)
		abort();
	return out;
}

static char *
config_dump_by(config_printer *print, const struct config *config)
{
	struct config top = *config;
	char *text = NULL;
	size_t length;
	FILE *out = config_dump_open(&text, &length);

	fputs("# The effective configuration of holdfastd: every default is filled in.\n", out);
	top.include_directory = NULL; /* its services are here */
	config_dump_rows(out, print, &settings_top, &top, NULL, 0);
	fputs("services:\n{\n", out);
	for (size_t i = 0; i < config->service_count; i++)
		if (config->services[i] != NULL)
			config_dump_service(out, print, config->services[i], 1);
	fputs("};\n", out);
	fclose(out);
	return text;
}

static char *
config_dump_settings_by(config_printer *print, const struct service_settings *settings)
{
	char *text = NULL;
	size_t length;
	FILE *out = config_dump_open(&text, &length);

	config_dump_service(out, print, settings, 0);
	fclose(out);
	return text;
}

char *
config_dump(const struct config *config)
{
	return config_dump_by(setting_print, config);
}

char *
config_show(const struct config *config)
{
	return config_dump_by(setting_show, config);
}

char *
config_dump_settings(const struct service_settings *settings)
{
	return config_dump_settings_by(setting_print, settings);
}

char *
config_show_settings(const struct service_settings *settings)
{
	return config_dump_settings_by(setting_show, settings);
}
