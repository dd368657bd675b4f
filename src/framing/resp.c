/* resp: Redis's protocol.  Requests are arrays of bulk strings or lines, replies are those of RESP2 and RESP3.
 *
 * Stricter than Redis where it would not notice that it has lost its place: all connections' fate hangs on this one.
 * See https://redis.io/docs/latest/develop/reference/protocol-spec/. */
#include <stdio.h>
#include <string.h>

#include "framing/framing.h"
#include "framing/resp_stream.h"
#include "framing/resp_words.h"

/* The least that one takes: "$0\r\n\r\n", "+\r\n". */
#define RESP_WORD_LEAST    6
#define RESP_ELEMENT_LEAST 3

struct resp_number {
	uint64_t value;
	bool negative;
	size_t end; /* behind its "\r\n" */
};

/* A number from at on, with its "\r\n"; no zeros before it, no "-0". */
static inline enum framing_result
resp_number(const unsigned char *bytes, size_t length, size_t at, struct resp_number *ret_number)
{
	bool negative = at < length && bytes[at] == '-';
	size_t first = at + negative;
	uint64_t value;
	unsigned digit;

	if (first >= length)
		return FRAMING_MORE;
	value = bytes[first] - (unsigned)'0';
	if (value > 9 || (negative && value == 0))
		return FRAMING_MALFORMED;
	for (at = first + 1; at < length && value > 0 && (digit = bytes[at] - (unsigned)'0') <= 9; at++) {
		if (at - first == RESP_DIGITS)
			return FRAMING_MALFORMED;
		value = value * 10 + digit;
	}
	if (at < length && bytes[at] != '\r')
		return FRAMING_MALFORMED;
	if (at + 1 < length && bytes[at + 1] != '\n')
		return FRAMING_MALFORMED;
	*ret_number = (struct resp_number){ value, negative, at + 2 };
	return at + 1 < length ? FRAMING_WHOLE : FRAMING_MORE;
}

/* The string behind a length that was read.  max - number->end cannot wrap: nothing beyond max is looked at. */
static inline enum framing_result
resp_string(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    const struct resp_number *number, size_t *ret_end)
{
	size_t room = max - number->end;
	size_t end;

	if (room < 2 || number->value > room - 2)
		return FRAMING_TOO_LONG;
	end = number->end + (size_t)number->value + 2;
	if (length < end) {
		progress->expected = end;
		return FRAMING_MORE;
	}
	if (bytes[end - 2] != '\r' || bytes[end - 1] != '\n')
		return FRAMING_MALFORMED;
	*ret_end = end;
	return FRAMING_WHOLE;
}

static inline enum framing_result
resp_request_word(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *at)
{
	struct resp_number number;
	enum framing_result result;

	if (*at == length)
		return FRAMING_MORE;
	if (bytes[*at] != '$')
		return FRAMING_MALFORMED;
	result = resp_number(bytes, length, *at + 1, &number);
	if (result != FRAMING_WHOLE)
		return result;
	if (number.negative)
		return FRAMING_MALFORMED;
	if (number.value > RESP_BULK_MAX)
		return FRAMING_TOO_LONG;
	return resp_string(progress, bytes, length, max, &number, at);
}

static inline enum framing_result
resp_request_words(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	uint64_t pending = progress->pending;
	size_t at = progress->at;

	for (; pending > 0; pending--) {
		enum framing_result result = resp_request_word(progress, bytes, length, max, &at);

		if (result != FRAMING_WHOLE) {
			progress->at = at;
			progress->pending = pending;
			return result;
		}
	}
	*ret_length = at;
	return FRAMING_WHOLE;
}

/* An array that is empty, or even negative, is nothing to Redis. */
static inline enum framing_result
resp_request_array(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	if (progress->at == 0) {
		struct resp_number number;
		enum framing_result result = resp_number(bytes, length, 1, &number);

		if (result != FRAMING_WHOLE)
			return result;
		if (number.negative)
			number.value = 0;
		if (number.value > RESP_WORDS_MAX || number.value > (max - number.end) / RESP_WORD_LEAST)
			return FRAMING_TOO_LONG;
		progress->at = number.end;
		progress->pending = number.value;
	}
	return resp_request_words(progress, bytes, length, max, ret_length);
}

/* Redis closes for quotes that do not match, and waits for ever behind a NUL. */
static bool
resp_line_makes_sense(const unsigned char *line, size_t length)
{
	struct resp_words words;
	struct resp_word word;

	if (memchr(line, '\0', length) != NULL)
		return false;
	resp_words_begin(&words, line, length);
	while (resp_words_next(&words, &word))
		continue;
	return !words.unbalanced;
}

