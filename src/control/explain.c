#include "control/explain.h"

#include "base/clock.h"
#include "control/control.h"
#include "upstream/upstream.h"

static const struct table_event *
explain_entry_at(const struct table_service *service, uint64_t number)
{
	return &service->history[number % TABLE_HISTORY];
}

static uint64_t
explain_oldest(const struct table_service *service)
{
	uint64_t next = service->history_next;

	return next > TABLE_HISTORY ? next - TABLE_HISTORY : 0;
}

static json_t *
explain_entry(const struct table_event *entry)
{
	char time[CLOCK_TEXT_SIZE];

	clock_format(entry->wall, time);
	return json_pack("{s:s, s:s, s:o}", "time", time, "event",
	    upstream_event_name((enum upstream_event_kind)entry->kind),
	    "text", control_text(entry->text));
}

json_t *
explain_entries(const struct table_service *service)
{
	json_t *list = json_array();

	for (uint64_t i = explain_oldest(service); i < service->history_next; i++)
		json_array_append_new(list, explain_entry(explain_entry_at(service, i)));
	return list;
}

const struct table_event *
explain_last_event(const struct table_service *service)
{
	for (uint64_t i = service->history_next; i-- > explain_oldest(service);)
		if (explain_entry_at(service, i)->kind != UPSTREAM_NOTE)
			return explain_entry_at(service, i);
	return NULL;
}
