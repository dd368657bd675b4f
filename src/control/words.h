/* words.h - splits a line of the control protocol into words. */
#ifndef HOLDFAST_CONTROL_WORDS_H
#define HOLDFAST_CONTROL_WORDS_H

/* Splits line in place by blanks and tabs.  "..." keeps blanks, \ takes the next character as it is, inside
 * quotes too.  Writes at most max words and a NULL after them (words has room for max + 1), and their number.
 * NULL, or what is wrong: a static text. */
const char *words_split(char *line, int max, char **words, int *ret_count);

#endif
