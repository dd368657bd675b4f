#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"
#include "keep/crash.h"

/* Messages at the head of what a client said, up to one that cannot go on with them. */
struct ask_run {
	uint32_t count;
	size_t bytes;
	size_t end[SHARED_RUN];     /* of each */
	enum framing_result result; /* of the one after them */
	enum resp_verdict verdict;  /* on it, if it is whole */
	size_t next;                /* its length, if it is answered here */
	unsigned protocol;          /* that the client speaks after it (resp) */
	size_t answer_length;
	char answer[RESP_ANSWER_SIZE];
};

static const unsigned char *
ask_bytes(const struct member *member)
{
	return flow_bytes(member->shared->table, *member_in(member));
}

static size_t
ask_length(const struct member *member)
{
	return flow_length(member->shared->table, *member_in(member));
}

static bool
ask_is_packet(const struct member *member)
{
	return member->shared->settings->type != LISTENER_STREAM;
}

/* The next message of a stream; a packet must be one. */
static enum framing_result
ask_parse(struct member *member, size_t offset, size_t *ret_length)
{
	const struct shared *shared = member->shared;
	size_t length = ask_length(member) - offset;
	enum framing_result result;

	result = shared->framing->request(&member->progress, ask_bytes(member) + offset, length,
	    shared->settings->max_message, ret_length);
	if (result != FRAMING_MORE)
		member->progress = (struct framing_progress){ 0 };
	if (ask_is_packet(member) && (result == FRAMING_MORE || (result == FRAMING_WHOLE && *ret_length != length)))
		return FRAMING_MALFORMED;
	return result;
}

static unsigned
ask_protocol(const struct member *member)
{
	return member_record(member)->flags & TABLE_CLIENT_RESP3 ? 3 : 2;
}

static void
ask_judge(struct member *member, struct ask_run *run, size_t length)
{
	const struct shared *shared = member->shared;

	run->verdict = RESP_FORWARD;
	run->next = length;
	run->answer_length = 0;
	run->protocol = ask_protocol(member);
	if (shared->settings->framing == FRAMING_RESP)
		run->verdict = resp_judge(ask_bytes(member) + run->bytes, length, &shared->resp, &run->protocol,
		    run->answer, &run->answer_length);
}

/* Collects what can go on together: most messages, room bytes; one at least is looked at. */
static void
ask_collect(struct member *member, struct ask_run *run, uint32_t most, size_t room)
{
	size_t length;

	run->count = 0;
	run->bytes = 0;
	do {
		if (ask_length(member) == run->bytes) {
			run->result = FRAMING_MORE;
			return;
		}
		run->result = ask_parse(member, run->bytes, &length);
		if (run->result != FRAMING_WHOLE)
			return;
		ask_judge(member, run, length);
		if (run->verdict != RESP_FORWARD || (run->count > 0 && run->bytes + length > room))
			return;
		run->bytes += length;
		run->end[run->count++] = run->bytes;
	} while (run->count < most);
}

/* As ask_collect(), of one message; none if it is not whole. */
static void
ask_first(struct member *member, struct ask_run *run)
{
	if (ask_is_packet(member) && member->shared->settings->framing != FRAMING_RESP)
		*run = (struct ask_run){ .count = ask_length(member) > 0, .bytes = ask_length(member) };
	else
		ask_collect(member, run, 1, SIZE_MAX);
}

/* How many requests more the service's queue has places for, and may be the client's. */
static uint64_t
ask_vacant(const struct member *member)
{
	const struct shared *shared = member->shared;
	uint64_t owed = owed_count(shared->record), vacant = owed < SHARED_QUEUE ? SHARED_QUEUE - owed : 0;

	if (shared->fd == -1 && shared_refuses(shared))
		return 0;
	if (!shared->serving && !TAILQ_EMPTY(&shared->waiting))
		return 0; /* they came first */
	return vacant < SHARED_RUN ? vacant : SHARED_RUN;
}

static uint64_t
ask_window(const struct member *member)
{
	if (!shared_is_ordered(member->shared))
		return SHARED_RUN;
	return member->window > member->in_flight ? member->window - member->in_flight : 0;
}

