/* crowd_parts.h - what crowd.c (coming, going), crowd_resume.c (those of a dead worker), crowd_look.c (looking, once
 * in a while), and crowd_switch.c (pause, failure by order) share; nobody else's. */
#ifndef HOLDFAST_CLIENT_CROWD_PARTS_H
#define HOLDFAST_CLIENT_CROWD_PARTS_H

#include "base/clock.h"
#include "base/loop.h"
#include "client/admission.h"
#include "client/crowd.h"
#include "client/hold.h"
#include "client/lingering.h"
#include "client/listener.h"
#include "client/session.h"
#include "upstream/upstream.h"

/* What is said again and again is said this seldom. */
#define CROWD_SILENT (60 * CLOCK_SECOND)

/* Refusals that the log tells of, in sum. */
enum crowd_limit { CROWD_LIMIT_HELD, CROWD_LIMIT_TIME, CROWD_LIMITS };

struct crowd_refusals {
	unsigned count;  /* since they were last told of */
	int64_t told;    /* when; 0 never */
};

struct crowd {
	struct event_base *loop;      /* borrowed */
	struct table *table;          /* borrowed */
	uint16_t service;
	const char *name;             /* borrowed: in the table */
	const struct crowd_settings *settings; /* borrowed */
	bool log_clients;
	struct listener *listener;    /* owned; NULL while not listening */
	struct admission *admission;  /* owned */
	struct hold *hold;            /* owned: who waits */
	struct lingering *lingering;        /* owned: who was turned away, and is not gone yet */
	struct session_list open;     /* owned: who is served */
	unsigned open_count;
	const struct session *placed; /* borrowed: who has just come, and has not waited yet; NULL nobody */
	struct session_stock stock;
	struct upstream *upstream;    /* borrowed; NULL once no connection will come */
	struct shared *shared;        /* borrowed; NULL in session mode */
	enum table_pause paused;      /* why nobody is accepted; files that have run out are the listener's */
	bool fresh;                   /* some connections have no socket options yet */
	int64_t told[TABLE_PAUSES];   /* when a pause for this reason was last told of; 0 never */
	struct crowd_refusals refusals[CROWD_LIMITS];
	struct loop_timer scan;
	int64_t regular;              /* when all is looked at next, not only who is idle */
	int64_t due;                  /* when the next client will have been idle for idle_timeout; CLOCK_NEVER */
	struct loop_timer watching;   /* of those who have come and wait */
	void (*ended)(void *arg);
	void *arg;                    /* borrowed */
};

/* The service's counters in the table. */
struct table_counters *crowd_counters(const struct crowd *crowd);

/* The process's side of a client's record. */
struct session *crowd_add(struct crowd *crowd, uint32_t index, uid_t uid);

/* Whether the client at the other end may come in; counts it if not. */
enum admission_result crowd_admit(struct crowd *crowd, int fd, uid_t *ret_uid);

/* Whether a held client has gone so that nothing is to be done for it any more. */
bool crowd_has_left(const struct crowd *crowd, const struct session *session);

/* Whether who comes now is turned away. */
bool crowd_is_closed_now(const struct crowd *crowd);

/* Takes over the clients of a dead worker. */
void crowd_resume(struct crowd *crowd);

/* Ends a session, held or open; the cause is for the log.  A reply that is not NULL is said first. */
void crowd_end(struct crowd *crowd, struct session *session, enum closing_cause cause, const char *reply);

/* The closing line of a client, at debug, or at info if each is to have one; NULL: of one that was not let in. */
void crowd_log_end(const struct crowd *crowd, const struct session *session, enum closing_cause cause);

/* A client was refused for this limit: said at once, then once a minute at most, with how many there were. */
void crowd_note_refused(struct crowd *crowd, enum crowd_limit limit);

/* Accepting pauses at max_clients, or while connections for max_held are being made, and goes on below. */
void crowd_limit(struct crowd *crowd);

/* Accepting pauses, or goes on: counted, and said once a minute at most, since clients that come and go at the limit
 * pause it again and again. */
void crowd_note_paused(struct crowd *crowd, enum table_pause why);

/* Says how many have been refused since the last time, if a minute is over. */
void crowd_tell_refused(struct crowd *crowd, int64_t now);

/* An open session's upstream connection is closed, and it waits for another; crowd_tell_held() is to follow. */
void crowd_put_back(struct crowd *crowd, struct session *session);
void crowd_tell_held(struct crowd *crowd);

/* Before any session is there: what of a pause, or of one that is over, counts for those who wait. */
void crowd_resume_pause(struct crowd *crowd);

/* Who waits for more than a moment is watched for leaving; most are served before that is worth it. */
void crowd_watch_later(struct crowd *crowd);

/* Looks at all sessions after a while, again and again: who has been idle for too long, who is gone? */
void crowd_scan_init(struct crowd *crowd);
void crowd_scan_later(struct crowd *crowd);

#endif
