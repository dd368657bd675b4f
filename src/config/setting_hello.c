#include "config/setting_hello.h"

#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "upstream/hello.h"

#define STEP(field) offsetof(struct hello_step, field)

static const struct setting step_rows[] = {
	{ "send", "\"\"", SETTING_TEXT, 0, HELLO_TEXT_MAX, SETTING_RENEW, STEP(send), NULL },
	{ "send_file", "\"\"", SETTING_TEXT, 0, 4095, SETTING_RENEW, STEP(send_file), NULL },
	{ "expect", "\"\"", SETTING_TEXT, 0, HELLO_LINE_MAX, SETTING_RENEW, STEP(expect), NULL },
	{ "timeout", "5", SETTING_TIME, 0.01, 3600, SETTING_RENEW, STEP(timeout), NULL },
	{ "abort_on", "\"\"", SETTING_TEXT, 0, HELLO_LINE_MAX, SETTING_RENEW, STEP(abort_on), NULL },
};
static const char *const no_sections[] = { NULL };
static const struct settings step_settings = { step_rows, sizeof step_rows / sizeof step_rows[0], no_sections };

static char *
hello_unknown(const char *name)
{
	char nearest[SETTINGS_NAME_SIZE];

	if (settings_nearest(&step_settings, "", name, nearest))
		return mem_print("unknown setting \"%s\" in a step; did you mean \"%s\"?", name, nearest);
	return mem_print("unknown setting \"%s\" in a step", name);
}

static char *
hello_check_name(const char *name)
{
	const char *credential = name + strlen(HELLO_CREDENTIAL);

	if (strncmp(name, HELLO_CREDENTIAL, strlen(HELLO_CREDENTIAL)) != 0)
		return *name == '/' ? NULL : mem_print("send_file: \"%s\" must be an absolute path, or "
		    "credential:NAME", name);
	if (*credential == '\0' || strchr(credential, '/') != NULL || strcmp(credential, ".") == 0 ||
	    strcmp(credential, "..") == 0)
		return mem_print("send_file: \"%s\" is not credential:NAME", name);
	return NULL;
}

/* What is wrong with a step as a whole. */
static char *
hello_check_step(const struct hello_step *step)
{
	const char *heard[] = { step->expect, step->abort_on };

	if ((step->send != NULL && strcmp(step->send, SECRET_HIDDEN) == 0) ||
	    (step->expect != NULL && strcmp(step->expect, SECRET_HIDDEN) == 0))
		return mem_copy_text("\"" SECRET_HIDDEN "\" is what is shown in a secret's place: write the secret "
		    "itself");
	if (step->send != NULL && step->send_file != NULL)
		return mem_copy_text("send and send_file exclude each other in a step");
	if (step->send == NULL && step->send_file == NULL && step->expect == NULL && step->abort_on == NULL)
		return mem_copy_text("a step needs send, send_file, expect or abort_on");
	for (size_t i = 0; i < sizeof heard / sizeof heard[0]; i++)
		if (heard[i] != NULL && strpbrk(heard[i], "\r\n") != NULL)
			return mem_copy_text("expect and abort_on are compared with a line without its end: "
			    "\\r and \\n never stand in it");
	return step->send_file == NULL ? NULL : hello_check_name(step->send_file);
}

static char *
hello_take_value(const config_setting_t *value, struct hello_step *step)
{
	const struct setting *row = settings_find(&step_settings, config_setting_name(value));
	char *wrong, *error = NULL;

	if (row == NULL)
		return hello_unknown(config_setting_name(value));
	if ((wrong = setting_take(row, value, step)) != NULL)
		error = mem_print("%s: %s", row->name, wrong);
	mem_free(wrong);
	return error;
}

/* *ret_where is the part with the error. */
static char *
hello_take_step(const config_setting_t *group, struct hello_step *step, const config_setting_t **ret_where)
{
	char *error = NULL;

	*ret_where = group;
	settings_defaults(&step_settings, step);
	if (!config_setting_is_group(group))
		return mem_copy_text("each step must be a group: { send = ...; expect = ...; }");
	for (int i = 0; i < config_setting_length(group) && error == NULL; i++) {
		const config_setting_t *value = config_setting_get_elem(group, (unsigned)i);

		error = hello_take_value(value, step);
		if (error != NULL)
			*ret_where = value;
	}
	return error == NULL ? hello_check_step(step) : error;
}

static char *
hello_take(const config_setting_t *value, struct hello_settings *hello, const config_setting_t **ret_where)
{
	int length = config_setting_is_list(value) ? config_setting_length(value) : 0;
	char *error = NULL;

	*ret_where = value;
	if (length > HELLO_STEPS)
		return mem_print("has %d steps, %d is the most", length, HELLO_STEPS);
	if (length == 0)
		return NULL;
	hello->steps = mem_new((size_t)length, sizeof *hello->steps);
	for (int i = 0; i < length && error == NULL; i++)
		error = hello_take_step(config_setting_get_elem(value, (unsigned)i), &hello->steps[hello->count++],
		    ret_where);
	return error;
}

char *
setting_take_hello(const struct setting *setting, const config_setting_t *value, void *field)
{
	struct hello_settings hello = { 0 };
	const config_setting_t *where;
	char *error;

	/* A list without items is an array to libconfig if it was written [ ]. */
	if (!config_setting_is_list(value) && !(config_setting_is_array(value) && config_setting_length(value) == 0))
		return setting_wrong_type(setting, value);
	if ((error = hello_take(value, &hello, &where)) != NULL) {
		hello_settings_clear(&hello);
		return error;
	}
	hello_settings_clear(field);
	*(struct hello_settings *)field = hello;
	return NULL;
}

const config_setting_t *
setting_find_wrong_hello(const config_setting_t *value)
{
	struct hello_settings hello = { 0 };
	const config_setting_t *where;

	mem_free(hello_take(value, &hello, &where));
	hello_settings_clear(&hello);
	return where;
}

/* The timeout, and what is not empty. */
static void
hello_print_step(const struct hello_step *step, FILE *out)
{
	fputs("{ ", out);
	for (size_t i = 0; i < step_settings.count; i++) {
		const struct setting *row = &step_rows[i];
		const void *field = (const char *)step + row->offset;

		if (row->type == SETTING_TEXT && *(char *const *)field == NULL)
			continue;
		fprintf(out, "%s = ", row->name);
		setting_print(row, step, out);
		fputs("; ", out);
	}
	fputc('}', out);
}

static void
hello_print(const struct hello_settings *hello, bool hide, FILE *out)
{
	char hidden[] = SECRET_HIDDEN;

	fputc('(', out);
	for (size_t i = 0; i < hello->count; i++) {
		struct hello_step step = hello->steps[i];

		if (hide && step.send != NULL)
			step.send = hidden;
		fputs(i > 0 ? ", " : "", out);
		hello_print_step(&step, out);
	}
	fputc(')', out);
}

void
setting_print_hello(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	hello_print(field, false, out);
}

void
setting_show_hello(const struct setting *setting, const void *field, FILE *out)
{
	(void)setting;
	hello_print(field, true, out);
}
