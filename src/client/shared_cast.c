/* What the upstream says where nobody is owed a reply: to all clients, or to nobody. */
#include <string.h>

#include "base/log.h"
#include "client/shared_parts.h"
#include "keep/crash.h"

static bool
cast_has_more(const struct shared *shared, size_t offset)
{
	return flow_length(shared->table, *shared_in(shared)) > offset;
}

/* How many bytes the broadcast under way has; a buffer holds them. */
static size_t
cast_length(const struct shared *shared)
{
	return (size_t)shared->record->cast_length;
}

static void
cast_close(struct shared *shared, struct member *member)
{
	log_notice(shared->name, "client %llu does not keep up, %zu bytes wait for it: closed",
	    (unsigned long long)member_record(member)->id, flow_length(shared->table, *member_out(member)));
	session_is_over(member->session, CLOSING_BEHIND);
}

/* Room for a client's copy.  Where memory is short, those who are furthest behind are closed for it. */
static unsigned char *
cast_room(struct shared *shared, struct member *member)
{
	unsigned char *room;
	struct member *behind;

	if (flow_length(shared->table, *member_out(member)) > shared_room_of_client(shared) ||
	    (member->writing && budget_is_over(shared->table->budget, shared->service)))
		return NULL;
	while ((room = shared_room(shared, member_out(member), cast_length(shared))) == NULL) {
		behind = shared_furthest_behind(shared);
		if (behind == NULL || behind == member)
			return NULL;
		cast_close(shared, behind);
	}
	return room;
}

/* One client's copy of the broadcast under way. */
static void
cast_to(struct shared *shared, struct member *member)
{
	struct table_shared *record = shared->record;
	size_t length = cast_length(shared);
	unsigned char *room = cast_room(shared, member);
	struct redo redo;

	if (room == NULL) {
		cast_close(shared, member);
		return;
	}
	memcpy(room, flow_bytes(shared->table, *shared_in(shared)), length);
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, shared->table);
	flow_redo(&redo, shared->table, *member_out(member), 0, length);
	redo_add(&redo, &record->cast_slot, member->index + UINT64_C(1));
	redo_add(&redo, &record->messages[TABLE_DOWN], record->messages[TABLE_DOWN] + record->cast_messages);
	redo_commit(&redo);
	CRASH_POINT(SHARED_CAST);
	member_flush(member);
}

/* Goes on with the broadcast under way, from client to client, and ends it. */
static void
cast_all(struct shared *shared)
{
	struct table_shared *record = shared->record;
	struct member *member;
	struct redo redo;

	for (uint64_t i = record->cast_slot; i < shared->member_slots && shared->fd != -1; i++) {
		member = shared->members[i];
		if (member != NULL && !member_is_last(member) && member_record(member)->fd != -1)
			cast_to(shared, member);
	}
	if (shared->fd == -1) /* the last client has gone, and the connection with it */
		return;
	redo_begin(&redo, shared->table);
	flow_redo(&redo, shared->table, *shared_in(shared), cast_length(shared), 0);
	redo_add(&redo, &record->cast_slot, 0);
	redo_commit(&redo);
}

static void
cast_begin(struct shared *shared, size_t length, uint64_t messages)
{
	struct table_shared *record = shared->record;

	if (length == 0)
		return;
	record->cast_length = length;
	record->cast_messages = messages;
	table_barrier();
	record->cast_slot = 1;
	table_barrier();
	cast_all(shared);
}

/* A message that comes while a heartbeat is out: whether it is its answer, which is nobody else's.  If nothing is
 * expected any message is a sign of life, and everybody's. */
static bool
cast_is_pulse(struct shared *shared, size_t offset, size_t length)
{
	const unsigned char *message = flow_bytes(shared->table, *shared_in(shared)) + offset;

	if (shared->liveness.beaten == 0 || !shared_is_pulse(shared, message, length))
		return false;
	shared->liveness.beaten = 0;
	return shared->settings->heartbeat_expect != NULL;
}

/* The bytes before it go out; it does not. */
static void
cast_around(struct shared *shared, size_t bytes, uint64_t messages, size_t length)
{
	cast_begin(shared, bytes, messages);
	if (shared->fd != -1)
		flow_take(shared->table, *shared_in(shared), length);
}

void
shared_broadcast(struct shared *shared)
{
	size_t bytes = 0, length;
	uint64_t messages = 0;
	enum framing_result result = FRAMING_MORE;

	if (shared->record->cast_slot != 0)
		cast_all(shared);
	while (shared->fd != -1 && cast_has_more(shared, bytes) &&
	    (result = shared_parse(shared, bytes, &length)) == FRAMING_WHOLE) {
		if (cast_is_pulse(shared, bytes, length)) {
			cast_around(shared, bytes, messages, length);
			bytes = 0;
			messages = 0;
		} else {
			bytes += length;
			messages++;
		}
	}
	if (shared->fd != -1)
		cast_begin(shared, bytes, messages);
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
		flow_take(shared->table, *shared_in(shared), flow_length(shared->table, *shared_in(shared)));
	while (cast_has_more(shared, 0) && (result = shared_parse(shared, 0, &length)) == FRAMING_WHOLE) {
		if (shared_is_pulse(shared, flow_bytes(shared->table, *shared_in(shared)), length))
			shared->liveness.beaten = 0;
		flow_take(shared->table, *shared_in(shared), length);
	}
	if (result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG)
		shared_lose_nonsense(shared, result);
}
