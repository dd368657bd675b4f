/* What MySQL's server and client say up to the end of a login: the verdict comes once; packets pass the same whole
 * and in pieces, and nothing but their numbers changes. */
#include "pieces.h"
#include "tls/mysql.h"

static void
check_verdicts(enum starttls_verdict (*hear)(const uint8_t *, size_t, const char **), size_t most,
    const uint8_t *data, size_t size)
{
	enum starttls_verdict verdict, before = STARTTLS_MORE;
	const char *error;
	uint8_t *bytes;

	for (size_t part = 0; part <= size && part <= most; part++) {
		bytes = malloc(part > 0 ? part : 1); /* of its own size, so that a look beyond it is seen */
		memcpy(bytes, data, part);
		error = NULL;
		verdict = hear(bytes, part, &error);
		assert((verdict == STARTTLS_REFUSED) == (error != NULL));
		assert(before == STARTTLS_MORE || verdict != STARTTLS_MORE);
		assert(before != STARTTLS_REFUSED || verdict == STARTTLS_REFUSED);
		assert(part < most || verdict != STARTTLS_MORE);
		if (verdict == STARTTLS_AGREED && hear == mysql_hear_greeting) {
			mysql_hide_tls(bytes, part);
			assert(hear(bytes, part, &error) == STARTTLS_REFUSED);
		}
		free(bytes);
		before = verdict;
	}
}

static void
check_numbers(void (*pass)(struct mysql_login *, uint8_t *, size_t), const uint8_t *data, size_t size)
{
	struct mysql_login whole = { 0 }, parts = { 0 };
	uint8_t *once = malloc(size + 1), *twice = malloc(size + 1);
	size_t changed = 0;

	memcpy(once, data, size);
	memcpy(twice, data, size);
	pass(&whole, once, size);
	for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 % 7) {
		piece = piece < size - at ? piece : size - at;
		pass(&parts, twice + at, piece);
	}
	assert(memcmp(once, twice, size) == 0 && whole.over == parts.over);
	for (size_t at = 0; at < size; at++)
		changed += once[at] != data[at];
	assert(changed <= size / 4);
	free(once);
	free(twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MYSQL_LOGIN_MAX)
		return 0;
	check_verdicts(mysql_hear_greeting, STARTTLS_ANSWER_MAX, data, size);
	check_verdicts(mysql_hear_login, MYSQL_LOGIN_MAX, data, size);
	check_numbers(mysql_pass_up, data, size);
	check_numbers(mysql_pass_down, data, size);
	return 0;
}
