/* pieces.h - what the fuzz targets share: a stream is parsed whole and in pieces, and both must say the same.
 *
 * An input begins with two bytes: one chooses the limit, one the pieces.
 */
#ifndef HOLDFAST_TESTS_PIECES_H
#define HOLDFAST_TESTS_PIECES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "framing/framing.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define PIECES_HIDE(BYTES, LENGTH) ASAN_POISON_MEMORY_REGION(BYTES, LENGTH)
#define PIECES_SHOW(BYTES, LENGTH) ASAN_UNPOISON_MEMORY_REGION(BYTES, LENGTH)
#endif
#endif
#ifndef PIECES_HIDE
#define PIECES_HIDE(BYTES, LENGTH) ((void)(BYTES), (void)(LENGTH))
#define PIECES_SHOW(BYTES, LENGTH) ((void)(BYTES), (void)(LENGTH))
#endif

#define PIECES_HEAD 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* '0' to '7' in a corpus file. */
static inline size_t
pieces_max(const uint8_t *data)
{
	static const size_t limits[] = { 0, 1, 4, 20, 70, 255, 1000, 1 << 20 };

	return limits[data[0] % 8];
}

/* What the parser says of the stream when its bytes come in pieces; those that have not come are out of its sight. */
static inline enum framing_result
pieces_parse(framing_parser *parser, const uint8_t *data, const uint8_t *stream, size_t size, size_t *ret_whole)
{
	struct framing_progress progress = { 0 };
	unsigned roll = data[1];
	size_t length = 0;

	for (;;) {
		size_t piece = data[1] % 4 == 0 ? 1 : roll % 29 + 1;
		enum framing_result result;

		PIECES_HIDE(stream + length, size - length);
		result = parser(&progress, stream, length, pieces_max(data), ret_whole);
		PIECES_SHOW(stream + length, size - length);
		assert(progress.at <= length);
		if (result != FRAMING_MORE || length == size)
			return result;
		assert(length < pieces_max(data) + FRAMING_OVERHEAD);
		length = piece < size - length ? length + piece : size;
		roll = roll * 1103515245 + 12345;
	}
}

/* The length of the message that the stream begins with; 0: there is none.  data is the whole input. */
static inline size_t
pieces_check(const struct framing *framing, framing_parser *parser, const uint8_t *data, const uint8_t *stream,
    size_t size)
{
	struct framing_progress progress = { 0 };
	size_t whole = 0, in_pieces = 0;
	enum framing_result result = parser(&progress, stream, size, pieces_max(data), &whole);

	assert(pieces_parse(parser, data, stream, size, &in_pieces) == result);
	assert(in_pieces == whole);
	assert(result == FRAMING_WHOLE ? whole > 0 && whole <= size : whole == 0);
	if (whole > 0) {
		assert(framing->unwrap(stream, whole, &in_pieces) + in_pieces <= whole);
		assert(in_pieces <= pieces_max(data));
	}
	return whole;
}

/* All messages of a stream; then, that its bytes are the same after framing was put on and taken off. */
static inline void
pieces_check_framing(const struct framing *framing, const uint8_t *data, size_t size)
{
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole, inner;
	unsigned char *message = malloc(left + FRAMING_OVERHEAD);
	struct framing_progress progress = { 0 };

	whole = framing->wrap(stream, left, message);
	if (whole > 0) {
		assert(framing->request(&progress, message, whole, left, &inner) == FRAMING_WHOLE && inner == whole);
		assert(memcmp(message + framing->unwrap(message, whole, &inner), stream, left) == 0 && inner == left);
	}
	free(message);
	while (left > 0 && (whole = pieces_check(framing, framing->request, data, stream, left)) > 0) {
		stream += whole;
		left -= whole;
	}
}

#endif
