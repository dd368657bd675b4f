#include "client/mux_stream.h"

#include <string.h>

#include "client/mux_judge.h"
#include "framing/memcache_stream.h"
#include "framing/resp_stream.h"
#include "keep/crash.h"

/* One begins when so much of it has come; so much passes at once. */
#define STREAM_FIRST (TABLE_BUFFER_SIZE / 2)
#define STREAM_PART  TABLE_BUFFER_SIZE
/* No reply has fewer bytes; these tell who is to get it. */
#define STREAM_HEAD  3

struct stream {
	union {
		struct resp_stream resp;
		struct memcache_stream memcache;
	} of;        /* the framing's */
	bool silent; /* its asker does not get it */
};

_Static_assert(sizeof(struct stream) <= TABLE_STREAM_SIZE, "it has its place in the table");

static struct stream *
stream_place(const struct mux_queue *queue, uint64_t place)
{
	return (struct stream *)(void *)queue->record->stream[place & 1];
}

bool
mux_stream_is_sane(const struct mux_rules *rules)
{
	const struct mux_queue *queue = &rules->queue;
	struct stream *now = stream_place(queue, queue->record->stream_place);
	unsigned char silent;

	memcpy(&silent, &now->silent, sizeof silent);
	return silent <= 1 && mux_stream_is_possible(rules, mux_queue_count(queue) == 0 ? NULL
	    : mux_queue_at(queue, 0)) && rules->framing->stream_is_sane(&now->of);
}

bool
mux_stream_is_possible(const struct mux_rules *rules, const struct table_pending *entry)
{
	return entry != NULL && entry->who != TABLE_PENDING_NOBODY && rules->framing->stream_begin != NULL &&
	    mux_is_ordered(rules) && !mux_has_packets(rules);
}

bool
mux_stream_is_due(const struct mux_rules *rules)
{
	size_t length = ring_length(rules->queue.table, rules->queue.record->in);

	return length >= STREAM_FIRST || (length >= rules->settings->max_message && length >= STREAM_HEAD);
}

enum framing_result
mux_stream_follow(const struct mux_rules *rules, size_t *ret_bytes, bool *ret_silent)
{
	const struct mux_queue *queue = &rules->queue;
	const struct table_shared *record = queue->record;
	const unsigned char *bytes = ring_bytes(queue->table, record->in);
	struct stream *next = stream_place(queue, record->stream_place + 1);
	size_t length = ring_length(queue->table, record->in);
	enum framing_result result;

	if (mux_stream_is_on(queue)) {
		memcpy(next, stream_place(queue, record->stream_place), sizeof *next);
	} else {
		rules->framing->stream_begin(&next->of);
		next->silent = mux_judge_is_silent(rules->framing, mux_queue_at(queue, 0)->who, bytes, length);
	}
	result = rules->framing->stream_feed(&next->of, bytes, length < STREAM_PART ? length : STREAM_PART,
	    ret_bytes);
	*ret_silent = next->silent;
	CRASH_POINT(STREAM_FOLLOWED);
	return result;
}
