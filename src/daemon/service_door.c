/* The door of a service: made, moved to another path, given to another service. */
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

char *
service_open_door(struct service *service, struct door *prepared)
{
	struct door door = { 0 }, before;
	char *wrong = NULL;

	if (prepared == NULL || !prepared->there)
		wrong = service_prepare_door(service, prepared = &door);
	if (wrong == NULL)
		door_commit(service_record(service), prepared, &before);
	return wrong;
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

char *
service_finish_move(struct service *service)
{
	struct door door = { 0 };
	char *wrong;

	if (door_is_at(service_record(service), &service->settings->listener))
		return NULL;
	wrong = service_prepare_door(service, &door);
	if (wrong == NULL)
		service_move(service, &door);
	return wrong;
}

void
service_give_door(struct service *service)
{
	struct door door;

	service_listen(service, -1);
	door_take_away(service_record(service), &door);
	CRASH_POINT(LISTENER_GIVEN);
}
