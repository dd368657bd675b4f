/* clients.h - all clients of one service: who may come, who waits, who is served.
 *
 * Session mode: each client gets an upstream connection of its own.
 */
#ifndef HOLDFAST_CLIENT_CLIENTS_H
#define HOLDFAST_CLIENT_CLIENTS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/closing.h"
#include "keep/table.h"

struct conn_settings;
struct listeners_settings;
struct mux;
struct upstream;

enum clients_on_down { CLIENTS_HOLD, CLIENTS_REFUSE };
enum clients_on_upstream_end { CLIENTS_CLOSE, CLIENTS_RECONNECT };

struct clients_settings {
	const struct listeners_settings *listeners; /* borrowed: who may come in where */
	enum clients_on_down on_down;
	int64_t hold_timeout;        /* microseconds, 0: no limit */
	unsigned max_held;           /* beyond: refused while the service is down, in the backlog while it is up */
	bool abort_on_close;         /* what a held client wrote that has gone is not carried out */
	char *down_reply;            /* owned; NULL none.  Configuration texts hold no NUL */
	unsigned max_clients;        /* 0: no limit */
	unsigned max_clients_per_user;
	int64_t idle_timeout;        /* microseconds, 0: never */
	enum clients_on_upstream_end on_upstream_end;
	const struct conn_settings *dial; /* borrowed: socket options of connections */
};

struct clients;

/* Takes up the clients that the table holds for this service.  Everything is borrowed; upstream is NULL where no
 * connection will come any more, mux in session mode.  ended is called when a client has ended, or has heard why
 * it was turned away, but not before this returns: with the last one gone an ending service may end. */
struct clients *clients_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct clients_settings *settings, bool log_clients, struct upstream *upstream, struct mux *mux,
    void (*ended)(void *arg), void *arg);

/* Frees the process's side only. */
void clients_free(struct clients *clients);

/* Other settings (borrowed) from now on; clients stay. */
void clients_set(struct clients *clients, const struct clients_settings *settings, bool log_clients);

/* No connection will come any more: the upstream was freed. */
void clients_leave_upstream(struct clients *clients);

/* As admission_listen(). */
void clients_listen(struct clients *clients, unsigned listener, int fd, bool last);

/* Gives ready connections to those who wait, and refuses them if none will come. */
void clients_serve(struct clients *clients);

/* Does what is due at this point of the monotonic clock: hold_timeout, idle_timeout, clients that have gone
 * unnoticed, socket options of connections, what is told once a minute.  A timer calls it. */
void clients_look(struct clients *clients, int64_t now);

/* Ends all who wait; then, with open too, all others; the cause is for the log. */
void clients_close(struct clients *clients, enum closing_cause cause, bool open);

/* Closes at once who was turned away and is still being told why. */
void clients_finish(struct clients *clients);

/* The table says now whether the service is paused.  If so nobody's time to wait runs out, and who is not attached
 * yet (no byte has passed) waits again.  kill: the connections of the attached end too; their clients are closed, or
 * wait as well with on_upstream_end = "reconnect".  May be called again.  If not, hold_timeout restarts for all. */
void clients_pause(struct clients *clients, bool kill);

/* Ends all connections of clients' own to this endpoint (its number; 0: to all), and so their clients, as if the far
 * end were gone; in shared mode who needs its own no more shares again. */
void clients_cut(struct clients *clients, uint16_t endpoint, enum closing_cause cause);

/* For status. */
struct clients_status {
	unsigned open, held;     /* who is served; who waits */
	unsigned lingering;      /* who is still being told why he is turned away; neither served nor held */
	int64_t held_longest;    /* microseconds; 0 if nobody is held */
	uint64_t bytes[2];       /* of the ended and the living, held ones included, by direction; never less */
	enum table_pause paused; /* why nobody is accepted for now */
};
void clients_get_status(const struct clients *clients, struct clients_status *ret_status);

/* How many are served, without the held.  Whether nobody is, nor still being told why he is turned away. */
unsigned clients_count(const struct clients *clients);
bool clients_is_empty(const struct clients *clients);

/* Calls visit with each record's index until it gives false; clients_kill() of the one shown is allowed. */
void clients_each(struct clients *clients, bool (*visit)(void *arg, uint32_t client), void *arg);

/* Ends the client of this record; nothing happens if it is not one of these. */
void clients_kill(struct clients *clients, uint32_t client);

#endif
