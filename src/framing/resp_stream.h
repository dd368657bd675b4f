/* resp_stream.h - where a message of RESP ends, for who has its bytes only once.
 *
 * Pure.  Requests and replies as framing_resp has them, of any length: what has been fed is not needed again, any
 * split of the bytes gives the same result, and a string's contents can be passed on without a look.  The first words
 * are kept, so that it can be told what the message was.  The struct has no pointers and may lie in shared memory.
 */
#ifndef HOLDFAST_FRAMING_RESP_STREAM_H
#define HOLDFAST_FRAMING_RESP_STREAM_H

#include <stdbool.h>

#include "framing/framing.h"
#include "framing/resp_words.h"

#define RESP_STREAM_WORDS 3

enum resp_stream_kind { RESP_STREAM_REQUEST, RESP_STREAM_REPLY };

struct resp_stream {
	uint64_t length;  /* bytes of the message so far; 0: none of it */
	uint64_t pending; /* elements that are still to come, with the one that has begun */
	uint64_t number;  /* the one that is read; of a string, the bytes that are still to come */
	uint64_t count;   /* words of a request so far; elements of a reply, on all levels, but the one with all */
	/* The first of these, without lengths and line ends: numbers as their digits, errors without "-".
	 * Nulls and aggregates have no bytes.  The last place is that of all others. */
	struct resp_kept words[RESP_STREAM_WORDS + 1];
	struct resp_line line;
	uint8_t kind, state;
	uint8_t digits;       /* of number */
	bool negative;        /* number is, or the element is null */
	unsigned char first;  /* the message's first byte */
	unsigned char type;   /* the element's */
	unsigned char before; /* the byte before, in a line of a reply */
};

/* At the start of a message. */
void resp_stream_begin(struct resp_stream *stream, enum resp_stream_kind kind);

/* Whether these bytes, whatever they are, are one that is within a message or before it. */
bool resp_stream_is_sane(const struct resp_stream *stream);

/* The next bytes.  *ret_used of them, all for FRAMING_MORE, belong to the message that has begun; it is written
 * always.  FRAMING_WHOLE: the message has ended, and resp_stream_begin() comes before the next bytes.  After
 * FRAMING_MALFORMED, and FRAMING_TOO_LONG (beyond what Redis takes, or sends), it cannot be told what the bytes are.
 * A line with a NUL or quotes that do not match is malformed at that byte already. */
enum framing_result resp_stream_feed(struct resp_stream *stream, const unsigned char *bytes, size_t length,
    size_t *ret_used);

/* So many of the bytes that come next are certainly within the message, whatever they are.  They can be passed on
 * without being fed: resp_stream_pass() counts those that were, at most as many. */
uint64_t resp_stream_ahead(const struct resp_stream *stream);
void resp_stream_pass(struct resp_stream *stream, uint64_t length);

/* Whether the whole message, a reply, is null. */
bool resp_stream_is_null(const struct resp_stream *stream);

#endif
