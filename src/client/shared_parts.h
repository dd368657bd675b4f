/* shared_parts.h - struct shared and struct mux_client, for the files that shared mode is made of:
 *
 * shared.c        the whole: settings, the connection's coming, status
 * shared_begin.c  its begin, with what a dead worker left, and its end
 * shared_text.c   what it says by itself
 * shared_choke.c  who does not take its replies
 * shared_tick.c   what waits for time
 * shared_give.c   what the upstream is given
 * shared_take.c   what comes from it, and to whom it goes
 * shared_cast.c   the same without ordered replies
 * shared_pause.c  what it does not do while it is paused
 * shared_gone.c   requests of clients that have gone
 * shared_loss.c   what happens to requests when it is lost, or does not come
 * mux_client.c        one client: its events, what it is given
 * mux_client_ask.c    what it asks
 */
#ifndef HOLDFAST_CLIENT_SHARED_PARTS_H
#define HOLDFAST_CLIENT_SHARED_PARTS_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/slab.h"
#include "client/closing.h"
#include "client/ring.h"
#include "client/mux_client.h"
#include "client/mux_queue.h"
#include "client/shared.h"
#include "upstream/upstream.h"

/* Requests of a client in flight at first; doubled whenever it has taken the replies. */
#define SHARED_WINDOW_FIRST 8
#define SHARED_WINDOW_MOST  1024
/* A client's replies that are on the way together should not be more. */
#define SHARED_WINDOW_BYTES (1u << 20)
/* A client may have so many times its share waiting for it, since replies that are on the way cannot be stopped;
 * others wait for it until it is down to so many times. */
#define SHARED_BACKPRESSURE   4
#define SHARED_UNCHOKE 3
/* Who finds no memory waits for it so long, then it is closed, or the connection lost. */
#define SHARED_STARVED (10 * CLOCK_SECOND)
/* Requests of a service that wait for replies, or to be given to the connection, at most. */
#define SHARED_QUEUE 65536
/* Requests of one client moved in one go, so that others have their turn. */
#define SHARED_RUN 256

/* Looks at the queue within hold_timeout, and more than there are. */
#define SHARED_LOOKS 16
#define SHARED_MARKS 24

struct shared_mark {
	int64_t at;
	uint64_t end; /* of the queue */
};

struct mux_client {
	TAILQ_ENTRY(mux_client) waiting_entry, dirty_entry;
	struct shared *shared;   /* borrowed */
	struct client *client; /* borrowed */
	uint32_t index;          /* of its record */
	unsigned in_flight;      /* requests that it is owed a reply for */
	unsigned window;         /* how many there may be */
	int64_t waiting_since;
	struct framing_progress progress; /* of the message at the head of what it said */
	struct event read, write;
	bool reading;            /* what it says is wanted */
	bool watched, writing;   /* the events are in the loop */
	int queued;              /* while writing: what its host has for it, when last looked at */
	int64_t deaf_since;      /* the same: since when it has taken nothing; 0: never looked */
	bool ended;              /* it has said its last */
	bool gone;               /* and hears nothing more */
	bool stuck;              /* a message is whole and cannot go on yet */
	struct budget_wait *wait; /* owned: it is not read, for want of memory; NULL: it is */
	bool waiting, dirty;     /* in the list */
};

TAILQ_HEAD(mux_client_list, mux_client);

