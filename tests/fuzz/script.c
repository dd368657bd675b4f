/* What a lookup script has said, whatever that is: endpoints, an abort, or one error. */
#include "base/mem.h"
#include "pieces.h"
#include "upstream/entry.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct endpoint_listed endpoints[ENDPOINTS_MAX];
	char *output = malloc(size + 1), *abort_reason = NULL, *error;
	struct child_result child = { .output = output, .output_length = size, .last_line = "", .errors = "" };
	size_t count = 0;

	memcpy(output, data, size);
	output[size] = '\0';
	error = entry_read_script(&child, endpoints, &count, &abort_reason);
	assert(memcmp(output, data, size) == 0);
	assert(count <= ENDPOINTS_MAX);
	assert((error == NULL) == (count > 0 || abort_reason != NULL));
	for (size_t i = 0; i < count; i++) {
		char text[ADDRESS_TEXT_SIZE];

		address_format(&endpoints[i].address, text);
		assert(memchr(endpoints[i].from, '\0', sizeof endpoints[i].from) != NULL);
	}
	mem_free(error);
	mem_free(abort_reason);
	free(output);
	return 0;
}
