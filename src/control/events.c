#include "control/events.h"

#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "control/stats.h"

struct subscriber {
	LIST_ENTRY(subscriber) entry;
	struct control_request *request; /* borrowed */
	char *service;                   /* owned; NULL all */
	unsigned missed;
};

struct events {
	LIST_HEAD(, subscriber) subscribers;
	json_t *lasts; /* owned; the last event of each service by name, also of removed ones; the newest come last */
};

struct events *
events_new(void)
{
	struct events *events = mem_new(1, sizeof *events);

	LIST_INIT(&events->subscribers);
	events->lasts = json_object();
	return events;
}

void
events_free(struct events *events)
{
	if (events == NULL)
		return;
	json_decref(events->lasts);
	mem_free(events);
}

/* Keeps event (borrowed) as the service's last, and forgets the oldest beyond as many as there may be services. */
static void
events_set_last(struct events *events, const char *service, json_t *event)
{
	json_object_del(events->lasts, service);
	json_object_set(events->lasts, service, event);
	if (json_object_size(events->lasts) > TABLE_SERVICES)
		json_object_del(events->lasts, json_object_iter_key(json_object_iter(events->lasts)));
}

static const struct table_event *
events_history_entry_at(const struct table_service *service, uint64_t number)
{
	return &service->history[number % TABLE_HISTORY];
}

static uint64_t
events_history_oldest(const struct table_service *service)
{
	uint64_t next = service->history_next;

	return next > TABLE_HISTORY ? next - TABLE_HISTORY : 0;
}

static json_t *
events_history_entry(const struct table_event *entry)
{
	return json_pack("{s:o, s:s, s:o}", "time", stats_time(entry->wall), "event",
	    upstream_event_name((enum upstream_event_kind)entry->kind),
	    "text", stats_text(entry->text));
}

json_t *
events_history(const struct table_service *service)
{
	json_t *list = json_array();

	for (uint64_t i = events_history_oldest(service); i < service->history_next; i++)
		json_array_append_new(list, events_history_entry(events_history_entry_at(service, i)));
	return list;
}

const struct table_event *
events_last(const struct table_service *service)
{
	for (uint64_t i = service->history_next; i-- > events_history_oldest(service);)
		if (events_history_entry_at(service, i)->kind != UPSTREAM_NOTE)
			return events_history_entry_at(service, i);
	return NULL;
}

/* The wall clock's time of an event: the history's, so that all who tell of it tell the same. */
static int64_t
events_time(const struct table_service *service, const struct upstream_event *event)
{
	const struct table_event *noted = events_last(service);
	int64_t now = clock_wall();

	return noted != NULL && noted->kind == (uint32_t)event->kind && now - noted->wall < CLOCK_SECOND
	    ? noted->wall : now;
}

static json_t *
events_object(const struct table_service *service, const struct upstream_event *event)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:i}", "event", upstream_event_name(event->kind),
	    "service", service->name, "time", stats_time(events_time(service, event)),
	    "address", stats_text_or_null(event->address), "error", stats_text_or_null(event->error),
	    "failures", (int)event->failures);
}

static json_t *
events_missed(unsigned missed)
{
	return json_pack("{s:s, s:n, s:o, s:i}", "event", "missed", "service", "time", stats_time(clock_wall()),
	    "missed", (int)missed);
}

/* Says event (its reference is taken), after how many were missed before it. */
static void
subscriber_tell(struct subscriber *subscriber, json_t *event)
{
	if (subscriber->missed > 0 && control_stream(subscriber->request, events_missed(subscriber->missed)))
		subscriber->missed = 0;
	if (subscriber->missed > 0)
		json_decref(event);
	if (subscriber->missed > 0 || !control_stream(subscriber->request, event))
		subscriber->missed++;
}

static void
subscriber_drained(void *arg)
{
	struct subscriber *subscriber = arg;

	if (subscriber->missed > 0 && control_stream(subscriber->request, events_missed(subscriber->missed)))
		subscriber->missed = 0;
}

static void
subscriber_end(void *arg)
{
	struct subscriber *subscriber = arg;

	LIST_REMOVE(subscriber, entry);
	mem_free(subscriber->service);
	mem_free(subscriber);
}

void
events_publish(struct events *events, const struct table_service *service, const struct upstream_event *event)
{
	json_t *object = events_object(service, event);
	struct subscriber *subscriber;

	events_set_last(events, service->name, object);
	LIST_FOREACH(subscriber, &events->subscribers, entry)
		if (subscriber->service == NULL || strcmp(subscriber->service, service->name) == 0)
			subscriber_tell(subscriber, json_incref(object));
	json_decref(object);
}

static json_t *
events_from_history(const struct table_service *service)
{
	const struct table_event *event = events_last(service);

	if (event == NULL)
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:o}", "event", upstream_event_name((enum upstream_event_kind)event->kind),
	    "service", service->name, "time", stats_time(event->wall), "text", stats_text_or_null(event->text));
}

void
events_tell_last(const struct events *events, struct control_request *request,
    const struct table_service *service)
{
	json_t *last = json_object_get(events->lasts, service->name);
	json_t *event = last == NULL ? events_from_history(service) : json_incref(last);

	if (event != NULL)
		control_stream(request, event);
}

void
events_subscribe(struct events *events, struct control_request *request, const char *service)
{
	struct subscriber *subscriber = mem_new(1, sizeof *subscriber);

	subscriber->request = request;
	subscriber->service = mem_copy_text(service);
	LIST_INSERT_HEAD(&events->subscribers, subscriber, entry);
	control_on_cancel(request, subscriber_end, subscriber);
	control_on_drained(request, subscriber_drained, subscriber);
}
