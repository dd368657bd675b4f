/* The door of a service: made, moved to another path, given to another service. */
#include "base/log.h"
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

void
service_finish_move(struct service *service, struct door *prepared)
{
	const struct table_service *record = service_record(service);
	struct door door = { 0 };
	char *wrong = NULL;

	if ((prepared == NULL || !prepared->there) && door_is_at(record, &service->settings->listener))
		return;
	if (prepared == NULL || !prepared->there)
		wrong = service_prepare_door(service, prepared = &door);
	if (wrong == NULL)
		service_move(service, prepared);
	else
		log_error(service_name(service), "%s; %s, and the next reload tries again", wrong,
		    record->listener_fd == -1 ? "until then nobody can connect" : "the socket stays where it was");
	mem_free(wrong);
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
