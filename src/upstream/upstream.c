#include "upstream/upstream.h"

#include <assert.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/recover.h"
#include "upstream/handlers.h"
#include "upstream/in_use.h"
#include "upstream/listing.h"

struct upstream_waiter {
	LIST_ENTRY(upstream_waiter) next;
	unsigned kind;       /* 0: its answer is on its way, and it is in no list */
	upstream_answer *answer;
	void *arg;           /* borrowed */
	char *error;         /* owned; the answer */
	struct loop_timer timer;
};

struct upstream {
	struct upstream_context context;
	struct upstream_record *record;             /* borrowed: the table's */
	struct machine *machine;                    /* owned */
	struct upstream_log *log;                   /* owned */
	struct listing *listing;                    /* owned */
	struct pool *pool;                          /* owned */
	struct in_use *in_use;                      /* owned */
	struct handlers *handlers;                  /* owned */
	LIST_HEAD(, upstream_waiter) waiters;       /* owned by themselves */
	struct lookup_waiter *looking;              /* owned: the attempt's lookup; NULL: none */
	struct loop_timer failing;                  /* the end of a failure that an operator set */
	bool refused, was_up, moved;                /* as it was when clients were served */
	int64_t ended_age;                          /* of the last unused one that ended */
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
	return pool_idle(upstream->pool, TABLE_ROLE_NEXT) + (in_use_shared(upstream->in_use) != 0);
}

/* The attempt's lookup and dials, of which no more is told, but that it fails for an operator. */
static void
upstream_end_attempt(struct upstream *upstream, bool fails)
{
	bool dialling = record_pconn(upstream->record)->state == PCONN_DIAL;

	lookup_leave(upstream->looking);
	upstream->looking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_NEXT);
	machine_forget(upstream->machine, false);
	if (!fails)
		return;
	upstream_log_set_failing(upstream->log);
	machine_push_event(upstream->machine, dialling ? PCONN_DIAL_FAILED : PCONN_LOOKUP_FAILED);
}

static void
upstream_drop(struct upstream *upstream)
{
	upstream_end_attempt(upstream, false);
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	in_use_drop(upstream->in_use);
}

/* Tells the event to whoever wants it; then, with handle, runs its handler. */
static void
upstream_report(struct upstream *upstream, bool report, bool handle)
{
	const struct upstream_watcher *watcher = upstream->context.watcher;
	struct upstream_event event = report ? upstream_log_report(upstream->log) : upstream_log_last(upstream->log);

	if (report) {
		watcher->event(watcher->arg, &upstream->context.table->services[upstream->context.service], &event);
		handlers_notify(upstream->handlers, &event);
	}
	if (handle && !handlers_run(upstream->handlers, &event))
		machine_push_event(upstream->machine, PCONN_HANDLED);
}

