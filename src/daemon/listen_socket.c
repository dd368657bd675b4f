#include "daemon/listen_socket.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/tcp_listen.h"
#include "base/watch.h"
#include "keep/crash.h"
#include "keep/recover.h"

#define LISTEN_SOCKET_PAUSE (100 * CLOCK_MILLISECOND) /* after a change where our socket is */
#define LISTEN_SOCKET_RETRY CLOCK_SECOND              /* and where it could not be made */

/* The same step of each user is a crash point of its own. */
#define LISTEN_SOCKET_CRASH_POINT(kind, step) do { \
	switch (kind) { \
	case LISTEN_SOCKET_SERVICE: CRASH_POINT(LISTENER_##step); break; \
	case LISTEN_SOCKET_CONTROL: CRASH_POINT(CONTROL_##step); break; \
	case LISTEN_SOCKET_METRICS: CRASH_POINT(METRICS_##step); break; \
	} \
} while (0)

struct listen_socket {
	struct event_base *loop;   /* borrowed */
	struct table *table;       /* borrowed */
	struct listen_socket_user user;
	char *runtime_directory;   /* owned */
	const struct listener_settings *settings; /* borrowed */
	int64_t delay;             /* before it is tried again */
	char *error;               /* owned: why the socket could not be opened; NULL: it is as the settings say */
	struct loop_timer retry;   /* that is tried again */
	struct watch *watch;       /* owned: for changes where the socket is; NULL not yet */
	bool gone;                 /* its file was removed or replaced */
};

_Static_assert(sizeof(off_t) == 8 && sizeof(ino_t) == 8, "files of any size and number are found, on 32 bit too");

/* What stands at the path now; unknown if nothing does, or where none is a file's. */
static void
place_of(const char *path, struct place *ret_place)
{
	struct stat st;

	*ret_place = (struct place){ 0 };
	if (path[0] == '/' && lstat(path, &st) == 0)
		*ret_place = (struct place){ .device = st.st_dev, .inode = st.st_ino };
}

/* Whether the path still leads there: others may have removed or replaced the file.  Always true where none is a
 * file's. */
static bool
place_is_at(const struct place *place, const char *path)
{
	struct stat st;

	if (path[0] != '/')
		return true;
	if (lstat(path, &st) == -1)
		return false;
	return place->inode == 0 ? S_ISSOCK(st.st_mode) : st.st_dev == place->device && st.st_ino == place->inode;
}

/* What others have put at the path is not ours to unlink. */
static void
place_unlink(const struct place *place, const char *path)
{
	if (path[0] == '/' && place_is_at(place, path))
		unlink(path);
}

/* Whether the record's socket, if it has one, is at this path, or "@name". */
static bool
listen_socket_bears(const struct table_socket *record, const char *path)
{
	size_t length = record->length - offsetof(struct sockaddr_un, sun_path);
	const char *bound = record->bound.sun_path;

	if (path[0] == '@')
		return bound[0] == '\0' && length == strlen(path) && memcmp(bound + 1, path + 1, length - 1) == 0;
	return strcmp(bound, path) == 0;
}

/* Whether an open Unix socket is at this path, or "@name". */
static bool
listen_socket_leads_to(int fd, const char *path)
{
	struct table_socket found = { .fd = fd };
	socklen_t length = sizeof found.bound;

	if (getsockname(fd, (struct sockaddr *)&found.bound, &length) == -1 || found.bound.sun_family != AF_UNIX)
		return false;
	found.length = length;
	return listen_socket_bears(&found, path);
}

bool
listen_socket_is_passed(const char *name, const struct listener_settings *settings,
    const struct table_activated *activated)
{
	char words[ADDRESS_TEXT_SIZE];
	const char *path = settings->path;

	if (strcmp(activated->name, name) == 0 && !settings->beside)
		return true;
	if (activated->fd == -1)
		return false;
	if (tcp_listen_is_meant(path))
		return tcp_listen_name_of(activated->fd, words) && strcmp(words, path) == 0;
	return strcmp(activated->name, name) == 0 && listen_socket_leads_to(activated->fd, path);
}

/* The socket that systemd has handed over for this service, or -1. */
static int
listen_socket_activated(const struct table *table, const char *name, const struct listener_settings *settings)
{
	const struct table_header *header = table->header;

	for (uint32_t i = 0; name != NULL && i < header->activated_count; i++)
		if (listen_socket_is_passed(name, settings, &header->activated[i]))
			return header->activated[i].fd;
	return -1;
}

/* As the next, of TCP: everything that is allowed there depends on the address, so the settings must name it. */
static char *
listen_socket_examine_tcp(const char *name, int fd, const char *path, struct table_socket *ret_socket)
{
	struct table_socket found = { .fd = fd };
	char words[ADDRESS_TEXT_SIZE];

	if (!tcp_listen_name_of(fd, words))
		return mem_print("the socket handed over under the name \"%s\" is not a listening TCP socket, which "
		    "listen.path = \"%s\" asks for", name, path);
	if (strcmp(words, path) != 0)
		return mem_print("the socket handed over under the name \"%s\" listens on %s, not on listen.path = "
		    "\"%s\"", name, words, path);
	mem_free(listener_name(path, &found.bound, &found.length));
	*ret_socket = found;
	return NULL;
}

/* Whether an open socket, which somebody else has made, is what the settings want; NULL or what is wrong. */
static char *
listen_socket_examine(const char *name, int fd, const struct listener_settings *settings,
    struct table_socket *ret_socket)
{
	struct table_socket found = { .fd = fd };
	socklen_t length = sizeof found.bound, int_length = sizeof(int);
	int listening = 0, type = 0;

	if (tcp_listen_is_meant(settings->path))
		return listen_socket_examine_tcp(name, fd, settings->path, ret_socket);
	if (getsockname(fd, (struct sockaddr *)&found.bound, &length) == -1 || found.bound.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 ||
	    (!listening && settings->type != LISTENER_DGRAM))
		return mem_print("the socket handed over under the name \"%s\" is not a listening Unix socket", name);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 ||
	    type != listener_socket_type(settings->type))
		return mem_print("the socket handed over under the name \"%s\" is not of listen.type: ListenStream=, "
		    "ListenSequentialPacket= and ListenDatagram= are for stream, seqpacket and dgram", name);
	found.length = length;
	*ret_socket = found;
	return NULL;
}

/* Whether the record's socket is one of TCP, which has no file. */
static bool
listen_socket_is_tcp(const struct table_socket *record)
{
	return record->bound.sun_family == AF_UNSPEC && record->length > 0;
}

static char *
listen_socket_adopt(const char *name, int fd, const struct listener_settings *settings,
    struct table_socket *ret_socket)
{
	char *wrong = listen_socket_examine(name, fd, settings, ret_socket);

	if (wrong != NULL)
		return wrong;
	ret_socket->activated = true;
	if (listen_socket_is_tcp(ret_socket))
		tcp_listen_set(fd);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	place_of(ret_socket->bound.sun_path, &ret_socket->place);
	return NULL;
}

bool
listen_socket_is_activated(const struct table *table, const char *name, const struct listener_settings *settings)
{
	return listen_socket_activated(table, name, settings) != -1;
}

/* Owner, mode and backlog of a socket that is open already.  NULL or what is wrong. */
static char *
listen_socket_set(const struct table_socket *socket, const struct listener_settings *settings)
{
	if (settings->type != LISTENER_DGRAM)
		listen(socket->fd, settings->backlog);
	if (listen_socket_is_tcp(socket)) /* a worker may have died when it had shut it */
		tcp_listen_set(socket->fd);
	return listener_guard(settings);
}

char *
listen_socket_prepare_passed(const struct table_socket *giver, const struct listener_settings *settings,
    struct prepared_socket *ret_prepared)
{
	*ret_prepared = (struct prepared_socket){ .there = true, .passed = true, .socket = *giver };
	return listen_socket_set(giver, settings);
}

/* What a dead worker had opened already, with who has connected to it: true if there is one, of the right type. */
static bool
listen_socket_find(struct table *table, const struct listener_settings *settings, struct table_socket *socket)
{
	struct table_socket found;
	char *wrong;

	socket->fd = recover_take_stray(table, &socket->bound, socket->length);
	if (socket->fd == -1)
		return false;
	wrong = listen_socket_examine(settings->path, socket->fd, settings, &found);
	if (wrong == NULL)
		wrong = listen_socket_set(socket, settings);
	place_of(settings->path, &socket->place);
	if (wrong == NULL && (settings->path[0] != '/' || socket->place.inode != 0))
		return true;
	mem_free(wrong);
	close(socket->fd);
	return false;
}

char *
listen_socket_prepare(struct table *table, enum listen_socket_kind kind, const char *name,
    const struct listener_settings *settings, const char *runtime_directory, struct prepared_socket *ret_prepared)
{
	int activated = listen_socket_activated(table, name, settings), fd;
	struct table_socket socket = { .fd = -1 };
	char *wrong;

	if (activated != -1) {
		wrong = listen_socket_adopt(name, activated, settings, &socket);
	} else {
		wrong = listener_name(settings->path, &socket.bound, &socket.length);
		if (wrong == NULL && !listen_socket_find(table, settings, &socket)) {
			wrong = listener_open(settings, runtime_directory, &fd, &socket.bound, &socket.length);
			socket.fd = wrong == NULL ? fd : -1;
		}
	}
	if (wrong != NULL)
		return wrong;
	place_of(socket.bound.sun_path, &socket.place);
	table_note_file(table, socket.fd);
	if (!socket.activated)
		LISTEN_SOCKET_CRASH_POINT(kind, OPENED);
	*ret_prepared = (struct prepared_socket){ .there = true, .socket = socket };
	return NULL;
}

char *
listen_socket_rehearse(const struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory)
{
	int activated = listen_socket_activated(table, name, settings);
	struct table_socket socket;

	return activated == -1 ? listener_rehearse(settings, runtime_directory, false) :
	    listen_socket_examine(name, activated, settings, &socket);
}

/* The record names the socket from now on: name and number change together, or the number is nobody's. */
static void
listen_socket_commit(enum listen_socket_kind kind, struct table_socket *record, struct prepared_socket *prepared)
{
	int fd = prepared->socket.fd;

	record->fd = -1;
	table_barrier();
	LISTEN_SOCKET_CRASH_POINT(kind, UNNAMED);
	prepared->socket.fd = -1;
	prepared->socket.shut_since = record->shut_since;
	*record = prepared->socket;
	table_barrier();
	LISTEN_SOCKET_CRASH_POINT(kind, PLACED);
	record->fd = fd;
	*prepared = (struct prepared_socket){ 0 };
	LISTEN_SOCKET_CRASH_POINT(kind, NAMED);
}

/* The record's socket leads nowhere from now on: its name is gone, nobody can connect.  Who has connected can still
 * be accepted.  Not of systemd's. */
static void
listen_socket_shut(const struct listen_socket *self)
{
	const struct table_socket *record = self->user.record;

	if (record->fd == -1 || record->activated)
		return;
	place_unlink(&record->place, record->bound.sun_path);
	if (self->user.kind == LISTEN_SOCKET_SERVICE)
		CRASH_POINT(LISTENER_UNLINKED);
	listener_shut(record->fd);
	if (self->user.kind == LISTEN_SOCKET_SERVICE)
		CRASH_POINT(LISTENER_SHUT);
}

/* A worker after a death does it again, while the record names it. */
void
listen_socket_end(struct table_socket *record)
{
	int fd = record->fd;

	if (fd != -1 && !record->activated)
		place_unlink(&record->place, record->bound.sun_path);
	record->fd = -1;
	if (fd != -1 && !record->activated)
		close(fd);
}

void
prepared_socket_close(struct prepared_socket *prepared)
{
	if (prepared->there && !prepared->passed)
		listen_socket_end(&prepared->socket);
	*prepared = (struct prepared_socket){ 0 };
}

bool
listen_socket_is_named(const struct table_socket *record, const char *path)
{
	return record->fd != -1 && !record->activated && listen_socket_bears(record, path);
}

/* Whether the path of the record's socket, if it has one, still leads to it: nobody has removed or replaced it. */
static bool
listen_socket_is_there(const struct table_socket *record)
{
	return record->fd == -1 || place_is_at(&record->place, record->bound.sun_path);
}

bool
listen_socket_is_at(const struct table_socket *record, const struct listener_settings *settings)
{
	return record->fd != -1 &&
	    ((record->activated && !settings->beside) || listen_socket_bears(record, settings->path));
}

/* To a socket that is open already.  Clients that connected to the old one are taken in before it goes; a worker that
 * dies on the way leaves it named, for the next to do this again. */
static void
listen_socket_move(struct listen_socket *self, struct prepared_socket *prepared)
{
	struct table_socket *record = self->user.record, before = *record;

	listen_socket_shut(self);
	self->user.listen(self->user.arg, prepared->socket.fd, before.fd != -1 && !before.activated);
	listen_socket_commit(self->user.kind, record, prepared);
	if (before.fd != -1 && !before.activated)
		close(before.fd);
}

/* Whether no path leads to the socket. */
static bool
listen_socket_is_out(const struct listen_socket *self)
{
	return self->gone || self->user.record->fd == -1;
}

bool
listen_socket_is_shut(const struct listen_socket *self)
{
	return self != NULL && self->error != NULL && listen_socket_is_out(self);
}

/* Takes the text over.  Told once for each reason. */
static void
listen_socket_note_shut(struct listen_socket *self, char *wrong)
{
	struct table_socket *record = self->user.record;
	char *before = self->error;

	self->error = mem_print("%s%s", self->user.wrong, wrong);
	if (listen_socket_is_out(self) && record->shut_since == 0)
		record->shut_since = clock_wall();
	loop_timer_at(&self->retry, clock_after(clock_now(), self->delay));
	if (before == NULL || strcmp(before, self->error) != 0)
		self->user.tell(self->user.arg, LISTEN_SOCKET_FAILED, self->error);
	mem_free(before);
	mem_free(wrong);
}

static void
listen_socket_note_open(struct listen_socket *self)
{
	loop_timer_stop(&self->retry);
	self->user.record->shut_since = 0;
	if (self->error == NULL)
		return;
	mem_free(self->error);
	self->error = NULL;
	self->user.tell(self->user.arg, LISTEN_SOCKET_OPEN, self->settings->path);
}

/* What cannot be made now is not tried at each change, some of which are the trials' own.  Whoever removes a
 * directory does so file by file. */
static void
listen_socket_on_change(void *arg)
{
	struct listen_socket *self = arg;
	bool tried = self->error != NULL && listen_socket_is_missing(self);
	int64_t soon = clock_now() + (tried ? LISTEN_SOCKET_RETRY : LISTEN_SOCKET_PAUSE);

	if (!loop_timer_is_set(&self->retry) || self->retry.deadline > soon)
		loop_timer_at(&self->retry, soon);
}

/* Watches where its socket is. */
static void
listen_socket_watch(struct listen_socket *self)
{
	const struct table_socket *record = self->user.record;
	const char *path = record->activated ? record->bound.sun_path : self->settings->path;

	if (self->watch == NULL)
		self->watch = watch_new(self->loop, listen_socket_on_change, self);
	watch_path(self->watch, path, false);
}

/* A socket for where the settings want one, if none is there.  NULL or what is wrong. */
static char *
listen_socket_make(struct listen_socket *self, struct prepared_socket *ret_prepared)
{
	const struct table_socket *record = self->user.record;

	if (record->activated && self->gone)
		return mem_print("socket %s was removed; systemd has made it: restart its socket unit, then holdfast",
		    record->bound.sun_path);
	return !listen_socket_is_missing(self) ? NULL :
	    listen_socket_prepare(self->table, self->user.kind, self->user.name, self->settings,
	    self->runtime_directory, ret_prepared);
}

static void
listen_socket_look(struct listen_socket *self, struct prepared_socket *prepared)
{
	struct prepared_socket made = { 0 };
	char *wrong = NULL;
	bool again = false;

	self->gone = !listen_socket_is_there(self->user.record);
	if (prepared == NULL || !prepared->there) {
		wrong = listen_socket_make(self, &made);
		prepared = &made;
		again = self->gone && made.there;
	}
	if (wrong != NULL) {
		listen_socket_note_shut(self, wrong);
	} else {
		if (prepared->there)
			listen_socket_move(self, prepared);
		self->gone = false;
		listen_socket_note_open(self);
	}
	if (again)
		self->user.tell(self->user.arg, LISTEN_SOCKET_MADE_AGAIN, self->settings->path);
	listen_socket_watch(self);
}

void
listen_socket_look_after(struct listen_socket *self)
{
	if (self == NULL)
		return;
	if (listen_socket_is_missing(self) == (self->error != NULL))
		listen_socket_watch(self);
	else
		listen_socket_look(self, NULL);
}

static void
listen_socket_on_retry(void *arg)
{
	listen_socket_look(arg, NULL);
}

void
listen_socket_retry(struct listen_socket *self)
{
	if (self != NULL && listen_socket_is_missing(self))
		listen_socket_look(self, NULL);
}

bool
listen_socket_is_missing(const struct listen_socket *self)
{
	return self == NULL || !listen_socket_is_at(self->user.record, self->settings) ||
	    !listen_socket_is_there(self->user.record);
}

void
listen_socket_give(struct listen_socket *self)
{
	self->user.listen(self->user.arg, -1, false);
	loop_timer_stop(&self->retry); /* nothing takes its place before that */
	watch_free(self->watch);
	self->watch = NULL;
	self->user.record->fd = -1;
	CRASH_POINT(LISTENER_GIVEN);
}

const char *
listen_socket_error(const struct listen_socket *self)
{
	return self == NULL ? NULL : self->error;
}

int64_t
listen_socket_next(const struct listen_socket *self)
{
	return self->retry.deadline;
}

void
listen_socket_settle(struct listen_socket *self, const struct listener_settings *settings, int64_t delay,
    struct prepared_socket *prepared)
{
	self->settings = settings;
	self->delay = delay;
	listen_socket_look(self, prepared);
}

struct listen_socket *
listen_socket_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    const struct listen_socket_user *user)
{
	struct listen_socket *self = mem_new(1, sizeof *self);

	*self = (struct listen_socket){ .loop = loop, .table = table, .user = *user,
		.runtime_directory = mem_copy_text(runtime_directory) };
	loop_timer_init(&self->retry, loop, listen_socket_on_retry, self);
	if (user->record->fd != -1 && listen_socket_is_tcp(user->record)) /* as above */
		tcp_listen_set(user->record->fd);
	if (user->record->fd != -1)
		user->listen(user->arg, user->record->fd, false);
	return self;
}

void
listen_socket_free(struct listen_socket *self)
{
	if (self == NULL)
		return;
	loop_timer_stop(&self->retry);
	watch_free(self->watch);
	mem_free(self->error);
	mem_free(self->runtime_directory);
	mem_free(self);
}

void
listen_socket_close(struct listen_socket *self)
{
	if (self == NULL)
		return;
	self->user.listen(self->user.arg, -1, false);
	listen_socket_end(self->user.record);
	listen_socket_free(self);
}

void
listen_socket_drop(struct listen_socket *self)
{
	struct table_socket *record = self->user.record;

	listen_socket_shut(self);
	self->user.listen(self->user.arg, -1, record->fd != -1 && !record->activated);
	listen_socket_end(record);
	*record = (struct table_socket){ .fd = -1 };
	listen_socket_free(self);
}
