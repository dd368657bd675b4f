/* length8, length16be and so on: a length of one, two or four bytes, then so many bytes of contents. */
#include <stdbool.h>
#include <string.h>

#include "framing/framing.h"

enum length_order { LENGTH_BIG, LENGTH_LITTLE };

static size_t
length_read(const unsigned char *field, size_t width, enum length_order order)
{
	size_t value = 0;

	for (size_t i = 0; i < width; i++)
		value = value << 8 | field[order == LENGTH_BIG ? i : width - 1 - i];
	return value;
}

static inline enum framing_result
length_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t width, enum length_order order, size_t *ret_length)
{
	if (progress->expected == 0) {
		size_t contents;

		if (length < width)
			return FRAMING_MORE;
		contents = length_read(bytes, width, order);
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

/* The functions of one kind, which differ in width and order alone. */
#define LENGTH_KIND(KIND, WIDTH, ORDER)                                                                             \
	static enum framing_result                                                                                  \
	KIND##_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,      \
	    size_t *ret_length)                                                                                     \
	{                                                                                                           \
		return length_parse(progress, bytes, length, max, WIDTH, ORDER, ret_length);                        \
	}                                                                                                           \
	static size_t                                                                                               \
	KIND##_wrap(const unsigned char *contents, size_t length, unsigned char *to)                                \
	{                                                                                                           \
		return length_wrap(contents, length, to, WIDTH, ORDER);                                             \
	}                                                                                                           \
	static size_t                                                                                               \
	KIND##_unwrap(const unsigned char *message, size_t length, size_t *ret_length)                              \
	{                                                                                                           \
		(void)message;                                                                                      \
		*ret_length = length - WIDTH;                                                                       \
		return WIDTH;                                                                                       \
	}                                                                                                           \
	const struct framing framing_##KIND = {                                                                     \
		.name = #KIND,                                                                                      \
		.request = KIND##_parse,                                                                            \
		.reply = KIND##_parse,                                                                              \
		.wrap = KIND##_wrap,                                                                                \
		.unwrap = KIND##_unwrap,                                                                            \
	}

LENGTH_KIND(length8, 1, LENGTH_BIG);
LENGTH_KIND(length16be, 2, LENGTH_BIG);
LENGTH_KIND(length16le, 2, LENGTH_LITTLE);
LENGTH_KIND(length32be, 4, LENGTH_BIG);
LENGTH_KIND(length32le, 4, LENGTH_LITTLE);
