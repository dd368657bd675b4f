/* in_use.h - the connections that clients have: which of them are to be left, since their endpoint is (P33); and in
 * shared mode the one that all share, with those that stand by for it. */
#ifndef HOLDFAST_UPSTREAM_IN_USE_H
#define HOLDFAST_UPSTREAM_IN_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/machine.h"
#include "upstream/pool.h"
#include "upstream/upstream_log.h"

struct in_use;

/* Finds what a dead worker had shared.  All is borrowed. */
struct in_use *in_use_new(const struct upstream_context *context, struct pool *pool);
void in_use_free(struct in_use *in_use);

/* The context has other settings. */
void in_use_set(struct in_use *in_use);

/* From the loop, once the pool has taken over what there is: the shared connection is resumed, and those that
 * stand by; or given up. */
void in_use_resume(struct in_use *in_use);
void in_use_forget(struct in_use *in_use);

/* This one is shared now, as the table says; the one that is, or 0; whether its endpoint is to be left. */
void in_use_share(struct in_use *in_use, uint32_t conn);
uint32_t in_use_shared(const struct in_use *in_use);
bool in_use_moves(const struct in_use *in_use);

/* It has ended, and so has its record: the machine is told in this turn of the loop.  Whether it was not yet. */
void in_use_lost(struct in_use *in_use, const char *reason);
bool in_use_is_lost(const struct in_use *in_use);

/* Whether it is in use: client/ may have said that it is not any more (let go), while it is paused or to be
 * left. A pause that begins or ends takes that back. */
bool in_use_is_busy(const struct in_use *in_use);
void in_use_let_go(struct in_use *in_use, bool lets);

/* The current connection has ended, unused, so long after its connect: a standby takes over, if one is ready. */
bool in_use_take_over(struct in_use *in_use, int64_t age);

/* Gives up the shared one. */
void in_use_drop(struct in_use *in_use);

/* The machine was told this. */
void in_use_note(struct in_use *in_use, enum pconn_event event);

/* Sees to the endpoints, now that the machine has come to rest; then, when clients have been served, to standbys.
 * Dials in the background are for a service that is connected, or idle though its last attempts failed (P31). */
void in_use_tend(struct in_use *in_use);
void in_use_tend_standby(struct in_use *in_use);

#endif
