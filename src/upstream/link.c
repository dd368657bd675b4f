#include "upstream/link.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/recover.h"
#include "upstream/conn.h"
#include "upstream/link_parts.h"

#define LINK_GONE "the service was removed"

/* By order no more. */
static void
link_on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)what;
	link->table->services[link->service].failing.value = 0;
	table_history_add(link->table, link->service, LINK_NOTE, "the failure by order is over");
	log_notice(link->name, "the failure by order of %s is over; it is connected anew", link->failing_by);
	link_push(link, (struct pconn_input){ .event = PCONN_HELD });
}

static void
link_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)what;
	if (!link->begun)
		link_begin(link);
	link_run(link);
}

static void
link_make_lookup(struct link *link)
{
	link->lookup = lookup_new(link->loop, link->name, &link->settings->lookup,
	    &link->table->services[link->service].groups[TABLE_GROUP_LOOKUP], &link->record->lookup,
	    &link_lookup_callbacks, link);
	link_tell_passed_over(link);
}

/* What a dead worker's look-up gave. */
static void
link_keep_last(struct link *link)
{
	const struct endpoints *e = &link->record->endpoints;
	struct lookup_endpoint *last = mem_new(LOOKUP_ENDPOINTS, sizeof *last);
	size_t count = 0;

	for (uint32_t i = 0; i < e->high; i++) {
		if (!endpoints_is_listed(e, &e->list[i]))
			continue;
		endpoint_address(&e->list[i], &last[count].address);
		last[count].priority = endpoints_listing(e, &e->list[i])->priority;
		last[count].weight = endpoints_listing(e, &e->list[i])->weight;
		record_text(last[count++].from, sizeof last->from, e->list[i].from);
	}
	if (count > 0)
		lookup_keep(link->lookup, last, count);
	mem_free(last);
}

struct link *
link_new(struct event_base *loop, struct table *table, uint16_t service, const struct link_settings *settings,
    const struct link_callbacks *callbacks, void *arg)
{
	struct link *link = mem_new(1, sizeof *link);
	struct table_service *record = &table->services[service];
	struct pool_settings connecting;

	link->loop = loop;
	link->table = table;
	link->service = service;
	link->name = record->name;
	link->settings = settings;
	link->callbacks = callbacks;
	link->arg = arg;
	link->record = record_of(table, service);
	link_note_settings(link);
	connecting = link_pool_settings(link);
	link_find_lent(link);
	if (getrandom(&link->random, sizeof link->random, GRND_NONBLOCK) != sizeof link->random || link->random == 0)
		link->random = (uint64_t)clock_now() | 1;
	recover_end_programs_of(record);
	if (!link->record->begun)
		record_clear(link->record);
	STAILQ_INIT(&link->inputs);
	link->stock = (struct stock){ .size = sizeof(struct link_input), .number = 4 };
	loop_timer_init(&link->turn, loop, link_on_turn, link);
	loop_timer_init(&link->timer, loop, link_on_timer, link);
	loop_timer_init(&link->still, loop, link_on_still, link);
	loop_timer_init(&link->failing, loop, link_on_failed, link);
	loop_timer_init(&link->tending, loop, link_on_tending, link);
	record_text(link->failing_by, sizeof link->failing_by, "an operator");
	link_make_lookup(link);
	link_keep_last(link);
	link->pool = pool_new(loop, table, service, &link->record->endpoints, &connecting, &link_pool_callbacks,
	    link);
	link->standby = standby_new(loop, link->pool, &link->pconn, &link_standby_callbacks, link);
	link->handlers = handlers_new(loop, settings, record, link->record, link_on_handled, link);
	link->waiters = waiters_new(loop);
	loop_timer_soon(&link->turn);
	return link;
}

void
link_free(struct link *link)
{
	struct link_input *input;

	if (link == NULL)
		return;
	if (!link->begun)
		pool_adopt(link->pool, false, false);
	standby_drop(link->standby);
	standby_free(link->standby);
	lookup_leave(link->asking);
	lookup_free(link->lookup);
	handlers_free(link->handlers);
	pool_drop(link->pool, TABLE_ROLE_NEXT);
	pool_free(link->pool);
	waiters_free(link->waiters, LINK_GONE);
	while ((input = STAILQ_FIRST(&link->inputs)) != NULL)
		link_free_input(link, input);
	stock_clear(&link->stock);
	loop_timer_stop(&link->turn);
	loop_timer_stop(&link->timer);
	loop_timer_stop(&link->still);
	loop_timer_stop(&link->failing);
	loop_timer_stop(&link->tending);
	record_clear(link->record);
	mem_free(link);
}

static void
link_push_event(struct link *link, enum pconn_event event)
{
	link_push(link, (struct pconn_input){ .event = event });
}

void
link_set_held(struct link *link, unsigned held)
{
	if (held == link->held)
		return;
	link->held = held;
	link_push_event(link, PCONN_HELD);
}

uint32_t
link_take(struct link *link)
{
	uint32_t conn;

	if (!link_gives(link) || link_pconn(link)->state != PCONN_CONNECTED)
		return 0;
	conn = pool_take(link->pool, link->settings->warm_max_age);
	/* All were too old; of one that has ended the loop will tell. */
	if (conn == 0 && pool_idle(link->pool, TABLE_ROLE_NEXT) == 0)
		link_push_event(link, PCONN_HELD);
	return conn;
}

void
link_taken(struct link *link, uint32_t conn)
{
	pool_taken(link->pool, conn);
	link_push_event(link, PCONN_TAKEN);
}

void
link_relayed(struct link *link)
{
	link_push_event(link, PCONN_RELAYED);
}

