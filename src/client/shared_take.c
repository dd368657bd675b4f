#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/call.h"
#include "client/shared_parts.h"
#include "keep/crash.h"

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

	result = shared->framing->reply(&shared->progress, flow_bytes(shared->table, in) + offset,
	    flow_length(shared->table, in) - offset, shared->settings->max_message, ret_length);
	if (result == FRAMING_WHOLE)
		shared->progress = (struct framing_progress){ 0 };
	return result;
}

static struct member *
take_member(const struct shared *shared, uint64_t who)
{
	uint32_t session = owed_client(shared->table, who);

	if (session == 0 || session >= shared->member_slots || shared->members[session] == NULL ||
	    member_is_last(shared->members[session]))
		return NULL;
	return shared->members[session];
}

/* The requests of the run are answered: that, and where the answers went, is one change. */
static void
take_commit(struct shared *shared, const struct take_run *run, struct member *member)
{
	struct table_shared *record = shared->record;
	struct redo redo;

	redo_begin(&redo, shared->table);
	flow_redo(&redo, shared->table, *shared_in(shared), run->bytes, 0);
	flow_redo(&redo, shared->table, record->out, owed_bytes(shared->table, record, run->count), 0);
	redo_add(&redo, &record->owed_head, record->owed_head + run->count);
	if (member != NULL) {
		flow_redo(&redo, shared->table, *member_out(member), 0, run->bytes);
		redo_add(&redo, &record->messages[TABLE_DOWN], record->messages[TABLE_DOWN] + run->count);
	}
	redo_commit(&redo);
	CRASH_POINT(SHARED_ANSWERED);
	shared->starved_since = 0;
	flow_release(shared->table, shared_payer(shared), &record->out);
	if (owed_count(record) == 0)
		shared->liveness.asked = 0;
}

/* Large replies are asked for a few at a time. */
static void
take_narrow(struct member *member, const struct take_run *run)
{
	size_t size = run->bytes / run->count, most = SHARED_WINDOW_BYTES / (size + 1) + 1;

	if (member->window > most)
		member->window = (unsigned)most;
}

/* The reply is that to a heartbeat; false if the connection is lost by it. */
static bool
take_pulse(struct shared *shared, const struct take_run *run)
{
	shared->liveness.beaten = 0;
	if (shared_is_pulse(shared, flow_bytes(shared->table, *shared_in(shared)), run->bytes))
		return true;
	shared_lose(shared, "the answer to the heartbeat is not the one expected");
	return false;
}

/* It must take something first; false if that must be waited for. */
static bool
take_choke(struct shared *shared, const struct take_run *run, struct member *member)
{
	if (shared_choke(shared, member) || shared->fd == -1) /* with the last client of a drain it goes */
		return false;
	take_commit(shared, run, NULL);
	return true;
}

/* There is no memory for the replies, or to read them.  Who does not take what it was given has it, and must take
 * some first; if nobody is to blame it is waited for.  Whether to try again now: somebody was closed for it. */
static bool
take_want(struct shared *shared)
{
	struct member *behind = shared_furthest_behind(shared);

	if (behind != NULL)
		return !shared_choke(shared, behind) && shared->fd != -1;
	shared_starve(shared);
	return false;
}

/* Hands a run to its client, or to nobody; false if that must wait. */
static bool
take_deliver(struct shared *shared, const struct take_run *run)
{
	struct member *member = take_member(shared, run->who);
	unsigned char *room;

	if (run->who == TABLE_OWED_NOBODY && !take_pulse(shared, run))
		return false;
	if (member == NULL) {
		take_commit(shared, run, NULL);
		return true;
	}
	if (flow_length(shared->table, *member_out(member)) > SHARED_CHOKE * shared_room_of_client(shared) ||
	    (member->writing && budget_is_over(shared->table->budget, shared->service)))
		return take_choke(shared, run, member);
	if ((room = shared_room(shared, member_out(member), run->bytes)) == NULL) {
		shared->progress = (struct framing_progress){ 0 }; /* what is at the head was looked at already */
		return take_want(shared);
	}
	memcpy(room, flow_bytes(shared->table, *shared_in(shared)), run->bytes);
	CRASH_POINT(SHARED_COPIED);
	take_commit(shared, run, member);
	member_owe(member, -(int)run->count);
	take_narrow(member, run);
	member_flush(member); /* at once: the same buffer then serves all in turn */
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
static const struct table_owed *
take_owed(const struct shared *shared, uint64_t i)
{
	const struct table_shared *record = shared->record;
	const struct table_owed *entry;

	if (i >= owed_count(record))
		return NULL;
	entry = owed_at(shared->table, record, record->owed_head + i);
	return entry->end <= record->sent ? entry : NULL;
}

static bool
take_is_reply(const struct shared *shared, size_t offset, size_t length)
{
	if (shared->framing->is_reply == NULL)
		return true;
	return shared->framing->is_reply(flow_bytes(shared->table, *shared_in(shared)) + offset, length);
}

/* The replies at the begin that go to one client; none in the run: there are none yet, or the connection is lost. */
static void
take_collect(struct shared *shared, struct take_run *run)
{
	const struct table_owed *entry;
	enum framing_result result;
	size_t length;

	for (*run = (struct take_run){ 0 };; run->bytes += length, run->count++) {
		entry = take_owed(shared, run->count);
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

	if (take_is_reply(shared, 0, flow_length(shared->table, *shared_in(shared))) ||
	    shared_parse(shared, 0, &length) != FRAMING_WHOLE)
		return false;
	flow_take(shared->table, *shared_in(shared), length);
	return true;
}

static void
take_replies(struct shared *shared)
{
	struct take_run run;

	while (shared->fd != -1 && shared->choked == NULL && flow_length(shared->table, *shared_in(shared)) > 0) {
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
		flow_release(shared->table, shared_payer(shared), shared_in(shared));
		if (shared_has_more(shared))
			shared_give_soon(shared);
	}
	shared_flush(shared);
}

void
shared_flush(struct shared *shared)
{
	struct member *member;

	while ((member = TAILQ_FIRST(&shared->dirty)) != NULL)
		member_flush(member);
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
	n = call_receive(shared->table, *shared_in(shared), shared->fd, TAKE_ROOM);
	if (n > 0) {
		shared->liveness.heard = clock_now();
		shared->starved_since = 0;
		full = n == CALL_MOST || flow_spare(shared->table, *shared_in(shared)) == 0;
		shared_hand_out(shared);
		return full && shared->fd != -1 && shared->choked == NULL;
	}
	flow_release(shared->table, shared_payer(shared), shared_in(shared));
	if (n == -EAGAIN)
		return false;
	if (n < 0 && shared->error == 0) { /* B3: what came before it is still to be read */
		shared->error = (int)-n;
		return true;
	}
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
