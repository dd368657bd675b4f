/* upstream.h - does what upstream/pconn decides for one service: looks up, dials, runs handlers, keeps time.
 *
 * Its state lies in the table (struct upstream_record), so that a new worker resumes where the dead one was (P26),
 * and so do its connections (keep/table.h).
 *
 * In session mode a client takes a ready connection away.  In shared mode all clients share one, which
 * stays the current one of the machine until it ends.
 */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_H
#define HOLDFAST_UPSTREAM_UPSTREAM_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "keep/table.h"
#include "upstream/own.h"
#include "upstream/record.h"
#include "upstream/upstream_log.h"
#include "upstream/upstream_settings.h"

/* For status.  Texts are valid until the next turn of the loop. */
struct upstream_status {
	enum upstream_state state;
	bool up;                       /* the last thing known of it is no failure, and it is not ended */
	bool resting;
	const char *address;           /* borrowed; of the last connection or candidate; "" none */
	int64_t since;                 /* wall clock: of the state */
	int64_t down_since;            /* wall clock, 0 when up */
	int64_t next_attempt;          /* monotonic deadline, 0 none */
	const char *last_error;        /* borrowed; "" none */
	int64_t last_error_at;         /* wall clock, 0 none */
	unsigned failures;
	struct record_counters counters;
	unsigned warm;                 /* connections ready; 0 in shared mode */
	unsigned standby;              /* of upstream_settings.standby, those that are ready */
	unsigned dialling;
	const char *lookup;            /* borrowed; lookup_describe() */
	int64_t lookup_running_since;  /* monotonic, 0 none */
	unsigned endpoints;            /* that are listed */
	bool withdrawn;                /* the endpoint of the last connection is */
};

struct upstream;

/* Makes the upstream of the service with this index in the table; a record that a dead worker left is resumed, a
 * fresh one (all zero) begins.  settings, watcher and callbacks are borrowed and must stay.  Calls back from the
 * event loop only. */
struct upstream *upstream_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct upstream_settings *settings, const struct upstream_watcher *watcher,
    const struct upstream_callbacks *callbacks, void *arg);

/* Ends it: programs are killed, its connections that are idle or on their way closed, its part of the record zeroed.
 * A shared connection is left to client/, without a call of lost. */
void upstream_free(struct upstream *upstream);

/* Down to upstream_let_go(): NULL is the upstream of a service that is removed, which has nothing for clients, and
 * refuses them.
 *
 * How many wait for a connection now (P24; in session mode each is dialled for, side by side). */
void upstream_set_held(struct upstream *upstream, unsigned held);

/* A ready connection that was looked at (P29), or 0.  The caller says in the table whose it is, the commit: a
 * client's, or in shared mode, where its own event is in the loop by then, table_conn_share().  Then it calls
 * upstream_taken(), which tells the state machine (P25), or sets the socket options of one that is shared.  After a
 * worker's death whoever finds it shared has it, without calling that again. */
uint32_t upstream_take(struct upstream *upstream);
void upstream_taken(struct upstream *upstream, uint32_t conn);

/* Shared mode, for one client beside those who share: as own_start(), own_cancel(), own_take() and own_taken().  NULL
 * where no connection will come any more. */
struct own *upstream_own_start(struct upstream *upstream, const char *const *requests, size_t count,
    const char *first);

/* A taken connection, which is still open here, was ended by the server before a byte passed either way; its client
 * is to wait again.  Within 1 s of the connect that is a failed attempt (P27), else an expiry. */
void upstream_unused(struct upstream *upstream, uint32_t conn);

/* The connection that is shared, or 0. */
uint32_t upstream_shared(const struct upstream *upstream);

/* P33: whether the shared connection is to be replaced as soon as nothing is in flight; upstream_let_go() says so. */
bool upstream_moves(const struct upstream *upstream);

/* The shared connection has ended, and the caller has ended its record: `disconnected` with this
 * reason, from the loop, and on by P4 and P7.  While a drain waits for this (P20), upstream_refuses() says so, and it
 * is for client/ to end the connection as soon as nobody needs it. */
void upstream_lost(struct upstream *upstream, const char *reason);

/* Whether clients are refused now because it has ended for good: closed, drained, aborted; or is going to, when the
 * shared connection ends. */
bool upstream_refuses(const struct upstream *upstream);

/* Whether a connection is there or on its way without a retry delay, for on_down = "refuse". */
bool upstream_is_up(const struct upstream *upstream);

/* What has happened outside: a client has its first answer over a connection that was taken, whose replacement may be
 * dialled now (PCONN_ANSWERED, P25); or an operator's: drop what is ready and connect again, at once, or when it
 * is paused no more (PCONN_RECONNECT); PCONN_CLOSE (P16), PCONN_DRAIN (P20), PCONN_OPEN after either or an abort. */
void upstream_tell(struct upstream *upstream, enum pconn_event event);

/* An operator's pause has begun, or is over: the table says which, false is to be said here.  While it lasts nothing
 * is looked up, dialled, or kept ready, and the upstream is idle.  A shared one stays until it is let go, true:
 * client/ has nothing in flight any more, or shall end what it has.  Once it is over the upstream connects again,
 * unless the shared connection is still there. */
void upstream_let_go(struct upstream *upstream, bool lets);

/* Whether a paused one has come to rest: no connection, and no attempt under way. */
bool upstream_is_at_rest(const struct upstream *upstream);

/* The table says now until when this user (copied) has it treated as down.  Whatever is ready or shared
 * is dropped, and attempts fail at once.  When the time is over, or with 0 in the table, an attempt begins. */
void upstream_fail(struct upstream *upstream, const char *by);

void upstream_get_status(const struct upstream *upstream, struct upstream_status *ret_status);

/* Where it looks, for operators to ask; what they are told is not listed.  Borrowed, until the next reload. */
struct lookup *upstream_lookup(const struct upstream *upstream);

/* Resumes with these settings (borrowed) in place of the previous ones, which may be freed then.  again: what they
 * say of the upstream has changed.  Then the source of lookups restarts, ready connections are dropped, and it
 * connects again at once, after an abort too, but not if an operator has closed or drained it; who waits stays. */
void upstream_renew(struct upstream *upstream, const struct upstream_settings *settings, bool anew);

/* Waits for one of these; freed by its answer, which never comes before this returns, or upstream_leave(), even after
 * upstream_free(), with which those who wait are told an error.  Time-outs are the caller's. */
struct upstream_waiter *upstream_wait(struct upstream *upstream, unsigned kind, upstream_answer *answer, void *arg);
void upstream_leave(struct upstream_waiter *waiter);

#endif
