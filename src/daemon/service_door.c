/* The door of a service: made, moved to another path, given to another service. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/watch.h"
#include "client/listener.h"
#include "daemon/door.h"
#include "daemon/service_parts.h"
#include "keep/crash.h"

#define DOOR_PAUSE (100 * CLOCK_MILLISECOND) /* after a change where our socket is */
#define DOOR_RETRY CLOCK_SECOND              /* and where it could not be made */

static char *
service_prepare_door(const struct service *service, struct door *ret_door)
{
	return door_prepare(service->table, service->settings->name, &service->settings->listener,
	    service->runtime_directory, ret_door);
}

/* To a door that is open already.  Who has come to the old one is a client before it goes; a worker that dies on the
 * way leaves it named, for the next to do this again. */
static void
service_move(struct service *service, struct door *door)
{
	struct table_service *record = service_record(service);
	struct door before;

	door_shut(record);
	crowd_accept_rest(service->crowd);
	door_commit(record, door, &before);
	service_listen(service, record->listener_fd);
	door_drop(&before);
}

/* Whether no path leads to a socket of the service. */
static bool
service_is_out(const struct service *service)
{
	return service->door_gone || service_record(service)->listener_fd == -1;
}

bool
service_is_shut(const struct service *service)
{
	return service->door_error != NULL && service_is_out(service);
}

/* Told once for each reason. */
static void
service_tell_door(struct service *service, const char *wrong)
{
	char text[TABLE_HISTORY_TEXT];

	if (service->door_error != NULL && strcmp(service->door_error, wrong) == 0)
		return;
	snprintf(text, sizeof text, "%s", wrong);
	table_history_add(service->table, service->index, UPSTREAM_NOTE, text);
	log_error(service_name(service), "%s; %s; it is tried again every %.1f s", wrong,
	    service_is_out(service) ? "nobody can connect" : "the socket stays where it was",
	    (double)service->settings->upstream.pconn.delay / CLOCK_SECOND);
}

/* Takes the text over. */
static void
service_note_shut(struct service *service, char *wrong)
{
	struct table_service *record = service_record(service);

	service_tell_door(service, wrong);
	mem_free(service->door_error);
	service->door_error = wrong;
	if (service_is_out(service) && record->shut_since == 0)
		record->shut_since = clock_wall();
	loop_timer_at(&service->door_retry, clock_after(clock_now(), service->settings->upstream.pconn.delay));
}

static void
service_note_open(struct service *service)
{
	loop_timer_stop(&service->door_retry);
	service_record(service)->shut_since = 0;
	if (service->door_error == NULL)
		return;
	mem_free(service->door_error);
	service->door_error = NULL;
	service_note(service, "its socket is open now");
}

/* What cannot be made now is not tried at each change, some of which are the trials' own.  Whoever removes a folder
 * does so file by file. */
static void
service_on_door_change(void *arg)
{
	struct service *service = arg;
	bool tried = service->door_error != NULL && service_lacks_door(service);
	int64_t soon = clock_now() + (tried ? DOOR_RETRY : DOOR_PAUSE);

	if (!loop_timer_is_set(&service->door_retry) || service->door_retry.deadline > soon)
		loop_timer_at(&service->door_retry, soon);
}

/* Watches where its socket is. */
static void
service_watch_door(struct service *service)
{
	const struct table_service *record = service_record(service);
	const char *path = record->activated ? record->bound.sun_path : service->settings->listener.path;

	if (service->door_watch == NULL)
		service->door_watch = watch_new(service->loop, service_on_door_change, service);
	watch_path(service->door_watch, path, false);
}

/* A socket for where the settings want one, if none is there.  NULL or what is wrong. */
static char *
service_make_door(struct service *service, struct door *ret_door)
{
	const struct table_service *record = service_record(service);

	if (record->activated && service->door_gone)
		return mem_print("socket %s was removed; systemd has made it: restart its socket unit, then holdfast",
		    record->bound.sun_path);
	return service_lacks_door(service) ? service_prepare_door(service, ret_door) : NULL;
}

void
service_settle_door(struct service *service, struct door *prepared)
{
	struct door door = { 0 };
	char *wrong = NULL;
	bool again = false;

	service->door_gone = !door_is_there(service_record(service));
	if (prepared == NULL || !prepared->there) {
		wrong = service_make_door(service, &door);
		prepared = &door;
		again = service->door_gone && door.there;
	}
	if (wrong != NULL) {
		service_note_shut(service, wrong);
	} else {
		if (prepared->there)
			service_move(service, prepared);
		service->door_gone = false;
		service_note_open(service);
	}
	if (again)
		service_note(service, "socket %s was removed; created again", service->settings->listener.path);
	service_watch_door(service);
}

void
service_look_after_door(struct service *service)
{
	if (!service_lacks_door(service) == (service->door_error == NULL))
		service_watch_door(service);
	else if (service->door_error == NULL || !service_lacks_door(service))
		service_settle_door(service, NULL);
}

void
service_on_door_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	service_settle_door(arg, NULL);
}

void
service_leave_door(struct service *service)
{
	loop_timer_stop(&service->door_retry);
	watch_free(service->door_watch);
	service->door_watch = NULL;
}

void
service_retry_door(struct service *service)
{
	if (service_lacks_door(service))
		service_settle_door(service, NULL);
}

bool
service_lacks_door(const struct service *service)
{
	const struct table_service *record = service_record(service);

	return !door_is_at(record, &service->settings->listener) || !door_is_there(record);
}

void
service_give_door(struct service *service)
{
	struct door door;

	service_listen(service, -1);
	door_take_away(service_record(service), &door);
	CRASH_POINT(LISTENER_GIVEN);
}
