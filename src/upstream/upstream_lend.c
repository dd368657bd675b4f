#include <assert.h>

#include "base/clock.h"
#include "keep/crash.h"
#include "upstream/upstream_parts.h"

/* A connection that says nothing keeps a server with one worker from all others, and one that shuts down from its
 * end; MySQL counts it as broken off.  So one is kept only where something was said on it.  One that is not kept
 * still proves that the server is there, but for MySQL, which would count that too. */
static void
upstream_judge_warm(struct upstream *upstream)
{
	enum probe_kind probe = upstream->settings->dial.probe.kind;

	upstream->pconn.warm = upstream->settings->hello.count > 0 || probe == PROBE_REDIS ? 1 : 0;
	upstream->pconn.eager = probe != PROBE_MYSQL;
	upstream->pconn.fades = true;
}

void
upstream_note_settings(struct upstream *upstream)
{
	upstream->pconn = upstream->settings->pconn;
	if (upstream->settings->shared)
		upstream->pconn.warm = 1;
	else if (upstream->pconn.warm == UPSTREAM_WARM_AUTO)
		upstream_judge_warm(upstream);
	upstream->endpoints = upstream->settings->endpoints;
	upstream->endpoints.delay = upstream->pconn.delay;
	upstream->endpoints.max = upstream->pconn.max;
	upstream->endpoints.jitter = upstream->pconn.jitter;
	upstream->endpoints.factor = upstream->pconn.factor;
	if (upstream->endpoints.pick == ENDPOINTS_AUTO)
		upstream->endpoints.pick = upstream->record->random ? ENDPOINTS_RANDOM : ENDPOINTS_ORDERED;
}

struct pool_settings
upstream_pool_settings(const struct upstream *upstream)
{
	return (struct pool_settings){ .dial = &upstream->settings->dial, .hello = &upstream->settings->hello,
		.endpoints = &upstream->endpoints, .pconn = &upstream->pconn };
}

unsigned
upstream_waiting(const struct upstream *upstream)
{
	return upstream->settings->shared && upstream->held > 1 ? 1 : upstream->held;
}

unsigned
upstream_ready(const struct upstream *upstream)
{
	return pool_idle(upstream->pool, TABLE_ROLE_NEXT) + (upstream->lent != 0);
}

bool
upstream_is_draining(const struct upstream *upstream)
{
	return upstream->lent != 0 && upstream_pconn(upstream)->ending != PCONN_END_NONE;
}

uint32_t
upstream_lend(struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (!upstream_gives(upstream) || upstream->lent != 0 || p->state != PCONN_CONNECTED || p->lost)
		return 0;
	return pool_take(upstream->pool, 0);
}

void
upstream_lent(struct upstream *upstream, uint32_t conn)
{
	assert(table_conn_is_shared(upstream->table, conn));
	pool_taken(upstream->pool, conn);
	pool_tune_shared(upstream->pool, conn);
	upstream->lent = conn;
	upstream->moving = upstream->let_go = false;
	upstream->lent_number = upstream->table->conns[conn].endpoint;
	upstream->lent_since = upstream->table->conns[conn].since;
}

bool
upstream_take_over(struct upstream *upstream, int64_t age)
{
	uint16_t number;

	if (!upstream->settings->shared || !upstream_is_to_stay(upstream) || (number =
	    pool_take_over(upstream->pool)) == 0)
		return false;
	upstream_address(upstream, number, upstream->record->taking_over);
	upstream->record->number = number;
	CRASH_POINT(TAKEOVER_GIVEN);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_TAKEN_OVER, .age = age });
	return true;
}

/* Its connection is like any other from now on. */
void
upstream_note_takeover(struct upstream *upstream)
{
	pool_own(upstream->pool);
	if (upstream->lent != 0)
		upstream->table->conns[upstream->lent].role = TABLE_ROLE_SHARED;
	CRASH_POINT(TAKEOVER_TOLD);
}

static void
upstream_name_end(struct upstream *upstream, const char *reason)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (p->ending == PCONN_END_ABORT)
		upstream_set_reason(upstream, upstream->record->abort_error);
	else if (p->ending == PCONN_END_DRAIN)
		upstream_set_purpose(upstream, "drained by an operator");
	else
		upstream_set_reason(upstream, reason);
}

/* The machine is told in this turn of the loop, and lets its taker know what there is now; before the upstream has
 * begun, when it does. */
static void
upstream_lose(struct upstream *upstream)
{
	int64_t age = upstream->lent_since == 0 ? 0 : clock_now() - upstream->lent_since;

	upstream->lost = true;
	if (!upstream->begun)
		return;
	if (upstream_take_over(upstream, age))
		upstream->lost = false;
	else
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_LOST, .age = age });
}

void
upstream_lost(struct upstream *upstream, const char *reason)
{
	upstream->lent = 0;
	upstream->moving = false;
	upstream_name_end(upstream, reason);
	upstream_lose(upstream);
}

void
upstream_take_back(struct upstream *upstream)
{
	if (upstream->lent == 0)
		return;
	upstream->lent = 0;
	upstream->moving = false;
	upstream->callbacks->drop(upstream->arg);
}

void
upstream_withdraw(struct upstream *upstream)
{
	if (upstream->lent != 0 && pool_idle(upstream->pool, TABLE_ROLE_STANDBY) > 0) {
		upstream_take_back(upstream);
		upstream_set_purpose(upstream, UPSTREAM_WITHDRAWN);
		upstream_lose(upstream);
		return;
	}
	upstream->withdrawing = true;
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_RECONNECT });
}

void
upstream_find_lent(struct upstream *upstream)
{
	const struct table_conn *record;

	for (uint32_t i = 1; i < upstream->table->header->conn_high; i++) {
		record = &upstream->table->conns[i];
		if (!table_conn_is_shared(upstream->table, i) || record->service != upstream->service)
			continue;
		upstream->lent = i;
		upstream->lent_since = record->since;
		upstream->lent_number = record->endpoint;
	}
}

/* A worker may have died between any two steps of lending, losing and taking over. */
void
upstream_resume_lent(struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (p->state != PCONN_CONNECTED || p->lost) {
		upstream_take_back(upstream);
		upstream->lost = false;
	} else if (upstream->lent != 0) {
		pool_tune_shared(upstream->pool, upstream->lent);
		if (upstream->table->conns[upstream->lent].role == TABLE_ROLE_TAKEOVER)
			upstream_push(upstream, (struct pconn_input){ .event = PCONN_TAKEN_OVER });
	} else if (upstream->settings->shared && pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0) {
		if (!upstream->lost)
			upstream_name_end(upstream, "it ended while the worker was restarted");
		upstream_lose(upstream);
	}
}

void
upstream_tend_standby(struct upstream *upstream)
{
	bool connected = upstream_is_to_stay(upstream) && upstream_ready(upstream) > 0;

	if (!upstream->settings->shared)
		return;
	pool_stand_by(upstream->pool, connected ? upstream->settings->standby : 0,
	    upstream->lent != 0 ? upstream->lent_number : pool_first(upstream->pool));
}

uint32_t
upstream_lent_conn(const struct upstream *upstream)
{
	return upstream->lent;
}
