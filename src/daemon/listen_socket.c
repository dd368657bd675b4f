#include "daemon/listen_socket.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/watch.h"
#include "keep/crash.h"
#include "keep/recover.h"
#include "upstream/upstream_log.h"

#define LISTEN_SOCKET_PAUSE (100 * CLOCK_MILLISECOND) /* after a change where our socket is */
#define LISTEN_SOCKET_RETRY CLOCK_SECOND              /* and where it could not be made */

struct listen_socket {
	struct event_base *loop;   /* borrowed */
	struct table *table;       /* borrowed */
	uint16_t service;
	struct table_service *record; /* borrowed: the table's */
	char *runtime_directory;   /* owned */
	const struct listener_settings *settings; /* borrowed */
	int64_t delay;             /* retry.delay */
	struct clients *clients;       /* borrowed */
	struct mux *mux;           /* borrowed; NULL in session mode */
	char *error;               /* owned: why the socket could not be opened; NULL: it is as the settings say */
	struct loop_timer retry;   /* that is tried again */
	struct watch *watch;       /* owned: for changes where the socket is; NULL not yet */
	bool gone;                 /* its file was removed or replaced */
};

/* The socket that systemd has handed over under this name, or -1. */
static int
listen_socket_activated(const struct table *table, const char *name)
{
	const struct table_header *header = table->header;

	for (uint32_t i = 0; i < header->activated_count; i++)
		if (strcmp(header->activated[i].name, name) == 0)
			return header->activated[i].fd;
	return -1;
}

/* Whether what systemd has handed over is what the settings want; NULL or what is wrong. */
static char *
listen_socket_examine(const char *name, int fd, enum listener_type wanted, struct prepared_socket *ret_prepared)
{
	struct prepared_socket prepared = { .there = true, .activated = true, .fd = fd,
		.length = sizeof prepared.bound };
	socklen_t int_length = sizeof(int);
	int listening = 0, type = 0;

	if (getsockname(fd, (struct sockaddr *)&prepared.bound, &prepared.length) == -1 ||
	    prepared.bound.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 ||
	    (!listening && wanted != LISTENER_DGRAM))
		return mem_print("the socket handed over under the name \"%s\" is not a listening Unix socket", name);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 || type != listener_socket_type(wanted))
		return mem_print("the socket handed over under the name \"%s\" is not of listen.type: ListenStream=, "
		    "ListenSequentialPacket= and ListenDatagram= are for stream, seqpacket and dgram", name);
	*ret_prepared = prepared;
	return NULL;
}

static char *
listen_socket_adopt(const char *name, int fd, enum listener_type wanted, struct prepared_socket *ret_prepared)
{
	char *wrong = listen_socket_examine(name, fd, wanted, ret_prepared);

	if (wrong != NULL)
		return wrong;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	place_of(ret_prepared->bound.sun_path, &ret_prepared->place);
	return NULL;
}

static void
listen_socket_of_record(const struct table_service *record, struct prepared_socket *ret_prepared)
{
	*ret_prepared = (struct prepared_socket){ .there = record->listener_fd != -1, .activated = record->activated,
		.fd = record->listener_fd, .bound = record->bound, .length = record->bound_length,
		.place = record->place };
}

bool
listen_socket_is_activated(const struct table *table, const char *name)
{
	return listen_socket_activated(table, name) != -1;
}

/* Owner, mode and backlog of a socket that is open already.  NULL or what is wrong. */
static char *
listen_socket_set(const struct prepared_socket *prepared, const struct listener_settings *settings)
{
	if (settings->type != LISTENER_DGRAM)
		listen(prepared->fd, settings->backlog);
	return listener_guard(settings);
}

char *
listen_socket_prepare_passed(const struct table_service *giver, const struct listener_settings *settings,
    struct prepared_socket *ret_prepared)
{
	listen_socket_of_record(giver, ret_prepared);
	ret_prepared->passed = true;
	return listen_socket_set(ret_prepared, settings);
}

/* What a dead worker had opened already, with who has connected to it: true if there is one, of the right type. */
static bool
listen_socket_find(struct table *table, const struct listener_settings *settings, struct prepared_socket *prepared)
{
	struct prepared_socket found;
	char *wrong = listener_name(settings->path, &prepared->bound, &prepared->length);

	if (wrong == NULL && (prepared->fd = recover_take_stray(table, &prepared->bound, prepared->length)) == -1)
		return false;
	if (wrong == NULL)
		wrong = listen_socket_examine(settings->path, prepared->fd, settings->type, &found);
	if (wrong == NULL)
		wrong = listen_socket_set(prepared, settings);
	place_of(prepared->bound.sun_path, &prepared->place);
	if (wrong == NULL && (settings->path[0] == '@' || prepared->place.inode != 0))
		return true;
	mem_free(wrong);
	if (prepared->fd != -1)
		close(prepared->fd);
	return false;
}

