#include "config/source_text.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define NAME_OTHERS  "0123456789-_"

struct scan {
	const char *at;    /* borrowed; NUL-terminated */
	unsigned line;
	unsigned depth;
	const char *error; /* borrowed; static */
};

static void
scan_skip_line(struct scan *scan)
{
	scan->at += strcspn(scan->at, "\n");
}

static void
scan_skip_comment(struct scan *scan)
{
	unsigned begin = scan->line;

	for (scan->at += 2; *scan->at != '\0' && strncmp(scan->at, "*/", 2) != 0; scan->at++)
		scan->line += *scan->at == '\n';
	if (*scan->at != '\0') {
		scan->at += 2;
		return;
	}
	scan->line = begin;
	scan->error = "a comment is not closed";
}

/* at stands behind the opening mark. */
static void
scan_skip_text(struct scan *scan)
{
	unsigned begin = scan->line;

	for (; *scan->at != '\0' && *scan->at != '"'; scan->at++) {
		if (strncasecmp(scan->at, "\\x00", 4) == 0) {
			scan->error = "a text must not hold a NUL byte";
			return;
		}
		if (*scan->at == '\\' && scan->at[1] != '\0')
			scan->at++;
		scan->line += *scan->at == '\n';
	}
	if (*scan->at == '"') {
		scan->at++;
		return;
	}
	scan->line = begin;
	scan->error = "a text is not closed";
}

/* Whole numbers of more than 32 bits need an L behind them, or libconfig cuts them. */
static void
scan_skip_number(struct scan *scan)
{
	const char *begin = scan->at;
	size_t length = strspn(begin, "0123456789abcdefABCDEFxX.");

	scan->at += length;
	if (strspn(begin, "0123456789") == length && (length > 10 || strtoll(begin, NULL, 10) > INT_MAX) &&
	    (*scan->at != 'L' || length > 18))
		scan->error = "a number is too large";
	if (strncasecmp(begin, "0x", 2) == 0 && length > 10 && (*scan->at != 'L' || length > 17))
		scan->error = "a number is too large";
	scan->at += strspn(scan->at, "L");
}

static void
scan_nest(struct scan *scan)
{
	if (strchr("{[(", *scan->at) != NULL && ++scan->depth > SOURCE_TEXT_DEPTH)
		scan->error = "groups and lists are nested too deep";
	if (strchr("}])", *scan->at) != NULL && scan->depth > 0)
		scan->depth--;
	scan->at++;
}

static void
scan_step(struct scan *scan)
{
	if (*scan->at == '#' || strncmp(scan->at, "//", 2) == 0)
		scan_skip_line(scan);
	else if (strncmp(scan->at, "/*", 2) == 0)
		scan_skip_comment(scan);
	else if (*scan->at == '"' && scan->at++)
		scan_skip_text(scan);
	else if (strchr(NAME_LETTERS, *scan->at) != NULL)
		scan->at += strspn(scan->at, NAME_LETTERS NAME_OTHERS);
	else if (isdigit((unsigned char)*scan->at))
		scan_skip_number(scan);
	else if (*scan->at == '@')
		scan->error = "@include is not supported: use include_directory (services.d)";
	else if (*scan->at == '\n' && scan->at++)
		scan->line++;
	else
		scan_nest(scan);
}

const char *
source_text_check(const char *text, size_t length, unsigned *ret_line)
{
	struct scan scan = { text, 1, 0, NULL };

	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		scan.error = "the file begins with a byte order mark";
	while (scan.error == NULL && *scan.at != '\0')
		scan_step(&scan);
	if (scan.error == NULL && scan.at < text + length)
		scan.error = "the file holds a NUL byte";
	if (scan.error != NULL)
		*ret_line = scan.line;
	return scan.error;
}

/* Where the line begins; NULL if there are fewer. */
static const char *
text_line(const char *text, unsigned line)
{
	for (; line > 1 && text != NULL; line--)
		text = (text = strchr(text, '\n')) == NULL ? NULL : text + 1;
	return text;
}

char *
source_text_value(const char *text, const char *line, const char *name)
{
	const char *end = line + strcspn(line, "\n"), *value;
	size_t length = strlen(name), word;

	for (const char *at = line; at < end; at++) {
		if (strncmp(at, name, length) != 0 || (at > text && strchr(NAME_LETTERS NAME_OTHERS, at[-1]) != NULL))
			continue;
		value = at + length + strspn(at + length, " \t\r\n");
		if (*value != '=' && *value != ':')
			continue;
		value += 1 + strspn(value + 1, " \t\r\n");
		word = strspn(value, NAME_LETTERS NAME_OTHERS ".+");
		return word == 0 ? NULL : mem_copy_bytes(value, word);
	}
	return NULL;
}

char *
source_text_name(const char *text, unsigned line)
{
	const char *name, *after;
	size_t length;

	text = text_line(text, line);
	if (text == NULL)
		return NULL;
	name = text + strspn(text, " \t");
	length = strspn(name, NAME_LETTERS NAME_OTHERS);
	after = name + length + strspn(name + length, " \t");
	if (length == 0 || (*after != '=' && *after != ':'))
		return NULL;
	after += 1 + strcspn(after + 1, "=:{\n");
	return *after == '=' || *after == ':' ? NULL : mem_copy_bytes(name, length);
}
