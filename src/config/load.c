#include "config/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/names.h"
#include "config/check.h"
#include "config/write.h"

/* Of what the child says: the configuration, and a thousand errors of any length that a line has. */
#define READING_MAX ((size_t)TABLE_CONFIG_MAX + (8u << 20))

/* The child says texts that end with NUL, each behind one of these. */
enum reading_kind { READING_ERROR = 'e', READING_WARNING = 'w', READING_CONFIG = 'c', READING_END = '.' };

struct config_load {
	struct child *child;         /* owned; NULL: what it has said is taken */
	int64_t timeout;
	char *text;                  /* owned; the configuration that it has said; NULL not yet, or none */
	const char *at;              /* in it: what is not taken yet */
	struct reader reader;        /* owned */
	struct config_errors errors; /* owned */
	struct loop_work taking;
	config_load_callback *callback;
	void *arg;                   /* borrowed */
};

/* Checks what was read; the configuration, or NULL. */
static struct config *
config_end(struct reader *reader, bool whole)
{
	struct config *config = reader->config;
	char *text;

	if (whole)
		config_check(reader);
	if (whole && reader->errors->count == 0) {
		text = config_text(config, setting_print);
		if (strlen(text) > TABLE_CONFIG_MAX) /* it could not outlive a worker */
			config_error(reader->errors, "%s: the whole configuration is larger than %u MiB",
			    reader->files[0], TABLE_CONFIG_MAX >> 20);
		mem_free(text);
	}
	reader_clear(reader);
	if (reader->errors->count == 0)
		return config;
	config_free(config);
	return NULL;
}

struct config *
config_load(const char *path, bool test, struct config_errors *ret_errors)
{
	struct reader reader = { .config = mem_new(1, sizeof(struct config)), .errors = ret_errors, .test = test };

	return config_end(&reader, reader_read(&reader, path));
}

static struct reader
config_text_reader(struct config_errors *errors)
{
	return (struct reader){ .config = mem_new(1, sizeof(struct config)), .errors = errors, .text_only = true };
}

static struct config *
config_take_text(const char *text, const char *source, bool check, struct config_errors *ret_errors)
{
	struct reader reader = config_text_reader(ret_errors);
	bool whole;

	while (reader_read_bit(&reader, &text, source))
		continue;
	whole = reader_end_text(&reader);
	return config_end(&reader, whole && check);
}

struct config *
config_parse_text(const char *text, const char *source, struct config_errors *ret_errors)
{
	return config_take_text(text, source, true, ret_errors);
}

struct config *
config_in_force(const struct table *table, bool check, struct config_errors *ret_errors)
{
	size_t length;
	char *text = table_config_copy(table, &length);
	struct config *config = config_take_text(text, "the configuration in force", check, ret_errors);

	mem_free(text);
	return config;
}

static void
config_number(char **name, enum names_kind kind)
{
	uint32_t id;

	if (*name == NULL || !names_ask(kind, *name, &id))
		return;
	mem_free(*name);
	*name = mem_print("%u", id);
}

static void
config_number_list(char **names, enum names_kind kind)
{
	for (; names != NULL && *names != NULL; names++)
		config_number(names, kind);
}

static void
config_number_listener(struct listener_settings *listener)
{
	config_number(&listener->owner, NAMES_USER);
	config_number(&listener->group, NAMES_GROUP);
	config_number_list(listener->allow_users, NAMES_USER);
	config_number_list(listener->allow_groups, NAMES_GROUP);
}

void
config_number_names(struct config *config)
{
	config_number_listener(&config->control.listener);
	config_number_list(config->control.admin_users, NAMES_USER);
	config_number_list(config->control.admin_groups, NAMES_GROUP);
	for (size_t i = 0; i < config->service_count; i++) {
		struct service_settings *settings = config->services[i];

		for (unsigned k = 0; k < settings->listeners.count; k++)
			config_number_listener(&settings->listeners.at[k]);
		config_number_list(settings->upstream.lookup.owners, NAMES_USER);
	}
}