static size_t
ask_room(const struct member *member)
{
	const struct shared *shared = member->shared;
	size_t most = shared_room_of_client(shared), there = flow_length(shared->table, shared->record->out);

	return most > there ? most - there : 0;
}

static bool
ask_has_room(const struct member *member, size_t bytes)
{
	const struct shared *shared = member->shared;

	return bytes <= ask_room(member) || flow_length(shared->table, shared->record->out) == 0;
}

/* The messages become the upstream's, and the client is owed the replies: one change (X2).  come: bytes that were
 * written for the upstream. */
static void
ask_commit(struct member *member, const struct ask_run *run, size_t come)
{
	struct shared *shared = member->shared;
	struct table_shared *record = shared->record;
	struct table_client *session = member_record(member);
	struct redo redo;

	CRASH_POINT(SHARED_COPIED);
	if (shared->fd == -1 && owed_count(record) == 0)
		shared->queued_since = clock_now();
	redo_begin(&redo, shared->table);
	flow_redo(&redo, shared->table, *member_in(member), run->bytes, 0);
	flow_redo(&redo, shared->table, record->out, 0, come);
	redo_add(&redo, &record->out_end, record->out_end + come);
	redo_add(&redo, &record->owed_tail, record->owed_tail + run->count);
	redo_add(&redo, &record->messages[TABLE_UP], record->messages[TABLE_UP] + run->count);
	redo_add(&redo, &session->bytes[TABLE_UP], session->bytes[TABLE_UP] + run->bytes);
	redo_commit(&redo);
	CRASH_POINT(SHARED_ASKED);
	if (shared_is_ordered(shared))
		member_owe(member, (int)run->count);
	if (shared->fd != -1) {
		shared_give_soon(shared);
		return;
	}
	shared_tell_waiting(shared);
	shared_tick_soon(shared);
}

/* false: there is no place for them now. */
static bool
ask_move(struct member *member, const struct ask_run *run)
{
	struct shared *shared = member->shared;
	struct table_shared *record = shared->record;
	uint64_t who = owed_word(shared->table, member->index);
	unsigned char *room;

	if (!shared_owed_room(shared, run->count))
		return false;
	room = shared_room(shared, &record->out, run->bytes);
	if (room == NULL)
		return false;
	memcpy(room, ask_bytes(member), run->bytes);
	for (uint32_t i = 0; i < run->count; i++)
		*owed_at(shared->table, record, record->owed_tail + i) =
		    (struct table_owed){ .who = who, .end = record->out_end + run->end[i] };
	ask_commit(member, run, run->bytes);
	return true;
}

/* What else changes with an answer that is given here. */
struct ask_change {
	size_t taken;        /* bytes of what the client said are done with */
	bool lost;           /* as a request that was lost */
	uint16_t flip;       /* flags of its record that become the opposite */
};

/* The record's flags, as the word of the table that they lie in. */
static void
ask_redo_flags(struct redo *redo, struct table_client *session, uint16_t flip)
{
	enum { BEGIN = offsetof(struct table_client, conn) };
	struct { uint32_t conn; uint16_t service, flags; } change = { session->conn, session->service,
		session->flags ^ flip };
	uint64_t word;

	_Static_assert(sizeof change == sizeof word && BEGIN % sizeof word == 0 &&
	    offsetof(struct table_client, service) == BEGIN + 4 &&
	    offsetof(struct table_client, flags) == BEGIN + 6, "the flags and their neighbours are one word");
	memcpy(&word, &change, sizeof word);
	redo_add(redo, (uint64_t *)(void *)((unsigned char *)session + BEGIN), word);
}

/* Gives the client an answer (length may be 0) to what is at the head of what it said.  One change (X1): a death
 * leaves no client that has its refusal and goes on.  false if no memory is left for it. */
