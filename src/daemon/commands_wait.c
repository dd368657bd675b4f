/* wait, try, close, lookup, drain, pause: commands that are answered later. */
#include <stdio.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/peer.h"
#include "daemon/command.h"

/* How often what is left is counted: often at first, since a pause holds clients meanwhile. */
#define LOOK_FIRST  CLOCK_MILLISECOND
#define LOOK_LAST   (50 * CLOCK_MILLISECOND)
#define PAUSE_NAMED 5 /* of the clients left, so many are named */

/* The service that a request waits for, if it still is there. */
static struct service *
service_of(const struct pending *pending)
{
	const struct command_context *context = pending->context;

	return services_find(context->services, pending->name);
}

/* A request that waits for an upstream: wait and try (connected), close. */
struct wait {
	struct pending pending;
	struct upstream_waiter *waiter; /* owned; NULL when it has answered */
	bool connected;
};

/* Whether it was closed, drained or aborted, and will not come by itself. */
static bool
wait_is_for_opening(const struct wait *wait)
{
	const struct service *service = service_of(&wait->pending);

	return service != NULL && upstream_refuses(service_upstream(service));
}

static void
wait_answer(const struct wait *wait)
{
	struct service *service = service_of(&wait->pending);
	struct service_status status = { .upstream.address = "" };
	struct control_request *request = wait->pending.request;
	const char *name = wait->pending.name;

	if (service != NULL)
		service_get_status(service, &status);
	if (!wait->connected)
		control_answer(request, json_pack("{s:s, s:i}", "service", name, "clients", (int)status.clients));
	else if (status.shut) /* nobody can connect to its socket */
		control_fail(request, json_pack("{s:s}", "service", name), "%s: connected, but nobody can use it: %s",
		    name, status.socket_error);
	else
		control_answer(request, json_pack("{s:s, s:b, s:o}", "service", name, "connected", 1,
		    "address", stats_text_or_null(status.upstream.address)));
}

static void
wait_answered(void *arg, const char *error)
{
	struct wait *wait = arg;
	const char *name = wait->pending.name;

	wait->waiter = NULL;
	if (error == NULL)
		wait_answer(wait);
	else
		control_fail(wait->pending.request, json_pack("{s:s}", "service", name), "%s: %s%s", name, error,
		    wait_is_for_opening(wait) ? "; \"holdfastctl open\" with its name starts it again" : "");
	pending_free(&wait->pending);
}

/* The service's state and why, as the end of an error message. */
static char *
describe(const struct service *service)
{
	struct service_status status;
	const char *state;

	service_get_status(service, &status);
	state = upstream_state_name(status.upstream.state);
	if (status.record->pause.value != 0)
		return mem_print("%s, paused by an operator", state);
	if (status.record->failing.value != 0)
		return mem_print("%s, made to fail for %.1f s more", state,
		    (double)((int64_t)status.record->failing.value - clock_now()) / 1e6);
	return mem_print("%s%s%s", state, status.upstream.last_error[0] == '\0' ? "" : "; last error: ",
	    status.upstream.last_error);
}

/* Its time is over. */
static int64_t
wait_look(struct pending *pending, int64_t now)
{
	struct service *service = service_of(pending);
	char *text = service == NULL ? mem_copy_text("removed") : describe(service);

	(void)now;
	control_fail(pending->request, json_pack("{s:b, s:s}", "timed_out", 1, "service", pending->name),
	    "%s: time ran out after %.1f s: %s", pending->name, (double)pending->span / 1e6, text);
	mem_free(text);
	return 0;
}

static void
wait_end(struct pending *pending)
{
	upstream_leave(((struct wait *)pending)->waiter);
}

static const struct pending_kind wait_kind = { .size = sizeof(struct wait), .look = wait_look, .end = wait_end };

/* Waits for one of UPSTREAM_WAIT_*; span 0: without a limit. */
static void
wait_start(struct command_context *context, struct control_request *request, struct service *service, unsigned kind,
    int64_t span)
{
	struct wait *wait = pending_new(&context->pendings, &wait_kind, request, context, service_name(service));

	wait->pending.span = span;
	wait->connected = kind != UPSTREAM_WAIT_CLOSED;
	wait->waiter = upstream_wait(service_upstream(service), kind, wait_answered, wait);
	if (span != 0)
		pending_look_at(&wait->pending, clock_after(clock_now(), span));
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
		    "connected", 1, "address", stats_text_or_null(status.upstream.address)));
		return;
	}
	text = describe(service);
	control_fail(request, json_pack("{s:s, s:b}", "service", service_name(service), "connected", 0),
	    "%s: not connected: %s", service_name(service), text);
	mem_free(text);
}

