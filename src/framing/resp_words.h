/* resp_words.h - the words of a request of RESP, as Redis splits them.
 *
 * Pure.  A request is an array of bulk strings, whose words stand in it as they are, or a line ("inline"), whose
 * words are parted by blanks and may be quoted.
 */
#ifndef HOLDFAST_FRAMING_RESP_WORDS_H
#define HOLDFAST_FRAMING_RESP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Of a line's word, so many bytes are kept; no name and no number that we know is longer. */
#define RESP_WORD_SIZE 24

struct resp_words {
	const unsigned char *at, *end; /* what is still to be split; borrowed */
	size_t left;                   /* words of an array that are still to come */
	bool line;
	bool unbalanced; /* a quote has no end, or no blank after its end: Redis closes for it */
};

struct resp_word {
	const unsigned char *bytes; /* into the request, or room, where only RESP_WORD_SIZE are kept */
	size_t length;
	unsigned char room[RESP_WORD_SIZE];
};

/* request is whole, or a line without its end. */
void resp_words_begin(struct resp_words *words, const unsigned char *request, size_t length);

/* The next word, up to a NUL in it; false if there is none, or none that makes sense. */
bool resp_words_next(struct resp_words *words, struct resp_word *ret_word);

/* Whether the word is name (capital letters, "-", ":"; not longer than RESP_WORD_SIZE), in capitals or not. */
bool resp_word_is(const struct resp_word *word, const char *name);

/* The word as a decimal number without sign or zeros before it; false if it is none, or has more than nine digits. */
bool resp_word_number(const struct resp_word *word, unsigned *ret_number);

#endif
