#include "config/types.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/secret.h"
#include "client/listener_settings.h"
#include "upstream/hello_talk.h"

#define NUMBER_SIZE 40

/* What a field owns: nothing but itself, a text, a list of texts, or steps. */
enum storage { STORE_PLAIN, STORE_TEXT, STORE_LIST, STORE_HELLO, STORE_LISTENERS };

/* take gives NULL, or what is wrong: a text to be freed. */
struct type {
	const char *noun; /* borrowed */
	enum storage storage;
	size_t size;
	char *(*take)(const struct setting *setting, const config_setting_t *value, void *field);
	void (*print)(const struct setting *setting, const void *field, FILE *out);
};

static const struct type types[SETTING_TYPES];

char *
type_wrong(const struct setting *setting, const config_setting_t *value)
{
	static const char *const nouns[] = { [CONFIG_TYPE_GROUP] = "a group", [CONFIG_TYPE_ARRAY] = "a list",
		[CONFIG_TYPE_LIST] = "a list", [CONFIG_TYPE_STRING] = "a text", [CONFIG_TYPE_BOOL] = "true or false",
		[CONFIG_TYPE_INT] = "a number", [CONFIG_TYPE_INT64] = "a number", [CONFIG_TYPE_FLOAT] = "a number" };

	return mem_print("must be %s, not %s", types[setting->type].noun, nouns[config_setting_type(value)]);
}

/* Numbers. */

static bool
type_get_number(const config_setting_t *value, double *ret_number)
{
	int type = config_setting_type(value);

	*ret_number = type == CONFIG_TYPE_FLOAT ? config_setting_get_float(value) : 0;
	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		*ret_number = (double)config_setting_get_int64(value);
	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 || type == CONFIG_TYPE_FLOAT;
}

/* A text that gives the same number again. */
static void
type_format_number(double number, char ret_text[NUMBER_SIZE])
{
	snprintf(ret_text, NUMBER_SIZE, "%.15g", number);
	if (strtod(ret_text, NULL) < number || strtod(ret_text, NULL) > number)
		snprintf(ret_text, NUMBER_SIZE, "%.17g", number);
}

/* NULL if the number is within the setting's range. */
static char *
type_check_range(const struct setting *setting, double number, const char *unit)
{
	char found[NUMBER_SIZE], min[NUMBER_SIZE], max[NUMBER_SIZE];

	if (number >= setting->min && number <= setting->max)
		return NULL;
	type_format_number(number, found);
	type_format_number(setting->min, min);
	type_format_number(setting->max, max);
	return mem_print("%s is out of range, which is %s to %s%s", found, min, max, unit);
}

/* "512", "64KiB", "1MiB", "1GiB" to bytes.  NULL or what is wrong, a static text. */
static const char *
type_parse_size(const char *text, double *ret_size)
{
	static const struct { const char *unit; double bytes; } units[] = {
		{ "", 1 }, { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");

	if (digits == 0 || digits > 9)
		return "a size is a whole number and a unit (B, KiB, MiB, GiB), such as \"64KiB\"";
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].unit) == 0) {
			*ret_size = strtod(text, NULL) * units[i].bytes;
			return NULL;
		}
	return "the unit is not one of B, KiB, MiB, GiB";
}

/* A whole number, or what stands for one: "auto", "64KiB". */
static char *
type_take_whole(const struct setting *setting, const config_setting_t *value, void *field)
{
	bool bytes = setting->type == SETTING_SIZE || setting->type == SETTING_MEMORY;
	const char *text = config_setting_get_string(value), *wrong = NULL;
	bool automatic = text != NULL && setting->type == SETTING_COUNT_OR_AUTO && strcmp(text, "auto") == 0;
	char *error = NULL;
	double number = UINT_MAX;

	if (text != NULL && bytes)
		wrong = type_parse_size(text, &number);
	else if (!automatic && !type_get_number(value, &number))
		return type_wrong(setting, value);
	if (wrong != NULL)
		return mem_print("\"%s\": %s", text, wrong);
	if (!automatic && (setting->type != SETTING_MEMORY || number < 0 || number > 0))
		error = type_check_range(setting, number, bytes ? " bytes" : "");
	if (error == NULL && ((double)(int64_t)number < number || (double)(int64_t)number > number))
		error = mem_print("%g is not a whole number", number);
	if (error == NULL && setting->type == SETTING_MEMORY)
		*(int64_t *)field = (int64_t)number;
	else if (error == NULL)
		*(unsigned *)field = (unsigned)number;
	return error;
}

