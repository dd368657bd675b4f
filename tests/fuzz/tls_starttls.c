/* What a server answers to starttls: what is decided of a part is decided of the whole too, and never "more" without
 * end; bytes behind what was agreed refuse. */
#include "pieces.h"
#include "tls/starttls.h"

static void
check_kind(enum starttls_kind kind, const uint8_t *data, size_t size)
{
	enum starttls_verdict verdict, before = STARTTLS_MORE;
	const char *error;
	uint8_t *bytes;

	for (size_t part = 0; part <= size && part <= STARTTLS_ANSWER_MAX; part++) {
		bytes = malloc(part > 0 ? part : 1); /* of its own size, so that a look beyond it is seen */
		memcpy(bytes, data, part);
		error = NULL;
		verdict = starttls_hear(kind, bytes, part, &error);
		free(bytes);
		assert((verdict == STARTTLS_REFUSED) == (error != NULL));
		if (before != STARTTLS_MORE)
			assert(verdict == STARTTLS_REFUSED);
		if (part == STARTTLS_ANSWER_MAX)
			assert(verdict != STARTTLS_MORE);
		before = verdict;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_kind(STARTTLS_POSTGRESQL, data, size);
	check_kind(STARTTLS_LDAP, data, size);
	return 0;
}
