#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"

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
ask_bytes(const struct mux_client *mux_client)
{
	return ring_bytes(mux_client->shared->table, *mux_client_in(mux_client));
}

static size_t
ask_length(const struct mux_client *mux_client)
{
	return ring_length(mux_client->shared->table, *mux_client_in(mux_client));
}

static bool
ask_is_packet(const struct mux_client *mux_client)
{
	return mux_client->shared->settings->type != LISTENER_STREAM;
}

/* The next message of a stream; a packet must be one. */
static enum framing_result
ask_parse(struct mux_client *mux_client, size_t offset, size_t *ret_length)
{
	const struct shared *shared = mux_client->shared;
	size_t length = ask_length(mux_client) - offset;
	enum framing_result result;

	result = shared->framing->request(&mux_client->progress, ask_bytes(mux_client) + offset, length,
	    shared->settings->max_message, ret_length);
	if (result != FRAMING_MORE)
		mux_client->progress = (struct framing_progress){ 0 };
	if (ask_is_packet(mux_client) && (result == FRAMING_MORE || (result == FRAMING_WHOLE &&
	    *ret_length != length)))
		return FRAMING_MALFORMED;
	return result;
}

static unsigned
ask_protocol(const struct mux_client *mux_client)
{
	return mux_client_record(mux_client)->flags & TABLE_CLIENT_RESP3 ? 3 : 2;
}

static void
ask_judge(struct mux_client *mux_client, struct ask_run *run, size_t length)
{
	const struct shared *shared = mux_client->shared;

	run->verdict = RESP_FORWARD;
	run->next = length;
	run->answer_length = 0;
	run->protocol = ask_protocol(mux_client);
	if (shared->settings->framing == FRAMING_RESP)
		run->verdict = resp_judge(ask_bytes(mux_client) + run->bytes, length, &shared->resp, &run->protocol,
		    run->answer, &run->answer_length);
}

/* Collects what can go on together: most messages, room bytes; one at least is looked at. */
static void
ask_collect(struct mux_client *mux_client, struct ask_run *run, uint32_t most, size_t room)
{
	size_t length;

	run->count = 0;
	run->bytes = 0;
	do {
		if (ask_length(mux_client) == run->bytes) {
			run->result = FRAMING_MORE;
			return;
		}
		run->result = ask_parse(mux_client, run->bytes, &length);
		if (run->result != FRAMING_WHOLE)
			return;
		ask_judge(mux_client, run, length);
		if (run->verdict != RESP_FORWARD || (run->count > 0 && run->bytes + length > room))
			return;
		run->bytes += length;
		run->end[run->count++] = run->bytes;
	} while (run->count < most);
}

/* As ask_collect(), of one message; none if it is not whole. */
static void
ask_first(struct mux_client *mux_client, struct ask_run *run)
{
	if (ask_is_packet(mux_client) && mux_client->shared->settings->framing != FRAMING_RESP)
		*run = (struct ask_run){ .count = ask_length(mux_client) > 0, .bytes = ask_length(mux_client) };
	else
		ask_collect(mux_client, run, 1, SIZE_MAX);
}

/* How many requests more the service's queue has places for, and may be the client's. */
static uint64_t
ask_vacant(const struct mux_client *mux_client)
{
	const struct shared *shared = mux_client->shared;
	uint64_t pending = mux_queue_count(&shared->queue), vacant = pending < SHARED_QUEUE ? SHARED_QUEUE - pending
	    : 0;

	if (shared->fd == -1 && shared_refuses(shared))
		return 0;
	if (!shared->serving && !TAILQ_EMPTY(&shared->waiting))
		return 0; /* they came first */
	return vacant < SHARED_RUN ? vacant : SHARED_RUN;
}

static uint64_t
ask_window(const struct mux_client *mux_client)
{
	if (!shared_is_ordered(mux_client->shared))
		return SHARED_RUN;
	return mux_client->window > mux_client->in_flight ? mux_client->window - mux_client->in_flight : 0;
}

static size_t
ask_room(const struct mux_client *mux_client)
{
	const struct shared *shared = mux_client->shared;
	size_t most = shared_room_of_client(shared), there = ring_length(shared->table, shared->record->out);

	return most > there ? most - there : 0;
}

static bool
ask_has_room(const struct mux_client *mux_client, size_t bytes)
{
	const struct shared *shared = mux_client->shared;

	return bytes <= ask_room(mux_client) || ring_length(shared->table, shared->record->out) == 0;
}

/* The messages become the upstream's, and the client is owed the replies.  end: where each ends, of those that were
 * written for the upstream. */
