#include "upstream/own.h"

#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "framing/resp_words.h"
#include "upstream/conn.h"
#include "upstream/delay.h"
#include "upstream/machine.h"

/* One client's. */
struct own {
	TAILQ_ENTRY(own) entry;
	struct owns *owns;           /* borrowed */
	struct conn_maker maker;     /* hello is this one's */
	struct hello_settings hello; /* the service's, and what the client says first; owned */
	size_t said;                 /* steps of it that are the client's, the last ones */
	struct conn *conn;           /* owned: on its way, or ready; NULL: none */
	unsigned failures;           /* since it was asked for */
	int64_t again;               /* no dial before */
};

struct owns {
	const struct upstream_context *context; /* borrowed */
	TAILQ_HEAD(, own) all;                  /* owned */
	struct loop_timer timer;                /* the next dial */
};

/* Clients are told; what is to be dialled is, in the machine's turn. */
static void
owns_tell(const struct owns *owns)
{
	owns->context->callbacks->ready(owns->context->arg);
	machine_look(owns->context->machine);
}

/* Its connection is of no use. */
static void
own_drop(struct own *own)
{
	if (own->conn != NULL)
		conn_close(own->conn);
	own->conn = NULL;
}

/* Somebody waits: the next dial comes as soon as hold_retry allows. */
static void
own_fail(struct own *own, const char *error)
{
	const struct upstream_context *context = own->owns->context;
	int64_t wanted = delay_draw(&context->pconn.retry, own->failures, machine_roll(NULL));
	int64_t soon = context->pconn.hold_retry;
	char address[ADDRESS_TEXT_SIZE];

	record_address(context->record, own->conn->number, address);
	own_drop(own);
	own->again = clock_now() + (soon > 0 && soon < wanted ? soon : wanted);
	log_line(own->failures++ == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_DEBUG, context->name,
	    "a connection for one client: dial %s: %s; next attempt in %.1f s", address, error,
	    (double)(own->again - clock_now()) / CLOCK_SECOND);
	owns_tell(own->owns);
}

static void
own_on_ready(void *arg, struct conn *conn, int64_t began)
{
	const struct own *own = arg;

	(void)conn;
	(void)began;
	owns_tell(own->owns);
}

static void
own_on_failed(void *arg, struct conn *conn, const char *error, bool aborts, bool local)
{
	(void)conn;
	(void)aborts;
	(void)local;
	own_fail(arg, error);
}

static void
own_on_ended(void *arg, struct conn *conn, const char *text)
{
	(void)conn;
	own_fail(arg, *text == '\0' ? "ended by the server, unused" : text);
}

/* It would be taken for the reply to what the client asks. */
static void
own_on_spoke(void *arg, struct conn *conn)
{
	(void)conn;
	own_fail(arg, "it spoke before anything was asked");
}

static const struct conn_callbacks own_callbacks = {
	.ready = own_on_ready, .failed = own_on_failed, .ended = own_on_ended, .spoke = own_on_spoke
};

static bool
own_is(const char *request, const char *name)
{
	struct resp_words words;
	struct resp_word word;

	resp_words_begin(&words, (const unsigned char *)request, strlen(request));
	return resp_words_next(&words, &word) && resp_word_is(&word, name);
}

/* It leaves nothing, and who shares has had its answer; a server that carries out an endless script gives none but to
 * what ends that, which may be what the connection is for. */
static bool
own_is_ping(const struct hello_step *step)
{
	return step->send != NULL && own_is(step->send, "PING");
}

static struct hello_step
own_copy(const struct hello_step *step)
{
	return (struct hello_step){ .send = mem_copy_text(step->send), .send_file = mem_copy_text(step->send_file),
		.expect = mem_copy_text(step->expect), .abort_on = mem_copy_text(step->abort_on),
		.timeout = step->timeout };
}

/* The service's hello, where it says more than PING, with the client's own requests behind it, which are taken from
 * there. */
static void
own_set_hello(struct own *own, const struct hello_settings *service)
{
	struct hello_settings all = { 0 };
	size_t first = own->hello.count - own->said;

	all.steps = mem_new(service->count + own->said + 1, sizeof *all.steps);
	for (size_t i = 0; i < service->count; i++)
		if (!own_is_ping(&service->steps[i]))
			all.steps[all.count++] = own_copy(&service->steps[i]);
	for (size_t i = 0; i < own->said; i++) {
		all.steps[all.count++] = own->hello.steps[first + i];
		own->hello.steps[first + i] = (struct hello_step){ 0 };
	}
	all.whole_replies = true;
	hello_settings_clear(&own->hello);
	own->hello = all;
}