static void
type_print_whole(const struct setting *setting, const void *field, FILE *out)
{
	bool large = setting->type == SETTING_MEMORY;
	int64_t number = large ? *(const int64_t *)field : *(const unsigned *)field;

	if (setting->type == SETTING_COUNT_OR_AUTO && number == UINT_MAX)
		fputs("\"auto\"", out);
	else
		fprintf(out, "%" PRId64 "%s", number, large && number > INT32_MAX ? "L" : "");
}

static char *
type_take_bool(const struct setting *setting, const config_setting_t *value, void *field)
{
	if (config_setting_type(value) != CONFIG_TYPE_BOOL)
		return type_wrong(setting, value);
	*(bool *)field = config_setting_get_bool(value) == CONFIG_TRUE;
	return NULL;
}

static void
type_print_bool(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fputs(*(const bool *)field ? "true" : "false", out);
}

static char *
type_take_number(const struct setting *setting, const config_setting_t *value, void *field)
{
	double number;
	char *error;

	if (!type_get_number(value, &number))
		return type_wrong(setting, value);
	if ((error = type_check_range(setting, number, "")) == NULL)
		*(double *)field = number;
	return error;
}

static void
type_print_number(const struct setting *setting, const void *field, FILE *out)
{
	char text[NUMBER_SIZE];

	(void)setting;
	type_format_number(*(const double *)field, text);
	fputs(text, out);
}

/* Times: numbers of seconds, or texts with a unit. */

/* Seconds to microseconds; what is not 0 does not become 0. */
static int64_t
type_from_seconds(double seconds)
{
	double time = seconds * (double)CLOCK_SECOND + 0.5;

	if (time >= 9e18)
		return CLOCK_NEVER;
	return time < 1 ? seconds > 0 : (int64_t)time;
}

/* What the field counts, if it is an int for the kernel; else a microsecond. */
static int64_t
type_unit(const struct setting *setting)
{
	return setting->type == SETTING_SECONDS ? CLOCK_SECOND
	    : setting->type == SETTING_MILLISECONDS ? CLOCK_MILLISECOND : 1;
}

static char *
type_take_time(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value), *wrong;
	double seconds;
	int64_t time;
	char *error;

	if (text == NULL && !type_get_number(value, &seconds))
		return type_wrong(setting, value);
	if (text != NULL && setting->type == SETTING_TIME_OR_AUTO && strcmp(text, "auto") == 0) {
		*(int64_t *)field = -1;
		return NULL;
	}
	if (text != NULL && (wrong = clock_parse(text, NULL, &seconds)) != NULL)
		return mem_print("\"%s\": %s", text, wrong);
	time = type_from_seconds(seconds);
	if ((error = type_check_range(setting, text == NULL ? seconds : (double)time / (double)CLOCK_SECOND,
	    " seconds")) != NULL)
		return error;
	if (time % type_unit(setting) != 0)
		return mem_print("must be in whole %s", setting->type == SETTING_SECONDS ? "seconds"
		    : "milliseconds");
	if (type_unit(setting) > 1)
		*(int *)field = (int)(time / type_unit(setting));
	else
		*(int64_t *)field = setting->type == SETTING_LIMIT && time == 0 ? CLOCK_NEVER : time;
	return NULL;
}

/* In seconds, with no more digits than needed. */
static void
type_print_time(const struct setting *setting, const void *field, FILE *out)
{
	int64_t time = type_unit(setting) > 1 ? *(const int *)field * type_unit(setting) : *(const int64_t *)field;
	char text[NUMBER_SIZE];
	int length;

	if (setting->type == SETTING_LIMIT && time == CLOCK_NEVER)
		time = 0;
	if (setting->type == SETTING_TIME_OR_AUTO && time == -1) {
		fputs("\"auto\"", out);
		return;
	}
	length = snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, time / CLOCK_SECOND, time % CLOCK_SECOND);
	while (text[length - 1] == '0')
		length--;
	fprintf(out, "%.*s", length - (text[length - 1] == '.'), text);
}

/* Texts. */

/* In quotation marks, escaped so that libconfig reads the same bytes; NULL as "". */
static void
type_write_text(FILE *out, const char *text)
{
	static const char letters[] = "\n\r\t\"\\", escapes[] = "nrt\"\\";
	size_t length;

	fputc('"', out);
	for (const char *c = text == NULL ? "" : text; *c != '\0'; c += length) {
		const char *letter = strchr(letters, *c);
		bool harmless = escape_is_harmless(c, strlen(c), &length);

		if (letter != NULL)
			fprintf(out, "\\%c", escapes[letter - letters]);
		else if (harmless)
			fwrite(c, 1, length, out);
		for (size_t i = 0; i < length && letter == NULL && !harmless; i++)
			fprintf(out, "\\x%02x", (unsigned)(unsigned char)c[i]);
	}
	fputc('"', out);
}

