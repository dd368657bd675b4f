#include "config/draft.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/setting_types.h"
#include "config/values.h"

/* One group of a file being taken into an object. */
struct taking {
	struct draft *draft;             /* borrowed */
	const struct settings *settings; /* borrowed */
	const char *file;                /* borrowed */
	const char *section;             /* borrowed */
	void *object;                    /* borrowed; what is filled */
	struct draft_place *named;       /* borrowed; by number of row */
};

/* "FILE:LINE: SECTION.SETTING: what is wrong", to be freed. */
static char *
draft_line(const struct draft_place *place, const char *setting, const char *format, va_list args)
{
	char *wrong = mem_vprint(format, args);
	char *line = mem_print("%s:%u: %s%s%s: %s", place->file, place->line, place->section,
	    *place->section != '\0' && setting != NULL ? "." : "", setting != NULL ? setting : "", wrong);

	mem_free(wrong);
	return line;
}

/* Adds the line by config_error() or config_warning(). */
static void
draft_say(struct draft *draft, void (*say)(struct config_errors *errors, const char *format, ...), char *line)
{
	say(draft->errors, "%s", line);
	mem_free(line);
}

void
draft_error(struct draft *draft, const struct draft_place *place, const char *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	draft_say(draft, config_error, draft_line(place, setting, format, args));
	va_end(args);
}

void
draft_failure(struct draft *draft, const struct draft_place *place, const char *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	draft_say(draft, config_failure, draft_line(place, setting, format, args));
	va_end(args);
}

void
draft_warning(struct draft *draft, const struct draft_place *place, const char *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	draft_say(draft, config_warning, draft_line(place, setting, format, args));
	va_end(args);
}

void
draft_momentary(struct draft *draft, const struct draft_place *place, const char *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	draft_say(draft, draft->test ? config_failure : config_warning, draft_line(place, setting, format, args));
	va_end(args);
}

const struct draft_place *
draft_service_place(const struct draft_service *service, const char *setting)
{
	const struct draft_place *place = &service->named[settings_index(&settings_service, setting)];

	return place->line > 0 ? place : &service->place;
}

static struct draft_place
draft_place_of(const struct taking *taking, const config_setting_t *value)
{
	return (struct draft_place) { taking->file, taking->section, config_setting_source_line(value) };
}

static void
draft_unknown(const struct taking *taking, const config_setting_t *value, const char *group, const char *full)
{
	struct draft_place place = draft_place_of(taking, value);
	char nearest[SETTINGS_NAME_SIZE];
	bool top = taking->settings == &settings_top;

	if (top && (settings_find(&settings_service, full) != NULL || settings_is_group(&settings_service, full)))
		draft_error(taking->draft, &place, full, "unknown setting here; did you mean \"defaults.%s\"?", full);
	else if (settings_nearest(taking->settings, group, config_setting_name(value), nearest))
		draft_error(taking->draft, &place, full, "unknown setting; did you mean \"%s\"?", nearest);
	else
		draft_error(taking->draft, &place, full, "unknown setting");
}

static void
draft_take_row(const struct taking *taking, const struct setting *row, const config_setting_t *value)
{
	struct draft_place place = draft_place_of(taking, value);
	char *error = setting_take(row, value, taking->object);

	if (error != NULL)
		place.line = config_setting_source_line(setting_find_wrong(row, value));
	if (error != NULL)
		draft_error(taking->draft, &place, row->name, "%s", error);
	else
		taking->named[row - taking->settings->rows] = place;
	mem_free(error);
}

static bool
draft_is_section(const struct settings *settings, const char *name)
{
	for (size_t i = 0; settings->sections[i] != NULL; i++)
		if (strcmp(settings->sections[i], name) == 0)
			return true;
	return false;
}

