#include "client/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/peer_closed.h"
#include "base/tcp_listen.h"
#include "base/tcp_owner.h"
#include "keep/crash.h"
#include "keep/table.h"

/* Clients accepted in one turn of the loop at most, so that those who are already here have theirs: beside one who
 * comes and goes as quickly as he can, each of their turns is as long as all of these take. */
#define LISTENER_TURN  32
#define LISTENER_STAY  8 /* of them, who have not left by then */
#define LISTENER_AGAIN (100 * CLOCK_MILLISECOND)
/* File descriptors that clients may not take, so that those who wait can be given upstream connections. */
#define LISTENER_RESERVE 64

struct listener {
	int fd; /* borrowed */
	struct event event;
	struct loop_timer again; /* after file descriptors ran out */
	int turn;           /* clients expected in one turn, so that none is asked for that is not there */
	bool paused;
	bool exhausted;     /* told, until accepting works again */
	int ceiling;        /* file descriptors from here on are not for clients */
	const uint32_t *clients; /* borrowed: how many there are; NULL: it has no ceiling */
	listener_callback *accepted;
	void (*on_exhausted)(void *arg, int error);
	void *arg;          /* borrowed */
};

int
listener_socket_type(enum listener_type type)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };

	return types[type];
}

static int
listener_socket(enum listener_type type)
{
	return socket(AF_UNIX, listener_socket_type(type) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether it has no file. */
static bool
listener_is_abstract(const struct listener_settings *settings)
{
	return settings->path[0] != '/';
}

static bool
listener_is_tcp(const char *path)
{
	return path[0] != '/' && path[0] != '@';
}

char *
listener_name(const char *path, struct sockaddr_un *ret_name, socklen_t *ret_length)
{
	size_t length = strlen(path), room = sizeof ret_name->sun_path;

	memset(ret_name, 0, sizeof *ret_name);
	ret_name->sun_family = listener_is_tcp(path) ? AF_UNSPEC : AF_UNIX;
	if (length >= room)
		return mem_print("socket path %s has %zu bytes, at most %zu are possible", path, length, room - 1);
	memcpy(ret_name->sun_path, path, length);
	if (path[0] == '@')
		ret_name->sun_path[0] = '\0';
	*ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@'));
	return NULL;
}

/* Whether somebody listens on the name: 0 no, 1 yes, or -errno. */
static int
listener_probe(const struct sockaddr_un *name, socklen_t length)
{
	int fd = listener_socket(LISTENER_STREAM);
	int result, error;

	if (fd == -1)
		return -errno;
	result = connect(fd, (const struct sockaddr *)name, length);
	error = errno;
	close(fd);
	if (result == 0 || error == EAGAIN)
		return 1;
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	return error == EPROTOTYPE ? 1 : -error;
}

/* Of TCP it is not asked: only who cannot listen there is told so. */
static bool
listener_is_taken(const char *path)
{
	int fd, error = tcp_listen_open(path, 0, &fd);

	if (error == 0)
		close(fd);
	return error == -EADDRINUSE;
}

bool
listener_is_live(const char *path)
{
	struct sockaddr_un name;
	socklen_t length;
	struct stat status;
	char *wrong = listener_name(path, &name, &length);

	mem_free(wrong);
	if (listener_is_tcp(path))
		return listener_is_taken(path);
	return wrong == NULL && (path[0] == '@' || (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))) &&
	    listener_probe(&name, length) == 1;
}

/* The stale-socket rule: what stands at the path?  NULL if it can be bound, with *ret_stale if there is a dead
 * socket to be unlinked first. */
static char *
listener_examine(const char *path, const struct sockaddr_un *name, socklen_t length, bool *ret_stale)
{
	struct stat st;
	int alive;

	*ret_stale = false;
	if (path[0] != '/')
		return NULL;
	if (lstat(path, &st) == -1)
		return errno == ENOENT ? NULL : mem_print("socket %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return mem_print("socket %s: there is a file that is not a socket; it is left alone", path);
	alive = listener_probe(name, length);
	if (alive == 1)
		return mem_print("socket %s: another live server listens there; it is left alone", path);
	if (alive < 0)
		return mem_print("socket %s: cannot tell whether somebody listens there: %s", path, strerror(-alive));
	*ret_stale = true;
	return NULL;
}

/* Makes what is missing between the runtime directory, which somebody may have removed too, and the socket. */
static void
listener_make_directories(const char *path, const char *runtime_directory)
{
	size_t base = strlen(runtime_directory);
	char *part;

	if (strncmp(path, runtime_directory, base) != 0 || path[base] != '/')
		return;
	if (mkdir(runtime_directory, 0755) == 0)
		chmod(runtime_directory, 0755); /* whatever the umask */
	part = mem_copy_text(path);
	for (char *slash = strchr(part + base + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == 0)
			chmod(part, 0755);
		*slash = '/';
	}
	mem_free(part);
}

/* Guards the socket file at this path, which the settings may name otherwise. */
static char *
listener_guard_at(const struct listener_settings *settings, const char *path)
{
	uid_t owner = (uid_t)-1;
	gid_t group = (gid_t)-1;

	if (settings->owner != NULL && !names_find(NAMES_USER, settings->owner, &owner))
		return mem_print("socket %s: there is no user \"%s\"", settings->path, settings->owner);
	if (settings->group != NULL && !names_find(NAMES_GROUP, settings->group, &group))
		return mem_print("socket %s: there is no group \"%s\"", settings->path, settings->group);
	if ((owner != (uid_t)-1 || group != (gid_t)-1) && lchown(path, owner, group) == -1)
		return mem_print("socket %s: cannot set owner or group: %s; add SupplementaryGroups= to the unit, "
		    "or use mode \"0666\" with allow_groups", settings->path, strerror(errno));
	if (chmod(path, settings->mode) == -1)
		return mem_print("socket %s: cannot set mode %04o: %s", settings->path, (unsigned)settings->mode,
		    strerror(errno));
	return NULL;
}

char *
listener_guard(const struct listener_settings *settings)
{
	return listener_is_abstract(settings) ? NULL : listener_guard_at(settings, settings->path);
}

/* Nobody but the owner can connect before the permissions are right. */
static char *
listener_name_socket(const struct listener_settings *settings, int fd, const struct sockaddr_un *name,
    socklen_t length)
{
	mode_t old = umask(0177);
	int result = bind(fd, (const struct sockaddr *)name, length);
	int error = errno;

	umask(old);
	return result == -1 ? mem_print("socket %s: %s", settings->path, strerror(error)) : NULL;
}

/* Binds, guards, listens. */
static char *
listener_bind(const struct listener_settings *settings, int fd, const struct sockaddr_un *name, socklen_t length)
{
	char *wrong = listener_name_socket(settings, fd, name, length);

	if (wrong != NULL)
		return wrong;
	wrong = listener_guard(settings);
	if (wrong == NULL && settings->type != LISTENER_DGRAM && listen(fd, settings->backlog) == -1)
		wrong = mem_print("socket %s: %s", settings->path, strerror(errno));
	if (wrong != NULL && !listener_is_abstract(settings))
		unlink(settings->path);
	return wrong;
}

/* Why nobody can listen at an address that somebody has. */
static char *
listener_describe_taken(const char *path)
{
	struct tcp_owners *owners = tcp_owners_new(false);
	char where[ADDRESS_TEXT_SIZE], user[NAMES_SIZE] = "";
	uid_t uid;
	bool found;

	while (tcp_owners_list_bit(owners))
		continue;
	found = tcp_owners_find_listener(owners, path, where, &uid);
	tcp_owners_free(owners);
	if (!found)
		return mem_print("%s: %s: stop what has it, or take another port", path, strerror(EADDRINUSE));
	if (!names_of(NAMES_USER, uid, user, sizeof user))
		snprintf(user, sizeof user, "%u", (unsigned)uid);
	return mem_print("%s: %s: a process of user %s listens on %s; stop it, or take another port", path,
	    strerror(EADDRINUSE), user, where);
}

/* What to do about it, or "". */
static const char *
listener_advise(const char *path, int error)
{
	if (error == -EACCES)
		return "; a port below 1024 needs a socket unit, or CAP_NET_BIND_SERVICE in the daemon's unit";
	if (error == -EPERM && strncmp(path, "localhost:", 10) == 0)
		return "; localhost needs Linux 5.7, use 127.0.0.1 before";
	return "";
}

/* With a backlog of 0 only to try. */
static char *
listener_open_tcp(const char *path, int backlog, int *ret_fd)
{
	int error = tcp_listen_open(path, backlog, ret_fd);

	if (error == 0)
		return NULL;
	return error == -EADDRINUSE ? listener_describe_taken(path) :
	    mem_print("%s: %s%s", path, strerror(-error), listener_advise(path, error));
}

char *
listener_open(const struct listener_settings *settings, const char *runtime_directory, int *ret_fd,
    struct sockaddr_un *ret_bound, socklen_t *ret_length)
{
	bool stale;
	char *wrong = listener_name(settings->path, ret_bound, ret_length);
	int fd;

	if (wrong == NULL)
		wrong = listener_examine(settings->path, ret_bound, *ret_length, &stale);
	if (wrong != NULL)
		return wrong;
	if (listener_is_tcp(settings->path))
		return listener_open_tcp(settings->path, settings->backlog, ret_fd);
	fd = listener_socket(settings->type);
	if (fd == -1)
		return mem_print("socket %s: %s", settings->path, strerror(errno));
	listener_make_directories(settings->path, runtime_directory);
	if (stale)
		unlink(settings->path);
	wrong = listener_bind(settings, fd, ret_bound, *ret_length);
	if (wrong != NULL) {
		close(fd);
		return wrong;
	}
	*ret_fd = fd;
	return NULL;
}

/* Binds and guards a socket in this directory, and takes it away.  Its path leads through the directory's file, since
 * it could be too long otherwise. */
static char *
listener_try(const struct listener_settings *settings, int directory)
{
	struct sockaddr_un name;
	socklen_t length = 0;
	char path[64], *wrong;
	int fd = listener_socket(settings->type);

	snprintf(path, sizeof path, "/proc/self/fd/%d/.holdfast-%d", directory, (int)getpid());
	wrong = fd == -1 ? mem_print("socket %s: %s", settings->path, strerror(errno)) :
	    listener_name(path, &name, &length);
	if (wrong == NULL)
		wrong = listener_name_socket(settings, fd, &name, length);
	if (wrong == NULL) {
		wrong = listener_guard_at(settings, path);
		unlink(path);
	}
	if (fd != -1)
		close(fd);
	return wrong;
}

/* The directory of this path.  Below the runtime directory the nearest above it that is there: the rest would be
 * made.  -1 and errno. */
static int
listener_open_nearest(const char *path, const char *runtime_directory)
{
	size_t base = strlen(runtime_directory);
	size_t least = strncmp(path, runtime_directory, base) == 0 && path[base] == '/' ? base : strlen(path);
	char *place = mem_copy_text(path), *slash;
	int directory = -1;

	errno = ENOENT;
	while (directory == -1 && errno == ENOENT && (slash = strrchr(place, '/')) != NULL) {
		*slash = '\0';
		directory = openat(AT_FDCWD, *place == '\0' ? "/" : place, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (strlen(place) <= least)
			break;
	}
	mem_free(place);
	return directory;
}

char *
listener_rehearse(const struct listener_settings *settings, const char *runtime_directory, bool open)
{
	struct sockaddr_un name;
	socklen_t length;
	bool stale;
	char *wrong = listener_name(settings->path, &name, &length);
	int directory, fd;

	if (listener_is_tcp(settings->path)) {
		wrong = open ? NULL : listener_open_tcp(settings->path, 0, &fd);
		if (wrong == NULL && !open)
			close(fd);
		return wrong;
	}
	if (wrong == NULL && !open)
		wrong = listener_examine(settings->path, &name, length, &stale);
	if (wrong != NULL || listener_is_abstract(settings))
		return wrong;
	directory = listener_open_nearest(settings->path, runtime_directory);
	if (directory == -1)
		return mem_print("socket %s: %s", settings->path, strerror(errno));
	wrong = listener_try(settings, directory);
	close(directory);
	return wrong;
}

/* A line of /proc/net/unix: "... Flags Type St Inode Path"; flag 0x10000 is __SO_ACCEPTCON. */
bool
listener_is_listening(const char *path)
{
	FILE *list = fopen("/proc/net/unix", "re");
	bool found = false;
	char line[512];
	unsigned flags;
	int begin = 0;

	while (list != NULL && !found && fgets(line, sizeof line, list) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &begin) == 1 && begin > 0 &&
		    (flags & 0x10000) != 0 && strcmp(line + begin, path) == 0;
		begin = 0;
	}
	if (list != NULL)
		fclose(list);
	return found;
}

static void
listener_watch(void *arg)
{
	struct listener *listener = arg;

	if (listener->paused)
		event_del(&listener->event);
	else
		loop_event_add(&listener->event);
}

/* No file descriptor or memory is left: nothing is accepted for a moment. */
static void
listener_rest(struct listener *listener, int error)
{
	event_del(&listener->event);
	loop_timer_at(&listener->again, clock_now() + LISTENER_AGAIN);
	if (!listener->exhausted) {
		listener->exhausted = true;
		listener->on_exhausted(listener->arg, error);
	}
}

/* The kernel gives the lowest free number: if that is at the ceiling, so many are open. */
static bool
listener_is_at_ceiling(const struct listener *listener)
{
	int lowest = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);

	if (lowest == -1)
		return true;
	close(lowest);
	return lowest >= listener->ceiling && listener->clients != NULL && *listener->clients > 0;
}

bool
listener_is_exhausted(const struct listener *listener)
{
	/* It rests for a moment at a time, and does not learn that some are free again before a client comes. */
	return listener->exhausted &&
	    (loop_timer_is_set(&listener->again) || listener_is_at_ceiling(listener));
}

/* Who has left without a word is let go, if others come besides: a flood of those is over sooner, for all who wait
 * behind them.  Whether he was. */
static bool
listener_let_go(int client, int before)
{
	if (before == 0 || !peer_closed_is_final(client))
		return false;
	close(client);
	return true;
}

static void
listener_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	int client, stay = 0;

	(void)what;
	if (listener->exhausted && listener_is_at_ceiling(listener)) {
		listener_rest(listener, EMFILE);
		return;
	}
	for (int n = 0; n < listener->turn && stay < LISTENER_STAY && !listener->paused; n++) {
		client = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				listener_rest(listener, errno);
			listener->turn = n > 0 ? n : 1;
			return;
		}
		CRASH_POINT(ACCEPT_ACCEPTED);
		if (listener_let_go(client, n))
			continue;
		stay++;
		listener->accepted(listener->arg, client);
		if (client >= listener->ceiling) {
			listener_rest(listener, EMFILE);
			return;
		}
		listener->exhausted = false;
	}
	listener->turn = listener->turn * 2 < LISTENER_TURN ? listener->turn * 2 : LISTENER_TURN;
}

