/* pool.h - all of a service's connections that no client has, by what they are for, and the dials that bring them.
 *
 * What is wanted when is upstream/pconn's to decide, which endpoint is dialled upstream/race's; how the
 * endpoints are the pool notes in the table for everybody.  Each connection has its record there (upstream/conn).
 */
#ifndef HOLDFAST_UPSTREAM_POOL_H
#define HOLDFAST_UPSTREAM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/listing.h"
#include "upstream/machine.h"
#include "upstream/standby_plan.h"
#include "upstream/upstream_log.h"

struct pool;

/* The server has ended an idle one of this role so long after its connect; it is closed.  text says more, or is
 * "". */
typedef void pool_ended(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text);

/* All is borrowed.  What becomes of dials for clients is pushed to the machine: OFFERED, DIALED, DIAL_FAILED with
 * ABORT before it, SPOKE; of others it is told to look.  What becomes of an endpoint's health is logged. */
struct pool *pool_new(const struct upstream_context *context, struct listing *listing, pool_ended *ended, void *arg);

/* These settings are about to take the place of the context's.  Where hello or TLS say something else, dials are
 * ended: the owner is about to restart. */
void pool_set(struct pool *pool, const struct upstream_settings *next);

/* Closes all that is idle or on its way, and frees it. */
void pool_free(struct pool *pool);

/* Takes over what a dead worker left: with keep the idle connections for clients, and those that got connected
 * meanwhile; the others are closed (B6), and where hello or a probe is spoken all that were not ready: how far that
 * had come is not known; and those that were for one client (upstream/own).  keep_standby: likewise of those that
 * stand by. */
void pool_adopt(struct pool *pool, bool keep, bool keep_standby);

/* While connected: begins so many times to dial, one endpoint after or beside the other until one succeeds. */
void pool_fill(struct pool *pool, unsigned count);

/* The attempt's dials (P23): begins them likewise, each endpoint being offered before, unless they are under way or
 * what became of them waits for the machine; with go, dials the one that is offered.  Offers no further one (P16),
 * and takes back what is offered if one was dialled before, which it says. */
void pool_attempt(struct pool *pool, bool go);
bool pool_stop(struct pool *pool);

/* So many shall stand by beside the connection to the current endpoint, each at one of its own, where nothing is
 * connected to yet; 0: the service is not connected, or ends. */
void pool_stand_by(struct pool *pool, unsigned wanted, uint16_t current);

/* Something has happened that concerns standbys: STANDBY_WAKE. */
void pool_tell_standby(struct pool *pool, enum standby_event event);

/* Dials in the background what is due (P31), and drops idle connections that the next client must not get (P33,
 * P31); to be called when endpoints may have changed, while no attempt is under way.  When it is to be called
 * again; CLOCK_NEVER: not by time alone. */
int64_t pool_tend(struct pool *pool, int64_t now);

/* Closes all idle ones of a role and ends the dials for it (of NEXT, those of attempt and health too; of STANDBY, the
 * lookup is left). */
void pool_drop(struct pool *pool, enum table_role role);

/* How many clients have, counted again, as endpoints are told. */
unsigned pool_in_use(struct pool *pool);

/* How many are idle; how many dials, an attempt counting as one, are under way.  Both count: they are few. */
unsigned pool_idle(const struct pool *pool, enum table_role role);
unsigned pool_dialling(const struct pool *pool, enum table_role role);

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
 * for its descriptor in the loop. */
uint32_t pool_take(struct pool *pool, int64_t max_age);
void pool_taken(struct pool *pool, uint32_t conn);

/* The server has ended one that a client had, and that was not used (P27): ready since then. */
void pool_note_unused(struct pool *pool, uint16_t number, int64_t since);

/* Sets the socket options of the connection that all share. */
void pool_tune_shared(struct pool *pool, uint32_t conn);

#endif