static enum framing_result
resp_request_line(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t *ret_length)
{
	size_t view = length > RESP_LINE_MAX ? RESP_LINE_MAX + 1 : length;
	const unsigned char *end = memchr(bytes + progress->at, '\n', view - progress->at);

	if (end == NULL) {
		progress->at = view;
		return length > RESP_LINE_MAX ? FRAMING_TOO_LONG : FRAMING_MORE;
	}
	if (!resp_line_makes_sense(bytes, (size_t)(end - bytes) + 1))
		return FRAMING_MALFORMED;
	*ret_length = (size_t)(end - bytes) + 1;
	return FRAMING_WHOLE;
}

/* Nothing beyond max is looked at, so that what continues there is too long whatever it is. */
static enum framing_result
resp_request(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length < max ? length : max;
	enum framing_result result = FRAMING_MORE;

	if (progress->at > view) /* max has become less */
		*progress = (struct framing_progress){ 0 };
	if (view > 0 && view >= progress->expected)
		result = bytes[0] == '*' ? resp_request_array(progress, bytes, view, max, ret_length) :
		    resp_request_line(progress, bytes, view, ret_length);
	return result == FRAMING_MORE && length >= max ? FRAMING_TOO_LONG : result;
}

/* What is only as long as its line.  Nothing in it needs a look but its end. */
static inline enum framing_result
resp_reply_line(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t *ret_end)
{
	size_t from = progress->at > progress->element ? progress->at : progress->element + 1;
	const unsigned char *end = memchr(bytes + from, '\n', length - from);

	if (end == NULL) {
		progress->at = length;
		return FRAMING_MORE;
	}
	if (end[-1] != '\r')
		return FRAMING_MALFORMED;
	*ret_end = (size_t)(end - bytes) + 1;
	return FRAMING_WHOLE;
}

/* Null and the booleans: the type, one letter or none, and the line's end. */
static enum framing_result
resp_reply_constant(const unsigned char *bytes, size_t length, size_t at, size_t *ret_end)
{
	size_t letters = bytes[at] == '#';

	if (length - at < letters + 3)
		return FRAMING_MORE;
	if (letters == 1 && bytes[at + 1] != 't' && bytes[at + 1] != 'f')
		return FRAMING_MALFORMED;
	if (bytes[at + letters + 1] != '\r' || bytes[at + letters + 2] != '\n')
		return FRAMING_MALFORMED;
	*ret_end = at + letters + 3;
	return FRAMING_WHOLE;
}

/* Adds the elements of an aggregate to those that are to come.  An attribute is no element itself: what it belongs
 * to is still to come.  A push comes between replies, never within one. */
static inline enum framing_result
resp_reply_aggregate(struct framing_progress *progress, unsigned char type, size_t max,
    const struct resp_number *number)
{
	uint64_t most = (max - number->end) / RESP_ELEMENT_LEAST;
	uint64_t elements = number->value;

	if (type == '>' && progress->element > 0)
		return FRAMING_MALFORMED;
	if (elements > most)
		return FRAMING_TOO_LONG;
	if (type == '%' || type == '|')
		elements *= 2;
	if (type == '|')
		elements++;
	progress->pending += elements;
	/* The element itself is counted, too, until it is taken off. */
	return progress->pending - 1 > most ? FRAMING_TOO_LONG : FRAMING_WHOLE;
}

/* What begins with a number: it, a string or an aggregate.  Only strings and arrays can be null. */
static inline enum framing_result
resp_reply_number(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_end)
{
	unsigned char type = bytes[progress->element];
	struct resp_number number;
	enum framing_result result = resp_number(bytes, length, progress->element + 1, &number);

	if (result != FRAMING_WHOLE)
		return result;
	*ret_end = number.end;
	if (type == ':')
		return FRAMING_WHOLE;
	if (number.negative)
		return number.value == 1 && (type == '$' || type == '*') ? FRAMING_WHOLE : FRAMING_MALFORMED;
	if (type == '$' || type == '!' || type == '=')
		return resp_string(progress, bytes, length, max, &number, ret_end);
	return resp_reply_aggregate(progress, type, max, &number);
}

