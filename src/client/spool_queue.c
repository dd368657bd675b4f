#include "client/spool_queue.h"

#include <string.h>

#include "base/mem.h"
#include "client/spool_segment.h"
#include "keep/crash.h"

/* Messages that go to the queue in one change, and bytes that it takes at most, but for one that is longer. */
#define LOAD_RUN   256
#define LOAD_BYTES (4u << 20)
#define LOAD_COUNT 32768u

unsigned char *
spool_queue_room(struct mux_queue *queue, uint32_t count, size_t bytes)
{
	return ring_room(queue->table, mux_queue_payer(queue), &queue->record->spool, bytes + count * SPOOL_RECORD);
}

void
spool_queue_put(struct mux_queue *queue, uint32_t client, size_t taken, const size_t *end, uint32_t count)
{
	struct table_shared *record = queue->record;
	struct table_client *from = &queue->table->clients[client];
	unsigned char *at = buffers_bytes(queue->table, record->spool) + queue->table->buffers[record->spool].tail;
	struct redo redo;
	size_t begin = 0;

	for (uint32_t i = 0; i < count; i++) {
		spool_record_begin(at, end[i] - begin);
		at += SPOOL_RECORD + end[i] - begin;
		begin = end[i];
	}
	CRASH_POINT(SPOOL_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->spool, 0, begin + count * SPOOL_RECORD);
	redo_more(&redo, &record->spool_next, count);
	ring_redo(&redo, queue->table, *mux_queue_said(queue, client), taken, 0);
	redo_more(&redo, &record->messages[TABLE_UP], count);
	redo_more(&redo, &from->bytes[TABLE_UP], taken);
	redo_commit(&redo);
	CRASH_POINT(SPOOL_ASKED);
}

/* The oldest of those that wait are done with.  dropped: those before them on the disk are not known to be read. */
static void
queue_leave(struct mux_queue *queue, uint32_t count, size_t bytes, bool dropped)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->spool, bytes, 0);
	if (dropped && record->spool_acknowledged == record->spool_written)
		redo_more(&redo, &record->spool_acknowledged, count);
	if (dropped && record->spool_read == record->spool_written)
		redo_more(&redo, &record->spool_read, count);
	redo_more(&redo, &record->spool_written, count);
	redo_more(&redo, &record->dropped, dropped ? count : 0);
	redo_commit(&redo);
	CRASH_POINT(SPOOL_NOTED);
	ring_release(queue->table, mux_queue_payer(queue), &record->spool);
}

void
spool_queue_written(struct mux_queue *queue, uint32_t count, size_t bytes)
{
	queue_leave(queue, count, bytes, false);
}

bool
spool_queue_drop(struct mux_queue *queue, size_t need)
{
	const unsigned char *records = ring_bytes(queue->table, queue->record->spool);
	size_t bytes = 0;
	uint32_t count = 0;

	for (; bytes < need && bytes < spool_queue_waiting(queue); count++)
		bytes += SPOOL_RECORD + spool_record_length(records + bytes);
	if (count > 0)
		queue_leave(queue, count, bytes, true);
	return count > 0;
}

/* How many of the records the queue takes in one change; the bytes of their messages. */
static uint32_t
queue_count_run(const struct mux_queue *queue, const unsigned char *records, size_t length, size_t *ret_bytes)
{
	size_t there = ring_length(queue->table, queue->record->out), at = 0, bytes = 0;
	uint32_t count = 0, next;

	while (at < length && count < LOAD_RUN && mux_queue_count(queue) + count < LOAD_COUNT) {
		next = spool_record_length(records + at);
		if (there + bytes > 0 && there + bytes + next > LOAD_BYTES)
			break;
		bytes += next;
		at += SPOOL_RECORD + next;
		count++;
	}
	*ret_bytes = bytes;
	return count;
}

