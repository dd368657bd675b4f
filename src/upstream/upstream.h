/* upstream.h - does what upstream/pconn decides for one service: looks up, dials, runs handlers, keeps time.
 *
 * Its state lies in the table (struct table_service.upstream), so that a new worker goes on where the dead one
 * was (P26), and so do its connections (keep/table.h).
 *
 * In session mode a client takes a ready connection away: upstream_take().  In shared mode all clients use one,
 * which is lent and stays the upstream's own current connection until it ends: upstream_lend().
 */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_H
#define HOLDFAST_UPSTREAM_UPSTREAM_H

#include <event2/event.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "keep/table.h"
#include "upstream/conn.h"
#include "upstream/endpoints.h"
#include "upstream/hello.h"
#include "upstream/upstream_event.h"
#include "upstream/lookup.h"
#include "upstream/pconn.h"

#define UPSTREAM_WARM_AUTO UINT_MAX /* of pconn.warm: 1 where that does no harm, else none */

struct upstream_settings {
	struct pconn_settings pconn; /* retry.*, hold_retry, warm */
	struct endpoints_settings endpoints; /* pick and the like; retry.* are taken from pconn's */
	struct lookup_settings lookup;
	struct conn_settings dial;
	struct hello_settings hello;
	int64_t warm_max_age;        /* 0: any age is fine; session mode only */
	bool shared;                 /* one connection, whatever pconn.warm says; no P27, no P28 */
	unsigned standby;            /* shared mode: connections to other copies, kept ready for a failover */
	char *on_event;              /* owned; NULL none */
	int64_t on_event_timeout;
	char *notify;                /* owned; NULL none */
};

struct upstream_callbacks {
	/* P12: sees each event before the handler does. */
	void (*event)(void *arg, const struct upstream_event *event);
	/* A connection may be there for upstream_take(), or the state has changed so that held clients should be
	 * looked at again (aborted, closed, drained: upstream_refuses()). */
	void (*ready)(void *arg);
	/* The lent connection is given up (reconnect, renewal, close): the callee ends it, and does not call
	 * upstream_lost().  NULL in session mode. */
	void (*drop)(void *arg);
	/* P33: the lent connection is to be replaced when nothing is in flight, which upstream_let_go() says; or not,
	 * after all.  NULL in session mode. */
	void (*move)(void *arg, bool moves);
	/* P33: clients' connections to this endpoint are to be ended.  May come again.  NULL in shared mode. */
	void (*leave)(void *arg, uint16_t endpoint);
};

#define UPSTREAM_BY_SIZE 64 /* a user's name */

enum upstream_state {
	UPSTREAM_IDLE, UPSTREAM_CONNECTING, UPSTREAM_IS_CONNECTED, UPSTREAM_WAITING, UPSTREAM_CLOSING,
	    UPSTREAM_CLOSED, UPSTREAM_DRAINED,
	UPSTREAM_ABORTED
};
const char *upstream_state_name(enum upstream_state state); /* "idle" ... as status shows it */

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
	uint64_t outages, attempts, connects, disconnects, lookup_failures, expiries, handler_failures,
	    notify_dropped;
	unsigned warm;                 /* connections ready; 0 in shared mode */
	unsigned standby;              /* of upstream_settings.standby, those that are ready */
	bool lent;
	unsigned dialling;
	const char *lookup;            /* borrowed; lookup_describe() */
	int64_t lookup_running_since;  /* monotonic, 0 none */
	unsigned endpoints;            /* that are listed */
	bool withdrawn;                /* the endpoint of the last connection is */
};

struct upstream;

/* Makes the upstream of the service with this index in the table; a record that a dead worker left is gone on
 * with, a fresh one (all zero) begins.  settings and callbacks are borrowed and must stay.  Calls back from the
 * event loop only. */
struct upstream *upstream_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct upstream_settings *settings, const struct upstream_callbacks *callbacks, void *arg);

/* Ends it: programs are killed, its connections that are idle or on their way closed, its part of the record zeroed.
 * A lent connection is left to its borrower, without a call of drop. */
void upstream_free(struct upstream *upstream);

/* How many clients wait for a connection now (P24; the crowd is dialled for side by side). */
void upstream_set_held(struct upstream *upstream, unsigned held);

/* A ready connection that was looked at (P29), or 0.  The caller says in the table whose it is, the commit, and then
 * calls upstream_taken(), which tells the state machine (P25). */