/* Of dials that are over all is told already; of a dead worker's nothing is left. */
static void
upstream_dial(struct upstream *upstream, bool go)
{
	if (!pool_is_attempting(upstream->pool) && !machine_has_dials(upstream->machine))
		pool_start(upstream->pool, POOL_ATTEMPT, 1);
	else if (go)
		pool_go(upstream->pool);
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

/* Again, if it does so already. */
static void
upstream_look_up(struct upstream *upstream)
{
	lookup_leave(upstream->looking);
	upstream->looking = lookup_ask(listing_lookup(upstream->listing), LOOKUP_ATTEMPT, upstream_on_looked_up,
	    upstream);
}

static void
upstream_answer_one(struct upstream_waiter *waiter, const char *error)
{
	LIST_REMOVE(waiter, next);
	waiter->kind = 0;
	waiter->error = mem_copy_text(error);
	loop_timer_soon(&waiter->timer);
}

/* Of these kinds. */
static void
upstream_answer_all(struct upstream *upstream, unsigned kinds, const char *error)
{
	struct upstream_waiter *waiter, *next;

	for (waiter = LIST_FIRST(&upstream->waiters); waiter != NULL; waiter = next) {
		next = LIST_NEXT(waiter, next);
		if ((waiter->kind & kinds) != 0)
			upstream_answer_one(waiter, error);
	}
}

static void
upstream_act_answers(struct upstream *upstream, unsigned todo)
{
	unsigned either = UPSTREAM_WAIT_CONNECTED | UPSTREAM_WAIT_RESULT;

	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		upstream_answer_all(upstream, either, NULL);
	if ((todo & PCONN_DO_ANSWER_CLOSED) != 0)
		upstream_answer_all(upstream, either, record_closed_error(upstream->record));
	if ((todo & PCONN_DO_ANSWER_FAILED) != 0)
		upstream_answer_all(upstream, UPSTREAM_WAIT_RESULT, upstream->record->last_error);
	if ((todo & PCONN_DO_FINISHED) != 0)
		upstream_answer_all(upstream, UPSTREAM_WAIT_CLOSED, NULL);
}

/* Does what the machine says; in is what it was told. */
static void
upstream_act(struct upstream *upstream, unsigned todo, const struct pconn_input *in)
{
	if ((todo & PCONN_DO_DROP) != 0)
		upstream_drop(upstream);
	if ((todo & PCONN_DO_EXPIRED) != 0)
		upstream->record->counters.expiries++;
	if ((todo & PCONN_DO_REST) != 0)
		upstream_log_rest(upstream->log, in->event == PCONN_SPOKE ? 0 : upstream->ended_age);
	upstream_act_answers(upstream, todo);
	if ((todo & (PCONN_DO_REPORT | PCONN_DO_HANDLE)) != 0)
		upstream_report(upstream, (todo & PCONN_DO_REPORT) != 0, (todo & PCONN_DO_HANDLE) != 0);
	if ((todo & PCONN_DO_FAIL) != 0)
		upstream_end_attempt(upstream, true);
	if ((todo & PCONN_DO_LOOKUP) != 0)
		upstream_look_up(upstream);
	if ((todo & (PCONN_DO_DIAL | PCONN_DO_GO)) != 0)
		upstream_dial(upstream, (todo & PCONN_DO_GO) != 0);
	if ((todo & PCONN_DO_STOP) != 0 && pool_stop(upstream->pool))
		machine_forget(upstream->machine, true); /* it was taken back */
	if ((todo & PCONN_DO_FILL) != 0)
		pool_start(upstream->pool, POOL_FILL,
		    pconn_wanted(record_pconn(upstream->record), &upstream->context.pconn, in));
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
	in->dialling = pool_dialling(upstream->pool);
	in->paused = upstream_context_is_paused(&upstream->context);
	in->in_use = in_use_is_busy(upstream->in_use);
	in->failing = upstream_context_is_failing(&upstream->context);
	if (in->event == PCONN_ENDED)
		in->elsewhere = endpoints_elsewhere(&upstream->record->endpoints);
	todo = machine_step(upstream->machine, in, input->number, &place);
	upstream_log_note_step(upstream->log, &place->pconn, in->event, todo);
	record_commit(upstream->record);
	in_use_note(upstream->in_use, in->event);
	if (in->event == PCONN_RENEW)
		upstream->record->renewed = 0;
	if (in->event == PCONN_WAKE)
		pool_wake_standby(upstream->pool);
	if (in->same)
		log_debug(upstream->context.name, "%s, again", upstream->record->last_error);
	upstream_act(upstream, todo, in);
}

/* P20 keeps the current connection; here that is the clients', or the shared one, and the ones nobody has are of no
 * use. */
static void
upstream_end_unused(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->record);

	if (p->state != PCONN_CONNECTED || p->lost || p->ending == PCONN_END_NONE ||
	    in_use_shared(upstream->in_use) != 0)
		return;
	upstream_drop(upstream);
	upstream_log_set_end(upstream->log, "");
	machine_push_event(upstream->machine, PCONN_LOST);
}

