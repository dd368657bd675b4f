/* session.h - one client of a service from its accept to its end: held, open (it has a connection, or shares one),
 * turned away or closed.
 *
 * The record in the table is what counts; this is the process's side of it, made anew by each worker.
 */
#ifndef HOLDFAST_CLIENT_SESSION_H
#define HOLDFAST_CLIENT_SESSION_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/slab.h"
#include "client/closing.h"
#include "client/relay.h"
#include "keep/table.h"

struct session;
struct shared;
struct mux_client;
struct lingering;
TAILQ_HEAD(session_list, session);

/* The memory that sessions come from and go back to, so that clients come and go without an allocation. */
struct session_slab {
	struct slab sessions, relays;
};

struct session_callbacks {
	/* The first byte has passed over this upstream connection. */
	void (*attached)(void *arg, struct session *session);
	/* The upstream has ended, all is delivered, the client is still there and open for more.  true: it has been
	 * put back among the held with session_return(); false: the end is passed on. */
	bool (*upstream_ended)(void *arg, struct session *session);
	/* The session is over, for the cause that it holds: to be closed with session_close(). */
	void (*ended)(void *arg, struct session *session);
	/* A held client has shut down its side or gone, or has said something: whether it is over for it is the
	 * callee's to find out. */
	void (*left)(void *arg, struct session *session);
};

struct session {
	TAILQ_ENTRY(session) entry; /* in one of the service's lists: held or open */
	struct session_slab *slab; /* borrowed */
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
	struct shared *shared;      /* borrowed; NULL in session mode */
	struct mux_client *mux_client;      /* owned; in shared mode, while it is open */
	const struct session_callbacks *callbacks; /* borrowed */
	void *arg;                  /* borrowed */
};

/* For a stock with nothing in it. */
void session_slab_init(struct session_slab *slab);

/* Frees what is kept. */
void session_slab_clear(struct session_slab *slab);

/* The process's side of the record index, which is LIVE; the caller's, to be given to session_close(),
 * session_refuse() or session_free().  session_begin() starts it, a held one's at once or later. */
struct session *session_new(struct session_slab *slab, struct event_base *loop, struct table *table, uint32_t index,
    const struct session_callbacks *callbacks, void *arg);

/* Starts what the record's state asks for: relaying, or watching for a held client's leaving.  A held client may be
 * begun with again. */
void session_begin(struct session *session);

/* Held to open, with this connection of the table, which was idle.  The pool is to be told then. */
void session_open(struct session *session, uint32_t conn);

/* Held to open in shared mode: it becomes one of those who share. */
void session_share(struct session *session);

/* To be called by the parts of a session when it is over: ended is called, the session is gone.  A cause that was
 * decided before goes first. */
void session_is_over(struct session *session, enum closing_cause cause);

/* How far it has come. */
void session_get_closing(const struct session *session, struct closing_state *ret_state);

/* Open to held: the upstream connection is closed; what it did not take is kept for the next.  Bytes that it took
 * but did not acknowledge are given in *ret_lost. */
void session_return(struct session *session, uint64_t *ret_lost);

/* Whether no byte has passed over this upstream connection; over any that it had. */
bool session_is_unused(const struct session *session);
bool session_was_attached(const struct session *session);

/* Whether session_return() may be: it is open in session mode, and its client is there and open for more. */
bool session_can_return(const struct session *session);

/* Closes, frees the record and the session.  NULL is fine. */
void session_close(struct session *session);

/* The client is turned away: it is told text (borrowed; may be NULL or "") and closed by lingering, whose its record
 * is then; the session is freed. */
void session_refuse(struct session *session, struct lingering *lingering, const char *text);

/* Frees the process's side only; the record lives on (the worker ends, another comes). */
void session_free(struct session *session);

/* The session's record: borrowed, in the table, valid until the session is closed. */
struct table_client *session_record(const struct session *session);

/* By the record; else it is open. */
bool session_is_held(const struct session *session);

/* Whether something that the client said is held, not delivered. */
bool session_has_words(const struct session *session);

/* Whether a held session's client has gone altogether, and left nothing to be delivered; or whatever it left. */
bool session_has_left(const struct session *session);
bool session_is_gone(const struct session *session);

/* For how many microseconds a held session's client has been gone altogether, whatever it left, counted from when
 * this worker first saw it so; 0 while it is there. */
int64_t session_gone_for(struct session *session, int64_t now);

/* Once in a while for an open session: has a client that had shut down its side gone for good?  true if that was the
 * end: ended has been called, the session is gone. */
bool session_look(struct session *session);

/* Whether an open session's client has gone altogether, as far as has been seen. */
bool session_is_client_gone(const struct session *session);

#endif
