#include "upstream/upstream.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/recover.h"
#include "upstream/handlers.h"
#include "upstream/listing.h"
#include "upstream/pool.h"

struct upstream {
	struct upstream_context context;
	struct machine *machine;                    /* owned */
	struct upstream_log *log;                   /* owned */
	struct listing *listing;                    /* owned */
	struct pool *pool;                          /* owned */
	struct owns *owns;                          /* owned */
	struct handlers *handlers;                  /* owned */
	struct lookup_waiter *looking;              /* owned: the attempt's lookup; NULL: none */
	struct loop_timer failing;                  /* the end of a failure that an operator set */
	unsigned served;                            /* how it was when clients were: a bit each */
	int64_t ended_age;                          /* of the last unused one that ended */
	/* shared mode: the connection that all share */
	uint32_t shared;                            /* 0: none */
	int64_t shared_since;                       /* its connect, known when it has ended, too */
	bool moving;                                /* its endpoint is withdrawn: at rest it goes */
	bool let_go;                                /* client/ has no use for it, while it is paused or moving */
	bool lost;                                  /* it has ended, and the machine was not told yet */
};

/* The counts that the machine is given.  A shared connection serves all who wait, and is there as long as it is
 * shared. */
static unsigned
upstream_waiting(const struct upstream *upstream)
{
	return upstream->context.settings->shared && upstream->context.held > 1 ? 1 : upstream->context.held;
}

static unsigned
upstream_ready(const struct upstream *upstream)
{
	return pool_idle(upstream->pool, TABLE_ROLE_NEXT) + (upstream->shared != 0);
}

static struct table_conn *
upstream_conn(const struct upstream *upstream)
{
	return &upstream->context.table->conns[upstream->shared];
}

static void
upstream_set_shared(struct upstream *upstream, uint32_t conn)
{
	upstream->shared = conn;
	upstream->moving = upstream->let_go = false;
	if (conn != 0)
		upstream->shared_since = upstream_conn(upstream)->since;
}

/* Gives up the shared one. */
static void
upstream_drop_shared(struct upstream *upstream)
{
	if (upstream->shared == 0)
		return;
	upstream_set_shared(upstream, 0);
	upstream->context.callbacks->lost(upstream->context.arg, 0);
}

/* The attempt's lookup and dials, of which no more is told. */
static void
upstream_end_attempt(struct upstream *upstream)
{
	lookup_leave(upstream->looking);
	upstream->looking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_NEXT);
	machine_forget(upstream->machine, false);
}

static void
upstream_drop(struct upstream *upstream)
{
	upstream_end_attempt(upstream);
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	upstream_drop_shared(upstream);
}

/* The service is connected to this endpoint now. */
static void
upstream_give(struct upstream *upstream, uint16_t number, int64_t age)
{
	record_address(upstream->context.record, number, upstream->context.record->taking_over);
	upstream->context.record->number = number;
	CRASH_POINT(TAKEOVER_GIVEN);
	machine_push(upstream->machine, (struct pconn_input){ .event = PCONN_TAKEN_OVER, .age = age });
}

/* The current connection has ended so long after its connect: a standby takes over, if one is ready. */
static bool
upstream_take_over(struct upstream *upstream, int64_t age)
{
	bool stays = upstream->context.settings->shared && machine_is_to_stay(upstream->machine);
	uint16_t number = stays ? pool_take_over(upstream->pool) : 0;

	if (number != 0)
		upstream_give(upstream, number, age);
	return number != 0;
}

/* The machine is told in this turn of the loop, and lets its taker know what there is now; before it has begun, when
 * it does. */
static void
upstream_lose(struct upstream *upstream)
{
	int64_t age = upstream->shared_since == 0 ? 0 : clock_now() - upstream->shared_since;

	upstream->lost = true;
	if (!machine_has_begun(upstream->machine))
		return;
	if (upstream_take_over(upstream, age))
		upstream->lost = false;
	else
		machine_push(upstream->machine, (struct pconn_input){ .event = PCONN_LOST, .age = age });
}

