#include "control/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "client/listener.h"
#include "client/peer.h"
#include "control/permission.h"
#include "control/stats.h"
#include "control/words.h"

#define IDLE_LONG     CLOCK_SECOND /* a connection that has asked nothing for so long gives up its place */
#define WAITING_SHARE 4            /* of all file descriptors, one in so many at most is for who waits */
#define TURN_LINES    16           /* of one connection before others have their turn */
#define MEMORY_AGAIN  (10 * CLOCK_MILLISECOND) /* until the kernel is asked again that had no memory */

/* Bytes. */
#define OUTPUT_MAX  (12u << 20)    /* that one connection may have buffered: metrics of 1024 services, long names */
#define OUTPUT_LAG  (256u << 10)   /* at which its reader lags */
#define OUTPUT_TURN (256u << 10)   /* that are written before others have their turn */
#define ALL_MAX     (64u << 20)    /* that all may have buffered */
#define ALL_SMALL   4096           /* that are buffered whatever all have */

struct control_request {
	struct operator *operator;             /* borrowed */
	const struct control_command *command; /* borrowed */
	void (*cancel)(void *arg);
	void *cancel_arg;                      /* borrowed */
	void (*drained)(void *arg);
	void *drained_arg;                     /* borrowed */
	bool waits;
	struct evbuffer *text;                 /* owned; of an answer in pieces; NULL none */
	size_t counted;                        /* of it, in control.buffered: bytes */
	bool too_long;                         /* nothing is kept any more */
};

/* Who is at the other end of a connection. */
struct operator {
	LIST_ENTRY(operator) entry;
	struct control *control;         /* borrowed */
	int fd;                          /* owned */
	struct event event;              /* edge-triggered: each wake-up looks at everything */
	struct loop_timer again;         /* after a look at other connections */
	struct evbuffer *in, *out;       /* owned */
	size_t counted;                  /* of out, in control.buffered */
	bool eof;                        /* nothing more will be read */
	bool broken;                     /* nothing can be written any more */
	bool lagging;
	bool skipping;                   /* the rest of a line that was too long */
	struct peer peer;
	struct control_request *request; /* owned; NULL: none under way */
	int64_t idle_since;              /* monotonic; without a request */
};

struct control {
	struct event_base *loop;         /* borrowed */
	struct listener *listener;       /* owned */
	int fd;                          /* borrowed; of the listener */
	char *const *admin_users, *const *admin_groups; /* borrowed */
	const struct control_command *commands; /* borrowed */
	void *arg;                       /* borrowed; the commands' */
	unsigned count, waiting, waiting_max;
	size_t buffered;                 /* bytes, for all connections */
	LIST_HEAD(, operator) operators;
};

/* Keeps the sum true. */
static void
operator_count(struct operator *operator)
{
	size_t unwritten = evbuffer_get_length(operator->out);

	operator->control->buffered += unwritten - operator->counted;
	operator->counted = unwritten;
}

static bool
operator_has_room(const struct operator *operator, size_t length)
{
	return evbuffer_get_length(operator->out) + length < OUTPUT_MAX &&
	    (length <= ALL_SMALL || operator->control->buffered + length <= ALL_MAX);
}

static const char others_do_not_read[] =
    "{\"ok\":false,\"error\":\"too many answers wait to be read by others; try again\",\"full\":true}";
static const char answer_too_long[] =
    "{\"ok\":false,\"error\":\"the answer has more than 12 MiB; ask for one service\"}";

/* Says a line, text or (NULL) all of line; an error in its place if that were too much to be buffered. */
static void
operator_say_line(struct operator *operator, const char *text, struct evbuffer *line)
{
	bool others = operator->control->buffered >= ALL_MAX - OUTPUT_MAX;
	size_t length = text == NULL ? evbuffer_get_length(line) : strlen(text);

	if (!operator_has_room(operator, length))
		text = others ? others_do_not_read : answer_too_long;
	if (text == NULL)
		evbuffer_add_buffer(operator->out, line);
	else
		evbuffer_add(operator->out, text, strlen(text));
	evbuffer_add(operator->out, "\n", 1);
	operator_count(operator);
	event_active(&operator->event, EV_WRITE, 0);
}

/* Says the object, whose reference it takes. */
static void
operator_say(struct operator *operator, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	operator_say_line(operator, text == NULL ? answer_too_long : text, NULL);
	free(text);
}

/* {"ok":false,"error":TEXT} and the members of more, whose reference it takes; NULL none. */
static json_t *
control_error(const char *text, json_t *more)
{
	json_t *object = json_pack("{s:b, s:o}", "ok", 0, "error", stats_text(text));

	if (more != NULL)
		json_object_update_missing(object, more);
	json_decref(more);
	return object;
}

