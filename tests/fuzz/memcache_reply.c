#include "framing/memcache_stream.h"
#include "pieces.h"

/* Fed in pieces that are seen only once, the stream says the same of where the reply ends. */
static void
check_stream(const uint8_t *data, const uint8_t *bytes, size_t length, enum framing_result result, size_t whole)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	struct memcache_stream stream;
	enum framing_result seen = FRAMING_MORE;
	size_t at = 0, used = 0, piece = data[1] % 4 == 0 ? 1 : data[1] % 29 + 1;

	framing->stream_begin(&stream);
	for (; at < length && seen == FRAMING_MORE; at += used) {
		size_t next = piece < length - at ? piece : length - at;
		unsigned char *copy = malloc(next);

		memcpy(copy, bytes + at, next);
		seen = framing->stream_feed(&stream, copy, next, &used);
		free(copy);
		assert(used <= next && (used == next || seen != FRAMING_MORE));
	}
	if (result == FRAMING_WHOLE)
		assert(seen == FRAMING_WHOLE && at == whole);
	else if (result != FRAMING_TOO_LONG)
		assert(seen == result || (seen == FRAMING_MALFORMED && result == FRAMING_MORE));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole;
	struct framing_progress progress = { 0 };
	enum framing_result result;

	if (size < PIECES_HEAD)
		return 0;
	whole = 0;
	result = framing->reply(&progress, stream, left, pieces_max(data), &whole);
	check_stream(data, stream, left, result, whole);
	while (left > 0 && (whole = pieces_check(framing, framing->reply, data, stream, left)) > 0) {
		PIECES_HIDE(stream + whole, left - whole);
		assert(framing->is_silent(FRAMING_SILENT_ALL, stream, whole));
		for (unsigned silence = FRAMING_SILENT_ALL + 1; silence < 16; silence++) /* no error is kept back */
			assert(!framing->is_silent(silence, stream, whole) || memchr("EHV", stream[0], 3) != NULL);
		PIECES_SHOW(stream + whole, left - whole);
		stream += whole;
		left -= whole;
	}
	return 0;
}
