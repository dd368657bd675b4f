/* resp_words.h - the words of a request of RESP, as Redis splits them.
 *
 * Pure.  A request is an array of bulk strings, whose words stand in it as they are, or a line ("inline"), whose
 * words are parted by blanks and may be quoted.
 */
#ifndef HOLDFAST_FRAMING_RESP_WORDS_H
#define HOLDFAST_FRAMING_RESP_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Redis's limits, of requests: words of an array, bytes of one (proto-max-bulk-len), bytes of a line before its "\n".
 * It closes for more. */
#define RESP_WORDS_MAX 1048576
#define RESP_BULK_MAX  536870912
#define RESP_LINE_MAX  65536

/* Of any number; more could overflow 64 bits. */
#define RESP_DIGITS 19

/* Of a word whose bytes pass, so many are kept; no name and no number that we know is longer. */
#define RESP_WORD_SIZE 24

/* How a word begins, and how many bytes it has. */
struct resp_kept {
	uint64_t length;
	unsigned char bytes[RESP_WORD_SIZE];
};

/* Where in a line's word we are.  All zero before the line. */
struct resp_line {
	uint8_t state;
	unsigned char quote, hex;
};

enum resp_line_step {
	RESP_LINE_MORE,
	RESP_LINE_WORD,       /* a word has ended; the next byte begins the next one's */
	RESP_LINE_UNBALANCED, /* a quote has no end, or no blank after its end: Redis closes for it */
};

/* The line's next byte, which is no "\n".  What it adds to the word is put to the end of *word. */
enum resp_line_step resp_line_byte(struct resp_line *line, unsigned char byte, struct resp_kept *word);

/* The line ends here, before its "\n" or its "\r\n". */
enum resp_line_step resp_line_end(const struct resp_line *line);

/* Whether these bytes, whatever they are, are a place within a line. */
bool resp_line_is_sane(const struct resp_line *line);

struct resp_words {
	const unsigned char *at, *end; /* what is still to be split; borrowed */
	size_t left;                   /* words of an array that are still to come */
	bool line;
	bool unbalanced; /* RESP_LINE_UNBALANCED */
};

struct resp_word {
	const unsigned char *bytes; /* into the request, or kept, where only RESP_WORD_SIZE are */
	size_t length;
	struct resp_kept kept;
};

/* request is whole, or a line without its end. */
void resp_words_begin(struct resp_words *words, const unsigned char *request, size_t length);

/* The next word, up to a NUL in it; false if there is none, or none that makes sense. */
bool resp_words_next(struct resp_words *words, struct resp_word *ret_word);

/* Adds bytes to the end of a word. */
void resp_kept_add(struct resp_kept *kept, const unsigned char *bytes, size_t length);

/* Redis compares words as C has them: what is behind a NUL makes no other word. */
void resp_kept_cut(struct resp_kept *kept);

/* The word that was kept; it points into *kept. */
struct resp_word resp_kept_word(const struct resp_kept *kept);

/* Whether the word is name (capital letters, "-", ":"; not longer than RESP_WORD_SIZE), in capitals or not. */
bool resp_word_is(const struct resp_word *word, const char *name);

/* The word as a decimal number without sign or zeros before it; false if it is none, or has more than nine digits. */
bool resp_word_number(const struct resp_word *word, unsigned *ret_number);

#endif
