#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole;

	if (size < PIECES_HEAD)
		return 0;
	while (left > 0 && (whole = pieces_check(framing, framing->reply, data, stream, left)) > 0) {
		assert(framing->is_reply(stream, whole) == (stream[0] != '>'));
		stream += whole;
		left -= whole;
	}
	return 0;
}