static void
type_set_text(char **field, const char *text)
{
	mem_free(*field);
	*field = *text == '\0' ? NULL : mem_copy_text(text);
}

static char *
type_take_text(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);

	if (text == NULL)
		return type_wrong(setting, value);
	if (setting->type != SETTING_TEXT && *text != '\0' && *text != '/')
		return mem_print("\"%s\" must be an absolute path", text);
	if ((double)strlen(text) < setting->min)
		return mem_copy_text("must not be empty");
	if ((double)strlen(text) > setting->max)
		return mem_print("is %zu bytes long, %.0f is the most", strlen(text), setting->max);
	type_set_text(field, text);
	return NULL;
}

static void
type_print_text(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	type_write_text(out, *(char *const *)field);
}

/* A user's or group's number written in digits; -1 if it is none. */
static int64_t
type_parse_id(const char *text)
{
	size_t length = strlen(text);
	unsigned long long id = strtoull(text, NULL, 10);

	if (length == 0 || length > 10 || strspn(text, "0123456789") != length)
		return -1;
	return id < UINT32_MAX ? (int64_t)id : -1;
}

/* A text, or a number as one, which a name may be.  NULL if it is neither. */
static const char *
type_get_name(const config_setting_t *value, char number[NUMBER_SIZE])
{
	if (config_setting_type(value) != CONFIG_TYPE_INT)
		return config_setting_get_string(value);
	snprintf(number, NUMBER_SIZE, "%d", config_setting_get_int(value));
	return number;
}

/* A number is at most 2^32 - 2: the last stands for none. */
static char *
type_take_id(const struct setting *setting, const config_setting_t *value, void *field)
{
	char number[NUMBER_SIZE];
	const char *text = type_get_name(value, number);

	if (text == NULL)
		return type_wrong(setting, value);
	if (type_parse_id(text) < 0 && (text == number || (*text != '\0' && strspn(text, "0123456789") ==
	    strlen(text))))
		return mem_print("%s is not the number of a user or group", text);
	type_set_text(field, text);
	return NULL;
}

/* "0660", as a text: a number of several digits with a zero before them is no syntax, see syntax.c. */
static char *
type_take_mode(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);
	int number = config_setting_get_int(value);
	char digits[NUMBER_SIZE];

	if (text == NULL && config_setting_type(value) != CONFIG_TYPE_INT)
		return type_wrong(setting, value);
	snprintf(digits, sizeof digits, "%04d", number);
	if (text == NULL && (number < 0 || number > 7)) {
		bool octal = config_setting_get_format(value) != CONFIG_FORMAT_HEX && strlen(digits) == 4 &&
		    strspn(digits, "01234567") == 4;

		return mem_print("a mode is a text of octal digits%s%s\"%s", octal ? ": write \"" : ", in quotation "
		    "marks, such as \"", octal ? digits : "0660", octal ? ", in quotation marks" : "");
	}
	text = text == NULL ? digits : text;
	if (*text == '\0' || text[strspn(text, "01234567")] != '\0')
		return mem_print("\"%s\": a mode is a text of octal digits, such as \"0660\"", text);
	if (strlen(text) > 4 || strtoul(text, NULL, 8) > 0777)
		return mem_print("\"%s\": a socket's mode is \"0777\" at most", text);
	*(mode_t *)field = (mode_t)strtoul(text, NULL, 8);
	return NULL;
}

static void
type_print_mode(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fprintf(out, "\"%04o\"", (unsigned)*(const mode_t *)field);
}

static char *
type_take_choice(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value), *comma = "";
	char *error, *longer;

	if (text == NULL)
		return type_wrong(setting, value);
	for (const struct setting_choice *c = setting->choices; c->name != NULL; c++)
		if (strcmp(c->name, text) == 0) {
			memcpy(field, &c->value, sizeof c->value);
			return NULL;
		}
	error = mem_print("\"%s\" is not one of", text);
	for (const struct setting_choice *c = setting->choices; c->name != NULL; c++) {
		if (*c->name == '\0') /* nobody means that */
			continue;
		longer = mem_print("%s%s \"%s\"", error, comma, c->name);
		comma = ",";
		mem_free(error);
		error = longer;
	}
	return error;
}

