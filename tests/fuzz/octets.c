#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= PIECES_HEAD)
		pieces_check_framing(framing_of(FRAMING_OCTETS), data, size);
	return 0;
}
