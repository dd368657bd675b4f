/* mux_ask.h - the messages at the head of what a client said: which go on to the connection that all share, and which
 * are answered here.
 *
 * They are moved by mux_queue; what is then to be done with the client is given back.
 */
#ifndef HOLDFAST_CLIENT_MUX_ASK_H
#define HOLDFAST_CLIENT_MUX_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/closing.h"
#include "client/mux_policy.h"
#include "client/mux_queue.h"
#include "client/shared_settings.h"
#include "framing/framing.h"
#include "framing/resp_command.h"

/* What all clients of a service go by. */
struct mux_rules {
	struct mux_queue queue;
	const char *name;              /* borrowed: the service's */
	const struct shared_settings *settings; /* borrowed */
	const struct framing *framing; /* borrowed */
	struct resp_connection resp;   /* what the connection has been made by hello */
	struct shared_text loss;       /* owned: a failed request's reply */
	bool closed;                   /* there is no connection, and none is waited for */
	/* client/spool: */
	bool has_spool;                /* there is one */
	bool spools;                   /* messages go there now */
	bool spool_fails;              /* it takes none: the disk has failed, or is full */
	bool was_full;                 /* a message found no place in the queue */
	uint64_t spooled;              /* how many messages have come to the disk, since the worker's start */
	struct shared_text confirmation; /* owned: what who ends is told when all that it said has; "" nothing */
	bool stuck;                    /* it owes a reply for long: what needs no order goes by another */
};

/* Who asks. */
struct mux_asker {
	uint32_t index;                   /* of its record */
	bool datagrams;                   /* it stands for all who send such */
	struct mux_reader reader;
	struct framing_progress progress; /* of the message at the head of what it said */
	bool ended;                       /* all that it says has come */
	bool torn;                        /* and it did not end by itself: what it said last may lack something */
};

struct mux_asked {
	enum mux_asked_why {
		MUX_ASKED_ALL,  /* more must be read */
		MUX_ASKED_WAIT, /* the next message needs a place in the queue, or memory */
		MUX_ASKED_STUCK, /* the replies before it come first */
		MUX_ASKED_OWN,  /* the next message needs a connection of the client's own */
		MUX_ASKED_LAST, /* the client asks nothing more, and ends with what it is owed */
	} why;
	const char *first;        /* OWN: is said there before it; constant; NULL: nothing */
	enum closing_cause cause; /* LAST */
	uint32_t owed;  /* replies more that it is owed */
	bool told;      /* there is an answer for it */
};

static inline bool
mux_is_ordered(const struct mux_rules *rules)
{
	return rules->settings->replies == SHARED_ORDERED;
}

/* There are no replies at all. */
static inline bool
mux_is_one_way(const struct mux_rules *rules)
{
	return rules->settings->replies == SHARED_NONE;
}

/* What has no place in the queue is dropped: nobody waits for one. */
static inline bool
mux_drops(const struct mux_rules *rules)
{
	return mux_is_one_way(rules) && rules->settings->on_full != SHARED_BLOCK && !rules->has_spool;
}

static inline bool
mux_has_packets(const struct mux_rules *rules)
{
	return rules->settings->type != LISTENER_STREAM;
}

/* Most bytes that a client, or the upstream, may have waiting for it. */
static inline size_t
mux_most_bytes(const struct mux_rules *rules)
{
	return (size_t)rules->settings->max_message + SHARED_SLACK;
}

/* Bytes that the client said, and those that wait for it. */
static inline size_t
mux_bytes_said(const struct mux_rules *rules, uint32_t client)
{
	return ring_length(rules->queue.table, *mux_queue_said(&rules->queue, client));
}

static inline size_t
mux_bytes_told(const struct mux_rules *rules, uint32_t client)
{
	return ring_length(rules->queue.table, *mux_queue_told(&rules->queue, client));
}

/* Moves its messages on, as far as they go; vacant: nobody has come before it for a place in the queue. */
struct mux_asked mux_ask(struct mux_rules *rules, struct mux_asker *asker, bool vacant);

/* All of them that are for the upstream, up to one that is not, end as lost, for this cause. */
struct mux_asked mux_ask_fail(struct mux_rules *rules, struct mux_asker *asker, enum closing_cause cause);

/* What it says next cannot have a connection of its own: it is told, and ends, for this cause. */
struct mux_asked mux_ask_fail_own(struct mux_rules *rules, struct mux_asker *asker, enum closing_cause cause);

/* What it says next is no message: it is told, where that is possible, and ends. */
struct mux_asked mux_ask_reject(struct mux_rules *rules, struct mux_asker *asker, enum framing_result result);

#endif
