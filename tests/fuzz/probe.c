#include "pieces.h"

#include "upstream/probe_talk.h"

/* The answer's first bytes, out of sight what comes behind them. */
static enum probe_result
judge(enum probe_kind kind, const uint8_t *answer, size_t length, size_t size, size_t *ret_taken)
{
	char why[PROBE_WHY_SIZE] = "";
	enum probe_result result;

	PIECES_HIDE(answer + length, size - length);
	result = probe_judge(kind, answer, length, ret_taken, why);
	PIECES_SHOW(answer + length, size - length);
	assert(*ret_taken <= length);
	assert((result == PROBE_NOT_READY) == (why[0] != '\0') && memchr(why, '\0', sizeof why) != NULL);
	assert(result != PROBE_MORE || length < PROBE_ANSWER_MAX);
	return result;
}

/* What was said once is not taken back when more has come. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum probe_kind kinds[] = { PROBE_POSTGRESQL, PROBE_REDIS, PROBE_MYSQL, PROBE_HTTP };
	enum probe_result before = PROBE_MORE, result;
	size_t taken_before = 0, taken, step;
	char farewell[PROBE_TEXT_SIZE];
	enum probe_kind kind;

	if (size < PIECES_HEAD)
		return 0;
	kind = kinds[data[0] % 4];
	step = data[1] % 29u + 1;
	data += PIECES_HEAD;
	size -= PIECES_HEAD;
	if (size > PROBE_ANSWER_MAX)
		size = PROBE_ANSWER_MAX;
	for (size_t length = 0;; length = step < size - length ? length + step : size) {
		result = judge(kind, data, length, size, &taken);
		assert(before == PROBE_MORE || (result == before && taken == taken_before));
		assert(probe_farewell(kind, data, length, farewell) <= sizeof farewell);
		before = result;
		taken_before = taken;
		if (length == size)
			return 0;
	}
}
