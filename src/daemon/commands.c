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

const struct control_command commands_register[] = {
	{ "status", "[SERVICE]", "how the services are", 0, 1, false, commands_status },
	{ "endpoints", "[SERVICE]", "where the services are, and how each endpoint is", 0, 1, false,
	    commands_endpoints },
	{ "clients", "[SERVICE] [--by user|unit|pid|address]", "each client, or how many of whom", 0, 3, false,
	    commands_clients },
	{ "wait", "SERVICE [SECONDS]", "answers when connected; 0: says whether it is", 1, 2, false,
	    commands_wait },
	{ "try", "SERVICE [SECONDS]", "answers when connected, or with the next failure", 1, 2, false,
	    commands_try },
	{ "close", "SERVICE [--kill]", "refuses new and held clients; --kill: ends the others too", 1, 2, true,
	    commands_close },
	{ "disable", "SERVICE [--kill]", "the same as close", 1, 2, true, commands_close },
	{ "drain", "SERVICE|--all [--wait SECONDS]", "lets the clients end, takes no new ones", 1, 3, true,
	    commands_drain },
	{ "open", "SERVICE|--all", "starts anew after close, drain or abort", 1, 1, true, commands_open },
	{ "enable", "SERVICE|--all", "the same as open", 1, 1, true, commands_open },
	{ "kill", "SERVICE --id N|--user U|--unit U|--address A", "ends those clients", 3, 3, true,
	    commands_kill },
	{ "reconnect", "SERVICE", "drops the upstream and connects anew, at once", 1, 1, true,
	    commands_reconnect },
	{ "pause", "SERVICE [SECONDS] [--kill]", "holds new work, answers when the rest has ended", 1, 3, true,
	    commands_pause },
	{ "resume", "SERVICE", "lets new work go on after a pause", 1, 1, true, commands_resume },
	{ "fail", "SERVICE SECONDS", "treats the upstream as down for so long; 0: no more", 2, 2, true,
	    commands_fail },
	{ "lookup", "SERVICE [-v]", "runs the look-up and shows its result; changes nothing", 1, 2, false,
	    commands_lookup },
	{ "events", "[SERVICE]", "prints each event as it happens, the last one first", 0, 1, false,
	    commands_events },
	{ "explain", "SERVICE", "the last 64 events, look-up results and errors", 1, 1, false,
	    commands_explain },
	{ "reload", "[--dry-run] [--force]", "reads the configuration anew; --dry-run: only says what that would do; "
	    "--force: even if no service is left", 0, 2, true, commands_reload },
	{ "upgrade", "", "restarts with the new program file; connections stay", 0, 0, true,
	    commands_upgrade },
	{ "config", "[SERVICE]", "the settings in force, defaults filled in", 0, 1, false, commands_config },
	{ "metrics", "[--openmetrics]", "the metrics in the text format of Prometheus, or as strict OpenMetrics", 0,
	    1, false, commands_metrics },
	{ "log", "[LEVEL|default]", "sets or tells the log level", 0, 1, true, commands_log },
	{ "ping", "", "answers", 0, 0, false, commands_ping },
	{ "help", "", "lists the commands", 0, 0, false, commands_help },
	{ NULL, NULL, NULL, 0, 0, false, NULL },
};
