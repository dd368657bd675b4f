#include "config/read.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tcp_listen.h"
#include "config/syntax.h"
#include "config/write.h"

#define CONTROL_BACKLOG 4096

/* One group of a file being taken into an object. */
struct taking {
	struct reader *reader;           /* borrowed */
	const struct settings *settings; /* borrowed */
	const char *file;                /* borrowed */
	const char *section;             /* borrowed */
	void *object;                    /* borrowed; what is filled */
	struct read_place *named;        /* borrowed; by number of row */
};

/* What is wrong in defaults is found again in each service, and told once. */
void
config_tell(struct config_errors *errors, enum read_severity severity, char *line)
{
	bool warning = severity == READ_WARNING;
	char ***lines = warning ? &errors->warnings : &errors->errors;
	size_t *count = warning ? &errors->warning_count : &errors->count;
	bool known = false;

	for (size_t i = 0; i < *count && !known; i++)
		known = strcmp((*lines)[i], line) == 0;
	if (!known && *count < CONFIG_ERRORS_MAX) {
		*lines = mem_resize(*lines, *count + 2, sizeof **lines);
		(*lines)[(*count)++] = line;
		(*lines)[*count] = NULL;
	} else {
		errors->further += !known && !warning;
		mem_free(line);
	}
	errors->failures += !known && severity == READ_FAILURE;
}

void
config_errors_clear(struct config_errors *errors)
{
	mem_list_free(errors->errors);
	mem_list_free(errors->warnings);
	*errors = (struct config_errors) { 0 };
}

/* Takes the text wrong over. */
static void
reader_add(struct reader *reader, enum read_severity severity, const struct read_place *place, const char *setting,
    char *wrong)
{
	if (severity == READ_MOMENTARY)
		severity = reader->test ? READ_FAILURE : READ_WARNING;
	config_tell(reader->errors, severity, mem_print("%s:%u: %s%s%s: %s", place->file, place->line, place->section,
	    *place->section != '\0' ? "." : "", setting, wrong));
	mem_free(wrong);
}

#define reader_error(reader, place, setting, ...) \
	reader_add(reader, READ_ERROR, place, setting, mem_print(__VA_ARGS__))

void
reader_tell(struct reader *reader, enum read_severity severity, const struct read_service *service,
    const char *setting, char *wrong)
{
	const struct read_place *place = service == NULL ? &reader->top[settings_index(&settings_top, setting)]
	    : &service->named[settings_index(&settings_service, setting)];
	struct read_place first = { reader->files[0], "", 1 };

	if (place->line == 0)
		place = service == NULL ? &first : &service->place;
	reader_add(reader, severity, place, setting, wrong);
}

static struct read_place
reader_place_of(const struct taking *taking, const config_setting_t *value)
{
	return (struct read_place) { taking->file, taking->section, config_setting_source_line(value) };
}

static void
reader_unknown(const struct taking *taking, const config_setting_t *value, const char *group, const char *full)
{
	struct read_place place = reader_place_of(taking, value);
	char nearest[SETTINGS_NAME_SIZE];
	bool top = taking->settings == &settings_top;

	if (top && (settings_find(&settings_service, full) != NULL || settings_is_group(&settings_service, full)))
		reader_error(taking->reader, &place, full, "unknown setting here; did you mean \"defaults.%s\"?",
		    full);
	else if (settings_nearest(taking->settings, group, config_setting_name(value), nearest))
		reader_error(taking->reader, &place, full, "unknown setting; did you mean \"%s\"?", nearest);
	else
		reader_error(taking->reader, &place, full, "unknown setting");
}

/* Where the first listener that names a setting does so. */
static void
reader_note_listeners(const struct taking *taking, const config_setting_t *list)
{
	for (int n = config_setting_length(list); n-- > 0;) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned)n);

		for (int i = 0; config_setting_is_group(group) && i < config_setting_length(group); i++) {
			const config_setting_t *value = config_setting_get_elem(group, (unsigned)i);
			char *full = mem_print("listen.%s", config_setting_name(value));

			taking->named[settings_index(taking->settings, full)] = reader_place_of(taking, value);
			mem_free(full);
		}
	}
}

static void
reader_take_row(const struct taking *taking, const struct setting *row, const config_setting_t *value)
{
	struct read_place place = reader_place_of(taking, value);
	const config_setting_t *where;
	char *error = setting_take(row, value, taking->object, &where);

	if (error == NULL) {
		taking->named[row - taking->settings->rows] = place;
		if (row->type == SETTING_LISTENERS)
			reader_note_listeners(taking, value);
		return;
	}
	place.line = config_setting_source_line(where);
	reader_add(taking->reader, READ_ERROR, &place, row->name, error);
}

