#include "control/words.h"

#include <stdbool.h>
#include <stddef.h>

static bool
words_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Moves the word at from down to to without its quotes; *from ends behind it, *to at its end.  NULL or what is
 * wrong. */
static const char *
words_take(char **from, char **to)
{
	bool quoted = false;

	for (; **from != '\0' && (quoted || !words_is_blank(**from)); (*from)++) {
		if (**from == '"') {
			quoted = !quoted;
			continue;
		}
		if (**from == '\\' && *++*from == '\0')
			return "nothing follows the last \\";
		*(*to)++ = **from;
	}
	return quoted ? "a \" is not closed" : NULL;
}

const char *
words_split(char *line, int max, char **words, int *ret_count)
{
	char *from = line, *to = line;
	const char *error;
	int count = 0;

	for (;;) {
		while (words_is_blank(*from))
			from++;
		if (*from == '\0')
			break;
		if (count == max)
			return "too many words";
		words[count++] = to;
		error = words_take(&from, &to);
		if (error != NULL)
			return error;
		if (*from != '\0')
			from++;
		*to++ = '\0';
	}
	words[count] = NULL;
	*ret_count = count;
	return NULL;
}
