/* source_text.h - looks at a configuration text before libconfig does, for what libconfig gets wrong.
 *
 * libconfig 1.5 includes files on its own (and calls exit() for a directory), cuts numbers to 32 bits without
 * a word, ends texts at a NUL byte, and nests as deep as it is told to.
 */
#ifndef HOLDFAST_CONFIG_SOURCE_TEXT_H
#define HOLDFAST_CONFIG_SOURCE_TEXT_H

#include <stddef.h>

#define SOURCE_TEXT_DEPTH 16 /* groups and lists within each other, at most */

/* NULL, or what is wrong, a static text, and *ret_line, from 1. */
const char *source_text_check(const char *text, size_t length, unsigned *ret_line);

/* The word behind the name and its "=" or ":" on the line of the text that begins at line; to free with mem_free(),
 * NULL if there is none. */
char *source_text_value(const char *text, const char *line, const char *name);

/* The one setting that is named on this line; a text to free with mem_free(), NULL if there is none or several. */
char *source_text_name(const char *text, unsigned line);

#endif
