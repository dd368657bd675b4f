#include "framing/resp_words.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A number that the parser has seen, up to its "\r\n". */
static size_t
words_count(struct resp_words *words)
{
	size_t value = 0;

	for (words->at++; *words->at != '\r'; words->at++)
		value = value * 10 + (size_t)(*words->at - '0');
	words->at += 2;
	return value;
}

void
resp_words_begin(struct resp_words *words, const unsigned char *request, size_t length)
{
	words->at = request;
	words->end = request + length;
	words->left = 0;
	words->unbalanced = false;
	words->line = length == 0 || request[0] != '*';
	if (!words->line) {
		if (request[1] != '-')
			words->left = words_count(words);
		return;
	}
	if (length > 0 && words->end[-1] == '\n')
		words->end--;
	if (words->end > request && words->end[-1] == '\r')
		words->end--;
}

/* What a digit of "\x41" stands for; -1 if it is none. */
static int
words_hex(unsigned char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static unsigned char
words_escaped(unsigned char byte)
{
	static const char letters[] = "nrtba", meant[] = "\n\r\t\b\a";
	const char *at = byte == '\0' ? NULL : strchr(letters, byte);

	return at == NULL ? byte : (unsigned char)meant[at - letters];
}

static void
words_put(struct resp_word *word, unsigned char byte)
{
	if (word->length < RESP_WORD_SIZE)
		word->room[word->length] = byte;
	word->length++;
}

/* What stands behind a backslash, of which at least one byte is there. */
static void
words_unescape(struct resp_words *words, unsigned char quote, struct resp_word *word)
{
	const unsigned char *at = words->at;
	bool hex = quote == '"' && words->end - at >= 3 && at[0] == 'x' && words_hex(at[1]) != -1 &&
	    words_hex(at[2]) != -1;

	if (hex) {
		words_put(word, (unsigned char)(words_hex(at[1]) << 4 | words_hex(at[2])));
		words->at += 3;
	} else if (quote == '"') {
		words_put(word, words_escaped(*at));
		words->at++;
	} else if (*at == '\'') {
		words_put(word, '\'');
		words->at++;
	} else {
		words_put(word, '\\');
	}
}

/* The rest of a word from within its quotes on; the closing one ends the word, and a blank has to follow. */
static bool
words_quoted(struct resp_words *words, unsigned char quote, struct resp_word *word)
{
	while (words->at < words->end) {
		unsigned char byte = *words->at++;

		if (byte == quote)
			return words->at == words->end || isspace(*words->at);
		if (byte == '\\' && words->at < words->end)
			words_unescape(words, quote, word);
		else
			words_put(word, byte);
	}
	return false;
}

static bool
words_next_of_line(struct resp_words *words, struct resp_word *word)
{
	word->bytes = word->room;
	word->length = 0;
	while (words->at < words->end && isspace(*words->at))
		words->at++;
	if (words->at == words->end || words->unbalanced)
		return false;
	while (words->at < words->end) {
		unsigned char byte = *words->at;

		if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
			break;
		words->at++;
		if (byte == '"' || byte == '\'') {
			words->unbalanced = !words_quoted(words, byte, word);
			return !words->unbalanced;
		}
		words_put(word, byte);
	}
	return true;
}

/* Redis compares words as C has them: what is behind a NUL makes no other word. */
static void
words_cut(struct resp_word *word)
{
	size_t there = word->bytes == word->room && word->length > RESP_WORD_SIZE ? RESP_WORD_SIZE : word->length;
	const unsigned char *end = memchr(word->bytes, '\0', there);

	if (end != NULL)
		word->length = (size_t)(end - word->bytes);
}

static bool
words_next_of_array(struct resp_words *words, struct resp_word *ret_word)
{
	if (words->left == 0)
		return false;
	words->left--;
	ret_word->length = words_count(words);
	ret_word->bytes = words->at;
	words->at += ret_word->length + 2;
	assert(words->at <= words->end);
	return true;
}

bool
resp_words_next(struct resp_words *words, struct resp_word *ret_word)
{
	if (!(words->line ? words_next_of_line(words, ret_word) : words_next_of_array(words, ret_word)))
		return false;
	words_cut(ret_word);
	return true;
}

bool
resp_word_is(const struct resp_word *word, const char *name)
{
	return strlen(name) == word->length && strncasecmp((const char *)word->bytes, name, word->length) == 0;
}

bool
resp_word_number(const struct resp_word *word, unsigned *ret_number)
{
	unsigned value = 0;

	if (word->length == 0 || word->length > 9 || (word->length > 1 && word->bytes[0] == '0'))
		return false;
	for (size_t i = 0; i < word->length; i++) {
		if (word->bytes[i] < '0' || word->bytes[i] > '9')
			return false;
		value = value * 10 + (unsigned)(word->bytes[i] - '0');
	}
	*ret_number = value;
	return true;
}