static inline enum framing_result
resp_reply_element(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_end)
{
	switch (bytes[progress->element]) {
	case '+': case '-': case ',': case '(':
		return resp_reply_line(progress, bytes, length, ret_end);
	case ':': case '$': case '!': case '=': case '*': case '~': case '%': case '|': case '>':
		return resp_reply_number(progress, bytes, length, max, ret_end);
	case '_': case '#':
		return resp_reply_constant(bytes, length, progress->element, ret_end);
	default:
		return FRAMING_MALFORMED;
	}
}

/* As with requests, nothing beyond max is looked at. */
static enum framing_result
resp_reply(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length < max ? length : max;
	struct framing_progress now = *progress; /* bytes could alias what progress points to */
	enum framing_result result = FRAMING_WHOLE;

	if (now.at > view || now.element > view) /* max has become less */
		now = (struct framing_progress){ 0 };
	if (now.at == 0)
		now.pending = 1;
	if (view < now.expected)
		return FRAMING_MORE;
	while (now.pending > 0 && result == FRAMING_WHOLE) {
		size_t end = 0;

		result = now.element == view ? FRAMING_MORE : resp_reply_element(&now, bytes, view, max, &end);
		if (result == FRAMING_WHOLE) {
			now.at = now.element = end;
			now.pending--;
		}
	}
	if (result == FRAMING_WHOLE)
		*ret_length = now.at;
	else
		*progress = now;
	return result == FRAMING_MORE && length >= max ? FRAMING_TOO_LONG : result;
}

static size_t
resp_wrap(const unsigned char *contents, size_t length, unsigned char *to)
{
	return framing_wrap_whole(resp_request, contents, length, to);
}

static bool
resp_is_reply(const unsigned char *message, size_t length)
{
	return length > 0 && message[0] != '>';
}

static bool
resp_reply_is_sane(const void *stream)
{
	return resp_stream_is_sane(stream);
}

static void
resp_begin_reply(void *stream)
{
	resp_stream_begin(stream, RESP_STREAM_REPLY);
}

static enum framing_result
resp_feed_reply(void *stream, const unsigned char *bytes, size_t length, size_t *ret_used)
{
	return resp_stream_feed(stream, bytes, length, ret_used);
}

static size_t
resp_error(enum framing_fault fault, const char *text, char *to, size_t size)
{
	return framing_print_error(fault == FRAMING_FAULT_CLIENT ? "-ERR Protocol error: " : "-ERR ", text, to, size);
}

/* In Redis's words. */
static const char *
resp_array_complaint(const unsigned char *message, size_t length, char room[FRAMING_COMPLAINT_SIZE])
{
	struct resp_number number = { 0 };
	enum framing_result result = resp_number(message, length, 1, &number);

	if (result == FRAMING_MALFORMED || (result == FRAMING_WHOLE && number.value > INT32_MAX))
		return "invalid multibulk length";
	for (uint64_t words = number.negative ? 0 : number.value;
	    result == FRAMING_WHOLE && words > 0 && number.end < length; words--) {
		size_t at = number.end;

		if (message[at] != '$') {
			snprintf(room, FRAMING_COMPLAINT_SIZE, "expected '$', got '%c'", message[at]);
			return room;
		}
		result = resp_number(message, length, at + 1, &number);
		if (result == FRAMING_MALFORMED ||
		    (result == FRAMING_WHOLE && (number.negative || number.value > RESP_BULK_MAX)))
			return "invalid bulk length";
		number.end += (size_t)number.value + 2;
	}
	return NULL;
}

static const char *
resp_complaint(const unsigned char *message, size_t length, char room[FRAMING_COMPLAINT_SIZE])
{
	const unsigned char *end;

	if (length == 0)
		return NULL;
	if (message[0] == '*')
		return resp_array_complaint(message, length, room);
	end = memchr(message, '\n', length);
	if (end == NULL || end - message > RESP_LINE_MAX)
		return length > RESP_LINE_MAX ? "too big inline request" : NULL;
	return memchr(message, '\0', (size_t)(end - message)) == NULL &&
	    !resp_line_makes_sense(message, (size_t)(end - message) + 1) ? "unbalanced quotes in request" : NULL;
}

const struct framing framing_resp = {
	.name = "resp",
	.protocol = true,
	.request = resp_request,
	.reply = resp_reply,
	.wrap = resp_wrap,
	.unwrap = framing_unwrap_whole,
	.is_reply = resp_is_reply,
	.stream_begin = resp_begin_reply,
	.stream_is_sane = resp_reply_is_sane,
	.stream_feed = resp_feed_reply,
	.error = resp_error,
	.complaint = resp_complaint,
};