static void
upstream_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct upstream *upstream = arg;
	bool aborts = result->error == NULL && result->abort_reason != NULL;
	char error[RECORD_ERROR_SIZE];

	upstream->looking = NULL;
	if (result->error == NULL && !aborts) {
		machine_push_event(upstream->machine, PCONN_LOOKED_UP);
		return;
	}
	snprintf(error, sizeof error, "%s%s", aborts ? "abort: " : "", aborts ? result->abort_reason : result->error);
	upstream_log_set_error(upstream->log, "", error);
	if (aborts)
		machine_push_abort(upstream->machine, error);
	machine_push_event(upstream->machine, PCONN_LOOKUP_FAILED);
}

/* Does what the machine says; in is what it was told.  What is looked up is so again. */
static void
upstream_act(struct upstream *upstream, unsigned todo, const struct pconn_input *in)
{
	bool dialling = record_pconn(upstream->context.record)->state == PCONN_DIAL;
	struct upstream_event event;

	if ((todo & PCONN_DO_DROP) != 0)
		upstream_drop(upstream);
	if ((todo & PCONN_DO_EXPIRED) != 0)
		upstream->context.record->counters.expiries++;
	if ((todo & PCONN_DO_REST) != 0)
		upstream_log_rest(upstream->log, in->event == PCONN_SPOKE ? 0 : upstream->ended_age);
	machine_answer(upstream->machine, todo);
	if ((todo & PCONN_DO_REPORT) != 0) {
		event = upstream_log_report(upstream->log);
		handlers_notify(upstream->handlers, &event);
	}
	if ((todo & PCONN_DO_HANDLE) != 0) {
		event = upstream_log_last(upstream->log);
		if (!handlers_run(upstream->handlers, &event))
			machine_push_event(upstream->machine, PCONN_HANDLED);
	}
	if ((todo & PCONN_DO_FAIL) != 0) {
		upstream_end_attempt(upstream);
		upstream_log_set_failing(upstream->log);
		machine_push_event(upstream->machine, dialling ? PCONN_DIAL_FAILED : PCONN_LOOKUP_FAILED);
	}
	if ((todo & PCONN_DO_LOOKUP) != 0) {
		lookup_leave(upstream->looking);
		upstream->looking = lookup_ask(listing_lookup(upstream->listing), LOOKUP_ATTEMPT,
		    upstream_on_looked_up, upstream);
	}
	if ((todo & (PCONN_DO_DIAL | PCONN_DO_GO)) != 0)
		pool_attempt(upstream->pool, (todo & PCONN_DO_GO) != 0);
	if ((todo & PCONN_DO_STOP) != 0 && pool_stop(upstream->pool))
		machine_forget(upstream->machine, true); /* it was taken back */
	if ((todo & PCONN_DO_FILL) != 0)
		pool_fill(upstream->pool,
		    pconn_wanted(record_pconn(upstream->context.record), &upstream->context.pconn, in));
	CRASH_POINT(UPSTREAM_ACTED);
}

static void
upstream_step(struct upstream *upstream, const struct machine_input *input)
{
	struct pconn_input given = input->input, *in = &given;
	struct record_place *place;
	unsigned todo;

	upstream_log_note_dial(upstream->log, in->event, input->number, input->error);
	in->now = clock_now();
	in->roll = machine_roll(NULL);
	in->held = upstream_waiting(upstream);
	in->ready = upstream_ready(upstream);
	in->dialling = pool_dialling(upstream->pool, TABLE_ROLE_NEXT);
	in->paused = upstream_context_is_paused(&upstream->context);
	in->in_use = upstream->shared != 0 && !upstream->let_go;
	in->failing = upstream_context_is_failing(&upstream->context);
	if (in->event == PCONN_ENDED)
		in->elsewhere = endpoints_elsewhere(&upstream->context.record->endpoints);
	todo = machine_step(upstream->machine, in, input->number, &place);
	upstream_log_note_step(upstream->log, &place->pconn, in->event, todo);
	record_commit(upstream->context.record);
	upstream->lost = upstream->lost && in->event != PCONN_LOST;
	if (in->event == PCONN_TAKEN_OVER) { /* its connection is like any other from now on */
		pool_own(upstream->pool);
		if (upstream->shared != 0)
			upstream_conn(upstream)->role = TABLE_ROLE_SHARED;
		CRASH_POINT(TAKEOVER_TOLD);
	}
	if (in->event == PCONN_RENEW)
		upstream->context.record->renewed = 0;
	if (in->event == PCONN_WAKE)
		pool_tell_standby(upstream->pool, STANDBY_WAKE);
	if (in->same)
		log_debug(upstream->context.name, "%s, again", upstream->context.record->last_error);
	upstream_act(upstream, todo, in);
}

