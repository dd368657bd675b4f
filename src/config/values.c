#include "config/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int64_t
values_from_seconds(double seconds)
{
	double time = seconds * (double)CLOCK_SECOND + 0.5;

	if (time >= 9e18)
		return CLOCK_NEVER;
	if (time < 1)
		return seconds > 0 ? 1 : 0;
	return (int64_t)time;
}

const char *
values_parse_time(const char *text, int64_t *ret_time)
{
	size_t digits = strspn(text, "0123456789.");
	const char *unit = text + digits;
	char *end;
	double number;

	if (digits == 0)
		return "a time is a number and a unit (ms, s, min, h), such as \"250ms\"";
	number = strtod(text, &end);
	if (end != unit)
		return "a time is a number and a unit (ms, s, min, h), such as \"250ms\"";
	while (*unit == ' ')
		unit++;
	if (*unit == '\0')
		return "a time as a text needs a unit (ms, s, min, h)";
	if (clock_unit(unit) <= 0)
		return "the unit is not one of ms, s, min, h";
	*ret_time = values_from_seconds(number * clock_unit(unit));
	return NULL;
}

const char *
values_parse_size(const char *text, int64_t *ret_size)
{
	static const struct { const char *unit; int64_t bytes; } units[] = {
		{ "", 1 }, { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;

	if (digits == 0 || digits > 9)
		return "a size is a whole number and a unit (B, KiB, MiB, GiB), such as \"64KiB\"";
	while (*unit == ' ')
		unit++;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].unit) == 0) {
			*ret_size = strtol(text, NULL, 10) * units[i].bytes;
			return NULL;
		}
	return "the unit is not one of B, KiB, MiB, GiB";
}

const char *
values_parse_mode(const char *text, mode_t *ret_mode)
{
	size_t length = strlen(text);

	if (length == 0 || strspn(text, "01234567") != length)
		return "a mode is a text of octal digits, such as \"0660\"";
	if (length > 4 || strtoul(text, NULL, 8) > 0777)
		return "a socket's mode is \"0777\" at most";
	*ret_mode = (mode_t)strtoul(text, NULL, 8);
	return NULL;
}

int64_t
values_parse_id(const char *text)
{
	size_t length = strlen(text);
	unsigned long long id;

	if (length == 0 || length > 10 || strspn(text, "0123456789") != length)
		return -1;
	id = strtoull(text, NULL, 10);
	return id < UINT32_MAX ? (int64_t)id : -1;
}

void
values_format_time(int64_t time, char ret_text[VALUES_TEXT_SIZE])
{
	int length = snprintf(ret_text, VALUES_TEXT_SIZE, "%" PRId64 ".%06" PRId64, time / CLOCK_SECOND,
	    time % CLOCK_SECOND);

	while (ret_text[length - 1] == '0')
		ret_text[--length] = '\0';
	if (ret_text[length - 1] == '.')
		ret_text[--length] = '\0';
}

void
values_format_number(double number, char ret_text[VALUES_TEXT_SIZE])
{
	snprintf(ret_text, VALUES_TEXT_SIZE, "%.15g", number);
	if (strtod(ret_text, NULL) < number || strtod(ret_text, NULL) > number)
		snprintf(ret_text, VALUES_TEXT_SIZE, "%.17g", number);
}

void
values_clean_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0'; from++) {
		if (*from == '/' && from[1] == '/')
			continue;
		if (*from == '/' && from[1] == '.' && from[2] == '/') {
			from++;
			continue;
		}
		*to++ = *from;
	}
	*to = '\0';
}

void
values_print_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (const char *c = text == NULL ? "" : text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", out);
		else if (*c == '\r')
			fputs("\\r", out);
		else if (*c == '\t')
			fputs("\\t", out);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			fprintf(out, "\\x%02x", (unsigned)(unsigned char)*c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}
