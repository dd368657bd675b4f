#include "client/mux_queue.h"

#include <string.h>

#include "client/label.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/redo.h"

/* Entry number i, counted from the first that there ever was, of the ring in this buffer.  Sizes are powers of two,
 * so that numbers go on through the end of their range. */
static struct table_pending *
queue_entry_in(const struct table *table, uint32_t ring, uint64_t i)
{
	struct table_pending *entries = (struct table_pending *)(void *)buffers_bytes(table, ring);

	return &entries[i & (buffers_size(table, ring) / sizeof *entries - 1)];
}

struct table_pending *
mux_queue_place(const struct mux_queue *queue, uint64_t number)
{
	return queue_entry_in(queue->table, queue->record->pending, number);
}

const struct table_pending *
mux_queue_at(const struct mux_queue *queue, uint64_t i)
{
	return mux_queue_place(queue, queue->record->pending_head + i);
}

uint64_t
mux_queue_word(const struct table *table, uint32_t client)
{
	return (uint64_t)TABLE_GENERATION(table->clients[client].word) << 32 | client;
}

uint32_t
mux_queue_client(const struct mux_queue *queue, uint64_t who)
{
	uint64_t word = who & ~(UINT64_C(15) << TABLE_PENDING_SILENCE);
	uint32_t client = (uint32_t)word;

	if (who == TABLE_PENDING_NOBODY || who >= TABLE_PENDING_KEPT || client >= queue->table->shape.files ||
	    table_client_state(queue->table, client) != TABLE_LIVE ||
	    mux_queue_word(queue->table, client) != word)
		return 0;
	return client;
}

bool
mux_queue_has_others(const struct mux_queue *queue)
{
	uint64_t oldest = mux_queue_count(queue) == 0 ? 0 : mux_queue_at(queue, 0)->who, who;

	for (size_t i = mux_queue_count(queue); i-- > 1;) { /* most often the newest is one */
		who = mux_queue_at(queue, i)->who;
		if (who != oldest && mux_queue_client(queue, who) != 0)
			return true;
	}
	return false;
}

uint64_t
mux_queue_end(const struct mux_queue *queue, size_t count)
{
	if (count == 0)
		return queue->record->out_end - ring_length(queue->table, queue->record->out);
	return mux_queue_at(queue, count - 1)->end;
}

