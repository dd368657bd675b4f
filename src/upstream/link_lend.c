#include <assert.h>

#include "base/clock.h"
#include "keep/crash.h"
#include "upstream/link_parts.h"

/* A connection that says nothing keeps a server with one worker from all others, and one that shuts down from its
 * end; MySQL counts it as broken off.  So one is kept only where something was said on it.  One that is not kept
 * still proves that the server is there, but for MySQL, which would count that too. */
static void
link_judge_warm(struct link *link)
{
	enum probe_kind probe = link->settings->dial.probe.kind;

	link->pconn.warm = link->settings->hello.count > 0 || probe == PROBE_REDIS ? 1 : 0;
	link->pconn.eager = probe != PROBE_MYSQL;
	link->pconn.fades = true;
}

void
link_note_settings(struct link *link)
{
	link->pconn = link->settings->pconn;
	if (link->settings->shared)
		link->pconn.warm = 1;
	else if (link->pconn.warm == LINK_WARM_AUTO)
		link_judge_warm(link);
	link->endpoints = link->settings->endpoints;
	link->endpoints.delay = link->pconn.delay;
	link->endpoints.max = link->pconn.max;
	link->endpoints.jitter = link->pconn.jitter;
	link->endpoints.factor = link->pconn.factor;
	if (link->endpoints.pick == ENDPOINTS_AUTO)
		link->endpoints.pick = link->record->random ? ENDPOINTS_RANDOM : ENDPOINTS_ORDERED;
}

struct pool_settings
link_pool_settings(const struct link *link)
{
	return (struct pool_settings){ .dial = &link->settings->dial, .hello = &link->settings->hello,
		.endpoints = &link->endpoints };
}

unsigned
link_waiting(const struct link *link)
{
	return link->settings->shared && link->held > 1 ? 1 : link->held;
}

unsigned
link_ready(const struct link *link)
{
	return pool_idle(link->pool, TABLE_ROLE_NEXT) + (link->lent != 0);
}

bool
link_is_draining(const struct link *link)
{
	return link->lent != 0 && link_pconn(link)->ending != PCONN_END_NONE;
}

uint32_t
link_lend(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (!link_gives(link) || link->lent != 0 || p->state != PCONN_CONNECTED || p->lost)
		return 0;
	return pool_take(link->pool, 0);
}

void
link_lent(struct link *link, uint32_t conn)
{
	assert(table_conn_is_shared(link->table, conn));
	pool_taken(link->pool, conn);
	pool_tune_shared(link->pool, conn);
	link->lent = conn;
	link->moving = link->let_go = false;
	link->lent_number = link->table->conns[conn].endpoint;
	link->lent_since = link->table->conns[conn].since;
}

bool
link_take_over(struct link *link, int64_t age)
{
	uint16_t number;

	if (!link->settings->shared || !link_is_to_stay(link) || (number = pool_take_over(link->pool)) == 0)
		return false;
	link_address(link, number, link->record->taking_over);
	link->record->number = number;
	CRASH_POINT(TAKEOVER_GIVEN);
	link_push(link, (struct pconn_input){ .event = PCONN_TAKEN_OVER, .age = age });
	return true;
}

/* Its connection is like any other from now on. */
void
link_note_takeover(struct link *link)
{
	pool_own(link->pool);
	if (link->lent != 0)
		link->table->conns[link->lent].role = TABLE_ROLE_SHARED;
	CRASH_POINT(TAKEOVER_TOLD);
}

static void
link_name_end(struct link *link, const char *reason)
{
	const struct pconn *p = link_pconn(link);

	if (p->ending == PCONN_END_ABORT)
		link_set_reason(link, link->record->abort_error);
	else if (p->ending == PCONN_END_DRAIN)
		link_set_purpose(link, "drained by an operator");
	else
		link_set_reason(link, reason);
}

/* The machine is told in this turn of the loop, and lets its taker know what there is now; before the link has begun,
 * when it does. */
static void
link_lose(struct link *link)
{
	int64_t age = link->lent_since == 0 ? 0 : clock_now() - link->lent_since;

	link->lost = true;
	if (!link->begun)
		return;
	if (link_take_over(link, age))
		link->lost = false;
	else
		link_push(link, (struct pconn_input){ .event = PCONN_LOST, .age = age });
}

void
link_lost(struct link *link, const char *reason)
{
	link->lent = 0;
	link->moving = false;
	link_name_end(link, reason);
	link_lose(link);
}

void
link_take_back(struct link *link)
{
	if (link->lent == 0)
		return;
	link->lent = 0;
	link->moving = false;
	link->callbacks->drop(link->arg);
}

void
link_withdraw(struct link *link)
{
	if (link->lent != 0 && pool_idle(link->pool, TABLE_ROLE_STANDBY) > 0) {
		link_take_back(link);
		link_set_purpose(link, LINK_WITHDRAWN);
		link_lose(link);
		return;
	}
	link->withdrawing = true;
	link_push(link, (struct pconn_input){ .event = PCONN_RECONNECT });
}

void
link_find_lent(struct link *link)
{
	const struct table_conn *record;

	for (uint32_t i = 1; i < link->table->header->conn_high; i++) {
		record = &link->table->conns[i];
		if (!table_conn_is_shared(link->table, i) || record->service != link->service)
			continue;
		link->lent = i;
		link->lent_since = record->since;
		link->lent_number = record->endpoint;
	}
}

/* A worker may have died between any two steps of lending, losing and taking over. */
void
link_resume_lent(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->state != PCONN_CONNECTED || p->lost) {
		link_take_back(link);
		link->lost = false;
	} else if (link->lent != 0) {
		pool_tune_shared(link->pool, link->lent);
		if (link->table->conns[link->lent].role == TABLE_ROLE_TAKEOVER)
			link_push(link, (struct pconn_input){ .event = PCONN_TAKEN_OVER });
	} else if (link->settings->shared && pool_idle(link->pool, TABLE_ROLE_NEXT) == 0) {
		if (!link->lost)
			link_name_end(link, "it ended while the worker was restarted");
		link_lose(link);
	}
}

void
link_tend_standby(struct link *link)
{
	bool connected = link_is_to_stay(link) && link_ready(link) > 0;

	if (!link->settings->shared)
		return;
	standby_look(link->standby, connected ? link->settings->standby : 0,
	    link->lent != 0 ? link->lent_number : pool_first(link->pool));
}

uint32_t
link_lent_conn(const struct link *link)
{
	return link->lent;
}
