#include "base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ESCAPE_BYTE 4 /* characters of \xNN */

/* The character of so many bytes, or UINT32_MAX: it is cut short, too long for what it says, or none. */
static uint32_t
escape_decode(const unsigned char *bytes, size_t length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t point = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);

	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return UINT32_MAX;
		point = point << 6 | (bytes[i] & 0x3f);
	}
	return point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ? UINT32_MAX : point;
}

/* Bytes of the character that begins so; 0: none does. */
static size_t
escape_length(unsigned char first)
{
	return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

bool
escape_is_harmless(const void *bytes, size_t length, size_t *ret_length)
{
	size_t needed = escape_length(*(const unsigned char *)bytes);
	uint32_t point = needed == 0 || needed > length ? UINT32_MAX : escape_decode(bytes, needed);

	*ret_length = point == UINT32_MAX ? 1 : needed;
	return point >= ' ' && (point < 0x7f || point > 0x9f) && point != 0x61c && point != 0x200e &&
	    point != 0x200f && (point < 0x2028 || point > 0x202e) && (point < 0x2066 || point > 0x2069) &&
	    point != UINT32_MAX;
}

/* The letter that stands for a byte behind a backslash, or 0. */
static char
escape_letter(unsigned char byte, unsigned how)
{
	static const char ends[] = "\r\n\t", letters[] = "rnt";
	const char *end = how & ESCAPE_QUOTED ? memchr(ends, byte, sizeof ends - 1) : NULL;

	return end == NULL ? '\0' : letters[end - ends];
}

/* Whether the bytes of one character stay as they are. */
static bool
escape_stays(const unsigned char *bytes, bool harmless, unsigned how)
{
	if ((how & ESCAPE_LINES) && (*bytes == '\n' || *bytes == '\t'))
		return true;
	return harmless && !((how & ESCAPE_ASCII) && *bytes > '~') &&
	    !((how & ESCAPE_QUOTED) && (*bytes == '\\' || *bytes == '"'));
}

void
escape(const void *bytes, size_t length, unsigned how, char *ret_text, size_t size)
{
	const unsigned char *from = bytes;
	size_t at = 0, taken;

	for (; length > 0; from += taken, length -= taken) {
		bool harmless = escape_is_harmless(from, length, &taken), stays = escape_stays(from, harmless, how);
		char letter = escape_letter(*from, how);

		if (at + (stays ? taken : ESCAPE_BYTE * taken) >= size)
			break;
		if (stays)
			memcpy(ret_text + at, from, taken);
		for (size_t i = 0; !stays && letter == '\0' && i < taken; i++)
			sprintf(ret_text + at + ESCAPE_BYTE * i, "\\x%02x", from[i]);
		if (letter != '\0')
			sprintf(ret_text + at, "\\%c", letter);
		at += stays ? taken : letter != '\0' ? 2 : ESCAPE_BYTE * taken;
	}
	ret_text[at] = '\0';
}

char *
escape_text(const char *text, unsigned how)
{
	size_t length = strlen(text), size = ESCAPE_BYTE * length + 1;
	char *result = mem_new(size, 1);

	escape(text, length, how, result, size);
	return result;
}

void
escape_said(const void *bytes, size_t length, char ret_text[ESCAPE_SAID_SIZE])
{
	escape(bytes, length < ESCAPE_SAID_MAX ? length : ESCAPE_SAID_MAX, ESCAPE_ASCII | ESCAPE_QUOTED, ret_text,
	    ESCAPE_SAID_SIZE);
}
