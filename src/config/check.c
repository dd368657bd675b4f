#include "config/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/program.h"
#include "base/secret.h"
#include "base/tcp_listen.h"
#include "client/metrics_listener.h"
#include "client/peer.h"
#include "config/check_sockets.h"
#include "config/check_tls.h"

#define MYSQL_PORT      3306
#define OWN_FILES       64 /* of the daemon besides the services' */
#define SPOOL_FILES     6
#define UNBOUNDED_CLIENTS 4096u /* that are reckoned with where max_clients = 0 */

/* What a service says of its mode that does not go together, or means nothing there. */

/* What is wrong by itself: each of these is told where it is so. */
static void
check_rules(struct reader *reader, const struct read_service *service)
{
	const struct service_settings *settings = service->settings;
	const struct shared_settings *own = &settings->shared;
	const struct listener_settings *listener = &settings->listeners.at[0];
	bool shared = settings->mode == SERVICE_SHARED, framed = shared && own->framing != FRAMING_NONE;
	bool dgram = framed && listener->type == LISTENER_DGRAM;
	char *loss = framed ? shared_check(own, own->loss_reply, false) : NULL;
	char *beat = framed ? shared_check(own, own->heartbeat_send, true) : NULL;
	const struct {
		bool wrong;
		const char *setting, *what;
	} rules[] = {
		{ !shared && listener->type != LISTENER_STREAM, "listen.type",
		    "is for mode = \"shared\" only" },
		{ !shared && own->framing != FRAMING_NONE && reader_is_own(reader, service, "framing"), "framing",
		    "is for mode = \"shared\" only; say mode = \"shared\" too, or leave it out" },
		{ shared && !framed, "framing", "is required with mode = \"shared\": line, netstring, "
		    "octet-counted, length8, length16be, length16le, length32be, length32le, resp or memcache" },
		{ shared && settings->upstream.dial.probe.kind == PROBE_MYSQL, "probe",
		    "\"mysql\" leaves the greeting to the client, which in shared mode there is none for" },
		{ framed && own->framing == FRAMING_RESP && own->replies != SHARED_ORDERED, "replies",
		    "framing \"resp\" has ordered replies" },
		{ framed && own->framing == FRAMING_MEMCACHE && own->replies != SHARED_ORDERED, "replies",
		    "framing \"memcache\" has ordered replies" },
		{ dgram && own->replies != SHARED_NONE, "replies",
		    "nobody can be answered over listen.type = \"dgram\": say \"none\"" },
		{ dgram && (listener->allow_users != NULL || listener->allow_groups != NULL),
		    "listen.type", "who sends a datagram is not known: allow_users and allow_groups cannot be kept; "
		    "use listen.mode and listen.group" },
		{ framed && own->heartbeat_send == NULL && own->heartbeat_expect != NULL, "heartbeat.expect",
		    "needs heartbeat.send" },
		{ framed && own->replies != SHARED_NONE && own->on_full != SHARED_BLOCK, "on_full",
		    "who waits for a reply cannot do without: \"drop_newest\" and \"drop_oldest\" are for "
		    "replies = \"none\"" },
		{ framed && own->split_datagrams && (!dgram || own->framing != FRAMING_LINE), "split_datagrams",
		    "is for listen.type = \"dgram\" with framing \"line\"" },
		{ framed && own->spool_path != NULL && own->replies != SHARED_NONE, "spool.path",
		    "is for replies = \"none\": nobody waits for the reply to what is sent after an hour" },
		{ framed && own->spool_path != NULL && own->spool_max_size < 4 * (int64_t)own->max_message,
		    "spool.max_size", "must be at least 4 times max_message" },
		{ framed && own->spool_path != NULL && settings->clients.on_down == CLIENTS_REFUSE, "on_down",
		    "\"refuse\" turns clients away whose messages the spool is there to take: say \"hold\"" },
		{ loss != NULL, "loss_reply", loss },
		{ beat != NULL, "heartbeat.send", beat },
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].wrong)
			reader_say(reader, READ_ERROR, service, rules[i].setting, "%s", rules[i].what);
	if (framed && own->heartbeat_send != NULL && own->replies == SHARED_NONE)
		reader_say(reader, READ_WARNING, service, "heartbeat.send",
		    "the upstream must answer it, though nothing else has replies: one that is silent is given up");
	mem_free(loss);
	mem_free(beat);
}

