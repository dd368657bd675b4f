/* Requests of clients that have gone before anything was sent of them: they are not carried out. */
#include "base/peer_closed.h"
#include "client/shared_parts.h"

/* Who waits for replies, or for a place in the queue, may be gone though nothing has told of it. */
static void
gone_look(struct shared *shared)
{
	struct mux_client *mux_client;

	for (size_t i = 0; i < shared->mux_client_slots; i++) {
		mux_client = shared->members[i];
		if (mux_client != NULL && mux_client->client != NULL && mux_client_is_asking(mux_client) &&
		    peer_closed_has_come(mux_client_record(mux_client)->fd))
			client_is_over(mux_client->client, CLOSING_CLIENT);
	}
}

void
shared_forget_gone(struct shared *shared)
{
	uint64_t end;

	if (!shared->aborts || !shared_is_ordered(shared) || shared->fd == -1 ||
	    mux_queue_begun(&shared->queue, &end) > 0)
		return;
	gone_look(shared);
	mux_queue_forget_gone(&shared->queue);
}
