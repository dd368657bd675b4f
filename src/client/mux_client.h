/* mux_client.h - one client of a connection that all clients of a service share: what it says becomes requests in
 * mux_queue, and it is sent what mux_queue has for it.
 *
 * A client calls nobody.  Its events leave inputs, which mux_client_work() takes in the mux's turn; who waits for a
 * place in the queue, and who is to be closed, stands in a list of struct mux_clients, which the mux looks at then.
 * Nothing frees a client but mux_client_free().
 */
#ifndef HOLDFAST_CLIENT_MUX_CLIENT_H
#define HOLDFAST_CLIENT_MUX_CLIENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/slab.h"
#include "client/mux_ask.h"
#include "client/waiting.h"

struct budget_wait;
struct own;
struct client;
struct mux_client;
TAILQ_HEAD(mux_client_list, mux_client);

/* What a service's clients have in common: the mux's. */
struct mux_clients {
	struct event_base *loop;   /* borrowed */
	struct mux_rules rules;
	struct loop_timer *turn;   /* borrowed: runs the mux */
	struct mux_client **slot;  /* owned: by index; NULL where there is none */
	size_t slots;
	struct slab slab;
	struct mux_client_list work; /* who has inputs */
	struct mux_client_list over; /* who is to be closed */
	TAILQ_HEAD(, mux_client) blocked; /* who does not take what is there for it */
	struct mux_client_list unconfirmed; /* who waits for its messages to be on the disk */
	struct waiting_queue waiting; /* whose next message has no place in the queue */
	struct waiting_queue wanting; /* whose next message needs a connection of their own */
	uint64_t places;           /* that were given to those */
	unsigned owed;             /* how many are owed a reply */
	struct mux_client *favoured; /* borrowed: whose message gets the memory to be whole; NULL none */
	int64_t favoured_since;
};

/* What has come for a client since its last turn. */
#define MUX_INPUT_READ  1u /* it has said something */
#define MUX_INPUT_FLUSH 2u /* there is something for it, or it takes more */
#define MUX_INPUT_ASK   4u /* its next message may go on */

enum mux_client_state {
	MUX_CLIENT_ASKS,  /* what it says continues */
	MUX_CLIENT_STUCK, /* its next message waits for the replies before it */
	MUX_CLIENT_WAITS, /* its next message waits for a place in the queue */
	MUX_CLIENT_WANTS, /* its next message waits for a connection of its own */
	MUX_CLIENT_OVER,  /* it is to be closed */
};

enum mux_client_end {
	MUX_CLIENT_THERE,
	MUX_CLIENT_ENDED, /* it has said its last */
	MUX_CLIENT_GONE,  /* and hears nothing more */
};

struct mux_client {
	TAILQ_ENTRY(mux_client) entry; /* in work, while it has inputs, or over */
	TAILQ_ENTRY(mux_client) blocked;
	TAILQ_ENTRY(mux_client) unconfirmed;
	struct waiting_entry waiting;  /* since is kept until its message has gone on; 0: it does not wait */
	struct mux_clients *clients;   /* borrowed */
	struct client *owner;          /* borrowed; NULL: it stands for who sends datagrams */
	struct mux_asker asker;
	unsigned inputs;
	enum mux_client_state state;
	enum mux_client_end end;
	uint64_t spooled;              /* rules.spooled when all that it said is on the disk; 0: nobody asks */
	bool asked;                    /* OVER: a request had no reply when that was decided */
	enum closing_cause cause;      /* OVER */
	struct event read, write;
	const char *first;             /* WANTS: is said there before its message; constant; NULL: nothing */
	struct own *own;               /* owned: WANTS; NULL: no connection of its own is dialled */
	struct budget_wait *wait;      /* owned: it is not read, for lack of memory; NULL: it is */
};

/* The mux looks at all that was left for it in this turn of the loop. */
static inline void
mux_turn_soon(struct mux_clients *clients)
{
	if (!loop_timer_is_set(clients->turn))
		loop_timer_soon(clients->turn);
}

static inline struct table_client *
mux_client_record(const struct mux_client *client)
{
	return &client->clients->rules.queue.table->clients[client->asker.index];
}

/* The client of this record; NULL: there is none. */
struct mux_client *mux_clients_at(const struct mux_clients *clients, uint32_t index);

/* The same, if it still asks and is told: neither over, nor ending with what it was told already. */
struct mux_client *mux_clients_alive(const struct mux_clients *clients, uint32_t index);

/* Who has most waiting for it of those that do not take it; NULL: nobody. */
struct mux_client *mux_clients_furthest_behind(const struct mux_clients *clients);

/* One whose record has this index and who is heard over fd; owner is borrowed, NULL for who sends datagrams. */
struct mux_client *mux_client_new(struct mux_clients *clients, struct client *owner, uint32_t index, int fd);

/* It leaves; what it asked is answered to nobody.  NULL is fine. */
void mux_client_free(struct mux_client *client);

/* Leaves an input, and has the mux's turn come. */
void mux_client_input(struct mux_client *client, unsigned input);

/* Does what its inputs ask for. */
void mux_client_work(struct mux_client *client, int64_t now);

/* So many replies more are owed to it. */
void mux_client_owe(struct mux_client *client, uint32_t count);

/* So many came, of so many bytes, or none did and one fewer is owed (bytes 0). */
void mux_client_answer(struct mux_client *client, uint32_t count, size_t bytes);

/* Sends it what is there. */
void mux_client_flush(struct mux_client *client, int64_t now);

/* Messages have come to the disk: those all of whose are there are told so. */
void mux_clients_confirm(struct mux_clients *clients);

/* The first of those that wait for a place: its message continues now; false: it finds no place again. */
bool mux_client_resume(struct mux_client *client, int64_t now);

/* It waits no more: what it waits with is answered with the loss reply, or it ends, for this cause. */
void mux_client_fail_waiting(struct mux_client *client, enum closing_cause cause, int64_t now);

/* It gets no connection of its own: it is told so, and ends, for this cause. */
void mux_client_fail_own(struct mux_client *client, enum closing_cause cause, int64_t now);

/* Asks nothing more, and ends with what it is owed; the cause is for the log. */
void mux_client_finish(struct mux_client *client, enum closing_cause cause);

/* Is to be closed at once, whatever it is owed. */
void mux_client_close(struct mux_client *client, enum closing_cause cause);

/* Looks whether it takes something. */
void mux_client_look(struct mux_client *client, int64_t now);

/* Whether something that it asked has no reply yet; and, once in a while, whether it has gone for good, unnoticed
 * since nothing is read from it. */
bool mux_client_is_asking(const struct mux_client *client);
bool mux_client_is_gone(const struct mux_client *client);

#endif
