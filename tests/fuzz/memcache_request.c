/* Requests, and what is said about them: an answer is a whole reply; what is left of a request without the word that
 * silences the server is a request again, which does not silence it. */
#include "framing/memcache.h"
#include "pieces.h"

static void
check_answer(const struct memcache_judgement *judgement)
{
	struct framing_progress progress = { 0 };
	size_t whole = 0;

	assert(judgement->length <= MEMCACHE_ANSWER_SIZE && judgement->silence == 0);
	if (judgement->length == 0)
		return;
	assert(framing_of(FRAMING_MEMCACHE)->reply(&progress, (const unsigned char *)judgement->answer,
	    judgement->length, MEMCACHE_ANSWER_SIZE, &whole) == FRAMING_WHOLE);
	assert(whole == judgement->length);
}

static void
check_cut(const uint8_t *request, size_t length, const struct memcache_judgement *judgement)
{
	size_t left = length - judgement->cut_length, whole = 0;
	unsigned char *rest = malloc(left);
	struct framing_progress progress = { 0 };
	struct memcache_judgement again;

	assert(judgement->cut > 0 && judgement->cut + judgement->cut_length < length && judgement->silence < 16);
	memcpy(rest, request, judgement->cut);
	memcpy(rest + judgement->cut, request + judgement->cut + judgement->cut_length, left - judgement->cut);
	assert(framing_of(FRAMING_MEMCACHE)->request(&progress, rest, left, left, &whole) == FRAMING_WHOLE);
	assert(whole == left);
	if (memcache_judge(rest, left, &again) == FRAMING_FORWARD && judgement->silence != FRAMING_SILENT_ALL)
		assert(again.silence == 0);
	free(rest);
}

static void
check_judge(const uint8_t *request, size_t length)
{
	struct memcache_judgement judgement;
	enum framing_verdict verdict = memcache_judge(request, length, &judgement);

	assert(verdict == FRAMING_FORWARD || verdict == FRAMING_ANSWER || verdict == FRAMING_QUIT ||
	    verdict == FRAMING_REFUSE);
	if (verdict != FRAMING_FORWARD)
		check_answer(&judgement);
	else if (judgement.silence != 0)
		check_cut(request, length, &judgement);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_MEMCACHE);
	const uint8_t *stream = data + PIECES_HEAD;
	size_t left = size - PIECES_HEAD, whole;
	char room[FRAMING_COMPLAINT_SIZE];

	if (size < PIECES_HEAD)
		return 0;
	while (left > 0 && (whole = pieces_check(framing, framing->request, data, stream, left)) > 0) {
		PIECES_HIDE(stream + whole, left - whole);
		check_judge(stream, whole);
		PIECES_SHOW(stream + whole, left - whole);
		stream += whole;
		left -= whole;
	}
	framing->complaint(stream, left, room);
	return 0;
}
