/* drain, open, reconnect, reload: what an operator does to services. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/commands_parts.h"

#define DRAIN_LOOK (50 * CLOCK_MILLISECOND) /* how often a waiting drain counts the clients left */

struct drain {
	const struct commands_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
	char *name;                             /* owned; NULL: all services */
	int64_t span, deadline;
	struct loop_timer timer;
};

/* Clients, the held included, of a service or of all (NULL); services that are gone have none. */
static unsigned
drain_left(const struct commands_context *context, const char *name)
{
	struct service_status status;
	struct service *service;
	unsigned left = 0;

	for (size_t i = 0; (service = context->with_clients_at(context->daemon, i)) != NULL; i++) {
		if (name != NULL && strcmp(name, service_name(service)) != 0)
			continue;
		service_get_status(service, &status);
		left += status.clients + status.held;
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
drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct drain *drain = arg;
	unsigned left = drain_left(drain->context, drain->name);
	int64_t now = clock_now();

	(void)fd;
	(void)what;
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
drain_wait(const struct commands_context *context, struct control_request *request, const char *name,
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
drain_services(const struct commands_context *context, const char *name, uid_t uid)
{
	struct service *service;

	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (name == NULL || strcmp(name, service_name(service)) == 0)
			service_drain(service, uid);
}

void
commands_drain(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct commands_context *context = arg;
	const char *word = NULL;
	bool all = commands_take_option(&argc, argv, "--all", NULL);
	bool waits = commands_take_option(&argc, argv, "--wait", &word);
	int64_t span = 0;

	if (waits && !commands_seconds(word, &span)) {
		control_usage(request);
		return;
	}
	if (!commands_expect(request, argc, argv, !all, !all))
		return;
	if (!all && commands_need(context, request, argv[1]) == NULL)
		return;
	drain_services(context, argv[1], control_uid(request));
	if (waits)
		drain_wait(context, request, argv[1], span);
	else
		control_answer(request, json_pack("{s:i}", "clients", (int)drain_left(context, argv[1])));
}

void
commands_open(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service = commands_need(arg, request, argv[1]);

	(void)argc;
	if (service == NULL)
		return;
	service_open(service, control_uid(request));
	control_answer(request, json_pack("{s:s}", "service", argv[1]));
}

void
commands_reconnect(void *arg, struct control_request *request, int argc, char **argv)
{
	struct service *service = commands_need_open(arg, request, argv[1]);
	struct service_status status;

	(void)argc;
	if (service == NULL)
		return;
	service_get_status(service, &status);
	if (status.paused) {
		control_fail(request, NULL, "%s: paused; \"resume %s\" connects it anew", argv[1], argv[1]);
		return;
	}
	link_reconnect(service_link(service));
	control_answer(request, json_pack("{s:s}", "service", argv[1]));
}

struct reloading {
	const struct commands_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
};

static json_t *
reloading_texts(char *const *texts)
{
	json_t *list = json_array();

	for (; texts != NULL && *texts != NULL; texts++)
		json_array_append_new(list, control_text(*texts));
	return list;
}

static json_t *
reloading_owner(uid_t uid)
{
	const struct passwd *user = getpwuid(uid == (uid_t)-1 ? geteuid() : uid);

	return user == NULL ? json_null() : control_text(user->pw_name);
}

static json_t *
reloading_group(gid_t gid)
{
	const struct group *group = getgrgid(gid == (gid_t)-1 ? getegid() : gid);

	return group == NULL ? json_null() : control_text(group->gr_name);
}

/* What was added, with its socket, so that a typing error in it is seen. */
static json_t *
reloading_added(const struct commands_context *context, char *const *names)
{
	json_t *list = json_array();

	for (; names != NULL && *names != NULL; names++) {
		const struct service *service = commands_find(context, *names);
		const struct listener_settings *listener;
		char mode[16];

		if (service == NULL)
			continue;
		listener = &service_get_settings(service)->listener;
		snprintf(mode, sizeof mode, "%04o", (unsigned)listener->mode);
		json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o, s:o}", "service", *names,
		    "socket", control_text(listener->path), "mode", mode, "owner", reloading_owner(listener->owner),
		    "group", reloading_group(listener->group)));
	}
	return list;
}

static void
reloading_done(void *arg, const struct commands_reload_result *result)
{
	struct reloading *reloading = arg;
	size_t errors = mem_list_length(result->errors);

	if (errors == 0)
		control_answer(reloading->request, json_pack("{s:o, s:o, s:o, s:o}",
		    "added", reloading_added(reloading->context, result->added),
		    "changed", reloading_texts(result->changed), "removed", reloading_texts(result->removed),
		    "warnings", reloading_texts(result->warnings)));
	else
		control_fail(reloading->request, json_pack("{s:o, s:o}", "errors", reloading_texts(result->errors),
		    "warnings", reloading_texts(result->warnings)), "nothing was changed: %s%s", result->errors[0],
		    errors == 1 ? "" : " (and more errors)");
	mem_free(reloading);
}

static void
reloading_cancel(void *arg)
{
	struct reloading *reloading = arg;

	reloading->context->reload_forget(reloading->context->daemon, reloading);
	mem_free(reloading);
}

void
commands_reload(void *arg, struct control_request *request, int argc, char **argv)
{
	struct reloading *reloading = mem_new(1, sizeof *reloading);

	(void)argc;
	(void)argv;
	reloading->context = arg;
	reloading->request = request;
	control_on_cancel(request, reloading_cancel, reloading);
	reloading->context->reload(reloading->context->daemon, reloading_done, reloading);
}
