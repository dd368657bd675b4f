#include "upstream/record.h"

#include <string.h>

#include "base/clock.h"
#include "keep/crash.h"
#include "keep/recover.h"

void
record_commit(struct upstream_record *record)
{
	CRASH_POINT(UPSTREAM_STEPPED);
	table_barrier();
	record->current = 1 - (record->current & 1);
	table_barrier();
	CRASH_POINT(UPSTREAM_COMMITTED);
}

/* Endpoints that never were get no memory. */
void
record_clear(struct upstream_record *record)
{
	uint32_t high = record->endpoints.high;

	record->begun = 0;
	table_barrier();
	memset(record->place, 0, offsetof(struct upstream_record, endpoints) - offsetof(struct upstream_record,
	    place));
	memset(&record->endpoints, 0, offsetof(struct endpoints, list) + high * sizeof record->endpoints.list[0]);
}

void
record_text(char *place, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (place == text)
		return;
	if (length >= size)
		length = size - 1;
	memmove(place, text, length);
	place[length] = '\0';
}

const char *
record_closed_error(const struct upstream_record *record)
{
	return record_pconn(record)->ending == PCONN_END_ABORT ? record->abort_error : "persistent connection closed";
}

void
record_count_open(struct table *table, uint16_t service, struct endpoints *e)
{
	uint16_t numbers[ENDPOINTS_MAX] = { 0 };

	for (uint32_t i = 0; i < e->high; i++)
		numbers[i] = e->list[i].number;
	table_name_endpoints(table, service, numbers, clock_now());
	for (uint32_t i = 0; i < e->high; i++)
		e->list[i].open = numbers[i] == 0 ? 0 : table_conns_open(table, service, numbers[i]);
}

void
record_address(const struct upstream_record *record, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct endpoint *endpoint = endpoints_find(&record->endpoints, number);
	struct address address;

	ret_text[0] = '\0';
	if (endpoint == NULL)
		return;
	endpoint_address(endpoint, &address);
	address_format(&address, ret_text);
}

void
record_forget(struct table *table, uint16_t service)
{
	for (uint32_t i = table_conn_next(table, service, 0), next; i != 0; i = next) {
		next = table_conn_next(table, service, i);
		if (!table_conn_is_shared(table, i) && !table_conn_is_taken(table, i))
			table_conn_close(table, i);
	}
	recover_end_programs_of(&table->services[service]);
	memset(table->services[service].upstream, 0, sizeof table->services[service].upstream);
}