/* Ends rise with the numbers. */
size_t
mux_queue_sent(const struct mux_queue *queue)
{
	size_t low = 0, high = mux_queue_count(queue), middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (mux_queue_at(queue, middle)->end <= queue->record->sent)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
mux_queue_begun(const struct mux_queue *queue, uint64_t *ret_end)
{
	size_t sent = mux_queue_sent(queue);

	*ret_end = queue->record->sent;
	if (sent == mux_queue_count(queue) || mux_queue_end(queue, sent) == queue->record->sent)
		return sent;
	*ret_end = mux_queue_end(queue, sent + 1);
	return sent + 1;
}

/* Sees to room for so many entries more: copied to a larger ring, which is then named in one store. */
static bool
queue_make_room(struct mux_queue *queue, uint32_t count)
{
	struct table_shared *record = queue->record;
	uint32_t old = record->pending, new;
	size_t capacity = old == 0 ? 0 : buffers_size(queue->table, old) / sizeof(struct table_pending);
	size_t wanted = mux_queue_count(queue) + count;

	if (wanted <= capacity)
		return true;
	wanted *= sizeof(struct table_pending);
	if (wanted > buffers_largest() || (new = buffers_claim(queue->table, mux_queue_payer(queue), wanted)) == 0)
		return false;
	for (uint64_t i = record->pending_head; i != record->pending_tail; i++)
		*queue_entry_in(queue->table, new, i) = *queue_entry_in(queue->table, old, i);
	CRASH_POINT(RING_COPIED);
	table_barrier();
	record->pending = new;
	table_barrier();
	if (old != 0)
		buffers_free(queue->table, mux_queue_payer(queue), old);
	return true;
}

/* Where so many bytes may be written.  A long queue gets a buffer with more room than that: it moves to another one
 * each time that there is none behind it. */
static unsigned char *
queue_place(struct mux_queue *queue, size_t bytes)
{
	volatile uint32_t *name = &queue->record->out;
	size_t length = ring_length(queue->table, *name), more = length > TABLE_BUFFER_SIZE ? length / 8 : 0;
	unsigned char *place = NULL;

	if (ring_spare(queue->table, *name) < bytes && length + bytes + more <= buffers_largest())
		place = ring_room(queue->table, mux_queue_payer(queue), name, bytes + more);
	return place != NULL ? place : ring_room(queue->table, mux_queue_payer(queue), name, bytes);
}

unsigned char *
mux_queue_room(struct mux_queue *queue, uint32_t count, size_t bytes)
{
	return queue_make_room(queue, count) ? queue_place(queue, bytes) : NULL;
}

/* As much of a buffer as does not have it moved all the time. */
size_t
mux_queue_memory(const struct mux_queue *queue)
{
	const struct budget_payer payer = { .service = queue->service };
	const struct budget *budget = queue->table->budget;
	size_t size = queue->record->out == 0 ? TABLE_BUFFER_SIZE : buffers_size(queue->table, queue->record->out);

	if (budget_most(budget) == 0)
		return SIZE_MAX;
	while (size < buffers_largest() && budget_permits(budget, payer, 4 * size))
		size *= 4;
	return size / 4 * 3;
}

/* The oldest count requests are done with; out begins with their bytes. */
static void
queue_redo_done(struct redo *redo, struct mux_queue *queue, size_t count)
{
	size_t bytes = (size_t)(mux_queue_end(queue, count) - mux_queue_end(queue, 0));

	ring_redo(redo, queue->table, queue->record->out, bytes, 0);
	redo_more(redo, &queue->record->pending_head, count);
}

static void
queue_redo_sent(struct redo *redo, struct mux_queue *queue, uint64_t sent)
{
	redo_add(redo, (uint64_t *)(uintptr_t)&queue->record->sent, sent);
}

/* The record's flags are a part of a word of the table. */
static void
queue_redo_change(struct redo *redo, struct mux_queue *queue, uint32_t index, const struct mux_queue_change *change)
{
	enum { BEGIN = offsetof(struct table_client, conn) };
	struct table_client *client = &queue->table->clients[index];
	struct { uint32_t conn; uint16_t service, flags; } part = { client->conn, client->service,
		client->flags ^ change->flip };
	uint64_t word;

	_Static_assert(sizeof part == sizeof word && BEGIN % sizeof word == 0 &&
	    offsetof(struct table_client, service) == BEGIN + 4 &&
	    offsetof(struct table_client, flags) == BEGIN + 6, "the flags and their neighbours are one word");
	if (change->label != NULL)
		label_redo(redo, queue->table, index, change->label, &part.flags);
	memcpy(&word, &part, sizeof word);
	redo_add(redo, (uint64_t *)(void *)((unsigned char *)client + BEGIN), word);
}

void
mux_queue_ask(struct mux_queue *queue, uint32_t client, size_t taken, const size_t *end, uint32_t count,
    const struct mux_queue_change *change)
{
	struct table_shared *record = queue->record;
	uint64_t who = client == 0 ? TABLE_PENDING_NOBODY : mux_queue_word(queue->table, client);
	struct redo redo;

	if (change != NULL)
		who |= (uint64_t)change->silence << TABLE_PENDING_SILENCE;
	for (uint32_t i = 0; i < count; i++)
		*mux_queue_place(queue, record->pending_tail + i) =
		    (struct table_pending){ .who = who, .end = record->out_end + end[i] };
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->out, 0, end[count - 1]);
	redo_more(&redo, &record->out_end, end[count - 1]);
	redo_more(&redo, &record->pending_tail, count);
	if (client != 0) {
		ring_redo(&redo, queue->table, *mux_queue_said(queue, client), taken, 0);
		redo_more(&redo, &record->messages[TABLE_UP], count);
		redo_more(&redo, &queue->table->clients[client].bytes[TABLE_UP], taken);
	}
	if (change != NULL)
		queue_redo_change(&redo, queue, client, change);
	redo_commit(&redo);
	CRASH_POINT(SHARED_ASKED);
}

/* Writes what the client is to be told, behind what counts.  false: there is no memory for it. */
static bool
queue_write(struct mux_queue *queue, uint32_t client, const void *text, size_t length)
{
	unsigned char *room = ring_room(queue->table, mux_queue_payer(queue), mux_queue_told(queue, client), length);

	if (room == NULL)
		return false;
	memcpy(room, text, length);
	return true;
}

