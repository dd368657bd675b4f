#include "upstream/said.h"

#include <stdio.h>

void
said_escape(const void *bytes, size_t length, char ret_text[SAID_SIZE])
{
	const unsigned char *said = bytes;
	size_t at = 0;

	for (size_t i = 0; i < length && i < SAID_MAX; i++) {
		if (said[i] == '\r' || said[i] == '\n' || said[i] == '\t')
			at += (size_t)snprintf(ret_text + at, SAID_SIZE - at, "\\%c",
			    said[i] == '\r' ? 'r' : said[i] == '\n' ? 'n' : 't');
		else if (said[i] < ' ' || said[i] > '~' || said[i] == '\\' || said[i] == '"')
			at += (size_t)snprintf(ret_text + at, SAID_SIZE - at, "\\x%02x", said[i]);
		else
			ret_text[at++] = (char)said[i];
	}
	ret_text[at] = '\0';
}
