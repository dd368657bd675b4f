/* The register of commands, and those that are answered at once. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/command.h"

#define FAIL_MAX (3600 * CLOCK_SECOND)

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
	json_t *list = json_array();
	char *unknown;

	(void)arg;
	for (const struct control_command *command = commands_register; command->name != NULL; command++)
		if (argc < 2 || strcmp(command->name, argv[1]) == 0)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "command", command->name,
			    "arguments", command->arguments, "help", command->help));
	if (json_array_size(list) > 0) {
		control_answer(request, json_pack("{s:o}", "commands", list));
		return;
	}
	json_decref(list);
	unknown = control_unknown(commands_register, argv[1]);
	control_fail(request, NULL, "%s", unknown);
	mem_free(unknown);
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

json_t *
commands_explanation(const struct command_context *context, const struct service *service)
{
	struct service_status status;

	service_get_status(service, &status);
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "service", service_name(service),
	    "state", upstream_state_name(status.upstream.state), "since", stats_time(status.upstream.since),
	    "down_since", stats_time(status.upstream.down_since),
	    "endpoints", commands_endpoints_of(context, service),
	    "entries", events_history(&context->table->services[service_index(service)]));
}

static void
commands_explain(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	const struct service *service = command_need(context, request, argv[1]);

	(void)argc;
	if (service != NULL)
		control_answer(request, commands_explanation(context, service));
}

static void
commands_events(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	const struct table_service **records;
	struct service *service;
	size_t count = 0;

	(void)argc;
	if (argv[1] != NULL && command_need(context, request, argv[1]) == NULL)
		return;
	if (!control_may_wait(request))
		return;
	records = mem_new(TABLE_SERVICES, sizeof(const struct table_service *));
	for (size_t i = 0; (service = command_next(context, argv[1], false, &i)) != NULL;)
		records[count++] = &context->table->services[service_index(service)];
	events_subscribe(context->events, request, argv[1], records, count);
}

static void
commands_open(void *arg, struct control_request *request, int argc, char **argv)
{
	bool all = command_take_option(&argc, argv, "--all", NULL);
	struct service_status status;
	struct service *service;

	if (!command_expect(request, argc, argv, !all, !all))
		return;
	if (all) {
		commands_open_all(arg, request);
		return;
	}
	service = command_need(arg, request, argv[1]);
	if (service == NULL)
		return;
	service_open(service, control_uid(request));
	service_get_status(service, &status);
	control_answer(request, json_pack("{s:s, s:b}", "service", argv[1],
	    "paused", status.record->pause.value != 0));
}

static void
commands_reconnect(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service = command_need_open(arg, request, argv[1]);
	struct service_status status;

	(void)argc;
	if (service == NULL)
		return;
	service_get_status(service, &status);
	if (status.record->pause.value != 0) {
		control_fail(request, NULL, "%s: paused; \"resume %s\" connects it again", argv[1], argv[1]);
		return;
	}
	upstream_tell(service_upstream(service), PCONN_RECONNECT);
	control_answer(request, json_pack("{s:s}", "service", argv[1]));
}

static void
commands_resume(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service = command_need(arg, request, argv[1]);
	bool paused;

	(void)argc;
	if (service == NULL)
		return;
	paused = service_resume(service, control_uid(request));
	control_answer(request, json_pack("{s:s, s:b}", "service", argv[1], "was_paused", paused));
}

static void
commands_fail(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service;
	int64_t span;

	if (!command_expect(request, argc, argv, 2, 2))
		return;
	if (!command_read_seconds(request, argv[2], &span))
		return;
	service = span == 0 ? command_need(arg, request, argv[1]) : command_need_open(arg, request, argv[1]);
	if (service == NULL)
		return;
	if (span > FAIL_MAX) {
		control_fail(request, NULL, "%s: a service can be made to fail for 3600 s at most; nothing was "
		    "changed", argv[1]);
		return;
	}
	service_fail(service, control_uid(request), span);
	control_answer(request, json_pack("{s:s, s:b, s:o}", "service", argv[1], "failing", span > 0,
	    "left_seconds", stats_span(span)));
}

#define COMMAND(name, run, arguments, least, most, changes, repeatable, patient, help) \
	{ #name, arguments, help, least, most, PERMISSION_##changes, commands_##run },

const struct control_command commands_register[] = {
#include "base/commands.def"
	{ NULL, NULL, NULL, 0, 0, PERMISSION_reads, NULL },
};