uint32_t upstream_take(struct upstream *upstream);
void upstream_taken(struct upstream *upstream, uint32_t conn);

/* The first byte has passed over a connection that was taken: its replacement may be dialled now (P25). */
void upstream_relayed(struct upstream *upstream);

/* A taken connection, which is still open here, was ended by the server before a byte passed either way; its client
 * is to wait again.  Within 1 s of the connect that is a failed attempt (P27), else an expiry. */
void upstream_unused(struct upstream *upstream, uint32_t conn);

/* Shared mode.  The ready connection, looked at (P29), or 0.  The caller adds its own event for its file, then calls
 * table_conn_share(), the commit, and then upstream_lent(), which sets the socket's options.  It is the caller's from
 * then on, and after a worker's death whoever finds it shared is its borrower, without calling upstream_lent()
 * again. */
uint32_t upstream_lend(struct upstream *upstream);
void upstream_lent(struct upstream *upstream, uint32_t conn);

/* The connection that is lent, or 0. */
uint32_t upstream_lent_conn(const struct upstream *upstream);

/* The lent connection has ended, and the caller has ended its record: `disconnected` with this
 * reason, from the loop, and on by P4 and P7.  While a drain waits for this (P20), upstream_refuses() says so, and
 * it is for the borrower to end the connection as soon as nobody needs it. */
void upstream_lost(struct upstream *upstream, const char *reason);

/* Whether clients are refused now because the upstream has ended for good: closed, drained, aborted; or is
 * going to, when the lent connection ends. */
bool upstream_refuses(const struct upstream *upstream);

/* Whether a connection is there or on its way without a retry delay, for on_down = "refuse". */
bool upstream_is_up(const struct upstream *upstream);

/* An operator's pause has begun, or is over: the table says which.  While it lasts nothing is looked up, dialled, or
 * kept ready, and the upstream is idle.  A lent connection stays until upstream_let_go(): its borrower has nothing
 * in flight any more, or shall end what it has.  Once it is over the upstream connects anew, unless the lent
 * connection is still there. */
void upstream_obey(struct upstream *upstream);
void upstream_let_go(struct upstream *upstream);

/* Whether a paused upstream has come to rest: no connection, and no attempt under way. */
bool upstream_is_at_rest(const struct upstream *upstream);

/* The table says now until when the upstream is treated as down, by the order of this user (copied).  Whatever is
 * ready or lent is dropped, and attempts fail at once.  When the time is over, or with 0 in the table, an attempt
 * begins. */
void upstream_fail(struct upstream *upstream, const char *by);

void upstream_get_status(const struct upstream *upstream, struct upstream_status *ret_status);

/* The catalog that it looks into, or NULL.  Borrowed, until the next reload. */
const struct catalog *upstream_catalog(const struct upstream *upstream);

/* Goes on with these settings (borrowed) in place of the former ones, which may be freed then.  anew: what they say
 * of the upstream has changed.  Then the source of look-ups is made anew, ready connections are dropped, and it
 * connects anew at once, after an abort too, but not if an operator has closed or drained it; who waits stays. */
void upstream_renew(struct upstream *upstream, const struct upstream_settings *settings, bool anew);

/* Drops the ready connections and connects anew, at once; a paused one does when it is paused no more. */
void upstream_reconnect(struct upstream *upstream);

/* P16, P20; start anew after either or an abort. */
void upstream_close(struct upstream *upstream);
void upstream_drain(struct upstream *upstream);
void upstream_open(struct upstream *upstream);

/* P13 and P14.  The callback comes once, with NULL when connected or the error; never before these return.
 * P13 (wait): on a closed upstream an error at once; time-outs are the caller's.  P14 (try).  When the upstream is
 * freed, those who wait are told an error, from the loop. */
struct upstream_waiter;
typedef void upstream_answer(void *arg, const char *error);
struct upstream_waiter *upstream_wait(struct upstream *upstream, upstream_answer *answer, void *arg);
struct upstream_waiter *upstream_try(struct upstream *upstream, upstream_answer *answer, void *arg);
/* P18: when a close or drain has finished. */
struct upstream_waiter *upstream_wait_closed(struct upstream *upstream, upstream_answer *answer, void *arg);
void upstream_waiter_cancel(struct upstream_waiter *waiter);

/* Runs the look-up for an operator and changes nothing (shares one under way). */
struct lookup_waiter *upstream_lookup(struct upstream *upstream, lookup_callback *callback, void *arg);

#endif
