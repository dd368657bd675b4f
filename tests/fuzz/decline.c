/* What PostgreSQL's clients ask first: a request for encryption is eight bytes, and only those of two kinds. */
#include "client/decline.h"
#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool meant = decline_is_meant(data, size);

	assert(!meant || (size >= DECLINE_REQUEST && data[3] == 8 && (data[7] == 0x2f || data[7] == 0x30)));
	for (size_t length = 0; length <= size && length < 2 * DECLINE_REQUEST; length++)
		assert(decline_is_meant(data, length) == (meant && length >= DECLINE_REQUEST));
	return 0;
}