char *
listen_socket_prepare(struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory, struct prepared_socket *ret_prepared)
{
	int activated = listen_socket_activated(table, name);
	struct prepared_socket prepared = { .there = true, .fd = -1 };
	char *wrong = NULL;

	if (activated != -1)
		return listen_socket_adopt(name, activated, settings->type, ret_prepared);
	if (!listen_socket_find(table, settings, &prepared))
		wrong = listener_open(settings, runtime_directory, &prepared.fd, &prepared.bound, &prepared.length);
	if (wrong != NULL)
		return wrong;
	place_of(prepared.bound.sun_path, &prepared.place);
	table_note_file(table, prepared.fd);
	CRASH_POINT(LISTENER_OPENED);
	*ret_prepared = prepared;
	return NULL;
}

char *
listen_socket_rehearse(const struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory)
{
	int activated = listen_socket_activated(table, name);
	struct prepared_socket prepared;

	return activated == -1 ? listener_rehearse(settings, runtime_directory, false) :
	    listen_socket_examine(name, activated, settings->type, &prepared);
}

/* The record names the socket from now on; the one that it named before is given in *ret_before. */
static void
listen_socket_commit(struct table_service *record, struct prepared_socket *prepared,
    struct prepared_socket *ret_before)
{
	listen_socket_of_record(record, ret_before);
	record->listener_fd = -1; /* the name and the number change together, or the number is nobody's */
	table_barrier();
	CRASH_POINT(LISTENER_UNNAMED);
	record->bound = prepared->bound;
	record->bound_length = prepared->length;
	record->place = prepared->place;
	record->activated = prepared->activated;
	table_barrier();
	CRASH_POINT(LISTENER_PLACED);
	record->listener_fd = prepared->fd;
	*prepared = (struct prepared_socket){ 0 };
	CRASH_POINT(LISTENER_NAMED);
}

/* The record's socket leads nowhere from now on: its name is gone, nobody can connect.  Who has connected can still
 * be accepted.  Not of systemd's. */
static void
listen_socket_shut(const struct table_service *record)
{
	struct prepared_socket prepared;

	listen_socket_of_record(record, &prepared);
	if (!prepared.there || prepared.activated)
		return;
	place_unlink(&prepared.place, prepared.bound.sun_path);
	CRASH_POINT(LISTENER_UNLINKED);
	listener_shut(prepared.fd);
	CRASH_POINT(LISTENER_SHUT);
}

/* Only closes one that was shut. */
static void
prepared_socket_drop(struct prepared_socket *prepared)
{
	if (prepared->there && !prepared->activated && !prepared->passed)
		close(prepared->fd);
	*prepared = (struct prepared_socket){ 0 };
}

/* A worker after a death does it again, while the record names it. */
void
listen_socket_end(struct table_service *record)
{
	struct prepared_socket before;

	listen_socket_of_record(record, &before);
	if (before.there && !before.activated)
		place_unlink(&before.place, before.bound.sun_path);
	record->listener_fd = -1;
	prepared_socket_drop(&before);
}

void
prepared_socket_close(struct prepared_socket *prepared)
{
	if (prepared->there && !prepared->activated && !prepared->passed)
		place_unlink(&prepared->place, prepared->bound.sun_path);
	prepared_socket_drop(prepared);
}

bool
listen_socket_is_named(const struct table_service *record, const char *path)
{
	size_t length = record->bound_length - offsetof(struct sockaddr_un, sun_path);
	const char *bound = record->bound.sun_path;

	if (record->listener_fd == -1 || record->activated)
		return false;
	if (path[0] == '@')
		return bound[0] == '\0' && length == strlen(path) && memcmp(bound + 1, path + 1, length - 1) == 0;
	return strcmp(bound, path) == 0;
}

/* Whether the path of the record's socket, if it has one, still leads to it: nobody has removed or replaced it. */
static bool
listen_socket_is_there(const struct table_service *record)
{
	return record->listener_fd == -1 || place_is_at(&record->place, record->bound.sun_path);
}

/* Whether the record's socket is where the settings want it. */
static bool
listen_socket_is_at(const struct table_service *record, const struct listener_settings *settings)
{
	return (record->listener_fd != -1 && record->activated) || listen_socket_is_named(record, settings->path);
}

/* Where clients are accepted from; -1: no more. */
static void
listen_socket_listen(struct listen_socket *self, int fd)
{
	if (self->settings->type == LISTENER_DGRAM)
		mux_set_datagrams(self->mux, fd);
	else
		clients_listen(self->clients, fd);
}