/* Behind the end of the queue, where they do not count yet. */
static void
queue_copy_run(struct mux_queue *queue, unsigned char *room, const unsigned char *records, uint32_t count,
    uint64_t who, bool numbered)
{
	uint64_t end = queue->record->out_end;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = spool_record_length(records);

		memcpy(room, records + SPOOL_RECORD, length);
		room += length;
		records += SPOOL_RECORD + length;
		end += length;
		*mux_queue_place(queue, queue->record->pending_tail + i) =
		    (struct table_pending){ .who = who + (numbered ? i : 0), .end = end };
	}
}

uint32_t
spool_queue_load(struct mux_queue *queue, const unsigned char *records, size_t length, uint64_t number, bool waiting,
    size_t *ret_bytes)
{
	struct table_shared *record = queue->record;
	size_t bytes;
	uint32_t count = queue_count_run(queue, records, length, &bytes);
	unsigned char *room = count == 0 ? NULL : mux_queue_room(queue, count, bytes);
	struct redo redo;

	*ret_bytes = 0;
	if (room == NULL)
		return 0;
	queue_copy_run(queue, room, records, count, waiting ? TABLE_PENDING_KEPT : TABLE_PENDING_SPOOLED | number,
	    !waiting);
	*ret_bytes = bytes + count * SPOOL_RECORD;
	CRASH_POINT(SPOOL_READ);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->out, 0, bytes);
	redo_more(&redo, &record->out_end, bytes);
	redo_more(&redo, &record->pending_tail, count);
	redo_add(&redo, &record->spool_read, number + count);
	if (waiting) {
		ring_redo(&redo, queue->table, record->spool, *ret_bytes, 0);
		redo_more(&redo, &record->spool_written, count);
		if (record->spool_acknowledged == record->spool_read)
			redo_add(&redo, &record->spool_acknowledged, number + count);
	}
	redo_commit(&redo);
	CRASH_POINT(SPOOL_LOADED);
	if (waiting)
		ring_release(queue->table, mux_queue_payer(queue), &record->spool);
	return count;
}

/* What of the queue is to go to the disk, with what stands before each message; and the number of the first that is
 * there; 0 if none is.  Nothing goes there that is before one from the disk: it would come behind that. */
static size_t
queue_count_reclaim(const struct mux_queue *queue, uint32_t *ret_count, uint64_t *ret_first)
{
	size_t bytes = 0;

	*ret_count = 0;
	*ret_first = 0;
	for (size_t i = 0; i < mux_queue_count(queue); i++) {
		uint64_t who = mux_queue_at(queue, i)->who;

		if ((who & TABLE_PENDING_SPOOLED) && *ret_count > 0) {
			*ret_count = 0;
			return 0;
		} else if (who & TABLE_PENDING_SPOOLED) {
			if (*ret_first == 0)
				*ret_first = who;
		} else if (who != TABLE_PENDING_NOBODY) {
			bytes += SPOOL_RECORD + (size_t)(mux_queue_end(queue, i + 1) - mux_queue_end(queue, i));
			++*ret_count;
		}
	}
	return bytes;
}

/* All of the queue that did not come from the disk, to the end of room. */
static unsigned char *
queue_copy_kept(const struct mux_queue *queue, unsigned char *room)
{
	const unsigned char *bytes = ring_bytes(queue->table, queue->record->out);

	for (size_t i = 0; i < mux_queue_count(queue); i++) {
		uint64_t who = mux_queue_at(queue, i)->who;
		size_t length = (size_t)(mux_queue_end(queue, i + 1) - mux_queue_end(queue, i));

		if (!(who & TABLE_PENDING_SPOOLED) && who != TABLE_PENDING_NOBODY) {
			spool_record_begin(room, length);
			memcpy(room + SPOOL_RECORD, bytes, length);
			room += SPOOL_RECORD + length;
		}
		bytes += length;
	}
	return room;
}