/* P20 keeps the current connection; here that is the clients', or the shared one, and the ones nobody has are of no
 * use. */
static void
upstream_end_unused(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->context.record);

	if (p->state != PCONN_CONNECTED || p->lost || p->ending == PCONN_END_NONE || upstream->shared != 0)
		return;
	upstream_drop(upstream);
	upstream_log_set_end(upstream->log, "");
	machine_push_event(upstream->machine, PCONN_LOST);
}

/* P33: gives up the connection whose endpoint is withdrawn.  In session mode the clients have it, and one that is
 * ready is as good as a standby. */
static void
upstream_withdraw(struct upstream *upstream)
{
	bool shared = upstream->context.settings->shared;

	if (!shared && pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0) {
		upstream_log_set_purpose(upstream->log, RECORD_WITHDRAWN);
		upstream_give(upstream, pool_first(upstream->pool), 0);
	} else if (upstream->shared != 0 && pool_idle(upstream->pool, TABLE_ROLE_STANDBY) > 0) {
		upstream_log_set_purpose(upstream->log, RECORD_WITHDRAWN); /* before it is gone: no outage */
		upstream_drop_shared(upstream);
		upstream_lose(upstream);
	} else {
		upstream_log_set_reconnect(upstream->log, RECORD_WITHDRAWN);
		machine_push_event(upstream->machine, PCONN_RECONNECT);
	}
}

static void
upstream_judge_shared(struct upstream *upstream, int64_t now, int64_t *next)
{
	const struct table_conn *conn = upstream_conn(upstream);
	bool drop = listing_drops(upstream->listing, conn->endpoint, conn->left_at, now, next);
	bool moves = !drop && endpoints_judge(&upstream->context.record->endpoints, &upstream->context.endpoints,
	    conn->endpoint, false, now) == ENDPOINTS_MOVE;

	if (!machine_is_to_stay(upstream->machine))
		return;
	if (drop || (moves && upstream->moving && upstream->let_go)) {
		upstream_withdraw(upstream);
	} else if (moves != upstream->moving) {
		upstream->moving = moves;
		upstream->let_go = false;
	}
}

/* Sees to the endpoints, now that the machine has come to rest.  Dials in the background are for a service that is
 * connected, or idle though its last attempts failed (P31).  Where an idle connection that the next client must not
 * get is gone, another is to be had. */
static void
upstream_tend(struct upstream *upstream)
{
	const struct endpoints *e = &upstream->context.record->endpoints;
	const struct endpoint *current = endpoints_find(e, upstream->context.record->number);
	bool shared = upstream->context.settings->shared;
	int64_t now = clock_now(), next = CLOCK_NEVER;
	unsigned before = upstream_ready(upstream);
	uint8_t state = record_pconn(upstream->context.record)->state;

	if (machine_is_to_stay(upstream->machine) || machine_is_idle_down(upstream->machine))
		next = pool_tend(upstream->pool, now);
	else if (state == PCONN_IDLE || state == PCONN_CLOSED)
		pool_drop(upstream->pool, TABLE_ROLE_NEXT); /* dials in the background */
	if (upstream->shared != 0)
		upstream_judge_shared(upstream, now, &next);
	if (listing_judge_clients(upstream->listing, now, &next) && !shared)
		upstream_withdraw(upstream);
	machine_look_at(upstream->machine, next);
	if (upstream_ready(upstream) >= before)
		return;
	if (shared && upstream_ready(upstream) == 0)
		upstream_log_set_purpose(upstream->log, current != NULL && endpoints_state(e, current) ==
		    ENDPOINT_FAILED ? "its endpoint failed, another is healthy" : RECORD_WITHDRAWN);
	machine_push_event(upstream->machine, shared && upstream_ready(upstream) == 0 ? PCONN_LOST : PCONN_HELD);
}

