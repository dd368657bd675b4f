/* What the upstream says where nobody is owed a reply: to all clients, or to nobody. */
#include "base/log.h"
#include "client/shared_parts.h"

static bool
broadcast_has_more(const struct shared *shared, size_t offset)
{
	return ring_length(shared->table, *shared_in(shared)) > offset;
}

static void
broadcast_close(struct shared *shared, struct mux_client *mux_client)
{
	log_notice(shared->name, "client %llu does not keep up, %zu bytes wait for it: closed",
	    (unsigned long long)mux_client_record(mux_client)->id, ring_length(shared->table,
	    *mux_client_out(mux_client)));
	client_is_over(mux_client->client, CLOSING_BEHIND);
}

/* Where memory is short, those who are furthest behind are closed for a client's copy.  false: it cannot have one. */
static bool
broadcast_give(struct shared *shared, struct mux_client *mux_client)
{
	struct mux_client *behind;

	if (ring_length(shared->table, *mux_client_out(mux_client)) > shared_room_of_client(shared) ||
	    (mux_client->writing && budget_is_over(shared->table->budget, shared->service)))
		return false;
	while (!mux_queue_broadcast_to(&shared->queue, mux_client->index)) {
		behind = shared_furthest_behind(shared);
		if (behind == NULL || behind == mux_client)
			return false;
		broadcast_close(shared, behind);
	}
	return true;
}

/* One client's copy of the broadcast under way. */
static void
broadcast_to(struct shared *shared, struct mux_client *mux_client)
{
	if (!broadcast_give(shared, mux_client)) {
		broadcast_close(shared, mux_client);
		return;
	}
	mux_client_flush(mux_client);
}

/* Goes on with the broadcast under way, from client to client, and ends it. */
static void
broadcast_all(struct shared *shared)
{
	struct table_shared *record = shared->record;
	struct mux_client *mux_client;

	for (uint64_t i = record->broadcast_slot; i < shared->mux_client_slots && shared->fd != -1; i++) {
		mux_client = shared->members[i];
		if (mux_client != NULL && !mux_client_is_last(mux_client) && mux_client_record(mux_client)->fd != -1)
			broadcast_to(shared, mux_client);
	}
	if (shared->fd == -1) /* the last client has gone, and the connection with it */
		return;
	mux_queue_broadcast_end(&shared->queue);
}

static void
broadcast_begin(struct shared *shared, size_t length, uint64_t messages)
{
	if (length == 0)
		return;
	mux_queue_broadcast_begin(&shared->queue, length, messages);
	broadcast_all(shared);
}

/* A message that comes while a heartbeat is out: whether it is its answer, which is nobody else's.  If nothing is
 * expected any message is a sign of life, and everybody's. */
static bool
broadcast_is_pulse(struct shared *shared, size_t offset, size_t length)
{
	const unsigned char *message = ring_bytes(shared->table, *shared_in(shared)) + offset;

	if (shared->liveness.beaten == 0 || !shared_is_pulse(shared, message, length))
		return false;
	shared->liveness.beaten = 0;
	return shared->settings->heartbeat_expect != NULL;
}

/* The bytes before it go out; it does not. */
static void
broadcast_around(struct shared *shared, size_t bytes, uint64_t messages, size_t length)
{
	broadcast_begin(shared, bytes, messages);
	if (shared->fd != -1)
		ring_take(shared->table, *shared_in(shared), length);
}

void
shared_broadcast(struct shared *shared)
{
	size_t bytes = 0, length;
	uint64_t messages = 0;
	enum framing_result result = FRAMING_MORE;

	if (shared->record->broadcast_slot != 0)
		broadcast_all(shared);
	while (shared->fd != -1 && broadcast_has_more(shared, bytes) &&
	    (result = shared_parse(shared, bytes, &length)) == FRAMING_WHOLE) {
		if (broadcast_is_pulse(shared, bytes, length)) {
			broadcast_around(shared, bytes, messages, length);
			bytes = 0;
			messages = 0;
		} else {
			bytes += length;
			messages++;
		}
	}
	if (shared->fd != -1)
		broadcast_begin(shared, bytes, messages);
	if (result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG)
		shared_lose_nonsense(shared, result);
}

/* With a heartbeat it must speak the framing. */
void
shared_discard(struct shared *shared)
{
	enum framing_result result = FRAMING_MORE;
	size_t length;

	if (shared->beat_text == NULL)
		ring_take(shared->table, *shared_in(shared), ring_length(shared->table, *shared_in(shared)));
	while (broadcast_has_more(shared, 0) && (result = shared_parse(shared, 0, &length)) == FRAMING_WHOLE) {
		if (shared_is_pulse(shared, ring_bytes(shared->table, *shared_in(shared)), length))
			shared->liveness.beaten = 0;
		ring_take(shared->table, *shared_in(shared), length);
	}
	if (result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG)
		shared_lose_nonsense(shared, result);
}
