#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "upstream/pool_parts.h"

void
pool_close_record(struct pool *pool, uint32_t session)
{
	struct table_session *record = &pool->table->sessions[session];

	table_session_set(pool->table, session, TABLE_CLOSING);
	CRASH_POINT(CLOSE_MARKED);
	close(record->upstream_fd);
	record->upstream_fd = -1;
	CRASH_POINT(CLOSE_UPSTREAM);
	table_session_free(pool->table, session);
}

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
	uint32_t session = spare->session;

	pool_release(spare);
	pool_close_record(pool, session);
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
pool_add_spare(struct pool *pool, uint32_t session, const char *address)
{
	struct table_session *record = &pool->table->sessions[session];
	struct pool_spare *spare = mem_new(1, sizeof *spare);

	spare->pool = pool;
	spare->session = session;
	spare->fd = record->upstream_fd;
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
		struct table_session *record = &pool->table->sessions[spare->session];

		if (record->flags & TABLE_SESSION_TUNED)
			continue;
		if (now - spare->since < TABLE_TUNE_AGE) {
			next = spare->since + TABLE_TUNE_AGE < next ? spare->since + TABLE_TUNE_AGE : next;
			continue;
		}
		dial_tune(spare->fd, pool->settings);
		record->flags |= TABLE_SESSION_TUNED;
	}
	loop_timer_at(&pool->tuning, next);
}

static void
pool_adopt_dialling(struct pool *pool, uint32_t session, bool keep)
{
	struct table_session *record = &pool->table->sessions[session];
	char address[ADDRESS_TEXT_SIZE];

	if (!keep || pool->hello->count > 0 || pool->settings->probe.kind != PROBE_NONE ||
	    dial_examine(record->upstream_fd) != 1) {
		pool_close_record(pool, session);
		return;
	}
	spare_address(record->upstream_fd, address, sizeof address);
	record->since = clock_now();
	table_session_set(pool->table, session, TABLE_SPARE);
	pool_add_spare(pool, session, address);
}

void
pool_adopt(struct pool *pool, bool keep)
{
	char address[ADDRESS_TEXT_SIZE];

	for (uint32_t i = 1; i < pool->table->header->session_high; i++) {
		struct table_session *record = &pool->table->sessions[i];
		enum table_state state = table_session_state(pool->table, i);

		if (record->service != pool->service || (record->flags & TABLE_SESSION_STANDBY) != pool->flags)
			continue;
		if (state == TABLE_DIALLING)
			pool_adopt_dialling(pool, i, keep);
		if (state != TABLE_SPARE)
			continue;
		spare_address(record->upstream_fd, address, sizeof address);
		pool_add_spare(pool, i, address);
	}
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
		pool_add_spare(to, spare->session, spare->address);
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
		pool->table->sessions[spare->session].flags &= (uint16_t)~TABLE_SESSION_STANDBY;
}

int
pool_take(struct pool *pool, int64_t max_age, uint32_t *ret_session, int64_t *ret_since, char *ret_address,
    size_t size)
{
	int64_t now = clock_now();
	struct pool_spare *spare, *next;
	int fd;

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
		fd = spare->fd;
		*ret_session = spare->session;
		*ret_since = spare->since;
		snprintf(ret_address, size, "%.*s", (int)size - 1, spare->address);
		if (spare->spoke)
			loop_event_stop(&spare->event); /* it cannot stand beside a level-triggered one */
		return fd;
	}
	return -1;
}

static void
pool_forget(struct pool *pool, uint32_t session)
{
	struct pool_spare *spare = TAILQ_FIRST(&pool->spares);

	while (spare->session != session)
		spare = TAILQ_NEXT(spare, next);
	pool_release(spare);
}

void
pool_taken(struct pool *pool, uint32_t session)
{
	pool_forget(pool, session);
	pool->table->sessions[session].upstream_fd = -1;
	table_session_free(pool->table, session);
}

/* All wait for what one of them has written: nothing of it shall wait for more. */
void
pool_tune_lent(struct pool *pool, uint32_t session)
{
	struct table_session *record = &pool->table->sessions[session];

	if ((record->flags & TABLE_SESSION_TUNED) == 0)
		dial_tune(record->upstream_fd, pool->settings);
	record->flags |= TABLE_SESSION_TUNED;
	dial_hasten(record->upstream_fd);
}

void
pool_lent(struct pool *pool, uint32_t session)
{
	pool_forget(pool, session);
	pool_tune_lent(pool, session);
}
