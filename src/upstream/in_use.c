#include "upstream/in_use.h"

#include "base/clock.h"
#include "base/mem.h"
#include "keep/crash.h"

#define LOOK_AGAIN CLOCK_SECOND /* at the earliest */

struct in_use {
	const struct upstream_context *context;   /* borrowed */
	struct pool *pool;                        /* borrowed */
	struct upstream_record *record;           /* borrowed: the table's */
	uint32_t shared;                          /* 0: none */
	int64_t shared_since;                     /* its connect, known when it has ended, too */
	bool moving;                              /* its endpoint is withdrawn: at rest it goes */
	bool let_go;
	bool lost;                                /* it has ended, and the machine was not told yet */
	uint32_t left[ENDPOINTS_MAX];             /* P33: connections to each that end, but are still open */
	int64_t look_at;                          /* not before, at those to endpoints that lost their places */
};

static struct table_conn *
in_use_conn(const struct in_use *in_use)
{
	return &in_use->context->table->conns[in_use->shared];
}

static void
in_use_leave(const struct in_use *in_use, uint16_t endpoint)
{
	in_use->context->callbacks->lost(in_use->context->arg, endpoint);
}

static unsigned
in_use_ready(const struct in_use *in_use)
{
	return pool_idle(in_use->pool, TABLE_ROLE_NEXT) + (in_use->shared != 0);
}

static void
in_use_set_shared(struct in_use *in_use, uint32_t conn)
{
	in_use->shared = conn;
	in_use->moving = in_use->let_go = false;
	if (conn != 0)
		in_use->shared_since = in_use_conn(in_use)->since;
}

void
in_use_drop(struct in_use *in_use)
{
	if (in_use->shared == 0)
		return;
	in_use_set_shared(in_use, 0);
	in_use_leave(in_use, 0);
}

/* The service is connected to this endpoint now. */
static void
in_use_give(struct in_use *in_use, uint16_t number, int64_t age)
{
	record_address(in_use->record, number, in_use->record->taking_over);
	in_use->record->number = number;
	CRASH_POINT(TAKEOVER_GIVEN);
	machine_push(in_use->context->machine, (struct pconn_input){ .event = PCONN_TAKEN_OVER, .age = age });
}

bool
in_use_take_over(struct in_use *in_use, int64_t age)
{
	uint16_t number;

	if (!in_use->context->settings->shared || !machine_is_to_stay(in_use->context->machine))
		return false;
	number = pool_take_over(in_use->pool);
	if (number == 0)
		return false;
	in_use_give(in_use, number, age);
	return true;
}

/* The machine is told in this turn of the loop, and lets its taker know what there is now; before it has begun, when
 * it does. */
static void
in_use_lose(struct in_use *in_use)
{
	int64_t age = in_use->shared_since == 0 ? 0 : clock_now() - in_use->shared_since;

	in_use->lost = true;
	if (!machine_has_begun(in_use->context->machine))
		return;
	if (in_use_take_over(in_use, age))
		in_use->lost = false;
	else
		machine_push(in_use->context->machine, (struct pconn_input){ .event = PCONN_LOST, .age = age });
}

void
in_use_lost(struct in_use *in_use, const char *reason)
{
	in_use_set_shared(in_use, 0);
	upstream_log_set_end(in_use->context->log, reason);
	in_use_lose(in_use);
}

void
in_use_note(struct in_use *in_use, enum pconn_event event)
{
	if (event == PCONN_LOST)
		in_use->lost = false;
	if (event != PCONN_TAKEN_OVER)
		return;
	/* Its connection is like any other from now on. */
	pool_own(in_use->pool);
	if (in_use->shared != 0)
		in_use_conn(in_use)->role = TABLE_ROLE_SHARED;
	CRASH_POINT(TAKEOVER_TOLD);
}

/* P33: gives up the connection whose endpoint is withdrawn.  In session mode the clients have it, and one that is
 * ready is as good as a standby. */
static void
in_use_withdraw(struct in_use *in_use)
{
	if (!in_use->context->settings->shared && pool_idle(in_use->pool, TABLE_ROLE_NEXT) > 0) {
		upstream_log_set_purpose(in_use->context->log, RECORD_WITHDRAWN);
		in_use_give(in_use, pool_first(in_use->pool), 0);
		return;
	}
	if (in_use->shared != 0 && pool_idle(in_use->pool, TABLE_ROLE_STANDBY) > 0) {
		upstream_log_set_purpose(in_use->context->log, RECORD_WITHDRAWN); /* before it is gone: no outage */
		in_use_drop(in_use);
		in_use_lose(in_use);
		return;
	}
	upstream_log_set_reconnect(in_use->context->log, RECORD_WITHDRAWN);
	machine_push_event(in_use->context->machine, PCONN_RECONNECT);
}

