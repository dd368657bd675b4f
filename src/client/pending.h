/* pending.h - the queue of who is owed the next reply, in the table (X2, X3).
 *
 * One entry a request, in the order in which the upstream is given them; each knows where its request ends in the
 * stream of them.  Entries are numbered from pending_head to pending_tail.
 */
#ifndef HOLDFAST_CLIENT_PENDING_H
#define HOLDFAST_CLIENT_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/budget.h"
#include "keep/buffers.h"
#include "keep/table.h"

/* The word for a client: its slot and the generation that it has now. */
uint64_t pending_word(const struct table *table, uint32_t session);

/* The client's slot, if it is still the one that asked and is open; else 0. */
uint32_t pending_client(const struct table *table, uint64_t who);

/* Entries in all, and those that were given to the connection in use as a whole. */
static inline size_t
pending_count(const struct table_shared *shared)
{
	return (size_t)(shared->pending_tail - shared->pending_head);
}

size_t pending_sent(const struct table *table, const struct table_shared *shared);

/* Likewise those of which it was given at least a part; and where in the stream of requests the last of them ends. */
size_t pending_begun(const struct table *table, const struct table_shared *shared, uint64_t *ret_end);

/* Sees to room for so many entries more, at most 256; false if no buffer is free. */
bool pending_room(struct table *table, struct budget_payer payer, struct table_shared *shared, uint32_t entries);

/* Entry number i of the ring in this buffer.  Sizes are powers of two, so that numbers go on through the end of their
 * range. */
static inline struct table_pending *
pending_in(const struct table *table, uint32_t ring, uint64_t i)
{
	struct table_pending *entries = (struct table_pending *)(void *)buffers_bytes(table, ring);

	return &entries[i & (buffers_size(table, ring) / sizeof *entries - 1)];
}

/* Entry number i; beyond pending_tail it is there to be written. */
static inline struct table_pending *
pending_at(const struct table *table, const struct table_shared *shared, uint64_t i)
{
	return pending_in(table, shared->pending, i);
}

/* The offset where entry number i's request begins, for pending_head to pending_tail. */
uint64_t pending_begin(const struct table *table, const struct table_shared *shared, uint64_t i);

/* How many bytes the requests of the oldest count entries have, at least one; out begins with them. */
size_t pending_bytes(const struct table *table, const struct table_shared *shared, size_t count);

#endif