static void
operator_say_error(struct operator *operator, const char *text)
{
	operator_say(operator, control_error(text, NULL));
}

/* The request is gone.  Its operator. */
static struct operator *
request_free(struct control_request *request)
{
	struct operator *operator = request->operator;

	operator->control->waiting -= request->waits;
	operator->control->buffered -= request->counted;
	operator->request = NULL;
	operator->idle_since = clock_now();
	if (request->text != NULL)
		evbuffer_free(request->text);
	mem_free(request);
	return operator;
}

/* Keeps some of an answer, as long as it may become as long. */
static void
request_put(struct control_request *request, const char *text, size_t length)
{
	struct control *control = request->operator->control;

	if (request->too_long)
		return;
	if (request->text == NULL) {
		request->text = evbuffer_new();
		evbuffer_add_printf(request->text, "{\"ok\":true,");
	}
	evbuffer_add(request->text, text, length);
	control->buffered -= request->counted;
	request->counted = evbuffer_get_length(request->text);
	request->too_long = !operator_has_room(request->operator, request->counted);
	if (request->too_long)
		request->counted = 0;
	control->buffered += request->counted;
}

void
control_put(struct control_request *request, const char *text)
{
	request_put(request, text, strlen(text));
}

/* A value's text but so many bytes at each end of it. */
static void
request_put_value(struct control_request *request, json_t *value, size_t cut)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(value);
	if (text != NULL)
		request_put(request, text + cut, strlen(text) - 2 * cut);
	free(text);
}

void
control_put_json(struct control_request *request, json_t *value)
{
	request_put_value(request, value, 0);
}

void
control_put_inside(struct control_request *request, json_t *value)
{
	request_put_value(request, value, 1);
}

void
control_finish(struct control_request *request)
{
	struct evbuffer *text = request->text;
	bool too_long = request->too_long;
	struct operator *operator;

	request->text = NULL;
	operator = request_free(request);
	evbuffer_add(text, "}", 1);
	operator_say_line(operator, too_long ? answer_too_long : NULL, text);
	evbuffer_free(text);
}

static json_t *
control_ok(json_t *more)
{
	json_t *object = json_pack("{s:b}", "ok", 1);

	if (more != NULL)
		json_object_update(object, more);
	json_decref(more);
	return object;
}

void
control_answer(struct control_request *request, json_t *more)
{
	operator_say(request_free(request), control_ok(more));
}

void
control_fail_with(struct control_request *request, json_t *more, char *error)
{
	operator_say(request_free(request), control_error(error, more));
	mem_free(error);
}

void
control_usage(struct control_request *request)
{
	const struct control_command *command = request->command;

	control_fail(request, json_pack("{s:b}", "usage", 1), "usage: %s%s%s", command->name,
	    command->arguments[0] == '\0' ? "" : " ", command->arguments);
}

bool
control_may_wait(struct control_request *request)
{
	struct control *control = request->operator->control;

	if (control->waiting >= control->waiting_max) {
		control_fail(request, json_pack("{s:b}", "full", 1), "limit reached: %u control connections "
		    "wait; commands that do not wait are answered", control->waiting);
		return false;
	}
	control->waiting++;
	request->waits = true;
	return true;
}

void
control_on_cancel(struct control_request *request, void (*cancel)(void *arg), void *arg)
{
	request->cancel = cancel;
	request->cancel_arg = arg;
}

bool
control_stream(struct control_request *request, json_t *more)
{
	struct operator *operator = request->operator;
	size_t unwritten = evbuffer_get_length(operator->out);

	if (unwritten >= OUTPUT_LAG || (unwritten > 0 && operator->control->buffered > ALL_MAX))
		operator->lagging = true;
	if (operator->lagging)
		json_decref(more);
	else
		operator_say(operator, control_ok(more));
	return !operator->lagging;
}

void
control_on_drained(struct control_request *request, void (*drained)(void *arg), void *arg)
{
	request->drained = drained;
	request->drained_arg = arg;
}

uid_t
control_uid(const struct control_request *request)
{
	return request->operator->peer.uid;
}

static const char *
control_command_name(const void *arg, size_t index)
{
	return ((const struct control_command *)arg)[index].name;
}

char *
control_unknown(const struct control_command *commands, const char *name)
{
	const char *meant = nearest_name(name, control_command_name, commands);

	return meant == NULL ? mem_print("no command \"%s\"; \"help\" lists them", name)
	    : mem_print("no command \"%s\"; did you mean \"%s\"?", name, meant);
}

static void
operator_say_unknown(struct operator *operator, const char *name)
{
	char *text = control_unknown(operator->control->commands, name);

	operator_say_error(operator, text);
	mem_free(text);
}