/* An answer that hello does not wait for would be taken for the reply to a client's request. */
static void
check_steps(struct reader *reader, const struct read_service *service)
{
	const struct hello_settings *hello = &service->settings->upstream.hello;
	const struct shared_settings *shared = &service->settings->shared;
	bool ordered = service->settings->mode == SERVICE_SHARED && shared->framing != FRAMING_NONE &&
	    shared->replies == SHARED_ORDERED;

	for (size_t i = 0; i < hello->count && ordered; i++)
		if (hello->steps[i].expect == NULL && hello->steps[i].abort_on == NULL)
			reader_say(reader, READ_ERROR, service, "hello", "step %zu: with replies = \"ordered\" each "
			    "step needs expect or abort_on: an answer that nobody waits for would be taken for the "
			    "reply to a client", i + 1);
}

static void
check_unused(struct reader *reader, const struct read_service *service, const struct service_settings *usual,
    const char *const *names, const char *why)
{
	for (; *names != NULL; names++)
		if (reader_is_own(reader, service, *names) &&
		    !setting_is_same(settings_find(&settings_service, *names), service->settings, usual))
			reader_say(reader, READ_WARNING, service, *names, "has no meaning with %s", why);
}

/* Settings that have no meaning with the service's mode or address are mistakes, or left over. */
static void
check_meaning(struct reader *reader, const struct read_service *service, const struct service_settings *usual)
{
	static const char *const of_file[] = { "listen.mode", "listen.owner", "listen.group", NULL };
	static const char *const of_tcp[] = { "listen.public", NULL };
	static const char *const of_shared[] = { "replies", "max_message", "max_in_flight", "on_full",
		"queue_size", "split_datagrams", "reply_timeout", "on_loss", "loss_reply", "on_state", "max_own",
		"own_linger", "heartbeat.send", "heartbeat.expect", "heartbeat.interval", "heartbeat.timeout",
		"spool.path", "spool.max_size", "spool.fsync", "standby", NULL };
	static const char *const of_session[] = { "on_upstream_end", "warm", "warm_max_age", "max_held", NULL };
	const struct listener_settings *listener = &service->settings->listeners.at[0];
	bool tcp = tcp_listen_is_meant(listener->path);

	if (service->settings->mode == SERVICE_SHARED)
		check_unused(reader, service, usual, of_session, "mode = \"shared\"");
	else
		check_unused(reader, service, usual, of_shared, "mode = \"session\"");
	if (!listener->beside)
		check_unused(reader, service, usual, tcp ? of_file : of_tcp, tcp ? "an address in listen.path" :
		    "a Unix socket in listen.path");
}

/* The path stands in a request as it is. */
static void
check_probe(struct reader *reader, const struct read_service *service)
{
	const char *path = service->settings->upstream.dial.probe.path;
	bool wrong = path[0] != '/';

	for (size_t i = 0; path[i] != '\0'; i++)
		wrong = wrong || path[i] <= ' ' || path[i] == 0x7f;
	if (wrong)
		reader_say(reader, READ_ERROR, service, "probe_path",
		    "\"%s\": must begin with / and be without spaces, in ASCII (others as %%XX)", path);
}

