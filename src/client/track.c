#include "client/track.h"

#include <string.h>

#include "client/ring.h"
#include "framing/resp_track.h"
#include "keep/crash.h"
#include "keep/pipes.h"

/* As it lies in the table. */
struct track_state {
	uint64_t followed[2]; /* bytes of each direction, of all that the client has said, or was told */
	struct resp_track resp;
};

_Static_assert(sizeof(struct track_state) <= TABLE_TRACK_SIZE, "it has its place in the table");

static struct track_state *
track_place(struct table *table, uint32_t client, uint64_t place)
{
	return (struct track_state *)(void *)table->tracks[client].state[place & 1];
}

static const struct track_state *
track_state(const struct track *track)
{
	return track_place(track->table, track->client, track->table->tracks[track->client].place);
}

/* All bytes of a direction that were received, and how many of them are not followed. */
static uint64_t
track_received(const struct table *table, uint32_t client, enum table_direction d)
{
	uint16_t pipe = table->clients[client].pipe[d];

	return table->clients[client].bytes[d] + ring_length(table, table->clients[client].buffer[d]) +
	    (pipe == 0 ? 0 : pipes_level(table, pipe));
}

static uint64_t
track_behind(const struct track *track, enum table_direction d)
{
	return track_received(track->table, track->client, d) - track_state(track)->followed[d];
}

void
track_begin(struct table *table, uint32_t client, const struct resp_connection *shared, unsigned protocol)
{
	struct track_state *state = track_place(table, client, 0);

	resp_track_begin(&state->resp, shared, protocol);
	state->followed[TABLE_UP] = table->clients[client].bytes[TABLE_UP];
	state->followed[TABLE_DOWN] = track_received(table, client, TABLE_DOWN);
	table->tracks[client].place = 0;
	table_barrier();
	table->clients[client].flags |= TABLE_CLIENT_TRACKED;
}

/* Bytes that were not followed are in the buffer, or within a message. */
static bool
track_is_behind(const struct track *track, const struct track_state *state, enum table_direction d)
{
	uint64_t behind = track_behind(track, d);

	return behind <= ring_length(track->table, track->table->clients[track->client].buffer[d]) ||
	    behind <= (d == TABLE_UP ? resp_track_ahead_request : resp_track_ahead_reply)(&state->resp);
}

bool
track_audit(struct table *table, uint32_t client)
{
	const struct track track = { .table = table, .client = client };
	struct track_state *state = track_place(table, client, table->tracks[client].place);

	if (!table_client_is_apart(table, client) || (resp_track_is_sane(&state->resp) &&
	    track_is_behind(&track, state, TABLE_UP) && track_is_behind(&track, state, TABLE_DOWN)))
		return false;
	resp_track_begin(&state->resp, &(struct resp_connection){ .protocol = 2 }, 2);
	resp_track_give_up(&state->resp);
	for (enum table_direction d = TABLE_UP; d <= TABLE_DOWN; d++)
		state->followed[d] = track_received(table, client, d);
	return true;
}

/* The last bytes of what was received in this direction; those in a pipe are within a message. */
static void
track_follow_way(const struct track *track, struct track_state *state, enum table_direction d)
{
	const struct table *table = track->table;
	uint32_t buffer = table->clients[track->client].buffer[d];
	size_t buffered = ring_length(table, buffer);
	uint64_t behind = track_behind(track, d);

	if (behind <= buffered) {
		if (behind > 0)
			(d == TABLE_UP ? resp_track_request : resp_track_reply)(&state->resp,
			    ring_bytes(table, buffer) + (buffered - behind), (size_t)behind);
	} else {
		(d == TABLE_UP ? resp_track_pass_request : resp_track_pass_reply)(&state->resp, behind);
	}
	state->followed[d] += behind;
}

void
track_follow(struct track *track)
{
	struct table_track *record = &track->table->tracks[track->client];
	uint64_t next = record->place + 1;
	struct track_state *state = track_place(track->table, track->client, next);

	if (track_behind(track, TABLE_UP) == 0 && track_behind(track, TABLE_DOWN) == 0)
		return;
	memcpy(state, track_state(track), sizeof *state);
	track_follow_way(track, state, TABLE_UP); /* what is answered was asked before */
	track_follow_way(track, state, TABLE_DOWN);
	CRASH_POINT(OWN_FOLLOWED);
	table_barrier();
	record->place = next;
	table_barrier();
}

bool
track_may_splice(const struct track *track, enum table_direction d)
{
	const struct resp_track *resp = &track_state(track)->resp;

	return (d == TABLE_UP ? resp_track_ahead_request(resp) : resp_track_ahead_reply(resp)) >= PIPES_SIZE;
}

bool
track_is_free(const struct track *track)
{
	return resp_track_is_free(&track_state(track)->resp);
}

bool
track_fits(const struct track *track, const struct resp_connection *shared)
{
	return resp_track_fits(&track_state(track)->resp, shared);
}

void
track_note_protocol(const struct track *track)
{
	struct table_client *record = &track->table->clients[track->client];

	if (track_state(track)->resp.protocol == 3)
		record->flags |= TABLE_CLIENT_RESP3;
	else
		record->flags &= (uint16_t)~TABLE_CLIENT_RESP3;
}