static void
operator_run(struct operator *operator, const struct control_command *command, int argc, char **argv)
{
	const struct control *control = operator->control;
	struct control_request *request = mem_new(1, sizeof *request);
	char *refused = NULL;

	request->operator = operator;
	request->command = command;
	operator->request = request;
	if (permission_is_needed(command->changes, argc, argv))
		refused = permission_refuse(operator->fd, &operator->peer, control->admin_users,
		    control->admin_groups, command->name);
	if (refused != NULL)
		control_fail_with(request, json_pack("{s:b}", "denied", 1), refused);
	else if (argc - 1 < command->least || argc - 1 > command->most)
		control_usage(request);
	else
		command->run(operator->control->arg, request, argc, argv);
}

/* A line without its newline, which it may change. */
static void
operator_line(struct operator *operator, char *line)
{
	char *words[CONTROL_WORDS + 1];
	const struct control_command *command = operator->control->commands;
	int count;
	const char *error = words_split(line, CONTROL_WORDS, words, &count);

	if (error == NULL && count == 0)
		error = "no command; \"help\" lists them";
	if (error != NULL) {
		operator_say_error(operator, error);
		return;
	}
	while (command->name != NULL && strcmp(command->name, words[0]) != 0)
		command++;
	if (command->name == NULL)
		operator_say_unknown(operator, words[0]);
	else
		operator_run(operator, command, count, words);
}

/* Handles one line of what was read.  False if there is no whole one. */
static bool
operator_next_line(struct operator *operator)
{
	size_t length = 0, left;
	char *line = evbuffer_readln(operator->in, &length, EVBUFFER_EOL_LF);

	if (line != NULL) {
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (operator->skipping)
			operator->skipping = false;
		else if (strlen(line) != length)
			operator_say_error(operator, "the line holds a NUL byte");
		else
			operator_line(operator, line);
		free(line);
		return true;
	}
	left = evbuffer_get_length(operator->in);
	if (left > CONTROL_LINE_MAX) {
		if (!operator->skipping)
			operator_say_error(operator, "the line is longer than 4096 bytes");
		operator->skipping = true;
		evbuffer_drain(operator->in, left);
	}
	return false;
}

/* Whether the kernel has said no for a moment: then it is asked again, since an operator whose connection ended would
 * not know what became of the command. */
static bool
operator_waits(struct operator *operator, int error)
{
	if (loop_is_busy(error) && error != EAGAIN)
		loop_timer_at(&operator->again, clock_after(clock_now(), MEMORY_AGAIN));
	return loop_is_busy(error);
}

/* Reads on.  False if there is nothing to be read now. */
static bool
operator_fill(struct operator *operator)
{
	int count;

	if (operator->eof)
		return false;
	do
		count = evbuffer_read(operator->in, operator->fd,
		    CONTROL_LINE_MAX + 1 - (int)evbuffer_get_length(operator->in));
	while (count == -1 && errno == EINTR);
	if (count > 0 || (count == -1 && operator_waits(operator, errno)))
		return count > 0;
	operator->eof = true;
	if (evbuffer_get_length(operator->in) > 0 && !operator->skipping)
		operator_say_error(operator, "the last line has no newline");
	evbuffer_drain(operator->in, evbuffer_get_length(operator->in));
	return false;
}

static void
operator_flush(struct operator *operator)
{
	struct control_request *request = operator->request;
	ssize_t count, left = OUTPUT_TURN;

	while (!operator->broken && evbuffer_get_length(operator->out) > 0 && left > 0) {
		count = evbuffer_write_atmost(operator->out, operator->fd, left);
		if (count == -1 && operator_waits(operator, errno))
			break;
		operator->broken = count == -1;
		left -= count > 0 ? count : 0;
	}
	if (left <= 0)
		loop_timer_at(&operator->again, clock_now());
	if (operator->broken)
		evbuffer_drain(operator->out, evbuffer_get_length(operator->out));
	operator_count(operator);
	if (operator->lagging && evbuffer_get_length(operator->out) <= OUTPUT_LAG / 4) {
		operator->lagging = false;
		if (request != NULL && request->drained != NULL)
			request->drained(request->drained_arg);
	}
}

/* Writes, handles lines and reads until one of them has to wait. */
static void
operator_work(struct operator *operator)
{
	for (int turn = 0; turn < TURN_LINES; turn++) {
		operator_flush(operator);
		if (operator->request != NULL || evbuffer_get_length(operator->out) >= OUTPUT_LAG)
			return;
		if (!operator_next_line(operator) && !operator_fill(operator)) {
			operator_flush(operator);
			return;
		}
	}
	loop_timer_at(&operator->again, clock_now());
}

