#include "base/escape.h"

#include <stdio.h>
#include <string.h>

void
escape(const void *bytes, size_t length, unsigned how, char *ret_text, size_t size)
{
	static const char ends[] = "\r\n\t", letters[] = "rnt";
	const unsigned char *byte = bytes;
	const char *end;
	size_t at = 0;

	for (; length > 0 && at + 4 < size; byte++, length--) {
		if ((how & ESCAPE_QUOTED) && (end = memchr(ends, *byte, sizeof ends - 1)) != NULL)
			at += (size_t)sprintf(ret_text + at, "\\%c", letters[end - ends]);
		else if (*byte < ' ' || *byte == 0x7f || ((how & ESCAPE_ASCII) && *byte > '~') ||
		    ((how & ESCAPE_QUOTED) && (*byte == '\\' || *byte == '"')))
			at += (size_t)sprintf(ret_text + at, "\\x%02x", *byte);
		else
			ret_text[at++] = (char)*byte;
	}
	ret_text[at] = '\0';
}

void
escape_said(const void *bytes, size_t length, char ret_text[ESCAPE_SAID_SIZE])
{
	escape(bytes, length < ESCAPE_SAID_MAX ? length : ESCAPE_SAID_MAX, ESCAPE_ASCII | ESCAPE_QUOTED, ret_text,
	    ESCAPE_SAID_SIZE);
}