bool
mux_queue_answer_here(struct mux_queue *queue, uint32_t client, const struct mux_queue_answer *answer)
{
	struct redo redo;

	if (answer->length > 0 && !queue_write(queue, client, answer->text, answer->length))
		return false;
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, *mux_queue_said(queue, client), answer->taken, 0);
	if (answer->length > 0)
		ring_redo(&redo, queue->table, *mux_queue_told(queue, client), 0, answer->length);
	queue_redo_change(&redo, queue, client, &answer->change);
	redo_more(&redo, &queue->record->lost, answer->lost);
	redo_more(&redo, &queue->record->dropped, answer->dropped);
	redo_more(&redo, &queue->record->unfinished, answer->unfinished);
	redo_commit(&redo);
	CRASH_POINT(SHARED_ANSWERED_HERE);
	return true;
}

/* The bytes at the head of what came, which were written for the client, are its, and the oldest count requests are
 * done with. */
static void
queue_redo_answer(struct redo *redo, struct mux_queue *queue, uint32_t client, uint32_t count, size_t bytes)
{
	ring_redo(redo, queue->table, queue->record->in, bytes, 0);
	queue_redo_done(redo, queue, count);
	if (client == 0)
		return;
	ring_redo(redo, queue->table, *mux_queue_told(queue, client), 0, bytes);
	redo_more(redo, &queue->record->messages[TABLE_DOWN], count);
}

bool
mux_queue_answer(struct mux_queue *queue, uint32_t client, uint32_t count, size_t bytes)
{
	struct redo redo;

	if (client != 0 && !queue_write(queue, client, ring_bytes(queue->table, queue->record->in), bytes))
		return false;
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	queue_redo_answer(&redo, queue, client, count, bytes);
	redo_commit(&redo);
	CRASH_POINT(SHARED_ANSWERED);
	ring_release(queue->table, mux_queue_payer(queue), &queue->record->out);
	return true;
}

bool
mux_queue_pass(struct mux_queue *queue, uint32_t client, size_t bytes, bool whole)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	if (client != 0 && !queue_write(queue, client, ring_bytes(queue->table, record->in), bytes))
		return false;
	CRASH_POINT(STREAM_COPIED);
	redo_begin(&redo, queue->table);
	queue_redo_answer(&redo, queue, client, whole, bytes);
	redo_more(&redo, &record->stream_place, 1);
	redo_add(&redo, &record->streamed, whole ? 0 : record->streamed + bytes);
	redo_commit(&redo);
	CRASH_POINT(STREAM_PASSED);
	ring_release(queue->table, mux_queue_payer(queue), &record->out);
	return true;
}

bool
mux_queue_fail(struct mux_queue *queue, uint32_t client, const char *text, size_t length)
{
	struct table_shared *record = queue->record;
	const struct table_pending *entry = mux_queue_at(queue, 0);
	struct redo redo;

	if (client != 0 && !queue_write(queue, client, text, length))
		return false;
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	if (client != 0)
		ring_redo(&redo, queue->table, *mux_queue_told(queue, client), 0, length);
	queue_redo_done(&redo, queue, 1);
	redo_more(&redo, &record->lost, entry->who != TABLE_PENDING_NOBODY);
	redo_add(&redo, &record->streamed, 0);
	if (record->sent < entry->end) /* it is not to be sent any more */
		queue_redo_sent(&redo, queue, entry->end);
	redo_commit(&redo);
	return true;
}

/* The last of the oldest count requests that came from the spool is acknowledged, and all before it; with the last of
 * all, all that were read. */
static void
queue_redo_acknowledged(struct redo *redo, struct mux_queue *queue, size_t count)
{
	if (queue->record->spool_identity == 0)
		return;
	if (count == mux_queue_count(queue)) {
		redo_add(redo, &queue->record->spool_acknowledged, queue->record->spool_read);
		return;
	}
	while (count-- > 0) {
		uint64_t who = mux_queue_at(queue, count)->who;

		if (!(who & TABLE_PENDING_SPOOLED))
			continue;
		redo_add(redo, &queue->record->spool_acknowledged, (who & ~TABLE_PENDING_SPOOLED) + 1);
		return;
	}
}

bool
mux_queue_retire(struct mux_queue *queue, uint64_t acknowledged)
{
	size_t count = 0;
	struct redo redo;

	while (count < mux_queue_count(queue) && mux_queue_at(queue, count)->end <= acknowledged)
		count++;
	if (count == 0)
		return false;
	redo_begin(&redo, queue->table);
	queue_redo_acknowledged(&redo, queue, count);
	queue_redo_done(&redo, queue, count);
	redo_commit(&redo);
	ring_release(queue->table, mux_queue_payer(queue), &queue->record->out);
	if (mux_queue_count(queue) == 0 && buffers_size(queue->table, queue->record->pending) > TABLE_BUFFER_SIZE)
		ring_drop(queue->table, mux_queue_payer(queue), &queue->record->pending);
	return true;
}

