/* framing.h - where a message ends.
 *
 * Pure parsers, one file a framing.  Told the bytes from a message's begin on, they say how long it is.  Any split of
 * the bytes gives the same result, and no byte is looked at twice.
 */
#ifndef HOLDFAST_FRAMING_FRAMING_H
#define HOLDFAST_FRAMING_FRAMING_H

#include <stddef.h>
#include <stdint.h>

enum framing_kind {
	FRAMING_NONE, /* no message at all: session mode */
	FRAMING_LINE, FRAMING_NETSTRING, FRAMING_LENGTH8, FRAMING_LENGTH16BE, FRAMING_LENGTH16LE, FRAMING_LENGTH32BE,
	FRAMING_LENGTH32LE, FRAMING_RESP,
	FRAMING_KINDS
};

enum framing_result {
	FRAMING_WHOLE,     /* the first *ret_length bytes are a message */
	FRAMING_MORE,      /* it goes on beyond the bytes that are there */
	FRAMING_MALFORMED, /* no message is like this */
	FRAMING_TOO_LONG,  /* it has, or is going to have, more than max bytes without its framing */
};

/* What is known of a message that is not whole yet.  All zero at its begin; to be forgotten when it was whole.  A new
 * worker begins with zero at the message's first byte again. */
struct framing_progress {
	size_t at;        /* bytes that were looked at */
	size_t expected;  /* at least so many bytes are needed; 0: not known */
	uint64_t pending; /* elements that are still to come (resp) */
};

/* bytes are length bytes from the message's begin on, among them those of the calls before.  max counts the message
 * without its framing (resp: all of it). */
typedef enum framing_result framing_parser(struct framing_progress *progress, const unsigned char *bytes, size_t length,
    size_t max, size_t *ret_length);

/* What framing adds to a packet's bytes, at most. */
#define FRAMING_OVERHEAD 32

struct framing {
	const char *name;        /* as the setting has it; borrowed */
	framing_parser *request; /* of a client's messages */
	framing_parser *reply;   /* of the upstream's */
	/* Puts framing on: writes the message with these contents to to, which has room for length + FRAMING_OVERHEAD.
	 * Its bytes; 0 if contents cannot be one message (a line with a line's end in it, 300 bytes in length8). */
	size_t (*wrap)(const unsigned char *contents, size_t length, unsigned char *to);
	/* Takes framing off a whole message: the offset of its contents, whose length is *ret_length. */
	size_t (*unwrap)(const unsigned char *message, size_t length, size_t *ret_length);
};

/* The framing of this kind, not FRAMING_NONE; borrowed, constant. */
const struct framing *framing_of(enum framing_kind kind);

#endif