static void
draft_take_group(const struct taking *taking, const config_setting_t *from, const char *group)
{
	for (int i = 0; i < config_setting_length(from); i++) {
		const config_setting_t *value = config_setting_get_elem(from, (unsigned)i);
		const char *name = config_setting_name(value);
		char *full = mem_print("%s%s%s", group, *group != '\0' ? "." : "", name);
		const struct setting *row = settings_find(taking->settings, full);
		struct draft_place place = draft_place_of(taking, value);

		if (row != NULL)
			draft_take_row(taking, row, value);
		else if (*group == '\0' && draft_is_section(taking->settings, name))
			; /* taken elsewhere */
		else if (*group != '\0' || !settings_is_group(taking->settings, name))
			draft_unknown(taking, value, group, full);
		else if (!config_setting_is_group(value))
			draft_error(taking->draft, &place, name, "must be a group: %s: { ... };", name);
		else
			draft_take_group(taking, value, name);
		mem_free(full);
	}
}

/* How many sources of addresses the group itself names; *ret_last is the number of the last one's row. */
static unsigned
draft_count_sources(const struct lookup_settings *lookup, const struct draft_place *named, size_t *ret_last)
{
	static const char *const names[] = { "address", "addresses", "lookup.script", "lookup.catalog" };
	bool set[] = { lookup->addresses != NULL, lookup->addresses != NULL, lookup->script != NULL,
		lookup->catalog != NULL };
	unsigned count = 0;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (set[i] && named[settings_index(&settings_service, names[i])].line > 0) {
			*ret_last = settings_index(&settings_service, names[i]);
			count++;
		}
	return count;
}

/* Takes a group of service settings.  A source that it names puts all inherited ones aside. */
static void
draft_take_service_group(const struct taking *taking, const config_setting_t *group)
{
	struct service_settings *settings = taking->object;
	struct lookup_settings *lookup = &settings->upstream.lookup, inherited = *lookup;
	struct draft_place own[SETTINGS_MAX] = { 0 };
	struct taking inner = *taking;
	unsigned sources;
	size_t last = 0;

	lookup->addresses = NULL;
	lookup->script = NULL;
	lookup->catalog = NULL;
	inner.named = own;
	draft_take_group(&inner, group, "");
	sources = draft_count_sources(lookup, own, &last);
	if (sources > 1)
		draft_error(taking->draft, &own[last], settings_service.rows[last].name,
		    "only one of address, addresses, lookup.script and lookup.catalog may be named");
	if (sources == 0) {
		lookup->addresses = inherited.addresses;
		lookup->script = inherited.script;
		lookup->catalog = inherited.catalog;
	} else {
		mem_list_free(inherited.addresses);
		mem_free(inherited.script);
		mem_free(inherited.catalog);
	}
	for (size_t i = 0; i < settings_service.count; i++)
		if (own[i].line > 0)
			taking->named[i] = own[i];
}

