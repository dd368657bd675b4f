/* client.h - one client of a service from its accept to its end: held, open (it has a connection, or shares one),
 * turned away or closed.
 *
 * The record in the table is what counts; this is the process's side of it, made by each worker for itself.
 */
#ifndef HOLDFAST_CLIENT_CLIENT_H
#define HOLDFAST_CLIENT_CLIENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/proxy_header.h"
#include "base/slab.h"
#include "client/closing.h"
#include "client/lingering.h"
#include "client/relay.h"
#include "client/waiting.h"
#include "keep/table.h"
#include "upstream/conn.h"

struct client;
struct conn_settings;
struct mux_client;
struct resp_connection;
TAILQ_HEAD(client_list, client);

/* So many linger at once of all services; beyond, a service's oldest is closed at once. */
#define CLIENT_LINGERING_MOST 1024u

enum client_event {
	CLIENT_ANSWERED,       /* the first byte of this upstream connection has reached it */
	CLIENT_UPSTREAM_ENDED, /* all that it said is delivered, the client is still there and open for more; true: it
	                        * has been put back among the held by client_return(); false: the end is passed on */
	CLIENT_OWNS,           /* of shared mode: it has a connection of its own now */
	CLIENT_FREE,           /* it needs that no more; as long as it waits somewhere then, that stays so */
	CLIENT_BACK,           /* the same, and it is to share again */
	CLIENT_LEFT,           /* a held one has shut down its side or gone, or has said something: whether it is over
	                        * for it is the callee's to find out */
	CLIENT_ENDED,          /* for the cause that it holds: to be closed, or turned away */
	CLIENT_HEARD,          /* it was turned away, and nothing is left to be said or heard: to be closed */
};

/* What all clients of a service have in common.  Their memory comes from the slabs, so that they come and go without
 * an allocation. */
struct client_owner {
	struct event_base *loop; /* borrowed */
	struct table *table;     /* borrowed */
	struct slab clients, tracks, relays, lingering;
	enum proxy_version proxy; /* of the header that each connection of a client's own begins with */
	bool declines;           /* clients that ask for PostgreSQL's encryption are answered here */
	unsigned drops;          /* bytes of one that is turned away, at most: LINGERING_* */
	bool (*on_event)(void *arg, struct client *client, enum client_event event);
	void *arg;               /* borrowed */
};

struct client {
	TAILQ_ENTRY(client) entry;  /* in the list of all of the service */
	struct waiting_entry waiting; /* while it is held, rests with its own connection, or was turned away */
	struct client_owner *owner; /* borrowed */
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
	/* What moves its bytes, if anything does: one of these. */
	struct relay *relay;        /* owned: over a connection of its own */
	struct track *track;        /* owned: of its own connection, in shared mode; NULL else */
	struct mux_client *mux_client; /* owned by the mux: over the one that all share */
	struct lingering *lingering; /* owned: it was turned away */
};

/* With no client; on_event, arg and drops are the caller's to set.  Or frees what is kept, once all clients are
 * gone. */
void client_owner_init(struct client_owner *owner, struct event_base *loop, struct table *table);

/* How their connections begin from now on. */
void client_owner_set(struct client_owner *owner, const struct conn_settings *dial);
void client_owner_clear(struct client_owner *owner);

/* The process's side of the record index; the caller's, to be given to client_close() or client_free().
 * client_begin() starts one that is LIVE, a held one at once or later; client_turn_away() resumes a LINGERING one. */
struct client *client_new(struct client_owner *owner, uint32_t index);

/* Whose part in what waits this is; NULL for NULL. */
static inline struct client *
client_of(struct waiting_entry *entry)
{
	return entry == NULL ? NULL : waiting_of(entry, struct client, waiting);
}

/* Its record: borrowed, in the table, valid until the client is closed. */
static inline struct table_client *
client_record(const struct client *client)
{
	return &client->owner->table->clients[client->index];
}

/* By the record; else it is open. */
static inline bool
client_is_held(const struct client *client)
{
	return table_client_is_held(client->owner->table, client->index);
}

/* Starts what the record's state asks for: relaying, or watching for a held client's leaving.  A held client may be
 * begun with again. */
void client_begin(struct client *client);

/* Of one that is not relayed: its leaving is watched for, CLIENT_LEFT, or no more.  No other event of its file may be
 * in the loop meanwhile. */
