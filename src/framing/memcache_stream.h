/* memcache_stream.h - where a reply of memcached's text protocol ends, for who has its bytes only once.
 *
 * Pure.  What is only a line is whole with it; the values of get, and lists of stats, end with "END".  It need not be
 * known what was asked.
 */
#ifndef HOLDFAST_FRAMING_MEMCACHE_STREAM_H
#define HOLDFAST_FRAMING_MEMCACHE_STREAM_H

#include "framing/framing.h"
#include "framing/memcache_words.h"

#define MEMCACHE_STREAM_LINE  65536u /* bytes of a line at most */
#define MEMCACHE_STREAM_HEAD  16u
#define MEMCACHE_STREAM_WORDS 5u

/* What a reply has begun with, and what a line of it is. */
enum { MEMCACHE_REPLY_BEGINS, MEMCACHE_REPLY_VALUES, MEMCACHE_REPLY_LINES, MEMCACHE_REPLY_VALUE };
enum memcache_reply_line { MEMCACHE_LINE_WRONG, MEMCACHE_LINE_DATA, MEMCACHE_LINE_MORE, MEMCACHE_LINE_LAST };

/* Of a line without its end, or at least its first MEMCACHE_STREAM_HEAD bytes; *kind is what the reply has begun
 * with, and is written with its first line. */
enum memcache_reply_line memcache_reply_line(uint8_t *kind, const struct memcache_word *line);

/* Which word of a line that data follows is the data's length; the first is 0. */
unsigned memcache_reply_word(uint8_t kind);

/* Has no pointers, and may lie in shared memory. */
struct memcache_stream {
	uint64_t data;       /* bytes of a value that are still to come, with its line's end */
	uint64_t number;     /* that the line has where the length of a value would stand */
	uint32_t line;       /* bytes of the line so far */
	uint8_t kind;
	uint8_t word;        /* words of the line so far, as many as are counted */
	bool in_word;
	bool bad;            /* number is none */
	unsigned char before; /* the byte before, in a line */
	unsigned char head[MEMCACHE_STREAM_HEAD]; /* the line's first bytes */
};

/* The framing's stream. */
void memcache_stream_begin(void *stream);
bool memcache_stream_is_sane(const void *stream);
enum framing_result memcache_stream_feed(void *stream, const unsigned char *bytes, size_t length, size_t *ret_used);

#endif