static bool
reader_is_section(const struct settings *settings, const char *name)
{
	for (size_t i = 0; settings->sections[i] != NULL; i++)
		if (strcmp(settings->sections[i], name) == 0)
			return true;
	return false;
}

static void
reader_take_group(const struct taking *taking, const config_setting_t *from, const char *group)
{
	for (int i = 0; i < config_setting_length(from); i++) {
		const config_setting_t *value = config_setting_get_elem(from, (unsigned)i);
		const char *name = config_setting_name(value);
		char *full = mem_print("%s%s%s", group, *group != '\0' ? "." : "", name);
		const struct setting *row = settings_find(taking->settings, full);
		struct read_place place = reader_place_of(taking, value);

		if (row != NULL && (row->type != SETTING_LISTENERS || !config_setting_is_group(value)))
			reader_take_row(taking, row, value);
		else if (*group == '\0' && reader_is_section(taking->settings, name))
			; /* taken elsewhere */
		else if (*group != '\0' || !settings_is_group(taking->settings, name))
			reader_unknown(taking, value, group, full);
		else if (!config_setting_is_group(value))
			reader_error(taking->reader, &place, name, "must be a group: %s: { ... };", name);
		else
			reader_take_group(taking, value, name);
		mem_free(full);
	}
}

/* How many sources of addresses the group itself names; *ret_last is the number of the last one's row. */
static unsigned
reader_count_sources(const struct lookup_settings *lookup, const struct read_place *named, size_t *ret_last)
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
reader_take_service_group(const struct taking *taking, const config_setting_t *group)
{
	struct service_settings *settings = taking->object;
	struct lookup_settings *lookup = &settings->upstream.lookup, inherited = *lookup;
	struct read_place own[SETTINGS_MAX] = { 0 };
	struct taking inner = *taking;
	unsigned sources;
	size_t last = 0;

	lookup->addresses = NULL;
	lookup->script = NULL;
	lookup->catalog = NULL;
	inner.named = own;
	reader_take_group(&inner, group, "");
	if (config_setting_get_member(group, "tls") != NULL &&
	    own[settings_index(&settings_service, "tls.enabled")].line == 0)
		settings->upstream.dial.tls.enabled = true;
	sources = reader_count_sources(lookup, own, &last);
	if (sources > 1)
		reader_error(taking->reader, &own[last], settings_service.rows[last].name,
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
reader_name_error(const char *name, bool dots)
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

static void
reader_add_service(struct reader *reader, const char *file, const config_setting_t *group, const char *name)
{
	struct read_service *service = mem_new(1, sizeof *service);
	struct config *config = reader->config;
	struct taking taking = { reader, &settings_service, file, NULL, NULL, service->named };

	service->settings = mem_new(1, sizeof *service->settings);
	service->section = mem_print("services.%s", config_setting_name(group));
	service->place = (struct read_place) { file, service->section, config_setting_source_line(group) };
	settings_copy(&settings_service, service->settings, &reader->defaults);
	memcpy(service->named, reader->defaults_named, sizeof service->named);
	config->services = mem_resize(config->services, config->service_count + 1, sizeof *config->services);
	reader->services = mem_resize(reader->services, reader->service_count + 1, sizeof(struct read_service *));
	config->services[config->service_count++] = service->settings;
	reader->services[reader->service_count++] = service;
	taking.section = service->section;
	taking.object = service->settings;
	reader_take_service_group(&taking, group);
	mem_free(service->settings->name);
	service->settings->name = mem_copy_text(name);
}

/* The service's name: the group's, or that of its setting "name", which is *ret_own then. */
static const char *
reader_find_name(const config_setting_t *group, const config_setting_t **ret_own)
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
reader_take_service(struct reader *reader, const char *file, const config_setting_t *group)
{
	const config_setting_t *own;
	const char *name = reader_find_name(group, &own), *wrong = reader_name_error(name, own != NULL);
	struct read_place place = { file, "services", config_setting_source_line(own != NULL ? own : group) };
	const struct read_service *other = NULL;
	char *setting = mem_print("%s%s", config_setting_name(group), own != NULL ? ".name" : "");

	for (size_t i = 0; i < reader->service_count; i++)
		if (strcmp(reader->services[i]->settings->name, name) == 0)
			other = reader->services[i];
	if (wrong != NULL)
		reader_error(reader, &place, setting, "%s", wrong);
	else if (other != NULL)
		reader_error(reader, &place, setting, "there is a service of this name at %s:%u", other->place.file,
		    other->place.line);
	else if (!config_setting_is_group(group))
		reader_error(reader, &place, name, "must be a group: %s: { ... };", name);
	else if (reader->service_count == CONFIG_SERVICES_MAX)
		reader_error(reader, &place, name, "more than %u services", CONFIG_SERVICES_MAX);
	else
		reader_add_service(reader, file, group, name);
	mem_free(setting);
}

/* The group of this name in a file; NULL if there is none, or it is something else, which is told. */
static config_setting_t *
reader_find_group(struct reader *reader, const char *file, const config_setting_t *root, const char *name,
    const char *inside)
{
	config_setting_t *group = config_setting_get_member(root, name);
	struct read_place place = { file, "", group == NULL ? 0 : config_setting_source_line(group) };

	if (group == NULL || config_setting_is_group(group))
		return group;
	reader_error(reader, &place, name, "must be a group: %s: { %s };", name, inside);
	return NULL;
}

static void
reader_take_services(struct reader *reader, const char *file, const config_setting_t *root)
{
	config_setting_t *services = reader_find_group(reader, file, root, "services", "NAME: { ... };");

	for (int i = 0; services != NULL && i < config_setting_length(services); i++)
		reader_take_service(reader, file, config_setting_get_elem(services, (unsigned)i));
}

static void
reader_take_main(struct reader *reader, const char *file, const config_setting_t *root)
{
	struct taking top = { reader, &settings_top, file, "", reader->config, reader->top };
	struct taking defaults = { reader, &settings_service, file, "defaults", &reader->defaults,
		reader->defaults_named };
	static const char *const own[] = { "name", "listen" };
	config_setting_t *group;

	reader_take_group(&top, root, "");
	if ((group = reader_find_group(reader, file, root, "defaults", "...")) != NULL)
		reader_take_service_group(&defaults, group);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (reader->defaults_named[settings_index(&settings_service, own[i])].line > 0)
			reader_error(reader, &reader->defaults_named[settings_index(&settings_service, own[i])],
			    own[i], i == 0 ? "is for one service, not for all" : "a list is for one service, not for "
			    "all; a group with what all listeners have is");
	reader_take_services(reader, file, root);
}

static void
reader_take_further(struct reader *reader, const char *file, const config_setting_t *root)
{
	struct taking top = { reader, &settings_top, file, "", NULL, NULL };

	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *value = config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(value);
		struct read_place place = reader_place_of(&top, value);

		if (strcmp(name, "services") == 0)
			continue;
		if (reader_is_section(&settings_top, name) || settings_is_group(&settings_top, name) ||
		    settings_find(&settings_top, name) != NULL)
			reader_error(reader, &place, name, "stands in the main file only");
		else
			reader_unknown(&top, value, "", name);
	}
	reader_take_services(reader, file, root);
}

/* Takes a text that syntax_check() lets through, or that we wrote ourselves: the main file's, or another's. */
static void
reader_take_text(struct reader *reader, const char *name, const char *text)
{
	size_t count = mem_list_length(reader->files);
	config_t tree;

	config_init(&tree);
	if (config_read_string(&tree, text) != CONFIG_TRUE) {
		config_error(reader->errors, "%s:%d: %s", name, config_error_line(&tree), config_error_text(&tree));
	} else {
		mem_list_add(&reader->files, name);
		(count == 0 ? reader_take_main : reader_take_further)(reader, reader->files[count],
		    config_root_setting(&tree));
	}
	config_destroy(&tree);
}

/* Reads a regular file, and ends its last line.  NULL or what is wrong, a static text. */
static const char *
reader_get_text(const char *path, char text[READ_FILE_MAX + 2], size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "r");
	const char *wrong = NULL;
	struct stat status;

	if (file == NULL || fstat(fd, &status) == -1)
		wrong = strerror(errno);
	else if (!S_ISREG(status.st_mode))
		wrong = S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file";
	else if ((*ret_length = fread(text, 1, READ_FILE_MAX + 1, file)) > READ_FILE_MAX)
		wrong = "is larger than 1 MiB";
	else if (ferror(file))
		wrong = strerror(errno);
	else if (*ret_length > 0 && text[*ret_length - 1] != '\n')
		text[*ret_length] = '\n'; /* not counted */
	if (file != NULL)
		fclose(file);
	return wrong;
}

