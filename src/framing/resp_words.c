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

enum line_state {
	LINE_BLANK,
	LINE_WORD,
	LINE_QUOTED,
	LINE_ESCAPE, /* behind a backslash within quotes */
	LINE_HEX, LINE_HEX_SECOND,
	LINE_CLOSED, /* behind the closing quote, which ends the word: a blank has to follow */
};

bool
resp_line_is_sane(const struct resp_line *line)
{
	return line->state <= LINE_CLOSED;
}

void
resp_kept_add(struct resp_kept *kept, const unsigned char *bytes, size_t length)
{
	if (kept->length < RESP_WORD_SIZE && length > 0) {
		size_t room = RESP_WORD_SIZE - (size_t)kept->length;

		memcpy(kept->bytes + kept->length, bytes, length < room ? length : room);
	}
	kept->length += length;
}

void
resp_kept_cut(struct resp_kept *kept)
{
	size_t there = kept->length > RESP_WORD_SIZE ? RESP_WORD_SIZE : (size_t)kept->length;
	const unsigned char *end = memchr(kept->bytes, '\0', there);

	if (end != NULL)
		kept->length = (uint64_t)(end - kept->bytes);
}

struct resp_word
resp_kept_word(const struct resp_kept *kept)
{
	return (struct resp_word){ .bytes = kept->bytes, .length = (size_t)kept->length };
}

static void
line_put(struct resp_kept *word, unsigned char byte)
{
	resp_kept_add(word, &byte, 1);
}

/* Behind "\x": two digits make a byte; what else stands there is itself. */
static enum resp_line_step
line_hex(struct resp_line *line, unsigned char byte, struct resp_kept *word)
{
	if (words_hex(byte) != -1 && line->state == LINE_HEX) {
		line->hex = byte;
		line->state = LINE_HEX_SECOND;
		return RESP_LINE_MORE;
	}
	if (words_hex(byte) != -1) {
		line_put(word, (unsigned char)(words_hex(line->hex) << 4 | words_hex(byte)));
		line->state = LINE_QUOTED;
		return RESP_LINE_MORE;
	}
	line_put(word, 'x');
	if (line->state == LINE_HEX_SECOND)
		line_put(word, line->hex);
	line->state = LINE_QUOTED;
	return resp_line_byte(line, byte, word);
}

/* Within single quotes, only they can be escaped. */
static enum resp_line_step
line_escape(struct resp_line *line, unsigned char byte, struct resp_kept *word)
{
	line->state = line->quote == '"' && byte == 'x' ? LINE_HEX : LINE_QUOTED;
	if (line->state == LINE_HEX)
		return RESP_LINE_MORE;
	if (line->quote == '\'' && byte != '\'') {
		line_put(word, '\\');
		return resp_line_byte(line, byte, word);
	}
	line_put(word, line->quote == '"' ? words_escaped(byte) : byte);
	return RESP_LINE_MORE;
}

static enum resp_line_step
line_quoted(struct resp_line *line, unsigned char byte, struct resp_kept *word)
{
	if (byte == line->quote)
		line->state = LINE_CLOSED;
	else if (byte == '\\')
		line->state = LINE_ESCAPE;
	else
		line_put(word, byte);
	return RESP_LINE_MORE;
}

/* More bytes are blanks before a word than end one. */
static enum resp_line_step
line_plain(struct resp_line *line, unsigned char byte, struct resp_kept *word)
{
	if (line->state == LINE_BLANK && isspace(byte))
		return RESP_LINE_MORE;
	if (byte == ' ' || byte == '\t' || byte == '\r') {
		line->state = LINE_BLANK;
		return RESP_LINE_WORD;
	}
	line->state = LINE_WORD;
	if (byte == '"' || byte == '\'') {
		line->quote = byte;
		line->state = LINE_QUOTED;
	} else {
		line_put(word, byte);
	}
	return RESP_LINE_MORE;
}

enum resp_line_step
resp_line_byte(struct resp_line *line, unsigned char byte, struct resp_kept *word)
{
	switch (line->state) {
	case LINE_QUOTED: return line_quoted(line, byte, word);
	case LINE_ESCAPE: return line_escape(line, byte, word);
	case LINE_HEX: case LINE_HEX_SECOND: return line_hex(line, byte, word);
	case LINE_CLOSED:
		line->state = LINE_BLANK;
		return isspace(byte) ? RESP_LINE_WORD : RESP_LINE_UNBALANCED;
	default: return line_plain(line, byte, word);
	}
}

enum resp_line_step
resp_line_end(const struct resp_line *line)
{
	if (line->state == LINE_BLANK)
		return RESP_LINE_MORE;
	return line->state == LINE_WORD || line->state == LINE_CLOSED ? RESP_LINE_WORD : RESP_LINE_UNBALANCED;
}

static bool
words_next_of_line(struct resp_words *words, struct resp_word *word)
{
	enum resp_line_step step = words->unbalanced ? RESP_LINE_UNBALANCED : RESP_LINE_MORE;
	struct resp_line line = { 0 };

	word->kept.length = 0;
	while (step == RESP_LINE_MORE && words->at < words->end)
		step = resp_line_byte(&line, *words->at++, &word->kept);
	if (step == RESP_LINE_MORE)
		step = resp_line_end(&line);
	words->unbalanced = step == RESP_LINE_UNBALANCED;
	resp_kept_cut(&word->kept);
	word->bytes = word->kept.bytes;
	word->length = (size_t)word->kept.length;
	return step == RESP_LINE_WORD;
}

static bool
words_next_of_array(struct resp_words *words, struct resp_word *ret_word)
{
	const unsigned char *end;

	if (words->left == 0)
		return false;
	words->left--;
	ret_word->length = words_count(words);
	ret_word->bytes = words->at;
	words->at += ret_word->length + 2;
	assert(words->at <= words->end);
	if ((end = memchr(ret_word->bytes, '\0', ret_word->length)) != NULL)
		ret_word->length = (size_t)(end - ret_word->bytes);
	return true;
}

bool
resp_words_next(struct resp_words *words, struct resp_word *ret_word)
{
	return words->line ? words_next_of_line(words, ret_word) : words_next_of_array(words, ret_word);
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
