/* Requests of clients that have gone before anything was sent of them: they are not carried out. */
#include <string.h>

#include "base/peer_closed.h"
#include "client/shared_parts.h"
#include "keep/crash.h"

struct gone_sum {
	uint64_t entries, kept; /* requests */
	size_t bytes;           /* of the kept */
};

/* Nobody's is a heartbeat. */
static bool
gone_is_kept(const struct shared *shared, uint64_t i)
{
	uint64_t who = pending_at(shared->table, shared->record, i)->who;

	return who == TABLE_PENDING_NOBODY || pending_client(shared->table, who) != 0;
}

static size_t
gone_length(const struct shared *shared, uint64_t i)
{
	return (size_t)(pending_at(shared->table, shared->record, i)->end -
	    pending_begin(shared->table, shared->record, i));
}

static struct gone_sum
gone_count(const struct shared *shared)
{
	const struct table_shared *record = shared->record;
	struct gone_sum sum = { .entries = pending_count(record) };

	for (uint64_t i = record->pending_head; i != record->pending_tail; i++)
		if (gone_is_kept(shared, i)) {
			sum.kept++;
			sum.bytes += gone_length(shared, i);
		}
	return sum;
}

/* Those that are kept are copied behind all others, where they do not count yet (X2). */
static void
gone_copy(struct shared *shared, unsigned char *room)
{
	struct table *table = shared->table;
	const struct table_shared *record = shared->record;
	const unsigned char *bytes = ring_bytes(table, record->out);
	uint64_t next = record->pending_tail, end = record->out_end;
	size_t length;

	for (uint64_t i = record->pending_head; i != record->pending_tail; i++) {
		length = gone_length(shared, i);
		if (gone_is_kept(shared, i)) {
			memcpy(room, bytes, length);
			room += length;
			end += length;
			*pending_at(table, record, next++) =
			    (struct table_pending){ .who = pending_at(table, record, i)->who, .end = end };
		}
		bytes += length;
	}
}

/* Nothing of the queue was sent. */
static void
gone_drop(struct shared *shared)
{
	struct table_shared *record = shared->record;
	const struct gone_sum sum = gone_count(shared);
	unsigned char *room;
	struct redo redo;

	if (sum.kept == sum.entries || !shared_pending_room(shared, (uint32_t)sum.kept) ||
	    (room = shared_room(shared, &record->out, sum.bytes)) == NULL)
		return; /* without room they are carried out */
	gone_copy(shared, room);
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, shared->table);
	ring_redo(&redo, shared->table, record->out, ring_length(shared->table, record->out), sum.bytes);
	redo_add(&redo, (uint64_t *)(uintptr_t)&record->sent, record->out_end);
	redo_add(&redo, &record->out_end, record->out_end + sum.bytes);
	redo_add(&redo, &record->pending_head, record->pending_tail);
	redo_add(&redo, &record->pending_tail, record->pending_tail + sum.kept);
	redo_commit(&redo);
	ring_release(shared->table, shared_payer(shared), &record->out);
}

/* Who waits for replies, or for a place in the queue, may be gone though nothing has told of it. */
static void
gone_look(struct shared *shared)
{
	struct mux_client *mux_client;

	for (size_t i = 0; i < shared->mux_client_slots; i++) {
		mux_client = shared->members[i];
		if (mux_client != NULL && mux_client->client != NULL && mux_client_is_asking(mux_client) &&
		    peer_closed_has_come(mux_client_record(mux_client)->fd))
			client_is_over(mux_client->client, CLOSING_CLIENT);
	}
}

void
shared_forget_gone(struct shared *shared)
{
	uint64_t end;

	if (!shared->aborts || !shared_is_ordered(shared) || shared->fd == -1 ||
	    pending_begun(shared->table, shared->record, &end) > 0)
		return;
	gone_look(shared);
	if (pending_count(shared->record) > 0)
		gone_drop(shared);
}