static void
reader_take_file(struct reader *reader, const char *path)
{
	char *text = mem_new(READ_FILE_MAX + 2, 1), *error = NULL;
	size_t length = 0;
	const char *wrong = reader_get_text(path, text, &length);
	unsigned line;

	if (wrong != NULL)
		config_error(reader->errors, "%s: %s", path, wrong);
	else if ((error = syntax_check(text, length, &line)) != NULL)
		config_error(reader->errors, "%s:%u: %s", path, line, error);
	else
		reader_take_text(reader, path, text);
	mem_free(error);
	mem_free(text);
}

static int
reader_is_further(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return *entry->d_name != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* Takes the files of include_directory, which is relative to the main file's.  Only a directory that the file names
 * must be there. */
static void
reader_take_directory(struct reader *reader, const char *path)
{
	bool named = reader->top[settings_index(&settings_top, "include_directory")].line > 0;
	const char *written = reader->config->include_directory, *slash = strrchr(path, '/');
	struct dirent **entries = NULL;
	char *directory, *file;
	int count;

	if (written == NULL)
		return;
	directory = mem_print("%.*s%s", *written == '/' || slash == NULL ? 0 : (int)(slash - path + 1), path,
	    written);
	count = scandir(directory, &entries, reader_is_further, alphasort);
	if (count > READ_FILES_MAX)
		config_error(reader->errors, "%s: has %d files, %d is the most", directory, count, READ_FILES_MAX);
	else if (count == -1 && named)
		reader_say(reader, READ_ERROR, NULL, "include_directory", "%s: %s", directory, strerror(errno));
	else if (count == -1 && errno != ENOENT)
		config_error(reader->errors, "%s: %s", directory, strerror(errno));
	for (int i = 0; i < count; i++) {
		file = mem_print("%s/%s", directory, entries[i]->d_name);
		if (count <= READ_FILES_MAX)
			reader_take_file(reader, file);
		mem_free(file);
		free(entries[i]);
	}
	free(entries);
	mem_free(directory);
}

void
config_clean_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0'; from++) {
		if (*from == '/' && from[1] == '/')
			continue;
		if (*from == '/' && from[1] == '.' && from[2] == '/')
			from++;
		else
			*to++ = *from;
	}
	*to = '\0';
}

