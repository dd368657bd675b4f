/* drain, open, reconnect: what an operator does to services. */
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/command.h"

#define DRAIN_LOOK (50 * CLOCK_MILLISECOND) /* how often a waiting drain counts the clients left */

struct drain {
	const struct command_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
	char *name;                             /* owned; NULL: all services */
	int64_t span, deadline;
	struct loop_timer timer;
};

/* Clients, the held included, of a service or of all (NULL); services that are gone have none.  In shared mode the
 * held are clients of their own connection, and counted as such. */
static unsigned
drain_left(const struct command_context *context, const char *name)
{
	struct service_status status;
	struct service *service;
	unsigned left = 0;

	for (size_t i = 0; (service = context->with_clients_at(context->daemon, i)) != NULL; i++) {
		if (name != NULL && strcmp(name, service_name(service)) != 0)
			continue;
		service_get_status(service, &status);
		left += status.clients + (status.mode == SERVICE_SHARED ? 0 : status.held);
	}
	return left;
}

static void
drain_free(struct drain *drain)
{
	loop_timer_stop(&drain->timer);
	mem_free(drain->name);
	mem_free(drain);
}

static void
drain_cancel(void *arg)
{
	drain_free(arg);
}

static void
drain_look(void *arg)
{
	struct drain *drain = arg;
	unsigned left = drain_left(drain->context, drain->name);
	int64_t now = clock_now();

	if (left > 0 && now < drain->deadline) {
		loop_timer_at(&drain->timer, now + DRAIN_LOOK < drain->deadline ? now + DRAIN_LOOK
		    : drain->deadline);
		return;
	}
	if (left == 0)
		control_answer(drain->request, json_pack("{s:i}", "clients", 0));
	else
		control_fail(drain->request, json_pack("{s:b, s:i}", "timed_out", 1, "clients", (int)left),
		    "time ran out after %.1f s: %u client%s left; no new ones are taken", (double)drain->span / 1e6,
		    left, left == 1 ? " is" : "s are");
	drain_free(drain);
}

static void
drain_wait(const struct command_context *context, struct control_request *request, const char *name,
    int64_t span)
{
	struct drain *drain = mem_new(1, sizeof *drain);

	drain->context = context;
	drain->request = request;
	drain->name = mem_copy_text(name);
	drain->span = span;
	drain->deadline = clock_after(clock_now(), span);
	loop_timer_init(&drain->timer, context->loop, drain_look, drain);
	loop_timer_soon(&drain->timer);
	control_on_cancel(request, drain_cancel, drain);
}

static void
drain_services(const struct command_context *context, const char *name, uid_t uid)
{
	struct service *service;

	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (name == NULL || strcmp(name, service_name(service)) == 0)
			service_drain(service, uid);
}

void
commands_drain(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	const char *word = NULL;
	bool all = command_take_option(&argc, argv, "--all", NULL);
	bool waits = command_take_option(&argc, argv, "--wait", &word);
	int64_t span = 0;

	if (waits && !command_read_seconds(request, word, &span))
		return;
	if (!command_expect(request, argc, argv, !all, !all))
		return;
	if (!all && command_need(context, request, argv[1]) == NULL)
		return;
	if (span > 0 && !control_may_wait(request))
		return;
	drain_services(context, argv[1], control_uid(request));
	if (waits)
		drain_wait(context, request, argv[1], span);
	else
		control_answer(request, json_pack("{s:i}", "clients", (int)drain_left(context, argv[1])));
}

static void
open_all(const struct command_context *context, struct control_request *request)
{
	struct service *service;
	int opened = 0;

	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (upstream_refuses(service_upstream(service))) {
			service_open(service, control_uid(request));
			opened++;
		}
	control_answer(request, json_pack("{s:i}", "opened", opened));
}

void
commands_open(void *arg, struct control_request *request, int argc, char **argv)
{
	bool all = command_take_option(&argc, argv, "--all", NULL);
	struct service_status status;
	struct service *service;

	if (!command_expect(request, argc, argv, !all, !all))
		return;
	if (all) {
		open_all(arg, request);
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

void
commands_reconnect(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service = command_need_open(arg, request, argv[1]);
	struct service_status status;

	(void)argc;
	if (service == NULL)
		return;
	service_get_status(service, &status);
	if (status.record->pause.value != 0) {
		control_fail(request, NULL, "%s: paused; \"resume %s\" connects it anew", argv[1], argv[1]);
		return;
	}
	upstream_tell(service_upstream(service), PCONN_RECONNECT);
	control_answer(request, json_pack("{s:s}", "service", argv[1]));
}
