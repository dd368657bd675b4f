#include "config/config_check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/secret.h"
#include "client/metrics_listener.h"
#include "client/peer.h"
#include "config/values.h"

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define MYSQL_PORT      3306
#define OWN_FILES       64 /* of the daemon besides the services' */
#define UNBOUNDED_CLIENTS 4096u /* that are reckoned with where max_clients = 0 */

/* Servers that dislike connections that say nothing, by the ports of their protocols. */
static const struct {
	unsigned port;
	const char *what;
} silent_ports[] = {
	{ 22, "SSH" },
	{ 25, "SMTP" },
	{ MYSQL_PORT, "MySQL" },
	{ 5672, "AMQP" },
};

static bool
config_has_dots(const char *path)
{
	for (const char *part = path; part != NULL; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

static void
config_check_socket_path(struct draft *draft, const struct draft_place *place, const char *setting, const char *path)
{
	size_t length = strlen(path);

	if (strcmp(path, "@") == 0)
		draft_error(draft, place, setting, "an abstract socket needs a name behind the @");
	else if (length > SOCKET_PATH_MAX)
		draft_error(draft, place, setting, "the socket's path is %zu bytes long, %zu is the most: %s", length,
		    SOCKET_PATH_MAX, path);
	else if (*path == '/' && config_has_dots(path))
		draft_error(draft, place, setting, "the socket's path must not hold \"..\": %s", path);
	else if (*path == '/' && path[length - 1] == '/')
		draft_error(draft, place, setting, "the socket's path names a directory: %s", path);
}

static void
config_check_socket_twice(struct draft *draft, size_t number)
{
	const struct draft_service *service = draft->services[number];
	const struct draft_place *place = draft_service_place(service, "listen.path");
	const char *path = service->settings->listener.path;

	if (strcmp(path, draft->config->control.listener.path) == 0)
		draft_error(draft, place, "listen.path", "%s is the control socket", path);
	for (size_t i = 0; i < number; i++)
		if (strcmp(path, draft->services[i]->settings->listener.path) == 0) {
			draft_error(draft, place, "listen.path", "%s is the socket of service %s (%s:%u)", path,
			    draft->services[i]->settings->name, draft->services[i]->place.file,
			    draft->services[i]->place.line);
			return;
		}
}

/* The other sockets are looked at whole before. */
static void
config_check_metrics(struct draft *draft)
{
	const struct draft_place *place = &draft->top[settings_index(&settings_top, "metrics.listen")];
	const char *listen = draft->config->metrics_listen, *wrong;

	if (listen == NULL)
		return;
	if ((wrong = metrics_listener_check(listen)) != NULL)
		draft_error(draft, place, "metrics.listen", "\"%s\": %s", listen, wrong);
	else if (strncmp(listen, "unix:", 5) == 0 && strcmp(listen + 5, draft->config->control.listener.path) == 0)
		draft_error(draft, place, "metrics.listen", "%s is the control socket", listen);
	for (size_t i = 0; strncmp(listen, "unix:", 5) == 0 && i < draft->service_count; i++)
		if (strcmp(listen + 5, draft->services[i]->settings->listener.path) == 0)
			draft_error(draft, place, "metrics.listen", "%s is the socket of service %s (%s:%u)", listen,
			    draft->services[i]->settings->name, draft->services[i]->place.file,
			    draft->services[i]->place.line);
}

static void
config_check_sockets(struct draft *draft)
{
	const struct draft_place *place = &draft->top[settings_index(&settings_top, "control.path")];
	struct draft_place nowhere = { draft->source_count > 0 ? draft->sources[0]->name : "", "", 1 };

	config_check_socket_path(draft, place->line > 0 ? place : &nowhere, "control.path",
	    draft->config->control.listener.path);
	for (size_t i = 0; i < draft->service_count; i++) {
		config_check_socket_path(draft, draft_service_place(draft->services[i], "listen.path"), "listen.path",
		    draft->services[i]->settings->listener.path);
		config_check_socket_twice(draft, i);
	}
}

static void
config_check_program(struct draft *draft, const struct draft_service *service, const char *setting, const char *path)
{
	const struct draft_place *place = draft_service_place(service, setting);
	struct stat status;

	if (path == NULL)
		return;
	if (stat(path, &status) == -1)
		draft_error(draft, place, setting, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		draft_error(draft, place, setting, "%s: is not a regular file", path);
	else if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == -1)
		draft_error(draft, place, setting, "%s: is not executable", path);
}

/* Directories below the runtime directory are made; another one must be there.  An abstract socket has no
 * permissions. */
static void
config_check_socket_place(struct draft *draft, const struct draft_service *service)
{
	const struct draft_place *place = draft_service_place(service, "listen.path");
	const struct service_settings *settings = service->settings;
	const char *path = settings->listener.path, *runtime = draft->config->runtime_directory;
	size_t length = strlen(runtime);
	char *directory;

	if (path[0] == '@' && settings->clients.allow_users == NULL && settings->clients.allow_groups == NULL)
		draft_warning(draft, place, "listen.path", "%s: an abstract socket has no mode and no owner: "
		    "everybody may connect unless allow_users or allow_groups say who", path);
	if (path[0] == '@' || (strncmp(path, runtime, length) == 0 && path[length] == '/'))
		return;
	directory = mem_copy_bytes(path, (size_t)(strrchr(path, '/') - path));
	if (access(directory[0] == '\0' ? "/" : directory, F_OK) == -1)
		draft_momentary(draft, place, "listen.path", "%s: directory %s: %s", path, directory,
		    strerror(errno));
	mem_free(directory);
}

static void
config_check_catalog(struct draft *draft, const struct draft_service *service, const char *path)
{
	/* With an error elsewhere the built-in catalog may stand for a source that was misspelt. */
	if (path != NULL && draft->errors->count == 0 && access(path, R_OK) == -1)
		draft_warning(draft, draft_service_place(service, "lookup.catalog"), "lookup.catalog",
		    "%s: %s; the service stays down until it is there", path, strerror(errno));
}

/* Only what systemd started is given credentials: whoever tests the file by hand cannot see them.  A file is read for
 * each connection. */
static void
config_check_hello(struct draft *draft, const struct draft_service *service)
{
	const struct hello_settings *hello = &service->settings->upstream.hello;
	const struct draft_place *place = draft_service_place(service, "hello");
	bool blind = draft->test && getenv("CREDENTIALS_DIRECTORY") == NULL;
	char *wrong, *text;
	size_t length = 0;

	for (size_t i = 0; i < hello->count; i++) {
		const char *name = hello->steps[i].send_file;

		if (name == NULL)
			continue;
		text = NULL;
		wrong = hello_load(name, &text, &length);
		hello_forget(&text, length);
		if (wrong == NULL)
			continue;
		if (blind && *name != '/')
			draft_warning(draft, place, "hello", "%s", wrong);
		else
			draft_momentary(draft, place, "hello", "%s; attempts fail until it is there", wrong);
		mem_free(wrong);
	}
}

/* The path stands in a request as it is. */
static void
config_check_probe(struct draft *draft, const struct draft_service *service)
{
	const struct probe_settings *probe = &service->settings->upstream.dial.probe;
	const char *path = probe->path;
	bool wrong = path[0] != '/';

	for (size_t i = 0; path[i] != '\0'; i++)
		wrong = wrong || path[i] <= ' ' || path[i] == 0x7f;
	if (wrong)
		draft_error(draft, draft_service_place(service, "probe_path"), "probe_path",
		    "\"%s\": must begin with / and be without spaces, in ASCII (others as %%XX)", path);
	if (probe->kind == PROBE_MYSQL && service->settings->mode == SERVICE_SHARED)
		draft_error(draft, draft_service_place(service, "probe"), "probe", "\"mysql\" leaves the greeting to "
		    "the client, which in shared mode there is none for");
}

static bool
config_user_exists(const char *name)
{
	struct passwd user, *found = NULL;
	char buffer[16384];

	return values_parse_id(name) >= 0 || (getpwnam_r(name, &user, buffer, sizeof buffer, &found) == 0 &&
	    found != NULL);
}

static bool
config_group_exists(const char *name)
{
	struct group group, *found = NULL;
	char buffer[16384];

	return values_parse_id(name) >= 0 || (getgrnam_r(name, &group, buffer, sizeof buffer, &found) == 0 &&
	    found != NULL);
}

/* A directory service may not answer at this moment; until it does nobody is let in by the name. */
static void
config_check_names(struct draft *draft, const struct draft_place *place, const char *setting, char *const *names,
    bool groups)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		if (groups ? !config_group_exists(names[i]) : !config_user_exists(names[i]))
			draft_momentary(draft, place, setting, "there is no %s \"%s\" now; it is asked for again at "
			    "a %s", groups ? "group" : "user", names[i],
			    strcmp(setting, "lookup.owners") == 0 ? "restart" : "reload");
}

static void
config_check_service_files(struct draft *draft, const struct draft_service *service)
{
	const struct service_settings *settings = service->settings;

	config_check_socket_place(draft, service);
	config_check_program(draft, service, "lookup.script", settings->upstream.lookup.script);
	config_check_program(draft, service, "on_event", settings->upstream.on_event);
	config_check_program(draft, service, "notify", settings->upstream.notify);
	config_check_catalog(draft, service, settings->upstream.lookup.catalog);
	config_check_hello(draft, service);
	config_check_names(draft, draft_service_place(service, "listen.allow_users"), "listen.allow_users",
	    settings->clients.allow_users, false);
	config_check_names(draft, draft_service_place(service, "listen.allow_groups"), "listen.allow_groups",
	    settings->clients.allow_groups, true);
	config_check_names(draft, draft_service_place(service, "lookup.owners"), "lookup.owners",
	    settings->upstream.lookup.owners, false);
}

static void
config_check_files(struct draft *draft)
{
	const struct config_control *control = &draft->config->control;

	config_check_names(draft, &draft->top[settings_index(&settings_top, "control.admin_users")],
	    "control.admin_users", control->admin_users, false);
	config_check_names(draft, &draft->top[settings_index(&settings_top, "control.admin_groups")],
	    "control.admin_groups", control->admin_groups, true);
	for (size_t i = 0; i < draft->service_count; i++)
		config_check_service_files(draft, draft->services[i]);
}

/* What -T has shown in a secret's place is given back. */
static void
config_check_hidden(struct draft *draft, const struct draft_service *service, const char *setting, char *const *list)
{
	char *const *names = service->settings->upstream.lookup.secrets;
	bool arguments = strcmp(setting, "lookup.args") == 0;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (secret_is_hidden(list[i], arguments && i > 0 ? list[i - 1] : NULL, names))
			draft_error(draft, draft_service_place(service, setting), setting, "\"%s\": \""
			    SECRET_HIDDEN "\" is what is shown in a secret's place: write the secret itself",
			    list[i]);
}

static unsigned
config_port_of(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon != NULL && strncmp(text, "unix:", 5) != 0 ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

/* By itself none is kept ready for such a server; but MySQL counts even the connection that an attempt makes. */
static void
config_hint_warm(struct draft *draft, const struct draft_service *service)
{
	char *const *addresses = service->settings->upstream.lookup.addresses;
	unsigned warm = service->settings->upstream.pconn.warm, port = addresses == NULL ? 0 :
	    config_port_of(addresses[0]);

	if (warm == UPSTREAM_WARM_AUTO && port == MYSQL_PORT &&
	    service->settings->upstream.dial.probe.kind == PROBE_NONE)
		draft_warning(draft, draft_service_place(service, "address"), "address",
		    "port %u is MySQL's, which counts each attempt's connection as broken off: "
		    "probe = \"mysql\" suits it", port);
	if (warm == UPSTREAM_WARM_AUTO || warm == 0)
		return;
	for (size_t i = 0; i < sizeof silent_ports / sizeof silent_ports[0]; i++)
		if (port == silent_ports[i].port)
			draft_warning(draft, draft_service_place(service, "warm"), "warm",
			    "port %u is %s's, whose servers end connections that say nothing, or block "
			    "the host: remove warm", silent_ports[i].port, silent_ports[i].what);
}

/* Whom the kernel does not keep cannot connect while accepting pauses: connect() blocks or says EAGAIN. */
static void
config_hint_backlog(struct draft *draft, const struct draft_service *service)
{
	FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
	int most;

	if (file == NULL)
		return;
	if (fscanf(file, "%d", &most) == 1 && service->settings->listener.backlog > most)
		draft_warning(draft, draft_service_place(service, "listen.backlog"), "listen.backlog",
		    "the kernel keeps at most %d clients (net.core.somaxconn), not %d", most,
		    service->settings->listener.backlog);
	fclose(file);
}

/* How many files a service may need: one for its listener; for a session two, a held one one; in shared mode one for
 * a client, one for the connection, one for each standby. */
static unsigned
config_check_files_of(const struct service_settings *settings)
{
	const struct upstream_settings *upstream = &settings->upstream;
	unsigned warm = upstream->pconn.warm == UPSTREAM_WARM_AUTO ? 1 : upstream->pconn.warm;
	unsigned clients = settings->clients.max_clients == 0 ? UNBOUNDED_CLIENTS : settings->clients.max_clients;

	if (settings->mode == SERVICE_SHARED)
		return clients + 1 + upstream->standby + 1;
	return 2 * clients + settings->clients.max_held + warm + 1;
}

static void
config_hint_open_files(struct draft *draft)
{
	struct rlimit limit;
	uint64_t needed = OWN_FILES;

	for (size_t i = 0; i < draft->service_count; i++)
		needed += config_check_files_of(draft->services[i]->settings);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY && needed > limit.rlim_max)
		config_warning(draft->errors, "%s: max_clients and max_held of all services need %llu file "
		    "descriptors; the hard limit here, of whoever runs -t, is %llu (ulimit -Hn); the unit has its "
		    "own: LimitNOFILE=", draft->sources[0]->name, (unsigned long long)needed,
		    (unsigned long long)limit.rlim_max);
}

/* Many servers behind a Unix socket go by the user at its other end. */
static void
config_hint_peer(struct draft *draft, const struct draft_service *service)
{
	const struct service_settings *settings = service->settings;
	char *const *addresses = settings->upstream.lookup.addresses;

	if (settings->clients.allow_users != NULL || settings->clients.allow_groups != NULL ||
	    (settings->listener.path[0] != '@' && (settings->listener.mode & S_IWOTH) == 0))
		return;
	for (; addresses != NULL && *addresses != NULL; addresses++)
		if (strncmp(*addresses, "unix:", 5) == 0) {
			draft_warning(draft, draft_service_place(service, "address"), "address",
			    "%s: the server sees each client as the daemon's user, and every local user may connect: "
			    "listen.allow_users, allow_groups or a narrower mode say who", *addresses);
			return;
		}
}

static void
config_hint_names(struct draft *draft, const struct draft_place *place, const char *setting, char *const *names,
    bool groups)
{
	for (; names != NULL && *names != NULL; names++)
		if (peer_name_is_unknown(*names, groups))
			draft_warning(draft, place, setting, "\"%s\" lets nobody in: its number is also shown of "
			    "users of other user namespaces that have none here", *names);
}

static void
config_hint_service(struct draft *draft, const struct draft_service *service)
{
	config_hint_warm(draft, service);
	config_hint_backlog(draft, service);
	config_hint_peer(draft, service);
	config_hint_names(draft, draft_service_place(service, "listen.allow_users"), "listen.allow_users",
	    service->settings->clients.allow_users, false);
	config_hint_names(draft, draft_service_place(service, "listen.allow_groups"), "listen.allow_groups",
	    service->settings->clients.allow_groups, true);
}

static void
config_hint(struct draft *draft)
{
	const struct config_control *control = &draft->config->control;

	for (size_t i = 0; i < draft->service_count; i++)
		config_hint_service(draft, draft->services[i]);
	config_hint_names(draft, &draft->top[settings_index(&settings_top, "control.admin_users")],
	    "control.admin_users", control->admin_users, false);
	config_hint_names(draft, &draft->top[settings_index(&settings_top, "control.admin_groups")],
	    "control.admin_groups", control->admin_groups, true);
	config_hint_open_files(draft);
}

static void
config_check_service(struct draft *draft, const struct draft_service *service)
{
	const struct lookup_settings *lookup = &service->settings->upstream.lookup;

	config_check_shared(draft, service);
	config_check_probe(draft, service);
	config_check_hidden(draft, service, "lookup.args", lookup->arguments);
	config_check_hidden(draft, service, "lookup.environment", lookup->environment);
}

/* Whether a path is that of a socket that will be ours. */
static bool
config_is_own_socket(const struct draft *draft, const char *path)
{
	if (strcmp(path, draft->config->control.listener.path) == 0)
		return true;
	for (size_t i = 0; i < draft->service_count; i++)
		if (strcmp(path, draft->services[i]->settings->listener.path) == 0)
			return true;
	return false;
}

/* Seen here as far as the files tell; a script's and a catalog's addresses are looked at when they are dialled. */
static void
config_check_loop(struct draft *draft, const struct draft_service *service)
{
	char *const *addresses = service->settings->upstream.lookup.addresses;
	bool several = addresses != NULL && addresses[0] != NULL && addresses[1] != NULL;
	const char *name = several ? "addresses" : "address";

	for (; addresses != NULL && *addresses != NULL; addresses++)
		if (strncmp(*addresses, "unix:", 5) == 0 && config_is_own_socket(draft, *addresses + 5))
			draft_error(draft, draft_service_place(service, name), name,
			    "%s is one of this daemon's own sockets: a loop", *addresses);
}

void
config_check(struct draft *draft)
{
	config_check_sockets(draft);
	config_check_metrics(draft);
	for (size_t i = 0; i < draft->service_count; i++)
		config_check_service(draft, draft->services[i]);
	for (size_t i = 0; i < draft->service_count && !draft->text_only; i++)
		config_check_loop(draft, draft->services[i]);
	if (draft->service_count == 0 && !draft->text_only)
		config_warning(draft->errors, "%s: no services", draft->sources[0]->name);
	if (!draft->text_only)
		config_check_files(draft);
	if (draft->test) {
		config_hint(draft);
		config_try(draft);
	}
}
