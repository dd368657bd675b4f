#include "control/http.h"

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/mem.h"

#define HTTP_TICK  (100 * CLOCK_MILLISECOND)
#define HTTP_PIECE 65536 /* bytes of a text that are written at a time */

/* A connection.  evhttp does not say when one ends, so its bufferevent is held for as long as it is not known. */
struct http_connection {
	struct bufferevent *stream; /* a reference, owned; NULL: the place is free */
	int64_t since;
	bool answering;             /* its request was read */
	bool closed;                /* shut down by us; evhttp is about to see it */
};

struct http {
	LIST_ENTRY(http) entry;
	struct event_base *loop;          /* borrowed */
	struct evhttp *http;              /* owned */
	struct evconnlistener *listener;  /* borrowed: the evhttp's */
	unsigned file_max;
	void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer);
	void *arg;                        /* borrowed */
	struct http_connection connection[HTTP_CONNECTIONS];
	unsigned count;                   /* of places that are taken */
	struct loop_timer tick;
};

/* For evconnlistener, whose argument is evhttp's alone; one but in tests. */
static LIST_HEAD(, http) https = LIST_HEAD_INITIALIZER(https);

/* An answer that is being written. */
struct http_reply {
	struct http *http;              /* borrowed */
	struct evhttp_request *request; /* evhttp's, until its connection ends before it */
	struct http_answer answer;      /* owned */
	struct loop_timer next;
};

static struct http_connection *
http_find(struct http *http, const struct bufferevent *stream)
{
	for (size_t i = 0; i < HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream == stream)
			return &http->connection[i];
	return NULL;
}

/* evhttp asks for the stream of a connection that it has accepted.  The listener rests while no place is free.  The
 * file is closed with the stream, so after our reference: a stream whose file was closed before would, for as long as
 * we hold it, be told of whatever else is opened with that number, and read it. */
static struct bufferevent *
http_on_accept(struct event_base *loop, void *arg)
{
	struct http *http = arg;
	struct bufferevent *stream = bufferevent_socket_new(loop, -1, BEV_OPT_CLOSE_ON_FREE);
	struct http_connection *place = http_find(http, NULL);

	if (stream == NULL || place == NULL)
		return stream;
	/* evhttp reads on while it writes, and would keep whatever comes. */
	bufferevent_setwatermark(stream, EV_READ, 0, 2 * HTTP_HEAD_MAX);
	bufferevent_incref(stream);
	*place = (struct http_connection){ .stream = stream, .since = clock_now() };
	if (++http->count == HTTP_CONNECTIONS)
		evconnlistener_disable(http->listener);
	loop_timer_soon(&http->tick);
	return stream;
}

/* evhttp takes its callbacks away from a stream that it is done with. */
static bool
http_connection_is_over(const struct http_connection *place)
{
	bufferevent_event_cb event = NULL;

	bufferevent_getcb(place->stream, NULL, NULL, &event, NULL);
	return event == NULL;
}

static bool
http_connection_must_go(const struct http *http, const struct http_connection *place, int64_t now)
{
	int64_t age = now - place->since;

	if ((unsigned)bufferevent_getfd(place->stream) >= http->file_max)
		return true;
	if (http->count == HTTP_CONNECTIONS)
		return age >= (place->answering ? HTTP_SLOW : HTTP_SILENT);
	return age >= HTTP_TIME;
}

static void
http_connection_look(struct http *http, struct http_connection *place, int64_t now)
{
	if (http_connection_is_over(place)) {
		bufferevent_decref(place->stream);
		*place = (struct http_connection){ 0 };
		http->count--;
	} else if (!place->closed && http_connection_must_go(http, place, now)) {
		place->closed = true;
		shutdown(bufferevent_getfd(place->stream), SHUT_RDWR); /* evhttp sees that, and closes */
	}
}

static void
http_on_tick(void *arg)
{
	struct http *http = arg;
	int64_t now = clock_now();

	for (size_t i = 0; i < HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream != NULL)
			http_connection_look(http, &http->connection[i], now);
	if (http->count < HTTP_CONNECTIONS)
		evconnlistener_enable(http->listener);
	if (http->count > 0)
		loop_timer_at(&http->tick, now + HTTP_TICK);
}

/* No file descriptor is left, or no memory: again after a moment. */
static void
http_on_exhausted(struct evconnlistener *listener, void *arg)
{
	struct http *http;

	(void)arg;
	evconnlistener_disable(listener);
	LIST_FOREACH(http, &https, entry)
		if (http->listener == listener)
			loop_timer_at(&http->tick, clock_now() + HTTP_TICK);
}

static void http_reply_on_written(struct evhttp_connection *connection, void *arg);

static void
http_reply_free(struct http_reply *reply)
{
	loop_timer_stop(&reply->next);
	if (reply->answer.end != NULL)
		reply->answer.end(reply->answer.arg);
	mem_free(reply);
}

static void
http_on_closed(struct evhttp_connection *connection, void *arg)
{
	struct http *http = arg;

	(void)connection;
	loop_timer_soon(&http->tick);
}

/* The client has gone before its answer's end.  evhttp lets go of a request that is being answered, but not when it
 * is freed itself. */
