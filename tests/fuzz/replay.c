/* Runs a fuzz target over the files that are named, for compilers that have no fuzzer. */
#include <stdio.h>

#include "pieces.h"

#define REPLAY_MAX (1 << 20)

/* The input stands in memory of its own size, so that a sanitizer sees a look beyond it. */
static int
replay_file(const char *name)
{
	static uint8_t bytes[REPLAY_MAX];
	FILE *file = fopen(name, "rb");
	uint8_t *input;
	size_t size;

	if (file == NULL) {
		perror(name);
		return 1;
	}
	size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	input = malloc(size > 0 ? size : 1);
	memcpy(input, bytes, size);
	(void)LLVMFuzzerTestOneInput(input, size);
	free(input);
	return 0;
}

int
main(int argc, char **argv)
{
	int bad = argc < 2;

	for (int i = 1; i < argc; i++)
		bad |= replay_file(argv[i]);
	return bad;
}
