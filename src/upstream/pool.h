/* pool.h - all of a service's connections that no client has, by what they are for, and the dials that bring them.
 *
 * What is wanted when is upstream/pconn's to decide, which endpoint is dialled upstream/race's; how the
 * endpoints are the pool notes in the table for everybody.  Each connection has its record there (upstream/conn).
 */
#ifndef HOLDFAST_UPSTREAM_POOL_H
#define HOLDFAST_UPSTREAM_POOL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "keep/table.h"
#include "upstream/conn.h"
#include "upstream/endpoints.h"
#include "upstream/standby_plan.h"

/* What a dial is for. */
enum pool_purpose {
	POOL_ATTEMPT, /* pconn's; each endpoint is offered before it is dialled */
	POOL_FILL,    /* while connected: for a client, or to be kept ready */
	POOL_STANDBY, /* shared mode: to be kept for a failover */
	POOL_HEALTH   /* in the background: is an endpoint well?  Closed when that is known */
};

/* All borrowed. */
struct pool_settings {
	const struct conn_settings *dial;
	const struct hello_settings *hello;
	const struct endpoints_settings *endpoints;
	const struct pconn_settings *pconn;
};

struct pool_callbacks {
	/* The attempt's next endpoint; pool_go() dials it.  The pool must not be changed in it. */
	void (*offered)(void *arg, uint16_t number);
	/* A dial has succeeded: its connection is among the idle ones, or was closed (health). */
	void (*dialled)(void *arg, enum pool_purpose purpose, uint16_t number);
	/* A dial has failed.  With further set others are under way or will be, and the pool must not be changed in
	 * it; else it was the last, and abort is why one of them wants all attempts ended (P21, P23), or NULL.
	 * number 0: there was no endpoint to dial. */
	void (*failed)(void *arg, enum pool_purpose purpose, uint16_t number, const char *error, bool further,
	    const char *abort);
	/* The server has ended an idle one of this role so long after its connect; it is closed.  text says more, or
	 * is "". */
	void (*ended)(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text);
	/* An endpoint is in good health again, or is not any more.  The pool must not be changed in it. */
	void (*turned)(void *arg, uint16_t number, bool good);
	/* The server has spoken on an idle one, which nobody asked it for; what it said stays unread.  It must not be
	 * closed at once. */
	void (*spoke)(void *arg);
	/* wanted: a look-up for standbys is to be made; then STANDBY_LOOKED_UP or STANDBY_LOOKUP_FAILED, never before
	 * it returns.  Else it is not wanted any more. */
	void (*look_up)(void *arg, bool wanted);
	uint32_t (*roll)(void *arg); /* 32 random bits */
};

struct pool;

/* callbacks and endpoints, which lie in the table, are borrowed. */
struct pool *pool_new(struct event_base *loop, struct table *table, uint16_t service, struct endpoints *endpoints,
    const struct pool_settings *settings, const struct pool_callbacks *callbacks, void *arg);

/* Goes on with these settings in place of the former ones, which must still be there.  Where hello says something
 * else, dials are ended without a callback: the owner is about to begin anew. */
void pool_set(struct pool *pool, const struct pool_settings *settings);

/* Closes all that is idle or on its way, and frees it. */
void pool_free(struct pool *pool);

/* Takes over what a dead worker left: with keep the idle connections for clients, and those that got connected
 * meanwhile; the others are closed (B6), and where hello or a probe is spoken all that were not ready: how far that
 * had come is not known.  keep_standby: likewise of those that stand by. */
void pool_adopt(struct pool *pool, bool keep, bool keep_standby);

/* Begins so many times to dial, for an ATTEMPT or a FILL: one endpoint after or beside the other until one
 * succeeds. */
void pool_start(struct pool *pool, enum pool_purpose purpose, unsigned count);

/* The attempt's dials (P23): dials the one that is offered; offers no further one (P16), and takes back what is
 * offered if one was dialled before, which it says; whether they are under way. */
void pool_go(struct pool *pool);
bool pool_stop(struct pool *pool);
bool pool_is_attempting(const struct pool *pool);

/* So many shall stand by beside the connection to the current endpoint, each at one of its own, where nothing is
 * connected to yet; 0: the service is not connected, or ends. */
void pool_stand_by(struct pool *pool, unsigned wanted, uint16_t current);

/* LOOKED_UP, LOOKUP_FAILED, WAKE: what the pool cannot know. */
void pool_tell_standby(struct pool *pool, enum standby_event event);

/* Dials in the background what is due (P31), and drops idle connections that the next client must not get (P33,
 * P31); to be called when endpoints may have changed, while no attempt is under way.  When it is to be called
 * again; CLOCK_NEVER: not by time alone. */
int64_t pool_tend(struct pool *pool, int64_t now);

/* Closes all idle ones of a role and ends the dials for it (of NEXT, those of attempt and health too; of STANDBY, the
 * look-up is left); no other callback. */
void pool_drop(struct pool *pool, enum table_role role);

/* How many clients have, counted anew, as endpoints are told. */
unsigned pool_in_use(struct pool *pool);

/* How many are idle; how many dials for clients, an attempt counting as one, are under way. */
unsigned pool_idle(const struct pool *pool, enum table_role role);
unsigned pool_dialling(const struct pool *pool);

/* Closes the newest idle ones of a role beyond so many. */
void pool_trim(struct pool *pool, enum table_role role, unsigned keep);

/* The endpoint of the oldest idle one for clients, or 0. */
uint16_t pool_first(const struct pool *pool);

/* The oldest that stands by and has not ended is the next client's: its endpoint, or 0 if there is none.  Its record
 * keeps its role until pool_own(), so that a new worker can tell. */
uint16_t pool_take_over(struct pool *pool);
void pool_own(struct pool *pool);

/* The oldest idle one for clients that is alive and not older than max_age (0: any age) (P29), or 0.  It counts as
 * idle until pool_taken(), which must follow: by then the table says whose it is, and the caller has its own event
 * for its file in the loop. */
uint32_t pool_take(struct pool *pool, int64_t max_age);
void pool_taken(struct pool *pool, uint32_t conn);

/* The server has ended one that a client had, and that was not used (P27): ready since then. */
void pool_note_unused(struct pool *pool, uint16_t number, int64_t since);

/* Sets the socket options of the connection that all share. */
void pool_tune_shared(struct pool *pool, uint32_t conn);

#endif
