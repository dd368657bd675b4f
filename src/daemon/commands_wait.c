/* wait, try, close, lookup: commands that an upstream answers later. */
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/command.h"

/* A request that waits for an upstream.  Freed when it is answered or cancelled. */
struct wait {
	const struct command_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
	char *name;                             /* owned; of the service */
	struct waiter *waiter;                  /* owned; NULL when it has answered */
	int64_t span;                           /* 0: no limit */
	struct loop_timer timer;
	json_t *(*done)(const struct wait *wait); /* what a good answer says */
};

static json_t *done_connected(const struct wait *wait);

static void
wait_free(struct wait *wait)
{
	loop_timer_stop(&wait->timer);
	waiters_leave(wait->waiter);
	mem_free(wait->name);
	mem_free(wait);
}

static void
wait_cancel(void *arg)
{
	wait_free(arg);
}

/* Whether it was closed, drained or aborted, and will not come by itself. */
static bool
wait_is_for_opening(const struct wait *wait)
{
	const struct service *service = command_find(wait->context, wait->name);

	return service != NULL && upstream_refuses(service_upstream(service));
}

/* Why nobody can connect to the service's socket; NULL if there is one. */
static const char *
wait_shut(const struct wait *wait)
{
	const struct service *service = command_find(wait->context, wait->name);
	struct service_status status = { .shut = false };

	if (service != NULL && wait->done == done_connected)
		service_get_status(service, &status);
	return status.shut ? status.socket_error : NULL;
}

static void
wait_answered(void *arg, const char *error)
{
	struct wait *wait = arg;
	struct control_request *request = wait->request;
	const char *shut;

	wait->waiter = NULL;
	if (error == NULL && (shut = wait_shut(wait)) != NULL)
		control_fail(request, json_pack("{s:s}", "service", wait->name), "%s: connected, but nobody can use "
		    "it: %s", wait->name, shut);
	else if (error == NULL)
		control_answer(request, wait->done(wait));
	else
		control_fail(request, json_pack("{s:s}", "service", wait->name), "%s: %s%s", wait->name, error,
		    wait_is_for_opening(wait) ? "; \"holdfastctl open\" with its name starts it again" : "");
	wait_free(wait);
}

/* The service's state and why, as the end of an error message. */
static char *
describe(const struct service *service)
{
	struct service_status status;

	service_get_status(service, &status);
	if (status.record->pause.value != 0)
		return mem_print("%s, paused by an operator", upstream_state_name(status.upstream.state));
	if (status.record->failing.value != 0)
		return mem_print("%s, made to fail for %.1f s more", upstream_state_name(status.upstream.state),
		    (double)((int64_t)status.record->failing.value - clock_now()) / 1e6);
	if (status.upstream.last_error[0] == '\0')
		return mem_print("%s", upstream_state_name(status.upstream.state));
	return mem_print("%s; last error: %s", upstream_state_name(status.upstream.state),
	    status.upstream.last_error);
}

static void
wait_too_long(void *arg)
{
	struct wait *wait = arg;
	struct service *service = command_find(wait->context, wait->name);
	char *text = service == NULL ? mem_copy_text("removed") : describe(service);

	control_fail(wait->request, json_pack("{s:b, s:s}", "timed_out", 1, "service", wait->name),
	    "%s: time ran out after %.1f s: %s", wait->name, (double)wait->span / 1e6, text);
	mem_free(text);
	wait_free(wait);
}

static void
wait_start(const struct command_context *context, struct control_request *request, struct service *service,
    unsigned kind, int64_t span, json_t *(*done)(const struct wait *wait))
{
	struct wait *wait = mem_new(1, sizeof *wait);

	wait->context = context;
	wait->request = request;
	wait->name = mem_copy_text(service_name(service));
	wait->span = span;
	wait->done = done;
	wait->waiter = upstream_wait(service_upstream(service), kind, wait_answered, wait);
	loop_timer_init(&wait->timer, context->loop, wait_too_long, wait);
	if (span != 0)
		loop_timer_at(&wait->timer, clock_after(clock_now(), span));
	control_on_cancel(request, wait_cancel, wait);
}

static json_t *
done_connected(const struct wait *wait)
{
	struct service *service = command_find(wait->context, wait->name);
	struct service_status status = { .upstream.address = "" };

	if (service != NULL)
		service_get_status(service, &status);
	return json_pack("{s:s, s:b, s:o}", "service", wait->name, "connected", 1,
	    "address", control_text_or_null(status.upstream.address));
}

static json_t *
done_closed(const struct wait *wait)
{
	struct service *service = command_find(wait->context, wait->name);
	struct service_status status = { .clients = 0 };

	if (service != NULL)
		service_get_status(service, &status);
	return json_pack("{s:s, s:i}", "service", wait->name, "clients", (int)status.clients);
}

/* "wait SERVICE 0": the yes/no question. */
static void
answer_at_once(struct control_request *request, const struct service *service)
{
	struct service_status status;
	char *text;

	service_get_status(service, &status);
	if (status.upstream.state == UPSTREAM_IS_CONNECTED) {
		control_answer(request, json_pack("{s:s, s:b, s:o}", "service", service_name(service),
		    "connected", 1, "address", control_text_or_null(status.upstream.address)));
		return;
	}
	text = describe(service);
	control_fail(request, json_pack("{s:s, s:b}", "service", service_name(service), "connected", 0),
	    "%s: not connected: %s", service_name(service), text);
	mem_free(text);
}

