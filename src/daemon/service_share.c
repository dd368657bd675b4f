/* What the clients of a service in shared mode share: where client/shared meets upstream/upstream. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/service_parts.h"
#include "upstream/hello.h"

static uint32_t
service_lend(void *arg)
{
	struct service *service = arg;

	return service->upstream == NULL ? 0 : upstream_take(service->upstream);
}

static void
service_lent(void *arg, uint32_t conn)
{
	struct service *service = arg;

	upstream_taken(service->upstream, conn);
}

static void
service_lost(void *arg, const char *reason)
{
	struct service *service = arg;

	if (service->upstream != NULL)
		upstream_lost(service->upstream, reason);
}

/* For explain too: what a loss has cost. */
static void
service_settled(void *arg, uint64_t lost, uint64_t again)
{
	struct service *service = arg;
	char text[TABLE_HISTORY_TEXT];

	snprintf(text, sizeof text, "%llu requests were in flight: %llu end as lost, %llu are sent again",
	    (unsigned long long)(lost + again), (unsigned long long)lost, (unsigned long long)again);
	table_history_add(service->table, service->index, UPSTREAM_NOTE, text);
	log_info(service_name(service), "%s", text);
}

static void
service_waiting(void *arg, unsigned count)
{
	struct service *service = arg;

	if (service->upstream != NULL)
		upstream_set_held(service->upstream, count);
}

/* Whether what waits for a connection is turned away, as new clients are. */
static bool
service_turns_away(void *arg)
{
	struct service *service = arg;

	if (service->upstream == NULL || upstream_refuses(service->upstream))
		return true;
	if (table_is_paused(service->table, service->index))
		return false;
	return service->settings->crowd.on_down == CROWD_REFUSE && !upstream_is_up(service->upstream);
}

static void
service_rested(void *arg)
{
	struct service *service = arg;

	if (service->upstream != NULL)
		upstream_let_go(service->upstream, true);
}

static const struct shared_callbacks service_shared_callbacks = {
	.lend = service_lend,
	.lent = service_lent,
	.lost = service_lost,
	.settled = service_settled,
	.waiting = service_waiting,
	.refuses = service_turns_away,
	.rested = service_rested,
};

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
	shared_set(service->shared, &settings->shared, settings->crowd.hold_timeout, &resp);
	shared_abort_on_close(service->shared, settings->crowd.abort_on_close);
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
	    &service_shared_callbacks, service);
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
	shared_drop(service->shared);
	upstream_lost(service->upstream, "its last client has gone");
}
