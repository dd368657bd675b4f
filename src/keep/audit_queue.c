#include "keep/audit_queue.h"

#include "keep/buffers.h"

uint32_t
audit_queue_bytes(const struct table *table, uint32_t buffer)
{
	return buffer == 0 ? 0 : table->buffers[buffer].tail - table->buffers[buffer].head;
}

/* The requests, oldest first; begin: where the first begins in the stream of all. */
struct queue {
	const struct table_shared *shared;
	const struct table_pending *ring;
	uint64_t count, size; /* of entries; of the ring's places, a power of two */
	uint64_t begin;
};

static const struct table_pending *
queue_entry(const struct queue *queue, uint64_t i)
{
	return &queue->ring[(queue->shared->pending_head + i) & (queue->size - 1)];
}

/* A drop that is to be finished stays within the queue: those before it move up by the bytes that are dropped. */
static bool
queue_is_gap(const struct queue *queue)
{
	const struct table_shared *shared = queue->shared;
	uint64_t before = shared->gap_before, count = shared->gap_count, end = queue->begin;

	if (count == 0)
		return true;
	if (count > queue->count || before > count || before + count > queue->count)
		return false;
	if (before > 0)
		end = queue_entry(queue, before - 1)->end;
	return end - queue->begin <= shared->gap_bytes &&
	    queue_entry(queue, before + count - 1)->end - end == shared->gap_bytes;
}

/* A drop under way has these entries half written. */
static bool
queue_gap_covers(const struct table_shared *shared, uint64_t i)
{
	return shared->gap_count != 0 && i >= shared->gap_before && i + 1 < shared->gap_before + shared->gap_count;
}

/* Where requests end rises with their numbers, up to the end of all. */
static bool
queue_rises(const struct queue *queue)
{
	const struct table_shared *shared = queue->shared;
	uint64_t end = queue->begin;

	for (uint64_t i = 0; i < queue->count; i++) {
		const struct table_pending *entry = queue_entry(queue, i);

		if (queue_gap_covers(shared, i))
			continue;
		if (entry->end - end > shared->out_end - end)
			return false;
		end = entry->end;
	}
	return end == shared->out_end;
}

bool
audit_queue_is_whole(const struct table *table, const struct table_shared *shared)
{
	struct queue queue = { .shared = shared, .count = shared->pending_tail - shared->pending_head,
		.begin = shared->out_end - audit_queue_bytes(table, shared->out) };

	if (shared->sent - queue.begin > shared->out_end - queue.begin)
		return false;
	if (queue.count == 0)
		return shared->gap_count == 0;
	if (shared->pending == 0)
		return false;
	queue.size = buffers_size(table, shared->pending) / sizeof *queue.ring;
	queue.ring = (const struct table_pending *)(const void *)buffers_bytes(table, shared->pending);
	return queue.count <= queue.size && queue_is_gap(&queue) && queue_rises(&queue);
}