/* To a socket that is open already.  Clients that connected to the old one are taken in before it goes; a worker that
 * dies on the way leaves it named, for the next to do this again. */
static void
listen_socket_move(struct listen_socket *self, struct prepared_socket *prepared)
{
	struct table_service *record = self->record;
	struct prepared_socket before;

	listen_socket_shut(record);
	clients_accept_rest(self->clients);
	listen_socket_commit(record, prepared, &before);
	listen_socket_listen(self, record->listener_fd);
	prepared_socket_drop(&before);
}

/* Whether no path leads to a socket of the service. */
static bool
listen_socket_is_out(const struct listen_socket *self)
{
	return self->gone || self->record->listener_fd == -1;
}

bool
listen_socket_is_shut(const struct listen_socket *self)
{
	return self != NULL && self->error != NULL && listen_socket_is_out(self);
}

/* Told once for each reason. */
static void
listen_socket_tell(struct listen_socket *self, const char *wrong)
{
	char text[TABLE_HISTORY_TEXT];

	if (self->error != NULL && strcmp(self->error, wrong) == 0)
		return;
	snprintf(text, sizeof text, "%s", wrong);
	table_history_add(self->table, self->service, UPSTREAM_NOTE, text);
	log_error(self->record->name, "%s; %s; it is tried again every %.1f s", wrong,
	    listen_socket_is_out(self) ? "nobody can connect" : "the socket stays where it was",
	    (double)self->delay / CLOCK_SECOND);
}

/* Takes the text over. */
static void
listen_socket_note_shut(struct listen_socket *self, char *wrong)
{
	struct table_service *record = self->record;

	listen_socket_tell(self, wrong);
	mem_free(self->error);
	self->error = wrong;
	if (listen_socket_is_out(self) && record->shut_since == 0)
		record->shut_since = clock_wall();
	loop_timer_at(&self->retry, clock_after(clock_now(), self->delay));
}

static void
listen_socket_note_open(struct listen_socket *self)
{
	loop_timer_stop(&self->retry);
	self->record->shut_since = 0;
	if (self->error == NULL)
		return;
	mem_free(self->error);
	self->error = NULL;
	upstream_note(self->table, self->service, LOG_LEVEL_NOTICE, "its socket is open now");
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
	const struct table_service *record = self->record;
	const char *path = record->activated ? record->bound.sun_path : self->settings->path;

	if (self->watch == NULL)
		self->watch = watch_new(self->loop, listen_socket_on_change, self);
	watch_path(self->watch, path, false);
}

/* A socket for where the settings want one, if none is there.  NULL or what is wrong. */
static char *
listen_socket_make(struct listen_socket *self, struct prepared_socket *ret_prepared)
{
	const struct table_service *record = self->record;

	if (record->activated && self->gone)
		return mem_print("socket %s was removed; systemd has made it: restart its socket unit, then holdfast",
		    record->bound.sun_path);
	return !listen_socket_is_missing(self) ? NULL :
	    listen_socket_prepare(self->table, record->name, self->settings, self->runtime_directory, ret_prepared);
}

static void
listen_socket_look(struct listen_socket *self, struct prepared_socket *prepared)
{
	struct prepared_socket made = { 0 };
	char *wrong = NULL;
	bool again = false;

	self->gone = !listen_socket_is_there(self->record);
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
		upstream_note(self->table, self->service, LOG_LEVEL_NOTICE,
		    "socket %s was removed; created again", self->settings->path);
	listen_socket_watch(self);
}

void
listen_socket_look_after(struct listen_socket *self)
{
	if (self == NULL)
		return;
	if (!listen_socket_is_missing(self) == (self->error == NULL))
		listen_socket_watch(self);
	else if (self->error == NULL || !listen_socket_is_missing(self))
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
	return self == NULL || !listen_socket_is_at(self->record, self->settings) ||
	    !listen_socket_is_there(self->record);
}

void
listen_socket_give(struct listen_socket *self)
{
	listen_socket_listen(self, -1);
	self->record->listener_fd = -1;
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
listen_socket_new(struct event_base *loop, struct table *table, uint16_t service, const char *runtime_directory,
    const struct listener_settings *settings, struct clients *clients, struct mux *mux)
{
	struct listen_socket *self = mem_new(1, sizeof *self);

	self->loop = loop;
	self->table = table;
	self->service = service;
	self->record = &table->services[service];
	self->runtime_directory = mem_copy_text(runtime_directory);
	self->settings = settings;
	self->clients = clients;
	self->mux = mux;
	loop_timer_init(&self->retry, loop, listen_socket_on_retry, self);
	listen_socket_listen(self, self->record->listener_fd);
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
	listen_socket_listen(self, -1);
	listen_socket_end(self->record);
	listen_socket_free(self);
}
