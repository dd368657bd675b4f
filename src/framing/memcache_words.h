/* memcache_words.h - the words of a line of memcached's text protocol. */
#ifndef HOLDFAST_FRAMING_MEMCACHE_WORDS_H
#define HOLDFAST_FRAMING_MEMCACHE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct memcache_word {
	const unsigned char *bytes;
	size_t length;
};

static inline bool
word_is(const struct memcache_word *word, const char *text)
{
	return word->length == strlen(text) && memcmp(word->bytes, text, word->length) == 0;
}

/* A number of digits alone, at most most; *ret_value is not more than UINT64_MAX. */
static inline bool
word_number(const struct memcache_word *word, uint64_t most, uint64_t *ret_value)
{
	uint64_t value = 0;
	unsigned digit;

	for (size_t i = 0; i < word->length; i++) {
		digit = word->bytes[i] - (unsigned)'0';
		if (digit > 9 || value > most / 10 || digit > most - value * 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return word->length > 0;
}

/* The next word from *at on, which moves behind it.  false: there is none. */
static inline bool
word_next(const unsigned char *line, size_t length, size_t *at, struct memcache_word *word)
{
	size_t begin = *at, end;

	while (begin < length && line[begin] == ' ')
		begin++;
	for (end = begin; end < length && line[end] != ' '; end++)
		continue;
	*word = (struct memcache_word){ line + begin, end - begin };
	*at = end;
	return end > begin;
}

#endif