/* Lets clients have what is ready, or have them refused, or leave what they share. */
static void
upstream_serve(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->context.record);
	unsigned served = (upstream_refuses(upstream) ? 1u : 0) | (upstream_is_up(upstream) ? 2u : 0) |
	    (upstream->moving ? 4u : 0);
	unsigned warm = p->resting ? 0 : pconn_warm(p, &upstream->context.pconn), held;

	if (pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0 || served != upstream->served) {
		upstream->served = served;
		upstream->context.callbacks->ready(upstream->context.arg);
	}
	held = upstream_waiting(upstream);
	if (p->state == PCONN_CONNECTED)
		pool_trim(upstream->pool, TABLE_ROLE_NEXT,
		    upstream->shared != 0 ? 0 : warm > held ? warm : held);
}

/* A worker may have died between any two steps of sharing, losing and taking over. */
static void
upstream_resume_shared(struct upstream *upstream, bool connected)
{
	if (!connected) {
		upstream_drop_shared(upstream);
		upstream->lost = false;
	} else if (upstream->shared != 0) {
		pool_tune_shared(upstream->pool, upstream->shared);
		if (upstream_conn(upstream)->role == TABLE_ROLE_TAKEOVER)
			machine_push_event(upstream->machine, PCONN_TAKEN_OVER);
	} else if (upstream->context.settings->shared && pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0) {
		if (!upstream->lost && !upstream->context.record->purposely)
			upstream_log_set_end(upstream->log, "it ended while the worker was restarted");
		upstream_lose(upstream);
	}
}

/* Takes over what the record says, with no event and no new attempt (P26). */
static void
upstream_resume(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->context.record);
	struct pconn_input in = { .event = PCONN_HELD, .held = upstream_waiting(upstream) };
	unsigned todo = pconn_resume(p);
	bool connected = p->state == PCONN_CONNECTED && !p->lost;
	bool dialling = p->state == PCONN_DIAL && !p->doomed;

	if (!upstream->context.record->begun || p->state == PCONN_NEW) {
		upstream->context.record->begun = 1;
		pool_adopt(upstream->pool, false, false);
		upstream_resume_shared(upstream, false);
		return;
	}
	endpoints_resume(&upstream->context.record->endpoints, clock_now());
	pool_adopt(upstream->pool, connected || dialling, connected && upstream->context.settings->shared);
	listing_resume(upstream->listing);
	upstream_resume_shared(upstream, connected);
	if (dialling && pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0)
		machine_push_dial(upstream->machine, PCONN_DIALED, pool_first(upstream->pool), NULL, false);
	upstream_act(upstream, todo, &in);
	machine_push_event(upstream->machine, PCONN_HELD);
}

/* Tells the machine all that was pushed, and does what it says.  Refreshes are on (P32, P33) while connected, as long
 * as clients have connections that may be withdrawn, and while attempts that have failed are not continued. */
