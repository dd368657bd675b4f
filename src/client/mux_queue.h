/* mux_queue.h - the requests of a service's clients, on their way to the one connection that they share, and who is
 * owed the replies; and every change of these that a death must not tear (X1, X2).
 *
 * Requests lie one behind the other in the service's ring "out".  Each has an entry that says whose it is and where
 * it ends; entries are numbered from pending_head to pending_tail, here from 0, the oldest.  What is written behind
 * the tails counts only once a commit has moved those.  A client is named by the index of its record: "said" is the
 * ring of what it says, "told" that of what it is to be given.
 *
 * A function that changes something is one change: it happens as a whole, or, where there is no memory, not at all.
 */
#ifndef HOLDFAST_CLIENT_MUX_QUEUE_H
#define HOLDFAST_CLIENT_MUX_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ring.h"
#include "keep/budget.h"
#include "keep/table.h"

struct mux_queue {
	struct table *table;         /* borrowed */
	struct table_shared *record; /* borrowed: the table's, of this service */
	uint16_t service;
};

/* Who pays for what is here already. */
static inline struct budget_payer
mux_queue_payer(const struct mux_queue *queue)
{
	return (struct budget_payer){ .service = queue->service, .moves_on = true };
}

static inline volatile uint32_t *
mux_queue_said(const struct mux_queue *queue, uint32_t client)
{
	return &queue->table->clients[client].buffer[TABLE_UP];
}

static inline volatile uint32_t *
mux_queue_told(const struct mux_queue *queue, uint32_t client)
{
	return &queue->table->clients[client].buffer[TABLE_DOWN];
}

/* How many requests there are; how many of them the connection in use was given as a whole; and of how many at least
 * a part, with the end of the last of these in the stream of requests. */
static inline size_t
mux_queue_count(const struct mux_queue *queue)
{
	return (size_t)(queue->record->pending_tail - queue->record->pending_head);
}

size_t mux_queue_sent(const struct mux_queue *queue);
size_t mux_queue_begun(const struct mux_queue *queue, uint64_t *ret_end);

/* Where in the stream the first so many requests end. */
uint64_t mux_queue_end(const struct mux_queue *queue, size_t count);

/* What a message takes of the queue beside its bytes. */
#define MUX_QUEUE_ENTRY sizeof(struct table_pending)

/* Bytes that the requests take, their entries among them; and how many they may take together before max_memory
 * refuses the queue a larger buffer. */
static inline size_t
mux_queue_taken(const struct mux_queue *queue)
{
	return ring_length(queue->table, queue->record->out) + mux_queue_count(queue) * MUX_QUEUE_ENTRY;
}

size_t mux_queue_memory(const struct mux_queue *queue);

/* Whether there are bytes that the connection was not given. */
static inline bool
mux_queue_has_more(const struct mux_queue *queue)
{
	return queue->record->sent != queue->record->out_end;
}

/* Entry number i, which there is; borrowed until the next change. */
const struct table_pending *mux_queue_at(const struct mux_queue *queue, uint64_t i);

/* Whether an open client other than the oldest request's, or than a heartbeat, has one behind it. */
bool mux_queue_has_others(const struct mux_queue *queue);

/* The place of the entry with this number, counted from the first that there ever was: one that there is, or the next
 * behind the last, for which mux_queue_room() has seen to room. */
struct table_pending *mux_queue_place(const struct mux_queue *queue, uint64_t number);

/* The word for a client as it is now; the index of the client that an entry is for, if it is open and still the one
 * that asked, else 0; and which replies that client does not get (FRAMING_SILENT_*). */
uint64_t mux_queue_word(const struct table *table, uint32_t client);
uint32_t mux_queue_client(const struct mux_queue *queue, uint64_t who);

static inline unsigned
mux_queue_silence(uint64_t who)
{
	return who >= TABLE_PENDING_KEPT ? 0 : who >> TABLE_PENDING_SILENCE & 15;
}

