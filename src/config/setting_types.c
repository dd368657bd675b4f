#include "config/setting_types.h"

#include <string.h>

#include "base/mem.h"
#include "config/setting_hello.h"
#include "config/setting_numbers.h"
#include "config/setting_texts.h"
#include "upstream/hello.h"

/* What a field owns: nothing but itself, a text, a list of texts, or steps. */
enum storage { STORE_PLAIN, STORE_TEXT, STORE_LIST, STORE_HELLO };

struct type {
	const char *noun; /* borrowed */
	enum storage storage;
	size_t size;
	char *(*take)(const struct setting *setting, const config_setting_t *value, void *field);
	void (*print)(const struct setting *setting, const void *field, FILE *out);
};

static const struct type types[SETTING_TYPES] = {
	[SETTING_TEXT] = { "a text", STORE_TEXT, 0, setting_take_text, setting_print_text },
	[SETTING_PATH] = { "a path as text", STORE_TEXT, 0, setting_take_path, setting_print_text },
	[SETTING_PROGRAM] = { "a path as text", STORE_TEXT, 0, setting_take_path, setting_print_text },
	[SETTING_TEXTS] = { "a list of texts", STORE_LIST, 0, setting_take_list, setting_print_list },
	[SETTING_ARGUMENTS] = { "a list of texts", STORE_LIST, 0, setting_take_list, setting_print_list },
	[SETTING_NAMES] = { "a list of names", STORE_LIST, 0, setting_take_list, setting_print_list },
	[SETTING_ADDRESS] = { "an address as text", STORE_LIST, 0, setting_take_single, setting_print_single },
	[SETTING_ADDRESSES] = { "a list of addresses", STORE_LIST, 0, setting_take_list, setting_print_list },
	[SETTING_ENVIRONMENT] = { "a list of NAME=VALUE", STORE_LIST, 0, setting_take_list,
	    setting_print_list },
	[SETTING_BOOL] = { "true or false", STORE_PLAIN, sizeof(bool), setting_take_bool, setting_print_bool },
	[SETTING_COUNT] = { "a whole number", STORE_PLAIN, sizeof(unsigned), setting_take_count,
	    setting_print_integer },
	[SETTING_COUNT_OR_AUTO] = { "a whole number or \"auto\"", STORE_PLAIN, sizeof(unsigned),
	    setting_take_count_or_auto, setting_print_count_or_auto },
	[SETTING_SIZE] = { "a size in bytes", STORE_PLAIN, sizeof(unsigned), setting_take_size,
	    setting_print_integer },
	[SETTING_MEMORY] = { "a size in bytes", STORE_PLAIN, sizeof(int64_t), setting_take_memory,
	    setting_print_memory },
	[SETTING_INTEGER] = { "a whole number", STORE_PLAIN, sizeof(int), setting_take_integer,
	    setting_print_integer },
	[SETTING_NUMBER] = { "a number", STORE_PLAIN, sizeof(double), setting_take_number,
	    setting_print_number },
	[SETTING_TIME] = { "a time", STORE_PLAIN, sizeof(int64_t), setting_take_time, setting_print_time },
	[SETTING_LIMIT] = { "a time", STORE_PLAIN, sizeof(int64_t), setting_take_time, setting_print_time },
	[SETTING_SECONDS] = { "a time", STORE_PLAIN, sizeof(int), setting_take_int_time,
	    setting_print_int_time },
	[SETTING_MILLISECONDS] = { "a time", STORE_PLAIN, sizeof(int), setting_take_int_time,
	    setting_print_int_time },
	[SETTING_MODE] = { "a mode as text", STORE_PLAIN, sizeof(mode_t), setting_take_mode,
	    setting_print_mode },
	[SETTING_ID] = { "a name or a number", STORE_TEXT, 0, setting_take_id, setting_print_text },
	[SETTING_CHOICE] = { "a text", STORE_PLAIN, sizeof(int), setting_take_choice,
	    setting_print_choice },
	[SETTING_HELLO] = { "a list of groups", STORE_HELLO, 0, setting_take_hello, setting_print_hello },
};


static const char *
setting_value_noun(const config_setting_t *value)
{
	switch (config_setting_type(value)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return "a list";
	case CONFIG_TYPE_STRING:
		return "a text";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	default:
		return "a number";
	}
}

char *
setting_wrong_type(const struct setting *setting, const config_setting_t *value)
{
	return mem_print("must be %s, not %s", types[setting->type].noun, setting_value_noun(value));
}

static void *
setting_field(const struct setting *setting, const void *object)
{
	return (char *)(uintptr_t)object + setting->offset;
}

char *
setting_take(const struct setting *setting, const config_setting_t *value, void *object)
{
	return types[setting->type].take(setting, value, setting_field(setting, object));
}

void
setting_print(const struct setting *setting, const void *object, FILE *out)
{
	types[setting->type].print(setting, setting_field(setting, object), out);
}

void
setting_show(const struct setting *setting, const void *object, FILE *out)
{
	const struct service_settings *service = object;

	if (setting->type == SETTING_HELLO)
		setting_show_hello(setting, setting_field(setting, object), out);
	else if (setting->type == SETTING_ARGUMENTS || setting->type == SETTING_ENVIRONMENT)
		setting_show_list(setting_field(setting, object), setting->type == SETTING_ARGUMENTS,
		    service->upstream.lookup.secrets, out);
	else
		setting_print(setting, object, out);
}

const config_setting_t *
setting_find_wrong(const struct setting *setting, const config_setting_t *value)
{
	return setting->type == SETTING_HELLO ? setting_find_wrong_hello(value) : value;
}

void
setting_copy(const struct setting *setting, void *to, const void *from)
{
	void *target = setting_field(setting, to);
	const void *source = setting_field(setting, from);

	if (types[setting->type].storage == STORE_TEXT)
		*(char **)target = mem_copy_text(*(char *const *)source);
	else if (types[setting->type].storage == STORE_LIST)
		*(char ***)target = mem_list_copy(*(char **const *)source);
	else if (types[setting->type].storage == STORE_HELLO)
		hello_settings_copy(target, source);
	else
		memcpy(target, source, types[setting->type].size);
}

static bool
setting_texts_are_same(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static bool
setting_lists_are_same(char *const *a, char *const *b)
{
	size_t length = mem_list_length(a);

	if (mem_list_length(b) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool
setting_is_same(const struct setting *setting, const void *a, const void *b)
{
	const void *left = setting_field(setting, a), *right = setting_field(setting, b);

	if (types[setting->type].storage == STORE_TEXT)
		return setting_texts_are_same(*(char *const *)left, *(char *const *)right);
	if (types[setting->type].storage == STORE_LIST)
		return setting_lists_are_same(*(char **const *)left, *(char **const *)right);
	if (types[setting->type].storage == STORE_HELLO)
		return hello_settings_are_same(left, right);
	return memcmp(left, right, types[setting->type].size) == 0;
}

void
setting_clear(const struct setting *setting, void *object)
{
	void *field = setting_field(setting, object);

	if (types[setting->type].storage == STORE_TEXT) {
		mem_free(*(char **)field);
		*(char **)field = NULL;
	} else if (types[setting->type].storage == STORE_LIST) {
		mem_list_free(*(char ***)field);
		*(char ***)field = NULL;
	} else if (types[setting->type].storage == STORE_HELLO) {
		hello_settings_clear(field);
	} else {
		memset(field, 0, types[setting->type].size);
	}
}
