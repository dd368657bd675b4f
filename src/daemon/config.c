#include "daemon/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "daemon/config_check.h"
#include "daemon/draft.h"
#include "daemon/settings.h"
#include "daemon/source.h"

#define CONTROL_BACKLOG 128

/* Errors --------------------------------------------------------------------------------------------- */

static bool
is_known(char *const *lines, size_t count, const char *line)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(lines[i], line) == 0)
			return true;
	return false;
}

/* Adds a line that is not there yet: what is wrong in defaults is found again in each service. */
static void
add_line(char ***lines, size_t *count, size_t *further, char *line)
{
	bool known = is_known(*lines, *count, line);

	if (known || *count == CONFIG_ERRORS_MAX) {
		*further += !known;
		mem_free(line);
		return;
	}
	*lines = mem_resize(*lines, *count + 2, sizeof **lines);
	(*lines)[(*count)++] = line;
	(*lines)[*count] = NULL;
}

void
config_error(struct config_errors *errors, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(&errors->errors, &errors->count, &errors->further, mem_vprint(format, args));
	va_end(args);
}

void
config_warning(struct config_errors *errors, const char *format, ...)
{
	size_t further = 0;
	va_list args;

	va_start(args, format);
	add_line(&errors->warnings, &errors->warning_count, &further, mem_vprint(format, args));
	va_end(args);
}

char *
config_errors_text(const struct config_errors *errors)
{
	char *text = mem_copy_text(""), *longer;

	for (size_t i = 0; i < errors->count; i++) {
		longer = mem_print("%s%s\n", text, errors->errors[i]);
		mem_free(text);
		text = longer;
	}
	if (errors->further == 0)
		return text;
	longer = mem_print("%sand %zu further errors\n", text, errors->further);
	mem_free(text);
	return longer;
}

void
config_errors_clear(struct config_errors *errors)
{
	mem_list_free(errors->errors);
	mem_list_free(errors->warnings);
	*errors = (struct config_errors) { 0 };
}

/* Further files -------------------------------------------------------------------------------------- */

static int
is_further(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return *entry->d_name != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The include_directory, relative to the main file's; to be freed. */
static char *
further_directory(const struct config *config, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (*config->include_directory == '/')
		return mem_copy_text(config->include_directory);
	return mem_print("%.*s%s", slash == NULL ? 0 : (int)(slash - path + 1), path, config->include_directory);
}

static void
read_further(struct draft *draft, const char *directory, struct dirent **entries, int count)
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
read_directory(struct draft *draft, const char *path)
{
	const struct draft_place *named = &draft->top[settings_index(&settings_top, "include_directory")];
	struct dirent **entries = NULL;
	char *directory;
	int count;

	if (draft->config->include_directory == NULL)
		return;
	directory = further_directory(draft->config, path);
	count = scandir(directory, &entries, is_further, by_name);
	if (count > CONFIG_FILES_MAX)
		config_error(draft->errors, "%s: holds %d files, %d is the most", directory, count, CONFIG_FILES_MAX);
	else if (count >= 0)
		read_further(draft, directory, entries, count);
	else if (named->line > 0)
		draft_error(draft, named, "include_directory", "%s: %s", directory, strerror(errno));
	else if (errno != ENOENT)
		config_error(draft->errors, "%s: %s", directory, strerror(errno));
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	mem_free(directory);
}

/* The whole ------------------------------------------------------------------------------------------ */

static void
begin(struct draft *draft, struct config_errors *errors)
{
	*draft = (struct draft) { .config = mem_new(1, sizeof *draft->config), .errors = errors };
	settings_defaults(&settings_top, draft->config);
	settings_defaults(&settings_service, &draft->defaults);
	draft->config->control.listener.backlog = CONTROL_BACKLOG;
}

/* What does not fit into the table cannot outlive a worker. */
static void
check_size(struct draft *draft)
{
	char *text = config_dump(draft->config);

	if (strlen(text) > TABLE_CONFIG_MAX)
		config_error(draft->errors, "%s: the whole configuration is larger than %u MiB",
		    draft->sources[0]->name, TABLE_CONFIG_MAX >> 20);
	mem_free(text);
}

static struct config *
end(struct draft *draft)
{
	struct config *config = NULL;

	if (draft->source_count > 0) {
		draft_complete(draft);
		config_check(draft);
	}
	if (draft->source_count > 0 && draft->errors->count == 0)
		check_size(draft);
	if (draft->errors->count == 0) {
		config = draft->config;
		draft->config = NULL;
	}
	draft_clear(draft);
	return config;
}

struct config *
config_load(const char *path, const struct config_options *options, struct config_errors *ret_errors)
{
	struct draft draft;
	struct source *source;

	begin(&draft, ret_errors);
	draft.test = options != NULL && options->test;
	if ((source = source_read(path, ret_errors)) != NULL)
		draft_take_main(&draft, source);
	if (source != NULL)
		read_directory(&draft, path);
	return end(&draft);
}

struct config *
config_parse_text(const char *text, size_t length, const char *name, struct config_errors *ret_errors)
{
	struct draft draft;
	struct source *source;

	begin(&draft, ret_errors);
	draft.text_only = true;
	if ((source = source_parse(text, length, name, ret_errors)) != NULL)
		draft_take_main(&draft, source);
	return end(&draft);
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
