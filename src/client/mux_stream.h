/* mux_stream.h - a reply of resp or memcache that is longer than max_message: it passes to its asker as it comes,
 * whatever its length, and is never there as a whole (X4).
 *
 * The oldest request's alone can be one.  What is known of it lies in the table, in one of two places: it is followed
 * in the other one, which counts as soon as mux_queue_pass() has passed what was followed.
 */
#ifndef HOLDFAST_CLIENT_MUX_STREAM_H
#define HOLDFAST_CLIENT_MUX_STREAM_H

#include "client/mux_ask.h"

/* A part of such a reply has passed, and more is to come. */
static inline bool
mux_stream_is_on(const struct mux_queue *queue)
{
	return queue->record->streamed > 0;
}

/* Of one that is on: whether what the table has of it can be. */
bool mux_stream_is_sane(const struct mux_rules *rules);

/* Whether the reply to this request (NULL: there is none) may be so long. */
bool mux_stream_is_possible(const struct mux_rules *rules, const struct table_pending *entry);

/* Whether enough of one has come to begin with: an upstream that only announces much is lost before anybody has a
 * part of it. */
bool mux_stream_is_due(const struct mux_rules *rules);

/* Follows the next part of it at the head of what came, which may be its first.  WHOLE: the reply ends with these
 * bytes; MORE: all of these belong to it; else it is no reply.  silent: its asker does not get it. */
enum framing_result mux_stream_follow(const struct mux_rules *rules, size_t *ret_bytes, bool *ret_silent);

#endif