static void
upstream_on_turn(void *arg)
{
	struct upstream *upstream = arg;
	struct machine *machine = upstream->machine;
	struct machine_input input;
	uint16_t endpoint;

	if (!machine_has_begun(machine)) {
		machine_begin(machine);
		upstream_resume(upstream);
		machine_began(machine);
	}
	while (machine_next(machine, &input)) {
		upstream_step(upstream, &input);
		mem_free(input.error);
		upstream_end_unused(upstream);
	}
	machine_rest(machine);
	listing_look(upstream->listing, (pool_in_use(upstream->pool) > 0 &&
	    !upstream_context_is_paused(&upstream->context)) || machine_is_to_stay(machine) ||
	    machine_is_idle_down(machine));
	upstream_log_note_state(upstream->log, upstream->shared != 0, upstream_refuses(upstream));
	upstream_tend(upstream); /* before anybody is given what must not be given any more */
	upstream_serve(upstream);
	endpoint = upstream->shared != 0 ? upstream_conn(upstream)->endpoint : pool_first(upstream->pool);
	if (upstream->context.settings->shared)
		pool_stand_by(upstream->pool, machine_is_to_stay(machine) && upstream_ready(upstream) > 0 ?
		    upstream->context.settings->standby : 0, endpoint);
	owns_tend(upstream->owns, upstream->shared != 0 ? endpoint : 0);
	machine_end_idleness(machine, listing_found_at(upstream->listing));
}

static void
upstream_on_ended(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text)
{
	struct upstream *upstream = arg;
	char error[RECORD_ERROR_SIZE], address[ADDRESS_TEXT_SIZE];
	bool lasts = upstream->context.settings->shared && age >= PCONN_YOUNG;

	record_address(upstream->context.record, number, address);
	snprintf(error, sizeof error, "ended by the server after %.1f s, unused%s%s", (double)age / CLOCK_SECOND,
	    *text == '\0' ? "" : ": ", text);
	if (role == TABLE_ROLE_STANDBY) {
		log_debug(upstream->context.name, "standby %s: %s", address, error);
		return;
	}
	if (upstream->shared != 0 || (pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0 &&
	    machine_undo_dialled(upstream->machine, error)))
		return; /* it was one too many, or the machine did not know it yet */
	upstream->ended_age = age;
	if (upstream_take_over(upstream, age)) {
		upstream_log_set_reason(upstream->log, error);
		return;
	}
	if (age < PCONN_YOUNG)
		upstream_log_set_error(upstream->log, address, error);
	else if (lasts)
		upstream_log_set_reason(upstream->log, error);
	else
		log_debug(upstream->context.name, "%s: %s", address, error);
	machine_push(upstream->machine,
	    (struct pconn_input){ .event = lasts ? PCONN_LOST : PCONN_ENDED, .age = age });
}

/* By order no more. */
static void
upstream_on_failed(void *arg)
{
	struct upstream *upstream = arg;

	upstream->context.table->services[upstream->context.service].failing.value = 0;
	upstream_log_end_order(upstream->log);
	machine_push_event(upstream->machine, PCONN_HELD);
}

struct upstream *
upstream_new(struct event_base *loop, struct table *table, uint16_t service, const struct upstream_settings *settings,
    const struct upstream_watcher *watcher, const struct upstream_callbacks *callbacks, void *arg)
{
	struct upstream *upstream = mem_new(1, sizeof *upstream);
	struct upstream_context *context = &upstream->context;

	*context = (struct upstream_context){ .loop = loop, .table = table, .service = service,
		.name = table->services[service].name, .record = record_of(table, service), .watcher = watcher,
		.callbacks = callbacks, .arg = arg };
	upstream_context_set(context, settings);
	recover_end_programs_of(&table->services[service]);
	loop_timer_init(&upstream->failing, loop, upstream_on_failed, upstream);
	upstream->machine = context->machine = machine_new(context, upstream_on_turn, upstream);
	upstream->log = context->log = upstream_log_new(context);
	upstream->listing = listing_new(context);
	upstream->pool = pool_new(context, upstream->listing, upstream_on_ended, upstream);
	upstream->owns = owns_new(context);
	upstream->handlers = handlers_new(context);
	for (uint32_t i = 0; (i = table_conn_next(table, service, i)) != 0;)
		if (table_conn_is_shared(table, i))
			upstream_set_shared(upstream, i);
	return upstream;
}