/* Where so many bytes of at most so many (256) requests may be written, for mux_queue_ask(); NULL: there is no memory
 * for them. */
unsigned char *mux_queue_room(struct mux_queue *queue, uint32_t count, size_t bytes);

/* What changes of a client's record beside it all. */
struct mux_queue_change {
	uint16_t flip;                  /* flags that become the opposite */
	const struct resp_label *label; /* borrowed: what it says of itself; NULL: nothing */
	unsigned silence;               /* FRAMING_SILENT_*, of the one request; 0: it gets any reply */
};

/* The requests that were written there are the client's; the taken bytes at the head of what it said are done with.
 * end[i] is where number i ends, from the first one's begin.  client 0: a heartbeat.  change: NULL: none. */
void mux_queue_ask(struct mux_queue *queue, uint32_t client, size_t taken, const size_t *end, uint32_t count,
    const struct mux_queue_change *change);

/* What is at the head of what the client said is answered here. */
struct mux_queue_answer {
	const char *text; /* borrowed */
	size_t length;    /* 0: no answer is due */
	size_t taken;     /* bytes of what it said are done with */
	bool lost;        /* it counts as a request that was lost */
	uint32_t dropped; /* it counts as so many messages that were dropped */
	bool unfinished;  /* it counts as a message whose client ended within it */
	struct mux_queue_change change;
};
bool mux_queue_answer_here(struct mux_queue *queue, uint32_t client, const struct mux_queue_answer *answer);

/* The oldest count requests, of this client, are answered by the bytes at the head of what came from the upstream.
 * client 0: their replies are nobody's any more, and memory is not needed. */
bool mux_queue_answer(struct mux_queue *queue, uint32_t client, uint32_t count, size_t bytes);

/* The bytes at the head of what came from the upstream are a part of the reply to the oldest request, or, whole, the
 * last one; what is known of the reply behind them (client/mux_stream) counts with it.  client as before. */
bool mux_queue_pass(struct mux_queue *queue, uint32_t client, size_t bytes, bool whole);

/* The oldest request ends as lost, whatever of its reply has passed.  client 0: nobody is told; else that client is
 * told so by text. */
bool mux_queue_fail(struct mux_queue *queue, uint32_t client, const char *text, size_t length);

/* Without replies: the upstream's host has acknowledged the stream up to here.  Whether a request is done by it. */
bool mux_queue_retire(struct mux_queue *queue, uint64_t acknowledged);

/* Without replies: how many bytes, with their entries, the requests take that may be dropped: those of which the
 * connection was given nothing. */
size_t mux_queue_droppable(const struct mux_queue *queue);

/* The oldest of those are dropped, and counted, until need bytes are free.  The requests before them, of which the
 * connection was given a part, move up: so at least as many bytes, and as many requests, are dropped as those have.
 * A heartbeat is not dropped, nor what is behind it.  false: they are not enough, and nothing is. */
bool mux_queue_drop_oldest(struct mux_queue *queue, size_t need);

/* Finishes the drop that a dead worker did not; before all else. */
void mux_queue_finish_drop(struct mux_queue *queue);

/* Nothing of the queue was sent yet: requests of clients that have gone are taken out of it, where there is memory
 * for that. */
void mux_queue_forget_gone(struct mux_queue *queue);

/* The connection is gone, and its record too: what was in flight and has not failed is to be sent again. */
void mux_queue_settle(struct mux_queue *queue);

/* A broadcast: so many bytes at the head of what came from the upstream go to each client.  A worker that finds
 * broadcast_slot other than 0 continues from that client, and ends it. */
void mux_queue_broadcast_begin(struct mux_queue *queue, size_t bytes, uint64_t messages);
bool mux_queue_broadcast_to(struct mux_queue *queue, uint32_t client);
void mux_queue_broadcast_end(struct mux_queue *queue);

/* All that it holds is given up: the service is gone. */
void mux_queue_drop(struct mux_queue *queue);

#endif
