#include "upstream/pool.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "upstream/race.h"

/* What a dial is for. */
enum pool_purpose {
	POOL_ATTEMPT, /* pconn's; each endpoint is offered before it is dialled */
	POOL_FILL,    /* while connected: for a client, or to be kept ready */
	POOL_STANDBY, /* shared mode: to be kept for a failover */
	POOL_HEALTH   /* in the background: is an endpoint well?  Closed when that is known */
};

/* One client's dials, beside each other or one after the other. */
struct pool_race {
	TAILQ_ENTRY(pool_race) entry;
	struct pool *pool;       /* borrowed */
	struct race race;
	enum pool_purpose purpose;
	uint16_t offered;        /* it waits for pool_go(); 0 none */
	bool dialled;            /* an endpoint was, already */
	char *abort;             /* owned: why an endpoint wants all attempts ended; NULL: none does */
	struct loop_timer timer; /* race.deadline; or that there is no endpoint */
};

struct pool {
	const struct upstream_context *context; /* borrowed */
	struct listing *listing;                /* borrowed */
	struct endpoints *endpoints;            /* borrowed: the table's */
	struct conn_maker maker;
	pool_ended *ended;
	void *arg;                              /* borrowed */
	TAILQ_HEAD(, pool_race) races;          /* owned */
	struct pool_race *attempt;              /* borrowed: of these; NULL none */
	TAILQ_HEAD(pool_conns, conn) conns;     /* owned: on their way, owner being the race, NULL for health; and
	                                         * idle, the oldest first */
	struct standby_plan plan;
	struct lookup_waiter *asking;           /* owned: for a standby; NULL: none */
	unsigned standbys;                      /* so many are wanted */
	struct loop_timer looking;              /* plan.deadline */
	bool plain;                             /* it was told that there is no MPTCP */
};

static enum table_role
pool_role(enum pool_purpose purpose)
{
	return purpose == POOL_STANDBY ? TABLE_ROLE_STANDBY : TABLE_ROLE_NEXT;
}

/* The next idle one behind this one, or the first one of all (NULL), of a role. */
static struct conn *
pool_next(const struct pool *pool, struct conn *conn, enum table_role role)
{
	do {
		conn = conn == NULL ? TAILQ_FIRST(&pool->conns) : TAILQ_NEXT(conn, entry);
	} while (conn != NULL && (!conn->ready || conn->role != role));
	return conn;
}

unsigned
pool_idle(const struct pool *pool, enum table_role role)
{
	unsigned count = 0;

	for (struct conn *conn = NULL; (conn = pool_next(pool, conn, role)) != NULL;)
		count++;
	return count;
}

unsigned
pool_dialling(const struct pool *pool, enum table_role role)
{
	const struct pool_race *race;
	unsigned count = 0;

	TAILQ_FOREACH(race, &pool->races, entry)
		count += pool_role(race->purpose) == role;
	return count;
}

/* How many connections each endpoint has. */
static void
pool_count(const struct pool *pool)
{
	record_count_open(pool->context->table, pool->context->service, pool->endpoints);
}

static void
pool_tell(struct pool *pool, struct endpoints_input in)
{
	unsigned turned;

	in.now = clock_now();
	in.roll = machine_roll(NULL);
	turned = endpoints_tell(pool->endpoints, &pool->context->endpoints, &in);
	CRASH_POINT(ENDPOINT_TOLD);
	pool_count(pool);
	if (turned != 0 && record_pconn(pool->context->record)->state == PCONN_CONNECTED)
		upstream_log_turned(pool->context->log, in.number, (turned & ENDPOINTS_ROSE) != 0);
}

static void
pool_dial(struct pool *pool, uint16_t number, enum table_role role, struct pool_race *race)
{
	const struct endpoint *endpoint = endpoints_find(pool->endpoints, number);
	struct address address;
	struct conn *conn;

	endpoint_address(endpoint, &address);
	pool_tell(pool, (struct endpoints_input){ .event = ENDPOINTS_BEGAN, .number = number });
	conn = conn_dial(&pool->maker, role, number, &address);
	if (conn->plain && !pool->plain)
		log_warning(pool->context->name, "mptcp: this kernel has no MPTCP, or it is off (net.mptcp.enabled); "
		    "TCP is used");
	pool->plain |= conn->plain;
	conn->owner = race;
	TAILQ_INSERT_TAIL(&pool->conns, conn, entry);
}

