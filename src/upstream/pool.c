#include "upstream/pool.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "upstream/candidates.h"
#include "upstream/spare.h"

/* A ready connection. */
struct pool_spare {
	TAILQ_ENTRY(pool_spare) next;
	struct pool *pool;   /* borrowed */
	uint32_t session;
	int fd;              /* its record's */
	int64_t since;
	char address[ADDRESS_TEXT_SIZE];
	struct event event;
};

/* One on its way. */
struct pool_dial {
	TAILQ_ENTRY(pool_dial) next;
	struct pool *pool;   /* borrowed */
	uint32_t session;    /* 0: none */
	struct dial *dial;   /* owned; NULL none */
	struct address address;
	uint64_t tried;      /* candidates, a bit each */
	unsigned generation; /* of the candidates */
	bool single;         /* the attempt's: no other candidate */
	int error;           /* that is to be told by the timer */
	struct event timer;
};

struct pool {
	struct event_base *loop;                /* borrowed */
	struct table *table;                    /* borrowed */
	uint16_t service;
	const struct dial_settings *settings;   /* borrowed */
	const struct pool_callbacks *callbacks; /* borrowed */
	void *arg;                              /* borrowed */
	struct candidates candidates;
	unsigned ready, dialling;
	TAILQ_HEAD(pool_spares, pool_spare) spares; /* oldest first */
	TAILQ_HEAD(pool_dials, pool_dial) dials;
};

static void pool_next(struct pool_dial *dial);

/* T3. */
static void
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

/* Forgets a ready one; its record and file stay. */
static void
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

/* Something has come, or an end.  What the server says first is the client's and stays unread; the event is
 * edge-triggered, so that it does not come again for that. */
static void
pool_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pool_spare *spare = arg, ended = *spare;
	int64_t age = clock_now() - ended.since;
	char text[SPARE_TEXT_SIZE];

	(void)what;
	if (!spare_has_ended(fd, text))
		return;
	pool_close_spare(spare);
	ended.pool->callbacks->ended(ended.pool->arg, ended.address, age, text);
}

static void
pool_add_spare(struct pool *pool, uint32_t session, const char *address)
{
	struct table_session *record = &pool->table->sessions[session];
	struct pool_spare *spare = mem_new(1, sizeof *spare);

	spare->pool = pool;
	spare->session = session;
	spare->fd = record->upstream_fd;
	spare->since = record->since;
	snprintf(spare->address, sizeof spare->address, "%s", address);
	event_assign(&spare->event, pool->loop, spare->fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
	    pool_on_readable, spare);
	event_add(&spare->event, NULL);
	TAILQ_INSERT_TAIL(&pool->spares, spare, next);
	pool->ready++;
}

