/* framing.h - where a message ends.
 *
 * Pure parsers.  Told the bytes from a message's begin on, they say how long it is.  Any split of
 * the bytes gives the same result, and nothing but a length field of some digits is looked at twice.
 */
#ifndef HOLDFAST_FRAMING_FRAMING_H
#define HOLDFAST_FRAMING_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_kind {
	FRAMING_NONE, /* no message at all: session mode */
	FRAMING_LINE, FRAMING_NETSTRING, FRAMING_LENGTH8, FRAMING_LENGTH16BE, FRAMING_LENGTH16LE, FRAMING_LENGTH32BE,
	FRAMING_LENGTH32LE, FRAMING_RESP, FRAMING_OCTETS, FRAMING_MEMCACHE,
	FRAMING_KINDS
};

enum framing_result {
	FRAMING_WHOLE,     /* the first *ret_length bytes are a message */
	FRAMING_MORE,      /* it continues beyond the bytes that are there */
	FRAMING_MALFORMED, /* no message is like this */
	FRAMING_TOO_LONG,  /* it has, or is going to have, more than max bytes without its framing */
};

/* What is known of a message that is not whole yet.  All zero at its start; to be forgotten when it was whole.  A new
 * worker begins with zero at the message's first byte again. */
struct framing_progress {
	size_t at;        /* bytes that need not be looked at again */
	size_t expected;  /* at least so many bytes are needed; 0: not known */
	size_t element;   /* where the element that is not whole begins (replies of resp, memcache) */
	uint64_t pending; /* elements that are still to come (resp); what it has begun with (replies of memcache) */
};

/* bytes are length bytes from the message's begin on, among them those of the calls before.  max counts the message
 * without its framing (of a protocol: all of it), SIZE_MAX / 2 at most.  With max + FRAMING_OVERHEAD bytes there the
 * result is never FRAMING_MORE.  *ret_length is written for FRAMING_WHOLE alone. */
typedef enum framing_result framing_parser(struct framing_progress *progress, const unsigned char *bytes,
    size_t length, size_t max, size_t *ret_length);

/* What framing adds to a packet's bytes, at most. */
#define FRAMING_OVERHEAD 32

#define FRAMING_COMPLAINT_SIZE 64

/* Whose mistake an error is. */
enum framing_fault { FRAMING_FAULT_CLIENT, FRAMING_FAULT_SERVER };

/* What becomes of one request over a connection that others share. */
enum framing_verdict {
	FRAMING_FORWARD, /* goes to the server, which gives one reply */
	FRAMING_ANSWER,  /* the answer is the reply; the server sees nothing */
	FRAMING_QUIT,    /* the same, and the client is closed after it, as it asked */
	FRAMING_REFUSE,  /* the same, as the command is refused: nothing behind it is carried out */
	FRAMING_SKIP,    /* has no reply and need not be sent (an empty line, an empty array) */
	FRAMING_OWN,     /* goes to the server over a connection of the client's own, with all that follows */
};

/* Which replies to a request its client does not get; 0: it gets all.  Other numbers, up to 15, are the framing's. */
#define FRAMING_SILENT_ALL 1u

struct framing {
	const char *name;        /* as the setting has it; borrowed */
	bool protocol;           /* a server's own: messages are whole as they are, and requests are judged */
	framing_parser *request; /* of a client's messages */
	framing_parser *reply;   /* of the upstream's */
	/* Puts framing on: writes the message with these contents to to, which has room for length +
	 * FRAMING_OVERHEAD.  Its bytes; 0 if contents cannot be one message (a line with a line's end in it,
	 * 300 bytes in length8). */
	size_t (*wrap)(const unsigned char *contents, size_t length, unsigned char *to);
	/* Takes framing off a whole message: the offset of its contents, whose length is *ret_length. */
	size_t (*unwrap)(const unsigned char *message, size_t length, size_t *ret_length);
	/* Whether a whole message of the upstream's answers a request; one that does not (RESP3's push) is nobody's.
	 * NULL: all do. */
	bool (*is_reply)(const unsigned char *message, size_t length);
	/* Whether the client does not get a whole reply to a request of such silence (not 0).  NULL: it gets all. */
	bool (*is_silent)(unsigned silence, const unsigned char *reply, size_t length);
	/* A reply whose bytes are seen only once: what is known of it is in *stream, which has no pointers.  At its
	 * start; the next bytes, of which *ret_used, all for MORE, are the reply's.  NULL: each must be whole. */
	void (*stream_begin)(void *stream);
	bool (*stream_is_sane)(const void *stream); /* whatever bytes these are */
	enum framing_result (*stream_feed)(void *stream, const unsigned char *bytes, size_t length,
	    size_t *ret_used);
	/* Writes the reply that says what went wrong to to, cut to size bytes (32 at least), without a NUL; control
	 * characters become spaces.  Its bytes.  NULL where the framing has no such reply. */
	size_t (*error)(enum framing_fault fault, const char *text, char *to, size_t size);
	/* What a server says of a message, of which so many bytes are there, that request() has refused; NULL: it
	 * would have taken it, as far as it is there.  The text is constant, or written to room. */
	const char *(*complaint)(const unsigned char *message, size_t length, char room[FRAMING_COMPLAINT_SIZE]);
};

/* Of framings that are a protocol: wrap, where parser is request; unwrap; and error, whose reply begins with this. */
size_t framing_wrap_whole(framing_parser *parser, const unsigned char *contents, size_t length, unsigned char *to);
size_t framing_unwrap_whole(const unsigned char *message, size_t length, size_t *ret_length);
size_t framing_print_error(const char *begin, const char *text, char *to, size_t size);

/* framing/resp.c, framing/memcache.c; the others' are in framing/framing.c */
extern const struct framing framing_resp, framing_memcache;

/* The framing of this kind, not FRAMING_NONE; borrowed, constant. */
const struct framing *framing_of(enum framing_kind kind);

#endif
