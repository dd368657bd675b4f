/* mux_conn.h - the connection that all clients of a service share: what it says is handed out, it is given their
 * requests, and it is watched.
 *
 * Its events leave inputs, which are taken in the mux's turn; that it is lost is left in `lost`, and it does nothing
 * more then.
 */
#ifndef HOLDFAST_CLIENT_MUX_CONN_H
#define HOLDFAST_CLIENT_MUX_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/mux_client.h"
#include "client/mux_policy.h"
#include "client/shared_settings.h"
#include "framing/framing.h"

struct budget_wait;

struct mux_conn {
	struct mux_clients *clients; /* borrowed, as are: */
	const struct mux_rules *rules;
	struct mux_queue *queue;
	struct mux_policy policy;
	struct shared_text beat;    /* owned: a heartbeat */
	int fd;                     /* -1 none */
	bool is_local;              /* to a Unix socket */
	int error;                  /* a positive errno that was told before the last bytes (B3) */
	bool reads, hands_out;      /* inputs: more has come; what came may find its place */
	struct mux_client *pressed; /* borrowed: for whom all wait; NULL nobody */
	uint64_t taken;             /* bytes that it had been given when last looked at */
	struct event read, write;
	struct framing_progress progress; /* of the message that is coming */
	struct budget_wait *wait;   /* owned: STARVED; NULL else */
	char lost[128];             /* why it is to be given up; "": it is not */
};

/* Takes the connection of this record of the table as the one in use; lets it go, when it has been lost. */
void mux_conn_open(struct mux_conn *conn, uint32_t index, int64_t now);
void mux_conn_close(struct mux_conn *conn, int64_t now);

/* Reads, and hands out what came, as far as it is whole and its inputs say so. */
void mux_conn_take(struct mux_conn *conn, int64_t now);

/* Gives it the requests that it may be given. */
void mux_conn_give(struct mux_conn *conn, int64_t now);

/* Requests that it was given, at least in part, and that it owes. */
uint64_t mux_conn_in_flight(const struct mux_conn *conn);

/* Whether it is given no further request. */
bool mux_conn_rests(const struct mux_conn *conn);

/* Without replies: what its host has acknowledged is owed no more. */
void mux_conn_retire(struct mux_conn *conn);

/* The client for whom all wait has taken some, or is gone (left). */
void mux_conn_release(struct mux_conn *conn, const struct mux_client *client, bool left, int64_t now);

/* Looks at all that waits for time: who takes nothing, whether it lives.  And how long until the next look; 0:
 * nothing waits. */
void mux_conn_look(struct mux_conn *conn, int64_t now);
int64_t mux_conn_period(const struct mux_conn *conn);

#endif