/* Ends the dial under way; its record and file too, unless they have become a ready connection's. */
static void
pool_stop_dial(struct pool_dial *dial)
{
	dial_cancel(dial->dial);
	dial->dial = NULL;
	loop_timer_stop(&dial->timer);
	if (dial->session != 0)
		pool_close_record(dial->pool, dial->session);
	dial->session = 0;
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

static void
pool_dial_failed(struct pool_dial *dial, int error)
{
	struct pool *pool = dial->pool;
	struct candidate *candidate = candidates_find(&pool->candidates, &dial->address);
	char address[ADDRESS_TEXT_SIZE];
	bool local = dial->session == 0, further;

	address_format(&dial->address, address);
	if (candidate != NULL && !local)
		candidate->failed_at = clock_now();
	pool_stop_dial(dial);
	further = !dial->single && !local && pool_can_go_on(dial);
	if (further)
		pool_next(dial);
	else
		pool_free_dial(dial);
	pool->callbacks->failed(pool->arg, address, strerror(error), further);
}

static void
pool_on_dialled(void *arg, int error)
{
	struct pool_dial *dial = arg;
	struct pool *pool = dial->pool;
	struct table_session *record = &pool->table->sessions[dial->session];
	struct candidate *candidate = candidates_find(&pool->candidates, &dial->address);
	char address[ADDRESS_TEXT_SIZE];

	dial->dial = NULL;
	if (error != 0) {
		pool_dial_failed(dial, error);
		return;
	}
	record->since = clock_now();
	table_session_set(pool->table, dial->session, TABLE_SPARE);
	CRASH_POINT(DIAL_CONNECTED);
	dial_tune(record->upstream_fd, pool->settings);
	if (candidate != NULL)
		candidate->failed_at = 0;
	address_format(&dial->address, address);
	pool_add_spare(pool, dial->session, address);
	loop_timer_stop(&dial->timer);
	pool_free_dial(dial);
	pool->callbacks->dialled(pool->arg, address);
}

static void
pool_on_error(evutil_socket_t fd, short what, void *arg)
{
	struct pool_dial *dial = arg;

	(void)fd;
	(void)what;
	pool_dial_failed(dial, dial->error);
}

/* The file, named in a record of state DIALLING: 0 or a positive errno. */
static int
pool_name_file(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;
	struct table_session *record;
	uint32_t session;
	int fd = dial_socket(&dial->address);

	if (fd < 0)
		return -fd;
	CRASH_POINT(DIAL_SOCKET);
	if ((session = table_session_claim(pool->table)) == 0) {
		close(fd);
		return ENFILE;
	}
	record = &pool->table->sessions[session];
	record->service = pool->service;
	record->upstream_fd = table_note_file(pool->table, fd);
	table_session_set(pool->table, session, TABLE_DIALLING);
	CRASH_POINT(DIAL_NAMED);
	dial->session = session;
	return 0;
}

static void
pool_begin(struct pool_dial *dial)
{
	struct pool *pool = dial->pool;

	dial->error = pool_name_file(dial);
	if (dial->error != 0) {
		loop_timer_at(&dial->timer, clock_now());
		return;
	}
	dial->dial = dial_start(pool->loop, pool->table->sessions[dial->session].upstream_fd, &dial->address,
	    pool->settings, pool_on_dialled, dial);
	CRASH_POINT(DIAL_STARTED);
}

static void
pool_next(struct pool_dial *dial)
{
	size_t i = candidates_choose(&dial->pool->candidates, dial->tried, clock_now());

	dial->tried |= UINT64_C(1) << i;
	dial->address = dial->pool->candidates.list[i].address;
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
pool_new(struct event_base *loop, struct table *table, uint16_t service, const struct dial_settings *settings,
    const struct pool_callbacks *callbacks, void *arg)
{
	struct pool *pool = mem_new(1, sizeof *pool);

	pool->loop = loop;
	pool->table = table;
	pool->service = service;
	pool->settings = settings;
	pool->callbacks = callbacks;
	pool->arg = arg;
	TAILQ_INIT(&pool->spares);
	TAILQ_INIT(&pool->dials);
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
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_stop_dials(pool);
	while (!TAILQ_EMPTY(&pool->spares))
		pool_release(TAILQ_FIRST(&pool->spares));
	candidates_clear(&pool->candidates);
	mem_free(pool);
}

static void
pool_adopt_dialling(struct pool *pool, uint32_t session, bool keep)
{
	struct table_session *record = &pool->table->sessions[session];
	char address[ADDRESS_TEXT_SIZE];

	if (!keep || dial_examine(record->upstream_fd) != 1) {
		pool_close_record(pool, session);
		return;
	}
	spare_address(record->upstream_fd, address, sizeof address);
	record->since = clock_now();
	table_session_set(pool->table, session, TABLE_SPARE);
	dial_tune(record->upstream_fd, pool->settings);
	pool_add_spare(pool, session, address);
}

void
pool_adopt(struct pool *pool, bool keep)
{
	char address[ADDRESS_TEXT_SIZE];

	for (uint32_t i = 1; i < pool->table->header->session_high; i++) {
		struct table_session *record = &pool->table->sessions[i];
		enum table_state state = table_session_state(pool->table, i);

		if (record->service != pool->service)
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
	dial->address = pool->candidates.list[i].address;
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

void
pool_trim(struct pool *pool, unsigned keep)
{
	while (pool->ready > keep)
		pool_close_spare(TAILQ_LAST(&pool->spares, pool_spares));
}

int
pool_take(struct pool *pool, int64_t max_age, uint32_t *ret_session, int64_t *ret_since, char *ret_address,
    size_t size)
{
	int64_t now = clock_now();
	struct pool_spare *spare, *next;
	char text[SPARE_TEXT_SIZE];
	int fd;

	for (spare = TAILQ_FIRST(&pool->spares); spare != NULL; spare = next) {
		next = TAILQ_NEXT(spare, next);
		if (spare_has_ended(spare->fd, text)) {
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
		pool_release(spare);
		return fd;
	}
	return -1;
}

void
pool_taken(struct pool *pool, uint32_t session)
{
	pool->table->sessions[session].upstream_fd = -1;
	table_session_free(pool->table, session);
}