/* Dials that are not wanted any more. */
static void
pool_cancel(struct pool *pool, const struct pool_race *race)
{
	struct endpoints_input in = { .event = ENDPOINTS_CANCELLED };
	struct conn *conn, *next;

	for (conn = TAILQ_FIRST(&pool->conns); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (conn->ready || conn->owner != race)
			continue;
		in.number = conn->number;
		TAILQ_REMOVE(&pool->conns, conn, entry);
		conn_close(conn);
		pool_tell(pool, in);
	}
}

static void
pool_free_race(struct pool_race *race)
{
	struct pool *pool = race->pool;

	pool_cancel(pool, race);
	TAILQ_REMOVE(&pool->races, race, entry);
	if (pool->attempt == race)
		pool->attempt = NULL;
	loop_timer_stop(&race->timer);
	mem_free(race->abort);
	mem_free(race);
}

static unsigned
pool_step(struct pool_race *race, struct race_input in)
{
	struct pool *pool = race->pool;

	in.now = clock_now();
	in.roll = machine_roll(NULL);
	return race_step(&race->race, pool->endpoints, &pool->context->endpoints, &in);
}

/* The stagger runs from the dial, not from the offer. */
static void
pool_go_on(struct pool_race *race, uint16_t number)
{
	race->offered = 0;
	race->dialled = true;
	race_begun(&race->race, &race->pool->context->endpoints, clock_now());
	loop_timer_at(&race->timer, race->race.deadline);
	if (endpoints_find(race->pool->endpoints, number) != NULL) {
		pool_dial(race->pool, number, pool_role(race->purpose), race);
		return;
	}
	/* Its place has been given to another while it was offered. */
	race->offered = number;
	loop_timer_soon(&race->timer);
}

/* What a step says, unless the race is over. */
static void
pool_act(struct pool_race *race, unsigned todo)
{
	struct pool *pool = race->pool;

	loop_timer_at(&race->timer, race->race.deadline);
	if ((todo & RACE_DO_FAIL) != 0)
		loop_timer_soon(&race->timer);
	if ((todo & RACE_DO_DIAL) == 0)
		return;
	CRASH_POINT(ENDPOINT_BESIDE);
	if (race->purpose != POOL_ATTEMPT) {
		pool_go_on(race, race->race.dial);
		return;
	}
	loop_timer_at(&race->timer, CLOCK_NEVER);
	race->offered = race->race.dial;
	machine_push_dial(pool->context->machine, PCONN_OFFERED, race->offered, NULL, false);
}

/* One endpoint's word is not the service's: only where no other has done better it ends all attempts (P23).  A
 * standby's or a health dial's word ends none. */
static void
pool_push_failed(struct pool *pool, enum pool_purpose purpose, uint16_t number, const char *error, bool further,
    const char *abort)
{
	char address[ADDRESS_TEXT_SIZE];

	record_address(pool->context->record, number, address);
	if (purpose != POOL_ATTEMPT)
		log_debug(pool->context->name, "%sdial %s: %s%s", purpose == POOL_STANDBY ? "standby: " : "", address,
		    error, further ? "; others are dialled" : "");
	if (purpose == POOL_ATTEMPT || (purpose == POOL_FILL && !further)) {
		if (abort != NULL)
			machine_push_abort(pool->context->machine, abort);
		machine_push_dial(pool->context->machine, PCONN_DIAL_FAILED, number, error, further);
	}
	if (!further)
		machine_look(pool->context->machine);
}

static void
pool_lose(struct pool_race *race, uint16_t number, const char *error)
{
	struct pool *pool = race->pool;
	bool standby = race->purpose == POOL_STANDBY;

	pool_push_failed(pool, race->purpose, number, error, false, race->abort);
	pool_free_race(race);
	if (standby)
		pool_tell_standby(pool, STANDBY_DIAL_FAILED);
}

