/* A file of the spool, of whatever bytes: what is found in it is what would have been written, and a part of it never
 * tells otherwise than the whole. */
#include "client/spool_segment.h"
#include "pieces.h"

#define SPOOL_MOST 4096

/* The same record in pieces: never damaged, while the whole is not, and each time with more to come than there is. */
static void
check_pieces(const struct spool_segment *segment, uint64_t number, const uint8_t *bytes, size_t size,
    enum spool_result whole, size_t end)
{
	size_t most = whole == SPOOL_WHOLE ? end : size < 64 ? size : 64, wanted;
	enum spool_result result;

	for (size_t length = 0; length < most; length += length < 16 ? 1 : 1 + most / 8) {
		result = spool_record_read(segment->spool, number, bytes, length, SPOOL_MOST, &wanted);
		assert(result != SPOOL_WHOLE);
		assert(result == SPOOL_DAMAGED ? whole == SPOOL_DAMAGED : wanted > length);
	}
}

static void
check_record(const struct spool_segment *segment, uint64_t number, const uint8_t *bytes, size_t length)
{
	unsigned char again[SPOOL_RECORD];

	assert(length > 0 && length <= SPOOL_MOST);
	spool_record_write(segment->spool, number, bytes + SPOOL_RECORD, length, again);
	assert(memcmp(again, bytes, sizeof again) == 0);
}

static void
check_records(const struct spool_segment *segment, const uint8_t *bytes, size_t size)
{
	enum spool_result result;
	size_t length;

	for (uint64_t number = segment->first;; number++) {
		result = spool_record_read(segment->spool, number, bytes, size, SPOOL_MOST, &length);
		check_pieces(segment, number, bytes, size, result,
		    result == SPOOL_WHOLE ? SPOOL_RECORD + length : 0);
		if (result != SPOOL_WHOLE)
			return;
		check_record(segment, number, bytes, length);
		bytes += SPOOL_RECORD + length;
		size -= SPOOL_RECORD + length;
	}
}

/* No mutation finds checksums that are right: they are put into the input, where its first byte asks for it. */
static void
mend(uint8_t *bytes, size_t size)
{
	struct spool_segment segment = { .spool = bytes[16], .first = bytes[24] };
	uint64_t number = segment.first;
	size_t at = SPOOL_HEADER, length;

	spool_segment_write(&segment, bytes);
	for (; at + SPOOL_RECORD < size; at += SPOOL_RECORD + length) {
		length = bytes[at] | (size_t)bytes[at + 1] << 8;
		if (length == 0 || length > size - at - SPOOL_RECORD)
			return;
		spool_record_write(segment.spool, number++, bytes + at + SPOOL_RECORD, length, bytes + at);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *file, again[SPOOL_HEADER];
	struct spool_segment segment;
	struct spool_position position;

	if (size < 1)
		return 0;
	file = malloc(size);
	memcpy(file, data + 1, size - 1);
	size--;
	spool_position_read(file, size, &position);
	if (size >= SPOOL_HEADER && (data[0] & 1) != 0)
		mend(file, size);
	if (size >= SPOOL_HEADER && (data[0] & 2) != 0)
		file[data[0] / 4 * 7 % size] ^= (unsigned char)(1 + data[0] / 64);
	if (spool_segment_read(file, size, &segment) == NULL) {
		spool_segment_write(&segment, again);
		assert(memcmp(again, file, sizeof again) == 0);
		check_records(&segment, file + SPOOL_HEADER, size - SPOOL_HEADER);
	}
	free(file);
	return 0;
}
