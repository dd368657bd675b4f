#include "upstream/upstream.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/recover.h"
#include "upstream/upstream_parts.h"

#define UPSTREAM_GONE "the service was removed"

/* By order no more. */
static void
upstream_on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;

	(void)fd;
	(void)what;
	upstream->table->services[upstream->service].failing.value = 0;
	table_history_add(upstream->table, upstream->service, UPSTREAM_NOTE, "the failure by order is over");
	log_notice(upstream->name, "the failure by order of %s is over; it is connected anew", upstream->failing_by);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_HELD });
}

static void
upstream_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;

	(void)fd;
	(void)what;
	if (!upstream->begun)
		upstream_begin(upstream);
	upstream_run(upstream);
}

static void
upstream_make_lookup(struct upstream *upstream)
{
	upstream->lookup = lookup_new(upstream->loop, upstream->name, &upstream->settings->lookup,
	    &upstream->table->services[upstream->service].groups[TABLE_GROUP_LOOKUP], upstream->record,
	    &upstream_lookup_callbacks, upstream);
	upstream_tell_passed_over(upstream);
}

struct upstream *
upstream_new(struct event_base *loop, struct table *table, uint16_t service, const struct upstream_settings *settings,
    const struct upstream_callbacks *callbacks, void *arg)
{
	struct upstream *upstream = mem_new(1, sizeof *upstream);
	struct table_service *record = &table->services[service];
	struct pool_settings connecting;

	upstream->loop = loop;
	upstream->table = table;
	upstream->service = service;
	upstream->name = record->name;
	upstream->settings = settings;
	upstream->callbacks = callbacks;
	upstream->arg = arg;
	upstream->record = record_of(table, service);
	upstream_note_settings(upstream);
	connecting = upstream_pool_settings(upstream);
	upstream_find_lent(upstream);
	if (getrandom(&upstream->random, sizeof upstream->random, GRND_NONBLOCK) != sizeof upstream->random ||
	    upstream->random == 0)
		upstream->random = (uint64_t)clock_now() | 1;
	recover_end_programs_of(record);
	if (!upstream->record->begun)
		record_clear(upstream->record);
	STAILQ_INIT(&upstream->inputs);
	upstream->stock = (struct stock){ .size = sizeof(struct upstream_input), .number = 4 };
	loop_timer_init(&upstream->turn, loop, upstream_on_turn, upstream);
	loop_timer_init(&upstream->timer, loop, upstream_on_timer, upstream);
	loop_timer_init(&upstream->still, loop, upstream_on_still, upstream);
	loop_timer_init(&upstream->failing, loop, upstream_on_failed, upstream);
	loop_timer_init(&upstream->tending, loop, upstream_on_tending, upstream);
	record_text(upstream->failing_by, sizeof upstream->failing_by, "an operator");
	upstream_make_lookup(upstream);
	upstream->pool = pool_new(loop, table, service, &upstream->record->endpoints, &connecting,
	    &upstream_pool_callbacks,
	    upstream);
	upstream->handlers = handlers_new(loop, settings, record, upstream->record, upstream_on_handled, upstream);
	upstream->waiters = waiters_new(loop);
	loop_timer_soon(&upstream->turn);
	return upstream;
}

void
upstream_free(struct upstream *upstream)
{
	struct upstream_input *input;

	if (upstream == NULL)
		return;
	if (!upstream->begun)
		pool_adopt(upstream->pool, false, false);
	pool_free(upstream->pool);
	lookup_leave(upstream->asking);
	lookup_free(upstream->lookup);
	handlers_free(upstream->handlers);
	waiters_free(upstream->waiters, UPSTREAM_GONE);
	while ((input = STAILQ_FIRST(&upstream->inputs)) != NULL)
		upstream_free_input(upstream, input);
	stock_clear(&upstream->stock);
	loop_timer_stop(&upstream->turn);
	loop_timer_stop(&upstream->timer);
	loop_timer_stop(&upstream->still);
	loop_timer_stop(&upstream->failing);
	loop_timer_stop(&upstream->tending);
	record_clear(upstream->record);
	mem_free(upstream);
}

