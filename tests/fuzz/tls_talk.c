/* An answer of holdfast-tls, or of whatever listens in its place: texts end within their room and are ASCII without
 * control characters; what is no session has a reason. */
#include "base/clock.h"
#include "pieces.h"
#include "upstream/tls_talk.h"

#define WALL (INT64_C(1800000000) * CLOCK_SECOND)

static void
check_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	assert(length < size);
	for (size_t i = 0; i < length; i++)
		assert(text[i] >= ' ' && text[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_session session;
	char error[TLS_ERROR_SIZE] = "", *line;
	enum tls_verdict verdict;
	int64_t days;
	bool own;

	if (size >= TLS_LINE_MAX)
		return 0;
	line = malloc(size > 0 ? size : 1); /* of its own size, so that a look beyond it is seen */
	memcpy(line, data, size);
	verdict = tls_talk_answer(line, size, &session, error);
	free(line);
	check_text(error, sizeof error);
	check_text(session.protocol, sizeof session.protocol);
	check_text(session.cipher, sizeof session.cipher);
	check_text(session.peer, sizeof session.peer);
	assert((verdict == TLS_OPEN) == (error[0] == '\0'));
	if (tls_session_days(&session, WALL, &days, &own))
		assert(verdict == TLS_OPEN && days > -20000000 && days < 20000000);
	return 0;
}
