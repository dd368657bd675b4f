#include "ctl/complete.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/show.h"

#define ANSWER_TIME (2 * CLOCK_SECOND) /* a shell waits so long for names at most */

/* holdfastctl's own options; those with a value have a file's name as value. */
static const struct {
	const char *option, *help;
	bool file, behind; /* may also stand behind a command */
} complete_options[] = {
	{ "-s", "the control socket", true, false }, { "--socket", "the control socket", true, false },
	{ "--json", "print answers as they come", false, true }, { "-V", "print the version", false, false },
	{ "--version", "print the version", false, false }, { "-h", "print help", false, false },
	{ "--help", "print help", false, true },
};

#define OPTIONS (sizeof complete_options / sizeof complete_options[0])

/* What the names of values and places in the commands' help stand for, and where the daemon tells of them: the member
 * of each object of the list in the answer to the command, with what describes it. */
static const struct complete_name {
	const char *option; /* whose value it is, or NULL */
	const char *name;
	enum complete_kind kind;
	const char *command, *list, *member;
} complete_names[] = {
	{ NULL, "SERVICE", COMPLETE_SERVICES, "status", "services", "service" },
	{ NULL, "CATALOG", COMPLETE_FILES, NULL, NULL, NULL },
	{ "--check", "COMMAND", COMPLETE_FILES, NULL, NULL, NULL },
	{ "--directory", "DIRECTORY", COMPLETE_FILES, NULL, NULL, NULL },
	{ NULL, "LEVEL", COMPLETE_LEVELS, NULL, NULL, NULL }, { NULL, "FILE", COMPLETE_FILES, NULL, NULL, NULL },
	{ "--id", "N", COMPLETE_IDS, "clients", "clients", "id" },
	{ "--user", "U", COMPLETE_USERS, "clients", "clients", "user" },
	{ "--unit", "U", COMPLETE_UNITS, "clients", "clients", "unit" },
	{ "--address", "A", COMPLETE_ADDRESSES, "clients", "clients", "address" },
};

#define NAMES (sizeof complete_names / sizeof complete_names[0])

static void
complete_add(struct complete_plan *plan, const char *text, const char *help)
{
	if (plan->count == COMPLETE_WORDS)
		return;
	snprintf(plan->words[plan->count].text, sizeof plan->words[0].text, "%s", text);
	plan->words[plan->count++].help = help;
}

static void
complete_add_options(struct complete_plan *plan, bool behind)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (!behind || complete_options[i].behind)
			complete_add(plan, complete_options[i].option, complete_options[i].help);
}

static void
complete_add_commands(struct complete_plan *plan)
{
	for (const struct help_command *command = help_commands; command->name != NULL; command++)
		complete_add(plan, command->name, command->help);
}

/* A value or a place: small letters are meant as they are, capitals stand for something. */
static void
complete_add_item(struct complete_plan *plan, const struct syntax *syntax, const struct syntax_item *item)
{
	const char *option = item->kind == SYNTAX_VALUE ? syntax->items[item->of].text : NULL;

	if (item->text[0] >= 'a' && item->text[0] <= 'z') {
		complete_add(plan, item->text, "");
		return;
	}
	if (strcmp(item->text, "COMMAND") == 0 && option == NULL)
		complete_add_commands(plan);
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(complete_names[i].name, item->text) == 0 && (complete_names[i].option == NULL ||
		    (option != NULL && strcmp(complete_names[i].option, option) == 0)))
			plan->kinds |= complete_names[i].kind;
}

/* All items of a kind: values of one option, what may stand at one place, or (of is ignored) options. */
static size_t
complete_add_items(struct complete_plan *plan, const struct syntax *syntax, enum syntax_kind kind, size_t of)
{
	size_t found = 0;

	for (size_t i = 0; i < syntax->count; i++) {
		const struct syntax_item *item = &syntax->items[i];

		if (item->kind != kind || (kind != SYNTAX_OPTION && item->of != of))
			continue;
		found++;
		if (kind == SYNTAX_OPTION)
			complete_add(plan, item->text, "");
		else
			complete_add_item(plan, syntax, item);
	}
	return found;
}