/* A name in the setting of that name may have dots. */
static const char *
draft_name_error(const char *name, bool dots)
{
	size_t length = strlen(name);

	if (length >= TABLE_NAME_SIZE)
		return "a service's name has at most 64 letters";
	if (!isalpha((unsigned char)*name))
		return "a service's name begins with a letter";
	for (size_t i = 1; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-' && (name[i] != '.' || !dots))
			return dots ? "a service's name is made of letters, digits, \"_\", \"-\" and \".\""
			    : "a service's name is made of letters, digits, \"_\" and \"-\"";
	return NULL;
}

static const struct draft_service *
draft_find_service(const struct draft *draft, const char *name)
{
	for (size_t i = 0; i < draft->service_count; i++)
		if (strcmp(draft->services[i]->settings->name, name) == 0)
			return draft->services[i];
	return NULL;
}

static void
draft_add_service(struct draft *draft, const struct source *source, const config_setting_t *group, const char *name)
{
	struct draft_service *service = mem_new(1, sizeof *service);
	struct config *config = draft->config;
	struct taking taking = { draft, &settings_service, source->name, NULL, NULL, service->named };

	service->settings = mem_new(1, sizeof *service->settings);
	service->section = mem_print("services.%s", config_setting_name(group));
	service->place = (struct draft_place) { source->name, service->section, config_setting_source_line(group) };
	settings_copy(&settings_service, service->settings, &draft->defaults);
	memcpy(service->named, draft->defaults_named, sizeof service->named);
	config->services = mem_resize(config->services, config->service_count + 1, sizeof *config->services);
	draft->services = mem_resize(draft->services, draft->service_count + 1, sizeof(struct draft_service *));
	config->services[config->service_count++] = service->settings;
	draft->services[draft->service_count++] = service;
	taking.section = service->section;
	taking.object = service->settings;
	draft_take_service_group(&taking, group);
	mem_free(service->settings->name);
	service->settings->name = mem_copy_text(name);
}

/* The service's name: the group's, or that of its setting "name", which is *ret_own then. */
static const char *
draft_find_name(const config_setting_t *group, const config_setting_t **ret_own)
{
	const char *name = NULL;

	*ret_own = config_setting_is_group(group) ? config_setting_get_member(group, "name") : NULL;
	if (*ret_own != NULL)
		name = config_setting_get_string(*ret_own);
	if (name != NULL && *name != '\0')
		return name;
	*ret_own = NULL;
	return config_setting_name(group);
}

static void
draft_take_service(struct draft *draft, const struct source *source, const config_setting_t *group)
{
	const config_setting_t *own;
	const char *name = draft_find_name(group, &own), *wrong = draft_name_error(name, own != NULL);
	struct draft_place place = { source->name, "services",
		config_setting_source_line(own != NULL ? own : group) };
	const struct draft_service *other = draft_find_service(draft, name);
	char *setting = mem_print("%s%s", config_setting_name(group), own != NULL ? ".name" : "");

	if (wrong != NULL)
		draft_error(draft, &place, setting, "%s", wrong);
	else if (other != NULL)
		draft_error(draft, &place, setting, "there is a service of this name at %s:%u", other->place.file,
		    other->place.line);
	else if (!config_setting_is_group(group))
		draft_error(draft, &place, name, "must be a group: %s: { ... };", name);
	else if (draft->service_count == CONFIG_SERVICES_MAX)
		draft_error(draft, &place, name, "more than %u services", CONFIG_SERVICES_MAX);
	else
		draft_add_service(draft, source, group, name);
	mem_free(setting);
}

static void
draft_take_services(struct draft *draft, const struct source *source)
{
	config_setting_t *services = config_lookup(&source->tree, "services");
	struct draft_place place = { source->name, "", services == NULL ? 0 : config_setting_source_line(services) };

	if (services == NULL)
		return;
	if (!config_setting_is_group(services)) {
		draft_error(draft, &place, "services", "must be a group: services: { NAME: { ... }; };");
		return;
	}
	for (int i = 0; i < config_setting_length(services); i++)
		draft_take_service(draft, source, config_setting_get_elem(services, (unsigned)i));
}

static void
draft_keep_source(struct draft *draft, struct source *source)
{
	draft->sources = mem_resize(draft->sources, draft->source_count + 1, sizeof(struct source *));
	draft->sources[draft->source_count++] = source;
}

void
draft_take_main(struct draft *draft, struct source *source)
{
	struct taking top = { draft, &settings_top, source->name, "", draft->config, draft->top };
	struct taking defaults = { draft, &settings_service, source->name, "defaults", &draft->defaults,
		draft->defaults_named };
	config_setting_t *group = config_lookup(&source->tree, "defaults");
	struct draft_place place = { source->name, "", group == NULL ? 0 : config_setting_source_line(group) };

	draft_keep_source(draft, source);
	draft_take_group(&top, config_root_setting(&source->tree), "");
	if (group != NULL && config_setting_is_group(group))
		draft_take_service_group(&defaults, group);
	else if (group != NULL)
		draft_error(draft, &place, "defaults", "must be a group: defaults: { ... };");
	if (draft->defaults.name != NULL)
		draft_error(draft, &draft->defaults_named[settings_index(&settings_service, "name")], "name",
		    "is for one service, not for all");
	draft_take_services(draft, source);
}

void
draft_take_further(struct draft *draft, struct source *source)
{
	const config_setting_t *root = config_root_setting(&source->tree);
	struct taking top = { draft, &settings_top, source->name, "", NULL, NULL };

	draft_keep_source(draft, source);
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *value = config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(value);
		struct draft_place place = draft_place_of(&top, value);

		if (strcmp(name, "services") == 0)
			continue;
		if (draft_is_section(&settings_top, name) || settings_is_group(&settings_top, name) ||
		    settings_find(&settings_top, name) != NULL)
			draft_error(draft, &place, name, "stands in the main file only");
		else
			draft_unknown(&top, value, "", name);
	}
	draft_take_services(draft, source);
}

