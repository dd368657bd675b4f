#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "keep/io_journal.h"
#include "client/shared_parts.h"

/* Reads in one turn of the loop, so that others have theirs. */
#define TAKE_READS 16

/* There is room for at least so much, and at first no more is read. */
#define TAKE_ROOM (TABLE_BUFFER_SIZE / 4)

/* Replies in a row to one client. */
struct take_run {
	uint64_t who;
	uint32_t count;
	size_t bytes;
};

enum framing_result
shared_parse(struct shared *shared, size_t offset, size_t *ret_length)
{
	uint32_t in = *shared_in(shared);
	enum framing_result result;

	result = shared->framing->reply(&shared->progress, ring_bytes(shared->table, in) + offset,
	    ring_length(shared->table, in) - offset, shared->settings->max_message, ret_length);
	if (result == FRAMING_WHOLE)
		shared->progress = (struct framing_progress){ 0 };
	return result;
}

static struct mux_client *
take_mux_client(const struct shared *shared, uint64_t who)
{
	uint32_t session = mux_queue_client(&shared->queue, who);

	if (session == 0 || session >= shared->mux_client_slots || shared->members[session] == NULL ||
	    mux_client_is_last(shared->members[session]))
		return NULL;
	return shared->members[session];
}

/* The requests of the run are answered; whether there was memory for it. */
static bool
take_commit(struct shared *shared, const struct take_run *run, uint32_t client)
{
	if (!mux_queue_answer(&shared->queue, client, run->count, run->bytes))
		return false;
	shared->starved_since = 0;
	if (mux_queue_count(&shared->queue) == 0)
		shared->liveness.asked = 0;
	return true;
}

/* Large replies are asked for a few at a time. */
static void
take_narrow(struct mux_client *mux_client, const struct take_run *run)
{
	size_t size = run->bytes / run->count, most = SHARED_WINDOW_BYTES / (size + 1) + 1;

	if (mux_client->window > most)
		mux_client->window = (unsigned)most;
}

/* The reply is that to a heartbeat; false if the connection is lost by it. */
static bool
take_pulse(struct shared *shared, const struct take_run *run)
{
	shared->liveness.beaten = 0;
	if (shared_is_pulse(shared, ring_bytes(shared->table, *shared_in(shared)), run->bytes))
		return true;
	shared_lose(shared, "the answer to the heartbeat is not the one expected");
	return false;
}

/* It must take something first; false if that must be waited for. */
static bool
take_backpressure(struct shared *shared, const struct take_run *run, struct mux_client *mux_client)
{
	if (shared_backpressure(shared, mux_client) || shared->fd == -1) /* with the last client of a drain it goes */
		return false;
	take_commit(shared, run, 0);
	return true;
}

/* There is no memory for the replies, or to read them.  Who does not take what it was given has it, and must take
 * some first; if nobody is to blame it is waited for.  Whether to try again now: somebody was closed for it. */
static bool
take_want(struct shared *shared)
{
	struct mux_client *behind = shared_furthest_behind(shared);

	if (behind != NULL)
		return !shared_backpressure(shared, behind) && shared->fd != -1;
	shared_starve(shared);
	return false;
}

/* Hands a run to its client, or to nobody; false if that must wait. */
static bool
take_deliver(struct shared *shared, const struct take_run *run)
{
	struct mux_client *mux_client = take_mux_client(shared, run->who);

	if (run->who == TABLE_PENDING_NOBODY && !take_pulse(shared, run))
		return false;
	if (mux_client == NULL) {
		take_commit(shared, run, 0);
		return true;
	}
	if (ring_length(shared->table,
	    *mux_client_out(mux_client)) > SHARED_BACKPRESSURE * shared_room_of_client(shared) ||
	    (mux_client->writing && budget_is_over(shared->table->budget, shared->service)))
		return take_backpressure(shared, run, mux_client);
	if (!take_commit(shared, run, mux_client->index)) {
		shared->progress = (struct framing_progress){ 0 }; /* what is at the head was looked at already */
		return take_want(shared);
	}
	mux_client_owe(mux_client, -(int)run->count);
	take_narrow(mux_client, run);
	mux_client_flush(mux_client); /* at once: the same buffer then serves all in turn */
	return true;
}

void
shared_lose_nonsense(struct shared *shared, enum framing_result result)
{
	char text[128];

	if (shared->fd == -1)
		return;
	if (result == FRAMING_TOO_LONG)
		snprintf(text, sizeof text, "it sent a message of more than max_message (%u bytes)",
		    shared->settings->max_message);
	else
		snprintf(text, sizeof text, "it sent what is no message of framing %s", shared->framing->name);
	shared->record->stuck = TABLE_STUCK_GUILTY;
	shared_lose(shared, text);
}

/* Entry number i of those that the connection was given and owes; NULL if there is none. */
static const struct table_pending *
take_pending(const struct shared *shared, uint64_t i)
{
	const struct table_pending *entry;

	if (i >= mux_queue_count(&shared->queue))
		return NULL;
	entry = mux_queue_at(&shared->queue, i);
	return entry->end <= shared->record->sent ? entry : NULL;
}

