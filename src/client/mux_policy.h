/* mux_policy.h - decides for a connection that all clients of a service share: how much each may ask, who takes its
 * replies too slowly, when the connection counts as dead, whose time to wait is over.
 *
 * Pure: told what happened and when, it says what to do now.  Times are microseconds.
 */
#ifndef HOLDFAST_CLIENT_MUX_POLICY_H
#define HOLDFAST_CLIENT_MUX_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/table.h"

/* Requests of a client in flight at first; doubled whenever it has taken the replies. */
#define MUX_WINDOW_FIRST 8
#define MUX_WINDOW_MOST  1024

/* One client: how much it may ask, and how it takes what it is given. */
struct mux_reader {
	unsigned in_flight;  /* requests that it is owed a reply for */
	unsigned window;     /* how many there may be */
	int queued;          /* while it does not take all: what its host has for it, when last looked at */
	int64_t deaf_since;  /* the same: since when it has taken nothing; 0: it takes all */
	bool streams;        /* a part of a reply has come for it, and more is to come */
};

/* It does not take all that is there for it. */
static inline bool
mux_reader_is_blocked(const struct mux_reader *reader)
{
	return reader->deaf_since != 0;
}

/* How many requests more may be in flight. */
unsigned mux_reader_left(const struct mux_reader *reader);

/* So many replies came, of so many bytes together: large ones are asked for a few at a time. */
void mux_reader_answer(struct mux_reader *reader, uint32_t count, size_t bytes);

/* It has taken all that was there for it: it may have more on the way, up to a limit. */
void mux_reader_take_all(struct mux_reader *reader);

/* It did not, and its host has so many bytes for it, in the kernel's measure; took: it took some just now.  Looked at
 * later: fewer than before mean that it has taken some, though there may not be room for more yet. */
void mux_reader_block(struct mux_reader *reader, int queued, bool took, int64_t now);
void mux_reader_look(struct mux_reader *reader, int queued, int64_t now);

/* What is done with the connection. */
enum mux_state {
	MUX_DOWN,     /* there is none */
	MUX_OPEN,     /* it is read */
	MUX_PRESSED,  /* it is not: a client must take some of what waits for it first */
	MUX_STARVED,  /* it is not: there is no memory for what it sends */
};

struct mux_policy {
	enum mux_state state;
	bool moves;             /* it is to be replaced as soon as nothing is in flight */
	bool broken;            /* it takes no more; its end is still to be read */
	int64_t heard;          /* when something last came, or the connection began */
	int64_t asked;          /* when it was given something while it owed nothing; 0: it owes nothing */
	int64_t crowded;        /* since when others wait behind who is owed the oldest reply; 0: nobody does */
	int64_t beaten;         /* when the heartbeat that is not answered yet was sent; 0: none is out */
	int64_t pressed;        /* PRESSED: since when, without what is excused of it */
	int64_t starved;        /* since when there was no memory for what came next; 0: there was */
	int64_t patience;       /* how long all have waited for slow clients, lately; outlives connections */
	int64_t patient;        /* when they last did */
	int64_t short_since;    /* clients are short of memory, and others do not take what is there; 0: not so */
};

/* Settings of the service, as far as they matter here. */
struct mux_limits {
	int64_t reply_timeout;       /* 0: none */
	bool spares;                 /* it counts while others wait behind who is owed the oldest reply */
	bool beats;                  /* a heartbeat is configured */
	int64_t interval, timeout;   /* heartbeat.* */
};

/* There is a connection; it is gone. */
void mux_policy_open(struct mux_policy *policy, int64_t now);
void mux_policy_close(struct mux_policy *policy, int64_t now);

/* Something came; it found its place in memory, or finds none.  false: it is to be given up for that. */
void mux_policy_hear(struct mux_policy *policy, int64_t now);
bool mux_policy_starve(struct mux_policy *policy, int64_t now);

/* Too much waits for this client.  true: PRESSED, all wait for it; false: it is to be closed. */
bool mux_policy_press(struct mux_policy *policy, const struct mux_reader *reader, int64_t now);

/* PRESSED for this client: it has taken so many bytes, which excuse some of the waiting if a reply passes to it as it
 * comes. */
void mux_policy_take(struct mux_policy *policy, const struct mux_reader *reader, uint64_t bytes, int64_t now);

/* PRESSED for this client: whether it is to be closed now. */
bool mux_policy_is_hopeless(const struct mux_policy *policy, const struct mux_reader *reader, int64_t now);

/* It has taken enough, or is gone; STARVED: there is memory again.  OPEN. */
void mux_policy_resume(struct mux_policy *policy, int64_t now);

/* Whether who is furthest behind of those that do not take all (NULL: nobody) is to be closed, since others are short
 * of memory. */
bool mux_policy_check_short(struct mux_policy *policy, const struct mux_reader *behind, bool is_short, int64_t now);

/* Whether others wait behind who is owed the oldest reply; before each judgement. */
void mux_policy_note_others(struct mux_policy *policy, bool others, int64_t now);

/* Whether it has owed a reply in silence for so long that one request may hold up all others. */
bool mux_policy_is_stuck(const struct mux_policy *policy, int64_t now);

enum mux_verdict {
	MUX_ALIVE,
	MUX_BEAT,     /* send a heartbeat, and set beaten */
	MUX_BROKEN,   /* it takes no more, and has had time to say what it had to say: lost */
	MUX_SILENT,   /* reply_timeout is over: lost */
	MUX_NO_PULSE, /* heartbeat.timeout is over: lost */
};
enum mux_verdict mux_policy_judge(const struct mux_policy *policy, const struct mux_limits *limits, int64_t now);

/* What waits for time. */
struct mux_waits {
	bool blocked;      /* clients do not take all */
	bool waiting;      /* clients wait for a place in the queue */
	bool refused;      /* whoever waits is turned away: who still does had no memory for its answer */
	bool queued;       /* requests wait for a reply, or to be sent */
	bool acknowledges; /* without replies; is_due: somebody waits for what is acknowledged */
	bool is_due;
	int64_t hold_timeout;
};

/* How long until all that waits for time is looked at; 0: nothing does. */
int64_t mux_policy_period(const struct mux_policy *policy, const struct mux_limits *limits,
    const struct mux_waits *waits);

/* Requests in the queue know no time: how far it went is noted now and then while there is no connection. */
struct mux_expiry {
	int64_t since;   /* nobody's waiting counts from before */
	struct {
		int64_t at;
		uint64_t end;
	} marks[24];     /* more than looks in the time */
	unsigned next;
};

/* The queue's tail is at this number.  Up to where its requests have waited for timeout (0: for ever); 0: none. */
uint64_t mux_expiry_look(struct mux_expiry *expiry, int64_t timeout, uint64_t tail, int64_t now);

/* How many of the sent requests end with the connection: all, or, if they are to be sent again (retries), one that
 * may be the cause, or whose reply has passed in part.  What is remembered of that from loss to loss lies in the
 * record. */
uint64_t mux_policy_failing(struct table_shared *record, bool retries, uint64_t sent, int64_t now);

#endif
