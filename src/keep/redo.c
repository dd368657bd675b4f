#include "keep/redo.h"

#include <assert.h>

#include "keep/crash.h"

void
redo_begin(struct redo *redo, struct table *table)
{
	redo->table = table;
	redo->count = 0;
}

void
redo_add(struct redo *redo, uint64_t *word, uint64_t value)
{
	struct table_redo *record = &redo->table->header->redo;

	assert(redo->count < TABLE_REDO);
	record->entry[redo->count].offset = (uint64_t)((unsigned char *)word - (unsigned char *)redo->table->header);
	record->entry[redo->count].value = value;
	redo->count++;
}

void
redo_commit(struct redo *redo)
{
	table_barrier();
	redo->table->header->redo.count = redo->count;
	CRASH_POINT(REDO_COMMITTED);
	redo_replay(redo->table);
}

void
redo_replay(struct table *table)
{
	struct table_redo *record = &table->header->redo;
	uint32_t count = record->count;

	for (uint32_t i = 0; i < count && i < TABLE_REDO; i++)
		*(uint64_t *)(void *)((unsigned char *)table->header + record->entry[i].offset) =
		    record->entry[i].value;
	table_barrier();
	record->count = 0;
}