/* The header is the first that a connection hears, and it names a client: nothing can be said before there is one. */
static void
check_proxy(struct reader *reader, const struct read_service *service)
{
	const struct upstream_settings *upstream = &service->settings->upstream;
	enum probe_kind probe = upstream->dial.probe.kind;

	if (upstream->dial.proxy == PROXY_NONE)
		return;
	if (service->settings->mode == SERVICE_SHARED)
		reader_say(reader, READ_ERROR, service, "proxy_protocol", "is for mode = \"session\" only: it says "
		    "whose a connection is, and in shared mode it is everybody's");
	if (upstream->hello.count > 0)
		reader_say(reader, READ_ERROR, service, "hello", "is spoken before there is a client, and with "
		    "proxy_protocol a connection begins with who the client is: use one of them");
	if (probe != PROBE_NONE && !probe_is_aside(probe))
		reader_say(reader, READ_ERROR, service, "probe", "\"redis\" and \"mysql\" speak before there is a "
		    "client, and with proxy_protocol a connection begins with who the client is: leave one of them "
		    "out");
}

/* What -T has shown in a secret's place is given back. */
static void
check_hidden(struct reader *reader, const struct read_service *service, const char *setting, char *const *list)
{
	char *const *names = service->settings->upstream.lookup.secrets;
	bool arguments = strcmp(setting, "lookup.args") == 0;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (secret_is_hidden(list[i], arguments && i > 0 ? list[i - 1] : NULL, names))
			reader_say(reader, READ_ERROR, service, setting, "\"%s\": \"" SECRET_HIDDEN "\" is what is "
			    "shown in a secret's place: write the secret itself", list[i]);
}

/* Files, users and groups that the settings name. */

/* Who is to run the programs: -t is run by others, too, and the daemon's runtime directory is of its user. */
static uid_t
check_user(const struct reader *reader)
{
	struct stat status;

	return reader->test && stat(reader->config->runtime_directory, &status) == 0 ? status.st_uid : geteuid();
}

/* Nobody but root and the daemon's user may have changed it. */
static void
check_is_safe(struct reader *reader, const struct read_service *service, const char *setting, const char *path)
{
	char place[PATH_MAX], *fault;

	if (service->settings->upstream.lookup.unsafe) {
		reader_say(reader, READ_WARNING, service, setting, "%s: whoever can change it decides what the "
		    "daemon runs: lookup.unsafe is for developers", path);
		return;
	}
	fault = program_find(path, check_user(reader), place);
	if (fault != NULL)
		reader_say(reader, READ_ERROR, service, setting, "%s: %s; nobody but root and the daemon's user may "
		    "change it", path, fault);
	mem_free(fault);
}

static void
check_program(struct reader *reader, const struct read_service *service, const char *setting, const char *path)
{
	struct stat status;

	if (path == NULL)
		return;
	if (stat(path, &status) == -1)
		reader_say(reader, READ_ERROR, service, setting, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		reader_say(reader, READ_ERROR, service, setting, "%s: is not a regular file", path);
	else if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == -1)
		reader_say(reader, READ_ERROR, service, setting, "%s: is not executable", path);
	else
		check_is_safe(reader, service, setting, path);
}

static void
check_catalog(struct reader *reader, const struct read_service *service, const char *path)
{
	/* With an error elsewhere the built-in catalog may stand for a source that was misspelt. */
	if (path != NULL && reader->errors->count == 0 && access(path, R_OK) == -1)
		reader_say(reader, READ_WARNING, service, "lookup.catalog", "%s: %s; the service stays down until it "
		    "is there", path, strerror(errno));
}

/* Only what systemd started is given credentials: whoever tests the file by hand cannot see them.  A file is read for
 * each connection. */
