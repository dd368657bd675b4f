/* What a daemon answers to "status", JSON of whatever shape: monitoring is told something of one line at least. */
#include <jansson.h>

#include "base/mem.h"
#include "ctl/top_state.h"
#include "ctl/verdict.h"
#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verdict_limits limits = { .warning = 10, .critical = 60 };
	json_t *answer = json_loadb((const char *)data, size, 0, NULL);
	char *text = NULL;

	if (answer == NULL)
		return 0;
	assert(verdict_judge(answer, &limits, INT64_C(1700000000000000), &text) <= VERDICT_UNKNOWN);
	assert(text != NULL && strchr(text, '\n') != NULL);
	mem_free(text);
	sample_free(sample_new(answer, 1000000, NULL));
	return 0;
}
