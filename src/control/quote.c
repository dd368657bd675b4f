#include "control/quote.h"

#include <stdio.h>
#include <string.h>

/* Bytes that are taken at a time, and what they may become. */
#define QUOTE_PIECE 4096
#define QUOTE_MOST  6 /* \u001f */

/* How a byte stands in a string (RFC 8259, 7), if not for itself; the length. */
static size_t
quote_byte(unsigned char byte, char *to)
{
	if (byte == '\n') {
		memcpy(to, "\\n", 2);
		return 2;
	}
	if (byte == '"' || byte == '\\') {
		to[0] = '\\';
		to[1] = (char)byte;
		return 2;
	}
	return (size_t)snprintf(to, QUOTE_MOST + 1, "\\u%04x", byte);
}

static size_t
quote_piece(const unsigned char *bytes, size_t length, char *to)
{
	size_t at = 0;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i] >= ' ' && bytes[i] != '"' && bytes[i] != '\\')
			to[at++] = (char)bytes[i];
		else
			at += quote_byte(bytes[i], to + at);
	}
	return at;
}

void
quote_text(struct evbuffer *text, struct evbuffer *out)
{
	unsigned char piece[QUOTE_PIECE];
	char quoted[QUOTE_PIECE * QUOTE_MOST + 1];
	int length;

	evbuffer_add(out, "\"", 1);
	while ((length = evbuffer_remove(text, piece, sizeof piece)) > 0)
		evbuffer_add(out, quoted, quote_piece(piece, (size_t)length, quoted));
	evbuffer_add(out, "\"", 1);
}
