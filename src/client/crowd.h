/* crowd.h - all clients of one service: who may come, who waits, who is served.
 *
 * Session mode: each client gets an upstream connection of its own.
 */
#ifndef HOLDFAST_CLIENT_CROWD_H
#define HOLDFAST_CLIENT_CROWD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/closing.h"
#include "keep/table.h"

struct conn_settings;
struct shared;
struct upstream;

enum crowd_on_down { CROWD_HOLD, CROWD_REFUSE };
enum crowd_on_upstream_end { CROWD_CLOSE, CROWD_RECONNECT };

struct crowd_settings {
	char **allow_users, **allow_groups; /* owned lists; both NULL: everybody */
	enum crowd_on_down on_down;
	int64_t hold_timeout;        /* microseconds, 0: no limit */
	unsigned max_held;           /* beyond: refused while the service is down, in the backlog while it is up */
	bool abort_on_close;         /* what a held client wrote that has gone is not carried out */
	char *down_reply;            /* owned; NULL none.  Configuration texts hold no NUL */
	unsigned max_clients;        /* 0: no limit */
	unsigned max_clients_per_user;
	int64_t idle_timeout;        /* microseconds, 0: never */
	enum crowd_on_upstream_end on_upstream_end;
	const struct conn_settings *dial; /* borrowed: socket options of connections */
};

struct crowd;

/* Takes up the sessions that the table holds for this service.  Everything is borrowed; upstream is NULL where no
 * connection will come any more, shared in session mode.  ended is called when a client has ended, or has heard why
 * it was turned away, but not before this returns: with the last one gone an ending service may end. */
struct crowd *crowd_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct crowd_settings *settings, bool log_clients, struct upstream *upstream, struct shared *shared,
    void (*ended)(void *arg), void *arg);

/* Frees the process's side only. */
void crowd_free(struct crowd *crowd);

/* Other settings (borrowed) from now on; clients stay. */
void crowd_set(struct crowd *crowd, const struct crowd_settings *settings, bool log_clients);

/* No connection will come any more: the upstream was freed. */
void crowd_leave_upstream(struct crowd *crowd);

/* Accepts from fd (borrowed) from now on; -1 for no more. */
void crowd_listen(struct crowd *crowd, int fd);

/* Accepts all who have connected to a socket that was shut and is to go. */
void crowd_accept_rest(struct crowd *crowd);

/* Gives ready connections to those who wait, and refuses them if none will come. */
void crowd_serve(struct crowd *crowd);

/* Ends all who wait; then, with open too, all others; the cause is for the log. */
void crowd_close(struct crowd *crowd, enum closing_cause cause, bool open);

/* Closes at once who was turned away and is still being told why. */
void crowd_finish(struct crowd *crowd);

/* How many are still being told why they are turned away; they count neither as served nor as held. */
unsigned crowd_lingering(const struct crowd *crowd);

/* The table says now that the service is paused: nobody's time to wait runs out any more, and who is not attached yet
 * (no byte has passed) waits again.  kill: the connections of the attached end too; their clients are closed, or wait
 * as well with on_upstream_end = "reconnect".  May be called again. */
void crowd_pause(struct crowd *crowd, bool kill);

/* It is paused no more: hold_timeout begins anew for all who wait. */
void crowd_unpause(struct crowd *crowd);

/* Ends all upstream connections to this endpoint (its number; 0: to all), and so their clients, as if the far end
 * were gone.  Session mode. */
void crowd_cut(struct crowd *crowd, uint16_t endpoint, enum closing_cause cause);

/* How many are served, without the held; how many are held. */
unsigned crowd_count(const struct crowd *crowd);
unsigned crowd_held(const struct crowd *crowd);

/* How long the one who has waited longest has done so, in microseconds; 0 if nobody is held. */
int64_t crowd_held_longest(const struct crowd *crowd);

/* Why nobody is accepted for now. */
enum table_pause crowd_why_paused(const struct crowd *crowd);

/* Bytes of the ended and the living, held ones included, by direction; they never go down. */
void crowd_get_bytes(const struct crowd *crowd, uint64_t ret_bytes[2]);

/* Calls visit with each record's index until it gives false; crowd_kill() of the one shown is allowed. */
void crowd_each(struct crowd *crowd, bool (*visit)(void *arg, uint32_t session), void *arg);

/* Ends the client of this record; nothing happens if it is not one of this crowd's. */
void crowd_kill(struct crowd *crowd, uint32_t session);

#endif
