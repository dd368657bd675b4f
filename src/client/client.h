/* client.h - one client of a service from its accept to its end: held, open (it has a connection, or shares one),
 * turned away or closed.
 *
 * The record in the table is what counts; this is the process's side of it, made anew by each worker.
 */
#ifndef HOLDFAST_CLIENT_CLIENT_H
#define HOLDFAST_CLIENT_CLIENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/slab.h"
#include "client/closing.h"
#include "client/relay.h"
#include "client/waiting.h"
#include "keep/table.h"

struct client;
struct mux_client;
struct lingering;
TAILQ_HEAD(client_list, client);

/* The memory that clients come from and go back to, so that clients come and go without an allocation. */
struct client_slab {
	struct slab clients, relays;
};

struct client_callbacks {
	/* The first byte has passed over this upstream connection. */
	void (*attached)(void *arg, struct client *client);
	/* The upstream has ended, all is delivered, the client is still there and open for more.  true: it has been
	 * put back among the held with client_return(); false: the end is passed on. */
	bool (*upstream_ended)(void *arg, struct client *client);
	/* The session is over, for the cause that it holds: to be closed with client_close(). */
	void (*ended)(void *arg, struct client *client);
	/* A held client has shut down its side or gone, or has said something: whether it is over for it is the
	 * callee's to find out. */
	void (*left)(void *arg, struct client *client);
};

struct client {
	TAILQ_ENTRY(client) entry; /* while it is open: in the service's list */
	struct waiting_entry waiting; /* while it is held */
	struct client_slab *slab; /* borrowed */
	struct event_base *loop;    /* borrowed */
	struct table *table;        /* borrowed */
	uint32_t index;             /* of the record */
	uid_t uid;                  /* of the client, where there is a limit per user; else (uid_t)-1 */
	int64_t opened;             /* when it got its upstream connection; 0 under an earlier worker */
	int64_t returned;           /* when it was put back among the held; 0 never, or under an earlier worker */
	int64_t gone;               /* when a held client was first seen to be gone altogether; 0 not yet */
	uint64_t before;            /* bytes that had passed then, both ways together; 0 under an earlier worker */
	struct event watch;         /* of a held client's leaving */
	bool watched;               /* so is its leaving */
	bool waits;                 /* it has been taken among the held */
	bool asked;                 /* a request of it had no reply when its end was decided */
	enum closing_cause cause;   /* of its end, once that is decided */
	struct relay *relay;        /* owned; NULL while it is held, and in shared mode */
	struct mux_client *mux_client; /* owned by who shares it out: in shared mode, while it is open */
	const struct client_callbacks *callbacks; /* borrowed */
	void *arg;                  /* borrowed */
};

/* For a stock with nothing in it. */
void client_slab_init(struct client_slab *slab);

/* Frees what is kept. */
void client_slab_clear(struct client_slab *slab);

/* The process's side of the record index, which is LIVE; the caller's, to be given to client_close(),
 * client_refuse() or client_free().  client_begin() starts it, a held one's at once or later. */
struct client *client_new(struct client_slab *slab, struct event_base *loop, struct table *table, uint32_t index,
    const struct client_callbacks *callbacks, void *arg);

/* Starts what the record's state asks for: relaying, or watching for a held client's leaving.  A held client may be
 * begun with again. */
void client_begin(struct client *client);

/* Held to open, with this connection of the table, which was idle.  The pool is to be told then. */
void client_open(struct client *client, uint32_t conn);

/* Held to open in shared mode: it is to become one of those who share. */
void client_share(struct client *client);

/* To be called by the parts of a session when it is over: ended is called, the session is gone.  A cause that was
 * decided before goes first. */
void client_is_over(struct client *client, enum closing_cause cause);

/* Whose part in what waits this is; NULL for NULL. */
static inline struct client *
client_of(struct waiting_entry *entry)
{
	return entry == NULL ? NULL : waiting_of(entry, struct client, waiting);
}

/* How far it has come, but for what it asked in shared mode. */
void client_get_closing(const struct client *client, struct closing_state *ret_state);

/* Open to held: the upstream connection is closed; what it did not take is kept for the next.  Bytes that it took
 * but did not acknowledge are given in *ret_lost. */
void client_return(struct client *client, uint64_t *ret_lost);

/* Whether no byte has passed over this upstream connection; over any that it had. */
bool client_is_unused(const struct client *client);
bool client_was_attached(const struct client *client);

/* Whether client_return() may be: it is open in session mode, and its client is there and open for more. */
bool client_can_return(const struct client *client);

/* Closes, frees the record and the session.  NULL is fine. */
void client_close(struct client *client);

/* The client is turned away: it is told text (borrowed; may be NULL or "") and closed by lingering, whose its record
 * is then; the session is freed. */
void client_refuse(struct client *client, struct lingering *lingering, const char *text);

/* Frees the process's side only; the record lives on (the worker ends, another comes). */
void client_free(struct client *client);

/* The session's record: borrowed, in the table, valid until the session is closed. */
struct table_client *client_record(const struct client *client);

/* By the record; else it is open. */
bool client_is_held(const struct client *client);

/* Whether something that the client said is held, not delivered. */
bool client_has_words(const struct client *client);

/* Whether a held session's client has gone altogether, and left nothing to be delivered; or whatever it left. */
bool client_has_left(const struct client *client);
bool client_is_gone(const struct client *client);

/* For how many microseconds a held session's client has been gone altogether, whatever it left, counted from when
 * this worker first saw it so; 0 while it is there. */
int64_t client_gone_for(struct client *client, int64_t now);

/* Once in a while for an open session: has a client that had shut down its side gone for good?  true if that was the
 * end: ended has been called, the session is gone. */
bool client_look(struct client *client);

/* Whether an open session's client has gone altogether, as far as has been seen. */
bool client_is_client_gone(const struct client *client);

#endif
