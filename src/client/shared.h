/* shared.h - one upstream connection that all clients of a service share, message by message.
 *
 * Who asked what lies in the table (struct table_shared, client/mux_queue), so that a worker's death loses
 * nothing; this is the process's side of it.  Clients are those whose conn is
 * TABLE_CONN_SHARED; client/member does their part.
 */
#ifndef HOLDFAST_CLIENT_SHARED_H
#define HOLDFAST_CLIENT_SHARED_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/listener.h"
#include "client/liveness.h"
#include "client/client.h"
#include "framing/framing.h"
#include "framing/resp_command.h"
#include "keep/table.h"

enum shared_replies { SHARED_ORDERED, SHARED_NONE, SHARED_BROADCAST };
enum shared_on_loss { SHARED_FAIL, SHARED_RETRY };

#define SHARED_MESSAGE_MAX (16u << 20) /* max_message, at most */
#define SHARED_SLACK       (1u << 20)  /* what a client may have waiting for it beyond max_message */

struct shared_settings {
	enum framing_kind framing;
	enum shared_replies replies;
	enum listener_type type;     /* of the service's socket */
	unsigned max_message;        /* bytes */
	unsigned max_in_flight;
	int64_t reply_timeout;       /* microseconds; 0: none */
	enum shared_on_loss on_loss;
	char *loss_reply;            /* owned; NULL none */
	char *heartbeat_send, *heartbeat_expect; /* owned; NULL none */
	int64_t heartbeat_interval, heartbeat_timeout;
};

struct upstream;
struct shared;

/* settings are borrowed, and so is upstream, NULL where no connection will come any more.  shared_set() must follow,
 * then clients of a dead worker join, then comes shared_begin(). */
struct shared *shared_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct shared_settings *settings, struct upstream *upstream);

/* Goes on with what the table holds.  datagrams is the socket that datagrams come from; -1 none. */
void shared_begin(struct shared *shared, int datagrams);

/* Frees the process's side; no client is joined any more. */
void shared_free(struct shared *shared);

/* Settings (borrowed), which never change framing, replies, or type.  hold_timeout as in struct clients_settings;
 * refuses: on_down is "refuse"; aborts: abort_on_close; hello has made the connection what resp says. */
void shared_set(struct shared *shared, const struct shared_settings *settings, int64_t hold_timeout,
    bool refuses, bool aborts, const struct resp_connection *resp);

/* As much of the settings as the table holds of a service that is in no configuration any more; false: it has no
 * shared mode. */
bool shared_recall(const struct table_shared *record, struct shared_settings *ret_settings);

/* The socket that datagrams come from has been replaced; -1 none. */
void shared_set_datagrams(struct shared *shared, int fd);

/* A connection may be there, or is to be let go as soon as it owes nothing (upstream_moves()), or requests that wait
 * may have to be turned away: looks. */
void shared_serve(struct shared *shared);

/* The table says now that the service is paused: the connection is given no further request, and let go as soon as it
 * owes nothing.  May be called again. */
void shared_pause(struct shared *shared);

/* It is paused no more: the queue flows, and hold_timeout begins anew for what waits. */
void shared_unpause(struct shared *shared);

/* Requests that the connection was given, at least in part, and that it owes; and the record of each client that has
 * such, once. */
uint64_t shared_in_flight(const struct shared *shared);
void shared_each_in_flight(const struct shared *shared, bool (*visit)(void *arg, uint32_t session), void *arg);

bool shared_is_connected(const struct shared *shared);

/* Gives the connection up: requests in flight end as on_loss says.  Or it is lost for this reason, which the
 * upstream is told. */
void shared_drop(struct shared *shared);
void shared_lose(struct shared *shared, const char *reason);

/* No connection will come any more: the upstream was freed.  Who waits is turned away. */
void shared_leave_upstream(struct shared *shared);

/* Gives up all that the table holds for the service: the service is gone, and so are its clients. */
void shared_end(struct shared *shared);

/* For status. */
struct shared_status {
	uint64_t in_flight; /* requests that the connection was given */
	uint64_t queued;    /* those that it was not, and clients who wait to get theirs in */
	uint64_t messages[2];
	uint64_t lost, retried;
	unsigned waiting;   /* clients, while there is no connection */
	int64_t waiting_longest; /* microseconds */
};
void shared_get_status(struct shared *shared, struct shared_status *ret_status);

/* Whether loss_reply, and heartbeat.send, is or can be made one message: NULL, or what is wrong, to be freed with
 * mem_free(). */
char *shared_check_loss_reply(const struct shared_settings *settings);
char *shared_check_heartbeat(const struct shared_settings *settings);

#endif
