#include "control/metrics_http.h"

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/mem.h"

#define METRICS_HTTP_TICK  (100 * CLOCK_MILLISECOND)
#define METRICS_HTTP_PIECE 65536 /* bytes of a text that are written at a time */

/* A connection.  evhttp does not say when one ends, so its bufferevent is held for as long as it is not known. */
struct metrics_connection {
	struct bufferevent *stream; /* a reference, owned; NULL: the place is free */
	int64_t since;
	bool answering;             /* its request was read */
	bool closed;                /* shut down by us; evhttp is about to see it */
};

struct metrics_http {
	LIST_ENTRY(metrics_http) entry;
	struct event_base *loop;          /* borrowed */
	struct evhttp *http;              /* owned */
	struct evconnlistener *listener;  /* borrowed: the evhttp's */
	unsigned file_max;
	struct metrics *(*take)(void *arg, enum metrics_format format);
	void *arg;                        /* borrowed */
	struct metrics_connection connection[METRICS_HTTP_CONNECTIONS];
	unsigned count;                   /* of places that are taken */
	struct loop_timer tick;
};

/* For evconnlistener, whose argument is evhttp's alone; one but in tests. */
static LIST_HEAD(, metrics_http) metrics_https = LIST_HEAD_INITIALIZER(metrics_https);

/* A text that is being written. */
struct metrics_answer {
	struct metrics_http *http;        /* borrowed */
	struct evhttp_request *request;   /* evhttp's, until its connection ends before it */
	struct metrics *metrics;          /* owned */
	struct loop_timer next;
};

static struct metrics_connection *
metrics_http_find(struct metrics_http *http, const struct bufferevent *stream)
{
	for (size_t i = 0; i < METRICS_HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream == stream)
			return &http->connection[i];
	return NULL;
}

/* evhttp asks for the stream of a connection that it has accepted.  The listener rests while no place is free.  The
 * file is closed with the stream, so after our reference: a stream whose file was closed before would, for as long as
 * we hold it, be told of whatever else is opened with that number, and read it. */
static struct bufferevent *
metrics_http_on_accept(struct event_base *loop, void *arg)
{
	struct metrics_http *http = arg;
	struct bufferevent *stream = bufferevent_socket_new(loop, -1, BEV_OPT_CLOSE_ON_FREE);
	struct metrics_connection *place = metrics_http_find(http, NULL);

	if (stream == NULL || place == NULL)
		return stream;
	/* evhttp reads on while it writes, and would keep whatever comes. */
	bufferevent_setwatermark(stream, EV_READ, 0, 2 * METRICS_HTTP_HEAD_MAX);
	bufferevent_incref(stream);
	*place = (struct metrics_connection){ .stream = stream, .since = clock_now() };
	if (++http->count == METRICS_HTTP_CONNECTIONS)
		evconnlistener_disable(http->listener);
	loop_timer_soon(&http->tick);
	return stream;
}

/* evhttp takes its callbacks away from a stream that it is done with. */
static bool
metrics_connection_is_over(const struct metrics_connection *place)
{
	bufferevent_event_cb event = NULL;

	bufferevent_getcb(place->stream, NULL, NULL, &event, NULL);
	return event == NULL;
}

static bool
metrics_connection_must_go(const struct metrics_http *http, const struct metrics_connection *place, int64_t now)
{
	int64_t age = now - place->since;

	if ((unsigned)bufferevent_getfd(place->stream) >= http->file_max)
		return true;
	if (http->count == METRICS_HTTP_CONNECTIONS)
		return age >= (place->answering ? METRICS_HTTP_SLOW : METRICS_HTTP_SILENT);
	return age >= METRICS_HTTP_TIME;
}

static void
metrics_connection_look(struct metrics_http *http, struct metrics_connection *place, int64_t now)
{
	if (metrics_connection_is_over(place)) {
		bufferevent_decref(place->stream);
		*place = (struct metrics_connection){ 0 };
		http->count--;
	} else if (!place->closed && metrics_connection_must_go(http, place, now)) {
		place->closed = true;
		shutdown(bufferevent_getfd(place->stream), SHUT_RDWR); /* evhttp sees that, and closes */
	}
}

static void
metrics_http_on_tick(void *arg)
{
	struct metrics_http *http = arg;
	int64_t now = clock_now();

	for (size_t i = 0; i < METRICS_HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream != NULL)
			metrics_connection_look(http, &http->connection[i], now);
	if (http->count < METRICS_HTTP_CONNECTIONS)
		evconnlistener_enable(http->listener);
	if (http->count > 0)
		loop_timer_at(&http->tick, now + METRICS_HTTP_TICK);
}

/* No file descriptor is left, or no memory: again after a moment. */
static void
metrics_http_on_exhausted(struct evconnlistener *listener, void *arg)
{
	struct metrics_http *http;

	(void)arg;
	evconnlistener_disable(listener);
	LIST_FOREACH(http, &metrics_https, entry)
		if (http->listener == listener)
			loop_timer_at(&http->tick, clock_now() + METRICS_HTTP_TICK);
}

static void metrics_answer_on_written(struct evhttp_connection *connection, void *arg);

static void
metrics_answer_free(struct metrics_answer *answer)
{
	loop_timer_stop(&answer->next);
	metrics_free(answer->metrics);
	mem_free(answer);
}