/* Lets clients have what is ready, or have them refused, or leave what they share. */
static void
upstream_serve(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->record);
	bool refuses = upstream_refuses(upstream), up = upstream_is_up(upstream), moves = upstream_moves(upstream);
	unsigned warm = p->resting ? 0 : pconn_warm(p, &upstream->context.pconn), held;

	if (pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0 || refuses != upstream->refused ||
	    up != upstream->was_up || moves != upstream->moved) {
		upstream->refused = refuses;
		upstream->was_up = up;
		upstream->moved = moves;
		upstream->context.callbacks->ready(upstream->context.arg);
	}
	held = upstream_waiting(upstream);
	if (p->state == PCONN_CONNECTED)
		pool_trim(upstream->pool, TABLE_ROLE_NEXT,
		    in_use_shared(upstream->in_use) != 0 ? 0 : warm > held ? warm : held);
}

/* P26: with no event and no new attempt. */
static void
upstream_resume(struct upstream *upstream)
{
	const struct pconn *p = record_pconn(upstream->record);
	struct pconn_input in = { .event = PCONN_HELD, .held = upstream_waiting(upstream) };
	unsigned todo = pconn_resume(p);
	bool connected = p->state == PCONN_CONNECTED && !p->lost;
	bool standby = connected && upstream->context.settings->shared;
	bool dialling = p->state == PCONN_DIAL && !p->doomed;

	endpoints_resume(&upstream->record->endpoints, clock_now());
	pool_adopt(upstream->pool, connected || dialling, standby);
	listing_resume(upstream->listing);
	in_use_resume(upstream->in_use);
	if (dialling && pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0)
		machine_push_dial(upstream->machine, PCONN_DIALED, pool_first(upstream->pool), NULL, false);
	upstream_act(upstream, todo, &in);
	machine_push_event(upstream->machine, PCONN_HELD);
}

/* Takes over what the record says, or begins. */
static void
upstream_begin(struct upstream *upstream)
{
	machine_begin(upstream->machine);
	if (upstream->record->begun && record_pconn(upstream->record)->state != PCONN_NEW) {
		upstream_resume(upstream);
	} else {
		upstream->record->begun = 1;
		pool_adopt(upstream->pool, false, false);
		in_use_forget(upstream->in_use);
	}
	machine_began(upstream->machine);
}

/* P32, P33: while connected, as long as clients have connections that may be withdrawn, and while attempts that have
 * failed are not continued. */
static void
upstream_refresh(struct upstream *upstream)
{
	bool in_use = pool_in_use(upstream->pool) > 0 && !upstream_context_is_paused(&upstream->context);

	lookup_refresh(listing_lookup(upstream->listing), in_use || machine_is_to_stay(upstream->machine) ||
	    machine_is_idle_down(upstream->machine));
}

/* Tells the machine all that was pushed, and does what it says. */
static void
upstream_on_turn(void *arg)
{
	struct upstream *upstream = arg;
	const struct upstream_waiter *waiter;
	struct machine_input input;
	bool asked = false;

	if (!machine_has_begun(upstream->machine))
		upstream_begin(upstream);
	while (machine_next(upstream->machine, &input)) {
		upstream_step(upstream, &input);
		mem_free(input.error);
		upstream_end_unused(upstream);
	}
	machine_rest(upstream->machine);
	upstream_refresh(upstream);
	upstream_log_note_state(upstream->log, in_use_shared(upstream->in_use) != 0, upstream_refuses(upstream));
	in_use_tend(upstream->in_use); /* before anybody is given what must not be given any more */
	upstream_serve(upstream);
	in_use_tend_standby(upstream->in_use);
	LIST_FOREACH(waiter, &upstream->waiters, next)
		asked = asked || waiter->kind != UPSTREAM_WAIT_CLOSED;
	machine_end_idleness(upstream->machine, asked, listing_found_at(upstream->listing));
}

