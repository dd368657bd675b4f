#include "client/pending.h"

#include "client/ring.h"
#include "keep/crash.h"

uint64_t
pending_word(const struct table *table, uint32_t session)
{
	return (uint64_t)TABLE_GENERATION(table->clients[session].word) << 32 | session;
}

uint32_t
pending_client(const struct table *table, uint64_t who)
{
	uint32_t session = (uint32_t)who;

	if (who == TABLE_PENDING_NOBODY || table_client_state(table, session) != TABLE_LIVE ||
	    pending_word(table, session) != who)
		return 0;
	return session;
}

static size_t
pending_capacity(const struct table *table, const struct table_shared *shared)
{
	return shared->pending == 0 ? 0 : buffers_size(table, shared->pending) / sizeof(struct table_pending);
}

bool
pending_room(struct table *table, struct budget_payer payer, struct table_shared *shared, uint32_t entries)
{
	uint32_t old = shared->pending, new;
	size_t wanted = (pending_count(shared) + entries) * sizeof(struct table_pending);

	if (pending_count(shared) + entries <= pending_capacity(table, shared))
		return true;
	if (wanted > buffers_largest() || (new = buffers_claim(table, payer, wanted)) == 0)
		return false;
	for (uint64_t i = shared->pending_head; i != shared->pending_tail; i++)
		*pending_in(table, new, i) = *pending_in(table, old, i);
	CRASH_POINT(RING_COPIED);
	table_barrier();
	shared->pending = new;
	table_barrier();
	if (old != 0)
		buffers_free(table, payer, old);
	return true;
}

uint64_t
pending_begin(const struct table *table, const struct table_shared *shared, uint64_t i)
{
	if (i == shared->pending_head)
		return shared->out_end - ring_length(table, shared->out);
	return pending_at(table, shared, i - 1)->end;
}

size_t
pending_bytes(const struct table *table, const struct table_shared *shared, size_t count)
{
	uint64_t end = pending_at(table, shared, shared->pending_head + count - 1)->end;

	return (size_t)(end - pending_begin(table, shared, shared->pending_head));
}

/* Ends rise with the numbers. */
size_t
pending_sent(const struct table *table, const struct table_shared *shared)
{
	uint64_t low = shared->pending_head, high = shared->pending_tail, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (pending_at(table, shared, middle)->end <= shared->sent)
			low = middle + 1;
		else
			high = middle;
	}
	return (size_t)(low - shared->pending_head);
}

size_t
pending_begun(const struct table *table, const struct table_shared *shared, uint64_t *ret_end)
{
	size_t sent = pending_sent(table, shared);

	*ret_end = shared->sent;
	if (sent == pending_count(shared) || pending_begin(table, shared,
	    shared->pending_head + sent) == shared->sent)
		return sent;
	*ret_end = pending_at(table, shared, shared->pending_head + sent)->end;
	return sent + 1;
}
