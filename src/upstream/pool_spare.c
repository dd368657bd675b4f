#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/recover.h"
#include "upstream/pool_parts.h"

void
pool_release(struct pool_spare *spare)
{
	TAILQ_REMOVE(&spare->pool->spares, spare, next);
	spare->pool->ready--;
	loop_event_stop(&spare->event);
	mem_free(spare);
}

static void
pool_close_spare(struct pool_spare *spare)
{
	struct pool *pool = spare->pool;
	uint32_t conn = spare->conn;

	pool_release(spare);
	recover_close_conn(pool->table, conn);
}

static bool
pool_has_ended(struct pool_spare *spare)
{
	char text[SPARE_TEXT_SIZE];

	if (!spare_has_ended(spare->fd, text))
		return false;
	if (spare->end[0] == '\0')
		snprintf(spare->end, sizeof spare->end, "%s", text);
	return true;
}

static void pool_on_readable(evutil_socket_t fd, short what, void *arg);

/* What the server says first is the client's and stays unread: from now on only news are told. */
static void
pool_note_speech(struct pool_spare *spare)
{
	if (spare->spoke)
		return;
	spare->spoke = true;
	loop_event_stop(&spare->event);
	event_assign(&spare->event, spare->pool->loop, spare->fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
	    pool_on_readable, spare);
	event_add(&spare->event, NULL);
	if (spare->pool->callbacks->spoke != NULL)
		spare->pool->callbacks->spoke(spare->pool->arg);
}

/* Something has come, or an end. */
static void
pool_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pool_spare *spare = arg, ended;

	(void)fd;
	(void)what;
	if (!pool_has_ended(spare)) {
		pool_note_speech(spare);
		return;
	}
	ended = *spare;
	pool_close_spare(spare);
	ended.pool->callbacks->ended(ended.pool->arg, ended.address, clock_now() - ended.since, ended.end);
}

void
pool_add_spare(struct pool *pool, uint32_t conn, const char *address)
{
	const struct table_conn *record = &pool->table->conns[conn];
	struct pool_spare *spare = mem_new(1, sizeof *spare);

	spare->pool = pool;
	spare->conn = conn;
	spare->fd = record->fd;
	spare->since = record->since;
	snprintf(spare->address, sizeof spare->address, "%s", address);
	event_assign(&spare->event, pool->loop, spare->fd, EV_READ | EV_PERSIST, pool_on_readable, spare);
	event_add(&spare->event, NULL);
	TAILQ_INSERT_TAIL(&pool->spares, spare, next);
	pool->ready++;
	if (!loop_timer_is_set(&pool->tuning))
		loop_timer_at(&pool->tuning, clock_now() + TABLE_TUNE_AGE);
}

void
pool_on_tuning(evutil_socket_t fd, short what, void *arg)
{
	struct pool *pool = arg;
	int64_t now = clock_now(), next = CLOCK_NEVER;
	struct pool_spare *spare;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(spare, &pool->spares, next) {
		struct table_conn *record = &pool->table->conns[spare->conn];

		if (record->flags & TABLE_CONN_TUNED)
			continue;
		if (now - spare->since < TABLE_TUNE_AGE) {
			next = spare->since + TABLE_TUNE_AGE < next ? spare->since + TABLE_TUNE_AGE : next;
			continue;
		}
		dial_tune(spare->fd, pool->settings);
		record->flags |= TABLE_CONN_TUNED;
	}
	loop_timer_at(&pool->tuning, next);
}

static void
pool_adopt_dialling(struct pool *pool, uint32_t conn, bool keep)
{
	struct table_conn *record = &pool->table->conns[conn];
	char address[ADDRESS_TEXT_SIZE];

	if (!keep || pool->hello->count > 0 || pool->settings->probe.kind != PROBE_NONE ||
	    dial_examine(record->fd) != 1) {
		recover_close_conn(pool->table, conn);
		return;
	}
	spare_address(record->fd, address, sizeof address);
	record->since = clock_now();
	table_conn_set(pool->table, conn, TABLE_READY);
	pool_add_spare(pool, conn, address);
}