static void
check_hello_files(struct reader *reader, const struct read_service *service)
{
	const struct hello_settings *hello = &service->settings->upstream.hello;
	bool blind = reader->test && getenv("CREDENTIALS_DIRECTORY") == NULL;
	char *wrong, *text;
	size_t length = 0;

	for (size_t i = 0; i < hello->count; i++) {
		const char *name = hello->steps[i].send_file;

		if (name == NULL)
			continue;
		text = NULL;
		wrong = hello_load(name, &text, &length);
		hello_forget(&text, length);
		if (wrong != NULL && blind && *name != '/')
			reader_say(reader, READ_WARNING, service, "hello", "%s", wrong);
		else if (wrong != NULL)
			reader_say(reader, READ_MOMENTARY, service, "hello", "%s; attempts fail until it is there",
			    wrong);
		mem_free(wrong);
	}
}

/* A directory service may not answer at this moment; until it does nobody is let in by the name.  Of those that let
 * clients in, -t tells which do not. */
static void
check_names(struct reader *reader, const struct read_service *service, const char *setting, char *const *names)
{
	bool groups = strstr(setting, "_groups") != NULL, owners = strcmp(setting, "lookup.owners") == 0;
	uint32_t id;

	for (; names != NULL && *names != NULL; names++) {
		if (!names_ask(groups ? NAMES_GROUP : NAMES_USER, *names, &id))
			reader_say(reader, READ_MOMENTARY, service, setting, "there is no %s \"%s\" now; it is asked "
			    "for again at a %s", groups ? "group" : "user", *names, owners ? "restart" : "reload");
		if (reader->test && !owners && peer_name_is_unknown(*names, groups))
			reader_say(reader, READ_WARNING, service, setting, "\"%s\" lets nobody in: its number is "
			    "also shown of users of other user namespaces that have none here", *names);
	}
}

static void
check_service_files(struct reader *reader, const struct read_service *service)
{
	const struct service_settings *settings = service->settings;

	check_sockets_place(reader, service);
	check_program(reader, service, "lookup.script", settings->upstream.lookup.script);
	check_program(reader, service, "on_event", settings->upstream.on_event);
	check_program(reader, service, "notify", settings->upstream.notify);
	check_catalog(reader, service, settings->upstream.lookup.catalog);
	check_hello_files(reader, service);
	for (unsigned k = 0; k < settings->listeners.count; k++) {
		check_names(reader, service, "listen.allow_users", settings->listeners.at[k].allow_users);
		check_names(reader, service, "listen.allow_groups", settings->listeners.at[k].allow_groups);
	}
	check_names(reader, service, "lookup.owners", settings->upstream.lookup.owners);
}

/* Hints of -t. */

/* By itself none is kept ready for such a server; but MySQL counts even the connection that an attempt makes. */
static void
check_warm(struct reader *reader, const struct read_service *service)
{
	/* Servers that dislike connections that say nothing, by the ports of their protocols. */
	static const struct {
		unsigned port;
		const char *what;
	} silent[] = { { 22, "SSH" }, { 25, "SMTP" }, { MYSQL_PORT, "MySQL" }, { 5672, "AMQP" } };
	const struct upstream_settings *upstream = &service->settings->upstream;
	const char *address = upstream->lookup.addresses == NULL ? "" : upstream->lookup.addresses[0];
	const char *colon = strncmp(address, "unix:", 5) == 0 ? NULL : strrchr(address, ':');
	unsigned port = colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10), warm = upstream->pconn.warm;

	if (warm == UPSTREAM_WARM_AUTO && port == MYSQL_PORT && upstream->dial.probe.kind == PROBE_NONE)
		reader_say(reader, READ_WARNING, service, "address", "port %u is MySQL's, which counts each "
		    "attempt's connection as broken off: probe = \"mysql\" suits it", port);
	for (size_t i = 0; warm != UPSTREAM_WARM_AUTO && warm != 0 && i < sizeof silent / sizeof silent[0]; i++)
		if (port == silent[i].port)
			reader_say(reader, READ_WARNING, service, "warm", "port %u is %s's, whose servers end "
			    "connections that say nothing, or block the host: remove warm", port, silent[i].what);
}

