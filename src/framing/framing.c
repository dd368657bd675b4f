#include "framing/framing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* line: a message ends with "\n".  A "\r" before it is content, as any other byte is. */
static enum framing_result
line_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length > max ? max + 1 : length;
	const unsigned char *end;

	if (progress->at < view) {
		end = memchr(bytes + progress->at, '\n', view - progress->at);
		if (end != NULL) {
			*ret_length = (size_t)(end - bytes) + 1;
			return FRAMING_WHOLE;
		}
		progress->at = view;
	}
	return length > max ? FRAMING_TOO_LONG : FRAMING_MORE;
}

static size_t
line_wrap(const unsigned char *contents, size_t length, unsigned char *to)
{
	if (length > 0 && memchr(contents, '\n', length) != NULL)
		return 0;
	if (length > 0)
		memcpy(to, contents, length);
	to[length] = '\n';
	return length + 1;
}

static size_t
line_unwrap(const unsigned char *message, size_t length, size_t *ret_length)
{
	(void)message;
	*ret_length = length - 1;
	return 0;
}

/* netstring: the length in decimal digits, ":", the contents, ",".  See https://cr.yp.to/proto/netstrings.txt.
 * octet-counted: the length, " ", the contents, which cannot be empty.  See RFC 6587, 3.4.1. */
#define COUNTED_SPACE ' '

/* No length has a zero before it, and none that max allows has more digits than max.  mark: behind the length. */
static inline enum framing_result
counted_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max, int mark,
    size_t *ret_length)
{
	size_t at, contents = 0;

	if (length < progress->expected)
		return FRAMING_MORE;
	for (at = 0; at < length && bytes[at] >= '0' && bytes[at] <= '9'; at++) {
		size_t digit = bytes[at] - (size_t)'0';

		if (at > 0 && contents == 0)
			return FRAMING_MALFORMED;
		if (contents > max / 10 || digit > max - contents * 10)
			return FRAMING_TOO_LONG;
		contents = contents * 10 + digit;
	}
	if (at == length)
		return FRAMING_MORE;
	if (at == 0 || bytes[at] != mark || (contents == 0 && mark == COUNTED_SPACE))
		return FRAMING_MALFORMED;
	progress->at = at + 1;
	progress->expected = at + 1 + contents + (mark != COUNTED_SPACE);
	if (length < progress->expected)
		return FRAMING_MORE;
	if (mark != COUNTED_SPACE && bytes[progress->expected - 1] != ',')
		return FRAMING_MALFORMED;
	*ret_length = progress->expected;
	return FRAMING_WHOLE;
}

static size_t
counted_wrap(const unsigned char *contents, size_t length, unsigned char *to, char mark)
{
	char head[24];
	size_t at = (size_t)snprintf(head, sizeof head, "%zu%c", length, mark);

	if (length == 0 && mark == COUNTED_SPACE)
		return 0;
	memcpy(to, head, at);
	if (length > 0)
		memcpy(to + at, contents, length);
	if (mark == COUNTED_SPACE)
		return at + length;
	to[at + length] = ',';
	return at + length + 1;
}

static size_t
counted_unwrap(const unsigned char *message, size_t length, char mark, size_t *ret_length)
{
	size_t offset = 0;

	while (message[offset] != mark)
		offset++;
	offset++;
	*ret_length = length - offset - (mark != COUNTED_SPACE);
	return offset;
}

/* length8, length16be and so on: a length of one, two or four bytes, then so many bytes of contents. */
enum length_order { LENGTH_BIG, LENGTH_LITTLE };

static inline enum framing_result
length_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t width, enum length_order order, size_t *ret_length)
{
	if (progress->expected == 0) {
		size_t contents = 0;

		if (length < width)
			return FRAMING_MORE;
		for (size_t i = 0; i < width; i++)
			contents = contents << 8 | bytes[order == LENGTH_BIG ? i : width - 1 - i];
		if (contents > max)
			return FRAMING_TOO_LONG;
		progress->at = width;
		progress->expected = width + contents;
	}
	if (length < progress->expected)
		return FRAMING_MORE;
	*ret_length = progress->expected;
	return FRAMING_WHOLE;
}