/* Whether a connection is to be closed now; else *next is not later than when it will be. */
static bool
in_use_drops(const struct in_use *in_use, uint16_t number, int64_t left_at, int64_t now, int64_t *next)
{
	int64_t at = endpoints_leaves_at(&in_use->record->endpoints, &in_use->context->endpoints, number, left_at);

	if (at > now && at < *next)
		*next = at;
	return at <= now;
}

static void
in_use_judge_shared(struct in_use *in_use, int64_t now, int64_t *next)
{
	const struct table_conn *conn = in_use_conn(in_use);
	bool drop = in_use_drops(in_use, conn->endpoint, conn->left_at, now, next);
	bool moves = !drop && endpoints_judge(&in_use->record->endpoints, &in_use->context->endpoints,
	    conn->endpoint, false, now) == ENDPOINTS_MOVE;

	if (!machine_is_to_stay(in_use->context->machine))
		return;
	if (drop || (moves && in_use->moving && in_use->let_go)) {
		in_use_withdraw(in_use);
	} else if (moves != in_use->moving) {
		in_use->moving = moves;
		in_use->let_go = false;
	}
}

/* Clients' connections to endpoints that lost their places.  With drain what is left behind meanwhile has its whole
 * withdrawn_timeout before it. */
static int64_t
in_use_cut_left(const struct in_use *in_use, int64_t now)
{
	const struct upstream_context *context = in_use->context;
	const struct table *table = context->table;
	unsigned char told[(UINT16_MAX + 1) / 8] = { 0 };
	bool drain = context->endpoints.on_withdrawn == ENDPOINTS_ON_DRAIN;
	int64_t timeout = context->endpoints.withdrawn_timeout, next = now + (drain ? timeout : 0);

	for (uint32_t i = 1; i < table->header->conn_high; i++) {
		const struct table_conn *conn = &table->conns[i];
		unsigned char *byte = &told[conn->endpoint / 8], bit = (unsigned char)(1u << (conn->endpoint % 8));

		if (table_conn_state(table, i) != TABLE_READY || conn->service != context->service ||
		    (*byte & bit) != 0 || endpoints_find(&in_use->record->endpoints, conn->endpoint) != NULL)
			continue;
		if (in_use_drops(in_use, conn->endpoint, conn->left_at, now, &next)) {
			*byte |= bit;
			in_use_leave(in_use, conn->endpoint);
		} else if (drain && conn->left_at != 0 && conn->left_at + timeout < next) {
			next = conn->left_at + timeout; /* there is nothing to go to yet */
		}
	}
	return next < now + LOOK_AGAIN ? now + LOOK_AGAIN : next;
}

/* Clients' connections; and whether what was told as connected is withdrawn, and another is to be had.  Those to
 * endpoints that lost their places are looked at seldom, for that is a scan, and they are few. */
static void
in_use_judge_clients(struct in_use *in_use, int64_t now, int64_t *next)
{
	const struct upstream_context *context = in_use->context;
	const struct endpoints_settings *settings = &context->endpoints;
	const struct endpoints *e = &in_use->record->endpoints;
	uint16_t told = record_current(in_use->record)->told;
	const struct endpoint *current = endpoints_find(e, told);
	bool by_time = settings->on_withdrawn == ENDPOINTS_ON_DROP || settings->withdrawn_timeout > 0;

	for (uint32_t i = 0; i < e->high; i++) {
		const struct endpoint *one = &e->list[i];
		bool drop = one->open > 0 && in_use_drops(in_use, one->number, 0, now, next);
		uint32_t left = drop ? one->open : 0;

		if (left > in_use->left[i])
			in_use_leave(in_use, one->number);
		in_use->left[i] = left;
	}
	if (settings->on_withdrawn == ENDPOINTS_ON_KEEP || !by_time ||
	    table_conns_open(context->table, context->service, 0) == 0)
		in_use->look_at = 0;
	else if (now >= in_use->look_at)
		in_use->look_at = in_use_cut_left(in_use, now);
	if (in_use->look_at != 0 && in_use->look_at < *next)
		*next = in_use->look_at;
	if (machine_is_to_stay(context->machine) && settings->on_withdrawn != ENDPOINTS_ON_KEEP && told != 0 &&
	    endpoints_elsewhere(e) && (current == NULL || endpoints_state(e, current) == ENDPOINT_WITHDRAWN))
		in_use_withdraw(in_use);
}