/* The optional number of seconds; false, and the request is answered, if it is none. */
static bool
read_span(struct control_request *request, const char *word, int64_t *ret_span)
{
	*ret_span = 0;
	return word == NULL || command_read_seconds(request, word, ret_span);
}

/* The service and the time that "wait" and "try" are asked with; NULL, and the request is answered, if wrong. */
static struct service *
wait_arguments(void *arg, struct control_request *request, char **argv, int64_t *ret_span)
{
	return read_span(request, argv[2], ret_span) ? command_need(arg, request, argv[1]) : NULL;
}

void
commands_wait(void *arg, struct control_request *request, int argc, char **argv)
{
	int64_t span;
	struct service *service = wait_arguments(arg, request, argv, &span);

	(void)argc;
	if (service == NULL)
		return;
	if (argv[2] != NULL && span == 0) {
		answer_at_once(request, service);
		return;
	}
	if (!control_may_wait(request))
		return;
	wait_start(arg, request, service, WAITERS_CONNECTED, span, done_connected);
}

void
commands_try(void *arg, struct control_request *request, int argc, char **argv)
{
	int64_t span;
	struct service *service = wait_arguments(arg, request, argv, &span);

	(void)argc;
	if (service == NULL)
		return;
	if (argv[2] != NULL && span == 0)
		span = 1;
	else if (!control_may_wait(request))
		return;
	wait_start(arg, request, service, WAITERS_RESULT, span, done_connected);
}

void
commands_close(void *arg, struct control_request *request, int argc, char **argv)
{
	bool kill = command_take_option(&argc, argv, "--kill", NULL);
	struct service *service;

	if (!command_expect(request, argc, argv, 1, 1))
		return;
	service = command_need(arg, request, argv[1]);
	if (service == NULL)
		return;
	service_close(service, control_uid(request), kill);
	wait_start(arg, request, service, WAITERS_CLOSED, 0, done_closed);
}

/* A request that waits for a look-up. */
struct question {
	struct control_request *request; /* borrowed */
	struct lookup_waiter *waiter;    /* owned */
	char *name;                      /* owned */
	char *source;                    /* owned */
	bool verbose;
};

static void
question_free(struct question *question)
{
	mem_free(question->name);
	mem_free(question->source);
	mem_free(question);
}

static void
question_cancel(void *arg)
{
	struct question *question = arg;

	lookup_leave(question->waiter);
	question_free(question);
}

static json_t *
addresses(const struct lookup_result *result)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < result->endpoint_count; i++) {
		address_format(&result->endpoints[i].address, text);
		json_array_append_new(list, control_text(text));
	}
	return list;
}

static json_t *
endpoints(const struct lookup_result *result)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < result->endpoint_count; i++) {
		const struct endpoint_listed *endpoint = &result->endpoints[i];

		address_format(&endpoint->address, text);
		json_array_append_new(list, json_pack("{s:o, s:i, s:i, s:o}", "address", control_text(text),
		    "priority", endpoint->priority, "weight", endpoint->weight,
		    "from", control_text(endpoint->from)));
	}
	return list;
}

static json_t *
result_object(const struct question *question, const struct lookup_result *result)
{
	json_t *object = json_pack("{s:s, s:o, s:o}", "service", question->name,
	    "lookup", control_text(question->source), "addresses", addresses(result));

	json_object_set_new(object, "endpoints", endpoints(result));
	json_object_set_new(object, "ttl_seconds", result->good_for == CLOCK_NEVER ? json_null() :
	    json_real((double)result->good_for / CLOCK_SECOND));
	json_object_set_new(object, "abort", control_text(result->abort_reason));
	if (question->verbose || result->error != NULL) {
		json_object_set_new(object, "output", control_text(result->output));
		json_object_set_new(object, "errors", control_text(result->errors));
	}
	return object;
}

static void
question_answered(void *arg, const struct lookup_result *result)
{
	struct question *question = arg;
	json_t *object = result_object(question, result);

	if (result->error == NULL)
		control_answer(question->request, object);
	else
		control_fail(question->request, object, "%s: %s", question->name, result->error);
	question_free(question);
}

void
commands_lookup(void *arg, struct control_request *request, int argc, char **argv)
{
	bool verbose = command_take_option(&argc, argv, "-v", NULL);
	struct question *question;
	struct service_status status;
	struct service *service;

	if (!command_expect(request, argc, argv, 1, 1))
		return;
	service = command_need(arg, request, argv[1]);
	if (service == NULL)
		return;
	service_get_status(service, &status);
	question = mem_new(1, sizeof *question);
	question->request = request;
	question->name = mem_copy_text(argv[1]);
	question->source = mem_copy_text(status.upstream.lookup);
	question->verbose = verbose;
	question->waiter = lookup_ask(upstream_lookup(service_upstream(service)), 0, question_answered,
	    question);
	control_on_cancel(request, question_cancel, question);
}
