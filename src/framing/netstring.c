/* netstring: the length in decimal digits, ":", the contents, ",".  See https://cr.yp.to/proto/netstrings.txt. */
#include <string.h>

#include "framing/framing.h"

/* No length has a zero before it, and none that max allows has more digits than max. */
static enum framing_result
netstring_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
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
	if (at == 0 || bytes[at] != ':')
		return FRAMING_MALFORMED;
	progress->at = at + 1;
	progress->expected = at + contents + 2;
	if (length < progress->expected)
		return FRAMING_MORE;
	if (bytes[progress->expected - 1] != ',')
		return FRAMING_MALFORMED;
	*ret_length = progress->expected;
	return FRAMING_WHOLE;
}

static size_t
netstring_wrap(const unsigned char *contents, size_t length, unsigned char *to)
{
	unsigned char digits[20];
	size_t first = sizeof digits, at, left = length;

	do
		digits[--first] = (unsigned char)('0' + left % 10);
	while ((left /= 10) > 0);
	at = sizeof digits - first;
	memcpy(to, digits + first, at);
	to[at++] = ':';
	if (length > 0)
		memcpy(to + at, contents, length);
	to[at + length] = ',';
	return at + length + 1;
}

static size_t
netstring_unwrap(const unsigned char *message, size_t length, size_t *ret_length)
{
	size_t offset = 0;

	while (message[offset] != ':')
		offset++;
	offset++;
	*ret_length = length - offset - 1;
	return offset;
}

const struct framing framing_netstring = {
	.name = "netstring",
	.request = netstring_parse,
	.reply = netstring_parse,
	.wrap = netstring_wrap,
	.unwrap = netstring_unwrap,
};