static bool
ask_answer_here(struct member *member, const char *text, size_t length, const struct ask_change *change)
{
	struct shared *shared = member->shared;
	unsigned char *room = NULL;
	struct redo redo;

	if (length > 0 && (room = shared_room(shared, member_out(member), length)) == NULL)
		return false;
	if (room != NULL)
		memcpy(room, text, length);
	CRASH_POINT(SHARED_COPIED);
	redo_begin(&redo, shared->table);
	flow_redo(&redo, shared->table, *member_in(member), change->taken, 0);
	if (room != NULL)
		flow_redo(&redo, shared->table, *member_out(member), 0, length);
	ask_redo_flags(&redo, member_record(member), change->flip);
	redo_add(&redo, &shared->record->lost, shared->record->lost + change->lost);
	redo_commit(&redo);
	CRASH_POINT(SHARED_ANSWERED_HERE);
	if (room != NULL)
		member_dirty(member);
	return true;
}

/* As ask_answer_here(): it is the last answer that the client gets, and nothing behind the message is looked at. */
static bool
ask_answer_last(struct member *member, const char *text, size_t length, enum closing_cause cause)
{
	if (!ask_answer_here(member, text, length, &(struct ask_change){ .taken = ask_length(member),
		.flip = TABLE_CLIENT_LAST }))
		return false;
	member_finish(member, cause);
	return true;
}

void
member_reject(struct member *member, enum framing_result result)
{
	const struct framing *framing = member->shared->framing;
	char error[128];
	size_t length;

	log_notice(member->shared->name, "client %llu sent %s: closed",
	    (unsigned long long)member_record(member)->id, result == FRAMING_TOO_LONG ?
	    "a message of more than max_message" : "what is no message of the framing");
	if (framing->error != NULL) {
		length = framing->error(result == FRAMING_TOO_LONG ?
		    "Protocol error: holdfast: the request is longer than max_message" :
		    "Protocol error: holdfast: this is no request", error, sizeof error);
		if (ask_answer_last(member, error, length, CLOSING_PROTOCOL))
			return;
	}
	member_finish(member, CLOSING_PROTOCOL);
}

enum ask_step { ASK_ON, ASK_STUCK, ASK_WAIT, ASK_READ };

/* The client ends with the answer: it asked for that, or for what it cannot have. */
static enum ask_step
ask_end(struct member *member, const struct ask_run *run)
{
	bool refused = run->verdict == RESP_REFUSE;

	if (!ask_answer_last(member, run->answer, run->answer_length, refused ? CLOSING_STATE : CLOSING_CLIENT))
		return ASK_WAIT;
	if (refused)
		log_notice(member->shared->name, "client %llu closed: %.*s",
		    (unsigned long long)member_record(member)->id,
		    (int)(run->answer_length - strlen("-ERR \r\n")), run->answer + strlen("-ERR "));
	return ASK_READ;
}

/* The first message is not for the upstream. */
static enum ask_step
ask_alone(struct member *member, const struct ask_run *run)
{
	struct ask_change change = { 0 };

	if (member->in_flight > 0) /* its replies come first */
		return ASK_STUCK;
	if (run->result != FRAMING_WHOLE) {
		member_reject(member, run->result);
		return ASK_READ;
	}
	if (run->verdict == RESP_QUIT || run->verdict == RESP_REFUSE)
		return ask_end(member, run);
	change.taken = run->next;
	if (run->protocol != ask_protocol(member))
		change.flip = TABLE_CLIENT_RESP3;
	if (!ask_answer_here(member, run->answer, run->verdict == RESP_SKIP ? 0 : run->answer_length, &change))
		return ASK_WAIT;
	return ASK_ON;
}

/* Bytes of the packet that count: many programs end a line with its newline though it is all of a packet. */
static size_t
ask_packet_length(const struct member *member)
{
	size_t length = ask_length(member);

	if (member->shared->settings->framing == FRAMING_LINE && ask_bytes(member)[length - 1] == '\n')
		length--;
	return length;
}

/* The packet cannot be a message. */
static enum ask_step
ask_refuse_packet(struct member *member)
{
	if (member->in_flight > 0) /* its replies come first */
		return ASK_STUCK;
	if (member->session != NULL) {
		member_reject(member, FRAMING_MALFORMED);
		return ASK_READ;
	}
	log_notice(member->shared->name, "a datagram of %zu bytes is no message of the framing: it is passed over",
	    ask_length(member));
	ask_answer_here(member, NULL, 0, &(struct ask_change){ .taken = ask_length(member), .lost = true });
	return ASK_ON;
}

