/* The door of a service: made, moved to another path, given to another service. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/listener.h"
#include "daemon/door.h"
#include "daemon/service_parts.h"
#include "keep/crash.h"

static char *
service_prepare_door(const struct service *service, struct door *ret_door)
{
	return door_prepare(service->table, service->settings->name, &service->settings->listener,
	    service->runtime_directory, ret_door);
}

void
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

bool
service_is_shut(const struct service *service)
{
	return service->door_error != NULL && service_record(service)->listener_fd == -1;
}

/* Told once for each reason. */
static void
service_tell_door(struct service *service, const char *wrong)
{
	char text[TABLE_HISTORY_TEXT];

	if (service->door_error != NULL && strcmp(service->door_error, wrong) == 0)
		return;
	snprintf(text, sizeof text, "%s", wrong);
	table_history_add(service->table, service->index, LINK_NOTE, text);
	log_error(service_name(service), "%s; %s; it is tried again every %.1f s", wrong,
	    service_record(service)->listener_fd == -1 ? "nobody can connect" : "the socket stays where it was",
	    (double)service->settings->link.pconn.delay / CLOCK_SECOND);
}

/* Takes the text over. */
static void
service_note_shut(struct service *service, char *wrong)
{
	struct table_service *record = service_record(service);

	service_tell_door(service, wrong);
	mem_free(service->door_error);
	service->door_error = wrong;
	if (record->listener_fd == -1 && record->shut_since == 0)
		record->shut_since = clock_wall();
	loop_timer_at(&service->door_retry, clock_after(clock_now(), service->settings->link.pconn.delay));
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

void
service_settle_door(struct service *service, struct door *prepared)
{
	struct door door = { 0 };
	char *wrong = NULL;

	if (prepared == NULL || !prepared->there) {
		if (service_lacks_door(service))
			wrong = service_prepare_door(service, &door);
		prepared = &door;
	}
	if (wrong != NULL) {
		service_note_shut(service, wrong);
		return;
	}
	if (prepared->there)
		service_move(service, prepared);
	service_note_open(service);
}

void
service_on_door_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	service_settle_door(arg, NULL);
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
	return !door_is_at(service_record(service), &service->settings->listener);
}

void
service_give_door(struct service *service)
{
	struct door door;

	service_listen(service, -1);
	door_take_away(service_record(service), &door);
	CRASH_POINT(LISTENER_GIVEN);
}
