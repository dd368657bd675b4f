/* The five kinds of length; the limit's byte chooses among them, too. */
#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum framing_kind kinds[] = { FRAMING_LENGTH8, FRAMING_LENGTH16BE, FRAMING_LENGTH16LE,
		FRAMING_LENGTH32BE, FRAMING_LENGTH32LE };

	if (size >= PIECES_HEAD)
		pieces_check_framing(framing_of(kinds[data[0] / 8 % 5]), data, size);
	return 0;
}