/* Behind a command: argv[0] is its name. */
static void
complete_decide_arguments(struct complete_plan *plan, const struct help_command *command, int argc, char *const *argv)
{
	const struct syntax_item *option = NULL;
	const char *typed = argv[argc - 1];
	struct syntax syntax;
	size_t place = 0;

	syntax_read(&syntax, command->arguments);
	for (int i = 1; i < argc - 1; i++) {
		bool value = option != NULL;

		if (strcmp(argv[i], "--") == 0) {
			plan->kinds |= COMPLETE_FILES; /* another program's command */
			return;
		}
		option = value ? NULL : syntax_option(&syntax, argv[i]);
		if (option != NULL && !syntax_takes_value(&syntax, option))
			option = NULL;
		else if (option == NULL && !value && argv[i][0] != '-' && place++ == 0)
			plan->service = argv[i];
	}
	if (option != NULL)
		complete_add_items(plan, &syntax, SYNTAX_VALUE, option->of);
	else if (typed[0] == '-' || complete_add_items(plan, &syntax, SYNTAX_PLACE, place) == 0)
		complete_add_items(plan, &syntax, SYNTAX_OPTION, 0);
	if (option == NULL && typed[0] == '-' && !command->own)
		complete_add_options(plan, true);
}

static bool
complete_takes_file(const char *word)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (complete_options[i].file && strcmp(complete_options[i].option, word) == 0)
			return true;
	return false;
}

void
complete_decide(struct complete_plan *plan, int argc, char *const *argv)
{
	const struct help_command *command;
	int i = 0;

	memset(plan, 0, sizeof *plan);
	for (; i < argc - 1 && argv[i][0] == '-'; i++) {
		if (!complete_takes_file(argv[i]))
			continue;
		if (i + 1 == argc - 1) {
			plan->kinds = COMPLETE_FILES;
			return;
		}
		plan->socket = argv[++i];
	}
	if (i >= argc)
		return;
	if (i < argc - 1) {
		command = help_find(argv[i]);
		if (command != NULL)
			complete_decide_arguments(plan, command, argc - i, argv + i);
		return;
	}
	if (argv[i][0] == '-')
		complete_add_options(plan, false);
	else
		complete_add_commands(plan);
}

/* A name from the daemon is one word on one line. */
static void
complete_print(const char *word, const char *help)
{
	if (word[0] != '\0' && strpbrk(word, " \t\r\n") == NULL)
		printf("%s\t%s\n", word, help);
}

/* What the daemon has of a name, each once; a service with its state, a client's number with its user. */
static void
complete_print_names(const struct complete_plan *plan, const struct complete_name *name)
{
	const char *about = name->kind == COMPLETE_SERVICES ? NULL : plan->service;
	json_t *seen = json_object(), *answer, *object;
	char *path = ask_socket(plan->socket);
	size_t i;
	int error;

	answer = ask_once(path, name->command, about, clock_now() + ANSWER_TIME, &error);
	json_array_foreach(json_object_get(answer, name->list), i, object) {
		const char *word = name->kind == COMPLETE_IDS ? show_format("%lld", show_number(object, name->member))
		    : show_text(object, name->member);

		if (!show_has(seen, word))
			complete_print(word, name->kind == COMPLETE_SERVICES ? show_state(object)
			    : name->kind == COMPLETE_IDS ? show_text(object, "user") : "");
		json_object_set_new(seen, word, json_true());
	}
	json_decref(seen);
	json_decref(answer);
	mem_free(path);
}

static void
complete_print_levels(void)
{
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
		complete_print(log_level_name((enum log_level)level), "");
}

int
complete_run(int argc, char **argv)
{
	struct complete_plan plan;

	complete_decide(&plan, argc, argv);
	for (size_t i = 0; i < plan.count; i++)
		complete_print(plan.words[i].text, plan.words[i].help);
	for (size_t i = 0; i < NAMES; i++)
		if ((plan.kinds & complete_names[i].kind) != 0 && complete_names[i].command != NULL)
			complete_print_names(&plan, &complete_names[i]);
	if ((plan.kinds & COMPLETE_LEVELS) != 0)
		complete_print_levels();
	if ((plan.kinds & COMPLETE_FILES) != 0)
		puts(":files");
	return ASK_YES;
}