static void
upstream_push_event(struct upstream *upstream, enum pconn_event event)
{
	upstream_push(upstream, (struct pconn_input){ .event = event });
}

void
upstream_set_held(struct upstream *upstream, unsigned held)
{
	if (held == upstream->held)
		return;
	upstream->held = held;
	upstream_push_event(upstream, PCONN_HELD);
}

uint32_t
upstream_take(struct upstream *upstream)
{
	uint32_t conn;

	if (!upstream_gives(upstream) || upstream_pconn(upstream)->state != PCONN_CONNECTED)
		return 0;
	conn = pool_take(upstream->pool, upstream->settings->warm_max_age);
	/* All were too old; of one that has ended the loop will tell. */
	if (conn == 0 && pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0)
		upstream_push_event(upstream, PCONN_HELD);
	return conn;
}

void
upstream_taken(struct upstream *upstream, uint32_t conn)
{
	pool_taken(upstream->pool, conn);
	upstream_push_event(upstream, PCONN_TAKEN);
}

void
upstream_relayed(struct upstream *upstream)
{
	upstream_push_event(upstream, PCONN_RELAYED);
}

void
upstream_unused(struct upstream *upstream, uint32_t conn)
{
	const struct table_conn *record = &upstream->table->conns[conn];
	int64_t age = clock_now() - record->since;
	char address[ADDRESS_TEXT_SIZE], text[RECORD_ERROR_SIZE];

	if (upstream_is_failing(upstream))
		return;
	if (age < PCONN_YOUNG) {
		snprintf(text, sizeof text, "ended by the server after %.1f s, unused", (double)age / CLOCK_SECOND);
		upstream_address(upstream, record->endpoint, address);
		upstream_set_error(upstream, address, text);
	}
	pool_note_unused(upstream->pool, record->endpoint, record->since);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_ENDED, .age = age });
}

bool
upstream_refuses(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (upstream->asked_to_end)
		return true;
	return !upstream->asked_to_open && (pconn_is_closed(p) || upstream_is_draining(upstream));
}

bool
upstream_is_up(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (upstream_is_failing(upstream))
		return false;
	switch ((enum pconn_state)p->state) {
	case PCONN_NEW: case PCONN_IDLE:
		return true;
	case PCONN_CONNECTED:
		return !p->lost;
	case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL: case PCONN_FAILED:
		return p->failures == 0;
	case PCONN_WAIT: case PCONN_DISCONNECTED:
		return p->failures == 0 && p->retry_at <= clock_now();
	case PCONN_CLOSED: case PCONN_STATES:
		return false;
	}
	return false;
}

/* What was found out is void. */
static void
upstream_begin_anew(struct upstream *upstream)
{
	lookup_leave(upstream->asking);
	upstream->asking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	lookup_free(upstream->lookup);
	endpoints_renew(&upstream->record->endpoints, clock_now());
	upstream->record->lookup = (struct lookup_record){ 0 };
	memset(upstream->record->passed_over, 0, sizeof upstream->record->passed_over);
	upstream_make_lookup(upstream);
	upstream->record->renewed = 1;
	if (upstream->begun)
		upstream_push_renewal(upstream);
}

void
upstream_renew(struct upstream *upstream, const struct upstream_settings *settings, bool anew)
{
	struct pool_settings connecting;

	upstream->settings = settings;
	upstream_note_settings(upstream);
	connecting = upstream_pool_settings(upstream);
	pool_set(upstream->pool, &connecting);
	handlers_set(upstream->handlers, settings);
	if (anew) {
		upstream_begin_anew(upstream);
		return;
	}
	lookup_set(upstream->lookup, &settings->lookup);
	upstream_push_event(upstream, PCONN_HELD); /* perhaps more or fewer are to be kept warm */
}

void
upstream_reconnect(struct upstream *upstream)
{
	upstream_push_event(upstream, PCONN_RECONNECT);
}

void
upstream_obey(struct upstream *upstream)
{
	upstream->let_go = false;
	upstream_push_event(upstream, PCONN_HELD);
}

