#include "upstream/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define ENTRY_BLANKS     " \t"
#define ENTRY_TTL_MAX    1e9 /* seconds */
#define ENTRY_NUMBER_MAX 65535
#define ENTRY_SHOWN_MAX  80 /* bytes of a malformed line in an error */

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

/* One line that says something; NULL or what is wrong with it, to be freed. */
static char *
entry_read_line(size_t number, char *line, struct endpoint_listed *endpoints, size_t *count, char **abort_reason)
{
	bool aborts = strncmp(line, "abort:", 6) == 0, cut = strlen(line) > ENTRY_SHOWN_MAX;
	char shown[ENTRY_SHOWN_MAX + 1] = "";
	const char *error;

	for (size_t n = 0; n < ENTRY_SHOWN_MAX && line[n] != '\0'; n++)
		shown[n] = line[n] >= ' ' && line[n] < 0x7f ? line[n] : '?';
	if (strchr(line, '\r') != NULL) {
		error = "carriage return (lines end with a newline alone)";
	} else if (*abort_reason != NULL || (*count > 0 && aborts)) {
		return mem_print("line %zu: \"abort:\" must be the only line", number);
	} else if (aborts) {
		line += 6 + strspn(line + 6, ENTRY_BLANKS);
		*abort_reason = mem_copy_text(line[0] != '\0' ? line : "no reason given");
		return NULL;
	} else if (*count == ENDPOINTS_MAX) {
		return mem_print("more than %d addresses", ENDPOINTS_MAX);
	} else {
		error = entry_parse(line, &endpoints[*count], NULL);
	}
	*count += error == NULL;
	return error == NULL ? NULL :
	    mem_print("line %zu: %s: \"%s\"%s", number, error, shown, cut ? "..." : "");
}

/* The line without blanks at its ends; NULL if there is nothing in it for us. */
static char *
entry_trim(char *line)
{
	size_t length;

	line += strspn(line, ENTRY_BLANKS);
	length = strlen(line);
	while (length > 0 && strchr(ENTRY_BLANKS, line[length - 1]) != NULL)
		line[--length] = '\0';
	return length == 0 || line[0] == '#' ? NULL : line;
}

char *
entry_read_script(const struct child_result *child, struct endpoint_listed ret_endpoints[ENDPOINTS_MAX],
    size_t *ret_count, char **ret_abort)
{
	char *copy = mem_copy_bytes(child->output, child->output_length), *rest = copy, *line, *abort_reason = NULL;
	char *cause = mem_copy_text(child->error), *error;
	size_t count = 0;

	if (cause == NULL && memchr(copy, '\0', child->output_length) != NULL)
		cause = mem_copy_text("a NUL byte in the output");
	for (size_t number = 1; cause == NULL && (line = strsep(&rest, "\n")) != NULL; number++)
		if ((line = entry_trim(line)) != NULL)
			cause = entry_read_line(number, line, ret_endpoints, &count, &abort_reason);
	if (cause == NULL && count == 0 && abort_reason == NULL)
		cause = mem_copy_text("no address in the output");
	mem_free(copy);
	if (cause == NULL) {
		*ret_count = count;
		*ret_abort = abort_reason;
		return NULL;
	}
	mem_free(abort_reason);
	error = mem_print("lookup script: %s%s%s", cause, child->last_line[0] != '\0' ? ": " : "", child->last_line);
	mem_free(cause);
	return error;
}