struct listener *
listener_new(struct event_base *loop, int fd, listener_callback *accepted, void (*exhausted)(void *arg, int error),
    void *arg)
{
	struct listener *listener = mem_new(1, sizeof *listener);

	*listener = (struct listener){ .fd = fd, .ceiling = INT_MAX, .turn = 1, .accepted = accepted,
		.on_exhausted = exhausted, .arg = arg };
	event_assign(&listener->event, loop, fd, EV_READ | EV_PERSIST, listener_on_readable, listener);
	loop_timer_init(&listener->again, loop, listener_watch, listener);
	listener_watch(listener);
	return listener;
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	event_del(&listener->event);
	loop_timer_stop(&listener->again);
	mem_free(listener);
}

void
listener_keep_reserve(struct listener *listener, const uint32_t *clients)
{
	struct rlimit limit;
	rlim_t reserve;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur > INT_MAX)
		return;
	reserve = limit.rlim_cur / 4 < LISTENER_RESERVE ? limit.rlim_cur / 4 : LISTENER_RESERVE;
	listener->clients = clients;
	listener->ceiling = (int)(limit.rlim_cur - reserve - TABLE_LAST_FILES);
}

void
listener_shut(int fd)
{
	if (!tcp_listen_shut(fd))
		shutdown(fd, SHUT_RD);
}

void
listener_finish(struct listener *listener)
{
	int client;

	while ((client = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) != -1) {
		CRASH_POINT(ACCEPT_ACCEPTED);
		listener->accepted(listener->arg, client);
	}
}

void
listener_pause(struct listener *listener, bool paused)
{
	if (listener->paused == paused)
		return;
	listener->paused = paused;
	listener_watch(listener);
}