static void
reading_say(FILE *out, enum reading_kind kind, const char *text)
{
	fputc((int)kind, out);
	fputs(text, out);
	fputc('\0', out);
}

/* The child. */
static void
reading_run(void *arg)
{
	struct config_errors errors = { 0 };
	struct config *config = config_load(arg, false, &errors);
	FILE *out = fdopen(STDOUT_FILENO, "w");

	if (out == NULL)
		return;
	for (size_t i = 0; i < errors.warning_count; i++)
		reading_say(out, READING_WARNING, errors.warnings[i]);
	for (size_t i = 0; i < errors.count; i++)
		reading_say(out, READING_ERROR, errors.errors[i]);
	if (config != NULL) {
		config_number_names(config);
		reading_say(out, READING_CONFIG, config_text(config, setting_print));
	}
	reading_say(out, READING_END, "");
	fclose(out);
}

/* What was said, whole: errors, and the configuration's text. */
static void
reading_understand(struct config_load *reading, const struct child_result *result)
{
	const char *at = result->output, *end = at + result->output_length, *text = NULL;
	struct config_errors *errors = &reading->errors;
	bool whole = false;

	for (; at < end && !whole; at += strlen(at) + 1) {
		if (*at == READING_ERROR)
			config_error(errors, "%s", at + 1);
		else if (*at == READING_WARNING)
			config_warning(errors, "%s", at + 1);
		else if (*at == READING_CONFIG)
			text = at + 1;
		whole = *at == READING_END && at + 1 < end;
	}
	if (!whole)
		config_error(errors, result->timed_out ? "the configuration could not be read within %d s: its "
		    "files, or those it names, or the names of users and groups are out of reach" : "the "
		    "configuration could not be read: the process that reads it has ended",
		    (int)(reading->timeout / CLOCK_SECOND));
	if (whole && text != NULL)
		reading->text = mem_copy_text(text);
}

static void
reading_end(struct config_load *all, struct config *config)
{
	struct config_load reading = *all;

	mem_free(all);
	if (config == NULL) {
		mem_free(reading.text);
		reading.text = NULL;
	}
	reading.callback(reading.arg, config, reading.text, &reading.errors);
}

static bool
reading_take_bit(void *arg)
{
	struct config_load *reading = arg;

	return reader_read_bit(&reading->reader, &reading->at, "the configuration");
}

/* The child has checked it. */
static void
reading_on_taken(void *arg)
{
	struct config_load *reading = arg;

	reader_end_text(&reading->reader);
	reading_end(reading, config_end(&reading->reader, false));
}

static void
reading_on_end(void *arg, const struct child_result *result)
{
	struct config_load *reading = arg;

	reading->child = NULL;
	reading_understand(reading, result);
	if (reading->text == NULL) {
		reading_end(reading, NULL);
		return;
	}
	reading->at = reading->text;
	reading->reader = config_text_reader(&reading->errors);
	loop_work_start(&reading->taking, reading_take_bit, reading_on_taken);
}

struct config_load *
config_load_start(struct event_base *loop, const char *path, int64_t timeout,
    volatile int32_t *ret_group, config_load_callback *callback, void *arg)
{
	struct config_load *reading = mem_new(1, sizeof *reading);
	struct child_job job = { .program = "hf-config", .run = reading_run, .run_arg = (char *)(uintptr_t)path,
		.timeout = timeout, .patient = true, .output_max = READING_MAX };

	reading->timeout = timeout;
	reading->callback = callback;
	reading->arg = arg;
	loop_work_init(&reading->taking, loop, reading);
	reading->child = child_start(loop, &job, ret_group, reading_on_end, reading);
	return reading;
}

void
config_load_cancel(struct config_load *reading)
{
	if (reading == NULL)
		return;
	child_cancel(reading->child);
	loop_work_stop(&reading->taking);
	reader_clear(&reading->reader);
	config_free(reading->reader.config);
	config_errors_clear(&reading->errors);
	mem_free(reading->text);
	mem_free(reading);
}
