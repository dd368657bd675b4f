/* source_grammar.h - says what a text that libconfig has refused does wrong, where, and what to write instead.
 *
 * libconfig says "syntax error" to nearly everything, often some lines too late.  This reads the same language, and
 * is asked only when libconfig has refused: what it does not understand it leaves to libconfig's own words.
 */
#ifndef HOLDFAST_CONFIG_SOURCE_GRAMMAR_H
#define HOLDFAST_CONFIG_SOURCE_GRAMMAR_H

/* "services.a.hold_timeout: 30s: write it in quotation marks", and *ret_line, from 1: a text to free with mem_free().
 * NULL if nothing is found. */
char *source_grammar_explain(const char *text, unsigned *ret_line);

#endif
