/* connection.h - one connection of the control socket: lines in, lines out, neither without a bound.
 *
 * Gives its lines to the owner one after the other; the next one when the owner is not busy and the reader has
 * read what was said before.  An owner that is busy is told when the other side has closed its file; a mere
 * shutdown of the other side's writing is no end: answers are still wanted.
 */
#ifndef HOLDFAST_CONTROL_CONNECTION_H
#define HOLDFAST_CONTROL_CONNECTION_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#define CONNECTION_LINE_MAX   4096         /* bytes, the newline not counted */
#define CONNECTION_OUTPUT_MAX (12u << 20)  /* bytes buffered: the metrics of 1024 services with long names */
#define CONNECTION_LAG        (256u << 10) /* bytes buffered at which the reader lags */
#define CONNECTION_ALL_MAX    (64u << 20)  /* bytes buffered for all connections that share a sum */
#define CONNECTION_TURN      (1u << 20)   /* bytes written before others have their turn */
#define CONNECTION_SMALL      4096         /* bytes that are buffered whatever the sum is */

struct connection;

struct connection_callbacks {
	void (*line)(void *arg, char *line);         /* without its newline; valid and writable until it returns */
	void (*malformed)(void *arg, const char *error); /* in place of a line */
	bool (*busy)(void *arg);                     /* no further line now */
	void (*drained)(void *arg);                  /* a reader that lagged has read nearly all */
	void (*ended)(void *arg);                    /* the last callback; the owner calls connection_free() */
};

/* fd becomes the connection's; callbacks are borrowed.  *sum (borrowed) is what all connections that share it have
 * buffered, in bytes. */
struct connection *connection_new(struct event_base *loop, int fd, size_t *sum,
    const struct connection_callbacks *callbacks, void *arg);
void connection_free(struct connection *connection);

/* Whether so many bytes more may be buffered. */
bool connection_has_room(const struct connection *connection, size_t length);

/* Puts out text and a newline.  False, and nothing is put out, if that were too much to be buffered. */
bool connection_say(struct connection *connection, const char *text);

/* The same with all of line, which is empty then. */
bool connection_say_buffer(struct connection *connection, struct evbuffer *line);

/* Whether the reader lags, or has not read all while all together read too little; drained() will be called. */
bool connection_lags(struct connection *connection);

#endif
