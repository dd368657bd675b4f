#include "upstream/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define ENTRY_BLANKS     " \t"
#define ENTRY_TTL_MAX    1e9 /* seconds */
#define ENTRY_NUMBER_MAX 65535

/* A plain decimal number: no sign, no exponent, no hexadecimal. */
static bool
entry_parse_number(const char *text, double max, double *ret_number)
{
	if (text[0] < '0' || text[0] > '9' || text[strspn(text, "0123456789.")] != '\0')
		return false;
	errno = 0;
	*ret_number = strtod(text, (char **)&text);
	return *text == '\0' && errno == 0 && *ret_number <= max;
}

static bool
entry_parse_whole(const char *text, uint16_t *ret_number)
{
	double number;

	if (strchr(text, '.') != NULL || !entry_parse_number(text, ENTRY_NUMBER_MAX, &number))
		return false;
	*ret_number = (uint16_t)number;
	return true;
}

static const char *
entry_parse_word(const char *word, struct endpoint_listed *listed, int64_t *ttl)
{
	double number;

	if (strncmp(word, "priority=", 9) == 0)
		return entry_parse_whole(word + 9, &listed->priority) ? NULL :
		    "priority= is not a whole number up to 65535";
	if (strncmp(word, "weight=", 7) == 0)
		return entry_parse_whole(word + 7, &listed->weight) ? NULL :
		    "weight= is not a whole number up to 65535";
	if (strncmp(word, "ttl=", 4) != 0)
		return "behind the address there is something else than ttl=, priority=, weight=";
	if (!entry_parse_number(word + 4, ENTRY_TTL_MAX, &number) || number <= 0)
		return "ttl= is not a number of seconds";
	*ttl = (int64_t)(number * (double)CLOCK_SECOND + 0.5);
	return NULL;
}

/* Where the address of a script's line ends: before the words at its end that may stand behind one. */
static char *
entry_end_of_address(char *line)
{
	char *end = line + strlen(line), *word;

	for (;;) {
		for (word = end; word > line && strchr(ENTRY_BLANKS, word[-1]) == NULL;)
			word--;
		if (word == line || (strncmp(word, "priority=", 9) != 0 && strncmp(word, "weight=", 7) != 0))
			return end;
		for (end = word; end > line && strchr(ENTRY_BLANKS, end[-1]) != NULL;)
			end--;
	}
}

const char *
entry_parse(char *line, struct endpoint_listed *ret_listed, int64_t *ret_ttl)
{
	struct endpoint_listed listed = { .weight = 1 };
	int64_t ttl = CLOCK_NEVER;
	const char *word, *error;
	char *words;

	line += strspn(line, ENTRY_BLANKS);
	if (line[0] == '\0')
		return "the first line is blank";
	words = ret_ttl != NULL ? line + strcspn(line, ENTRY_BLANKS) : entry_end_of_address(line);
	if (words[0] != '\0')
		*words++ = '\0';
	error = address_parse(line, &listed.address);
	while (error == NULL && (word = strsep(&words, ENTRY_BLANKS)) != NULL)
		if (word[0] != '\0')
			error = entry_parse_word(word, &listed, &ttl);
	if (error != NULL)
		return error;
	*ret_listed = listed;
	if (ret_ttl != NULL)
		*ret_ttl = ttl;
	return NULL;
}