void
link_unused(struct link *link, uint32_t conn)
{
	const struct table_conn *record = &link->table->conns[conn];
	int64_t age = clock_now() - record->since;
	char address[ADDRESS_TEXT_SIZE], text[RECORD_ERROR_SIZE];

	if (link_is_failing(link))
		return;
	if (age < PCONN_YOUNG) {
		snprintf(text, sizeof text, "ended by the server after %.1f s, unused", (double)age / CLOCK_SECOND);
		conn_address(link->table, conn, address);
		link_set_error(link, address, text);
	}
	pool_note_unused(link->pool, record->endpoint, record->since);
	link_push(link, (struct pconn_input){ .event = PCONN_ENDED, .age = age });
}

bool
link_refuses(const struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (link->asked_to_end)
		return true;
	return !link->asked_to_open && (pconn_is_closed(p) || link_is_draining(link));
}

bool
link_is_up(const struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (link_is_failing(link))
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
link_begin_anew(struct link *link)
{
	lookup_leave(link->asking);
	link->asking = NULL;
	standby_drop(link->standby);
	lookup_free(link->lookup);
	endpoints_renew(&link->record->endpoints, clock_now());
	link->record->lookup = (struct lookup_record){ 0 };
	memset(link->record->passed_over, 0, sizeof link->record->passed_over);
	link_make_lookup(link);
	link->record->renewed = 1;
	if (link->begun)
		link_push_renewal(link);
}

void
link_renew(struct link *link, const struct link_settings *settings, bool anew)
{
	struct pool_settings connecting;

	link->settings = settings;
	link_note_settings(link);
	connecting = link_pool_settings(link);
	pool_set(link->pool, &connecting);
	handlers_set(link->handlers, settings);
	if (anew) {
		link_begin_anew(link);
		return;
	}
	lookup_set(link->lookup, &settings->lookup);
	link_push_event(link, PCONN_HELD); /* perhaps more or fewer are to be kept warm */
}

void
link_reconnect(struct link *link)
{
	link_push_event(link, PCONN_RECONNECT);
}

void
link_obey(struct link *link)
{
	link->let_go = false;
	link_push_event(link, PCONN_HELD);
}

void
link_let_go(struct link *link)
{
	link->let_go = true;
	if (link->moving && !link_is_paused(link))
		loop_timer_soon(&link->tending); /* its borrower is at work with it */
	else
		link_push_event(link, PCONN_HELD);
}

bool
link_is_at_rest(const struct link *link)
{
	if (link->lent != 0 || pool_idle(link->pool, TABLE_ROLE_NEXT) > 0 || pool_dialling(link->pool) > 0)
		return false;
	switch ((enum pconn_state)link_pconn(link)->state) {
	case PCONN_IDLE: case PCONN_WAIT: case PCONN_DISCONNECTED: case PCONN_CLOSED:
		return true;
	case PCONN_NEW: case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL:
	case PCONN_FAILED: case PCONN_CONNECTED: case PCONN_STATES:
		return false;
	}
	return false;
}

int64_t
link_failing_left(const struct link *link)
{
	int64_t left = (int64_t)link->table->services[link->service].failing.value - clock_now();

	return left > 0 ? left : 0;
}

void
link_fail(struct link *link, const char *by)
{
	int64_t until = (int64_t)link->table->services[link->service].failing.value;

	if (until == 0) {
		loop_timer_stop(&link->failing);
	} else {
		record_text(link->failing_by, sizeof link->failing_by, by);
		loop_timer_at(&link->failing, until);
	}
	link_push_event(link, PCONN_HELD);
}

static void
link_end(struct link *link, enum pconn_event event)
{
	link->asked_to_end = true;
	link->asked_to_open = false;
	link_push_event(link, event);
}

void
link_close(struct link *link)
{
	link_end(link, PCONN_CLOSE);
}

void
link_drain(struct link *link)
{
	link_end(link, PCONN_DRAIN);
}

void
link_open(struct link *link)
{
	link->asked_to_end = false;
	link->asked_to_open = true;
	link_push_event(link, PCONN_OPEN);
}

const char *
link_closed_error(const struct link *link)
{
	return link_pconn(link)->ending == PCONN_END_ABORT ? link->record->abort_error :
	    "persistent connection closed";
}

/* P13, P14. */
static struct link_waiter *
link_ask_connected(struct link *link, unsigned kind, link_answer *answer, void *arg)
{
	struct link_waiter *waiter = waiters_add(link->waiters, kind, answer, arg);

	if (link_refuses(link))
		waiters_answer_one(waiter, link_closed_error(link));
	else if (pconn_is_connected(link_pconn(link)) && !link->lost)
		waiters_answer_one(waiter, NULL);
	return waiter;
}

struct link_waiter *
link_wait(struct link *link, link_answer *answer, void *arg)
{
	return link_ask_connected(link, WAITERS_CONNECTED, answer, arg);
}

struct link_waiter *
link_try(struct link *link, link_answer *answer, void *arg)
{
	return link_ask_connected(link, WAITERS_RESULT, answer, arg);
}

struct link_waiter *
link_wait_closed(struct link *link, link_answer *answer, void *arg)
{
	struct link_waiter *waiter = waiters_add(link->waiters, WAITERS_CLOSED, answer, arg);

	if (link_pconn(link)->state == PCONN_CLOSED && !link->asked_to_open)
		waiters_answer_one(waiter, NULL);
	return waiter;
}

struct lookup_waiter *
link_lookup(struct link *link, lookup_callback *callback, void *arg)
{
	struct lookup_question question = link_question(link);

	return lookup_ask(link->lookup, &question, callback, arg);
}

const struct catalog *
link_catalog(const struct link *link)
{
	return lookup_catalog(link->lookup);
}