void
upstream_free(struct upstream *upstream)
{
	if (upstream == NULL)
		return;
	if (!machine_has_begun(upstream->machine))
		pool_adopt(upstream->pool, false, false);
	pool_free(upstream->pool);
	owns_free(upstream->owns);
	lookup_leave(upstream->looking);
	listing_free(upstream->listing);
	handlers_free(upstream->handlers);
	upstream_log_free(upstream->log);
	machine_free(upstream->machine);
	loop_timer_stop(&upstream->failing);
	record_clear(upstream->context.record);
	mem_free(upstream);
}

void
upstream_set_held(struct upstream *upstream, unsigned held)
{
	if (upstream == NULL || held == upstream->context.held)
		return;
	upstream->context.held = held;
	machine_push_event(upstream->machine, PCONN_HELD);
}

uint32_t
upstream_take(struct upstream *upstream)
{
	const struct pconn *p;
	uint32_t conn;
	bool shared;

	if (upstream == NULL)
		return 0;
	p = record_pconn(upstream->context.record);
	shared = upstream->context.settings->shared;
	if (!machine_gives(upstream->machine) || p->state != PCONN_CONNECTED ||
	    (shared && (upstream->shared != 0 || p->lost)))
		return 0;
	conn = pool_take(upstream->pool, shared ? 0 : upstream->context.settings->warm_max_age);
	/* All were too old; of one that has ended the loop will tell. */
	if (conn == 0 && !shared && pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0)
		machine_push_event(upstream->machine, PCONN_HELD);
	return conn;
}

void
upstream_taken(struct upstream *upstream, uint32_t conn)
{
	pool_taken(upstream->pool, conn);
	if (!upstream->context.settings->shared) {
		machine_push_event(upstream->machine, PCONN_TAKEN);
		return;
	}
	assert(table_conn_is_shared(upstream->context.table, conn));
	pool_tune_shared(upstream->pool, conn);
	upstream_set_shared(upstream, conn);
}

struct own *
upstream_own_start(struct upstream *upstream, const char *const *requests, size_t count, const char *first)
{
	return upstream == NULL ? NULL : own_start(upstream->owns, requests, count, first);
}

void
upstream_unused(struct upstream *upstream, uint32_t conn)
{
	char address[ADDRESS_TEXT_SIZE], text[RECORD_ERROR_SIZE];
	const struct table_conn *record;
	int64_t age;

	if (upstream == NULL || upstream_context_is_failing(&upstream->context))
		return;
	record = &upstream->context.table->conns[conn];
	age = clock_now() - record->since;
	snprintf(text, sizeof text, "ended by the server after %.1f s, unused", (double)age / CLOCK_SECOND);
	record_address(upstream->context.record, record->endpoint, address);
	if (age < PCONN_YOUNG)
		upstream_log_set_error(upstream->log, address, text);
	pool_note_unused(upstream->pool, record->endpoint, record->since);
	machine_push(upstream->machine, (struct pconn_input){ .event = PCONN_ENDED, .age = age });
}

uint32_t
upstream_shared(const struct upstream *upstream)
{
	return upstream == NULL ? 0 : upstream->shared;
}

bool
upstream_moves(const struct upstream *upstream)
{
	return upstream != NULL && upstream->moving;
}

void
upstream_lost(struct upstream *upstream, const char *reason)
{
	if (upstream == NULL)
		return;
	upstream_set_shared(upstream, 0);
	upstream_log_set_end(upstream->log, reason);
	upstream_lose(upstream);
}

bool
upstream_refuses(const struct upstream *upstream)
{
	return upstream == NULL || machine_refuses(upstream->machine, upstream->shared != 0);
}

bool
upstream_is_up(const struct upstream *upstream)
{
	return upstream != NULL && machine_is_up(upstream->machine);
}

void
upstream_tell(struct upstream *upstream, enum pconn_event event)
{
	if (upstream != NULL)
		machine_tell(upstream->machine, event);
}