static void
upstream_on_ended(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text)
{
	struct upstream *upstream = arg;
	char error[RECORD_ERROR_SIZE], address[ADDRESS_TEXT_SIZE];
	bool lasts = upstream->context.settings->shared && age >= PCONN_YOUNG;

	record_address(upstream->record, number, address);
	snprintf(error, sizeof error, "ended by the server after %.1f s, unused%s%s", (double)age / CLOCK_SECOND,
	    *text == '\0' ? "" : ": ", text);
	if (role == TABLE_ROLE_STANDBY) {
		log_debug(upstream->context.name, "standby %s: %s", address, error);
		return;
	}
	if (in_use_shared(upstream->in_use) != 0 || (pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0 &&
	    machine_undo_dialled(upstream->machine, error)))
		return; /* it was one too many, or the machine did not know it yet */
	upstream->ended_age = age;
	if (in_use_take_over(upstream->in_use, age)) {
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
		.name = table->services[service].name, .record = record_of(table, service),
		.watcher = watcher, .callbacks = callbacks, .arg = arg };
	upstream_context_set(context, settings);
	upstream->record = context->record;
	recover_end_programs_of(&table->services[service]);
	loop_timer_init(&upstream->failing, loop, upstream_on_failed, upstream);
	upstream->machine = context->machine = machine_new(context, upstream_on_turn, upstream);
	upstream->log = context->log = upstream_log_new(context);
	upstream->listing = listing_new(context);
	upstream->pool = pool_new(context, upstream->listing, upstream_on_ended, upstream);
	upstream->in_use = in_use_new(context, upstream->pool);
	upstream->handlers = handlers_new(context);
	LIST_INIT(&upstream->waiters);
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
	in_use_free(upstream->in_use);
	lookup_leave(upstream->looking);
	listing_free(upstream->listing);
	handlers_free(upstream->handlers);
	upstream_answer_all(upstream, ~0u, "the service was removed");
	upstream_log_free(upstream->log);
	machine_free(upstream->machine);
	loop_timer_stop(&upstream->failing);
	record_clear(upstream->record);
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
	p = record_pconn(upstream->record);
	shared = upstream->context.settings->shared;
	if (!machine_gives(upstream->machine) || p->state != PCONN_CONNECTED ||
	    (shared && (in_use_shared(upstream->in_use) != 0 || p->lost)))
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
	in_use_share(upstream->in_use, conn);
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
	if (age < PCONN_YOUNG) {
		snprintf(text, sizeof text, "ended by the server after %.1f s, unused", (double)age / CLOCK_SECOND);
		record_address(upstream->record, record->endpoint, address);
		upstream_log_set_error(upstream->log, address, text);
	}
	pool_note_unused(upstream->pool, record->endpoint, record->since);
	machine_push(upstream->machine, (struct pconn_input){ .event = PCONN_ENDED, .age = age });
}

uint32_t
upstream_shared(const struct upstream *upstream)
{
	return upstream == NULL ? 0 : in_use_shared(upstream->in_use);
}

bool
upstream_moves(const struct upstream *upstream)
{
	return upstream != NULL && in_use_moves(upstream->in_use);
}

void
upstream_lost(struct upstream *upstream, const char *reason)
{
	if (upstream != NULL)
		in_use_lost(upstream->in_use, reason);
}

bool
upstream_refuses(const struct upstream *upstream)
{
	return upstream == NULL || machine_refuses(upstream->machine, in_use_shared(upstream->in_use) != 0);
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
	if (upstream != NULL)
		in_use_let_go(upstream->in_use, lets);
}

