/* mux_own.h - clients of a shared connection who need one of their own: who waits for it, how many have one, and when
 * they share again.
 *
 * Part of the mux: its turn calls mux_own_serve(), and an input has the turn come.
 */
#ifndef HOLDFAST_CLIENT_MUX_OWN_H
#define HOLDFAST_CLIENT_MUX_OWN_H

#include "client/mux_conn.h"

struct client;
struct upstream;

struct mux_own {
	struct mux_clients *clients;  /* borrowed, as are: */
	struct mux_conn *conn;        /* the one that all share */
	struct upstream *upstream;    /* NULL once no connection will come */
	unsigned count;               /* clients that have one of their own */
	struct waiting_queue resting; /* those of them that need it no more */
	int64_t recalled;             /* who has rested since before then shares again at once */
	struct loop_timer rested;     /* the first of them shares again */
};

void mux_own_init(struct mux_own *own, struct mux_clients *clients, struct mux_conn *conn,
    struct upstream *upstream);

/* One client more has a connection of its own, or one fewer (-1). */
void mux_own_note(struct mux_own *own, int change);

/* One needs its own no more, and rests: client_go_back() comes when own_linger is over, or at once where another
 * waits for one, or it leads to another endpoint than the shared one.  Not where it has chosen another database than
 * the shared connection's: it keeps its own. */
void mux_own_rest(struct mux_own *own, struct client *client);

/* All who rest now share again at once. */
void mux_own_recall(struct mux_own *own);

/* Those who rest share again, as far as it is time, and those who wait get what there is. */
void mux_own_serve(struct mux_own *own, int64_t now);

/* Turns away who has waited too long for one, or all, if clients are refused and there is nothing to share. */
void mux_own_turn_away(struct mux_own *own, bool refused, int64_t now);

/* Those for who waits are dialled again: hello makes something else of them, and who speaks another protocol than
 * that is to be told there. */
void mux_own_ask_again(struct mux_own *own);

/* hello makes something else of the shared connection: of those who rest, who has chosen another database rests no
 * more. */
void mux_own_judge_again(struct mux_own *own);

/* No connection will come any more: the upstream is about to be freed. */
void mux_own_leave_upstream(struct mux_own *own);

#endif
