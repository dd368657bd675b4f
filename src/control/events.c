#include "control/events.h"

#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "control/stats.h"

struct subscriber {
	LIST_ENTRY(subscriber) entry;
	struct control_request *request; /* borrowed */
	const struct events *events;     /* borrowed */
	char *service;                   /* owned; NULL all */
	const struct table_service **untold; /* owned: whose last event it is told, from number told on */
	size_t untold_count, told;
	struct loop_work telling;
	unsigned missed;
};

struct events {
	struct event_base *loop; /* borrowed */
	LIST_HEAD(, subscriber) subscribers;
	json_t *lasts; /* owned; the last event of each service by name, also of removed ones; the newest come last */
};

struct events *
events_new(struct event_base *loop)
{
	struct events *events = mem_new(1, sizeof *events);

	LIST_INIT(&events->subscribers);
	events->loop = loop;
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

json_t *
events_history(const struct table_service *service)
{
	json_t *list = json_array();

	for (uint64_t i = events_history_oldest(service); i < service->history_next; i++) {
		const struct table_event *entry = events_history_entry_at(service, i);

		json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "time", stats_time(entry->wall), "event",
		    upstream_event_name((enum upstream_event_kind)entry->kind), "text", stats_text(entry->text)));
	}
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

/* Its time is the history's, so that all who tell of it tell the same. */
static json_t *
events_object(const struct table_service *service, const struct upstream_event *event)
{
	const struct table_event *noted = events_last(service);
	int64_t now = clock_wall();
	bool same = noted != NULL && noted->kind == (uint32_t)event->kind && now - noted->wall < CLOCK_SECOND;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:i}", "event", upstream_event_name(event->kind),
	    "service", service->name, "time", stats_time(same ? noted->wall : now),
	    "address", stats_text_or_null(event->address), "error", stats_text_or_null(event->error),
	    "failures", (int)event->failures);
}

/* Tells first how many events it has missed; whether that is done. */
static bool
subscriber_catch_up(struct subscriber *subscriber)
{
	if (subscriber->missed > 0 && control_stream(subscriber->request, json_pack("{s:s, s:n, s:o, s:i}", "event",
	    "missed", "service", "time", stats_time(clock_wall()), "missed", (int)subscriber->missed)))
		subscriber->missed = 0;
	return subscriber->missed == 0;
}

/* Tells event, whose reference is taken. */
static void
subscriber_tell(struct subscriber *subscriber, json_t *event)
{
	if (subscriber_catch_up(subscriber)) {
		subscriber->missed += !control_stream(subscriber->request, event);
	} else {
		json_decref(event);
		subscriber->missed++;
	}
}

static void
subscriber_drained(void *arg)
{
	subscriber_catch_up(arg);
}

static void
subscriber_end(void *arg)
{
	struct subscriber *subscriber = arg;

	LIST_REMOVE(subscriber, entry);
	loop_work_stop(&subscriber->telling);
	mem_free(subscriber->untold);
	mem_free(subscriber->service);
	mem_free(subscriber);
}

/* Whether it is interested, and has been told what was before: else this is to be the last event that it is told. */
static bool
subscriber_awaits(const struct subscriber *subscriber, const struct table_service *service)
{
	if (subscriber->service != NULL && strcmp(subscriber->service, service->name) != 0)
		return false;
	for (size_t i = subscriber->told; i < subscriber->untold_count; i++)
		if (subscriber->untold[i] == service)
			return false;
	return true;
}

void
events_publish(struct events *events, const struct table_service *service, const struct upstream_event *event)
{
	json_t *object = events_object(service, event);
	struct subscriber *subscriber;

	json_object_del(events->lasts, service->name);
	json_object_set(events->lasts, service->name, object);
	if (json_object_size(events->lasts) > TABLE_SERVICES) /* of services that were removed the oldest goes */
		json_object_del(events->lasts, json_object_iter_key(json_object_iter(events->lasts)));
	LIST_FOREACH(subscriber, &events->subscribers, entry)
		if (subscriber_awaits(subscriber, service))
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

json_t *
events_get_last(const struct events *events, const struct table_service *service)
{
	json_t *last = json_object_get(events->lasts, service->name);

	return last == NULL ? events_from_history(service) : json_incref(last);
}

static bool
subscriber_tell_one(void *arg)
{
	struct subscriber *subscriber = arg;
	json_t *event;

	if (subscriber->told == subscriber->untold_count)
		return false;
	event = events_get_last(subscriber->events, subscriber->untold[subscriber->told++]);
	if (event != NULL)
		subscriber_tell(subscriber, event);
	return true;
}

void
events_subscribe(struct events *events, struct control_request *request, const char *service,
    const struct table_service **records, size_t count)
{
	struct subscriber *subscriber = mem_new(1, sizeof *subscriber);

	subscriber->request = request;
	subscriber->events = events;
	subscriber->service = mem_copy_text(service);
	subscriber->untold = records;
	subscriber->untold_count = count;
	LIST_INSERT_HEAD(&events->subscribers, subscriber, entry);
	control_on_cancel(request, subscriber_end, subscriber);
	control_on_drained(request, subscriber_drained, subscriber);
	loop_work_init(&subscriber->telling, events->loop, subscriber);
	loop_work_start(&subscriber->telling, subscriber_tell_one, NULL);
}