bool
upstream_is_at_rest(const struct upstream *upstream)
{
	uint8_t state = record_pconn(upstream->record)->state;

	return upstream_ready(upstream) == 0 && pool_dialling(upstream->pool) == 0 && (state == PCONN_IDLE ||
	    state == PCONN_WAIT || state == PCONN_DISCONNECTED || state == PCONN_CLOSED);
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
	upstream_context_set(&upstream->context, settings);
	in_use_set(upstream->in_use);
	if (!anew) {
		listing_set(upstream->listing);
		machine_push_event(upstream->machine, PCONN_HELD); /* perhaps more or fewer are to be kept warm */
		return;
	}
	lookup_leave(upstream->looking);
	upstream->looking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	listing_renew(upstream->listing); /* what was found out is void */
	upstream->record->renewed = 1;
	if (machine_has_begun(upstream->machine))
		machine_push_renewal(upstream->machine);
}

static void
upstream_on_answer(void *arg)
{
	struct upstream_waiter *waiter = arg;
	upstream_answer *answer = waiter->answer;
	void *answer_arg = waiter->arg;
	char *error = waiter->error;

	waiter->error = NULL;
	upstream_leave(waiter);
	answer(answer_arg, error);
	mem_free(error);
}

struct upstream_waiter *
upstream_wait(struct upstream *upstream, unsigned kind, upstream_answer *answer, void *arg)
{
	struct upstream_waiter *waiter = mem_new(1, sizeof *waiter);
	bool refuses = upstream_refuses(upstream), closed = kind == UPSTREAM_WAIT_CLOSED;
	const struct pconn *p = record_pconn(upstream->record);

	waiter->kind = kind;
	waiter->answer = answer;
	waiter->arg = arg;
	loop_timer_init(&waiter->timer, upstream->context.loop, upstream_on_answer, waiter);
	LIST_INSERT_HEAD(&upstream->waiters, waiter, next);
	if (closed ? refuses && p->state == PCONN_CLOSED : !refuses && pconn_is_connected(p) &&
	    !in_use_is_lost(upstream->in_use))
		upstream_answer_one(waiter, NULL);
	else if (!closed && refuses)
		upstream_answer_one(waiter, record_closed_error(upstream->record));
	else if (!closed)
		machine_push_event(upstream->machine, PCONN_HELD);
	return waiter;
}

void
upstream_leave(struct upstream_waiter *waiter)
{
	if (waiter == NULL)
		return;
	if (waiter->kind != 0)
		LIST_REMOVE(waiter, next);
	loop_timer_stop(&waiter->timer);
	mem_free(waiter->error);
	mem_free(waiter);
}

struct lookup *
upstream_lookup(const struct upstream *upstream)
{
	return listing_lookup(upstream->listing);
}

void
upstream_get_status(const struct upstream *upstream, struct upstream_status *ret_status)
{
	const struct upstream_record *record = upstream->record;
	const struct endpoint *current = endpoints_find(&record->endpoints, record->number);
	const struct pconn *p = record_pconn(upstream->record);
	struct lookup *lookup = listing_lookup(upstream->listing);

	*ret_status = (struct upstream_status){ .state = upstream_state(p, in_use_shared(upstream->in_use) != 0),
		.up = upstream_log_is_well(upstream->log, upstream_refuses(upstream)),
		.resting = p->resting || (p->cold && upstream->context.pconn.fades),
		.address = record->address, .since = record->since, .down_since = record->down_since,
		.next_attempt = p->state == PCONN_WAIT ? p->deadline : 0, .last_error = record->last_error,
		.last_error_at = record->last_error_at, .failures = p->failures, .counters = record->counters,
		.warm = upstream->context.settings->shared ? 0 : pool_idle(upstream->pool, TABLE_ROLE_NEXT),
		.standby = pool_idle(upstream->pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling(upstream->pool), .lookup = lookup_describe(lookup),
		.lookup_running_since = lookup_running_since(lookup),
		.withdrawn = current != NULL && endpoints_state(&record->endpoints, current) == ENDPOINT_WITHDRAWN };
	for (uint32_t i = 0; i < record->endpoints.high; i++)
		ret_status->endpoints += endpoints_is_listed(&record->endpoints, &record->endpoints.list[i]);
	if (ret_status->since == 0)
		ret_status->since = upstream->context.table->services[upstream->context.service].since;
}