struct shared {
	struct event_base *loop; /* borrowed */
	struct table *table;     /* borrowed */
	uint16_t service;
	const char *name;        /* borrowed: the table's */
	struct table_shared *record; /* borrowed: the table's */
	struct mux_queue queue;
	const struct shared_settings *settings; /* borrowed */
	struct upstream *upstream; /* borrowed; NULL once no connection will come */
	const struct framing *framing; /* borrowed */
	struct resp_connection resp;
	int64_t hold_timeout;
	struct slab slab;      /* of members */
	struct mux_client **members; /* owned: by slot; NULL where there is none */
	size_t mux_client_slots;
	struct mux_client_list waiting; /* those whose next message has no place, first come first */
	struct mux_client_list dirty;   /* those who have something to be given */
	unsigned waiting_count, told_waiting;
	unsigned owed_members;   /* clients that are owed a reply */
	struct mux_client *datagrams; /* owned: stands for who sends them; NULL none */
	char *beat_text;         /* owned: a heartbeat, framed; NULL: there is none */
	size_t beat_length;
	char *loss_text;         /* owned: a failed request's reply; NULL: the client is closed */
	size_t loss_length;
	bool aborts;             /* abort_on_close */
	bool refuses;            /* on_down is "refuse" */
	bool begun;
	bool serving;            /* those who wait, in their order */
	/* the connection */
	int fd;                  /* -1 none */
	struct event read, write;
	bool reading, writing;
	bool moving;             /* it is to be replaced as soon as nothing is in flight */
	bool broken;             /* takes no more; its end is still to be read */
	int error;               /* a positive errno that was told before the last bytes (B3) */
	struct framing_progress progress; /* of the reply that is coming */
	struct liveness liveness;
	struct mux_client *choked;   /* who must take something before others are given more; borrowed */
	int64_t choked_at;
	int64_t choked_for, choked_end; /* how long all have waited, lately; when they last did */
	unsigned blocked;        /* clients that do not take what is there for them */
	int64_t down_since;      /* while there is no connection */
	int64_t queued_since;    /* the same, of the oldest request in the queue */
	struct shared_mark marks[SHARED_MARKS]; /* how far the queue went at times since */
	unsigned next_mark;
	struct budget_wait *wait; /* owned: the connection is not read, for want of memory; NULL: it is */
	int64_t starved_since;   /* the same; 0: what came last found its place */
	/* borrowed: whose message gets the memory that it needs to be whole; NULL none */
	struct mux_client *favoured;
	int64_t favoured_since;
	int64_t short_since;     /* clients are short of memory, and others do not take what is there; 0: not so */
	struct loop_timer giving; /* in this turn of the loop */
	struct loop_timer tick;
};

static inline bool
shared_is_ordered(const struct shared *shared)
{
	return shared->settings->replies == SHARED_ORDERED;
}

/* The word that names the buffer of what came from the upstream. */
static inline volatile uint32_t *
shared_in(const struct shared *shared)
{
	return &shared->record->in;
}

/* Who pays for what a client says; and for all that is here already. */
static inline struct budget_payer
mux_client_payer(const struct mux_client *mux_client)
{
	return (struct budget_payer){ .service = mux_client->shared->service };
}

static inline struct budget_payer
shared_payer(const struct shared *shared)
{
	return (struct budget_payer){ .service = shared->service, .moves_on = true };
}

/* Room in one of the service's rings, for what is here already; in that of what a client says.  NULL: there is none,
 * or not now. */
static inline unsigned char *
shared_room(const struct shared *shared, volatile uint32_t *name, size_t want)
{
	return ring_room(shared->table, shared_payer(shared), name, want);
}

static inline unsigned char *
mux_client_room(const struct mux_client *mux_client, volatile uint32_t *name, size_t want)
{
	return ring_room(mux_client->shared->table, mux_client_payer(mux_client), name, want);
}

/* Most bytes that a client may have waiting for it. */
size_t shared_room_of_client(const struct shared *shared);

/* Takes the connection of this record as the one in use. */
void shared_use(struct shared *shared, int fd);

/* shared_text.c: from the settings; whether a message of the upstream's answers a heartbeat. */
void shared_make_texts(struct shared *shared);
bool shared_is_pulse(const struct shared *shared, const unsigned char *message, size_t length);

/* shared_tick.c */
void shared_on_tick(void *arg);
/* Runs the timer of all that waits for time, if it does not run. */
void shared_tick_soon(struct shared *shared);

/* How many clients wait may have changed. */
void shared_tell_waiting(struct shared *shared);

/* shared_give.c: something is there for the upstream; who waits may go on. */
void shared_give_soon(struct shared *shared);
void shared_on_giving(void *arg);
void shared_on_writable(evutil_socket_t fd, short what, void *arg);
void shared_serve_waiting(struct shared *shared);
/* Appends a heartbeat. */
void shared_beat(struct shared *shared);
/* Without replies: what the upstream's host has acknowledged is owed no more. */
void shared_retire(struct shared *shared);

/* shared_pause.c: whether an operator has paused the service; how far the connection is to be given requests. */
bool shared_is_paused(const struct shared *shared);
/* It is to be replaced as soon as it owes nothing, or is not, after all; the next one is not. */
void shared_move(struct shared *shared, bool moves);
/* Whether what waits for a connection is turned away, as new clients are. */
bool shared_refuses(const struct shared *shared);
/* Whether the connection is given no further request. */
bool shared_rests(const struct shared *shared);
uint64_t shared_limit(const struct shared *shared);
/* Looks whether nothing is in flight any more while it is paused. */
void shared_check_rest(struct shared *shared);