static bool
take_is_reply(const struct shared *shared, size_t offset, size_t length)
{
	if (shared->framing->is_reply == NULL)
		return true;
	return shared->framing->is_reply(ring_bytes(shared->table, *shared_in(shared)) + offset, length);
}

/* The replies at the begin that go to one client; none in the run: there are none yet, or the connection is lost. */
static void
take_collect(struct shared *shared, struct take_run *run)
{
	const struct table_pending *entry;
	enum framing_result result;
	size_t length;

	for (*run = (struct take_run){ 0 };; run->bytes += length, run->count++) {
		entry = take_pending(shared, run->count);
		if (run->count > 0 && (entry == NULL || entry->who != run->who))
			return;
		result = shared_parse(shared, run->bytes, &length);
		if (result == FRAMING_MORE || (result != FRAMING_WHOLE && run->count > 0))
			return;
		if (result != FRAMING_WHOLE)
			shared_lose_nonsense(shared, result);
		else if (entry == NULL && take_is_reply(shared, run->bytes, length))
			shared_lose(shared, "it sent a reply that nobody asked for");
		if (shared->fd == -1 || result != FRAMING_WHOLE || !take_is_reply(shared, run->bytes, length))
			return;
		run->who = entry->who;
	}
}

/* What is first is no reply to anybody, and is whole: its first byte tells. */
static bool
take_skip_push(struct shared *shared)
{
	size_t length;

	if (take_is_reply(shared, 0, ring_length(shared->table, *shared_in(shared))) ||
	    shared_parse(shared, 0, &length) != FRAMING_WHOLE)
		return false;
	ring_take(shared->table, *shared_in(shared), length);
	return true;
}

static void
take_replies(struct shared *shared)
{
	struct take_run run;

	while (shared->fd != -1 && shared->choked == NULL && ring_length(shared->table, *shared_in(shared)) > 0) {
		if (take_skip_push(shared))
			continue;
		take_collect(shared, &run);
		if (run.count == 0 || !take_deliver(shared, &run))
			return;
	}
}

void
shared_hand_out(struct shared *shared)
{
	volatile uint32_t *handling = &shared->table->header->handling;
	uint32_t before = *handling;

	/* K7: three deaths over what it says end the connection. */
	*handling = TABLE_HANDLING_CONN | shared->record->upstream;
	switch (shared->settings->replies) {
	case SHARED_ORDERED:
		take_replies(shared);
		break;
	case SHARED_BROADCAST:
		shared_broadcast(shared);
		break;
	case SHARED_NONE:
		shared_discard(shared);
		break;
	}
	*handling = before;
	if (shared->fd != -1) {
		ring_release(shared->table, shared_payer(shared), shared_in(shared));
		if (mux_queue_has_more(&shared->queue))
			shared_give_soon(shared);
	}
	shared_flush(shared);
}

void
shared_flush(struct shared *shared)
{
	struct mux_client *mux_client;

	while ((mux_client = TAILQ_FIRST(&shared->dirty)) != NULL)
		mux_client_flush(mux_client);
}

static void
shared_on_memory(void *arg)
{
	struct shared *shared = arg;

	shared->wait = NULL;
	if (shared->fd == -1 || shared->choked != NULL)
		return;
	if (!shared->reading)
		event_add(&shared->read, NULL);
	shared->reading = true;
	shared_hand_out(shared); /* it may have been a reply that found no place */
	shared_serve_waiting(shared);
}

void
shared_starve(struct shared *shared)
{
	int64_t now = clock_now();

	if (shared->starved_since == 0)
		shared->starved_since = now;
	if (now - shared->starved_since >= SHARED_STARVED) {
		shared_lose(shared, "there is no memory for what it sends");
		return;
	}
	if (shared->wait == NULL)
		shared->wait = budget_wait_start(shared->table->budget, shared_payer(shared), shared_on_memory,
		    shared);
	event_del(&shared->read);
	shared->reading = false;
}

/* One read.  Whether there may be more at once. */
static bool
take_read(struct shared *shared)
{
	bool full;
	ssize_t n;

	if (shared_room(shared, shared_in(shared), TAKE_ROOM) == NULL)
		return take_want(shared);
	n = io_journal_receive(shared->table, *shared_in(shared), shared->fd, TAKE_ROOM,
	    &shared->error);
	if (n > 0) {
		shared->liveness.heard = clock_now();
		shared->starved_since = 0;
		full = n == IO_JOURNAL_MOST || ring_spare(shared->table, *shared_in(shared)) == 0;
		shared_hand_out(shared);
		return full && shared->fd != -1 && shared->choked == NULL;
	}
	ring_release(shared->table, shared_payer(shared), shared_in(shared));
	if (n == -EAGAIN)
		return false;
	shared_lose(shared, shared->error != 0 ? strerror(shared->error) : "ended by the server");
	return false;
}

void
shared_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct shared *shared = arg;

	(void)fd;
	(void)what;
	for (int reads = 0; reads < TAKE_READS && take_read(shared); reads++)
		;
	shared_serve_waiting(shared);
	shared_check_rest(shared);
}
