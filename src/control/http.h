/* http.h - serves what others look at by HTTP: GET and HEAD, and nothing else.
 *
 * Nobody who connects can slow the daemon or keep others from their answer: a text is written as fast as it is read,
 * piece by piece; each connection is for one request; and when HTTP_CONNECTIONS are there, those that have said
 * nothing for a moment make room for the next.
 */
#ifndef HOLDFAST_CONTROL_HTTP_H
#define HOLDFAST_CONTROL_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

#define HTTP_CONNECTIONS 16                        /* at once; further ones wait in the backlog */
#define HTTP_HEAD_MAX    8192                      /* bytes of a request's line and headers */
#define HTTP_BODY_MAX    4096                      /* bytes that may follow, for nothing */
#define HTTP_TIME        (10 * CLOCK_SECOND)       /* of a connection, from its accept to the answer's end */
#define HTTP_SILENT      (100 * CLOCK_MILLISECOND) /* without a request: goes, when others want in */
#define HTTP_BITS        16                        /* of an answer, made in one turn of the loop */
#define HTTP_SLOW        (1 * CLOCK_SECOND)        /* with its answer: the same */

#define HTTP_TEXT "text/plain; charset=utf-8" /* Content-Type */

struct http;

/* What is asked for; borrowed, for as long as the function that is told it runs. */
struct http_asked {
	const char *path;   /* as it came, without a query */
	const char *query;  /* NULL none */
	const char *accept; /* the header; NULL none */
	const char *host;   /* the header, of a connection by TCP; NULL none */
};

/* What is answered: text or write is set. */
struct http_answer {
	int code;             /* 200 ... */
	const char *type;     /* borrowed: Content-Type */
	char *text;           /* owned: all of it, to which a newline is added */
	/* Makes a bit of it, adding it to out, if that is more than size bytes a piece; false: that was the last. */
	bool (*write)(void *arg, struct evbuffer *out, size_t size);
	void (*end)(void *arg); /* it is over, one way or the other: frees what is its own; NULL: nothing */
	void *arg;              /* owned by way of end */
};

/* Serves at the listening socket fd, which stays the caller's.  Connections whose descriptor is file_max or above
 * are closed: the last ones are for others.  answer(arg) fills in ret_answer, which is all zero. */
struct http *http_new(struct event_base *loop, int fd, unsigned file_max,
    void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer), void *arg);

/* Closes all connections.  NULL is fine. */
void http_free(struct http *http);

#endif