/* shared_take.c */
void shared_on_readable(evutil_socket_t fd, short what, void *arg);
/* The next message from the upstream at this offset of what came. */
enum framing_result shared_parse(struct shared *shared, size_t offset, size_t *ret_length);
/* It sent what is no message, or too long a one: lost. */
void shared_lose_nonsense(struct shared *shared, enum framing_result result);
/* Hands out what came from the upstream, as far as it is whole. */
void shared_hand_out(struct shared *shared);
/* There is no memory for what it sends: it is not read until there is some, or lost after SHARED_STARVED. */
void shared_starve(struct shared *shared);
/* Who has most waiting for it of those that do not take it; NULL: nobody. */
struct mux_client *shared_furthest_behind(const struct shared *shared);
/* Gives those who have something what they have. */
void shared_flush(struct shared *shared);
/* shared_choke.c: too much waits for this client.  true: the upstream is not read until it takes some; false: it has
 * been closed. */
bool shared_backpressure(struct shared *shared, struct mux_client *mux_client);
/* A client that all waited for is gone; or takes again. */
void shared_note_choked(struct shared *shared);
void shared_unchoke(struct shared *shared);
/* Looks who takes nothing. */
void shared_check_deaf(struct shared *shared, int64_t now);
/* It does not take all; whether it took some just now. */
void mux_client_note_blocked(struct mux_client *mux_client, bool took);

/* shared_cast.c: without ordered replies, what came goes to all clients, or to nobody. */
void shared_broadcast(struct shared *shared);
void shared_discard(struct shared *shared);

/* shared_gone.c: with a connection that nothing of the queue was sent to yet, requests whose clients have gone are
 * taken out of it. */
void shared_forget_gone(struct shared *shared);

/* shared_loss.c: what a dead worker did not come to do. */
void shared_settle(struct shared *shared);
/* Turns away who has waited too long, or all if none will come. */
void shared_turn_away(struct shared *shared, int64_t now);

/* The client's record; and what it said and is to be given, as words of it. */
static inline struct table_client *
mux_client_record(const struct mux_client *mux_client)
{
	return &mux_client->shared->table->clients[mux_client->index];
}

static inline volatile uint32_t *
mux_client_in(const struct mux_client *mux_client)
{
	return &mux_client_record(mux_client)->buffer[TABLE_UP];
}

static inline volatile uint32_t *
mux_client_out(const struct mux_client *mux_client)
{
	return &mux_client_record(mux_client)->buffer[TABLE_DOWN];
}

/* Whether it asks nothing more, and is closed when it has been given what is there. */
static inline bool
mux_client_is_last(const struct mux_client *mux_client)
{
	return mux_client_record(mux_client)->flags & TABLE_CLIENT_LAST;
}

/* mux_client.c: one whose record has this index and who is heard over fd; session is NULL for who sends datagrams. */
struct mux_client *mux_client_begin(struct shared *shared, struct client *client, uint32_t index, int fd);
/* So many replies more are owed to it. */
void mux_client_owe(struct mux_client *mux_client, int change);
/* Has something to be given at the end of what is being done. */
void mux_client_dirty(struct mux_client *mux_client);
/* Gives it what is there.  It may be gone afterwards. */
void mux_client_flush(struct mux_client *mux_client);
/* Its next message waits for its place, or does no more. */
void mux_client_wait(struct mux_client *mux_client);
void mux_client_wait_no_more(struct mux_client *mux_client);
/* Reads again, or not, as things are now. */
void mux_client_update_reading(struct mux_client *mux_client);
/* Asks nothing more, and ends with what it is owed; the cause is for the log. */
void mux_client_finish(struct mux_client *mux_client, enum closing_cause cause);
/* Looks whether it is through; then it is gone. */
bool mux_client_end_if_through(struct mux_client *mux_client);

/* mux_client_ask.c: moves its messages on, as far as they go.  It may be gone afterwards. */
void mux_client_ask(struct mux_client *mux_client);
/* What waits is answered with the loss text, or the client closed, for this cause. */
void mux_client_fail_waiting(struct mux_client *mux_client, enum closing_cause cause);
/* What it says next is no message: it is told, where that is possible, and closed. */
void mux_client_reject(struct mux_client *mux_client, enum framing_result result);

#endif