/* A mere shutdown of the other side's writing is no end: answers are still wanted. */
static bool
operator_is_over(const struct operator *operator)
{
	struct pollfd file = { .fd = operator->fd };

	if (operator->request == NULL)
		return operator->eof && evbuffer_get_length(operator->out) == 0;
	return operator->broken || (poll(&file, 1, 0) == 1 && (file.revents & (POLLHUP | POLLERR)) != 0);
}

static void
operator_end(struct operator *operator)
{
	struct control_request *request = operator->request;

	LIST_REMOVE(operator, entry);
	operator->control->count--;
	operator->request = NULL;
	if (request != NULL && request->cancel != NULL)
		request->cancel(request->cancel_arg);
	if (request != NULL)
		request_free(request);
	loop_event_stop(&operator->event);
	loop_timer_stop(&operator->again);
	operator->control->buffered -= operator->counted;
	evbuffer_free(operator->in);
	evbuffer_free(operator->out);
	close(operator->fd);
	mem_free(operator);
}

static void
operator_look(void *arg)
{
	struct operator *operator = arg;

	operator_work(operator);
	if (operator_is_over(operator))
		operator_end(operator);
}

static void
operator_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	operator_look(arg);
}

/* Makes room for a new connection where all are taken: the one goes that has asked nothing for longest. */
static void
control_end_idle(struct control *control)
{
	int64_t before = clock_now() - IDLE_LONG;
	struct operator *operator, *longest = NULL;

	LIST_FOREACH(operator, &control->operators, entry)
		if (operator->request == NULL && operator->idle_since <= before) {
			before = operator->idle_since;
			longest = operator;
		}
	if (longest != NULL)
		operator_end(longest);
}

/* Closes a connection that is not served, with an error line; frees the error. */
static void
control_refuse(int fd, char *error)
{
	json_t *object = control_error(error, json_pack("{s:b}", "full", 1));
	char *text = json_dumps(object, JSON_COMPACT), *line = mem_print("%s\n", text == NULL ? "" : text);

	send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	mem_free(line);
	free(text);
	json_decref(object);
	mem_free(error);
}

static void
operator_new(struct control *control, int fd, const struct peer *peer)
{
	struct operator *operator = mem_new(1, sizeof *operator);

	operator->control = control;
	operator->fd = fd;
	operator->peer = *peer;
	operator->in = evbuffer_new();
	operator->out = evbuffer_new();
	operator->idle_since = clock_now();
	LIST_INSERT_HEAD(&control->operators, operator, entry);
	control->count++;
	event_assign(&operator->event, control->loop, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, operator_on_event,
	    operator);
	loop_event_add(&operator->event);
	loop_timer_init(&operator->again, control->loop, operator_look, operator);
}

static void
control_accepted(void *arg, int fd)
{
	struct control *control = arg;
	struct peer peer;
	int error;

	if (control->count == CONTROL_CONNECTIONS)
		control_end_idle(control);
	if (control->count == CONTROL_CONNECTIONS) {
		control_refuse(fd, mem_print("too many control connections: %d are open", CONTROL_CONNECTIONS));
		return;
	}
	if ((error = peer_get(fd, &peer)) < 0) {
		control_refuse(fd, mem_print("the kernel does not say who you are: %s", strerror(-error)));
		return;
	}
	operator_new(control, fd, &peer);
}

static void
control_exhausted(void *arg, int error)
{
	(void)arg;
	log_warning(NULL, "control: accept: %s; the control socket waits for a free file descriptor",
	    strerror(error));
}

/* Who waits leaves most file descriptors to clients. */
static unsigned
control_waiting_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur / WAITING_SHARE >= CONTROL_WAITING)
		return CONTROL_WAITING;
	return (unsigned)(limit.rlim_cur / WAITING_SHARE);
}

struct control *
control_new(struct event_base *loop, int fd, char *const *admin_users, char *const *admin_groups,
    const struct control_command *commands, void *arg)
{
	struct control *control = mem_new(1, sizeof *control);

	control->loop = loop;
	control->commands = commands;
	control->arg = arg;
	control->waiting_max = control_waiting_max();
	control_set_admins(control, admin_users, admin_groups);
	LIST_INIT(&control->operators);
	control->fd = fd;
	control->listener = listener_new(loop, fd, control_accepted, control_exhausted, control);
	return control;
}

void
control_listen(struct control *control, int fd)
{
	listener_shut(control->fd);
	listener_finish(control->listener);
	listener_free(control->listener);
	control->fd = fd;
	control->listener = listener_new(control->loop, fd, control_accepted, control_exhausted, control);
}

void
control_set_admins(struct control *control, char *const *users, char *const *groups)
{
	control->admin_users = users;
	control->admin_groups = groups;
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	listener_free(control->listener);
	while (!LIST_EMPTY(&control->operators))
		operator_end(LIST_FIRST(&control->operators));
	mem_free(control);
}