static void
http_reply_on_closed(struct evhttp_connection *connection, void *arg)
{
	struct http_reply *reply = arg;

	http_on_closed(connection, reply->http);
	if (evhttp_request_get_connection(reply->request) == NULL)
		evhttp_request_free(reply->request);
	http_reply_free(reply);
}

static void
http_reply_finish(struct http_reply *reply)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(reply->request), http_on_closed, reply->http);
	evhttp_send_reply_end(reply->request);
	http_reply_free(reply);
}

/* Makes some more, or writes the next piece, when the one before is on its way. */
static void
http_reply_go_on(void *arg)
{
	struct http_reply *reply = arg;
	struct evbuffer *piece = evbuffer_new();
	bool more = true;

	for (int i = 0; i < HTTP_BITS && more && evbuffer_get_length(piece) < HTTP_PIECE; i++)
		more = reply->answer.write(reply->answer.arg, piece, HTTP_PIECE);
	if (evbuffer_get_length(piece) > 0)
		evhttp_send_reply_chunk_with_cb(reply->request, piece, http_reply_on_written, reply);
	else
		loop_timer_at(&reply->next, clock_now());
	evbuffer_free(piece);
	if (!more)
		http_reply_finish(reply);
}

static void
http_reply_on_written(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	http_reply_go_on(arg);
}

/* Nothing that is answered may be taken for something else than it is, be kept, or be shown in others' pages. */
static void
http_add_headers(struct evhttp_request *request, const struct http_answer *answer)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", answer->type);
	evhttp_add_header(headers, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (answer->code == 405)
		evhttp_add_header(headers, "Allow", "GET, HEAD");
}

static const char *
http_reason(int code)
{
	switch (code) {
	case 200: return "OK";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	default: return "Service Unavailable";
	}
}

/* All at once.  To HEAD evhttp would send it all the same. */
static void
http_answer_text(struct evhttp_request *request, struct http_answer *answer)
{
	struct evbuffer *body = evbuffer_new();
	char length[24];

	snprintf(length, sizeof length, "%zu", strlen(answer->text) + 1);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", length);
	if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		evbuffer_add_printf(body, "%s\n", answer->text);
	evhttp_send_reply(request, answer->code, http_reason(answer->code), body);
	evbuffer_free(body);
	mem_free(answer->text);
	if (answer->end != NULL)
		answer->end(answer->arg);
}

static void
http_answer(struct http *http, struct evhttp_request *request, struct http_answer *answer)
{
	struct http_reply *reply;

	http_add_headers(request, answer);
	if (answer->text != NULL) {
		http_answer_text(request, answer);
		return;
	}
	reply = mem_new(1, sizeof *reply);
	*reply = (struct http_reply){ .http = http, .request = request, .answer = *answer };
	loop_timer_init(&reply->next, http->loop, http_reply_go_on, reply);
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), http_reply_on_closed, reply);
	evhttp_send_reply_start(request, answer->code, http_reason(answer->code));
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		http_reply_finish(reply);
	else
		http_reply_go_on(reply);
}

static void
http_on_request(struct evhttp_request *request, void *arg)
{
	struct http *http = arg;
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct http_connection *place = http_find(http, evhttp_connection_get_bufferevent(connection));
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const struct sockaddr *peer = evhttp_connection_get_addr(connection);
	struct http_asked asked = { .path = path != NULL ? path : "", .query = evhttp_uri_get_query(uri),
		.accept = evhttp_find_header(headers, "Accept"),
		.host = peer != NULL && peer->sa_family != AF_UNIX ? evhttp_find_header(headers, "Host") : NULL };
	struct http_answer answer = { .code = 405, .type = HTTP_TEXT };

	if (place != NULL)
		place->answering = true;
	evhttp_connection_set_closecb(connection, http_on_closed, http);
	if (evhttp_request_get_command(request) & (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD))
		http->answer(http->arg, &asked, &answer);
	else
		answer.text = mem_copy_text("only GET and HEAD are allowed here");
	http_answer(http, request, &answer);
}

struct http *
http_new(struct event_base *loop, int fd, unsigned file_max,
    void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer), void *arg)
{
	struct http *http = mem_new(1, sizeof *http);

	LIST_INSERT_HEAD(&https, http, entry);
	http->loop = loop;
	http->file_max = file_max;
	http->answer = answer;
	http->arg = arg;
	loop_timer_init(&http->tick, loop, http_on_tick, http);
	http->http = evhttp_new(loop);
	http->listener = evconnlistener_new(loop, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	evconnlistener_set_error_cb(http->listener, http_on_exhausted);
	evhttp_bind_listener(http->http, http->listener);
	evhttp_set_bevcb(http->http, http_on_accept, http);
	evhttp_set_gencb(http->http, http_on_request, http);
	evhttp_set_max_headers_size(http->http, HTTP_HEAD_MAX);
	evhttp_set_max_body_size(http->http, HTTP_BODY_MAX);
	evhttp_set_allowed_methods(http->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
	    EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
	return http;
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	LIST_REMOVE(http, entry);
	evhttp_free(http->http);
	for (size_t i = 0; i < HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream != NULL)
			bufferevent_decref(http->connection[i].stream);
	loop_timer_stop(&http->tick);
	mem_free(http);
}
