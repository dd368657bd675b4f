/* What the clients of a service in shared mode share. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/service_parts.h"
#include "upstream/hello.h"

/* What a worker must know of a service that is in no configuration any more. */
static void
service_share_note(struct service *service)
{
	const struct shared_settings *settings = &service->settings->shared;
	struct table_shared *record = &service_record(service)->shared;

	record->framing = (uint8_t)settings->framing;
	record->replies = (uint8_t)settings->replies;
	record->type = (uint8_t)settings->type;
	record->max_message = settings->max_message;
}

/* What the step makes of the connection; a file as it is now. */
static void
service_note_step(const struct hello_step *step, struct resp_connection *resp)
{
	size_t length = 0;
	char *text = NULL;

	if (step->send != NULL)
		resp_note_hello((const unsigned char *)step->send, strlen(step->send), resp);
	if (step->send_file == NULL)
		return;
	mem_free(hello_load(step->send_file, &text, &length));
	if (text == NULL)
		return;
	resp_note_hello((const unsigned char *)text, length, resp);
	hello_forget(&text, length);
}

void
service_share_set(struct service *service)
{
	const struct service_settings *settings = service->settings;
	struct resp_connection resp = { .database = 0, .protocol = 2 };

	if (service->shared == NULL)
		return;
	for (size_t i = 0; i < settings->upstream.hello.count; i++)
		service_note_step(&settings->upstream.hello.steps[i], &resp);
	service_share_note(service);
	shared_set(service->shared, &settings->shared, settings->crowd.hold_timeout,
	    settings->crowd.on_down == CROWD_REFUSE, settings->crowd.abort_on_close, &resp);
}

void
service_share_recall(const struct table_service *record, struct service_settings *settings)
{
	const struct table_shared *shared = &record->shared;

	if (shared->framing == FRAMING_NONE)
		return;
	settings->mode = SERVICE_SHARED;
	settings->shared.framing = (enum framing_kind)shared->framing;
	settings->shared.replies = (enum shared_replies)shared->replies;
	settings->shared.type = (enum listener_type)shared->type;
	settings->shared.max_message = shared->max_message;
	settings->shared.max_in_flight = 1;
}

void
service_share(struct service *service)
{
	if (service->settings->mode != SERVICE_SHARED)
		return;
	service->shared = shared_new(service->loop, service->table, service->index, &service->settings->shared,
	    service->upstream);
	service_share_set(service);
}

void
service_share_begin(struct service *service)
{
	const struct table_service *record = service_record(service);

	if (service->shared != NULL)
		shared_begin(service->shared, service->removed ? -1 : record->listener_fd);
}

void
service_listen(struct service *service, int fd)
{
	if (service->settings->listener.type == LISTENER_DGRAM)
		shared_set_datagrams(service->shared, fd);
	else
		crowd_listen(service->crowd, fd);
}

void
service_share_leave(struct service *service)
{
	if (service->shared == NULL || crowd_count(service->crowd) > 0 || service->upstream == NULL ||
	    !upstream_refuses(service->upstream) || !shared_is_connected(service->shared))
		return;
	shared_lose(service->shared, "its last client has gone");
}