/* A packet's contents become one message. */
static enum ask_step
ask_packet(struct member *member)
{
	struct shared *shared = member->shared;
	struct table_shared *record = shared->record;
	struct ask_run run = { .count = 1, .bytes = ask_length(member) };
	unsigned char *room;
	size_t length;

	if (ask_window(member) == 0)
		return ASK_STUCK;
	if (ask_vacant(member) == 0 || !ask_has_room(member, run.bytes) || !shared_owed_room(shared, 1) ||
	    (room = shared_room(shared, &record->out, run.bytes + FRAMING_OVERHEAD)) == NULL)
		return ASK_WAIT;
	length = shared->framing->wrap(ask_bytes(member), ask_packet_length(member), room);
	if (length == 0)
		return ask_refuse_packet(member);
	*owed_at(shared->table, record, record->owed_tail) = (struct table_owed){
		.who = owed_word(shared->table, member->index), .end = record->out_end + length };
	ask_commit(member, &run, length);
	return ASK_ON;
}

static enum ask_step
ask_messages(struct member *member)
{
	uint64_t window = ask_window(member), vacant = ask_vacant(member), most = window < vacant ? window : vacant;
	struct ask_run run;

	ask_collect(member, &run, most > 0 ? (uint32_t)most : 1, ask_room(member));
	if (run.count == 0 && run.result == FRAMING_MORE)
		return ASK_READ;
	if (run.count == 0)
		return ask_alone(member, &run);
	if (window > 0 && vacant > 0 && ask_has_room(member, run.bytes) && ask_move(member, &run))
		return ASK_ON;
	member->progress = (struct framing_progress){ 0 }; /* it was that of the message after them */
	return window == 0 ? ASK_STUCK : ASK_WAIT;
}

static enum ask_step
ask_step(struct member *member)
{
	if (ask_length(member) == 0) {
		flow_release(member->shared->table, member_payer(member), member_in(member));
		return ASK_READ;
	}
	if (ask_is_packet(member) && member->shared->settings->framing != FRAMING_RESP)
		return ask_packet(member);
	return ask_messages(member);
}

/* As far as it goes.  Why it goes no further. */
static enum ask_step
ask_all(struct member *member)
{
	enum ask_step step = ASK_ON;

	while (step == ASK_ON && !member->writing && !member_is_last(member))
		step = ask_step(member);
	return step;
}

/* Answers what waits with the loss text, up to a message that is not for the upstream, or has the client closed.
 * Whether there was any. */
static bool
ask_fail(struct member *member, enum closing_cause cause)
{
	struct shared *shared = member->shared;
	bool silent = shared_is_ordered(shared) && shared->loss_text == NULL;
	uint64_t before = shared->record->lost;
	struct ask_run run;

	while (!member_is_last(member) && ask_length(member) > 0) {
		ask_first(member, &run);
		if (run.count == 0)
			break;
		if (!silent && ask_answer_here(member, shared->loss_text, shared->loss_length,
			&(struct ask_change){ .taken = run.bytes, .lost = true }))
			continue;
		shared->record->lost++;
		member_finish(member, cause);
	}
	member_dirty(member);
	return shared->record->lost > before;
}

/* Nobody will take what it asks.  What it asked earlier, and still waits for, is turned away before. */
static bool
ask_is_refused(const struct member *member)
{
	const struct shared *shared = member->shared;

	return member->in_flight == 0 && shared->fd == -1 && shared_refuses(shared);
}

void
member_ask(struct member *member)
{
	enum ask_step step;

	if (member->waiting || !member->shared->begun)
		return;
	member->stuck = false;
	do
		step = ask_all(member);
	while (step == ASK_WAIT && ask_is_refused(member) && ask_fail(member, CLOSING_REFUSED));
	member->stuck = step == ASK_STUCK;
	if (step == ASK_WAIT)
		member_wait(member);
	else
		member->waiting_since = 0;
	member_update_reading(member);
	if (member->dirty)
		member_flush(member);
	else
		member_end_if_through(member);
}

void
member_fail_waiting(struct member *member, enum closing_cause cause)
{
	member->waiting_since = 0;
	ask_fail(member, cause);
	member_flush(member);
}
