/* RESP in pieces that are seen only once: the same as in one piece, and as framing_resp and resp_words have it.  The
 * first byte of an input chooses requests or replies, the second the pieces. */
#include "framing/resp_stream.h"
#include "pieces.h"

#define NO_LIMIT (SIZE_MAX / 2)

/* Some of what lies ahead is passed on without a look. */
static size_t
pass(struct resp_stream *stream, size_t length, unsigned roll)
{
	uint64_t ahead = resp_stream_ahead(stream);
	size_t most = ahead < length ? (size_t)ahead : length;

	if (most == 0 || roll % 3 == 0)
		return 0;
	most = roll % 3 == 1 ? most : roll % most;
	resp_stream_pass(stream, most);
	return most;
}

static enum framing_result
in_pieces(struct resp_stream *stream, enum resp_stream_kind kind, unsigned roll, const uint8_t *bytes, size_t size)
{
	enum framing_result result = FRAMING_MORE;
	size_t at = 0, used;

	resp_stream_begin(stream, kind);
	while (at < size && result == FRAMING_MORE) {
		size_t piece = roll % 4 == 0 ? 1 : roll / 4 % 29 + 1;

		at += pass(stream, size - at, roll / 64);
		piece = piece < size - at ? piece : size - at;
		PIECES_HIDE(bytes + at + piece, size - at - piece);
		result = resp_stream_feed(stream, bytes + at, piece, &used);
		PIECES_SHOW(bytes + at + piece, size - at - piece);
		assert(result == FRAMING_MORE ? used == piece : used <= piece);
		assert(result == FRAMING_MORE || used > 0);
		at += used;
		assert(stream->length == at);
		roll = roll * 1103515245 + 12345;
	}
	return result;
}

/* Words are the same, as far as they are kept; a cut one's length may not be known. */
static void
check_words(const struct resp_stream *stream, const uint8_t *bytes)
{
	struct resp_words words;
	struct resp_word word, kept;
	uint64_t count = 0;

	resp_words_begin(&words, bytes, (size_t)stream->length);
	for (; resp_words_next(&words, &word); count++) {
		size_t most = word.length < RESP_WORD_SIZE ? word.length : RESP_WORD_SIZE;

		if (count >= RESP_STREAM_WORDS)
			continue;
		kept = resp_kept_word(&stream->words[count]);
		assert(kept.length == word.length || (kept.length >= RESP_WORD_SIZE &&
		    word.length >= RESP_WORD_SIZE));
		assert(memcmp(kept.bytes, word.bytes, most) == 0);
	}
	assert(count == stream->count);
}

/* What the whole parser says; it may say it later, and has no limit of its own for replies. */
static void
check_with_parser(const struct resp_stream *stream, enum framing_result result, const uint8_t *bytes, size_t size)
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	struct framing_progress progress = { 0 };
	enum framing_result other;
	size_t whole = 0;

	other = (stream->kind == RESP_STREAM_REQUEST ? framing->request : framing->reply)(&progress, bytes, size,
	    NO_LIMIT, &whole);
	if (result == FRAMING_WHOLE || result == FRAMING_MORE)
		assert(other == result && (result == FRAMING_MORE || whole == stream->length));
	else
		assert(other != FRAMING_WHOLE);
	if (other == FRAMING_MALFORMED || other == FRAMING_TOO_LONG)
		assert(result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG);
	if (result == FRAMING_WHOLE && stream->kind == RESP_STREAM_REQUEST)
		check_words(stream, bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum resp_stream_kind kind;

	if (size < PIECES_HEAD)
		return 0;
	kind = data[0] % 2 == 0 ? RESP_STREAM_REQUEST : RESP_STREAM_REPLY;
	for (size_t at = PIECES_HEAD, used; at < size; at += used) {
		struct resp_stream stream, other;
		enum framing_result result;

		resp_stream_begin(&stream, kind);
		result = resp_stream_feed(&stream, data + at, size - at, &used);
		assert(stream.length == used);
		assert(in_pieces(&other, kind, data[1] * 2654435761u, data + at, size - at) == result);
		assert(other.length == stream.length && other.count == stream.count);
		check_with_parser(&stream, result, data + at, size - at);
		if (result != FRAMING_WHOLE)
			break;
		check_with_parser(&other, result, data + at, size - at);
		assert(resp_stream_is_null(&stream) == resp_stream_is_null(&other));
	}
	return 0;
}
