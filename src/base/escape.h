/* escape.h - bytes from outside as people are shown them, in one line. */
#ifndef HOLDFAST_BASE_ESCAPE_H
#define HOLDFAST_BASE_ESCAPE_H

#include <stddef.h>

/* Control characters are always written as \xNN; and: */
#define ESCAPE_ASCII  1u /* all that is not ASCII */
#define ESCAPE_QUOTED 2u /* quotes and backslashes; line ends and tabs as \r, \n, \t */

/* As many of the bytes as have room in size. */
void escape(const void *bytes, size_t length, unsigned how, char *ret_text, size_t size);

#define ESCAPE_SAID_MAX  80                        /* bytes that are shown */
#define ESCAPE_SAID_SIZE (4 * ESCAPE_SAID_MAX + 1) /* of the text */

/* What a server said: the first ESCAPE_SAID_MAX bytes, as ASCII and quoted. */
void escape_said(const void *bytes, size_t length, char ret_text[ESCAPE_SAID_SIZE]);

#endif