/* Makes the path of a socket absolute and clean; NULL stands for the service's own name. */
static void
draft_complete_path(const struct config *config, char **path, const char *name)
{
	char *complete;

	if (name != NULL)
		complete = mem_print("%s/%s.sock", config->runtime_directory, name);
	else if (*path == NULL || **path == '@')
		return;
	else if (**path == '/')
		complete = mem_copy_text(*path);
	else
		complete = mem_print("%s/%s", config->runtime_directory, *path);
	values_clean_path(complete);
	mem_free(*path);
	*path = complete;
}

static bool
draft_is_named(const struct draft_service *service, const char *setting)
{
	return service->named[settings_index(&settings_service, setting)].line > 0;
}

/* Named by the service itself, not by defaults. */
bool
draft_is_own(const struct draft *draft, const struct draft_service *service, const char *setting)
{
	size_t i = settings_index(&settings_service, setting);
	const struct draft_place *own = &service->named[i], *common = &draft->defaults_named[i];

	return own->line > 0 && (own->line != common->line || own->file != common->file);
}

static void
draft_complete_service(struct draft *draft, struct draft_service *service)
{
	struct service_settings *settings = service->settings;
	struct upstream_settings *upstream = &settings->upstream;

	draft_complete_path(draft->config, &settings->listener.path,
	    draft_is_named(service, "listen.path") ? NULL : settings->name);
	if (!draft_is_named(service, "pick"))
		upstream->endpoints.pick = upstream->lookup.catalog == NULL ? ENDPOINTS_ORDERED : ENDPOINTS_AUTO;
	if (!draft_is_named(service, "hold_retry") && upstream->lookup.script != NULL)
		upstream->pconn.hold_retry = CLOCK_SECOND;
	upstream->shared = settings->mode == SERVICE_SHARED;
	if (!upstream->shared && !draft_is_own(draft, service, "listen.type"))
		settings->listener.type = LISTENER_STREAM; /* defaults are for services of both modes */
	settings->shared.type = settings->listener.type;
	upstream->hello.whole_replies = upstream->shared && settings->shared.framing == FRAMING_RESP;
	if (settings->listener.type == LISTENER_DGRAM && !draft_is_named(service, "replies"))
		settings->shared.replies = SHARED_NONE;
	if (!draft_is_named(service, "abort_on_close") && upstream->shared && settings->shared.replies == SHARED_NONE)
		settings->clients.abort_on_close = false;
}

/* systemd may give several, separated by colons. */
static char *
draft_default_runtime_directory(void)
{
	const char *given = getenv("RUNTIME_DIRECTORY"), *own = getenv("XDG_RUNTIME_DIR");

	if (given != NULL && *given == '/')
		return mem_copy_bytes(given, strcspn(given, ":"));
	if (geteuid() != 0 && own != NULL && *own == '/')
		return mem_print("%s/holdfast", own);
	return NULL;
}

void
draft_complete(struct draft *draft)
{
	struct config *config = draft->config;
	char *directory = draft_default_runtime_directory();
	size_t length;

	if (draft->top[settings_index(&settings_top, "runtime_directory")].line == 0 && directory != NULL) {
		mem_free(config->runtime_directory);
		config->runtime_directory = directory;
	} else {
		mem_free(directory);
	}
	values_clean_path(config->runtime_directory);
	length = strlen(config->runtime_directory);
	while (length > 1 && config->runtime_directory[length - 1] == '/')
		config->runtime_directory[--length] = '\0';
	draft_complete_path(config, &config->control.listener.path, NULL);
	for (size_t i = 0; i < draft->service_count; i++)
		draft_complete_service(draft, draft->services[i]);
}

void
draft_clear(struct draft *draft)
{
	for (size_t i = 0; i < draft->service_count; i++) {
		mem_free(draft->services[i]->section);
		mem_free(draft->services[i]);
	}
	mem_free(draft->services);
	for (size_t i = 0; i < draft->source_count; i++)
		source_free(draft->sources[i]);
	mem_free(draft->sources);
	settings_clear(&settings_service, &draft->defaults);
}
