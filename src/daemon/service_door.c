#include "daemon/service_door.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/watch.h"
#include "keep/crash.h"
#include "upstream/upstream_log.h"

#define DOOR_PAUSE (100 * CLOCK_MILLISECOND) /* after a change where our socket is */
#define DOOR_RETRY CLOCK_SECOND              /* and where it could not be made */

struct service_door {
	struct event_base *loop;   /* borrowed */
	struct table *table;       /* borrowed */
	uint16_t service;
	struct table_service *record; /* borrowed: the table's */
	char *runtime_directory;   /* owned */
	const struct listener_settings *settings; /* borrowed */
	int64_t delay;             /* retry.delay */
	struct crowd *crowd;       /* borrowed */
	struct shared *shared;     /* borrowed; NULL in session mode */
	char *error;               /* owned: why the socket could not be opened; NULL: it is as the settings say */
	struct loop_timer retry;   /* that is tried again */
	struct watch *watch;       /* owned: for changes where the socket is; NULL not yet */
	bool gone;                 /* its file was removed or replaced */
};

/* Where clients are accepted from; -1: no more. */
static void
service_door_listen(struct service_door *self, int fd)
{
	if (self->settings->type == LISTENER_DGRAM)
		shared_set_datagrams(self->shared, fd);
	else
		crowd_listen(self->crowd, fd);
}

/* To a door that is open already.  Who has come to the old one is a client before it goes; a worker that dies on the
 * way leaves it named, for the next to do this again. */
static void
service_door_move(struct service_door *self, struct door *door)
{
	struct table_service *record = self->record;
	struct door before;

	door_shut(record);
	crowd_accept_rest(self->crowd);
	door_commit(record, door, &before);
	service_door_listen(self, record->listener_fd);
	door_drop(&before);
}

/* Whether no path leads to a socket of the service. */
static bool
service_door_is_out(const struct service_door *self)
{
	return self->gone || self->record->listener_fd == -1;
}

bool
service_door_is_shut(const struct service_door *self)
{
	return self != NULL && self->error != NULL && service_door_is_out(self);
}

/* Told once for each reason. */
static void
service_door_tell(struct service_door *self, const char *wrong)
{
	char text[TABLE_HISTORY_TEXT];

	if (self->error != NULL && strcmp(self->error, wrong) == 0)
		return;
	snprintf(text, sizeof text, "%s", wrong);
	table_history_add(self->table, self->service, UPSTREAM_NOTE, text);
	log_error(self->record->name, "%s; %s; it is tried again every %.1f s", wrong,
	    service_door_is_out(self) ? "nobody can connect" : "the socket stays where it was",
	    (double)self->delay / CLOCK_SECOND);
}

/* Takes the text over. */
static void
service_door_note_shut(struct service_door *self, char *wrong)
{
	struct table_service *record = self->record;

	service_door_tell(self, wrong);
	mem_free(self->error);
	self->error = wrong;
	if (service_door_is_out(self) && record->shut_since == 0)
		record->shut_since = clock_wall();
	loop_timer_at(&self->retry, clock_after(clock_now(), self->delay));
}

static void
service_door_note_open(struct service_door *self)
{
	loop_timer_stop(&self->retry);
	self->record->shut_since = 0;
	if (self->error == NULL)
		return;
	mem_free(self->error);
	self->error = NULL;
	upstream_note(self->table, self->service, LOG_LEVEL_NOTICE, "its socket is open now");
}

/* What cannot be made now is not tried at each change, some of which are the trials' own.  Whoever removes a folder
 * does so file by file. */
static void
service_door_on_change(void *arg)
{
	struct service_door *self = arg;
	bool tried = self->error != NULL && service_door_is_missing(self);
	int64_t soon = clock_now() + (tried ? DOOR_RETRY : DOOR_PAUSE);

	if (!loop_timer_is_set(&self->retry) || self->retry.deadline > soon)
		loop_timer_at(&self->retry, soon);
}

/* Watches where its socket is. */
static void
service_door_watch(struct service_door *self)
{
	const struct table_service *record = self->record;
	const char *path = record->activated ? record->bound.sun_path : self->settings->path;

	if (self->watch == NULL)
		self->watch = watch_new(self->loop, service_door_on_change, self);
	watch_path(self->watch, path, false);
}

/* A socket for where the settings want one, if none is there.  NULL or what is wrong. */
static char *
service_door_make(struct service_door *self, struct door *ret_door)
{
	const struct table_service *record = self->record;

	if (record->activated && self->gone)
		return mem_print("socket %s was removed; systemd has made it: restart its socket unit, then holdfast",
		    record->bound.sun_path);
	return !service_door_is_missing(self) ? NULL :
	    door_prepare(self->table, record->name, self->settings, self->runtime_directory, ret_door);
}

static void
service_door_look(struct service_door *self, struct door *prepared)
{
	struct door door = { 0 };
	char *wrong = NULL;
	bool again = false;

	self->gone = !door_is_there(self->record);
	if (prepared == NULL || !prepared->there) {
		wrong = service_door_make(self, &door);
		prepared = &door;
		again = self->gone && door.there;
	}
	if (wrong != NULL) {
		service_door_note_shut(self, wrong);
	} else {
		if (prepared->there)
			service_door_move(self, prepared);
		self->gone = false;
		service_door_note_open(self);
	}
	if (again)
		upstream_note(self->table, self->service, LOG_LEVEL_NOTICE,
		    "socket %s was removed; created again", self->settings->path);
	service_door_watch(self);
}

void
service_door_look_after(struct service_door *self)
{
	if (self == NULL)
		return;
	if (!service_door_is_missing(self) == (self->error == NULL))
		service_door_watch(self);
	else if (self->error == NULL || !service_door_is_missing(self))
		service_door_look(self, NULL);
}

static void
service_door_on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	service_door_look(arg, NULL);
}

void
service_door_retry(struct service_door *self)
{
	if (self != NULL && service_door_is_missing(self))
		service_door_look(self, NULL);
}

bool
service_door_is_missing(const struct service_door *self)
{
	return self == NULL || !door_is_at(self->record, self->settings) || !door_is_there(self->record);
}

void
service_door_give(struct service_door *self)
{
	struct door door;

	service_door_listen(self, -1);
	door_take_away(self->record, &door);
	CRASH_POINT(LISTENER_GIVEN);
}

const char *
service_door_error(const struct service_door *self)
{
	return self == NULL ? NULL : self->error;
}

int64_t
service_door_next(const struct service_door *self)
{
	return self->retry.deadline;
}

void
service_door_settle(struct service_door *self, const struct listener_settings *settings, int64_t delay,
    struct door *prepared)
{
	self->settings = settings;
	self->delay = delay;
	service_door_look(self, prepared);
}

struct service_door *
service_door_new(struct event_base *loop, struct table *table, uint16_t service, const char *runtime_directory,
    const struct listener_settings *settings, struct crowd *crowd, struct shared *shared)
{
	struct service_door *self = mem_new(1, sizeof *self);

	self->loop = loop;
	self->table = table;
	self->service = service;
	self->record = &table->services[service];
	self->runtime_directory = mem_copy_text(runtime_directory);
	self->settings = settings;
	self->crowd = crowd;
	self->shared = shared;
	loop_timer_init(&self->retry, loop, service_door_on_retry, self);
	service_door_listen(self, self->record->listener_fd);
	return self;
}

void
service_door_free(struct service_door *self)
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
service_door_close(struct service_door *self)
{
	if (self == NULL)
		return;
	service_door_listen(self, -1);
	door_end(self->record);
	service_door_free(self);
}
