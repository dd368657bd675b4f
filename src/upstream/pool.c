#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "keep/recover.h"
#include "upstream/own_socket.h"
#include "upstream/pool_parts.h"

static void pool_next(struct pool_dial *dial);

/* Ends the dial under way; its record and file too, unless they have become a ready connection's. */
static void
pool_stop_dial(struct pool_dial *dial)
{
	dial_cancel(dial->dial);
	hello_cancel(dial->hello);
	probe_cancel(dial->probe);
	dial->dial = NULL;
	dial->hello = NULL;
	dial->probe = NULL;
	loop_timer_stop(&dial->timer);
	if (dial->conn != 0)
		recover_close_conn(dial->pool->table, dial->conn);
	dial->conn = 0;
}

static void
pool_free_dial(struct pool_dial *dial)
{
	TAILQ_REMOVE(&dial->pool->dials, dial, next);
	dial->pool->dialling--;
	mem_free(dial);
}

/* Whether a candidate is left; a new list is begun anew. */
static bool
pool_can_go_on(struct pool_dial *dial)
{
	const struct candidates *candidates = &dial->pool->candidates;

	if (dial->generation != candidates->generation)
		dial->tried = 0;
	dial->generation = candidates->generation;
	return candidates_choose(candidates, dial->tried, clock_now()) < candidates->count;
}

/* aborts: no other candidate is worth trying. */
static void
pool_dial_failed(struct pool_dial *dial, const char *error, bool aborts)
{
	struct pool *pool = dial->pool;
	struct candidate *candidate = candidates_find(&pool->candidates, &dial->address);
	char address[ADDRESS_TEXT_SIZE];
	bool local = dial->conn == 0, further;

	memcpy(address, dial->text, sizeof address);
	if (candidate != NULL && !local)
		candidate->failed_at = clock_now();
	pool_stop_dial(dial);
	further = !dial->single && !local && !aborts && pool_can_go_on(dial);
	if (further)
		pool_next(dial);
	else
		pool_free_dial(dial);
	if (aborts)
		pool->callbacks->refused(pool->arg, error);
	pool->callbacks->failed(pool->arg, address, error, further);
}

static void
pool_connected(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;
	struct table_conn *record = &pool->table->conns[dial->conn];
	struct candidate *candidate = candidates_find(&pool->candidates, &dial->address);
	char address[ADDRESS_TEXT_SIZE];

	record->since = clock_now();
	table_conn_set(pool->table, dial->conn, TABLE_READY);
	CRASH_POINT(DIAL_CONNECTED);
	histogram_count(pool->table, pool->service, TABLE_HISTOGRAM_CONNECT, record->since - dial->began);
	if (candidate != NULL)
		candidate->failed_at = 0;
	memcpy(address, dial->text, sizeof address);
	pool_add_spare(pool, dial->conn, address);
	loop_event_stop(&dial->event); /* after the spare's is there */
	loop_timer_stop(&dial->timer);
	pool_free_dial(dial);
	pool->callbacks->dialled(pool->arg, address);
}

static void pool_connect(struct pool_dial *dial);

static void
pool_on_probed(void *arg, const char *error)
{
	struct pool_dial *dial = arg;

	dial->probe = NULL;
	if (error != NULL)
		pool_dial_failed(dial, error, false);
	else if (probe_is_aside(dial->pool->settings->probe.kind))
		pool_connect(dial);
	else
		pool_connected(dial);
}

/* hello, if there is one, was answered. */
static void
pool_spoken(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;

	if (pool->settings->probe.kind == PROBE_NONE || probe_is_aside(pool->settings->probe.kind)) {
		pool_connected(dial);
		return;
	}
	loop_event_stop(&dial->event);
	dial->probe = probe_start(pool->loop, pool->table->conns[dial->conn].fd, &dial->address,
	    pool->settings, pool_on_probed, dial);
}

static void
pool_on_hello(void *arg, enum hello_end end, const char *error)
{
	struct pool_dial *dial = arg;

	dial->hello = NULL;
	if (end == HELLO_DONE)
		pool_spoken(dial);
	else
		pool_dial_failed(dial, error, end == HELLO_ABORTED);
}

static void
pool_on_dialled(void *arg, int error)
{
	struct pool_dial *dial = arg;
	struct pool *pool = dial->pool;

	dial->dial = NULL;
	if (error != 0) {
		pool_dial_failed(dial, strerror(error), false);
	} else if (pool->hello->count == 0) {
		pool_spoken(dial);
	} else {
		dial->hello = hello_start(pool->loop, pool->table->conns[dial->conn].fd, pool->hello,
		    pool_on_hello, dial);
		loop_event_stop(&dial->event);
	}
}

static void
pool_on_error(evutil_socket_t fd, short what, void *arg)
{
	struct pool_dial *dial = arg;

	(void)fd;
	(void)what;
	pool_dial_failed(dial, dial->error == ELOOP ? own_socket_error : strerror(dial->error), false);
}

