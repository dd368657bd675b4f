/* escape.h - bytes from outside as people are shown them, in one line.
 *
 * What a terminal would obey, or show as something else than it is, is written as \xNN, byte by byte: control
 * characters, those of C1 (U+0080 to 9F) too, what turns the direction of text (U+061C, 200E, 200F, 202A to 202E,
 * 2066 to 2069) or ends a line (U+2028, 2029), and bytes that are no UTF-8.
 */
#ifndef HOLDFAST_BASE_ESCAPE_H
#define HOLDFAST_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#define ESCAPE_ASCII  1u /* all that is not ASCII is written so, too */
#define ESCAPE_QUOTED 2u /* quotes and backslashes; line ends and tabs as \r, \n, \t */
#define ESCAPE_LINES  4u /* newlines and tabs stay */

/* Whether the first character may be shown as it is; *ret_length: its bytes, of length, which is not 0. */
bool escape_is_harmless(const void *bytes, size_t length, size_t *ret_length);

/* As many of the bytes as have room in size. */
void escape(const void *bytes, size_t length, unsigned how, char *ret_text, size_t size);

/* All of text, to be freed with mem_free(). */
char *escape_text(const char *text, unsigned how);

#define ESCAPE_SAID_MAX  80                        /* bytes that are shown */
#define ESCAPE_SAID_SIZE (4 * ESCAPE_SAID_MAX + 1) /* of the text */

/* What a server said: the first ESCAPE_SAID_MAX bytes, as ASCII and quoted. */
void escape_said(const void *bytes, size_t length, char ret_text[ESCAPE_SAID_SIZE]);

#endif
