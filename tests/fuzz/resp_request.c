/* Requests, and what is said about them: an answer is always a whole reply, a refusal an error; the server sees none
 * of a client that does not speak its protocol. */
#include "framing/resp_command.h"
#include "pieces.h"

static void
check_judge(const uint8_t *request, size_t length, const struct resp_connection *connection, unsigned *protocol)
{
	unsigned before = *protocol;
	struct framing_progress progress = { 0 };
	size_t answered = 0, whole = 0;
	char answer[RESP_ANSWER_SIZE];
	enum resp_verdict verdict;

	verdict = resp_judge(request, length, connection, protocol, answer, &answered);
	assert(*protocol == before || (verdict == RESP_ANSWER && *protocol == connection->protocol));
	assert(verdict != RESP_FORWARD || *protocol == connection->protocol);
	if (verdict == RESP_FORWARD || verdict == RESP_SKIP)
		return;
	assert(answered > 0 && answered <= RESP_ANSWER_SIZE);
	assert(framing_of(FRAMING_RESP)->reply(&progress, (const unsigned char *)answer, answered, RESP_ANSWER_SIZE,
	    &whole) == FRAMING_WHOLE);
	assert(whole == answered);
	assert(verdict != RESP_REFUSE || answer[0] == '-');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole;
	struct resp_connection connection;
	unsigned protocol = 2;
	unsigned char *copy;

	if (size < PIECES_HEAD)
		return 0;
	connection = (struct resp_connection){ data[1] / 4 % 2, 2 + data[1] / 8 % 2 };
	copy = malloc(left > 0 ? left : 1);
	while (left > 0 && (whole = pieces_check(framing, framing->request, data, stream, left)) > 0) {
		assert(framing->wrap(stream, whole, copy) == whole);
		PIECES_HIDE(stream + whole, left - whole);
		check_judge(stream, whole, &connection, &protocol);
		PIECES_SHOW(stream + whole, left - whole);
		stream += whole;
		left -= whole;
	}
	free(copy);
	return 0;
}