/* Whom the kernel does not keep cannot connect while accepting pauses: connect() blocks or says EAGAIN. */
static void
check_backlog(struct reader *reader, const struct read_service *service)
{
	FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
	int most, backlog = 0;

	if (file == NULL)
		return;
	for (unsigned k = 0; k < service->settings->listeners.count; k++)
		if (service->settings->listeners.at[k].backlog > backlog)
			backlog = service->settings->listeners.at[k].backlog;
	if (fscanf(file, "%d", &most) == 1 && backlog > most)
		reader_say(reader, READ_WARNING, service, "listen.backlog", "the kernel keeps at most %d clients "
		    "(net.core.somaxconn), not %d", most, backlog);
	fclose(file);
}

/* The first at which every local user may connect; NULL: none. */
static const struct listener_settings *
check_find_open(const struct listeners_settings *listeners)
{
	for (unsigned k = 0; k < listeners->count; k++) {
		const struct listener_settings *at = &listeners->at[k];

		if (at->allow_users == NULL && at->allow_groups == NULL &&
		    (at->path[0] != '/' || (at->mode & S_IWOTH) != 0))
			return at;
	}
	return NULL;
}

/* Many servers behind a Unix socket go by the user at its other end. */
static void
check_peer(struct reader *reader, const struct read_service *service)
{
	const struct listener_settings *open = check_find_open(&service->settings->listeners);
	char *const *address = service->settings->upstream.lookup.addresses;

	if (open == NULL)
		return;
	while (address != NULL && *address != NULL && strncmp(*address, "unix:", 5) != 0)
		address++;
	if (address != NULL && *address != NULL)
		reader_say(reader, READ_WARNING, service, "address", "%s: the server sees each client as the "
		    "daemon's user, and every local user may connect: %s", *address,
		    tcp_listen_is_meant(open->path) ? "a Unix socket with listen.allow_users says who" :
		    "listen.allow_users, allow_groups or a narrower mode say who");
}

/* How many files a service may need: one for each listener; for a session two, a held one one; in shared mode one for
 * a client, one for the connection, one for each standby. */
static unsigned
check_files_of(const struct service_settings *settings)
{
	const struct upstream_settings *upstream = &settings->upstream;
	unsigned warm = upstream->pconn.warm == UPSTREAM_WARM_AUTO ? 1 : upstream->pconn.warm;
	unsigned clients = settings->clients.max_clients == 0 ? UNBOUNDED_CLIENTS : settings->clients.max_clients;
	unsigned own = settings->listeners.count;

	if (settings->mode == SERVICE_SHARED)
		return clients + own + upstream->standby + 1 +
		    (settings->shared.spool_path != NULL ? SPOOL_FILES : 0);
	return 2 * clients + settings->clients.max_held + warm + own;
}

static void
check_open_files(struct reader *reader)
{
	struct rlimit limit;
	uint64_t needed = OWN_FILES;

	for (size_t i = 0; i < reader->service_count; i++)
		needed += check_files_of(reader->services[i]->settings);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY && needed > limit.rlim_max)
		config_warning(reader->errors, "%s: max_clients and max_held of all services need %llu file "
		    "descriptors; the hard limit here, of whoever runs -t, is %llu (ulimit -Hn); the unit has its "
		    "own: LimitNOFILE=", reader->files[0], (unsigned long long)needed,
		    (unsigned long long)limit.rlim_max);
}

/* What a start would do, tried, for -t.  Nobody connects to a socket, and what is made is made beside and taken
 * away. */

static const char *
try_user(void)
{
	const struct passwd *user = getpwuid(geteuid());

	return user == NULL ? "this user" : user->pw_name;
}

/* systemd makes it before it starts the daemon. */
static bool
try_is_made_by_systemd(const char *directory)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	size_t length = own == NULL ? 0 : strlen(own);

	return strncmp(directory, "/run/", 5) == 0 ||
	    (length > 0 && strncmp(directory, own, length) == 0 && directory[length] == '/');
}

