#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "config/config_check.h"
#include "config/draft.h"
#include "config/settings.h"
#include "config/source.h"
#include "keep/table.h"

#define CONTROL_BACKLOG 4096

static int
config_is_further(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return *entry->d_name != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int
config_by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The include_directory, relative to the main file's; to be freed. */
static char *
config_further_directory(const struct config *config, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (*config->include_directory == '/')
		return mem_copy_text(config->include_directory);
	return mem_print("%.*s%s", slash == NULL ? 0 : (int)(slash - path + 1), path, config->include_directory);
}

static void
config_read_further(struct draft *draft, const char *directory, struct dirent **entries, int count)
{
	for (int i = 0; i < count; i++) {
		char *path = mem_print("%s/%s", directory, entries[i]->d_name);
		struct source *source = source_read(path, draft->errors);

		if (source != NULL)
			draft_take_further(draft, source);
		mem_free(path);
	}
}

/* Only a directory that the file names must be there. */
static void
config_read_directory(struct draft *draft, const char *path)
{
	const struct draft_place *named = &draft->top[settings_index(&settings_top, "include_directory")];
	struct dirent **entries = NULL;
	char *directory;
	int count;

	if (draft->config->include_directory == NULL)
		return;
	directory = config_further_directory(draft->config, path);
	count = scandir(directory, &entries, config_is_further, config_by_name);
	if (count > CONFIG_FILES_MAX)
		config_error(draft->errors, "%s: holds %d files, %d is the most", directory, count, CONFIG_FILES_MAX);
	else if (count >= 0)
		config_read_further(draft, directory, entries, count);
	else if (named->line > 0)
		draft_error(draft, named, "include_directory", "%s: %s", directory, strerror(errno));
	else if (errno != ENOENT)
		config_error(draft->errors, "%s: %s", directory, strerror(errno));
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	mem_free(directory);
}

static void
config_begin(struct draft *draft, struct config_errors *errors)
{
	*draft = (struct draft) { .config = mem_new(1, sizeof *draft->config), .errors = errors };
	settings_defaults(&settings_top, draft->config);
	settings_defaults(&settings_service, &draft->defaults);
	draft->config->control.listener.backlog = CONTROL_BACKLOG;
}

/* What does not fit into the table cannot outlive a worker. */
static void
config_check_size(struct draft *draft)
{
	char *text = config_dump(draft->config);

	if (strlen(text) > TABLE_CONFIG_MAX)
		config_error(draft->errors, "%s: the whole configuration is larger than %u MiB",
		    draft->sources[0]->name, TABLE_CONFIG_MAX >> 20);
	mem_free(text);
}

static struct config *
config_end(struct draft *draft)
{
	struct config *config = NULL;

	if (draft->source_count > 0) {
		draft_complete(draft);
		config_check(draft);
	}
	if (draft->source_count > 0 && draft->errors->count == 0)
		config_check_size(draft);
	if (draft->errors->count == 0) {
		config = draft->config;
		draft->config = NULL;
	}
	config_free(draft->config);
	draft_clear(draft);
	return config;
}

struct config *
config_load(const char *path, bool test, struct config_errors *ret_errors)
{
	struct draft draft;
	struct source *source;

	config_begin(&draft, ret_errors);
	draft.test = test;
	if ((source = source_read(path, ret_errors)) != NULL)
		draft_take_main(&draft, source);
	if (source != NULL)
		config_read_directory(&draft, path);
	return config_end(&draft);
}

struct config *
config_parse_text(const char *text, size_t length, const char *name, struct config_errors *ret_errors)
{
	struct draft draft;
	struct source *source;

	config_begin(&draft, ret_errors);
	draft.text_only = true;
	if ((source = source_parse(text, length, name, ret_errors)) != NULL)
		draft_take_main(&draft, source);
	return config_end(&draft);
}

struct config *
config_in_force(const struct table *table, struct config_errors *ret_errors)
{
	size_t length;
	char *text = table_config_copy(table, &length);
	struct config *config = config_parse_text(text, length, "the configuration in force", ret_errors);

	mem_free(text);
	return config;
}

static void
config_number(char **name, enum names_kind kind)
{
	uint32_t id;

	if (*name == NULL || !names_ask(kind, *name, &id))
		return;
	mem_free(*name);
	*name = mem_print("%u", id);
}

static void
config_number_list(char **names, enum names_kind kind)
{
	for (; names != NULL && *names != NULL; names++)
		config_number(names, kind);
}

void
config_number_names(struct config *config)
{
	config_number(&config->control.listener.owner, NAMES_USER);
	config_number(&config->control.listener.group, NAMES_GROUP);
	config_number_list(config->control.admin_users, NAMES_USER);
	config_number_list(config->control.admin_groups, NAMES_GROUP);
	for (size_t i = 0; i < config->service_count; i++) {
		struct service_settings *settings = config->services[i];

		config_number(&settings->listener.owner, NAMES_USER);
		config_number(&settings->listener.group, NAMES_GROUP);
		config_number_list(settings->clients.allow_users, NAMES_USER);
		config_number_list(settings->clients.allow_groups, NAMES_GROUP);
		config_number_list(settings->upstream.lookup.owners, NAMES_USER);
	}
}

const struct service_settings *
config_find_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (config->services[i] != NULL && strcmp(config->services[i]->name, name) == 0)
			return config->services[i];
	return NULL;
}

struct service_settings *
config_take_service(struct config *config, size_t i)
{
	struct service_settings *settings = config->services[i];

	config->services[i] = NULL;
	return settings;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->service_count; i++) {
		if (config->services[i] != NULL)
			service_settings_clear(config->services[i]);
		mem_free(config->services[i]);
	}
	mem_free(config->services);
	settings_clear(&settings_top, config);
	mem_free(config);
}
