#include "daemon/command.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/nearest.h"

struct service *
command_next(const struct command_context *context, const char *name, bool all, size_t *at)
{
	struct service *(*service_at)(const struct services *, size_t) = all ? services_at_all : services_at;
	struct service *service;

	while ((service = service_at(context->services, *at)) != NULL) {
		++*at;
		if (name == NULL || strcmp(service_name(service), name) == 0)
			return service;
	}
	return NULL;
}

void
command_walk_begin(struct command_walk *walk, const struct command_context *context, const char *name, bool all)
{
	struct service *service;
	size_t count = 0;

	while (services_at_all(context->services, count) != NULL)
		count++;
	*walk = (struct command_walk){ context, .services = mem_new(count + 1, sizeof(struct service *)) };
	for (size_t i = 0; (service = command_next(context, name, all, &i)) != NULL;)
		walk->services[walk->count++] = service;
}

bool
command_has(const struct command_context *context, const struct service *service)
{
	const struct service *one;

	for (size_t i = 0; (one = services_at_all(context->services, i)) != NULL; i++)
		if (one == service)
			return true;
	return false;
}

struct service *
command_walk_next(struct command_walk *walk)
{
	while (walk->at < walk->count)
		if (command_has(walk->context, walk->services[walk->at++]))
			return walk->services[walk->at - 1];
	return NULL;
}

void *
command_bits_new(struct command_context *context, const struct pending_kind *kind, struct control_request *request,
    const char *name, bool all)
{
	struct command_bits *bits = pending_new(&context->pendings, kind, request, context, name);

	command_walk_begin(&bits->walk, context, name, all);
	return bits;
}

void
command_bits_end(struct pending *pending)
{
	mem_free(((struct command_bits *)pending)->walk.services);
}

void
command_bits_put(struct command_bits *bits, json_t *value)
{
	control_put(bits->pending.request, bits->told++ == 0 ? "" : ",");
	control_put_json(bits->pending.request, value);
}

static const char *
command_name_at(const void *arg, size_t index)
{
	const struct command_context *context = arg;
	const struct service *service = services_at_all(context->services, index);

	return service == NULL ? NULL : service_name(service);
}

/* Answers that there is no such service, and which may have been meant. */
static void
command_fail_unknown(const struct command_context *context, struct control_request *request, const char *name)
{
	const char *meant = nearest_name(name, command_name_at, context);

	if (meant == NULL || strcmp(meant, name) == 0) /* a removed one, for which this command is not */
		control_fail(request, NULL, "no service \"%s\"", name);
	else
		control_fail(request, NULL, "no service \"%s\"; did you mean \"%s\"?", name, meant);
}

struct service *
command_need(const struct command_context *context, struct control_request *request, const char *name)
{
	struct service *service = services_find(context->services, name);

	if (service == NULL)
		command_fail_unknown(context, request, name);
	return service;
}

struct service *
command_need_open(const struct command_context *context, struct control_request *request, const char *name)
{
	struct service *service = command_need(context, request, name);
	struct service_status status;

	if (service == NULL || !upstream_refuses(service_upstream(service)))
		return service;
	service_get_status(service, &status);
	control_fail(request, NULL, "%s: %s; \"open %s\" starts it again", name,
	    upstream_state_name(status.upstream.state), name);
	return NULL;
}

bool
command_need_clients(const struct command_context *context, struct control_request *request, const char *name)
{
	size_t at = 0;

	if (command_next(context, name, true, &at) != NULL)
		return true;
	command_fail_unknown(context, request, name);
	return false;
}

bool
command_take_option(int *argc, char **argv, const char *option, const char **ret_value)
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
command_expect(struct control_request *request, int argc, char **argv, int least, int most)
{
	bool good = argc - 1 >= least && argc - 1 <= most;

	for (int i = 1; i < argc; i++)
		good = good && argv[i][0] != '-';
	if (!good)
		control_usage(request);
	return good;
}

bool
command_read_seconds(struct control_request *request, const char *word, int64_t *ret_span)
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
command_pid(pid_t pid)
{
	return pid == 0 ? json_null() : json_integer(pid);
}
