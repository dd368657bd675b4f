/* pool.h - a service's connections that no client has: those that are ready, and those on their way.
 *
 * A connection is ready when it is connected and hello was answered.  Each has its record in the table, READY or
 * DIALLING, before the connect, so that a new worker finds it.  What is wanted when is upstream/pconn's to
 * decide.
 */
#ifndef HOLDFAST_UPSTREAM_POOL_H
#define HOLDFAST_UPSTREAM_POOL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "keep/table.h"
#include "upstream/dial.h"
#include "upstream/hello.h"

struct pool_callbacks {
	/* A dial has succeeded; its connection is among the ready ones. */
	void (*dialled)(void *arg, const char *address);
	/* A server's answer to hello ends all attempts (P21); failed() of this dial comes next. */
	void (*refused)(void *arg, const char *error);
	/* A dial has failed, or its hello; unless further is set, that was its last candidate. */
	void (*failed)(void *arg, const char *address, const char *error, bool further);
	/* The server has ended a ready one so long after its connect; it is closed.  text is spare_has_ended()'s. */
	void (*ended)(void *arg, const char *address, int64_t age, const char *text);
	/* The server has spoken on a ready one, which nobody asked it for; what it said stays unread.  May be NULL;
	 * must not close it at once. */
	void (*spoke)(void *arg);
};

struct pool;

/* Its connections have this role, and only such are adopted: NEXT or STANDBY.  settings, hello and callbacks are
 * borrowed. */
struct pool *pool_new(struct event_base *loop, struct table *table, uint16_t service, enum table_role role,
    const struct dial_settings *settings, const struct hello_settings *hello, const struct pool_callbacks *callbacks,
    void *arg);

/* Goes on with these settings in place of the former ones, which must still be there.  Where hello says something
 * else, dials are ended without a callback: the owner is about to begin anew. */
void pool_set(struct pool *pool, const struct dial_settings *settings, const struct hello_settings *hello);

/* Frees the process's side; pool_drop() first, if the connections shall go too. */
void pool_free(struct pool *pool);

/* Takes over what a dead worker left: ready connections, and with keep those that got connected meanwhile; others
 * are closed (B6), and where hello or a probe is spoken all that were not ready: how far that had come is not
 * known. */
void pool_adopt(struct pool *pool, bool keep);

/* Where dials go from now on, best first; copied. */
void pool_set_candidates(struct pool *pool, const struct address *candidates, size_t count);

/* How many candidates have not failed within the last second, and have not ended a young connection. */
unsigned pool_promising(const struct pool *pool);

/* One has just ended a young connection: others are dialled first. */
void pool_mark_failed(struct pool *pool, const char *address);

/* Dials candidate i and no other. */
void pool_dial(struct pool *pool, size_t i);

/* Begins so many dials, each going on to the next candidate until one succeeds: those that failed last. */
void pool_fill(struct pool *pool, unsigned count);

/* Closes all ready ones and ends all dials; no callback. */
void pool_drop(struct pool *pool);

unsigned pool_ready(const struct pool *pool);
unsigned pool_dialling(const struct pool *pool);

/* Closes the newest ready ones beyond so many. */
void pool_trim(struct pool *pool, unsigned keep);

/* Whether one is ready at this address; closes it. */
bool pool_has(const struct pool *pool, const char *address);
void pool_close_address(struct pool *pool, const char *address);

/* Where the oldest ready one is connected to (borrowed), or "". */
const char *pool_first_address(const struct pool *pool);

/* Moves the oldest ready one that has not ended to another pool and gives its address; false if there is none.  It
 * keeps the role of the first pool until pool_own(), so that a new worker can tell. */
bool pool_move(struct pool *from, struct pool *to, char ret_address[ADDRESS_TEXT_SIZE]);
void pool_own(struct pool *pool);

/* The oldest ready one that is alive and not older than max_age (0: any age) (P29), or 0.  It counts as ready until
 * pool_taken(), which must follow: by then the table says whose it is, and the caller has its own event for its file
 * in the loop. */
uint32_t pool_take(struct pool *pool, int64_t max_age);

/* Where to it is connected is given too, unless ret_address is NULL. */
void pool_taken(struct pool *pool, uint32_t conn, char ret_address[ADDRESS_TEXT_SIZE]);

/* Sets the socket options of the connection that all share. */
void pool_tune_shared(struct pool *pool, uint32_t conn);

#endif
