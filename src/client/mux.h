/* mux.h - one upstream connection that all clients of a service share, message by message (mode = "shared").
 *
 * Who asked what lies in the table (client/mux_queue), so that a worker's death loses nothing; this is the process's
 * side of it.  Events of the connection and of clients (client/mux_client) leave inputs; all that is to be done is
 * done once in a turn of the loop: what the upstream said is handed out, what clients said is moved on, the upstream
 * is given that, clients that are over are closed.  What is decided by time is decided by client/mux_policy.
 */
#ifndef HOLDFAST_CLIENT_MUX_H
#define HOLDFAST_CLIENT_MUX_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/shared_settings.h"
#include "client/spool.h"
#include "framing/resp_command.h"
#include "keep/table.h"

struct client;
struct mux;
struct mux_client;
struct mux_own;
struct upstream;

/* settings are borrowed, and so is upstream, NULL where no connection will come any more.  mux_set() must follow,
 * then clients of a dead worker join, then comes mux_begin(). */
struct mux *mux_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct shared_settings *settings, struct upstream *upstream);

/* Takes over what the table holds.  datagrams is the socket that datagrams come from; -1 none. */
void mux_begin(struct mux *mux, int datagrams);

/* Frees the process's side; no client is joined any more. */
void mux_free(struct mux *mux);

/* Settings (borrowed), which never change framing, replies, or type.  hold_timeout as in struct clients_settings;
 * refuses: on_down is "refuse"; aborts: abort_on_close; hello has made the connection what resp says. */
void mux_set(struct mux *mux, const struct shared_settings *settings, int64_t hold_timeout, bool refuses, bool aborts,
    const struct resp_connection *resp);

/* The client, which is open, joins; it is borrowed, and told of its end by client_is_over(), not before this
 * returns. */
struct mux_client *mux_join(struct mux *mux, struct client *client);

/* It leaves; what it asked is answered to nobody.  NULL is fine. */
void mux_leave(struct mux *mux, struct mux_client *client);

/* Of those that have, or want, a connection of their own: borrowed. */
struct mux_own *mux_get_own(struct mux *mux);

/* The socket that datagrams come from has been replaced; -1 none. */
void mux_set_datagrams(struct mux *mux, int fd);

/* A connection may be there, or is to be let go as soon as it owes nothing (upstream_moves()), or requests that wait
 * may have to be turned away: looks. */
void mux_serve(struct mux *mux);

/* The table says now that the service is paused: the connection is given no further request, and let go as soon as it
 * owes nothing.  May be called again. */
void mux_pause(struct mux *mux);

/* It is paused no more: the queue flows, and hold_timeout starts afresh for what waits. */
void mux_unpause(struct mux *mux);

/* Requests that the connection was given, at least in part, and that it owes; and the record of each client that has
 * such, once. */
uint64_t mux_in_flight(const struct mux *mux);
void mux_each_in_flight(const struct mux *mux, bool (*visit)(void *arg, uint32_t client), void *arg);

bool mux_is_connected(const struct mux *mux);

/* Gives the connection up: requests in flight end as on_loss says.  Or it is lost for this reason, which the
 * upstream is told. */
void mux_drop(struct mux *mux);
void mux_lose(struct mux *mux, const char *reason);

/* No connection will come any more: the upstream is about to be freed.  Who waits is turned away.  NULL is fine. */
void mux_leave_upstream(struct mux *mux);

/* Gives up all that the table holds for the service: the service is gone, and so are its clients. */
void mux_end(struct mux *mux);

/* For status. */
struct mux_status {
	uint64_t in_flight; /* requests that the connection was given */
	uint64_t queued;    /* those that it was not, and clients who wait to get theirs in */
	uint64_t messages[2];
	uint64_t lost, retried, dropped, unfinished;
	unsigned own;       /* clients that have a connection of their own */
	unsigned own_waiting; /* those that wait for one */
	unsigned waiting;   /* clients, while there is no connection */
	int64_t waiting_longest; /* microseconds */
	struct spool_status spool;
};
void mux_get_status(struct mux *mux, struct mux_status *ret_status);

#endif
