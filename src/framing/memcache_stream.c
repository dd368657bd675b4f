#include "framing/memcache_stream.h"

static bool
reply_begins(const struct memcache_word *line, const char *text)
{
	size_t length = strlen(text);

	return line->length >= length && memcmp(line->bytes, text, length) == 0;
}

/* An error may take the place of what is left. */
enum memcache_reply_line
memcache_reply_line(uint8_t *kind, const struct memcache_word *line)
{
	bool begins = *kind == MEMCACHE_REPLY_BEGINS;

	if (*kind <= MEMCACHE_REPLY_VALUES && reply_begins(line, "VALUE ")) {
		*kind = MEMCACHE_REPLY_VALUES;
		return MEMCACHE_LINE_DATA;
	}
	if (begins && reply_begins(line, "VA ")) {
		*kind = MEMCACHE_REPLY_VALUE;
		return MEMCACHE_LINE_DATA;
	}
	if (*kind != MEMCACHE_REPLY_VALUES && (reply_begins(line, "STAT ") || reply_begins(line, "ITEM ") ||
	    reply_begins(line, "PREFIX "))) {
		*kind = MEMCACHE_REPLY_LINES;
		return MEMCACHE_LINE_MORE;
	}
	if (word_is(line, "END") || reply_begins(line, "ERROR") || reply_begins(line, "SERVER_ERROR") ||
	    reply_begins(line, "CLIENT_ERROR"))
		return MEMCACHE_LINE_LAST;
	return begins && line->length > 0 && ((line->bytes[0] >= 'A' && line->bytes[0] <= 'Z') ||
	    (line->bytes[0] >= '0' && line->bytes[0] <= '9')) ? MEMCACHE_LINE_LAST : MEMCACHE_LINE_WRONG;
}

unsigned
memcache_reply_word(uint8_t kind)
{
	return kind == MEMCACHE_REPLY_VALUE ? 1 : 3; /* VA 5; VALUE key flags 5 */
}

void
memcache_stream_begin(void *arg)
{
	struct memcache_stream *stream = arg;

	memset(stream, 0, sizeof *stream);
}

static void
stream_begin_line(struct memcache_stream *stream)
{
	stream->number = stream->line = 0;
	stream->word = stream->before = 0;
	stream->in_word = stream->bad = false;
}

/* Which word of this line would be a length. */
static unsigned
stream_number(const struct memcache_stream *stream)
{
	bool alone = memcmp(stream->head, "VA ", 3) == 0;

	return memcache_reply_word(alone ? MEMCACHE_REPLY_VALUE : MEMCACHE_REPLY_VALUES);
}

/* A byte that does not end the line. */
static void
stream_take(struct memcache_stream *stream, unsigned char byte)
{
	unsigned number = stream_number(stream);
	unsigned digit = byte - (unsigned)'0';

	if (byte != ' ' && !stream->in_word && stream->word < MEMCACHE_STREAM_WORDS)
		stream->word++;
	stream->in_word = byte != ' ';
	if (!stream->in_word || stream->word != number + 1)
		return;
	stream->bad = stream->bad || digit > 9 || stream->number * 10 + digit > UINT32_MAX;
	stream->number = stream->bad ? 0 : stream->number * 10 + digit;
}

static enum framing_result
stream_end_line(struct memcache_stream *stream)
{
	unsigned number = stream_number(stream);
	uint32_t length = stream->line - 2;
	struct memcache_word line = { stream->head, length < MEMCACHE_STREAM_HEAD ? length : MEMCACHE_STREAM_HEAD };

	if (stream->line < 2 || stream->before != '\r')
		return FRAMING_MALFORMED;
	switch (memcache_reply_line(&stream->kind, &line)) {
	case MEMCACHE_LINE_LAST:
		return FRAMING_WHOLE;
	case MEMCACHE_LINE_DATA:
		if (stream->bad || stream->word <= number)
			return FRAMING_MALFORMED;
		stream->data = stream->number + 2;
		stream_begin_line(stream);
		return FRAMING_MORE;
	case MEMCACHE_LINE_MORE:
		stream_begin_line(stream);
		return FRAMING_MORE;
	default:
		return FRAMING_MALFORMED;
	}
}

static enum framing_result
stream_line(struct memcache_stream *stream, unsigned char byte)
{
	if (stream->line == MEMCACHE_STREAM_LINE)
		return FRAMING_TOO_LONG;
	if (stream->line < MEMCACHE_STREAM_HEAD)
		stream->head[stream->line] = byte;
	stream->line++;
	if (byte == '\n')
		return stream_end_line(stream);
	if (stream->before == '\r') /* it was not the line's end */
		stream_take(stream, '\r');
	if (byte != '\r')
		stream_take(stream, byte);
	stream->before = byte;
	return FRAMING_MORE;
}

/* Of a value's bytes only its line's end matters. */
static enum framing_result
stream_data(struct memcache_stream *stream, const unsigned char *bytes, size_t length, size_t *ret_used)
{
	size_t used = stream->data < length ? (size_t)stream->data : length;

	*ret_used = used;
	if (stream->data >= 2 && stream->data - 2 < used && bytes[stream->data - 2] != '\r')
		return FRAMING_MALFORMED;
	if (stream->data - 1 < used && bytes[stream->data - 1] != '\n')
		return FRAMING_MALFORMED;
	stream->data -= used;
	return stream->data == 0 && stream->kind == MEMCACHE_REPLY_VALUE ? FRAMING_WHOLE : FRAMING_MORE;
}

bool
memcache_stream_is_sane(const void *arg)
{
	const struct memcache_stream *stream = arg;
	unsigned char flags[2];

	memcpy(&flags[0], &stream->in_word, 1);
	memcpy(&flags[1], &stream->bad, 1);
	return flags[0] <= 1 && flags[1] <= 1 && stream->kind <= MEMCACHE_REPLY_VALUE &&
	    stream->line <= MEMCACHE_STREAM_LINE && stream->word <= MEMCACHE_STREAM_WORDS &&
	    stream->data <= (uint64_t)UINT32_MAX + 2 && stream->number <= UINT32_MAX;
}

enum framing_result
memcache_stream_feed(void *arg, const unsigned char *bytes, size_t length, size_t *ret_used)
{
	struct memcache_stream *stream = arg;
	enum framing_result result = FRAMING_MORE;
	size_t at = 0, used;

	while (at < length && result == FRAMING_MORE) {
		used = 1;
		result = stream->data > 0 ? stream_data(stream, bytes + at, length - at, &used) :
		    stream_line(stream, bytes[at]);
		at += used;
	}
	*ret_used = at;
	return result;
}
