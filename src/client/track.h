/* track.h - follows what passes over a client's own connection, beside the one that all share, until the client could
 * go back (framing/resp_track).
 *
 * What is known lies in the table, and is changed there as one, so that a new worker continues with it: a byte is
 * followed when it has been received, before it is delivered.
 */
#ifndef HOLDFAST_CLIENT_TRACK_H
#define HOLDFAST_CLIENT_TRACK_H

#include <stdbool.h>

#include "framing/resp_command.h"
#include "keep/table.h"

struct track {
	struct table *table;      /* borrowed */
	uint32_t client;          /* its record */
};

/* Notes that what the client of this record has said, and nobody has taken yet, is the first that goes over its own
 * connection, which speaks this protocol: it counts as soon as the connection is the client's. */
void track_begin(struct table *table, uint32_t client, const struct resp_connection *shared, unsigned protocol);

/* Whether what the table has of the client is no track that can be: then its connection is never free again. */
bool track_audit(struct table *table, uint32_t client);

/* Follows what has been received: always, before it is delivered, and under a new worker at once. */
void track_follow(struct track *track);

/* Whether what comes next in this direction may be received by a pipe. */
bool track_may_splice(const struct track *track, enum table_direction d);

/* Whether the client could go back now. */
bool track_is_free(const struct track *track);

/* Whether it would be in the database that it has chosen then. */
bool track_fits(const struct track *track, const struct resp_connection *shared);

/* Notes what protocol the client speaks now, which matters when it has gone back. */
void track_note_protocol(const struct track *track);

#endif
