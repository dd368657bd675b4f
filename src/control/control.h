/* control.h - the control socket: its connections, the line protocol, the register of commands.
 *
 * One command a line in, one JSON object a line out (control/words.h splits them).  Commands of one connection are
 * run one after the other: the next begins when the one before was answered.  Nothing here blocks or grows without a
 * bound: a reader that does not read gets no further command run, and a stream (control_stream) that lags is told to
 * leave out what it would say.  Who connects when all connections are taken gets the place of one that has asked
 * nothing for a second, if there is one.
 */
#ifndef HOLDFAST_CONTROL_CONTROL_H
#define HOLDFAST_CONTROL_CONTROL_H

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/mem.h"
#include "control/permission.h"

#define CONTROL_WAITING     1024 /* connections at once whose command waits for something to happen */
#define CONTROL_SPARE       8    /* beyond them, for commands that do not wait; further ones get an error line */
#define CONTROL_CONNECTIONS (CONTROL_WAITING + CONTROL_SPARE)
#define CONTROL_WORDS       64   /* of a command */
#define CONTROL_LINE_MAX    4096 /* bytes of one, the newline not counted */

struct control;
struct control_request; /* a command that has not been answered yet */

/* A row of the register, which ends with a row whose name is NULL. */
struct control_command {
	const char *name;      /* borrowed */
	const char *arguments; /* borrowed; as the usage message shows them; "" none */
	const char *help;      /* borrowed; one line */
	int least, most;       /* number of words after the name */
	enum permission_changes changes;
	/* Runs it: argv[0] is the name, argv[argc] is NULL; the words are valid until this returns.  Answers
	 * the request now or later, by control_answer() or control_fail(), exactly once. */
	void (*run)(void *arg, struct control_request *request, int argc, char **argv);
};

/* Serves the listening socket fd (borrowed, as are the lists and the register).  Both lists may be
 * NULL: control/permission.h says who may what.  arg is handed to the commands. */
struct control *control_new(struct event_base *loop, int fd, char *const *admin_users, char *const *admin_groups,
    const struct control_command *commands, void *arg);

/* Ends all connections, cancelling what they wait for. */
void control_free(struct control *control);

/* Listens to this socket (borrowed) from now on; who has connected to the one before, which is shut, is served. */
void control_listen(struct control *control, int fd);

/* New lists of administrators, after a reload. */
void control_set_admins(struct control *control, char *const *users, char *const *groups);

/* The user at the other end of the socket, by the kernel's word. */
uid_t control_uid(const struct control_request *request);

/* Answers {"ok":true, ...} with the members of more (its reference is taken; NULL none); the request is gone. */
void control_answer(struct control_request *request, json_t *more);

/* A long answer in pieces, {"ok":true,PIECES}: what is put is kept until control_finish(), when the request is gone.
 * A piece is JSON; a value (its reference is taken); or a value, an object or a text, without what is around it.  Of
 * an answer that is too long nothing is kept, and an error is answered. */
void control_put(struct control_request *request, const char *text);
void control_put_json(struct control_request *request, json_t *value);
void control_put_inside(struct control_request *request, json_t *value);
void control_finish(struct control_request *request);

/* Answers {"ok":false,"error":..., ...} likewise. */
#define control_fail(request, more, ...) control_fail_with(request, more, mem_print(__VA_ARGS__))
void control_fail_with(struct control_request *request, json_t *more, char *error); /* frees the error */

/* Answers how the command is used: {"ok":false,"error":"usage: ...","usage":true}. */
void control_usage(struct control_request *request);

/* What is said of a command that is none of these, with the nearest of them; to be freed with mem_free(). */
char *control_unknown(const struct control_command *commands, const char *name);

/* To be called before a command begins something that may wait for ever, or for as long as its user likes.  False,
 * and the request was answered ("full":true), if as many wait as may. */
bool control_may_wait(struct control_request *request);

/* To be called before run() returns without having answered: cancel(arg) is called when the connection goes
 * first; the request is then gone too. */
void control_on_cancel(struct control_request *request, void (*cancel)(void *arg), void *arg);

/* Says a line {"ok":true, ...} like control_answer(), but the request stays.  False, and nothing said, if the
 * reader lags; drained (control_on_drained) is called when it has caught up. */
bool control_stream(struct control_request *request, json_t *more);
void control_on_drained(struct control_request *request, void (*drained)(void *arg), void *arg);

#endif
