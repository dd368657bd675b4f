#include "client/mux_stream.h"

#include <string.h>

#include "framing/resp_stream.h"
#include "keep/crash.h"

/* One begins when so much of it has come; so much passes at once. */
#define STREAM_FIRST (TABLE_BUFFER_SIZE / 2)
#define STREAM_PART  TABLE_BUFFER_SIZE

_Static_assert(sizeof(struct resp_stream) <= TABLE_STREAM_SIZE, "it has its place in the table");

static struct resp_stream *
stream_place(const struct mux_queue *queue, uint64_t place)
{
	return (struct resp_stream *)(void *)queue->record->stream[place & 1];
}

bool
mux_stream_is_possible(const struct mux_rules *rules, const struct table_pending *entry)
{
	return entry != NULL && entry->who != TABLE_PENDING_NOBODY && rules->settings->framing == FRAMING_RESP &&
	    mux_is_ordered(rules) && !mux_has_packets(rules);
}

bool
mux_stream_is_due(const struct mux_rules *rules)
{
	size_t length = ring_length(rules->queue.table, rules->queue.record->in);

	return length >= STREAM_FIRST || length >= rules->settings->max_message;
}

enum framing_result
mux_stream_follow(const struct mux_queue *queue, size_t *ret_bytes)
{
	const struct table_shared *record = queue->record;
	struct resp_stream *next = stream_place(queue, record->stream_place + 1);
	size_t length = ring_length(queue->table, record->in);
	enum framing_result result;

	if (mux_stream_is_on(queue))
		memcpy(next, stream_place(queue, record->stream_place), sizeof *next);
	else
		resp_stream_begin(next, RESP_STREAM_REPLY);
	result = resp_stream_feed(next, ring_bytes(queue->table, record->in),
	    length < STREAM_PART ? length : STREAM_PART, ret_bytes);
	CRASH_POINT(STREAM_FOLLOWED);
	return result;
}
