/* What a start would do, tried, for -t: whatever only the kernel knows of a configuration that is right in itself.
 *
 * A daemon that runs with the same files is not disturbed: nobody connects to a socket, and what is made is made
 * beside and taken away. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/listener.h"
#include "client/metrics_listener.h"
#include "config/config_check.h"

struct try {
	struct draft *draft; /* borrowed */
	bool running;        /* a daemon has the control socket: the sockets that are there are its */
};

/* Where a setting of the top level stands; the main file's first line if it is a default. */
static struct draft_place
try_top_place(const struct draft *draft, const char *setting)
{
	const struct draft_place *place = &draft->top[settings_index(&settings_top, setting)];

	return place->line > 0 ? *place : (struct draft_place){ draft->sources[0]->name, "", 1 };
}

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
try_missing_directory(struct draft *draft, const struct draft_place *place, const char *directory)
{
	char *parent = mem_copy_bytes(directory, (size_t)(strrchr(directory, '/') - directory));
	int error = faccessat(AT_FDCWD, *parent == '\0' ? "/" : parent, W_OK | X_OK, AT_EACCESS) == -1 ? errno : 0;

	mem_free(parent);
	if (error != 0 && try_is_made_by_systemd(directory))
		draft_warning(draft, place, "runtime_directory", "%s: is missing, and %s cannot make it (%s); "
		    "systemd does, with RuntimeDirectory= in the unit", directory, try_user(), strerror(error));
	else if (error != 0)
		draft_failure(draft, place, "runtime_directory", "%s: is missing, and %s cannot make it: %s",
		    directory, try_user(), strerror(error));
}

static void
try_hint_user(struct draft *draft, const struct draft_place *place, const char *directory, uid_t owner)
{
	const struct passwd *user = owner == geteuid() || geteuid() != 0 ? NULL : getpwuid(owner);

	if (user != NULL)
		draft_warning(draft, place, "runtime_directory", "%s belongs to %s, and root may do more than %s: "
		    "test as the user that the daemon runs as (sudo -u %s holdfastd -t)", directory, user->pw_name,
		    user->pw_name, user->pw_name);
}

/* Whether sockets can be made in it. */
static bool
try_runtime_directory(struct draft *draft)
{
	const char *directory = draft->config->runtime_directory;
	struct draft_place place = try_top_place(draft, "runtime_directory");
	char *lock = mem_print("%s/holdfastd.lock", directory);
	struct stat status;
	bool good = false;

	if (stat(directory, &status) == -1 && errno == ENOENT)
		try_missing_directory(draft, &place, directory);
	else if (stat(directory, &status) == -1)
		draft_failure(draft, &place, "runtime_directory", "%s: %s", directory, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		draft_failure(draft, &place, "runtime_directory", "%s: is not a directory", directory);
	else if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == -1 ||
	    (faccessat(AT_FDCWD, lock, R_OK | W_OK, AT_EACCESS) == -1 && errno != ENOENT))
		draft_failure(draft, &place, "runtime_directory", "%s: %s cannot use it: %s; test as the user that "
		    "the daemon runs as", directory, try_user(), strerror(errno));
	else
		good = true;
	if (good)
		try_hint_user(draft, &place, directory, status.st_uid);
	mem_free(lock);
	return good;
}

/* What stands at the path: an error, or a warning, if it is no socket of a dead server. */
static char *
try_occupied(const struct try *try, const struct listener_settings *listener, bool *ret_warning)
{
	struct stat status;

	*ret_warning = false;
	if (*listener->path != '@' && lstat(listener->path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return mem_print("socket %s: there is a file that is not a socket; it is left alone", listener->path);
	if (try->running || !listener_is_listening(listener->path))
		return NULL;
	*ret_warning = true;
	return mem_print("socket %s: somebody listens there now; the daemon cannot, unless systemd listens "
	    "there for this service", listener->path);
}

/* What is wrong with the socket; *ret_setting is set to its owner's or group's if that alone is. */
static char *
try_listener(const struct listener_settings *listener, const char *runtime_directory, const char **ret_setting)
{
	struct listener_settings own = *listener;
	char *wrong;

	own.owner = own.group = NULL;
	wrong = listener_rehearse(&own, runtime_directory, true);
	if (wrong != NULL)
		return wrong;
	own.owner = listener->owner;
	*ret_setting = "listen.owner";
	wrong = listener_rehearse(&own, runtime_directory, true);
	if (wrong != NULL)
		return wrong;
	*ret_setting = "listen.group";
	return listener_rehearse(listener, runtime_directory, true);
}

static void
try_service(const struct try *try, const struct draft_service *service)
{
	const struct listener_settings *listener = &service->settings->listener;
	const char *setting = "listen.path";
	bool warning;
	char *wrong = try_occupied(try, listener, &warning);

	if (wrong == NULL)
		wrong = try_listener(listener, try->draft->config->runtime_directory, &setting);
	if (wrong != NULL && warning)
		draft_warning(try->draft, draft_service_place(service, setting), setting, "%s", wrong);
	else if (wrong != NULL)
		draft_failure(try->draft, draft_service_place(service, setting), setting, "%s", wrong);
	mem_free(wrong);
}

static void
try_control(const struct try *try)
{
	const struct listener_settings *listener = &try->draft->config->control.listener;
	struct draft_place place = try_top_place(try->draft, "control.path");
	const char *setting;
	bool warning;
	char *wrong = try_occupied(try, listener, &warning);

	if (wrong == NULL)
		wrong = try_listener(listener, try->draft->config->runtime_directory, &setting);
	if (wrong != NULL)
		draft_failure(try->draft, &place, "control.path", "%s", wrong);
	mem_free(wrong);
}

/* The daemon begins without it, too. */
static void
try_metrics(const struct try *try)
{
	const struct config *config = try->draft->config;
	struct draft_place place = try_top_place(try->draft, "metrics.listen");
	struct place made;
	char *wrong;
	int fd;

	if (try->running || config->metrics_listen == NULL || metrics_listener_check(config->metrics_listen) != NULL)
		return;
	wrong = metrics_listener_open(config->metrics_listen, config->runtime_directory, &fd);
	if (wrong != NULL) {
		draft_warning(try->draft, &place, "metrics.listen", "%s", wrong);
		mem_free(wrong);
		return;
	}
	metrics_listener_place(fd, &made);
	metrics_listener_unlink(fd, &made);
	close(fd);
}

void
config_try(struct draft *draft)
{
	struct try try = { .draft = draft, .running = listener_is_listening(draft->config->control.listener.path) };

	if (!try_runtime_directory(draft))
		return;
	try_control(&try);
	try_metrics(&try);
	for (size_t i = 0; i < draft->service_count; i++)
		if (strlen(draft->services[i]->settings->listener.path) < sizeof((struct sockaddr_un *)0)->sun_path)
			try_service(&try, draft->services[i]);
}