static void
metrics_http_on_closed(struct evhttp_connection *connection, void *arg)
{
	struct metrics_http *http = arg;

	(void)connection;
	loop_timer_soon(&http->tick);
}

/* The client has gone before its answer's end.  evhttp lets go of a request that is being answered, but not when it
 * is freed itself. */
static void
metrics_answer_on_closed(struct evhttp_connection *connection, void *arg)
{
	struct metrics_answer *answer = arg;

	metrics_http_on_closed(connection, answer->http);
	if (evhttp_request_get_connection(answer->request) == NULL)
		evhttp_request_free(answer->request);
	metrics_answer_free(answer);
}

/* Takes some more, or writes the next piece, when the one before is on its way. */
static void
metrics_answer_go_on(void *arg)
{
	struct metrics_answer *answer = arg;
	struct evbuffer *piece = evbuffer_new();
	bool more = true;

	for (int i = 0; i < METRICS_HTTP_BITS && more && evbuffer_get_length(piece) == 0; i++)
		more = metrics_write(answer->metrics, piece, METRICS_HTTP_PIECE);
	if (evbuffer_get_length(piece) > 0)
		evhttp_send_reply_chunk_with_cb(answer->request, piece, metrics_answer_on_written, answer);
	else
		loop_timer_at(&answer->next, clock_now());
	evbuffer_free(piece);
	if (more)
		return;
	evhttp_connection_set_closecb(evhttp_request_get_connection(answer->request), metrics_http_on_closed,
	    answer->http);
	evhttp_send_reply_end(answer->request);
	metrics_answer_free(answer);
}

static void
metrics_answer_on_written(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	metrics_answer_go_on(arg);
}

/* OpenMetrics for whoever names it; the text format is what everybody reads. */
static enum metrics_format
metrics_http_format(struct evhttp_request *request)
{
	const char *accept = evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");

	return accept != NULL && strcasestr(accept, "application/openmetrics-text") != NULL ? METRICS_OPENMETRICS
	    : METRICS_PROMETHEUS;
}

static void
metrics_http_answer(struct metrics_http *http, struct evhttp_request *request, struct evhttp_connection *connection)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct metrics_answer *answer = mem_new(1, sizeof *answer);
	enum metrics_format format = metrics_http_format(request);

	answer->http = http;
	answer->request = request;
	answer->metrics = http->take(http->arg, format);
	evhttp_add_header(headers, "Content-Type", metrics_content_type(format));
	evhttp_add_header(headers, "Connection", "close");
	evhttp_connection_set_closecb(connection, metrics_answer_on_closed, answer);
	evhttp_send_reply_start(request, 200, "OK");
	loop_timer_init(&answer->next, http->loop, metrics_answer_go_on, answer);
	metrics_answer_go_on(answer);
}

static void
metrics_http_refuse(struct evhttp_request *request, int code, const char *reason, const char *text)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", "text/plain; charset=utf-8");
	evhttp_add_header(headers, "Connection", "close");
	if (code == 405)
		evhttp_add_header(headers, "Allow", "GET");
	evbuffer_add_printf(body, "%s\n", text);
	evhttp_send_reply(request, code, reason, body);
	evbuffer_free(body);
}

static void
metrics_http_on_request(struct evhttp_request *request, void *arg)
{
	struct metrics_http *http = arg;
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct metrics_connection *place = metrics_http_find(http, evhttp_connection_get_bufferevent(connection));
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	if (place != NULL)
		place->answering = true;
	evhttp_connection_set_closecb(connection, metrics_http_on_closed, http);
	if (path == NULL || strcmp(path, "/metrics") != 0)
		metrics_http_refuse(request, 404, "Not Found", "there is only /metrics here");
	else if (evhttp_request_get_command(request) != EVHTTP_REQ_GET)
		metrics_http_refuse(request, 405, "Method Not Allowed", "only GET is allowed here");
	else
		metrics_http_answer(http, request, connection);
}

struct metrics_http *
metrics_http_new(struct event_base *loop, int fd, unsigned file_max,
    struct metrics *(*take)(void *arg, enum metrics_format format), void *arg)
{
	struct metrics_http *http = mem_new(1, sizeof *http);

	LIST_INSERT_HEAD(&metrics_https, http, entry);
	http->loop = loop;
	http->file_max = file_max;
	http->take = take;
	http->arg = arg;
	loop_timer_init(&http->tick, loop, metrics_http_on_tick, http);
	http->http = evhttp_new(loop);
	http->listener = evconnlistener_new(loop, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	evconnlistener_set_error_cb(http->listener, metrics_http_on_exhausted);
	evhttp_bind_listener(http->http, http->listener);
	evhttp_set_bevcb(http->http, metrics_http_on_accept, http);
	evhttp_set_gencb(http->http, metrics_http_on_request, http);
	evhttp_set_max_headers_size(http->http, METRICS_HTTP_HEAD_MAX);
	evhttp_set_max_body_size(http->http, METRICS_HTTP_BODY_MAX);
	evhttp_set_allowed_methods(http->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
	    EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
	return http;
}

void
metrics_http_free(struct metrics_http *http)
{
	if (http == NULL)
		return;
	LIST_REMOVE(http, entry);
	evhttp_free(http->http);
	for (size_t i = 0; i < METRICS_HTTP_CONNECTIONS; i++)
		if (http->connection[i].stream != NULL)
			bufferevent_decref(http->connection[i].stream);
	loop_timer_stop(&http->tick);
	mem_free(http);
}
