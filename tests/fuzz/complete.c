/* Words behind holdfastctl, in lines: whatever they are, what may follow is decided. */
#include "ctl/complete.h"
#include "pieces.h"

#define WORDS 16

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct complete_plan plan;
	char *text = malloc(size + 1), *words[WORDS + 1], *rest = text;
	int count = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	while (count < WORDS && rest != NULL)
		words[count++] = strsep(&rest, "\n");
	words[count] = NULL;
	memset(&plan, 0, sizeof plan);
	complete_decide(&plan, count, words);
	assert(plan.count <= COMPLETE_WORDS);
	for (size_t i = 0; i < plan.count; i++)
		assert(memchr(plan.words[i].text, '\0', sizeof plan.words[i].text) != NULL);
	free(text);
	return 0;
}