/* Requests that are dropped: count of them, behind so many that stay. */
struct queue_drop {
	size_t before, count;
	size_t bytes, bytes_before;
};

size_t
mux_queue_droppable(const struct mux_queue *queue)
{
	uint64_t end;
	size_t begun = mux_queue_begun(queue, &end);

	return (size_t)(queue->record->out_end - end) + (mux_queue_count(queue) - begun) * MUX_QUEUE_ENTRY;
}

static struct queue_drop
queue_choose_drop(const struct mux_queue *queue, size_t need)
{
	struct queue_drop drop = { 0 };
	uint64_t end;

	drop.before = mux_queue_begun(queue, &end);
	drop.bytes_before = (size_t)(end - mux_queue_end(queue, 0));
	while (drop.before + drop.count < mux_queue_count(queue)) {
		if (drop.bytes + drop.count * MUX_QUEUE_ENTRY >= need && drop.bytes >= drop.bytes_before &&
		    drop.count >= drop.before)
			break;
		if (mux_queue_at(queue, drop.before + drop.count)->who == TABLE_PENDING_NOBODY)
			break;
		drop.count++;
		drop.bytes = (size_t)(mux_queue_end(queue, drop.before + drop.count) - end);
	}
	return drop;
}

/* Nothing is before them, or nothing behind them. */
static void
queue_drop_at_end(struct mux_queue *queue, const struct queue_drop *drop)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	redo_begin(&redo, queue->table);
	redo_more(&redo, &record->dropped, drop->count);
	if (drop->before == 0) {
		queue_redo_sent(&redo, queue, record->sent + drop->bytes);
		queue_redo_done(&redo, queue, drop->count);
	} else {
		ring_redo(&redo, queue->table, record->out, 0, (size_t)0 - drop->bytes);
		redo_add(&redo, &record->out_end, record->out_end - drop->bytes);
		redo_add(&redo, &record->pending_tail, record->pending_tail - drop->count);
	}
	redo_commit(&redo);
	CRASH_POINT(SHARED_DROPPED);
}

/* They count as dropped first; what is before them moves up to where they were then. */
static void
queue_drop_within(struct mux_queue *queue, const struct queue_drop *drop)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	redo_begin(&redo, queue->table);
	redo_more(&redo, &record->dropped, drop->count);
	redo_add(&redo, &record->gap_before, drop->before);
	redo_add(&redo, &record->gap_bytes, drop->bytes);
	redo_add(&redo, &record->gap_count, drop->count);
	redo_commit(&redo);
	CRASH_POINT(SHARED_GAP);
	mux_queue_finish_drop(queue);
}

/* What is read here is not where it is written: the gap is at least as long.  So it can be done again. */
void
mux_queue_finish_drop(struct mux_queue *queue)
{
	struct table_shared *record = queue->record;
	uint64_t count = record->gap_count, bytes = record->gap_bytes;
	unsigned char *first = ring_bytes(queue->table, record->out);
	struct table_pending entry;
	struct redo redo;

	if (count == 0)
		return;
	memcpy(first + bytes, first, (size_t)(mux_queue_end(queue, (size_t)record->gap_before) -
	    mux_queue_end(queue, 0)));
	for (uint64_t i = 0; i < record->gap_before; i++) {
		entry = *mux_queue_at(queue, i);
		entry.end += bytes;
		*mux_queue_place(queue, record->pending_head + count + i) = entry;
	}
	CRASH_POINT(SHARED_MOVED_UP);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->out, (size_t)bytes, 0);
	redo_more(&redo, &record->pending_head, count);
	queue_redo_sent(&redo, queue, record->sent + bytes);
	redo_more(&redo, &record->stuck_at, record->stuck_at == record->pending_head ? count : 0);
	redo_add(&redo, &record->gap_count, 0);
	redo_commit(&redo);
	CRASH_POINT(SHARED_DROPPED);
}

bool
mux_queue_drop_oldest(struct mux_queue *queue, size_t need)
{
	struct queue_drop drop = queue_choose_drop(queue, need);
	bool last = drop.before + drop.count == mux_queue_count(queue);

	if (drop.count == 0 || drop.bytes + drop.count * MUX_QUEUE_ENTRY < need)
		return false;
	if (drop.before == 0 || last)
		queue_drop_at_end(queue, &drop);
	else if (drop.bytes >= drop.bytes_before && drop.count >= drop.before)
		queue_drop_within(queue, &drop);
	else
		return false;
	return true;
}