unsigned char *
spool_queue_copy(const struct mux_queue *queue, size_t written, size_t *ret_length, uint32_t *ret_count)
{
	const unsigned char *waiting = ring_bytes(queue->table, queue->record->spool) + written;
	size_t length = spool_queue_waiting(queue) - written;
	unsigned char *copy = mem_new(ring_length(queue->table, queue->record->out) +
	    mux_queue_count(queue) * SPOOL_RECORD + length + 1, 1), *end = queue_copy_kept(queue, copy);

	if (length > 0)
		memcpy(end, waiting, length);
	*ret_length = (size_t)(end - copy) + length;
	*ret_count = 0;
	for (size_t at = 0; at < *ret_length; ++*ret_count)
		at += SPOOL_RECORD + spool_record_length(copy + at);
	return copy;
}

void
spool_queue_reclaim(struct mux_queue *queue)
{
	struct table_shared *record = queue->record;
	uint64_t first;
	uint32_t count;
	size_t bytes = queue_count_reclaim(queue, &count, &first);
	unsigned char *room = count == 0 ? NULL : spool_queue_room(queue, 0, bytes);
	struct redo redo;

	if (room == NULL)
		return;
	queue_copy_kept(queue, room);
	CRASH_POINT(SPOOL_COPIED);
	redo_begin(&redo, queue->table);
	ring_redo(&redo, queue->table, record->spool, 0, bytes);
	redo_more(&redo, &record->spool_next, count);
	if (first != 0)
		redo_add(&redo, &record->spool_read, first & ~TABLE_PENDING_SPOOLED);
	ring_redo(&redo, queue->table, record->out, ring_length(queue->table, record->out), 0);
	redo_add(&redo, (uint64_t *)(uintptr_t)&record->sent, record->out_end);
	redo_add(&redo, &record->pending_head, record->pending_tail);
	redo_commit(&redo);
	CRASH_POINT(SPOOL_RECLAIMED);
	ring_release(queue->table, mux_queue_payer(queue), &record->out);
}

void
spool_queue_skip(struct mux_queue *queue, uint64_t number, uint64_t dropped)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	if (number < record->spool_read)
		number = record->spool_read;
	if (number == record->spool_read && dropped == 0)
		return;
	redo_begin(&redo, queue->table);
	if (record->spool_acknowledged == record->spool_read)
		redo_add(&redo, &record->spool_acknowledged, number);
	redo_add(&redo, &record->spool_read, number);
	redo_more(&redo, &record->dropped, dropped);
	redo_commit(&redo);
}

/* Those that a dead worker has written, but not noted. */
static void
queue_leave_written(struct mux_queue *queue, uint64_t end)
{
	struct table_shared *record = queue->record;
	const unsigned char *records = ring_bytes(queue->table, record->spool);
	uint32_t count = 0;
	size_t bytes = 0;
	struct redo redo;

	while (bytes < spool_queue_waiting(queue) && record->spool_written + count < end) {
		bytes += SPOOL_RECORD + spool_record_length(records + bytes);
		count++;
	}
	if (count > 0)
		spool_queue_written(queue, count, bytes);
	if (record->spool_written >= end)
		return;
	redo_begin(&redo, queue->table); /* there are more: nobody has their numbers */
	redo_add(&redo, &record->spool_written, end);
	redo_add(&redo, &record->spool_next, end);
	redo_commit(&redo);
}

void
spool_queue_open(struct mux_queue *queue, uint64_t identity, uint64_t position, uint64_t end)
{
	struct table_shared *record = queue->record;
	struct redo redo;

	if (record->spool_identity == identity) {
		queue_leave_written(queue, end);
		return;
	}
	for (size_t i = 0; i < mux_queue_count(queue); i++) { /* their numbers are another spool's */
		struct table_pending *entry = mux_queue_place(queue, record->pending_head + i);

		if (entry->who & TABLE_PENDING_SPOOLED)
			entry->who = TABLE_PENDING_KEPT;
	}
	redo_begin(&redo, queue->table);
	redo_add(&redo, &record->spool_next, end + record->spool_next - record->spool_written);
	redo_add(&redo, &record->spool_written, end);
	redo_add(&redo, &record->spool_read, position);
	redo_add(&redo, &record->spool_acknowledged, position);
	redo_add(&redo, &record->spool_identity, identity);
	redo_commit(&redo);
	CRASH_POINT(SPOOL_OPENED);
}
