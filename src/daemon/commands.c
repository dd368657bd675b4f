#include "daemon/commands.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/explain.h"
#include "daemon/command.h"
#include "daemon/commands_metrics.h"

static void
commands_ping(void *arg, struct control_request *request, int argc, char **argv)
{
	(void)arg;
	(void)argc;
	(void)argv;
	control_answer(request, json_pack("{s:b}", "pong", 1));
}

static void
commands_help(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct control_command *command = control_commands(request);
	json_t *list = json_array();

	(void)arg;
	(void)argc;
	(void)argv;
	for (; command->name != NULL; command++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "command", command->name,
		    "arguments", command->arguments, "help", command->help));
	control_answer(request, json_pack("{s:o}", "commands", list));
}

static void
commands_log(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	enum log_level before = log_get_level(), level = before;

	bool configured = argc > 1 && strcmp(argv[1], "default") == 0;

	if (configured) {
		level = context->log_level(context->daemon);
	} else if (argc > 1 && !log_level_parse(argv[1], &level)) {
		control_fail(request, NULL, "no log level \"%s\"; there are error, warning, notice, info, debug, and "
		    "default, which is log.level of the configuration", argv[1]);
		return;
	}
	if (argc > 1) {
		log_set_level(level);
		context->table->header->log_level = configured ? 0 : (uint32_t)level + 1;
	}
	control_answer(request, json_pack("{s:s, s:s}", "level", log_level_name(level),
	    "previous", log_level_name(before)));
}

static void
commands_config(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	char *text;

	if (argc > 1 && command_need(context, request, argv[1]) == NULL)
		return;
	text = context->config(context->daemon, argv[1]);
	control_answer(request, json_pack("{s:o}", "config", control_text(text)));
	mem_free(text);
}

static void
commands_explain(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	struct service *service = command_need(context, request, argv[1]);
	struct service_status status;

	(void)argc;
	if (service == NULL)
		return;
	service_get_status(service, &status);
	control_answer(request, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "service", service_name(service),
	    "state", upstream_state_name(status.upstream.state), "since", command_time(status.upstream.since),
	    "down_since", command_time(status.upstream.down_since),
	    "endpoints", commands_endpoints_of(context, service),
	    "entries", explain_entries(&context->table->services[service_index(service)])));
}

static void
commands_events(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	struct service *service;

	(void)argc;
	if (argv[1] != NULL && command_need(context, request, argv[1]) == NULL)
		return;
	if (!control_may_wait(request))
		return;
	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (argv[1] == NULL || strcmp(argv[1], service_name(service)) == 0)
			events_tell_last(context->events, request,
			    &context->table->services[service_index(service)]);
	events_subscribe(context->events, request, argv[1]);
}

#define COMMAND(name, run, arguments, least, most, changes, repeatable, patient, help) \
	{ #name, arguments, help, least, most, changes, commands_##run },

const struct control_command commands_register[] = {
#include "base/commands.def"
	{ NULL, NULL, NULL, 0, 0, false, NULL },
};