static void
ask_commit(struct mux_client *mux_client, const struct ask_run *run, const size_t *end)
{
	struct shared *shared = mux_client->shared;

	if (shared->fd == -1 && mux_queue_count(&shared->queue) == 0)
		shared->queued_since = clock_now();
	mux_queue_ask(&shared->queue, mux_client->index, run->bytes, end, run->count);
	if (shared_is_ordered(shared))
		mux_client_owe(mux_client, (int)run->count);
	if (shared->fd != -1) {
		shared_give_soon(shared);
		return;
	}
	shared_tell_waiting(shared);
	shared_tick_soon(shared);
}

/* false: there is no place for them now. */
static bool
ask_move(struct mux_client *mux_client, const struct ask_run *run)
{
	unsigned char *room = mux_queue_room(&mux_client->shared->queue, run->count, run->bytes);

	if (room == NULL)
		return false;
	memcpy(room, ask_bytes(mux_client), run->bytes);
	ask_commit(mux_client, run, run->end);
	return true;
}

/* Gives the client an answer to what is at the head of what it said.  false if no memory is left for it. */
static bool
ask_answer_here(struct mux_client *mux_client, const struct mux_queue_answer *answer)
{
	if (!mux_queue_answer_here(&mux_client->shared->queue, mux_client->index, answer))
		return false;
	if (answer->length > 0)
		mux_client_dirty(mux_client);
	return true;
}

/* As ask_answer_here(): it is the last answer that the client gets, and nothing behind the message is looked at. */
static bool
ask_answer_last(struct mux_client *mux_client, const char *text, size_t length, enum closing_cause cause)
{
	if (!ask_answer_here(mux_client, &(struct mux_queue_answer){ .text = text, .length = length,
		.taken = ask_length(mux_client), .flip = TABLE_CLIENT_LAST }))
		return false;
	mux_client_finish(mux_client, cause);
	return true;
}

void
mux_client_reject(struct mux_client *mux_client, enum framing_result result)
{
	const struct framing *framing = mux_client->shared->framing;
	char error[128];
	size_t length;

	log_notice(mux_client->shared->name, "client %llu sent %s: closed",
	    (unsigned long long)mux_client_record(mux_client)->id, result == FRAMING_TOO_LONG ?
	    "a message of more than max_message" : "what is no message of the framing");
	if (framing->error != NULL) {
		length = framing->error(result == FRAMING_TOO_LONG ?
		    "Protocol error: holdfast: the request is longer than max_message" :
		    "Protocol error: holdfast: this is no request", error, sizeof error);
		if (ask_answer_last(mux_client, error, length, CLOSING_PROTOCOL))
			return;
	}
	mux_client_finish(mux_client, CLOSING_PROTOCOL);
}

enum ask_step { ASK_ON, ASK_STUCK, ASK_WAIT, ASK_READ };

/* The client ends with the answer: it asked for that, or for what it cannot have. */
static enum ask_step
ask_end(struct mux_client *mux_client, const struct ask_run *run)
{
	bool refused = run->verdict == RESP_REFUSE;

	if (!ask_answer_last(mux_client, run->answer, run->answer_length, refused ? CLOSING_STATE : CLOSING_CLIENT))
		return ASK_WAIT;
	if (refused)
		log_notice(mux_client->shared->name, "client %llu closed: %.*s",
		    (unsigned long long)mux_client_record(mux_client)->id,
		    (int)(run->answer_length - strlen("-ERR \r\n")), run->answer + strlen("-ERR "));
	return ASK_READ;
}

/* The first message is not for the upstream. */
static enum ask_step
ask_alone(struct mux_client *mux_client, const struct ask_run *run)
{
	struct mux_queue_answer answer = { .text = run->answer, .taken = run->next };

	if (mux_client->in_flight > 0) /* its replies come first */
		return ASK_STUCK;
	if (run->result != FRAMING_WHOLE) {
		mux_client_reject(mux_client, run->result);
		return ASK_READ;
	}
	if (run->verdict == RESP_QUIT || run->verdict == RESP_REFUSE)
		return ask_end(mux_client, run);
	if (run->verdict != RESP_SKIP)
		answer.length = run->answer_length;
	if (run->protocol != ask_protocol(mux_client))
		answer.flip = TABLE_CLIENT_RESP3;
	return ask_answer_here(mux_client, &answer) ? ASK_ON : ASK_WAIT;
}

/* Bytes of the packet that count: many programs end a line with its newline though it is all of a packet. */
static size_t
ask_packet_length(const struct mux_client *mux_client)
{
	size_t length = ask_length(mux_client);

	if (mux_client->shared->settings->framing == FRAMING_LINE && ask_bytes(mux_client)[length - 1] == '\n')
		length--;
	return length;
}

/* The packet cannot be a message. */
static enum ask_step
ask_refuse_packet(struct mux_client *mux_client)
{
	if (mux_client->in_flight > 0) /* its replies come first */
		return ASK_STUCK;
	if (mux_client->client != NULL) {
		mux_client_reject(mux_client, FRAMING_MALFORMED);
		return ASK_READ;
	}
	log_notice(mux_client->shared->name,
	    "a datagram of %zu bytes is no message of the framing: it is passed over",
	    ask_length(mux_client));
	ask_answer_here(mux_client, &(struct mux_queue_answer){ .taken = ask_length(mux_client), .lost = true });
	return ASK_ON;
}