/* wait and try; with 0 seconds the one says whether it is connected, and the other takes what is there already. */
static void
wait_or_try(void *arg, struct control_request *request, char **argv, unsigned kind)
{
	struct service *service;
	int64_t span = 0;
	bool at_once;

	if (argv[2] != NULL && !command_read_seconds(request, argv[2], &span))
		return;
	service = command_need(arg, request, argv[1]);
	if (service == NULL)
		return;
	at_once = argv[2] != NULL && span == 0;
	if (at_once && kind == UPSTREAM_WAIT_CONNECTED)
		answer_at_once(request, service);
	else if (at_once || control_may_wait(request))
		wait_start(arg, request, service, kind, at_once ? 1 : span);
}

void
commands_wait(void *arg, struct control_request *request, int argc, char **argv)
{
	(void)argc;
	wait_or_try(arg, request, argv, UPSTREAM_WAIT_CONNECTED);
}

void
commands_try(void *arg, struct control_request *request, int argc, char **argv)
{
	(void)argc;
	wait_or_try(arg, request, argv, UPSTREAM_WAIT_RESULT);
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
	wait_start(arg, request, service, UPSTREAM_WAIT_CLOSED, 0);
}

/* A request that waits for a lookup. */
struct question {
	struct pending pending;
	struct lookup_waiter *waiter; /* owned; NULL when it has answered */
	char *source;                 /* owned */
	bool verbose;
};

static json_t *
question_object(const struct question *question, const struct lookup_result *result)
{
	json_t *addresses = json_array(), *endpoints = json_array(), *object;
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < result->endpoint_count; i++) {
		const struct endpoint_listed *endpoint = &result->endpoints[i];

		address_format(&endpoint->address, text);
		json_array_append_new(addresses, stats_text(text));
		json_array_append_new(endpoints, json_pack("{s:o, s:i, s:i, s:o}", "address", stats_text(text),
		    "priority", endpoint->priority, "weight", endpoint->weight,
		    "from", stats_text(endpoint->from)));
	}
	object = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "service", question->pending.name,
	    "lookup", stats_text(question->source), "addresses", addresses, "endpoints", endpoints,
	    "ttl_seconds", result->good_for == CLOCK_NEVER ? json_null() :
	    json_real((double)result->good_for / CLOCK_SECOND), "abort", stats_text(result->abort_reason));
	if (question->verbose || result->error != NULL) {
		json_object_set_new(object, "output", stats_lines(result->output));
		json_object_set_new(object, "errors", stats_lines(result->errors));
	}
	return object;
}

static void
question_answered(void *arg, const struct lookup_result *result)
{
	struct question *question = arg;
	json_t *object = question_object(question, result);

	question->waiter = NULL;
	if (result->error == NULL)
		control_answer(question->pending.request, object);
	else
		control_fail(question->pending.request, object, "%s: %s", question->pending.name, result->error);
	pending_free(&question->pending);
}

static void
question_end(struct pending *pending)
{
	struct question *question = (struct question *)pending;

	if (question->waiter != NULL)
		lookup_leave(question->waiter);
	mem_free(question->source);
}

static const struct pending_kind question_kind = { .size = sizeof(struct question), .end = question_end };

void
commands_lookup(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_context *context = arg;
	bool verbose = command_take_option(&argc, argv, "-v", NULL);
	struct question *question;
	struct service_status status;
	struct service *service;

	if (!command_expect(request, argc, argv, 1, 1))
		return;
	service = command_need(context, request, argv[1]);
	if (service == NULL)
		return;
	service_get_status(service, &status);
	question = pending_new(&context->pendings, &question_kind, request, context, argv[1]);
	question->source = mem_copy_text(status.upstream.lookup);
	question->verbose = verbose;
	question->waiter = lookup_ask(upstream_lookup(service_upstream(service)), 0, question_answered,
	    question);
}

/* A request that waits until nothing is left: drain, pause. */
struct rest {
	struct pending pending;
	struct command_walk walk; /* owned; of a drain: the services that are not known to be empty */
	int64_t gap;              /* until the next look */
};

/* Looks for the first time in this turn; limited: for span microseconds at most. */
static struct rest *
rest_start(struct command_context *context, struct control_request *request, const struct pending_kind *kind,
    const char *name, int64_t span, bool limited)
{
	struct rest *rest = pending_new(&context->pendings, kind, request, context, name);

	rest->gap = LOOK_FIRST;
	rest->pending.span = span;
	rest->pending.deadline = limited ? clock_after(clock_now(), span) : CLOCK_NEVER;
	pending_look_at(&rest->pending, 0);
	return rest;
}

/* When to look again. */
static int64_t
rest_next(struct pending *pending, int64_t now)
{
	struct rest *rest = (struct rest *)pending;
	int64_t next = now + rest->gap;

	rest->gap = 2 * rest->gap < LOOK_LAST ? 2 * rest->gap : LOOK_LAST;
	return next < pending->deadline ? next : pending->deadline;
}