/* The file, named in a record of state DIALLING: 0 or a positive errno. */
static int
pool_name_file(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;
	struct table_conn *record;
	uint32_t conn;
	int fd = own_socket_is(pool->table, &dial->address) ? -ELOOP : dial_socket(&dial->address);

	if (fd < 0)
		return -fd;
	CRASH_POINT(DIAL_SOCKET);
	if ((uint32_t)fd + TABLE_LAST_FILES >= pool->table->header->shape.files) {
		close(fd);
		return EMFILE;
	}
	if ((conn = table_conn_claim(pool->table)) == 0) {
		close(fd);
		return ENFILE;
	}
	record = &pool->table->conns[conn];
	record->service = pool->service;
	record->role = (uint16_t)pool->role;
	record->fd = table_note_file(pool->table, fd);
	table_conn_set(pool->table, conn, TABLE_DIALLING);
	CRASH_POINT(DIAL_NAMED);
	dial->conn = conn;
	return 0;
}

static void
pool_connect(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;

	dial->began = clock_now();
	dial->dial = dial_start(pool->loop, pool->table->conns[dial->conn].fd, &dial->address,
	    pool->settings, &dial->event, pool_on_dialled, dial);
	CRASH_POINT(DIAL_STARTED);
}

/* A probe aside is over before the connection is begun: a server may judge by the moment of that. */
static void
pool_begin(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;

	dial->error = pool_name_file(dial);
	if (dial->error != 0)
		loop_timer_soon(&dial->timer);
	else if (probe_is_aside(pool->settings->probe.kind))
		dial->probe = probe_start(pool->loop, -1, &dial->address, pool->settings, pool_on_probed, dial);
	else
		pool_connect(dial);
}

static void
pool_aim(struct pool_dial *dial, const struct candidate *candidate)
{
	dial->address = candidate->address;
	memcpy(dial->text, candidate->text, sizeof dial->text);
}

static void
pool_next(struct pool_dial *dial)
{
	size_t i = candidates_choose(&dial->pool->candidates, dial->tried, clock_now());

	assert(i < dial->pool->candidates.count);
	dial->tried |= UINT64_C(1) << i;
	pool_aim(dial, &dial->pool->candidates.list[i]);
	pool_begin(dial);
}

static struct pool_dial *
pool_new_dial(struct pool *pool)
{
	struct pool_dial *dial = mem_new(1, sizeof *dial);

	dial->pool = pool;
	dial->generation = pool->candidates.generation;
	loop_timer_init(&dial->timer, pool->loop, pool_on_error, dial);
	TAILQ_INSERT_TAIL(&pool->dials, dial, next);
	pool->dialling++;
	return dial;
}

struct pool *
pool_new(struct event_base *loop, struct table *table, uint16_t service, enum table_role role,
    const struct dial_settings *settings, const struct hello_settings *hello, const struct pool_callbacks *callbacks,
    void *arg)
{
	struct pool *pool = mem_new(1, sizeof *pool);

	pool->loop = loop;
	pool->table = table;
	pool->service = service;
	pool->role = role;
	pool->settings = settings;
	pool->hello = hello;
	pool->callbacks = callbacks;
	pool->arg = arg;
	TAILQ_INIT(&pool->spares);
	TAILQ_INIT(&pool->dials);
	loop_timer_init(&pool->tuning, loop, pool_on_tuning, pool);
	return pool;
}

static void
pool_stop_dials(struct pool *pool)
{
	while (!TAILQ_EMPTY(&pool->dials)) {
		pool_stop_dial(TAILQ_FIRST(&pool->dials));
		pool_free_dial(TAILQ_FIRST(&pool->dials));
	}
}

void
pool_set(struct pool *pool, const struct dial_settings *settings, const struct hello_settings *hello)
{
	struct pool_dial *dial;

	if (!hello_settings_are_same(pool->hello, hello) || pool->settings->probe.kind != settings->probe.kind)
		pool_stop_dials(pool);
	TAILQ_FOREACH(dial, &pool->dials, next)
		hello_set(dial->hello, hello);
	pool->settings = settings;
	pool->hello = hello;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_stop_dials(pool);
	while (!TAILQ_EMPTY(&pool->spares))
		pool_release(TAILQ_FIRST(&pool->spares));
	loop_timer_stop(&pool->tuning);
	candidates_clear(&pool->candidates);
	mem_free(pool);
}

void
pool_set_candidates(struct pool *pool, const struct address *candidates, size_t count)
{
	candidates_set(&pool->candidates, candidates, count);
}

unsigned
pool_promising(const struct pool *pool)
{
	return candidates_promising(&pool->candidates, clock_now());
}

void
pool_mark_failed(struct pool *pool, const char *address)
{
	struct candidate *candidate = candidates_find_text(&pool->candidates, address);

	if (candidate != NULL)
		candidate->failed_at = clock_now();
}

void
pool_dial(struct pool *pool, size_t i)
{
	struct pool_dial *dial = pool_new_dial(pool);

	dial->single = true;
	pool_aim(dial, &pool->candidates.list[i]);
	pool_begin(dial);
}

void
pool_fill(struct pool *pool, unsigned count)
{
	for (unsigned i = 0; i < count && pool->candidates.count > 0; i++)
		pool_next(pool_new_dial(pool));
}

void
pool_drop(struct pool *pool)
{
	pool_stop_dials(pool);
	pool_trim(pool, 0);
}

unsigned
pool_ready(const struct pool *pool)
{
	return pool->ready;
}

unsigned
pool_dialling(const struct pool *pool)
{
	return pool->dialling;
}