static struct hello_step
own_step(const struct own *own, const char *request, const char *abort_on)
{
	return (struct hello_step){ .send = mem_copy_text(request), .expect = mem_copy_text(""),
		.abort_on = mem_copy_text(abort_on), .timeout = own->maker.dial->connect_timeout };
}

struct own *
own_start(struct owns *owns, const char *const *requests, size_t count, const char *first)
{
	const struct upstream_context *context = owns->context;
	struct own *own = mem_new(1, sizeof *own);

	own->owns = owns;
	own->maker = (struct conn_maker){ .loop = context->loop, .table = context->table, .service = context->service,
		.dial = &context->settings->dial, .hello = &own->hello, .callbacks = &own_callbacks, .arg = own };
	own->hello.steps = mem_new(count + 1, sizeof *own->hello.steps);
	for (size_t i = 0; i < count; i++)
		own->hello.steps[own->hello.count++] = own_step(own, requests[i],
		    own_is(requests[i], "HELLO") ? "-" : NULL);
	if (first != NULL)
		own->hello.steps[own->hello.count++] = own_step(own, first, "-");
	own->said = own->hello.count;
	own_set_hello(own, &context->settings->hello);
	TAILQ_INSERT_TAIL(&owns->all, own, entry);
	machine_look(context->machine);
	return own;
}

static void
own_free(struct own *own)
{
	TAILQ_REMOVE(&own->owns->all, own, entry);
	hello_settings_clear(&own->hello);
	mem_free(own);
}

void
own_cancel(struct own *own)
{
	if (own == NULL)
		return;
	own_drop(own);
	own_free(own);
}

uint32_t
own_take(struct own *own)
{
	if (own->conn == NULL || !own->conn->ready || conn_has_ended(own->conn)) /* the loop will tell */
		return 0;
	conn_make_room(own->conn);
	return own->conn->index;
}

void
own_taken(struct own *own)
{
	conn_free(own->conn);
	own_free(own);
}

static void
own_dial(struct own *own, const struct endpoint *endpoint)
{
	struct address address;

	endpoint_address(endpoint, &address);
	own->conn = conn_dial(&own->maker, TABLE_ROLE_OWN, endpoint->number, &address);
}

void
owns_tend(struct owns *owns, uint16_t endpoint)
{
	bool rests = upstream_context_is_paused(owns->context) || upstream_context_is_failing(owns->context);
	const struct endpoint *there = endpoint == 0 || rests ? NULL :
	    endpoints_find(&owns->context->record->endpoints, endpoint);
	int64_t now = clock_now(), next = CLOCK_NEVER;
	struct own *own;

	TAILQ_FOREACH(own, &owns->all, entry) {
		if (there == NULL || (own->conn != NULL && own->conn->number != endpoint))
			own_drop(own);
		if (there == NULL || own->conn != NULL)
			continue;
		if (now >= own->again)
			own_dial(own, there);
		else if (own->again < next)
			next = own->again;
	}
	loop_timer_at(&owns->timer, next);
}

void
owns_set(struct owns *owns, const struct upstream_settings *next)
{
	struct own *own;

	TAILQ_FOREACH(own, &owns->all, entry) {
		own_drop(own);
		own->maker.dial = &next->dial;
		own_set_hello(own, &next->hello);
	}
}

static void
owns_on_timer(void *arg)
{
	const struct owns *owns = arg;

	machine_look(owns->context->machine);
}

struct owns *
owns_new(const struct upstream_context *context)
{
	struct owns *owns = mem_new(1, sizeof *owns);

	owns->context = context;
	loop_timer_init(&owns->timer, context->loop, owns_on_timer, owns);
	TAILQ_INIT(&owns->all);
	return owns;
}

void
owns_free(struct owns *owns)
{
	if (owns == NULL)
		return;
	while (!TAILQ_EMPTY(&owns->all))
		own_cancel(TAILQ_FIRST(&owns->all));
	loop_timer_stop(&owns->timer);
	mem_free(owns);
}
