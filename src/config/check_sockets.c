#include "config/check_sockets.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tcp_listen.h"
#include "client/metrics_listener.h"

static bool
check_has_dots(const char *path)
{
	for (const char *part = path; part != NULL; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

static void
check_socket_path(struct reader *reader, const struct read_service *service, const char *setting, const char *path)
{
	size_t length = strlen(path);

	if (strcmp(path, "@") == 0)
		reader_say(reader, READ_ERROR, service, setting, "an abstract socket needs a name behind the @");
	else if (length > CHECK_SOCKETS_PATH_MAX)
		reader_say(reader, READ_ERROR, service, setting, "the socket's path is %zu bytes long, %zu is the "
		    "most: %s", length, CHECK_SOCKETS_PATH_MAX, path);
	else if (*path == '/' && check_has_dots(path))
		reader_say(reader, READ_ERROR, service, setting, "the socket's path must not hold \"..\": %s", path);
	else if (*path == '/' && path[length - 1] == '/')
		reader_say(reader, READ_ERROR, service, setting, "the socket's path names a directory: %s", path);
}

static bool
check_is_control(const struct reader *reader, const char *path)
{
	return strcmp(path, reader->config->control.listener.path) == 0;
}

/* Whether both are the same place, as far as texts tell. */
static bool
check_is_same_place(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || tcp_listen_meets(a, b);
}

/* Whether one of the service's first listeners, so many, is at this path. */
static bool
check_has_socket(const struct read_service *service, const char *path, unsigned count)
{
	for (unsigned k = 0; k < count; k++)
		if (check_is_same_place(path, service->settings->listeners.at[k].path))
			return true;
	return false;
}

/* The first of so many services that has the socket at this path; NULL if none. */
static const struct read_service *
check_find_socket(const struct reader *reader, const char *path, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (check_has_socket(reader->services[i], path, reader->services[i]->settings->listeners.count))
			return reader->services[i];
	return NULL;
}

/* What is wrong with one of several stands where their list begins. */
const char *
check_sockets_setting(const struct listener_settings *listener, const char *name)
{
	return listener->beside ? "listen" : name;
}

/* Whether the control socket, or one of so many services, is at this path.  shown is how the setting has it. */
static void
check_socket_twice(struct reader *reader, const struct read_service *service, const char *setting, const char *path,
    const char *shown, size_t count)
{
	const struct read_service *other = check_find_socket(reader, path, count);

	if (check_is_control(reader, path))
		reader_say(reader, READ_ERROR, service, setting, "%s is the control socket", shown);
	if (other != NULL)
		reader_say(reader, READ_ERROR, service, setting, "%s is the socket of service %s (%s:%u)", shown,
		    other->settings->name, other->place.file, other->place.line);
}

/* What no TCP client can be asked for, since the kernel does not tell who it is. */
static void
check_tcp_clients(struct reader *reader, const struct read_service *service, const struct listener_settings *listener)
{
	const struct {
		bool wrong;
		const char *setting;
	} rules[] = {
		{ listener->allow_users != NULL, "listen.allow_users" },
		{ listener->allow_groups != NULL, "listen.allow_groups" },
		{ service->settings->clients.max_clients_per_user > 0, "max_clients_per_user" },
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].wrong)
			reader_say(reader, READ_ERROR, service, rules[i].setting, "cannot be kept with listen.path = "
			    "\"%s\": the kernel does not tell who a TCP client is; use a Unix socket, or leave it "
			    "out", listener->path);
}

/* Of a path that is meant for an address. */
static void
check_tcp(struct reader *reader, const struct read_service *service, const struct listener_settings *listener)
{
	char name[ADDRESS_TEXT_SIZE];
	const char *wrong = tcp_listen_parse(listener->path, name);
	const char *setting = check_sockets_setting(listener, "listen.path");

	if (wrong != NULL) {
		reader_say(reader, READ_ERROR, service, setting, "\"%s\": %s (of a file with a colon: "
		    "\"./%s\")", listener->path, wrong, listener->path);
		return;
	}
	if (listener->type != LISTENER_STREAM)
		reader_say(reader, READ_ERROR, service, "listen.type", "TCP (listen.path = \"%s\") has no packets: "
		    "say \"stream\"", listener->path);
	if (tcp_listen_is_public(listener->path) && !listener->public)
		reader_say(reader, READ_ERROR, service, setting, "%s: other hosts could reach it; write "
		    "127.0.0.1:PORT, [::1]:PORT or localhost:PORT, or say listen.public = true", listener->path);
	else if (tcp_listen_is_public(listener->path) && !reader->text_only)
		reader_say(reader, READ_WARNING, service, "listen.public", "%s: whoever reaches this address may "
		    "connect, without a password of ours and without encryption", listener->path);
	check_tcp_clients(reader, service, listener);
}

static void
check_metrics_socket(struct reader *reader)
{
	const char *listen = reader->config->metrics_listen, *wrong;

	if (listen == NULL)
		return;
	if ((wrong = metrics_listener_check(listen)) != NULL)
		reader_say(reader, READ_ERROR, NULL, "metrics.listen", "\"%s\": %s", listen, wrong);
	else
		check_socket_twice(reader, NULL, "metrics.listen", strncmp(listen, "unix:", 5) == 0 ? listen + 5 :
		    listen, listen, reader->service_count);
}

/* Listener number k of service number i. */
static void
check_listener(struct reader *reader, size_t i, unsigned k)
{
	const struct read_service *service = reader->services[i];
	const struct listener_settings *first = service->settings->listeners.at, *listener = &first[k];
	const char *setting = check_sockets_setting(listener, "listen.path"), *path = listener->path;

	if (tcp_listen_is_meant(path))
		check_tcp(reader, service, listener);
	else
		check_socket_path(reader, service, setting, path);
	check_socket_twice(reader, service, setting, path, path, i);
	if (check_has_socket(service, path, k))
		reader_say(reader, READ_ERROR, service, setting, "%s is there twice: each listener needs a path of "
		    "its own", path);
	if (listener->type != first->type)
		reader_say(reader, READ_ERROR, service, "listen.type", "%s: all listeners of a service have the same "
		    "type", path);
	else if (k > 0 && listener->type == LISTENER_DGRAM)
		reader_say(reader, READ_ERROR, service, "listen.type", "\"dgram\" is for a service with one "
		    "listener");
}

void
check_sockets(struct reader *reader)
{
	check_socket_path(reader, NULL, "control.path", reader->config->control.listener.path);
	for (size_t i = 0; i < reader->service_count; i++)
		for (unsigned k = 0; k < reader->services[i]->settings->listeners.count; k++)
			check_listener(reader, i, k);
	check_metrics_socket(reader);
}

static bool
check_leads_to(const struct read_service *service, const char *address)
{
	const struct listeners_settings *listeners = &service->settings->listeners;

	for (unsigned k = 0; k < listeners->count; k++)
		if (tcp_listen_leads_to(address, listeners->at[k].path))
			return true;
	return false;
}

static bool
check_is_ours(const struct reader *reader, const char *address)
{
	if (strncmp(address, "unix:", 5) == 0)
		return check_is_control(reader, address + 5) ||
		    check_find_socket(reader, address + 5, reader->service_count) != NULL;
	for (size_t i = 0; i < reader->service_count; i++)
		if (check_leads_to(reader->services[i], address))
			return true;
	return false;
}

void
check_sockets_loop(struct reader *reader, const struct read_service *service)
{
	char *const *addresses = service->settings->upstream.lookup.addresses;
	const char *name = mem_list_length(addresses) > 1 ? "addresses" : "address";

	for (; addresses != NULL && *addresses != NULL; addresses++)
		if (check_is_ours(reader, *addresses))
			reader_say(reader, READ_ERROR, service, name, "%s is one of this daemon's own sockets: a "
			    "loop", *addresses);
}

/* Directories below the runtime directory are made; another one must be there.  An abstract socket has no
 * permissions. */
static void
check_place(struct reader *reader, const struct read_service *service, const struct listener_settings *listener)
{
	const char *path = listener->path, *runtime = reader->config->runtime_directory;
	const char *setting = check_sockets_setting(listener, "listen.path");
	size_t length = strlen(runtime);
	char *directory;

	if (path[0] == '@' && listener->allow_users == NULL && listener->allow_groups == NULL)
		reader_say(reader, READ_WARNING, service, setting, "%s: an abstract socket has no mode and no "
		    "owner: everybody may connect unless allow_users or allow_groups say who", path);
	if (path[0] != '/' || (strncmp(path, runtime, length) == 0 && path[length] == '/'))
		return;
	directory = mem_copy_bytes(path, (size_t)(strrchr(path, '/') - path));
	if (access(directory[0] == '\0' ? "/" : directory, F_OK) == -1)
		reader_say(reader, READ_MOMENTARY, service, setting, "%s: directory %s: %s", path, directory,
		    strerror(errno));
	mem_free(directory);
}

void
check_sockets_place(struct reader *reader, const struct read_service *service)
{
	for (unsigned k = 0; k < service->settings->listeners.count; k++)
		check_place(reader, service, &service->settings->listeners.at[k]);
}
