#include "config/setting_numbers.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/values.h"

static bool
setting_get_number(const config_setting_t *value, double *ret_number)
{
	switch (config_setting_type(value)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		*ret_number = (double)config_setting_get_int64(value);
		return true;
	case CONFIG_TYPE_FLOAT:
		*ret_number = config_setting_get_float(value);
		return true;
	default:
		return false;
	}
}

/* NULL if the number is within the setting's range. */
static char *
setting_check_range(const struct setting *setting, double number, const char *unit)
{
	char found[VALUES_TEXT_SIZE], min[VALUES_TEXT_SIZE], max[VALUES_TEXT_SIZE];

	if (number >= setting->min && number <= setting->max)
		return NULL;
	values_format_number(number, found);
	values_format_number(setting->min, min);
	values_format_number(setting->max, max);
	return mem_print("%s is out of range, which is %s to %s%s", found, min, max, unit);
}

char *
setting_take_bool(const struct setting *setting, const config_setting_t *value, void *field)
{
	if (config_setting_type(value) != CONFIG_TYPE_BOOL)
		return setting_wrong_type(setting, value);
	*(bool *)field = config_setting_get_bool(value) == CONFIG_TRUE;
	return NULL;
}

void
setting_print_bool(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fputs(*(const bool *)field ? "true" : "false", out);
}

/* A whole number within the range. */
static char *
setting_get_whole(const struct setting *setting, const config_setting_t *value, const char *unit, double *ret_number)
{
	double number = 0;
	char *error;

	if (!setting_get_number(value, &number))
		return setting_wrong_type(setting, value);
	if ((error = setting_check_range(setting, number, unit)) != NULL)
		return error;
	if ((double)(int64_t)number < number || (double)(int64_t)number > number)
		return mem_print("%g is not a whole number", number);
	*ret_number = number;
	return NULL;
}

char *
setting_take_integer(const struct setting *setting, const config_setting_t *value, void *field)
{
	double number = 0;
	char *error = setting_get_whole(setting, value, "", &number);

	if (error == NULL)
		*(int *)field = (int)number;
	return error;
}

char *
setting_take_count(const struct setting *setting, const config_setting_t *value, void *field)
{
	double number = 0;
	char *error = setting_get_whole(setting, value, "", &number);

	if (error == NULL)
		*(unsigned *)field = (unsigned)number;
	return error;
}

char *
setting_take_count_or_auto(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);

	if (text == NULL || strcmp(text, "auto") != 0)
		return setting_take_count(setting, value, field);
	*(unsigned *)field = UINT_MAX;
	return NULL;
}

void
setting_print_count_or_auto(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	if (*(const unsigned *)field == UINT_MAX)
		fputs("\"auto\"", out);
	else
		fprintf(out, "%u", *(const unsigned *)field);
}

/* "64KiB", or a number. */
char *
setting_take_size(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value), *wrong;
	int64_t size;
	char *error;

	if (text == NULL)
		return setting_take_count(setting, value, field);
	if ((wrong = values_parse_size(text, &size)) != NULL)
		return mem_print("\"%s\": %s", text, wrong);
	if ((error = setting_check_range(setting, (double)size, " bytes")) == NULL)
		*(unsigned *)field = (unsigned)size;
	return error;
}

/* As setting_take_size(), of more; 0 is within any range. */
char *
setting_take_memory(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value), *wrong;
	double number = 0;
	char *error = NULL;
	int64_t size;

	if (text != NULL && (wrong = values_parse_size(text, &size)) != NULL)
		return mem_print("\"%s\": %s", text, wrong);
	if (text == NULL && !setting_get_number(value, &number))
		return setting_wrong_type(setting, value);
	if (text == NULL)
		size = (int64_t)number;
	if (size != 0 || number < 0 || number > 0)
		error = setting_check_range(setting, text == NULL ? number : (double)size, " bytes");
	if (error == NULL)
		*(int64_t *)field = size;
	return error;
}

void
setting_print_memory(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fprintf(out, "%" PRId64 "%s", *(const int64_t *)field, *(const int64_t *)field > INT32_MAX ? "L" : "");
}

void
setting_print_integer(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fprintf(out, "%d", *(const int *)field);
}

char *
setting_take_number(const struct setting *setting, const config_setting_t *value, void *field)
{
	double number = 0;
	char *error;

	if (!setting_get_number(value, &number))
		return setting_wrong_type(setting, value);
	if ((error = setting_check_range(setting, number, "")) == NULL)
		*(double *)field = number;
	return error;
}

void
setting_print_number(const struct setting *setting, const void *field, FILE *out)
{
	char text[VALUES_TEXT_SIZE];

	(void)setting;
	values_format_number(*(const double *)field, text);
	fputs(text, out);
}

static char *
setting_get_time(const struct setting *setting, const config_setting_t *value, int64_t *ret_time)
{
	const char *text = config_setting_get_string(value), *wrong;
	double seconds;
	char *error;

	if (text != NULL) {
		if ((wrong = values_parse_time(text, ret_time)) != NULL)
			return mem_print("\"%s\": %s", text, wrong);
		return setting_check_range(setting, (double)*ret_time / (double)CLOCK_SECOND, " seconds");
	}
	if (!setting_get_number(value, &seconds))
		return setting_wrong_type(setting, value);
	if ((error = setting_check_range(setting, seconds, " seconds")) == NULL)
		*ret_time = values_from_seconds(seconds);
	return error;
}

char *
setting_take_time(const struct setting *setting, const config_setting_t *value, void *field)
{
	int64_t time;
	char *error = setting_get_time(setting, value, &time);

	if (error == NULL)
		*(int64_t *)field = setting->type == SETTING_LIMIT && time == 0 ? CLOCK_NEVER : time;
	return error;
}

void
setting_print_time(const struct setting *setting, const void *field, FILE *out)
{
	int64_t time = *(const int64_t *)field;
	char text[VALUES_TEXT_SIZE];

	values_format_time(setting->type == SETTING_LIMIT && time == CLOCK_NEVER ? 0 : time, text);
	fputs(text, out);
}

/* A time that the kernel wants as an int, in seconds or milliseconds. */
char *
setting_take_int_time(const struct setting *setting, const config_setting_t *value, void *field)
{
	bool seconds = setting->type == SETTING_SECONDS;
	int64_t unit = seconds ? CLOCK_SECOND : CLOCK_MILLISECOND, time;
	char *error = setting_get_time(setting, value, &time);

	if (error != NULL)
		return error;
	if (time % unit != 0)
		return mem_print("must be in whole %s", seconds ? "seconds" : "milliseconds");
	*(int *)field = (int)(time / unit);
	return NULL;
}

void
setting_print_int_time(const struct setting *setting, const void *field, FILE *out)
{
	char text[VALUES_TEXT_SIZE];

	values_format_time(*(const int *)field *
	    (setting->type == SETTING_SECONDS ? CLOCK_SECOND : CLOCK_MILLISECOND), text);
	fputs(text, out);
}
