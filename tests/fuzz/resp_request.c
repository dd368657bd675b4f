/* Requests, and what is said about them: an answer is always a whole reply, a refusal an error; the server sees none
 * of a client that does not speak its protocol.  Who may have a connection of its own is never refused. */
#include "framing/resp_command.h"
#include "pieces.h"

static void
check_reply(enum framing_verdict verdict, const struct resp_judgement *judgement)
{
	struct framing_progress progress = { 0 };
	size_t whole = 0;

	assert(judgement->length > 0 && judgement->length <= RESP_ANSWER_SIZE);
	assert(framing_of(FRAMING_RESP)->reply(&progress, (const unsigned char *)judgement->answer, judgement->length,
	    RESP_ANSWER_SIZE, &whole) == FRAMING_WHOLE);
	assert(whole == judgement->length);
	assert(verdict != FRAMING_REFUSE || judgement->answer[0] == '-');
}

static void
check_label(const uint8_t *request, size_t length, const struct resp_label *label)
{
	assert(label->kind == RESP_LABEL_NONE || label->bytes == label->room ||
	    (label->bytes >= request && label->bytes + label->length <= request + length));
	for (size_t i = 0; label->kind != RESP_LABEL_NONE && i < label->length; i++)
		assert(label->bytes[i] > ' ' && label->bytes[i] <= '~');
}

static enum framing_verdict
check_judge(const uint8_t *request, size_t length, const struct resp_connection *connection,
    enum resp_on_state on_state, unsigned *protocol)
{
	struct resp_judgement judgement = { .protocol = *protocol };
	enum framing_verdict verdict = resp_judge(request, length, connection, on_state, &judgement);

	assert(judgement.protocol == *protocol || judgement.protocol == connection->protocol);
	assert(judgement.protocol == *protocol || verdict == FRAMING_ANSWER || judgement.instead != NULL);
	assert(verdict != FRAMING_FORWARD || judgement.protocol == connection->protocol);
	assert(judgement.instead == NULL || verdict == FRAMING_FORWARD);
	assert(judgement.first == NULL || verdict == FRAMING_OWN);
	assert(judgement.effect == RESP_EFFECT_NONE || verdict == FRAMING_OWN);
	assert(verdict != (on_state == RESP_ON_STATE_OWN ? FRAMING_REFUSE : FRAMING_OWN));
	check_label(request, length, &judgement.label);
	*protocol = judgement.protocol;
	if (verdict != FRAMING_FORWARD && verdict != FRAMING_SKIP && verdict != FRAMING_OWN)
		check_reply(verdict, &judgement);
	return verdict;
}

/* Whatever is refused, what is said about it is a text, and short. */
static void
check_complaint(const struct framing *framing, const uint8_t *message, size_t length)
{
	char room[FRAMING_COMPLAINT_SIZE];
	const char *complaint = framing->complaint(message, length, room);

	assert(complaint == NULL || strnlen(complaint, FRAMING_COMPLAINT_SIZE) < FRAMING_COMPLAINT_SIZE);
}

/* Both settings agree on what may not go over the shared connection, but for what ends another's script. */
static void
check_both(const uint8_t *request, size_t length, const struct resp_connection *connection, unsigned *protocol)
{
	unsigned other = *protocol;
	enum framing_verdict own = check_judge(request, length, connection, RESP_ON_STATE_OWN, &other);
	enum framing_verdict refuse = check_judge(request, length, connection, RESP_ON_STATE_REFUSE, protocol);

	assert(refuse != FRAMING_REFUSE || own == FRAMING_OWN);
	assert((refuse == FRAMING_QUIT) == (own == FRAMING_QUIT));
	assert((refuse == FRAMING_SKIP) == (own == FRAMING_SKIP));
	assert(own != FRAMING_FORWARD || refuse == FRAMING_FORWARD || refuse == FRAMING_ANSWER);
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
	connection = (struct resp_connection){ data[1] / 4 % 2, 2 + data[1] / 8 % 2, false };
	copy = malloc(left > 0 ? left : 1);
	while (left > 0 && (whole = pieces_check(framing, framing->request, data, stream, left)) > 0) {
		assert(framing->wrap(stream, whole, copy) == whole);
		PIECES_HIDE(stream + whole, left - whole);
		check_both(stream, whole, &connection, &protocol);
		PIECES_SHOW(stream + whole, left - whole);
		stream += whole;
		left -= whole;
	}
	check_complaint(framing, stream, left);
	free(copy);
	return 0;
}