void client_watch(struct client *client, bool on);

/* Held to open, with this connection of the table, which was idle.  The pool is to be told then. */
void client_open(struct client *client, uint32_t conn);

/* Held to open in shared mode: it is to become one of those who share. */
void client_share(struct client *client);

/* Shared to open, with this connection of the table, which was idle: CLIENT_OWNS.  What it has said and was not moved
 * on goes there.  It has left the mux.  shared and protocol are as for track_begin(). */
void client_own(struct client *client, uint32_t conn, const struct resp_connection *shared, unsigned protocol);

/* One that is free, and rests: CLIENT_BACK, if it is free still. */
void client_go_back(struct client *client);

/* Its own connection is to be left: one that rests goes back, of another relay_cut(). */
void client_cut(struct client *client, enum closing_cause cause);

/* It is held from now on, and waits there.  Its place is its id, so that a new worker finds the same order.  It waits
 * since it came; one that had a connection since the loss of that, and as long as it takes: after a worker's death
 * that is known to the tick. */
void client_wait(struct client *client, struct waiting_queue *held);

/* Open to held: the upstream connection is closed; what it did not take is kept for the next.  Gives how many bytes
 * it took but did not acknowledge. */
uint64_t client_return(struct client *client);

/* Whether client_return() may be: it is open in session mode, and its client is there and open for more. */
bool client_can_return(const struct client *client);

/* It is over: CLIENT_ENDED, it is gone.  A cause that was decided before goes first. */
void client_is_over(struct client *client, enum closing_cause cause);

/* Closes, frees the record and the client, which waits nowhere any more.  NULL is fine. */
void client_close(struct client *client);

/* A held one, or one that shared a connection and has left, is turned away: it is told text (borrowed; may be NULL or
 * ""), unless a dead worker has told it.  true: it is to be closed at once; else CLIENT_HEARD may follow. */
bool client_turn_away(struct client *client, const char *text);

/* One that waits nowhere: the same, waiting there until it has heard it; the first there makes room if too many do.
 * It may be gone.  Then: closes those there who have had their time by now; whether there were any. */
void client_linger_in(struct client *client, const char *text, struct waiting_queue *lingering);
bool client_close_lingering(struct waiting_queue *lingering, int64_t now);

/* Frees the process's side only; the record lives on (the worker ends, another comes). */
void client_free(struct client *client);

/* Whether no byte has passed over this upstream connection; over any that it had. */
bool client_is_unused(const struct client *client);
bool client_was_attached(const struct client *client);

/* Whether something that the client said is held, not delivered. */
bool client_has_words(const struct client *client);

/* Whether a held one has gone altogether, whatever it left; or so that nothing is to be done for it any more, which
 * with aborts (abort_on_close) is the same. */
bool client_is_gone(const struct client *client);
bool client_has_left(const struct client *client, bool aborts);

/* The same of one that waits there, once in a while, where it may have left something: nobody has taken it for a
 * minute since this worker first saw it gone, and its time to wait has no end. */
bool client_is_ghost(struct client *client, const struct waiting_queue *held, bool aborts, int64_t now);

/* Why an open one is to be ended now: IDLE for idle_timeout (microseconds; 0: no limit), or CLIENT, gone long ago;
 * else UNKNOWN, and *ret_idle is for how long it has been idle.  Else *ret_idle is 0. */
enum closing_cause client_is_due(const struct client *client, int64_t now, int64_t idle_timeout, int64_t *ret_idle);

/* Once in a while for one that has a connection of its own: has it, having shut down its side, gone for good?  true
 * if that was the end: CLIENT_ENDED was told, it is gone. */
bool client_look(struct client *client);

/* Once in a while for one that has a connection of its own, which lives for a while (TABLE_TUNE_AGE): gives it its
 * socket options, then looks after them.  true: it is too young. */
bool client_tune(struct client *client, const struct conn_settings *dial, int64_t now);

/* The same for the connection that all share, which has them; 0: none. */
void client_heed(struct table *table, uint32_t conn, const struct conn_settings *dial);

/* The closing line of a client, at this level; NULL: of one that was not let in. */
void client_log_end(const struct client *client, const char *name, enum log_level level, enum closing_cause cause);

#endif