/* A service's clients, the held included.  In shared mode these are clients of their own connection, and counted as
 * such. */
static unsigned
drain_clients(const struct service_status *status)
{
	return status->clients + (status->mode == SERVICE_SHARED ? 0 : status->held);
}

/* Those of a service or of all (NULL); services that are gone have none. */
static unsigned
drain_left(const struct command_context *context, const char *name)
{
	struct service_status status;
	struct service *service;
	unsigned left = 0;

	for (size_t i = 0; (service = command_next(context, name, true, &i)) != NULL;) {
		service_get_status(service, &status);
		left += drain_clients(&status);
	}
	return left;
}

/* Looks for the first service with clients, through LOOP_BITS services: what came of it. */
static enum drain_stand { DRAIN_WAITS, DRAIN_LOOKS, DRAIN_DONE }
drain_go_on(struct command_walk *walk)
{
	struct service_status status;
	struct service *service;

	for (int i = 0; i < LOOP_BITS; i++) {
		service = command_walk_next(walk);
		if (service == NULL)
			return DRAIN_DONE;
		service_get_status(service, &status);
		if (drain_clients(&status) == 0)
			continue;
		walk->at--; /* it is looked at again */
		return DRAIN_WAITS;
	}
	return DRAIN_LOOKS;
}

static int64_t
drain_look(struct pending *pending, int64_t now)
{
	enum drain_stand stand = drain_go_on(&((struct rest *)pending)->walk);
	unsigned left;

	if (stand != DRAIN_DONE && now < pending->deadline)
		return stand == DRAIN_WAITS ? rest_next(pending, now) : now;
	left = stand == DRAIN_DONE ? 0 : drain_left(pending->context, pending->name);
	if (left == 0)
		control_answer(pending->request, json_pack("{s:i}", "clients", 0));
	else
		control_fail(pending->request, json_pack("{s:b, s:i}", "timed_out", 1, "clients", (int)left),
		    "time ran out after %.1f s: %u client%s left; no new ones are taken",
		    (double)pending->span / 1e6, left, left == 1 ? " is" : "s are");
	return 0;
}

static void
drain_end(struct pending *pending)
{
	mem_free(((struct rest *)pending)->walk.services);
}

static const struct pending_kind drain_kind = {
	.size = sizeof(struct rest), .look = drain_look, .end = drain_end,
};

/* A request to drain some services, or to open all: at once. */
struct order {
	struct command_bits bits;
	int64_t span; /* of a drain: how long it waits; below 0: it does not */
	int count;    /* of clients left, or services opened */
};

static bool
drain_work(struct pending *pending)
{
	struct order *order = (struct order *)pending;
	struct service *service = command_walk_next(&order->bits.walk);
	struct service_status status;
	struct rest *rest;

	if (service != NULL) {
		service_get_status(service, &status);
		if (!status.removed) {
			service_drain(service, control_uid(pending->request));
			service_get_status(service, &status);
		}
		order->count += (int)drain_clients(&status);
	} else if (order->span >= 0) {
		rest = rest_start(pending->context, pending->request, &drain_kind, pending->name, order->span, true);
		rest->walk = order->bits.walk;
		rest->walk.at = 0;
		order->bits.walk.services = NULL; /* which are the same */
	} else {
		control_answer(pending->request, json_pack("{s:i}", "clients", order->count));
	}
	return service != NULL;
}

static const struct pending_kind draining_kind = {
	.size = sizeof(struct order), .order = true, .work = drain_work, .end = command_bits_end,
};

void
commands_drain(void *arg, struct control_request *request, int argc, char **argv)
{
	const char *word = NULL;
	bool all = command_take_option(&argc, argv, "--all", NULL);
	bool waits = command_take_option(&argc, argv, "--wait", &word);
	struct order *order;
	int64_t span = -1;

	if (waits && !command_read_seconds(request, word, &span))
		return;
	if (!command_expect(request, argc, argv, !all, !all))
		return;
	if (!all && command_need(arg, request, argv[1]) == NULL)
		return;
	if (span > 0 && !control_may_wait(request))
		return;
	order = command_bits_new(arg, &draining_kind, request, argv[1], true);
	order->span = span;
	pending_work(&order->bits.pending);
}

static bool
open_work(struct pending *pending)
{
	struct order *order = (struct order *)pending;
	struct service *service = command_walk_next(&order->bits.walk);

	if (service == NULL) {
		control_answer(pending->request, json_pack("{s:i}", "opened", order->count));
	} else if (upstream_refuses(service_upstream(service))) {
		service_open(service, control_uid(pending->request));
		order->count++;
	}
	return service != NULL;
}

static const struct pending_kind opening_kind = {
	.size = sizeof(struct order), .order = true, .work = open_work, .end = command_bits_end,
};