/* A packet's contents become one message. */
static enum ask_step
ask_packet(struct mux_client *mux_client)
{
	struct shared *shared = mux_client->shared;
	struct ask_run run = { .count = 1, .bytes = ask_length(mux_client) };
	unsigned char *room;
	size_t length;

	if (ask_window(mux_client) == 0)
		return ASK_STUCK;
	if (ask_vacant(mux_client) == 0 || !ask_has_room(mux_client, run.bytes) ||
	    (room = mux_queue_room(&shared->queue, 1, run.bytes + FRAMING_OVERHEAD)) == NULL)
		return ASK_WAIT;
	length = shared->framing->wrap(ask_bytes(mux_client), ask_packet_length(mux_client), room);
	if (length == 0)
		return ask_refuse_packet(mux_client);
	ask_commit(mux_client, &run, &length);
	return ASK_ON;
}

static enum ask_step
ask_messages(struct mux_client *mux_client)
{
	uint64_t window = ask_window(mux_client), vacant = ask_vacant(mux_client), most = window < vacant ? window
	    : vacant;
	struct ask_run run;

	ask_collect(mux_client, &run, most > 0 ? (uint32_t)most : 1, ask_room(mux_client));
	if (run.count == 0 && run.result == FRAMING_MORE)
		return ASK_READ;
	if (run.count == 0)
		return ask_alone(mux_client, &run);
	if (window > 0 && vacant > 0 && ask_has_room(mux_client, run.bytes) && ask_move(mux_client, &run))
		return ASK_ON;
	mux_client->progress = (struct framing_progress){ 0 }; /* it was that of the message after them */
	return window == 0 ? ASK_STUCK : ASK_WAIT;
}

static enum ask_step
ask_step(struct mux_client *mux_client)
{
	if (ask_length(mux_client) == 0) {
		ring_release(mux_client->shared->table, mux_client_payer(mux_client), mux_client_in(mux_client));
		return ASK_READ;
	}
	if (ask_is_packet(mux_client) && mux_client->shared->settings->framing != FRAMING_RESP)
		return ask_packet(mux_client);
	return ask_messages(mux_client);
}

/* As far as it goes.  Why it goes no further. */
static enum ask_step
ask_all(struct mux_client *mux_client)
{
	enum ask_step step = ASK_ON;

	while (step == ASK_ON && !mux_client->writing && !mux_client_is_last(mux_client))
		step = ask_step(mux_client);
	return step;
}

/* Answers what waits with the loss text, up to a message that is not for the upstream, or has the client closed.
 * Whether there was any. */
static bool
ask_fail(struct mux_client *mux_client, enum closing_cause cause)
{
	struct shared *shared = mux_client->shared;
	bool silent = shared_is_ordered(shared) && shared->loss_text == NULL;
	uint64_t before = shared->record->lost;
	struct ask_run run;

	while (!mux_client_is_last(mux_client) && ask_length(mux_client) > 0) {
		ask_first(mux_client, &run);
		if (run.count == 0)
			break;
		if (!silent && ask_answer_here(mux_client, &(struct mux_queue_answer){ .text = shared->loss_text,
			.length = shared->loss_length, .taken = run.bytes, .lost = true }))
			continue;
		shared->record->lost++;
		mux_client_finish(mux_client, cause);
	}
	mux_client_dirty(mux_client);
	return shared->record->lost > before;
}

/* Nobody will take what it asks.  What it asked earlier, and still waits for, is turned away before. */
static bool
ask_is_refused(const struct mux_client *mux_client)
{
	const struct shared *shared = mux_client->shared;

	return mux_client->in_flight == 0 && shared->fd == -1 && shared_refuses(shared);
}

void
mux_client_ask(struct mux_client *mux_client)
{
	enum ask_step step;

	if (mux_client->waiting || !mux_client->shared->begun)
		return;
	mux_client->stuck = false;
	do
		step = ask_all(mux_client);
	while (step == ASK_WAIT && ask_is_refused(mux_client) && ask_fail(mux_client, CLOSING_REFUSED));
	mux_client->stuck = step == ASK_STUCK;
	if (step == ASK_WAIT)
		mux_client_wait(mux_client);
	else
		mux_client->waiting_since = 0;
	mux_client_update_reading(mux_client);
	if (mux_client->dirty)
		mux_client_flush(mux_client);
	else
		mux_client_end_if_through(mux_client);
}

void
mux_client_fail_waiting(struct mux_client *mux_client, enum closing_cause cause)
{
	mux_client->waiting_since = 0;
	ask_fail(mux_client, cause);
	mux_client_flush(mux_client);
}
