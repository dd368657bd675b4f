/* syntax.h - whether libconfig may be given a text, and what is wrong with it if not.
 *
 * libconfig 1.5 includes files on its own (and calls exit() for a directory, and hangs at a FIFO), nests as deep as
 * it is told to, cuts numbers to 32 bits without a word, ends texts at a NUL byte, takes a time that grows with the
 * square of a group's names, and says "syntax error" to nearly everything, often some lines too late.  1.7 reads 010
 * as 8.  So this reads the same language first, and lets through only what every version takes, and takes alike;
 * tests/fuzz/config.c holds it to that.
 */
#ifndef HOLDFAST_CONFIG_SYNTAX_H
#define HOLDFAST_CONFIG_SYNTAX_H

#include <stddef.h>

#define SYNTAX_DEPTH 16   /* groups and lists within each other, at most */
#define SYNTAX_NAMES 2048 /* in one group, at most */

/* NULL, or "services.a.hold_timeout: 30s needs quotation marks: write \"30s\"", to be freed with mem_free(), and
 * *ret_line, from 1.  text ends with NUL behind its length; a comment at its end needs a newline. */
char *syntax_check(const char *text, size_t length, unsigned *ret_line);

#endif