static void
try_missing_directory(struct reader *reader, const char *directory)
{
	char *parent = mem_copy_bytes(directory, (size_t)(strrchr(directory, '/') - directory));
	int error = faccessat(AT_FDCWD, *parent == '\0' ? "/" : parent, W_OK | X_OK, AT_EACCESS) == -1 ? errno : 0;

	mem_free(parent);
	if (error != 0 && try_is_made_by_systemd(directory))
		reader_say(reader, READ_WARNING, NULL, "runtime_directory", "%s: is missing, and %s cannot make it "
		    "(%s); systemd does, with RuntimeDirectory= in the unit", directory, try_user(), strerror(error));
	else if (error != 0)
		reader_say(reader, READ_FAILURE, NULL, "runtime_directory", "%s: is missing, and %s cannot make it: "
		    "%s", directory, try_user(), strerror(error));
}

static void
try_hint_user(struct reader *reader, const char *directory, uid_t owner)
{
	const struct passwd *user = owner == geteuid() || geteuid() != 0 ? NULL : getpwuid(owner);

	if (user != NULL)
		reader_say(reader, READ_WARNING, NULL, "runtime_directory", "%s belongs to %s, and root may do more "
		    "than %s: test as the user that the daemon runs as (sudo -u %s holdfastd -t)", directory,
		    user->pw_name, user->pw_name, user->pw_name);
}

/* Whether sockets can be made in it. */
static bool
try_runtime_directory(struct reader *reader)
{
	const char *directory = reader->config->runtime_directory;
	char *lock = mem_print("%s/holdfastd.lock", directory);
	struct stat status;
	bool good = false;

	if (stat(directory, &status) == -1 && errno == ENOENT)
		try_missing_directory(reader, directory);
	else if (stat(directory, &status) == -1)
		reader_say(reader, READ_FAILURE, NULL, "runtime_directory", "%s: %s", directory, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		reader_say(reader, READ_FAILURE, NULL, "runtime_directory", "%s: is not a directory", directory);
	else if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == -1 ||
	    (faccessat(AT_FDCWD, lock, R_OK | W_OK, AT_EACCESS) == -1 && errno != ENOENT))
		reader_say(reader, READ_FAILURE, NULL, "runtime_directory", "%s: %s cannot use it: %s; test as the "
		    "user that the daemon runs as", directory, try_user(), strerror(errno));
	else
		good = true;
	if (good)
		try_hint_user(reader, directory, status.st_uid);
	mem_free(lock);
	return good;
}

/* What is wrong with making the socket; *ret_setting becomes its owner's or group's if that alone is. */
static char *
try_rehearse(const struct listener_settings *listener, const char *runtime_directory, const char **ret_setting)
{
	struct listener_settings own = *listener;
	char *wrong;

	own.owner = own.group = NULL;
	if ((wrong = listener_rehearse(&own, runtime_directory, true)) != NULL)
		return wrong;
	own.owner = listener->owner;
	*ret_setting = "listen.owner";
	if ((wrong = listener_rehearse(&own, runtime_directory, true)) != NULL)
		return wrong;
	*ret_setting = "listen.group";
	return listener_rehearse(listener, runtime_directory, true);
}

