#include "client/ring.h"

#include <string.h>

#include "keep/crash.h"

/* To a buffer that has room for want bytes behind those that are there. */
static bool
ring_move(struct table *table, struct budget_payer payer, volatile uint32_t *name, size_t want)
{
	uint32_t old = *name, new;
	size_t length = ring_length(table, old);

	if (length + want > buffers_largest() || (new = buffers_claim(table, payer, length + want)) == 0)
		return false;
	if (length > 0)
		memcpy(buffers_bytes(table, new), ring_bytes(table, old), length);
	table->buffers[new].tail = (uint32_t)length;
	CRASH_POINT(RING_COPIED);
	table_barrier();
	*name = new;
	table_barrier();
	CRASH_POINT(RING_RENAMED);
	if (old != 0)
		buffers_free(table, payer, old);
	return true;
}

unsigned char *
ring_room(struct table *table, struct budget_payer payer, volatile uint32_t *name, size_t want)
{
	if ((*name == 0 || ring_spare(table, *name) < want) && !ring_move(table, payer, name, want))
		return NULL;
	return buffers_bytes(table, *name) + table->buffers[*name].tail;
}

void
ring_redo(struct redo *redo, struct table *table, uint32_t name, size_t gone, size_t come)
{
	struct table_buffer *buffer = &table->buffers[name];
	uint32_t ends[2] = { buffer->head + (uint32_t)gone, buffer->tail + (uint32_t)come };
	uint64_t word;

	_Static_assert(sizeof *buffer == sizeof word && sizeof ends == sizeof word, "both ends are one word");
	memcpy(&word, ends, sizeof word);
	redo_add(redo, (uint64_t *)(void *)buffer, word);
}

void
ring_take(struct table *table, uint32_t name, size_t gone)
{
	table->buffers[name].head += (uint32_t)gone;
}

void
ring_drop(struct table *table, struct budget_payer payer, volatile uint32_t *name)
{
	uint32_t old = *name;

	if (old == 0)
		return;
	*name = 0;
	CRASH_POINT(RING_UNNAMED);
	buffers_free(table, payer, old);
}

void
ring_release(struct table *table, struct budget_payer payer, volatile uint32_t *name)
{
	if (*name != 0 && ring_length(table, *name) == 0)
		ring_drop(table, payer, name);
}
