#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole;

	if (size < PIECES_HEAD)
		return 0;
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