/* Nobody's is a heartbeat. */
static bool
queue_is_kept(const struct mux_queue *queue, uint64_t i)
{
	uint64_t who = mux_queue_at(queue, i)->who;

	return who == TABLE_PENDING_NOBODY || mux_queue_client(queue, who) != 0;
}

/* How many requests are kept, and their bytes. */
static size_t
queue_count_kept(const struct mux_queue *queue, size_t *ret_bytes)
{
	size_t kept = 0;

	*ret_bytes = 0;
	for (size_t i = 0; i < mux_queue_count(queue); i++)
		if (queue_is_kept(queue, i)) {
			kept++;
			*ret_bytes += (size_t)(mux_queue_end(queue, i + 1) - mux_queue_end(queue, i));
		}
	return kept;
}

/* Those that are kept are copied behind all others, where they do not count yet (X2). */
static void
queue_copy_kept(struct mux_queue *queue, unsigned char *room)
{
	const struct table_shared *record = queue->record;
	const unsigned char *bytes = ring_bytes(queue->table, record->out);
	uint64_t next = record->pending_tail, end = record->out_end;
	size_t length;

	for (size_t i = 0; i < mux_queue_count(queue); i++, bytes += length) {
		length = (size_t)(mux_queue_end(queue, i + 1) - mux_queue_end(queue, i));
		if (!queue_is_kept(queue, i))
			continue;
		memcpy(room, bytes, length);
		room += length;
		end += length;
		*mux_queue_place(queue, next++) =
		    (struct table_pending){ .who = mux_queue_at(queue, i)->who, .end = end };
	}
}

void
mux_queue_forget_gone(struct mux_queue *queue)
{
	struct table_shared *record = queue->record;
	size_t count = mux_queue_count(queue), bytes, kept = queue_count_kept(queue, &bytes);
	unsigned char *room;
	struct redo redo;

	if (kept == count || (room = mux_queue_room(queue, (uint32_t)kept, bytes)) == NULL)
		return; /* without room they are carried out */
	queue_copy_kept(queue, room);
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->out, ring_length(queue->table, record->out), bytes);
	queue_redo_sent(&redo, queue, record->out_end);
	redo_more(&redo, &record->out_end, bytes);
	redo_more(&redo, &record->pending_head, count);
	redo_more(&redo, &record->pending_tail, kept);
	redo_commit(&redo);
	ring_release(queue->table, mux_queue_payer(queue), &record->out);
}

void
mux_queue_settle(struct mux_queue *queue)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	CRASH_POINT(SHARED_SETTLED);
	redo_begin(&redo, queue->table);
	redo_more(&redo, &record->retried, mux_queue_sent(queue));
	queue_redo_sent(&redo, queue, mux_queue_end(queue, 0));
	redo_add(&redo, &record->broadcast_slot, 0);
	redo_commit(&redo);
	record->upstream = 0;
	CRASH_POINT(SHARED_UNNAMED);
	ring_release(queue->table, mux_queue_payer(queue), &record->out);
}

void
mux_queue_broadcast_begin(struct mux_queue *queue, size_t bytes, uint64_t messages)
{
	queue->record->broadcast_length = bytes;
	queue->record->broadcast_messages = messages;
	table_barrier();
	queue->record->broadcast_slot = 1;
	table_barrier();
}

bool
mux_queue_broadcast_to(struct mux_queue *queue, uint32_t client)
{
	struct table_shared *record = queue->record;
	size_t bytes = (size_t)record->broadcast_length;
	struct redo redo;

	if (!queue_write(queue, client, ring_bytes(queue->table, record->in), bytes))
		return false;
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, *mux_queue_told(queue, client), 0, bytes);
	redo_add(&redo, &record->broadcast_slot, client + UINT64_C(1));
	redo_more(&redo, &record->messages[TABLE_DOWN], record->broadcast_messages);
	redo_commit(&redo);
	CRASH_POINT(SHARED_BROADCAST);
	return true;
}

void
mux_queue_broadcast_end(struct mux_queue *queue)
{
	struct redo redo;

	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, queue->record->in, (size_t)queue->record->broadcast_length, 0);
	redo_add(&redo, &queue->record->broadcast_slot, 0);
	redo_commit(&redo);
}

void
mux_queue_drop(struct mux_queue *queue)
{
	queue->record->gap_count = 0;
	queue->record->pending_head = queue->record->pending_tail;
	ring_drop(queue->table, mux_queue_payer(queue), &queue->record->out);
	ring_drop(queue->table, mux_queue_payer(queue), &queue->record->pending);
	ring_drop(queue->table, mux_queue_payer(queue), &queue->record->spool);
}