void
upstream_let_go(struct upstream *upstream, bool lets)
{
	if (upstream == NULL)
		return;
	upstream->let_go = lets;
	if (lets && upstream->moving && !upstream_context_is_paused(&upstream->context))
		machine_look(upstream->machine); /* client/ is at work with it */
	else
		machine_push_event(upstream->machine, PCONN_HELD);
}

bool
upstream_is_at_rest(const struct upstream *upstream)
{
	uint8_t state = record_pconn(upstream->context.record)->state;

	return upstream_ready(upstream) == 0 && pool_dialling(upstream->pool, TABLE_ROLE_NEXT) == 0 &&
	    (state == PCONN_IDLE || state == PCONN_WAIT || state == PCONN_DISCONNECTED || state == PCONN_CLOSED);
}

void
upstream_fail(struct upstream *upstream, const char *by)
{
	int64_t until = (int64_t)upstream->context.table->services[upstream->context.service].failing.value;

	if (until != 0)
		upstream_log_set_order(upstream->log, by);
	loop_timer_at(&upstream->failing, until != 0 ? until : CLOCK_NEVER);
	machine_push_event(upstream->machine, PCONN_HELD);
}

void
upstream_renew(struct upstream *upstream, const struct upstream_settings *settings, bool anew)
{
	pool_set(upstream->pool, settings);
	owns_set(upstream->owns, settings);
	upstream_context_set(&upstream->context, settings);
	if (!anew) {
		listing_set(upstream->listing);
		machine_push_event(upstream->machine, PCONN_HELD); /* perhaps more or fewer are to be kept warm */
		return;
	}
	lookup_leave(upstream->looking);
	upstream->looking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	listing_renew(upstream->listing); /* what was found out is void */
	upstream->context.record->renewed = 1;
	if (machine_has_begun(upstream->machine))
		machine_push_renewal(upstream->machine);
}

struct upstream_waiter *
upstream_wait(struct upstream *upstream, unsigned kind, upstream_answer *answer, void *arg)
{
	bool connected = pconn_is_connected(record_pconn(upstream->context.record)) && !upstream->lost;

	return machine_wait(upstream->machine, kind, connected, upstream_refuses(upstream), answer, arg);
}

void
upstream_leave(struct upstream_waiter *waiter)
{
	machine_leave(waiter);
}

struct lookup *
upstream_lookup(const struct upstream *upstream)
{
	return listing_lookup(upstream->listing);
}

void
upstream_get_status(const struct upstream *upstream, struct upstream_status *ret_status)
{
	const struct upstream_record *record = upstream->context.record;
	const struct endpoint *current = endpoints_find(&record->endpoints, record->number);
	const struct pconn *p = record_pconn(upstream->context.record);
	struct lookup *lookup = listing_lookup(upstream->listing);

	*ret_status = (struct upstream_status){ .state = upstream_state(p, upstream->shared != 0),
		.up = upstream_log_is_well(upstream->log, upstream_refuses(upstream)),
		.resting = p->resting || (p->cold && upstream->context.pconn.fades),
		.address = record->address, .since = record->since, .down_since = record->down_since,
		.next_attempt = p->state == PCONN_WAIT ? p->deadline : 0, .last_error = record->last_error,
		.last_error_at = record->last_error_at, .failures = p->failures, .counters = record->counters,
		.warm = upstream->context.settings->shared ? 0 : pool_idle(upstream->pool, TABLE_ROLE_NEXT),
		.standby = pool_idle(upstream->pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling(upstream->pool, TABLE_ROLE_NEXT), .lookup = lookup_describe(lookup),
		.lookup_running_since = lookup_running_since(lookup),
		.withdrawn = current != NULL && endpoints_state(&record->endpoints, current) == ENDPOINT_WITHDRAWN };
	for (uint32_t i = 0; i < record->endpoints.high; i++)
		ret_status->endpoints += endpoints_is_listed(&record->endpoints, &record->endpoints.list[i]);
	if (ret_status->since == 0)
		ret_status->since = upstream->context.table->services[upstream->context.service].since;
}