/* A socket of a service, or (NULL) for control.  running: a daemon is, and the sockets that are there are its. */
static void
try_socket(struct reader *reader, const struct read_service *service, const struct listener_settings *listener,
    bool running)
{
	const char *setting = "listen.path";
	enum read_severity severity = READ_FAILURE;
	struct stat status;
	char *wrong = NULL, name[ADDRESS_TEXT_SIZE];

	if (*listener->path == '/' && lstat(listener->path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		wrong = mem_print("socket %s: there is a file that is not a socket; it is left alone",
		    listener->path);
	} else if (tcp_listen_is_meant(listener->path)) {
		severity = READ_WARNING;
		if (!running && tcp_listen_parse(listener->path, name) == NULL)
			wrong = listener_rehearse(listener, reader->config->runtime_directory, false);
	} else if (!running && listener_is_listening(listener->path)) {
		severity = service == NULL ? READ_FAILURE : READ_WARNING;
		wrong = mem_print("socket %s: somebody listens there now; the daemon cannot, unless systemd listens "
		    "there for this service", listener->path);
	} else {
		wrong = try_rehearse(listener, reader->config->runtime_directory, &setting);
	}
	if (wrong != NULL)
		reader_say(reader, severity, service, service == NULL ? "control.path" :
		    check_sockets_setting(listener, setting), "%s", wrong);
	mem_free(wrong);
}

static void
try_sockets(struct reader *reader, const struct read_service *service, bool running)
{
	const struct listeners_settings *listeners = &service->settings->listeners;

	for (unsigned k = 0; k < listeners->count; k++)
		if (strlen(listeners->at[k].path) <= CHECK_SOCKETS_PATH_MAX)
			try_socket(reader, service, &listeners->at[k], running);
}

/* The daemon begins without it, too. */
static void
try_metrics(struct reader *reader)
{
	const struct config *config = reader->config;
	struct listener_settings settings;
	char *wrong;

	if (config->metrics_listen == NULL || metrics_listener_check(config->metrics_listen) != NULL)
		return;
	metrics_listener_settings(config->metrics_listen, &settings);
	wrong = listener_rehearse(&settings, config->runtime_directory, false);
	if (wrong != NULL)
		reader_say(reader, READ_WARNING, NULL, "metrics.listen", "%s", wrong);
	mem_free(settings.path);
	mem_free(wrong);
}

static void
try_start(struct reader *reader)
{
	bool running = listener_is_listening(reader->config->control.listener.path);

	if (!try_runtime_directory(reader))
		return;
	try_socket(reader, NULL, &reader->config->control.listener, running);
	if (!running)
		try_metrics(reader);
	for (size_t i = 0; i < reader->service_count; i++)
		try_sockets(reader, reader->services[i], running);
}

static void
check_service(struct reader *reader, const struct read_service *service, const struct service_settings *usual)
{
	const struct lookup_settings *lookup = &service->settings->upstream.lookup;

	check_meaning(reader, service, usual);
	check_rules(reader, service);
	check_steps(reader, service);
	check_probe(reader, service);
	check_proxy(reader, service);
	check_tls(reader, service);
	check_hidden(reader, service, "lookup.args", lookup->arguments);
	check_hidden(reader, service, "lookup.environment", lookup->environment);
	if (lookup->watch && lookup->script == NULL)
		reader_say(reader, READ_WARNING, service, "lookup.watch", "has no meaning without lookup.script");
	if (!reader->text_only)
		check_sockets_loop(reader, service);
}

static void
check_hints(struct reader *reader)
{
	for (size_t i = 0; i < reader->service_count; i++) {
		check_warm(reader, reader->services[i]);
		check_backlog(reader, reader->services[i]);
		check_peer(reader, reader->services[i]);
	}
	check_tls_files(reader);
	check_open_files(reader);
	try_start(reader);
}

void
config_check(struct reader *reader)
{
	const struct config_control *control = &reader->config->control;
	struct service_settings usual = { 0 };

	settings_defaults(&settings_service, &usual);
	check_sockets(reader);
	for (size_t i = 0; i < reader->service_count; i++)
		check_service(reader, reader->services[i], &usual);
	settings_clear(&settings_service, &usual);
	if (reader->text_only)
		return;
	if (reader->service_count == 0)
		config_warning(reader->errors, "%s: no services", reader->files[0]);
	check_names(reader, NULL, "control.admin_users", control->admin_users);
	check_names(reader, NULL, "control.admin_groups", control->admin_groups);
	for (size_t i = 0; i < reader->service_count; i++)
		check_service_files(reader, reader->services[i]);
	if (reader->test)
		check_hints(reader);
}
