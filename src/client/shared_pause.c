/* How far the connection is given requests: until it owes max_in_flight replies.  A paused service's, or one that is
 * to be replaced, is given nothing that it was not given in part already, and goes when it owes nothing. */
#include "base/clock.h"
#include "base/mem.h"
#include "client/admission.h"
#include "client/shared_parts.h"

bool
shared_is_paused(const struct shared *shared)
{
	return table_is_paused(shared->table, shared->service);
}

bool
shared_refuses(const struct shared *shared)
{
	return admission_is_closed(shared->table, shared->service, shared->upstream, shared->refuses);
}

bool
shared_rests(const struct shared *shared)
{
	return shared->moving || shared_is_paused(shared);
}

uint64_t
shared_limit(const struct shared *shared)
{
	const struct table_shared *record = shared->record;
	uint64_t most = shared->settings->max_in_flight, end;

	if (!shared_rests(shared)) {
		if (mux_queue_count(&shared->queue) <= most)
			return record->out_end;
		end = mux_queue_end(&shared->queue, most);
		if (end >= record->sent) /* else max_in_flight has become less */
			return end;
	}
	mux_queue_begun(&shared->queue, &end);
	return end;
}

uint64_t
shared_in_flight(const struct shared *shared)
{
	uint64_t end;

	return shared->fd == -1 ? 0 : mux_queue_begun(&shared->queue, &end);
}

void
shared_check_rest(struct shared *shared)
{
	if (shared->fd != -1 && shared_rests(shared) && shared_in_flight(shared) == 0)
		upstream_let_go(shared->upstream, true);
}

void
shared_pause(struct shared *shared)
{
	if (!shared->begun)
		return;
	shared_retire(shared);
	shared_give_soon(shared); /* which looks */
}

void
shared_move(struct shared *shared, bool moves)
{
	if (shared->fd == -1 || shared->moving == moves)
		return;
	shared->moving = moves;
	if (moves)
		shared_retire(shared);
	shared_give_soon(shared); /* which looks */
}

void
shared_unpause(struct shared *shared)
{
	if (shared->fd == -1)
		shared->down_since = clock_now();
	else if (shared_in_flight(shared) == 0)
		shared->liveness.asked = 0; /* what is in the queue was not asked yet */
	shared_give_soon(shared);
}

void
shared_each_in_flight(const struct shared *shared, bool (*visit)(void *arg, uint32_t session), void *arg)
{
	uint64_t count = shared_in_flight(shared);
	bool *seen = mem_new(shared->mux_client_slots + 1, sizeof *seen), more = true;
	uint32_t session;

	for (uint64_t i = 0; i < count && more; i++) {
		session = mux_queue_client(&shared->queue, mux_queue_at(&shared->queue, i)->who);
		if (session == 0 || session >= shared->mux_client_slots || seen[session])
			continue;
		seen[session] = true;
		more = visit(arg, session);
	}
	mem_free(seen);
}