void
commands_open_all(struct command_context *context, struct control_request *request)
{
	struct order *order = command_bits_new(context, &opening_kind, request, NULL, false);

	pending_work(&order->bits.pending);
}

/* The clients left, as a list and in words; only the first few. */
struct naming {
	json_t *list; /* owned until it is answered */
	char *words;  /* owned */
};

static bool
naming_client(void *arg, const struct service_client *client)
{
	struct naming *naming = arg;
	struct peer peer = { .pid = 0, .uid = (uid_t)-1 };
	char user[PEER_UNIT_SIZE], unit[PEER_UNIT_SIZE], pid[32], *words = naming->words;

	peer_get(client->fd, &peer);
	peer_user(peer.uid, user, sizeof user);
	peer_unit(peer.pid, unit);
	json_array_append_new(naming->list, json_pack("{s:I, s:o, s:o, s:o}", "id", (json_int_t)client->id,
	    "pid", command_pid(peer.pid), "user", stats_text(user), "unit", stats_text_or_null(unit)));
	snprintf(pid, sizeof pid, "pid %ld, ", (long)peer.pid);
	naming->words = mem_print("%s%s%llu (%suser %s%s%s)", words, *words == '\0' ? ": " : ", ",
	    (unsigned long long)client->id, peer.pid == 0 ? "" : pid, user, unit[0] == '\0' ? "" : ", unit ", unit);
	mem_free(words);
	return json_array_size(naming->list) < PAUSE_NAMED;
}

/* "2 clients are left: 7 (pid 12, user bob), 9 (...)" */
static char *
pause_describe(const struct service_left *left, const struct naming *naming)
{
	size_t named = json_array_size(naming->list);
	char *what, *more, *text;

	if (left->requests > 0)
		what = mem_print("%llu request%s of %u client%s %s in flight", (unsigned long long)left->requests,
		    left->requests == 1 ? "" : "s", left->clients, left->clients == 1 ? "" : "s",
		    left->requests == 1 ? "is" : "are");
	else if (left->clients > 0)
		what = mem_print("%u client%s left", left->clients, left->clients == 1 ? " is" : "s are");
	else
		what = mem_copy_text("an attempt to connect is under way");
	more = left->clients > named ? mem_print(", and %zu more", left->clients - named) : mem_copy_text("");
	text = mem_print("%s%s%s", what, naming->words, more);
	mem_free(what);
	mem_free(more);
	return text;
}

static void
pause_time_out(const struct pending *pending, struct service *service, const struct service_left *left)
{
	struct naming naming = { .list = json_array(), .words = mem_copy_text("") };
	char *text;

	service_each_left(service, naming_client, &naming);
	text = pause_describe(left, &naming);
	control_fail(pending->request, json_pack("{s:b, s:s, s:b, s:i, s:I, s:o}", "timed_out", 1, "service",
	    pending->name, "paused", 1, "clients", (int)left->clients, "in_flight", (json_int_t)left->requests,
	    "left", naming.list), "%s: time ran out after %.1f s, and it stays paused: %s", pending->name,
	    (double)pending->span / 1e6, text);
	mem_free(text);
	mem_free(naming.words);
}

static int64_t
pause_look(struct pending *pending, int64_t now)
{
	struct service *service = service_of(pending);
	struct service_status status;
	struct service_left left;

	if (service == NULL) {
		control_fail(pending->request, NULL, "%s: it was removed", pending->name);
		return 0;
	}
	service_get_status(service, &status);
	service_get_left(service, &left);
	if (status.record->pause.value == 0)
		control_fail(pending->request, NULL, "%s: it was resumed before all work had ended", pending->name);
	else if (left.clients == 0 && left.requests == 0 && !left.connecting)
		control_answer(pending->request, json_pack("{s:s, s:b, s:i}", "service", pending->name, "paused", 1,
		    "held", (int)status.held));
	else if (now >= pending->deadline)
		pause_time_out(pending, service, &left);
	else
		return rest_next(pending, now);
	return 0;
}

static const struct pending_kind pause_kind = { .size = sizeof(struct rest), .look = pause_look };

void
commands_pause(void *arg, struct control_request *request, int argc, char **argv)
{
	bool kill = command_take_option(&argc, argv, "--kill", NULL);
	struct service *service;
	int64_t span = 0;

	if (!command_expect(request, argc, argv, 1, 2))
		return;
	if (argc > 2 && !command_read_seconds(request, argv[2], &span))
		return;
	service = command_need_open(arg, request, argv[1]);
	if (service == NULL)
		return;
	if ((argc == 2 || span > 0) && !control_may_wait(request))
		return;
	service_pause(service, control_uid(request), kill);
	rest_start(arg, request, &pause_kind, argv[1], span, argc > 2);
}
