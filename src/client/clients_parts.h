/* clients_parts.h - what clients.c (coming, going), clients_resume.c (of a dead worker), clients_look.c (looking, now
 * and then), and clients_switch.c (pause, failure by order) share; nobody else's. */
#ifndef HOLDFAST_CLIENT_CLIENTS_PARTS_H
#define HOLDFAST_CLIENT_CLIENTS_PARTS_H

#include "base/clock.h"
#include "base/loop.h"
#include "client/admission.h"
#include "client/clients.h"
#include "client/lingering.h"
#include "client/listener.h"
#include "client/mux_client.h"
#include "client/client.h"
#include "upstream/upstream.h"

/* What is said again and again is said this seldom. */
#define CLIENTS_SILENT (60 * CLOCK_SECOND)

/* Refusals that the log tells of, in sum. */
enum clients_limit { CLIENTS_LIMIT_HELD, CLIENTS_LIMIT_TIME, CLIENTS_LIMITS };

struct clients_refusals {
	unsigned count;  /* since they were last told of */
	int64_t told;    /* when; 0 never */
};

struct clients {
	struct event_base *loop;      /* borrowed */
	struct table *table;          /* borrowed */
	uint16_t service;
	const char *name;             /* borrowed: in the table */
	const struct clients_settings *settings; /* borrowed */
	bool log_clients;
	struct listener *listener;    /* owned; NULL while not listening */
	struct admission *admission;  /* owned */
	struct waiting_queue held;          /* who waits */
	struct loop_timer expiry;     /* of the first whose time is over */
	struct lingering *lingering;        /* owned: who was turned away, and is not gone yet */
	struct client_list open;      /* owned: who is served */
	unsigned open_count;
	const struct client *placed; /* borrowed: who has just come, and has not waited yet; NULL nobody */
	struct client_slab slab;
	struct upstream *upstream;    /* borrowed; NULL once no connection will come */
	struct shared *shared;        /* borrowed; NULL in session mode */
	enum table_pause paused;      /* why nobody is accepted; files that have run out are the listener's */
	bool fresh;                   /* some connections have no socket options yet */
	int64_t told[TABLE_PAUSES];   /* when a pause for this reason was last told of; 0 never */
	struct clients_refusals refusals[CLIENTS_LIMITS];
	struct loop_timer scan;
	int64_t regular;              /* when all is looked at next, not only who is idle */
	int64_t due;                  /* when the next client will have been idle for idle_timeout; CLOCK_NEVER */
	struct loop_timer watching;   /* of those who have come and wait */
	void (*ended)(void *arg);
	void *arg;                    /* borrowed */
};

/* Who waits longest, and who after one; NULL: nobody. */
static inline struct client *
clients_first_held(const struct clients *clients)
{
	return client_of(waiting_first(&clients->held));
}

static inline struct client *
clients_next_held(const struct client *client)
{
	return client_of(waiting_next(&client->waiting));
}

/* The service's counters in the table. */
struct table_counters *clients_counters(const struct clients *clients);

/* The process's side of a client's record. */
struct client *clients_add(struct clients *clients, uint32_t index, uid_t uid);

/* It is held from now on; it is open, and shares the connection. */
void clients_wait(struct clients *clients, struct client *client);
void clients_share_out(struct clients *clients, struct client *client);

/* Whether the client at the other end may come in; counts it if not. */
enum admission_result clients_admit(struct clients *clients, int fd, uid_t *ret_uid);

/* Whether a held client has gone so that nothing is to be done for it any more. */
bool clients_has_left(const struct clients *clients, const struct client *client);

/* Whether who comes now is turned away. */
bool clients_is_closed_now(const struct clients *clients);

/* Takes over the clients of a dead worker. */
void clients_resume(struct clients *clients);

/* Ends a session, held or open; the cause is for the log.  A reply that is not NULL is said first. */
void clients_end(struct clients *clients, struct client *client, enum closing_cause cause, const char *reply);

/* The closing line of a client, at debug, or at info if each is to have one; NULL: of one that was not let in. */
void clients_log_end(const struct clients *clients, const struct client *client, enum closing_cause cause);

/* A client was refused for this limit: said at once, then once a minute at most, with how many there were. */
void clients_note_refused(struct clients *clients, enum clients_limit limit);

/* Accepting pauses at max_clients, or while connections for max_held are being made, and goes on below. */
void clients_limit(struct clients *clients);

/* Accepting pauses, or goes on: counted, and said once a minute at most, since clients that come and go at the limit
 * pause it again and again. */
void clients_note_paused(struct clients *clients, enum table_pause why);

/* Says how many have been refused since the last time, if a minute is over. */
void clients_tell_refused(struct clients *clients, int64_t now);

/* An open session's upstream connection is closed, and it waits for another; clients_tell_held() is to follow. */
void clients_put_back(struct clients *clients, struct client *client);
void clients_tell_held(struct clients *clients);

/* Before any session is there: what of a pause, or of one that is over, counts for those who wait. */
void clients_resume_pause(struct clients *clients);

/* Who waits for more than a moment is watched for leaving; most are served before that is worth it. */
void clients_watch_later(struct clients *clients);

/* Looks at all sessions after a while, again and again: who has been idle for too long, who is gone? */
void clients_scan_init(struct clients *clients);
void clients_scan_later(struct clients *clients);

#endif