static void
type_print_choice(const struct setting *setting, const void *field, FILE *out)
{
	int value;

	memcpy(&value, field, sizeof value);
	for (const struct setting_choice *c = setting->choices; c->name != NULL; c++)
		if (c->value == value)
			type_write_text(out, c->name);
}

/* Lists of texts. */

static char *
type_check_address(const char *text)
{
	struct address address;
	const char *error = address_parse(text, &address), *secret, *end;
	char advised[ADDRESS_TEXT_SIZE], *advice, *whole;

	if (error == NULL)
		return NULL;
	/* A URL may hold a password. */
	secret = strstr(text, "://");
	end = secret == NULL ? NULL : strrchr(secret + 3, '@');
	advice = address_advise(text, advised) ? mem_print("; write \"%s\"", advised) : mem_copy_text("");
	whole = end == NULL ? mem_print("\"%s\": %s%s", text, error, advice)
	    : mem_print("\"%.*s***%s\": %s%s", (int)(secret + 3 - text), text, end, error, advice);
	mem_free(advice);
	return whole;
}

static char *
type_check_variable(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	if (length == 0 || text[length] != '=' || (*text >= '0' && *text <= '9'))
		return mem_print("\"%s\" is not of the form NAME=VALUE", text);
	if (strncmp(text, "HOLDFAST_", 9) == 0)
		return mem_print("\"%s\": names that begin with HOLDFAST_ are set by holdfastd", text);
	return NULL;
}

static char *
type_check_item(enum setting_type type, const char *text)
{
	if (type == SETTING_ADDRESS || type == SETTING_ADDRESSES)
		return type_check_address(text);
	if (type == SETTING_ENVIRONMENT)
		return type_check_variable(text);
	if (type == SETTING_NAMES && *text == '\0')
		return mem_copy_text("a name must not be empty");
	return NULL;
}

/* Adds one item of a list. */
static char *
type_take_item(const struct setting *setting, const config_setting_t *value, char ***list)
{
	char number[NUMBER_SIZE], *error;
	const char *text = setting->type == SETTING_NAMES ? type_get_name(value, number)
	    : config_setting_get_string(value);

	if (text == NULL || (text == number && *text == '-'))
		return type_wrong(setting, value);
	if ((error = type_check_item(setting->type, text)) == NULL)
		mem_list_add(list, text);
	return error;
}

/* One address is "" for none; all others are lists, of which one item may stand for itself. */
static char *
type_take_list(const struct setting *setting, const config_setting_t *value, void *field)
{
	bool one = setting->type == SETTING_ADDRESS, many = config_setting_is_array(value) ||
	    config_setting_is_list(value);
	int length = many ? config_setting_length(value) : 1;
	const char *text = config_setting_get_string(value);
	char **list = NULL, *error = NULL;

	if (one && text == NULL)
		return type_wrong(setting, value);
	if (one && *text == '\0')
		length = 0;
	if (many && length > setting->max)
		return mem_print("has %d items, %.0f is the most", length, setting->max);
	for (int i = 0; i < length && error == NULL; i++)
		error = type_take_item(setting, many ? config_setting_get_elem(value, (unsigned)i) : value, &list);
	if (error != NULL) {
		mem_list_free(list);
		return error;
	}
	mem_list_free(*(char ***)field);
	*(char ***)field = list;
	return NULL;
}

static void
type_print_list(const struct setting *setting, const void *field, FILE *out)
{
	char *const *list = *(char **const *)field;
	bool one = setting->type == SETTING_ADDRESS;

	fputs(one ? "" : "[", out);
	if (one && list == NULL)
		type_write_text(out, NULL);
	for (size_t i = 0; list != NULL && list[i] != NULL && (i == 0 || !one); i++) {
		fputs(i > 0 ? ", " : "", out);
		type_write_text(out, list[i]);
	}
	fputs(one ? "" : "]", out);
}

void
type_show_list(const struct setting *setting, const void *field, char *const *secrets, FILE *out)
{
	char *const *list = *(char **const *)field;
	char **shown = NULL, *hidden;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		hidden = secret_hide(list[i], setting->type == SETTING_ARGUMENTS && i > 0 ? list[i - 1] : NULL,
		    secrets);
		mem_list_add(&shown, hidden);
		mem_free(hidden);
	}
	type_print_list(setting, &shown, out);
	mem_list_free(shown);
}

#define PLAIN(noun, field, kind) { noun, STORE_PLAIN, sizeof(field), type_take_##kind, type_print_##kind }
#define TEXT(noun, kind) { noun, STORE_TEXT, sizeof(char *), type_take_##kind, type_print_text }
#define LIST(noun) { noun, STORE_LIST, sizeof(char **), type_take_list, type_print_list }

