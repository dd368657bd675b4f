#include "framing/resp_stream.h"

#include <assert.h>
#include <string.h>

/* Of a reply's elements, and of one's bytes: so that nothing here can overflow. */
#define STREAM_MOST ((uint64_t)1 << 48)

enum stream_state {
	STREAM_TYPE,       /* before an element */
	STREAM_SIGN,       /* before a number */
	STREAM_DIGIT,      /* within it */
	STREAM_NUMBER_LF,
	STREAM_STRING,     /* within its contents */
	STREAM_STRING_CR,
	STREAM_TEXT,       /* within a reply's line */
	STREAM_LETTER,     /* of a boolean */
	STREAM_CR, STREAM_LF, /* of what has been read else */
	STREAM_LINE,       /* within a request's line */
	STREAM_END,
};

void
resp_stream_begin(struct resp_stream *stream, enum resp_stream_kind kind)
{
	memset(stream, 0, sizeof *stream);
	stream->kind = (uint8_t)kind;
	stream->pending = 1;
}

bool
resp_stream_is_sane(const struct resp_stream *stream)
{
	unsigned char negative;

	memcpy(&negative, &stream->negative, sizeof negative);
	return negative <= 1 && stream->kind <= RESP_STREAM_REPLY && stream->state < STREAM_END &&
	    stream->pending > 0 && stream->pending <= STREAM_MOST && stream->number <= STREAM_MOST &&
	    stream->digits <= RESP_DIGITS && resp_line_is_sane(&stream->line) &&
	    (stream->state != STREAM_STRING || stream->number > 0);
}

static struct resp_kept *
stream_word(struct resp_stream *stream)
{
	return &stream->words[stream->count < RESP_STREAM_WORDS ? stream->count : RESP_STREAM_WORDS];
}

static enum framing_result
stream_go(struct resp_stream *stream, enum stream_state state)
{
	stream->state = (uint8_t)state;
	return FRAMING_MORE;
}

/* An element has ended, and with the last one the message. */
static enum framing_result
stream_next(struct resp_stream *stream)
{
	if (--stream->pending > 0)
		return stream_go(stream, STREAM_TYPE);
	stream->state = STREAM_END;
	return FRAMING_WHOLE;
}

static enum framing_result
stream_word_end(struct resp_stream *stream)
{
	resp_kept_cut(stream_word(stream));
	stream->count++;
	return stream_next(stream);
}

static enum framing_result
stream_request_type(struct resp_stream *stream, unsigned char byte)
{
	bool is_array = stream->length == 0;

	if (is_array && byte != '*')
		return stream_go(stream, STREAM_LINE);
	return byte == (is_array ? '*' : '$') ? stream_go(stream, STREAM_SIGN) : FRAMING_MALFORMED;
}

static enum framing_result
stream_reply_type(struct resp_stream *stream, unsigned char byte)
{
	switch (byte) {
	case '+': case '-': case ',': case '(':
		return stream_go(stream, STREAM_TEXT);
	case '>': /* comes between replies, never within one */
		if (stream->length > 0)
			return FRAMING_MALFORMED;
		return stream_go(stream, STREAM_SIGN);
	case ':': case '$': case '!': case '=': case '*': case '~': case '%': case '|':
		return stream_go(stream, STREAM_SIGN);
	case '_': return stream_go(stream, STREAM_CR);
	case '#': return stream_go(stream, STREAM_LETTER);
	default: return FRAMING_MALFORMED;
	}
}

static enum framing_result
stream_type(struct resp_stream *stream, unsigned char byte)
{
	if (stream->length == 0)
		stream->first = byte;
	stream->type = stream->before = byte;
	stream->number = 0;
	stream->digits = 0;
	stream->negative = false;
	stream_word(stream)->length = 0;
	return stream->kind == RESP_STREAM_REQUEST ? stream_request_type(stream, byte) :
	    stream_reply_type(stream, byte);
}

/* No zeros before a number, no "-0", no more digits than surely fit. */
static enum framing_result
stream_digit(struct resp_stream *stream, unsigned char byte)
{
	unsigned digit = byte - (unsigned)'0';

	if (stream->type == ':' && byte != '\r')
		resp_kept_add(stream_word(stream), &byte, 1);
	if (byte == '-' && stream->digits == 0 && !stream->negative) {
		stream->negative = true;
		return FRAMING_MORE;
	}
	if (byte == '\r' && stream->digits > 0)
		return stream_go(stream, STREAM_NUMBER_LF);
	if (digit > 9 || stream->digits == RESP_DIGITS || (digit == 0 && stream->digits == 0 && stream->negative) ||
	    (stream->digits > 0 && stream->number == 0))
		return FRAMING_MALFORMED;
	stream->number = stream->number * 10 + digit;
	stream->digits++;
	return stream_go(stream, STREAM_DIGIT);
}

static enum framing_result
stream_string(struct resp_stream *stream, uint64_t most)
{
	if (stream->number > most)
		return FRAMING_TOO_LONG;
	return stream_go(stream, stream->number > 0 ? STREAM_STRING : STREAM_STRING_CR);
}

/* An array that is empty, or even negative, is nothing to Redis. */
static enum framing_result
stream_request_number(struct resp_stream *stream)
{
	if (stream->type == '$')
		return stream->negative ? FRAMING_MALFORMED : stream_string(stream, RESP_BULK_MAX);
	if (stream->negative)
		stream->number = 0;
	if (stream->number > RESP_WORDS_MAX)
		return FRAMING_TOO_LONG;
	stream->pending += stream->number;
	return stream_next(stream);
}

