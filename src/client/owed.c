#include "client/owed.h"

#include "client/flow.h"
#include "keep/crash.h"

uint64_t
owed_word(const struct table *table, uint32_t session)
{
	return (uint64_t)TABLE_GENERATION(table->clients[session].word) << 32 | session;
}

uint32_t
owed_client(const struct table *table, uint64_t who)
{
	uint32_t session = (uint32_t)who;

	if (who == TABLE_OWED_NOBODY || table_client_state(table, session) != TABLE_LIVE ||
	    owed_word(table, session) != who)
		return 0;
	return session;
}

static size_t
owed_capacity(const struct table *table, const struct table_shared *shared)
{
	return shared->owed == 0 ? 0 : buffers_size(table, shared->owed) / sizeof(struct table_owed);
}

bool
owed_room(struct table *table, struct budget_payer payer, struct table_shared *shared, uint32_t entries)
{
	uint32_t old = shared->owed, new;
	size_t wanted = (owed_count(shared) + entries) * sizeof(struct table_owed);

	if (owed_count(shared) + entries <= owed_capacity(table, shared))
		return true;
	if (wanted > buffers_largest() || (new = buffers_claim(table, payer, wanted)) == 0)
		return false;
	for (uint64_t i = shared->owed_head; i != shared->owed_tail; i++)
		*owed_in(table, new, i) = *owed_in(table, old, i);
	CRASH_POINT(FLOW_COPIED);
	table_barrier();
	shared->owed = new;
	table_barrier();
	if (old != 0)
		buffers_free(table, payer, old);
	return true;
}

uint64_t
owed_begin(const struct table *table, const struct table_shared *shared, uint64_t i)
{
	if (i == shared->owed_head)
		return shared->out_end - flow_length(table, shared->out);
	return owed_at(table, shared, i - 1)->end;
}

size_t
owed_bytes(const struct table *table, const struct table_shared *shared, size_t count)
{
	uint64_t end = owed_at(table, shared, shared->owed_head + count - 1)->end;

	return (size_t)(end - owed_begin(table, shared, shared->owed_head));
}

/* Ends rise with the numbers. */
size_t
owed_sent(const struct table *table, const struct table_shared *shared)
{
	uint64_t low = shared->owed_head, high = shared->owed_tail, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (owed_at(table, shared, middle)->end <= shared->sent)
			low = middle + 1;
		else
			high = middle;
	}
	return (size_t)(low - shared->owed_head);
}

size_t
owed_begun(const struct table *table, const struct table_shared *shared, uint64_t *ret_end)
{
	size_t sent = owed_sent(table, shared);

	*ret_end = shared->sent;
	if (sent == owed_count(shared) || owed_begin(table, shared, shared->owed_head + sent) == shared->sent)
		return sent;
	*ret_end = owed_at(table, shared, shared->owed_head + sent)->end;
	return sent + 1;
}
