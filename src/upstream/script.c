#include "upstream/script.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "upstream/entry.h"

#define SCRIPT_SHOWN_MAX 80 /* bytes of a malformed line in an error */

/* The line without blanks at its ends; NULL if there is nothing in it for us. */
static char *
script_trim(char *line)
{
	size_t length;

	line += strspn(line, " \t");
	length = strlen(line);
	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		line[--length] = '\0';
	return length == 0 || line[0] == '#' ? NULL : line;
}

/* line number, cause, and the line itself, made printable, as far as it is worth showing. */
static char *
script_complain(size_t number, const char *cause, const char *line)
{
	char shown[SCRIPT_SHOWN_MAX + 1];
	size_t n = 0;

	for (; n < SCRIPT_SHOWN_MAX && line[n] != '\0'; n++)
		shown[n] = line[n] >= ' ' && line[n] < 0x7f ? line[n] : '?';
	shown[n] = '\0';
	return mem_print("line %zu: %s: \"%s\"%s", number, cause, shown, line[n] != '\0' ? "..." : "");
}

/* One line that says something; NULL or what is wrong with it. */
static char *
script_parse_line(size_t number, const char *line, struct endpoint_listed *endpoints, size_t *count,
    char **abort_reason)
{
	const char *error;
	char *copy;

	if (strchr(line, '\r') != NULL)
		return script_complain(number, "carriage return (lines end with a newline alone)", line);
	if (*abort_reason != NULL || (*count > 0 && strncmp(line, "abort:", 6) == 0))
		return mem_print("line %zu: \"abort:\" must be the only line", number);
	if (strncmp(line, "abort:", 6) == 0) {
		line += 6 + strspn(line + 6, " \t");
		*abort_reason = mem_copy_text(line[0] != '\0' ? line : "no reason given");
		return NULL;
	}
	if (*count == ENDPOINTS_MAX)
		return mem_print("more than %d addresses", ENDPOINTS_MAX);
	copy = mem_copy_text(line);
	error = entry_parse(copy, &endpoints[*count], NULL);
	mem_free(copy);
	if (error != NULL)
		return script_complain(number, error, line);
	(*count)++;
	return NULL;
}

/* What its output says: NULL, with up to ENDPOINTS_MAX addresses, or with none and a reason in *ret_abort (owned by
 * the caller); else what is wrong (owned by the caller). */
static char *
script_parse(const char *output, size_t length, struct endpoint_listed ret_endpoints[ENDPOINTS_MAX],
    size_t *ret_count, char **ret_abort)
{
	char *copy = mem_copy_bytes(output, length), *rest = copy, *line, *abort_reason = NULL, *error = NULL;
	size_t count = 0, number = 0;

	if (memchr(output, '\0', length) != NULL)
		error = mem_copy_text("a NUL byte in the output");
	while (error == NULL && (line = strsep(&rest, "\n")) != NULL) {
		number++;
		line = script_trim(line);
		if (line != NULL)
			error = script_parse_line(number, line, ret_endpoints, &count, &abort_reason);
	}
	if (error == NULL && count == 0 && abort_reason == NULL)
		error = mem_copy_text("no address in the output");
	mem_free(copy);
	if (error != NULL) {
		mem_free(abort_reason);
		return error;
	}
	*ret_count = count;
	*ret_abort = abort_reason;
	return NULL;
}

char *
script_read(const struct child_result *child, struct endpoint_listed ret_endpoints[ENDPOINTS_MAX], size_t *ret_count,
    char **ret_abort)
{
	char *cause, *error;

	if (child->error != NULL)
		cause = mem_copy_text(child->error);
	else
		cause = script_parse(child->output, child->output_length, ret_endpoints, ret_count, ret_abort);
	if (cause == NULL)
		return NULL;
	error = mem_print("look-up script: %s%s%s", cause, child->last_line[0] != '\0' ? ": " : "", child->last_line);
	mem_free(cause);
	return error;
}