/* An attribute is no element itself: what it belongs to is still to come. */
static enum framing_result
stream_aggregate(struct resp_stream *stream)
{
	uint64_t elements = stream->number;
	bool holds_all = stream->length == stream->digits + 2u; /* the message begins with it */

	if (elements > STREAM_MOST)
		return FRAMING_TOO_LONG;
	if (stream->type == '%' || stream->type == '|')
		elements *= 2;
	if (stream->type == '|')
		elements++;
	stream->pending += elements;
	if (stream->pending > STREAM_MOST)
		return FRAMING_TOO_LONG;
	return holds_all ? stream_next(stream) : stream_word_end(stream);
}

/* Only strings and arrays can be null. */
static enum framing_result
stream_reply_number(struct resp_stream *stream)
{
	unsigned char type = stream->type;

	if (type == ':')
		return stream_word_end(stream);
	if (stream->negative)
		return stream->number == 1 && (type == '$' || type == '*') ? stream_word_end(stream) :
		    FRAMING_MALFORMED;
	if (type == '$' || type == '!' || type == '=')
		return stream_string(stream, STREAM_MOST);
	return stream_aggregate(stream);
}

/* A word within a line has no part in pending, which is the line's. */
static enum framing_result
stream_line(struct resp_stream *stream, unsigned char byte)
{
	enum resp_line_step step;

	if (byte != '\n' && stream->length == RESP_LINE_MAX)
		return FRAMING_TOO_LONG;
	if (byte == '\0')
		return FRAMING_MALFORMED;
	step = byte == '\n' ? resp_line_end(&stream->line) :
	    resp_line_byte(&stream->line, byte, stream_word(stream));
	if (step == RESP_LINE_UNBALANCED)
		return FRAMING_MALFORMED;
	if (step == RESP_LINE_WORD) {
		resp_kept_cut(stream_word(stream));
		stream->count++;
		stream_word(stream)->length = 0;
	}
	return byte == '\n' ? stream_next(stream) : FRAMING_MORE;
}

static enum framing_result
stream_byte(struct resp_stream *stream, unsigned char byte)
{
	enum framing_result result;

	switch (stream->state) {
	case STREAM_TYPE:
		result = stream_type(stream, byte);
		return stream->state == STREAM_LINE ? stream_line(stream, byte) : result;
	case STREAM_SIGN: case STREAM_DIGIT:
		return stream_digit(stream, byte);
	case STREAM_NUMBER_LF:
		if (byte != '\n')
			return FRAMING_MALFORMED;
		return stream->kind == RESP_STREAM_REQUEST ? stream_request_number(stream) :
		    stream_reply_number(stream);
	case STREAM_LETTER:
		resp_kept_add(stream_word(stream), &byte, 1);
		return byte == 't' || byte == 'f' ? stream_go(stream, STREAM_CR) : FRAMING_MALFORMED;
	case STREAM_STRING_CR: case STREAM_CR:
		return byte == '\r' ? stream_go(stream, STREAM_LF) : FRAMING_MALFORMED;
	case STREAM_LF:
		return byte == '\n' ? stream_word_end(stream) : FRAMING_MALFORMED;
	default:
		assert(stream->state == STREAM_LINE);
		return stream_line(stream, byte);
	}
}

/* Of a string's contents, all that is there; how many bytes that is. */
static size_t
stream_contents(struct resp_stream *stream, const unsigned char *bytes, size_t length)
{
	size_t there = stream->number < length ? (size_t)stream->number : length;

	if (stream->count < RESP_STREAM_WORDS)
		resp_kept_add(stream_word(stream), bytes, there);
	resp_stream_pass(stream, there);
	return there;
}

/* Of a reply's line, all that is there, with its "\n".  Nothing in it needs a look but its end. */
static size_t
stream_text(struct resp_stream *stream, const unsigned char *bytes, size_t length, enum framing_result *ret_result)
{
	const unsigned char *end = memchr(bytes, '\n', length);
	size_t there = end == NULL ? length : (size_t)(end - bytes) + 1;
	struct resp_kept *word = stream_word(stream);
	unsigned char before = there > 1 ? bytes[there - 2] : stream->before;

	resp_kept_add(word, bytes, there);
	stream->length += there;
	stream->before = bytes[there - 1];
	if (end == NULL)
		return there;
	word->length -= before == '\r' ? 2 : 0;
	*ret_result = before == '\r' ? stream_word_end(stream) : FRAMING_MALFORMED;
	return there;
}

enum framing_result
resp_stream_feed(struct resp_stream *stream, const unsigned char *bytes, size_t length, size_t *ret_used)
{
	enum framing_result result = FRAMING_MORE;
	size_t at = 0;

	assert(stream->state != STREAM_END);
	while (at < length && result == FRAMING_MORE) {
		if (stream->state == STREAM_STRING) {
			at += stream_contents(stream, bytes + at, length - at);
		} else if (stream->state == STREAM_TEXT) {
			at += stream_text(stream, bytes + at, length - at, &result);
		} else {
			result = stream_byte(stream, bytes[at++]);
			stream->length++;
		}
	}
	*ret_used = at;
	return result;
}

uint64_t
resp_stream_ahead(const struct resp_stream *stream)
{
	if (stream->state != STREAM_STRING)
		return 0;
	/* A word that is kept has to be seen. */
	if (stream->count < RESP_STREAM_WORDS && stream->words[stream->count].length < RESP_WORD_SIZE)
		return 0;
	return stream->number;
}

void
resp_stream_pass(struct resp_stream *stream, uint64_t length)
{
	assert(stream->state == STREAM_STRING && length <= stream->number);
	stream->number -= length;
	stream->length += length;
	if (stream->number == 0)
		stream->state = STREAM_STRING_CR;
}

bool
resp_stream_is_null(const struct resp_stream *stream)
{
	return stream->first == '_' || (stream->negative && stream->length == strlen("$-1\r\n") &&
	    (stream->first == '$' || stream->first == '*'));
}
