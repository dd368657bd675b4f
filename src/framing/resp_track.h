/* resp_track.h - what state a client's own connection to Redis has.
 *
 * Pure.  Given what passes in both directions, in the order in which it passes, it knows whether the client could go
 * back to a connection that others share: no reply is owed, no message has begun, and no command has left a state.  A
 * reply decides what its request has left.  Where it is not sure, the connection is never free again.  The struct has
 * no pointers and may lie in shared memory.
 */
#ifndef HOLDFAST_FRAMING_RESP_TRACK_H
#define HOLDFAST_FRAMING_RESP_TRACK_H

#include "framing/resp_command.h"
#include "framing/resp_stream.h"

/* Requests that are owed replies, those alike that follow each other taken as one; behind more, the connection is
 * never free again. */
#define RESP_TRACK_QUEUE 64

/* States, as bits. */
#define RESP_TRACK_MULTI      0x01u /* EXEC and DISCARD end it */
#define RESP_TRACK_WATCH      0x02u /* and UNWATCH */
#define RESP_TRACK_SUBSCRIBED 0x04u /* the last UNSUBSCRIBE and PUNSUBSCRIBE end it */
#define RESP_TRACK_DATABASE   0x08u /* SELECT of the shared connection's ends it */
#define RESP_TRACK_PROTOCOL   0x10u /* HELLO with the shared connection's ends it */
#define RESP_TRACK_USER       0x20u /* RESET ends it, if the shared connection has named no user */
#define RESP_TRACK_LASTING    0x40u /* nothing surely ends it */

struct resp_track_entry {
	uint32_t count;  /* requests alike, with one reply each */
	uint32_t number; /* of SELECT, HELLO: the argument; of (UN)SUBSCRIBE: channels, 0: all */
	uint8_t effect;  /* enum resp_effect */
};

struct resp_track {
	struct resp_stream request, reply;
	uint64_t channels, patterns; /* subscribed to */
	uint64_t frames;             /* of (UN)SUBSCRIBE at the head: those to come; 0: none has come yet */
	uint32_t shared_database, shared_protocol, database, protocol;
	uint32_t states;             /* without those that follow from the fields above */
	uint32_t first, count;       /* of queue */
	bool shared_authenticated;
	bool chosen;                 /* the database, by the client */
	struct resp_track_entry queue[RESP_TRACK_QUEUE];
};

/* A connection on which all is said that hello and the client's labels need, and protocol; its replies have come. */
void resp_track_begin(struct resp_track *track, const struct resp_connection *shared, unsigned protocol);

/* Whether these bytes, whatever they are, are a track; and one that is never free again from now on. */
bool resp_track_is_sane(const struct resp_track *track);
void resp_track_give_up(struct resp_track *track);

/* The next bytes that have passed to the server, or from it. */
void resp_track_request(struct resp_track *track, const unsigned char *bytes, size_t length);
void resp_track_reply(struct resp_track *track, const unsigned char *bytes, size_t length);

/* So many bytes to the server, or from it, may pass without being shown; resp_track_pass_*() counts those that did.
 * UINT64_MAX: the connection is never free again, and nothing need be shown. */
uint64_t resp_track_ahead_request(const struct resp_track *track);
uint64_t resp_track_ahead_reply(const struct resp_track *track);
void resp_track_pass_request(struct resp_track *track, uint64_t length);
void resp_track_pass_reply(struct resp_track *track, uint64_t length);

/* RESP_TRACK_*. */
unsigned resp_track_states(const struct resp_track *track);

/* Whether a reply is owed, or a message has begun. */
bool resp_track_is_busy(const struct resp_track *track);

/* Neither state nor debt: the client could go back now. */
bool resp_track_is_free(const struct resp_track *track);

/* Of one that is free: whether it would go back to the database that it has chosen, or has chosen none.  The shared
 * connection may be another one than when it left. */
bool resp_track_fits(const struct resp_track *track, const struct resp_connection *shared);

#endif
