/* session.h - one client of a service from its accept to its end: held, open, closed.
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

#include "client/relay.h"
#include "keep/table.h"

struct session;
TAILQ_HEAD(session_list, session);

struct session_callbacks {
	/* The first byte has passed over this upstream connection. */
	void (*attached)(void *arg, struct session *session);
	/* The upstream has ended, all is delivered, the client is still there and open for more.  true: it has been
	 * put back among the held with session_return(); false: the end is passed on. */
	bool (*upstream_ended)(void *arg, struct session *session);
	/* The session is over: to be closed with session_close(). */
	void (*ended)(void *arg, struct session *session);
	/* A held client has gone without a word left: the same. */
	void (*left)(void *arg, struct session *session);
};

struct session {
	TAILQ_ENTRY(session) entry; /* in one of the service's lists: held or open */
	struct event_base *loop;    /* borrowed */
	struct table *table;        /* borrowed */
	uint32_t index;             /* of the record */
	uid_t uid;                  /* of the client, where there is a limit per user; else (uid_t)-1 */
	int64_t opened;             /* when it got its upstream connection; 0 under an earlier worker */
	uint64_t before;            /* bytes that had passed then, both ways together; 0 under an earlier worker */
	struct event watch;         /* of a held client's leaving */
	struct relay relay;
	const struct session_callbacks *callbacks; /* borrowed */
	void *arg;
};

/* The process's side of the record index, which is HELD or OPEN.  Call session_begin() next. */
struct session *session_new(struct event_base *loop, struct table *table, uint32_t index,
    const struct session_callbacks *callbacks, void *arg);

/* Starts what the record's state asks for: relaying, or watching for a held client's leaving. */
void session_begin(struct session *session);

/* HELD to OPEN with this upstream connection: named, then committed.  The caller then lets go of it. */
void session_open(struct session *session, int upstream_fd);

/* OPEN to HELD: the upstream connection is closed; what it did not take is kept for the next.  Bytes that it took
 * but did not acknowledge are given in *ret_lost. */
void session_return(struct session *session, uint64_t *ret_lost);

/* Whether no byte has passed over this upstream connection; over any that it had. */
bool session_is_unused(const struct session *session);
bool session_was_attached(const struct session *session);

/* Closes, frees the record and the session.  NULL is fine. */
void session_close(struct session *session);

/* Says text (may be NULL) to the client, reads away what it said, and closes. */
void session_refuse(struct session *session, const char *text);

/* Frees the process's side only; the record lives on (the worker ends, another comes). */
void session_free(struct session *session);

struct table_session *session_record(const struct session *session);
bool session_is_held(const struct session *session);

/* Once in a while for an OPEN session whose client has shut down its side: looks whether it has gone for good. */
void session_look(struct session *session);

#endif
