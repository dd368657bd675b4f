/* A line of the control socket: its words lie in it one behind the other, and quoted again they are the same. */
#include "control/words.h"
#include "pieces.h"

#define WORDS 8

/* Each character as it is. */
static void
quote(char *to, char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		*to++ = '"';
		for (const char *from = words[i]; *from != '\0'; from++) {
			*to++ = '\\';
			*to++ = *from;
		}
		*to++ = '"';
		*to++ = ' ';
	}
	*to = '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1), *again = malloc(2 * size + 4 * WORDS + 1);
	char *words[WORDS + 1], *second[WORDS + 1];
	int count = 0, other = 0;

	memcpy(line, data, size);
	line[size] = '\0';
	if (words_split(line, WORDS, words, &count) == NULL) {
		assert(count <= WORDS && words[count] == NULL);
		for (int i = 0; i < count; i++)
			assert(words[i] >= line && words[i] + strlen(words[i]) <= line + size);
		quote(again, words, count);
		assert(words_split(again, WORDS, second, &other) == NULL && other == count);
		for (int i = 0; i < count; i++)
			assert(strcmp(words[i], second[i]) == 0);
	}
	free(line);
	free(again);
	return 0;
}