static void
reader_set_path(char **path, char *new)
{
	mem_free(*path);
	*path = new;
}

/* Makes the path of a socket absolute and clean; a name stands for the service's own. */
static void
reader_complete_path(const struct config *config, char **path, const char *name)
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
	config_clean_path(complete);
	reader_set_path(path, complete);
}

static bool
reader_is_named(const struct read_service *service, const char *setting)
{
	return service->named[settings_index(&settings_service, setting)].line > 0;
}

bool
reader_is_own(const struct reader *reader, const struct read_service *service, const char *setting)
{
	size_t i = settings_index(&settings_service, setting);
	const struct read_place *own = &service->named[i], *common = &reader->defaults_named[i];

	return own->line > 0 && (own->line != common->line || own->file != common->file);
}

/* An address is no path; one that is wrong stays as it is.  In a list who names no path has none. */
static void
reader_complete_listener(const struct config *config, const struct read_service *service, unsigned k)
{
	struct listeners_settings *listeners = &service->settings->listeners;
	char **path = &listeners->at[k].path, name[ADDRESS_TEXT_SIZE];

	listeners->at[k].beside = listeners->count > 1;
	if (*path == NULL || (!reader_is_named(service, "listen.path") && !reader_is_named(service, "listen")))
		reader_complete_path(config, path, service->settings->name);
	else if (!tcp_listen_is_meant(*path))
		reader_complete_path(config, path, NULL);
	else if (tcp_listen_parse(*path, name) == NULL)
		reader_set_path(path, mem_copy_text(name));
}

static void
reader_complete_listeners(const struct reader *reader, const struct read_service *service)
{
	struct service_settings *settings = service->settings;
	bool typed = settings->mode == SERVICE_SHARED || reader_is_own(reader, service, "listen.type");

	for (unsigned k = 0; k < settings->listeners.count; k++) {
		reader_complete_listener(reader->config, service, k);
		if (!typed) /* defaults are for services of both modes */
			settings->listeners.at[k].type = LISTENER_STREAM;
	}
	settings->shared.type = settings->listeners.at[0].type;
}

/* The server's name is its host's, where the settings name one alone. */
static void
reader_complete_tls(const struct config *config, struct upstream_settings *upstream)
{
	struct tls_settings *tls = &upstream->dial.tls;
	char *const *texts = upstream->lookup.addresses;
	struct address first, other;

	reader_complete_path(config, &tls->socket, NULL);
	tls->by_host = upstream->lookup.catalog == NULL; /* whose files have names of their own */
	if (!tls->enabled || tls->name != NULL || texts == NULL || *texts == NULL ||
	    address_parse(*texts, &first) != NULL || first.kind != ADDRESS_HOST)
		return;
	while (*++texts != NULL)
		if (address_parse(*texts, &other) != NULL || other.kind != ADDRESS_HOST ||
		    strcmp(other.host, first.host) != 0)
			return;
	tls->name = mem_copy_text(first.host);
}