static const struct type types[SETTING_TYPES] = {
	[SETTING_TEXT] = TEXT("a text", text),
	[SETTING_PATH] = TEXT("a path as text", text),
	[SETTING_PROGRAM] = TEXT("a path as text", text),
	[SETTING_ARGUMENTS] = LIST("a list of texts"),
	[SETTING_NAMES] = LIST("a list of names"),
	[SETTING_ADDRESS] = LIST("an address as text"),
	[SETTING_ADDRESSES] = LIST("a list of addresses"),
	[SETTING_ENVIRONMENT] = LIST("a list of NAME=VALUE"),
	[SETTING_BOOL] = PLAIN("true or false", bool, bool),
	[SETTING_COUNT] = PLAIN("a whole number", unsigned, whole),
	[SETTING_COUNT_OR_AUTO] = PLAIN("a whole number or \"auto\"", unsigned, whole),
	[SETTING_SIZE] = PLAIN("a size in bytes", unsigned, whole),
	[SETTING_MEMORY] = PLAIN("a size in bytes", int64_t, whole),
	[SETTING_INTEGER] = PLAIN("a whole number", int, whole),
	[SETTING_NUMBER] = PLAIN("a number", double, number),
	[SETTING_TIME] = PLAIN("a time", int64_t, time),
	[SETTING_TIME_OR_AUTO] = PLAIN("a time or \"auto\"", int64_t, time),
	[SETTING_LIMIT] = PLAIN("a time", int64_t, time),
	[SETTING_SECONDS] = PLAIN("a time", int, time),
	[SETTING_MILLISECONDS] = PLAIN("a time", int, time),
	[SETTING_MODE] = PLAIN("a mode as text", mode_t, mode),
	[SETTING_ID] = TEXT("a name or a number", id),
	[SETTING_CHOICE] = PLAIN("a text", int, choice),
	/* Taken and printed by settings.c. */
	[SETTING_LISTENERS] = { "a group, or a list of groups and paths", STORE_LISTENERS, 0, NULL, NULL },
	[SETTING_HELLO] = { "a list of groups", STORE_HELLO, sizeof(struct hello_settings), NULL, NULL },
};

char *
type_take(const struct setting *setting, const config_setting_t *value, void *field)
{
	return types[setting->type].take(setting, value, field);
}

void
type_print(const struct setting *setting, const void *field, FILE *out)
{
	types[setting->type].print(setting, field, out);
}

void *
setting_field(const struct setting *setting, const void *object)
{
	return (char *)(uintptr_t)object + setting->offset;
}

void
setting_copy(const struct setting *setting, void *to, const void *from)
{
	const struct type *type = &types[setting->type];
	void *target = setting_field(setting, to);
	const void *source = setting_field(setting, from);

	if (type->storage == STORE_TEXT)
		*(char **)target = mem_copy_text(*(char *const *)source);
	else if (type->storage == STORE_LIST)
		*(char ***)target = mem_list_copy(*(char **const *)source);
	else if (type->storage == STORE_HELLO)
		hello_settings_copy(target, source);
	else if (type->storage == STORE_LISTENERS)
		listeners_settings_copy(target, source);
	else
		memcpy(target, source, type->size);
}

bool
setting_is_same(const struct setting *setting, const void *a, const void *b)
{
	const struct type *type = &types[setting->type];
	const void *left = setting_field(setting, a), *right = setting_field(setting, b);

	if (type->storage == STORE_TEXT) {
		const char *one = *(char *const *)left, *other = *(char *const *)right;

		return strcmp(one == NULL ? "" : one, other == NULL ? "" : other) == 0;
	}
	if (type->storage == STORE_LIST)
		return mem_list_is_same(*(char **const *)left, *(char **const *)right);
	if (type->storage == STORE_LISTENERS)
		return listeners_settings_are_same(left, right);
	return type->storage == STORE_HELLO ? hello_settings_are_same(left, right)
	    : memcmp(left, right, type->size) == 0;
}

void
setting_clear(const struct setting *setting, void *object)
{
	const struct type *type = &types[setting->type];
	void *field = setting_field(setting, object);

	if (type->storage == STORE_TEXT)
		mem_free(*(char **)field);
	else if (type->storage == STORE_LIST)
		mem_list_free(*(char ***)field);
	else if (type->storage == STORE_HELLO)
		hello_settings_clear(field);
	else if (type->storage == STORE_LISTENERS)
		listeners_settings_clear(field);
	memset(field, 0, type->size);
}
