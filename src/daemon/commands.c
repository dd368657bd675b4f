#include "daemon/commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "control/explain.h"
#include "daemon/commands_metrics.h"
#include "daemon/commands_parts.h"

struct service *
commands_find(const struct commands_context *context, const char *name)
{
	struct service *service;

	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (strcmp(service_name(service), name) == 0)
			return service;
	return NULL;
}

static const char *
commands_name_at(const void *arg, size_t index)
{
	const struct commands_context *context = arg;
	const struct service *service = context->with_clients_at(context->daemon, index);

	return service == NULL ? NULL : service_name(service);
}

/* Answers that there is no such service, and which may have been meant. */
static void
commands_fail_unknown(const struct commands_context *context, struct control_request *request, const char *name)
{
	const char *meant = nearest_name(name, commands_name_at, context);

	if (meant == NULL || strcmp(meant, name) == 0) /* a removed one, for which this command is not */
		control_fail(request, NULL, "no service \"%s\"", name);
	else
		control_fail(request, NULL, "no service \"%s\"; did you mean \"%s\"?", name, meant);
}

struct service *
commands_need(const struct commands_context *context, struct control_request *request, const char *name)
{
	struct service *service = commands_find(context, name);

	if (service == NULL)
		commands_fail_unknown(context, request, name);
	return service;
}

struct service *
commands_need_open(const struct commands_context *context, struct control_request *request, const char *name)
{
	struct service *service = commands_need(context, request, name);
	struct service_status status;

	if (service == NULL || !upstream_refuses(service_upstream(service)))
		return service;
	service_get_status(service, &status);
	control_fail(request, NULL, "%s: %s; \"open %s\" starts it anew", name,
	    upstream_state_name(status.upstream.state), name);
	return NULL;
}

bool
commands_take_option(int *argc, char **argv, const char *option, const char **ret_value)
{
	for (int i = 1; i < *argc; i++) {
		int taken = ret_value != NULL && i + 1 < *argc ? 2 : 1;

		if (strcmp(argv[i], option) != 0)
			continue;
		if (ret_value != NULL)
			*ret_value = argv[i + 1];
		*argc -= taken;
		memmove(argv + i, argv + i + taken, (size_t)(*argc - i + 1) * sizeof *argv);
		return true;
	}
	return false;
}

bool
commands_expect(struct control_request *request, int argc, char **argv, int least, int most)
{
	bool good = argc - 1 >= least && argc - 1 <= most;

	for (int i = 1; i < argc; i++)
		good = good && argv[i][0] != '-';
	if (!good)
		control_usage(request);
	return good;
}

bool
commands_read_seconds(struct control_request *request, const char *word, int64_t *ret_span)
{
	if (word != NULL && clock_read_seconds(word, ret_span))
		return true;
	if (word == NULL)
		control_usage(request);
	else
		control_fail(request, json_pack("{s:b}", "usage", 1), "\"%.40s\" is not a time, such as 2, 0.5, "
		    "250ms, 5s, 2min or 1h", word);
	return false;
}

json_t *
commands_span(int64_t span)
{
	return json_real((double)((span + 500) / 1000) / 1e3);
}

json_t *
commands_pid(pid_t pid)
{
	return pid == 0 ? json_null() : json_integer(pid);
}

json_t *
commands_time(int64_t wall)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall == 0)
		return json_null();
	clock_format(wall, text);
	return json_string(text);
}

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
	const struct commands_context *context = arg;
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
	const struct commands_context *context = arg;
	char *text;

	if (argc > 1 && commands_need(context, request, argv[1]) == NULL)
		return;
	text = context->config(context->daemon, argv[1]);
	control_answer(request, json_pack("{s:o}", "config", control_text(text)));
	mem_free(text);
}

static void
commands_explain(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct commands_context *context = arg;
	struct service *service = commands_need(context, request, argv[1]);
	struct service_status status;

	(void)argc;
	if (service == NULL)
		return;
	service_get_status(service, &status);
	control_answer(request, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "service", service_name(service),
	    "state", upstream_state_name(status.upstream.state), "since", commands_time(status.upstream.since),
	    "down_since", commands_time(status.upstream.down_since),
	    "endpoints", commands_endpoints_of(context, service),
	    "entries", explain_entries(&context->table->services[service_index(service)])));
}

static void
commands_events(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct commands_context *context = arg;
	struct service *service;

	(void)argc;
	if (argv[1] != NULL && commands_need(context, request, argv[1]) == NULL)
		return;
	if (!control_may_wait(request))
		return;
	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (argv[1] == NULL || strcmp(argv[1], service_name(service)) == 0)
			events_tell_last(context->events, request,
			    &context->table->services[service_index(service)]);
	events_subscribe(context->events, request, argv[1]);
}

bool
commands_need_clients(const struct commands_context *context, struct control_request *request, const char *name)
{
	struct service *service;

	for (size_t i = 0; (service = context->with_clients_at(context->daemon, i)) != NULL; i++)
		if (strcmp(service_name(service), name) == 0)
			return true;
	commands_fail_unknown(context, request, name);
	return false;
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
