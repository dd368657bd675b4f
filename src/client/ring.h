/* ring.h - bytes in the table that come at one end and go at the other, in a buffer that a record names.
 *
 * The buffer grows as needed, and the bytes move to the start of another one when there is no room behind them:
 * copied first, then named in one store, so that a death loses nothing.  Bytes that are written behind the end count
 * only when a redo record has moved it (X2).  An empty flow needs no buffer.
 */
#ifndef HOLDFAST_CLIENT_RING_H
#define HOLDFAST_CLIENT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/budget.h"
#include "keep/buffers.h"
#include "keep/redo.h"
#include "keep/table.h"

/* name is the word of a record that names the buffer; 0: none. */
static inline size_t
ring_length(const struct table *table, uint32_t name)
{
	return name == 0 ? 0 : table->buffers[name].tail - table->buffers[name].head;
}

/* The first byte; of no meaning while the flow is empty. */
static inline unsigned char *
ring_bytes(const struct table *table, uint32_t name)
{
	return name == 0 ? NULL : buffers_bytes(table, name) + table->buffers[name].head;
}

/* How many bytes there is room for behind the last one, as it is. */
static inline size_t
ring_spare(const struct table *table, uint32_t name)
{
	return name == 0 ? 0 : buffers_size(table, name) - table->buffers[name].tail;
}

/* Where want more bytes may be written; NULL if no buffer is free, or permitted now.  A flow has one payer for
 * good. */
unsigned char *ring_room(struct table *table, struct budget_payer payer, volatile uint32_t *name, size_t want);

/* Adds to the redo that so many bytes are gone from the start and so many have come at the end; there must be a
 * buffer. */
void ring_redo(struct redo *redo, struct table *table, uint32_t name, size_t gone, size_t come);

/* So many bytes are gone from the start, at once. */
void ring_take(struct table *table, uint32_t name, size_t gone);

/* Gives the buffer back if it is empty; or whatever it holds. */
void ring_release(struct table *table, struct budget_payer payer, volatile uint32_t *name);
void ring_drop(struct table *table, struct budget_payer payer, volatile uint32_t *name);

#endif