/* An idle connection that the next client must not get is gone: another is to be had. */
static void
in_use_note_dropped(struct in_use *in_use)
{
	const struct endpoints *e = &in_use->record->endpoints;
	const struct endpoint *current = endpoints_find(e, in_use->record->number);
	bool failed = current != NULL && endpoints_state(e, current) == ENDPOINT_FAILED;

	if (!in_use->context->settings->shared || in_use_ready(in_use) > 0) {
		machine_push_event(in_use->context->machine, PCONN_HELD);
		return;
	}
	upstream_log_set_purpose(in_use->context->log, failed ? "its endpoint failed, another is healthy" :
	    RECORD_WITHDRAWN);
	machine_push_event(in_use->context->machine, PCONN_LOST);
}

void
in_use_tend(struct in_use *in_use)
{
	int64_t now = clock_now(), next = CLOCK_NEVER;
	unsigned before = in_use_ready(in_use);
	uint8_t state = record_pconn(in_use->record)->state;

	if (machine_is_to_stay(in_use->context->machine) || machine_is_idle_down(in_use->context->machine))
		next = pool_tend(in_use->pool, now);
	else if (state == PCONN_IDLE || state == PCONN_CLOSED)
		pool_drop(in_use->pool, TABLE_ROLE_NEXT); /* dials in the background */
	if (in_use->shared != 0)
		in_use_judge_shared(in_use, now, &next);
	else if (!in_use->context->settings->shared)
		in_use_judge_clients(in_use, now, &next);
	machine_look_at(in_use->context->machine, next);
	if (in_use_ready(in_use) < before)
		in_use_note_dropped(in_use);
}

void
in_use_tend_standby(struct in_use *in_use)
{
	bool connected = machine_is_to_stay(in_use->context->machine) && in_use_ready(in_use) > 0;

	if (in_use->context->settings->shared)
		pool_stand_by(in_use->pool, connected ? in_use->context->settings->standby : 0,
		    in_use->shared != 0 ? in_use_conn(in_use)->endpoint : pool_first(in_use->pool));
}

void
in_use_share(struct in_use *in_use, uint32_t conn)
{
	pool_tune_shared(in_use->pool, conn);
	in_use_set_shared(in_use, conn);
}

uint32_t
in_use_shared(const struct in_use *in_use)
{
	return in_use->shared;
}

bool
in_use_moves(const struct in_use *in_use)
{
	return in_use->moving;
}

bool
in_use_is_lost(const struct in_use *in_use)
{
	return in_use->lost;
}

bool
in_use_is_busy(const struct in_use *in_use)
{
	return in_use->shared != 0 && !in_use->let_go;
}

void
in_use_let_go(struct in_use *in_use, bool lets)
{
	in_use->let_go = lets;
	if (lets && in_use->moving && !upstream_context_is_paused(in_use->context))
		machine_look(in_use->context->machine); /* client/ is at work with it */
	else
		machine_push_event(in_use->context->machine, PCONN_HELD);
}

void
in_use_forget(struct in_use *in_use)
{
	in_use_drop(in_use);
	in_use->lost = false;
}

/* A worker may have died between any two steps of sharing, losing and taking over. */
void
in_use_resume(struct in_use *in_use)
{
	const struct pconn *p = record_pconn(in_use->record);

	if (p->state != PCONN_CONNECTED || p->lost) {
		in_use_drop(in_use);
		in_use->lost = false;
	} else if (in_use->shared != 0) {
		pool_tune_shared(in_use->pool, in_use->shared);
		if (in_use_conn(in_use)->role == TABLE_ROLE_TAKEOVER)
			machine_push_event(in_use->context->machine, PCONN_TAKEN_OVER);
	} else if (in_use->context->settings->shared && pool_idle(in_use->pool, TABLE_ROLE_NEXT) == 0) {
		if (!in_use->lost && !in_use->record->purposely)
			upstream_log_set_end(in_use->context->log, "it ended while the worker was restarted");
		in_use_lose(in_use);
	}
}

struct in_use *
in_use_new(const struct upstream_context *context, struct pool *pool)
{
	const struct table *table = context->table;
	struct in_use *in_use = mem_new(1, sizeof *in_use);

	in_use->context = context;
	in_use->pool = pool;
	in_use->record = context->record;
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_is_shared(table, i) && table->conns[i].service == context->service)
			in_use_set_shared(in_use, i);
	return in_use;
}

void
in_use_free(struct in_use *in_use)
{
	mem_free(in_use);
}

void
in_use_set(struct in_use *in_use)
{
	in_use->look_at = 0;
}
