#include "config/setting_texts.h"

#include <string.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/secret.h"
#include "config/values.h"

static char *
setting_check_text(const struct setting *setting, const char *text)
{
	size_t length = strlen(text);

	if ((double)length < setting->min)
		return mem_copy_text("must not be empty");
	if ((double)length > setting->max)
		return mem_print("is %zu bytes long, %.0f is the most", length, setting->max);
	return NULL;
}

char *
setting_take_text(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);
	char *error;

	if (text == NULL)
		return setting_wrong_type(setting, value);
	if ((error = setting_check_text(setting, text)) != NULL)
		return error;
	mem_free(*(char **)field);
	*(char **)field = *text == '\0' ? NULL : mem_copy_text(text);
	return NULL;
}

char *
setting_take_path(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);

	if (text != NULL && *text != '\0' && *text != '/')
		return mem_print("\"%s\" must be an absolute path", text);
	return setting_take_text(setting, value, field);
}

void
setting_print_text(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	values_print_text(out, *(char *const *)field);
}

static char *
setting_check_address(const char *text)
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
setting_check_variable(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	if (length == 0 || text[length] != '=' || (*text >= '0' && *text <= '9'))
		return mem_print("\"%s\" is not of the form NAME=VALUE", text);
	if (strncmp(text, "HOLDFAST_", 9) == 0)
		return mem_print("\"%s\": names that begin with HOLDFAST_ are set by holdfastd", text);
	return NULL;
}

static char *
setting_check_item(enum setting_type type, const char *text)
{
	if (type == SETTING_ADDRESS || type == SETTING_ADDRESSES)
		return setting_check_address(text);
	if (type == SETTING_ENVIRONMENT)
		return setting_check_variable(text);
	if (type == SETTING_NAMES && *text == '\0')
		return mem_copy_text("a name must not be empty");
	return NULL;
}

/* Adds one item of a list.  A name may be a number. */
static char *
setting_take_item(const struct setting *setting, const config_setting_t *value, char ***list)
{
	const char *text = config_setting_get_string(value);
	char number[VALUES_TEXT_SIZE];
	char *error;

	if (text == NULL && setting->type == SETTING_NAMES && config_setting_type(value) == CONFIG_TYPE_INT &&
	    config_setting_get_int(value) >= 0) {
		snprintf(number, sizeof number, "%d", config_setting_get_int(value));
		text = number;
	}
	if (text == NULL)
		return setting_wrong_type(setting, value);
	if ((error = setting_check_item(setting->type, text)) != NULL)
		return error;
	mem_list_add(list, text);
	return NULL;
}

static char *
setting_take_items(const struct setting *setting, const config_setting_t *value, char ***list)
{
	int length = config_setting_length(value);
	char *error = NULL;

	if (length > setting->max)
		return mem_print("has %d items, %.0f is the most", length, setting->max);
	for (int i = 0; i < length && error == NULL; i++)
		error = setting_take_item(setting, config_setting_get_elem(value, (unsigned)i), list);
	return error;
}

char *
setting_take_list(const struct setting *setting, const config_setting_t *value, void *field)
{
	char **list = NULL;
	char *error;

	if (config_setting_is_array(value) || config_setting_is_list(value))
		error = setting_take_items(setting, value, &list);
	else
		error = setting_take_item(setting, value, &list);
	if (error != NULL) {
		mem_list_free(list);
		return error;
	}
	mem_list_free(*(char ***)field);
	*(char ***)field = list;
	return NULL;
}

/* A list with one item, or none for "". */
char *
setting_take_single(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);

	if (text == NULL)
		return setting_wrong_type(setting, value);
	if (*text != '\0')
		return setting_take_list(setting, value, field);
	setting_clear(setting, (char *)field - setting->offset);
	return NULL;
}

void
setting_print_list(const struct setting *setting, const void *field, FILE *out)
{
	char *const *list = *(char **const *)field;

	(void)setting;
	fputc('[', out);
	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		fputs(i > 0 ? ", " : "", out);
		values_print_text(out, list[i]);
	}
	fputc(']', out);
}

void
setting_show_list(const void *field, bool arguments, char *const *secrets, FILE *out)
{
	char *const *list = *(char **const *)field;
	char **shown = NULL, *hidden;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		hidden = secret_hide(list[i], arguments && i > 0 ? list[i - 1] : NULL, secrets);
		mem_list_add(&shown, hidden);
		mem_free(hidden);
	}
	setting_print_list(NULL, &shown, out);
	mem_list_free(shown);
}

void
setting_print_single(const struct setting *setting, const void *field, FILE *out)
{
	char *const *list = *(char **const *)field;

	(void)setting;
	values_print_text(out, list == NULL ? NULL : list[0]);
}

/* A number of several digits with a zero before them is no syntax, see syntax.c. */
static char *
setting_take_bare_mode(const config_setting_t *value, void *field)
{
	int number = config_setting_get_int(value);
	char digits[VALUES_TEXT_SIZE];

	snprintf(digits, sizeof digits, "%04d", number);
	if (number >= 0 && number <= 7) {
		*(mode_t *)field = (mode_t)number;
		return NULL;
	}
	if (config_setting_get_format(value) == CONFIG_FORMAT_HEX || strspn(digits, "01234567") != 4 || digits[4] != '\0')
		return mem_copy_text("a mode is a text of octal digits, in quotation marks, such as \"0660\"");
	return mem_print("a mode is a text of octal digits: write \"%s\", in quotation marks", digits);
}

char *
setting_take_mode(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value), *wrong;

	if (text == NULL && config_setting_type(value) == CONFIG_TYPE_INT)
		return setting_take_bare_mode(value, field);
	if (text == NULL)
		return setting_wrong_type(setting, value);
	if ((wrong = values_parse_mode(text, field)) != NULL)
		return mem_print("\"%s\": %s", text, wrong);
	return NULL;
}

void
setting_print_mode(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	fprintf(out, "\"%04o\"", (unsigned)*(const mode_t *)field);
}

/* A number is at most 2^32 - 2: the last stands for none. */
char *
setting_take_id(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);
	bool numbered = text == NULL && config_setting_type(value) == CONFIG_TYPE_INT;
	char number[VALUES_TEXT_SIZE];

	if (numbered) {
		snprintf(number, sizeof number, "%d", config_setting_get_int(value));
		text = number;
	}
	if (text == NULL)
		return setting_wrong_type(setting, value);
	if (values_parse_id(text) < 0 && (numbered || (*text != '\0' && strspn(text, "0123456789") == strlen(text))))
		return mem_print("%s is not the number of a user or group", text);
	mem_free(*(char **)field);
	*(char **)field = *text == '\0' ? NULL : mem_copy_text(text);
	return NULL;
}

static char *
setting_unknown_choice(const struct setting *setting, const char *text)
{
	char *error = mem_print("\"%s\" is not one of", text), *longer;
	const char *comma = "";

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

char *
setting_take_choice(const struct setting *setting, const config_setting_t *value, void *field)
{
	const char *text = config_setting_get_string(value);

	if (text == NULL)
		return setting_wrong_type(setting, value);
	for (const struct setting_choice *c = setting->choices; c->name != NULL; c++)
		if (strcmp(c->name, text) == 0) {
			memcpy(field, &c->value, sizeof c->value);
			return NULL;
		}
	return setting_unknown_choice(setting, text);
}

void
setting_print_choice(const struct setting *setting, const void *field, FILE *out)
{
	int value;

	memcpy(&value, field, sizeof value);
	for (const struct setting_choice *c = setting->choices; c->name != NULL; c++)
		if (c->value == value)
			values_print_text(out, c->name);
}