void
pool_adopt(struct pool *pool, bool keep)
{
	unsigned char *taken = table_conns_taken(pool->table, pool->service);
	char address[ADDRESS_TEXT_SIZE];

	for (uint32_t i = 1; i < pool->table->header->conn_high; i++) {
		const struct table_conn *record = &pool->table->conns[i];
		enum table_state state = table_conn_state(pool->table, i);

		if (record->service != pool->service || record->role != pool->role)
			continue;
		if (state == TABLE_DIALLING)
			pool_adopt_dialling(pool, i, keep);
		if (state != TABLE_READY || (taken[i / 8] & (1u << (i % 8))))
			continue;
		spare_address(record->fd, address, sizeof address);
		pool_add_spare(pool, i, address);
	}
	mem_free(taken);
}

void
pool_trim(struct pool *pool, unsigned keep)
{
	while (pool->ready > keep)
		pool_close_spare(TAILQ_LAST(&pool->spares, pool_spares));
}

static struct pool_spare *
pool_find_address(const struct pool *pool, const char *address)
{
	struct pool_spare *spare;

	TAILQ_FOREACH(spare, &pool->spares, next)
		if (strcmp(spare->address, address) == 0)
			break;
	return spare;
}

bool
pool_has(const struct pool *pool, const char *address)
{
	return pool_find_address(pool, address) != NULL;
}

void
pool_close_address(struct pool *pool, const char *address)
{
	struct pool_spare *spare = pool_find_address(pool, address);

	if (spare != NULL)
		pool_close_spare(spare);
}

const char *
pool_first_address(const struct pool *pool)
{
	const struct pool_spare *spare = TAILQ_FIRST(&pool->spares);

	return spare == NULL ? "" : spare->address;
}

bool
pool_move(struct pool *from, struct pool *to, char ret_address[ADDRESS_TEXT_SIZE])
{
	struct pool_spare *spare;

	TAILQ_FOREACH(spare, &from->spares, next) {
		if (pool_has_ended(spare)) {
			event_active(&spare->event, EV_READ, 0);
			continue;
		}
		snprintf(ret_address, ADDRESS_TEXT_SIZE, "%s", spare->address);
		if (spare->spoke)
			loop_event_stop(&spare->event); /* as in pool_take() */
		pool_add_spare(to, spare->conn, spare->address);
		pool_release(spare);
		return true;
	}
	return false;
}

void
pool_own(struct pool *pool)
{
	struct pool_spare *spare;

	TAILQ_FOREACH(spare, &pool->spares, next)
		pool->table->conns[spare->conn].role = (uint16_t)pool->role;
}

uint32_t
pool_take(struct pool *pool, int64_t max_age)
{
	int64_t now = clock_now();
	struct pool_spare *spare, *next;

	for (spare = TAILQ_FIRST(&pool->spares); spare != NULL; spare = next) {
		next = TAILQ_NEXT(spare, next);
		if (pool_has_ended(spare)) {
			event_active(&spare->event, EV_READ, 0); /* its end is told by the loop */
			continue;
		}
		if (max_age > 0 && now - spare->since > max_age) {
			pool_close_spare(spare);
			continue;
		}
		if (spare->spoke)
			loop_event_stop(&spare->event); /* it cannot stand beside a level-triggered one */
		return spare->conn;
	}
	return 0;
}

void
pool_taken(struct pool *pool, uint32_t conn, char ret_address[ADDRESS_TEXT_SIZE])
{
	struct pool_spare *spare = TAILQ_FIRST(&pool->spares);

	while (spare->conn != conn)
		spare = TAILQ_NEXT(spare, next);
	if (ret_address != NULL)
		snprintf(ret_address, ADDRESS_TEXT_SIZE, "%s", spare->address);
	pool_release(spare);
}

/* All wait for what one of them has written: nothing of it shall wait for more. */
void
pool_tune_shared(struct pool *pool, uint32_t conn)
{
	struct table_conn *record = &pool->table->conns[conn];

	if ((record->flags & TABLE_CONN_TUNED) == 0)
		dial_tune(record->fd, pool->settings);
	record->flags |= TABLE_CONN_TUNED;
	dial_hasten(record->fd);
}