static size_t
length_wrap(const unsigned char *contents, size_t length, unsigned char *to, size_t width, enum length_order order)
{
	if ((uint64_t)length >> 8 * width != 0)
		return 0;
	for (size_t i = 0; i < width; i++)
		to[order == LENGTH_LITTLE ? i : width - 1 - i] = (unsigned char)(length >> 8 * i);
	if (length > 0)
		memcpy(to + width, contents, length);
	return width + length;
}

static size_t
length_unwrap(const unsigned char *message, size_t length, size_t width, enum length_order order, size_t *ret_length)
{
	(void)message;
	(void)order;
	*ret_length = length - width;
	return width;
}

/* The functions of one kind of a family, which differ in these arguments alone. */
#define KIND(NAME, FAMILY, ...)                                                                                     \
	static enum framing_result                                                                                  \
	NAME##_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,      \
	    size_t *ret_length)                                                                                     \
	{                                                                                                           \
		return FAMILY##_parse(progress, bytes, length, max, __VA_ARGS__, ret_length);                       \
	}                                                                                                           \
	static size_t                                                                                               \
	NAME##_wrap(const unsigned char *contents, size_t length, unsigned char *to)                                \
	{                                                                                                           \
		return FAMILY##_wrap(contents, length, to, __VA_ARGS__);                                            \
	}                                                                                                           \
	static size_t                                                                                               \
	NAME##_unwrap(const unsigned char *message, size_t length, size_t *ret_length)                              \
	{                                                                                                           \
		return FAMILY##_unwrap(message, length, __VA_ARGS__, ret_length);                                   \
	}

KIND(netstring, counted, ':')
KIND(octets, counted, COUNTED_SPACE)
KIND(length8, length, 1, LENGTH_BIG)
KIND(length16be, length, 2, LENGTH_BIG)
KIND(length16le, length, 2, LENGTH_LITTLE)
KIND(length32be, length, 4, LENGTH_BIG)
KIND(length32le, length, 4, LENGTH_LITTLE)

#define FRAMING(NAME, FULL_NAME) &(const struct framing){ .name = FULL_NAME, .request = NAME##_parse, \
	.reply = NAME##_parse, .wrap = NAME##_wrap, .unwrap = NAME##_unwrap }

static const struct framing *const framings[FRAMING_KINDS] = {
	[FRAMING_LINE] = FRAMING(line, "line"),
	[FRAMING_NETSTRING] = FRAMING(netstring, "netstring"),
	[FRAMING_LENGTH8] = FRAMING(length8, "length8"),
	[FRAMING_LENGTH16BE] = FRAMING(length16be, "length16be"),
	[FRAMING_LENGTH16LE] = FRAMING(length16le, "length16le"),
	[FRAMING_LENGTH32BE] = FRAMING(length32be, "length32be"),
	[FRAMING_LENGTH32LE] = FRAMING(length32le, "length32le"),
	[FRAMING_RESP] = &framing_resp,
	[FRAMING_OCTETS] = FRAMING(octets, "octet-counted"),
	[FRAMING_MEMCACHE] = &framing_memcache,
};

size_t
framing_wrap_whole(framing_parser *parser, const unsigned char *contents, size_t length, unsigned char *to)
{
	struct framing_progress progress = { 0 };
	size_t whole;

	if (parser(&progress, contents, length, length, &whole) != FRAMING_WHOLE || whole != length)
		return 0;
	memcpy(to, contents, length);
	return length;
}

size_t
framing_unwrap_whole(const unsigned char *message, size_t length, size_t *ret_length)
{
	(void)message;
	*ret_length = length;
	return 0;
}

size_t
framing_print_error(const char *begin, const char *text, char *to, size_t size)
{
	size_t at = strlen(begin);

	memcpy(to, begin, at);
	for (; *text != '\0' && at < size - 2; text++)
		to[at++] = (unsigned char)*text < ' ' || *text == '\x7f' ? ' ' : *text;
	memcpy(to + at, "\r\n", 2);
	return at + 2;
}

const struct framing *
framing_of(enum framing_kind kind)
{
	assert(kind > FRAMING_NONE && kind < FRAMING_KINDS);
	return framings[kind];
}
