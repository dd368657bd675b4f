/* pause, resume, fail: what operators order for a while. */
#include <stdio.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/peer.h"
#include "daemon/command.h"

/* How often a waiting pause looks whether work is left: often at first, since clients are held meanwhile. */
#define PAUSE_FIRST CLOCK_MILLISECOND
#define PAUSE_LAST  (50 * CLOCK_MILLISECOND)
#define PAUSE_NAMED 5 /* of the clients left, so many are named */
#define FAIL_MAX    (3600 * CLOCK_SECOND)

/* A pause that waits for work to end.  Freed when it is answered or cancelled. */
struct pause {
	const struct command_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
	char *name;                             /* owned */
	int64_t span, deadline;
	int64_t gap;                            /* until the next look */
	struct loop_timer timer;
};

static void
pause_free(struct pause *pause)
{
	loop_timer_stop(&pause->timer);
	mem_free(pause->name);
	mem_free(pause);
}

static void
pause_cancel(void *arg)
{
	pause_free(arg);
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
	    "pid", command_pid(peer.pid), "user", control_text(user), "unit", control_text_or_null(unit)));
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
pause_time_out(const struct pause *pause, struct service *service, const struct service_left *left)
{
	struct naming naming = { .list = json_array(), .words = mem_copy_text("") };
	char *text;

	service_each_left(service, naming_client, &naming);
	text = pause_describe(left, &naming);
	control_fail(pause->request, json_pack("{s:b, s:s, s:b, s:i, s:I, s:o}", "timed_out", 1, "service",
	    pause->name, "paused", 1, "clients", (int)left->clients, "in_flight", (json_int_t)left->requests,
	    "left", naming.list), "%s: time ran out after %.1f s, and it stays paused: %s", pause->name,
	    (double)pause->span / 1e6, text);
	mem_free(text);
	mem_free(naming.words);
}

/* Whether the request was answered. */
static bool
pause_answer(const struct pause *pause)
{
	struct service *service = command_find(pause->context, pause->name);
	struct service_status status;
	struct service_left left;

	if (service == NULL) {
		control_fail(pause->request, NULL, "%s: it was removed", pause->name);
		return true;
	}
	service_get_status(service, &status);
	service_get_left(service, &left);
	if (status.record->pause.value == 0)
		control_fail(pause->request, NULL, "%s: it was resumed before all work had ended", pause->name);
	else if (left.clients == 0 && left.requests == 0 && !left.connecting)
		control_answer(pause->request, json_pack("{s:s, s:b, s:i}", "service", pause->name, "paused", 1,
		    "held", (int)status.held));
	else if (clock_now() >= pause->deadline)
		pause_time_out(pause, service, &left);
	else
		return false;
	return true;
}

static void
pause_look(void *arg)
{
	struct pause *pause = arg;
	int64_t next = clock_now() + pause->gap;

	if (pause_answer(pause)) {
		pause_free(pause);
		return;
	}
	loop_timer_at(&pause->timer, next < pause->deadline ? next : pause->deadline);
	pause->gap = 2 * pause->gap < PAUSE_LAST ? 2 * pause->gap : PAUSE_LAST;
}

static void
pause_wait(const struct command_context *context, struct control_request *request, const char *name, int64_t span,
    bool limited)
{
	struct pause *pause = mem_new(1, sizeof *pause);

	pause->context = context;
	pause->request = request;
	pause->name = mem_copy_text(name);
	pause->span = span;
	pause->gap = PAUSE_FIRST;
	pause->deadline = limited ? clock_after(clock_now(), span) : CLOCK_NEVER;
	loop_timer_init(&pause->timer, context->loop, pause_look, pause);
	loop_timer_soon(&pause->timer);
	control_on_cancel(request, pause_cancel, pause);
}

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
	pause_wait(arg, request, argv[1], span, argc > 2);
}

void
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

void
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
	    "left_seconds", command_span(span)));
}