static void
pool_on_race(void *arg)
{
	struct pool_race *race = arg;
	unsigned todo = 0;

	if (race->offered != 0 && race->race.state == RACE_RUNS) {
		todo = pool_step(race, (struct race_input){ .event = RACE_FAILED, .number = race->offered });
		race->offered = 0;
	} else if (race->race.state == RACE_RUNS) {
		todo = pool_step(race, (struct race_input){ .event = RACE_DEADLINE });
	}
	if (race->race.state == RACE_LOST)
		pool_lose(race, 0, "there is no endpoint to dial");
	else
		pool_act(race, todo);
}

static void
pool_start(struct pool *pool, enum pool_purpose purpose, uint64_t without)
{
	struct pool_race *race = mem_new(1, sizeof *race);

	race->pool = pool;
	race->purpose = purpose;
	loop_timer_init(&race->timer, pool->maker.loop, pool_on_race, race);
	TAILQ_INSERT_TAIL(&pool->races, race, entry);
	if (purpose == POOL_ATTEMPT)
		pool->attempt = race;
	pool_count(pool);
	pool_act(race, pool_step(race, (struct race_input){ .event = RACE_START, .without = without }));
}

void
pool_fill(struct pool *pool, unsigned count)
{
	for (; count > 0; count--)
		pool_start(pool, POOL_FILL, 0);
}

void
pool_attempt(struct pool *pool, bool go)
{
	struct pool_race *attempt = pool->attempt;

	if (attempt == NULL && !machine_has_dials(pool->context->machine))
		pool_start(pool, POOL_ATTEMPT, 0);
	else if (go && attempt != NULL && attempt->offered != 0)
		pool_go_on(attempt, attempt->offered);
}

static void
pool_close(struct pool *pool, struct conn *conn)
{
	TAILQ_REMOVE(&pool->conns, conn, entry);
	conn_close(conn);
	pool_count(pool);
}

void
pool_trim(struct pool *pool, enum table_role role, unsigned keep)
{
	struct conn *conn;

	while (pool_idle(pool, role) > keep) {
		TAILQ_FOREACH_REVERSE(conn, &pool->conns, pool_conns, entry)
			if (conn->ready && conn->role == role)
				break;
		pool_close(pool, conn);
	}
}

static void
pool_stop_dials(struct pool *pool, enum table_role role)
{
	struct pool_race *race, *next;

	for (race = TAILQ_FIRST(&pool->races); race != NULL; race = next) {
		next = TAILQ_NEXT(race, entry);
		if (pool_role(race->purpose) == role)
			pool_free_race(race);
	}
	if (role == TABLE_ROLE_NEXT)
		pool_cancel(pool, NULL);
}

void
pool_drop(struct pool *pool, enum table_role role)
{
	if (role == TABLE_ROLE_STANDBY) {
		lookup_leave(pool->asking);
		pool->asking = NULL;
		pool->plan.looking = false;
	}
	pool_stop_dials(pool, role);
	pool_trim(pool, role, 0);
}

static void
pool_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct pool *pool = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason;

	pool->asking = NULL;
	if (wrong != NULL)
		log_debug(pool->context->name, "lookup for a standby: %s", wrong);
	pool_tell_standby(pool, wrong != NULL ? STANDBY_LOOKUP_FAILED : STANDBY_LOOKED_UP);
}

