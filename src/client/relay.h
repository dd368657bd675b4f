/* relay.h - carries the bytes of a client and its own connection both ways, and each side's end.
 *
 * Level-triggered: read a piece, write it at once; what cannot be written is held, which stops reading until it is
 * gone (back-pressure).  An end of file is passed on as a half-close when all before it has been delivered.
 * End-of-file flags are derived again after a death (B5).  The owner has the events call relay_work(), and does what
 * follows from its result.
 */
#ifndef HOLDFAST_CLIENT_RELAY_H
#define HOLDFAST_CLIENT_RELAY_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/closing.h"
#include "client/relay_buffer.h"
#include "client/track.h"
#include "keep/table.h"

enum relay_result {
	RELAY_GOES_ON,
	RELAY_UPSTREAM_ENDED, /* all that it said is delivered, the client's side is still open: the owner stops the
	                       * relay, or has the end passed on by relay_pass_on() */
	RELAY_ENDED,          /* nothing is left to carry */
};

/* One way of a relay.  All flags can be derived again. */
struct relay_way {
	struct event read;  /* of where the bytes come from */
	struct event write; /* of where they go */
	struct relay_buffer relay_buffer; /* what is held between them */
	bool ended;         /* the source has no more */
	bool broken;        /* the destination takes no more */
	bool passed;        /* the end has been passed on */
	uint64_t wasted;    /* bytes thrown away since */
};

struct relay {
	struct table *table;     /* borrowed */
	uint32_t index;          /* of the client's record */
	bool attached;           /* a byte has been delivered, either way; may be set before relay_start() */
	bool answered;           /* one of the upstream's; likewise */
	bool spoke;              /* the upstream was sent something, a header too, or under an earlier worker either
	                          * side */
	bool nodelay;            /* it was asked for */
	bool declines;           /* until a byte has been delivered, a client that asks for encryption is answered
	                          * (client/decline).  Set before relay_start() */
	enum closing_cause first; /* whose end came first, as far as this worker has seen; UNKNOWN: neither's */
	struct track *track;     /* borrowed: follows what passes; NULL: nobody does.  Set before relay_start() */
	struct relay_way way[2]; /* by enum table_direction */
};

/* Prepares a relay of a client that has a connection of its own; the events of each way call on_event. */
void relay_init(struct relay *relay, struct event_base *loop, struct table *table, uint32_t index,
    const event_callback_fn on_event[2], void *arg);

/* Watches both sides; what is already held is sent by the next turn of the loop. */
void relay_start(struct relay *relay);

/* The client has probably spoken already: it is read in this turn of the loop. */
void relay_hear_client(struct relay *relay);

/* What an event (EV_READ or EV_WRITE) of this way tells is done. */
enum relay_result relay_work(struct relay *relay, enum table_direction d, short what);

/* After RELAY_UPSTREAM_ENDED: the client is told of the end too. */
enum relay_result relay_pass_on(struct relay *relay);

/* Ends the upstream's connection by ourselves: what has arrived from it is still delivered, then the client ends,
 * whether it ends its side or not. */
void relay_cut(struct relay *relay, enum closing_cause cause);

/* Deletes all events.  The file descriptors and what is held are as they were. */
void relay_stop(struct relay *relay);

/* Whether nothing is held, and neither side has ended. */
bool relay_is_at_rest(const struct relay *relay);

/* Once in a while for a client that has shut down its side, or whose upstream takes no more, and who is not watched
 * any more: has it gone altogether?  Then what the upstream still says is thrown away from now on. */
enum relay_result relay_look(struct relay *relay);

/* Whether the client has gone altogether, as far as has been seen. */
static inline bool
relay_is_client_gone(const struct relay *relay)
{
	return relay->way[TABLE_DOWN].broken;
}

#endif