/* What depends on more than one setting: the socket's name, defaults that follow the kind of source and the mode. */
static void
reader_complete_service(struct reader *reader, struct read_service *service)
{
	struct service_settings *settings = service->settings;
	struct upstream_settings *upstream = &settings->upstream;

	reader_complete_listeners(reader, service);
	reader_complete_tls(reader->config, upstream);
	if (!reader_is_named(service, "pick"))
		upstream->endpoints.pick = upstream->lookup.catalog == NULL ? ENDPOINTS_ORDERED : ENDPOINTS_AUTO;
	if (!reader_is_named(service, "hold_retry") && upstream->lookup.script != NULL)
		upstream->pconn.hold_retry = CLOCK_SECOND;
	upstream->shared = settings->mode == SERVICE_SHARED;
	upstream->hello.whole_replies = upstream->shared && settings->shared.framing == FRAMING_RESP;
	if (settings->shared.type == LISTENER_DGRAM && !reader_is_named(service, "replies"))
		settings->shared.replies = SHARED_NONE;
	if (upstream->shared && settings->shared.replies == SHARED_NONE &&
	    !reader_is_named(service, "abort_on_close"))
		settings->clients.abort_on_close = false;
}

/* systemd may give several, separated by colons. */
static char *
reader_runtime_directory(void)
{
	const char *given = getenv("RUNTIME_DIRECTORY"), *own = getenv("XDG_RUNTIME_DIR");

	if (given != NULL && *given == '/')
		return mem_copy_bytes(given, strcspn(given, ":"));
	if (geteuid() != 0 && own != NULL && *own == '/')
		return mem_print("%s/holdfast", own);
	return NULL;
}

static void
reader_complete(struct reader *reader)
{
	struct config *config = reader->config;
	bool named = reader->top[settings_index(&settings_top, "runtime_directory")].line > 0;
	char *directory = named ? NULL : reader_runtime_directory();
	size_t length;

	if (directory != NULL) {
		mem_free(config->runtime_directory);
		config->runtime_directory = directory;
	}
	config_clean_path(config->runtime_directory);
	length = strlen(config->runtime_directory);
	while (length > 1 && config->runtime_directory[length - 1] == '/')
		config->runtime_directory[--length] = '\0';
	reader_complete_path(config, &config->control.listener.path, NULL);
	for (size_t i = 0; i < reader->service_count; i++)
		reader_complete_service(reader, reader->services[i]);
}

static void
reader_begin(struct reader *reader)
{
	settings_defaults(&settings_top, reader->config);
	settings_defaults(&settings_service, &reader->defaults);
	reader->config->control.listener.backlog = CONTROL_BACKLOG;
}

bool
reader_read(struct reader *reader, const char *path)
{
	reader_begin(reader);
	reader_take_file(reader, path);
	if (reader->files == NULL)
		return false;
	reader_take_directory(reader, path);
	reader_complete(reader);
	return true;
}

bool
reader_read_bit(struct reader *reader, const char **at, const char *name)
{
	bool first = reader->files == NULL;
	const char *end = strstr(*at, first ? WRITE_SERVICES : WRITE_SERVICE_END);
	char *piece;

	if (first)
		reader_begin(reader);
	if (end == NULL && !first)
		return false; /* all are taken */
	end = end == NULL ? *at + strlen(*at) : end + strlen(first ? WRITE_SERVICES : WRITE_SERVICE_END);
	piece = mem_print("%s%.*s%s", first ? "" : WRITE_SERVICES, (int)(end - *at), *at,
	    first && *end == '\0' ? "" : WRITE_SERVICES_END);
	reader_take_text(reader, name, piece);
	mem_free(piece);
	*at = end;
	return reader->errors->count == 0 && *end != '\0';
}

bool
reader_end_text(struct reader *reader)
{
	if (reader->files == NULL)
		return false;
	reader_complete(reader);
	return true;
}

void
reader_clear(struct reader *reader)
{
	for (size_t i = 0; i < reader->service_count; i++) {
		mem_free(reader->services[i]->section);
		mem_free(reader->services[i]);
	}
	mem_free(reader->services);
	mem_list_free(reader->files);
	settings_clear(&settings_service, &reader->defaults);
}
