/* ask.h - a conversation with the daemon over its control socket. */
#ifndef HOLDFAST_CTL_ASK_H
#define HOLDFAST_CTL_ASK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* holdfastctl's exit codes. */
enum ask_exit { ASK_YES = 0, ASK_NO = 1, ASK_USAGE = 2, ASK_UNREACHED = 3, ASK_TIME = 4 };

struct ask {
	int fd;              /* -1: not connected */
	struct evbuffer *in; /* owned; what was read and not yet given out */
	char *line;          /* owned; the one given out last */
};

/* The control socket: named (unless NULL), $HOLDFAST_SOCKET, the user's own if there is one, the system's.  To be
 * freed with mem_free(). */
char *ask_socket(const char *named);

/* Connects.  0 or a positive errno. */
int ask_connect(struct ask *ask, const char *path);

/* Why path was not reached and what to do; good as long as a text of show_format(). */
const char *ask_reason(const char *path, int error);

/* Prints that to standard error. */
void ask_explain(const char *path, int error);

/* Sends text and a newline.  0 or a positive errno. */
int ask_send(struct ask *ask, const char *text);

/* The next line without its newline, until deadline (monotonic).  NULL and *ret_error: 0 at the end of the
 * connection, ETIMEDOUT when time has run out, or another errno. */
char *ask_line(struct ask *ask, int64_t deadline, int *ret_error);

void ask_close(struct ask *ask);

/* Waits a moment before the next attempt, where a worker's death ended the last one. */
void ask_pause(void);

/* The words as a line of the protocol, quoted where needed; to be freed with mem_free(). */
char *ask_quote(int argc, char *const *argv);

/* One command, about a service unless that is NULL, over a connection of its own: the answer, to be given to
 * json_decref().  NULL and *ret_error: -errno if path was not reached, as ask_line() if no answer came until deadline
 * (monotonic), EBADMSG if it is no JSON. */
json_t *ask_once(const char *path, const char *command, const char *service, int64_t deadline, int *ret_error);

#endif