void
pool_tell_standby(struct pool *pool, enum standby_event event)
{
	struct standby_input in = { .event = event, .now = clock_now(), .roll = machine_roll(NULL),
		.wanted = pool->standbys, .ready = pool_idle(pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling(pool, TABLE_ROLE_STANDBY) };
	unsigned todo;

	pool_count(pool);
	in.others = (unsigned)__builtin_popcountll(endpoints_unused(pool->endpoints));
	todo = standby_step(&pool->plan, &pool->context->pconn, &in);
	if ((todo & STANDBY_DO_DROP) != 0)
		pool_drop(pool, TABLE_ROLE_STANDBY);
	if ((todo & STANDBY_DO_LOOKUP) != 0)
		pool->asking = lookup_ask(listing_lookup(pool->listing), LOOKUP_STANDBY, pool_on_looked_up, pool);
	if ((todo & STANDBY_DO_DIAL) != 0)
		pool_start(pool, POOL_STANDBY, ~endpoints_unused(pool->endpoints));
	loop_timer_at(&pool->looking, pool->plan.deadline);
}

static void
pool_on_looking(void *arg)
{
	pool_tell_standby(arg, STANDBY_LOOK);
}

void
pool_stand_by(struct pool *pool, unsigned wanted, uint16_t current)
{
	struct conn *conn, *next;

	pool->standbys = wanted;
	for (conn = pool_next(pool, NULL, TABLE_ROLE_STANDBY); conn != NULL; conn = next) {
		next = pool_next(pool, conn, TABLE_ROLE_STANDBY);
		if (conn->number == current)
			pool_close(pool, conn);
	}
	pool_trim(pool, TABLE_ROLE_STANDBY, wanted);
	pool_tell_standby(pool, STANDBY_LOOK);
}

/* Once a day. */
static void
pool_warn_of_expiry(struct pool *pool, uint16_t number, const struct tls_session *session)
{
	struct endpoint *endpoint = (struct endpoint *)(uintptr_t)endpoints_find(pool->endpoints, number);
	int64_t wall = clock_wall(), days;
	char address[ADDRESS_TEXT_SIZE], when[48];
	bool own;

	if (endpoint == NULL || !tls_session_days(session, wall, &days, &own) || days >= TLS_DAYS_FEW ||
	    wall - endpoint->tls_told < 86400 * CLOCK_SECOND)
		return;
	endpoint->tls_told = wall;
	record_address(pool->context->record, number, address);
	if (days < 0)
		snprintf(when, sizeof when, "has expired");
	else
		snprintf(when, sizeof when, "ends in %lld days", (long long)days);
	log_warning(pool->context->name, "tls: the certificate %s%s %s; renew it%s",
	    own ? "that is shown to " : "of ", address, when, own ? " (tls.cert)" : " on the server");
}

static void
pool_on_ready(void *arg, struct conn *conn, int64_t began)
{
	struct pool *pool = arg;
	struct pool_race *race = conn->owner;
	enum pool_purpose purpose = race == NULL ? POOL_HEALTH : race->purpose;
	char address[ADDRESS_TEXT_SIZE];
	bool tls = pool->maker.dial->tls.enabled;
	uint16_t number = conn->number;

	pool_tell(pool, (struct endpoints_input){ .event = ENDPOINTS_CONNECTED, .number = number, .began = began,
	    .tls = tls ? &conn->session : NULL });
	if (tls)
		pool_warn_of_expiry(pool, number, &conn->session);
	TAILQ_REMOVE(&pool->conns, conn, entry);
	if (race == NULL) {
		conn_close(conn);
		pool_count(pool);
	} else {
		pool_step(race, (struct race_input){ .event = RACE_CONNECTED, .number = number });
		TAILQ_INSERT_TAIL(&pool->conns, conn, entry);
		pool_free_race(race);
	}
	if (purpose == POOL_STANDBY) {
		pool_tell_standby(pool, STANDBY_DIALED);
		record_address(pool->context->record, number, address);
		log_debug(pool->context->name, "standby %s is ready", address);
	}
	if (purpose == POOL_ATTEMPT || purpose == POOL_FILL)
		machine_push_dial(pool->context->machine, PCONN_DIALED, number, NULL, false);
	machine_look(pool->context->machine);
}

static void
pool_on_failed(void *arg, struct conn *conn, const char *error, bool aborts, bool local)
{
	struct pool *pool = arg;
	struct pool_race *race = conn->owner;
	enum endpoints_event not_made = race == NULL ? ENDPOINTS_PUT_OFF : ENDPOINTS_CANCELLED;
	uint16_t number = conn->number;
	unsigned todo;

	pool_tell(pool, (struct endpoints_input){ .event = local ? not_made : ENDPOINTS_FAILED, .number = number,
	    .began = conn->began, .error = error });
	TAILQ_REMOVE(&pool->conns, conn, entry);
	conn_close(conn);
	if (race == NULL) {
		pool_push_failed(pool, POOL_HEALTH, number, error, false, NULL);
		return;
	}
	if (aborts && race->abort == NULL)
		race->abort = mem_copy_text(error);
	if (local) /* without a descriptor or memory no further dial can be */
		pool_step(race, (struct race_input){ .event = RACE_STOP });
	todo = pool_step(race, (struct race_input){ .event = RACE_FAILED, .number = number });
	if ((todo & RACE_DO_FAIL) != 0) {
		pool_lose(race, number, error);
		return;
	}
	pool_push_failed(pool, race->purpose, number, error, true, NULL);
	pool_act(race, todo);
}

static void
pool_on_ended(void *arg, struct conn *conn, const char *text)
{
	struct pool *pool = arg;
	enum table_role role = conn->role;
	uint16_t number = conn->number;
	int64_t since = conn->began;
	char why[CONN_TEXT_SIZE];

	memcpy(why, text, strlen(text) + 1);
	pool_note_unused(pool, number, since);
	pool_close(pool, conn);
	if (role == TABLE_ROLE_STANDBY)
		pool_tell_standby(pool, STANDBY_LOOK);
	pool->ended(pool->arg, role, number, clock_now() - since, why);
}

static void
pool_on_spoke(void *arg, struct conn *conn)
{
	struct pool *pool = arg;

	if (conn->role == TABLE_ROLE_NEXT)
		machine_push_event(pool->context->machine, PCONN_SPOKE);
}

static const struct conn_callbacks pool_conn_callbacks = {
	.ready = pool_on_ready, .failed = pool_on_failed, .ended = pool_on_ended, .spoke = pool_on_spoke
};

struct pool *
pool_new(const struct upstream_context *context, struct listing *listing, pool_ended *ended, void *arg)
{
	struct pool *pool = mem_new(1, sizeof *pool);

	*pool = (struct pool){ .context = context, .listing = listing, .endpoints = &context->record->endpoints,
		.ended = ended, .arg = arg, .maker = { .loop = context->loop, .table = context->table,
		.service = context->service, .dial = &context->settings->dial, .hello = &context->settings->hello,
		.callbacks = &pool_conn_callbacks, .arg = pool } };
	TAILQ_INIT(&pool->races);
	TAILQ_INIT(&pool->conns);
	loop_timer_init(&pool->looking, context->loop, pool_on_looking, pool);
	return pool;
}

void
pool_set(struct pool *pool, const struct upstream_settings *next)
{
	struct conn *conn;

	if (!hello_settings_are_same(pool->maker.hello, &next->hello) ||
	    pool->maker.dial->probe.kind != next->dial.probe.kind ||
	    !tls_settings_are_same(&pool->maker.dial->tls, &next->dial.tls)) {
		pool_stop_dials(pool, TABLE_ROLE_NEXT);
		pool_stop_dials(pool, TABLE_ROLE_STANDBY);
	}
	TAILQ_FOREACH(conn, &pool->conns, entry)
		hello_set(conn->hello, &next->hello, &next->dial.probe);
	pool->maker.dial = &next->dial;
	pool->maker.hello = &next->hello;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_drop(pool, TABLE_ROLE_NEXT);
	pool_drop(pool, TABLE_ROLE_STANDBY);
	loop_timer_stop(&pool->looking);
	mem_free(pool);
}

void
pool_adopt(struct pool *pool, bool keep, bool keep_standby)
{
	const struct table *table = pool->context->table;
	uint16_t service = pool->context->service;
	struct conn *conn;

	for (uint32_t i = table_conn_next(table, service, 0), next; i != 0; i = next) {
		const struct table_conn *record = &table->conns[i];
		enum table_state state = table_conn_state(table, i);
		bool standby = record->role == TABLE_ROLE_STANDBY;

		next = table_conn_next(table, service, i);
		if (record->role == TABLE_ROLE_SHARED || record->role == TABLE_ROLE_TAKEOVER)
			continue;
		if (state != TABLE_DIALLING && (state != TABLE_READY || table_conn_is_taken(table, i)))
			continue;
		if ((conn = conn_adopt(&pool->maker, i, standby ? keep_standby :
		    keep && record->role == TABLE_ROLE_NEXT)) != NULL)
			TAILQ_INSERT_TAIL(&pool->conns, conn, entry);
	}
	pool_count(pool);
}

bool
pool_stop(struct pool *pool)
{
	struct pool_race *race = pool->attempt;
	uint16_t offered = race != NULL && race->dialled ? race->offered : 0;
	unsigned todo;

	if (race == NULL)
		return false;
	todo = pool_step(race, (struct race_input){ .event = RACE_STOP });
	if (offered != 0) {
		race->offered = 0;
		todo |= pool_step(race, (struct race_input){ .event = RACE_FAILED, .number = offered });
	}
	pool_act(race, todo);
	return offered != 0;
}

int64_t
pool_tend(struct pool *pool, int64_t now)
{
	struct conn *conn, *next;
	uint16_t number;
	int64_t due;

	pool_count(pool);
	for (conn = TAILQ_FIRST(&pool->conns); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (conn->ready && endpoints_judge(pool->endpoints, &pool->context->endpoints, conn->number, true,
		    now) == ENDPOINTS_DROP)
			pool_close(pool, conn);
	}
	while ((due = endpoints_due(pool->endpoints, &pool->context->endpoints, &number)) <= now) {
		pool_dial(pool, number, TABLE_ROLE_NEXT, NULL);
		CRASH_POINT(ENDPOINT_HEALTH);
	}
	return due;
}

unsigned
pool_in_use(struct pool *pool)
{
	unsigned open;

	pool_count(pool);
	open = table_conns_open(pool->context->table, pool->context->service, 0);
	for (uint32_t i = 0; i < pool->endpoints->high; i++)
		open += pool->endpoints->list[i].open;
	return open - pool_idle(pool, TABLE_ROLE_NEXT) - pool_idle(pool, TABLE_ROLE_STANDBY);
}

uint16_t
pool_first(const struct pool *pool)
{
	const struct conn *conn = pool_next(pool, NULL, TABLE_ROLE_NEXT);

	return conn == NULL ? 0 : conn->number;
}

uint16_t
pool_take_over(struct pool *pool)
{
	struct conn *conn = NULL;

	while ((conn = pool_next(pool, conn, TABLE_ROLE_STANDBY)) != NULL) {
		if (conn_has_ended(conn))
			continue;
		TAILQ_REMOVE(&pool->conns, conn, entry); /* it is the youngest of the others */
		conn->role = TABLE_ROLE_NEXT;
		TAILQ_INSERT_TAIL(&pool->conns, conn, entry);
		return conn->number;
	}
	return 0;
}

void
pool_own(struct pool *pool)
{
	struct conn *conn = NULL;

	while ((conn = pool_next(pool, conn, TABLE_ROLE_NEXT)) != NULL)
		pool->context->table->conns[conn->index].role = TABLE_ROLE_NEXT;
}

uint32_t
pool_take(struct pool *pool, int64_t max_age)
{
	int64_t now = clock_now();
	struct conn *conn, *next;

	for (conn = pool_next(pool, NULL, TABLE_ROLE_NEXT); conn != NULL; conn = next) {
		next = pool_next(pool, conn, TABLE_ROLE_NEXT);
		if (conn_has_ended(conn)) /* the loop will tell */
			continue;
		if (max_age > 0 && now - conn->began > max_age) {
			pool_close(pool, conn);
			continue;
		}
		conn_make_room(conn);
		return conn->index;
	}
	return 0;
}

void
pool_taken(struct pool *pool, uint32_t index)
{
	struct conn *conn = TAILQ_FIRST(&pool->conns);

	while (conn->index != index)
		conn = TAILQ_NEXT(conn, entry);
	TAILQ_REMOVE(&pool->conns, conn, entry);
	conn_free(conn);
}

void
pool_tune_shared(struct pool *pool, uint32_t conn)
{
	conn_tune_shared(&pool->maker, conn);
}

void
pool_note_unused(struct pool *pool, uint16_t number, int64_t since)
{
	pool_tell(pool, (struct endpoints_input){ .event = ENDPOINTS_ENDED, .number = number, .began = since,
	    .error = "ended by the server, unused" });
}
