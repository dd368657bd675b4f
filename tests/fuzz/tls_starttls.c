/* What a server answers to starttls: what is decided of a part is decided of the whole too, and never "more" without
 * end; bytes behind what was agreed refuse. */
#include "pieces.h"
#include "tls/starttls.h"

static void
check_step(enum starttls_kind kind, unsigned step, const uint8_t *data, size_t size)
{
	enum starttls_verdict verdict, before = STARTTLS_MORE;
	const char *error;
	uint8_t *bytes;

	for (size_t part = 0; part <= size && part <= STARTTLS_ANSWER_MAX; part++) {
		bytes = malloc(part > 0 ? part : 1); /* of its own size, so that a look beyond it is seen */
		memcpy(bytes, data, part);
		error = NULL;
		verdict = starttls_hear(kind, step, bytes, part, &error);
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
	check_step(STARTTLS_POSTGRESQL, 0, data, size);
	check_step(STARTTLS_LDAP, 0, data, size);
	for (unsigned step = 0; step < 3; step++)
		check_step(STARTTLS_SMTP, step, data, size);
	for (unsigned step = 0; step < 2; step++)
		check_step(STARTTLS_IMAP, step, data, size);
	return 0;
}
