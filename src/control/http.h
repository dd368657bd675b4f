/* http.h - serves what others look at by HTTP: GET and HEAD, and nothing else.
 *
 * Nobody who connects can slow the daemon or keep others from their answer: a text is written as fast as it is read,
 * piece by piece; each connection is for one request; and when HTTP_CONNECTIONS are there, those that have said
 * nothing for a moment make room for the next.  An answer that stays (a stream) has a place beside them; whoever does
 * not read it is dropped.
 */
#ifndef HOLDFAST_CONTROL_HTTP_H
#define HOLDFAST_CONTROL_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

#define HTTP_CONNECTIONS 16                        /* at once; further ones wait in the backlog */
#define HTTP_STREAMS     16                        /* beside them */
#define HTTP_HEAD_MAX    8192                      /* bytes of a request's line and headers */
#define HTTP_BODY_MAX    4096                      /* bytes that may follow, for nothing */
#define HTTP_LAG_MAX     (2u << 20)                /* bytes of a stream that wait to be read: more, and it ends */
#define HTTP_TIME        (10 * CLOCK_SECOND)       /* of a connection, from its accept to the answer's end */
#define HTTP_SILENT      (100 * CLOCK_MILLISECOND) /* without a request: goes, when others want in */
#define HTTP_BITS        16                        /* of an answer, made in one turn of the loop */
#define HTTP_SLOW        (1 * CLOCK_SECOND)        /* with its answer: the same */

#define HTTP_TEXT "text/plain; charset=utf-8" /* Content-Type */

struct http;
struct http_stream; /* an answer that stays, until its end() is called */

/* What is asked for; borrowed, for as long as the function that is told it runs. */
struct http_asked {
	const char *path;   /* as it came, without a query */
	const char *query;  /* NULL none */
	const char *accept; /* the header; NULL none */
	const char *host;   /* the header, of a connection by TCP; NULL none */
};

/* What is answered: one of text, write and open is set. */
struct http_answer {
	int code;             /* 200 ... */
	const char *type;     /* borrowed: Content-Type */
	const char *policy;   /* borrowed: Content-Security-Policy; NULL: nothing may be done with it */
	char *text;           /* owned: all of it, to which a newline is added */
	/* Makes a bit of it, adding it to out, if that is more than size bytes a piece; false: that was the last. */
	bool (*write)(void *arg, struct evbuffer *out, size_t size);
	/* It stays: what is to be said is given to http_stream_say() from now on. */
	void (*open)(void *arg, struct http_stream *stream);
	void (*end)(void *arg); /* it is over, one way or the other: frees what is its own; NULL: nothing */
	void *arg;              /* owned by way of end */
};

/* Serves at the listening socket fd, which stays the caller's.  Connections whose descriptor is file_max or above
 * are closed: the last ones are for others.  answer(arg) fills in ret_answer, which is all zero. */
struct http *http_new(struct event_base *loop, int fd, unsigned file_max,
    void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer), void *arg);

/* Closes all connections.  NULL is fine. */
void http_free(struct http *http);

/* Says it as soon as what was said before has been taken.  Whoever lags too far is dropped; end() follows later. */
void http_stream_say(struct http_stream *stream, const void *bytes, size_t length);

#endif
