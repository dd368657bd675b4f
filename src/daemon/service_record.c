/* The service's record in the table: found, or a free one; cleared; in which state. */
#include <string.h>

#include "daemon/service_parts.h"

struct table_service *
service_record(const struct service *service)
{
	return &service->table->services[service->index];
}

int
service_find_record(const struct table *table, const char *name)
{
	uint32_t used = table_services_used(table);
	int vacant = used < table->header->shape.services ? (int)used : -1;

	for (uint32_t i = used; i-- > 0;) {
		const struct table_service *record = &table->services[i];

		if (TABLE_STATE(record->word) == TABLE_LIVE && strcmp(record->name, name) == 0)
			return (int)i;
		if (TABLE_STATE(record->word) == TABLE_FREE)
			vacant = (int)i;
	}
	return vacant;
}

/* Records are used in order, so the first that never was used ends them: a word is never 0 again. */
void
service_set_state(struct table_service *record, enum table_state state)
{
	uint32_t generation = TABLE_GENERATION(record->word) + (state == TABLE_LIVE);

	table_barrier();
	record->word = generation << 8 | (uint32_t)state;
}

void
service_clear_record(struct table_service *record)
{
	uint32_t word = record->word;

	memset(record, 0, sizeof *record);
	record->word = word;
	record->listener_fd = -1;
}