void
upstream_let_go(struct upstream *upstream)
{
	upstream->let_go = true;
	if (upstream->moving && !upstream_is_paused(upstream))
		loop_timer_soon(&upstream->tending); /* its borrower is at work with it */
	else
		upstream_push_event(upstream, PCONN_HELD);
}

bool
upstream_is_at_rest(const struct upstream *upstream)
{
	if (upstream->lent != 0 || pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0 || pool_dialling(upstream->pool) >
	    0)
		return false;
	switch ((enum pconn_state)upstream_pconn(upstream)->state) {
	case PCONN_IDLE: case PCONN_WAIT: case PCONN_DISCONNECTED: case PCONN_CLOSED:
		return true;
	case PCONN_NEW: case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL:
	case PCONN_FAILED: case PCONN_CONNECTED: case PCONN_STATES:
		return false;
	}
	return false;
}

int64_t
upstream_failing_left(const struct upstream *upstream)
{
	int64_t left = (int64_t)upstream->table->services[upstream->service].failing.value - clock_now();

	return left > 0 ? left : 0;
}

void
upstream_fail(struct upstream *upstream, const char *by)
{
	int64_t until = (int64_t)upstream->table->services[upstream->service].failing.value;

	if (until == 0) {
		loop_timer_stop(&upstream->failing);
	} else {
		record_text(upstream->failing_by, sizeof upstream->failing_by, by);
		loop_timer_at(&upstream->failing, until);
	}
	upstream_push_event(upstream, PCONN_HELD);
}

static void
upstream_end(struct upstream *upstream, enum pconn_event event)
{
	upstream->asked_to_end = true;
	upstream->asked_to_open = false;
	upstream_push_event(upstream, event);
}

void
upstream_close(struct upstream *upstream)
{
	upstream_end(upstream, PCONN_CLOSE);
}

void
upstream_drain(struct upstream *upstream)
{
	upstream_end(upstream, PCONN_DRAIN);
}

void
upstream_open(struct upstream *upstream)
{
	upstream->asked_to_end = false;
	upstream->asked_to_open = true;
	upstream_push_event(upstream, PCONN_OPEN);
}

const char *
upstream_closed_error(const struct upstream *upstream)
{
	return upstream_pconn(upstream)->ending == PCONN_END_ABORT ? upstream->record->abort_error :
	    "persistent connection closed";
}

/* P13, P14. */
static struct upstream_waiter *
upstream_ask_connected(struct upstream *upstream, unsigned kind, upstream_answer *answer, void *arg)
{
	struct upstream_waiter *waiter = waiters_add(upstream->waiters, kind, answer, arg);

	if (upstream_refuses(upstream))
		waiters_answer_one(waiter, upstream_closed_error(upstream));
	else if (pconn_is_connected(upstream_pconn(upstream)) && !upstream->lost)
		waiters_answer_one(waiter, NULL);
	return waiter;
}

struct upstream_waiter *
upstream_wait(struct upstream *upstream, upstream_answer *answer, void *arg)
{
	return upstream_ask_connected(upstream, WAITERS_CONNECTED, answer, arg);
}

struct upstream_waiter *
upstream_try(struct upstream *upstream, upstream_answer *answer, void *arg)
{
	return upstream_ask_connected(upstream, WAITERS_RESULT, answer, arg);
}

struct upstream_waiter *
upstream_wait_closed(struct upstream *upstream, upstream_answer *answer, void *arg)
{
	struct upstream_waiter *waiter = waiters_add(upstream->waiters, WAITERS_CLOSED, answer, arg);

	if (upstream_pconn(upstream)->state == PCONN_CLOSED && !upstream->asked_to_open)
		waiters_answer_one(waiter, NULL);
	return waiter;
}

struct lookup_waiter *
upstream_lookup(struct upstream *upstream, lookup_callback *callback, void *arg)
{
	return lookup_ask(upstream->lookup, false, callback, arg);
}

const struct catalog *
upstream_catalog(const struct upstream *upstream)
{
	return lookup_catalog(upstream->lookup);
}
