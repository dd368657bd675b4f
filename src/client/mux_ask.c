#include "client/mux_ask.h"

#include <string.h>

#include "base/log.h"
#include "client/mux_judge.h"
#include "client/spool_queue.h"
#include "client/spool_segment.h"

/* Requests of one client moved in one go, so that others have their turn. */
#define ASK_RUN 256
/* Requests of a service that wait for replies, or to be given to the connection, at most.  Those without replies are
 * bounded by queue_size alone. */
#define ASK_QUEUE 65536

/* A client's turn. */
struct ask {
	struct mux_rules *rules;
	struct mux_asker *asker;
	bool vacant;             /* nobody has come before it for a place in the queue */
	struct mux_asked result;
};

/* Messages at the head of what a client said, up to one that cannot be taken with them. */
struct ask_run {
	const unsigned char *said; /* borrowed: all that the client said */
	size_t length;             /* of it */
	uint32_t count;
	size_t bytes;
	bool misfits;               /* they are those that have no place in the queue, each by itself */
	size_t end[ASK_RUN];        /* of each */
	enum framing_result result; /* of the one after them */
	struct mux_judged judged;   /* of that one, if it is whole */
};

static const unsigned char *
ask_bytes(const struct ask *ask)
{
	return ring_bytes(ask->rules->queue.table, *mux_queue_said(&ask->rules->queue, ask->asker->index));
}

static size_t
ask_length(const struct ask *ask)
{
	return mux_bytes_said(ask->rules, ask->asker->index);
}

static const struct table_client *
ask_record(const struct ask *ask)
{
	return &ask->rules->queue.table->clients[ask->asker->index];
}

/* No more is to be done for this reason.  false. */
static bool
ask_stop(struct ask *ask, enum mux_asked_why why)
{
	ask->result.why = why;
	return false;
}

/* The lines of a datagram are messages. */
static bool
ask_splits(const struct ask *ask)
{
	return ask->asker->datagrams && ask->rules->settings->framing == FRAMING_LINE &&
	    ask->rules->settings->split_datagrams;
}

/* The next message of a stream, or of a datagram that is split; a packet must be one. */
static enum framing_result
ask_parse(struct ask *ask, const struct ask_run *run, size_t *ret_length)
{
	size_t length = run->length - run->bytes;
	enum framing_result result = ask->rules->framing->request(&ask->asker->progress, run->said + run->bytes,
	    length, ask->rules->settings->max_message, ret_length);

	if (result != FRAMING_MORE)
		ask->asker->progress = (struct framing_progress){ 0 };
	if (mux_has_packets(ask->rules) && !ask_splits(ask) && (result == FRAMING_MORE || (result == FRAMING_WHOLE &&
	    *ret_length != length)))
		return FRAMING_MALFORMED;
	return result;
}

/* The connection is stuck, and so would the request be behind others', in whose order it need not be. */
static bool
ask_overtakes(const struct ask *ask, const struct ask_run *run)
{
	return run->judged.verdict == FRAMING_FORWARD && run->judged.resp.no_order && run->count == 0 &&
	    ask->asker->reader.in_flight == 0 && ask->rules->settings->on_state == RESP_ON_STATE_OWN;
}

static void
ask_judge(struct ask *ask, struct ask_run *run, size_t length)
{
	const struct mux_rules *rules = ask->rules;

	mux_judge(&(struct mux_judge_of){ .table = rules->queue.table, .client = ask->asker->index,
		.settings = rules->settings, .resp = &rules->resp }, run->said + run->bytes, length, &run->judged);
	if (rules->stuck && ask_overtakes(ask, run))
		run->judged.verdict = FRAMING_OWN;
}

/* What a message takes of the queue beside its bytes, where that is counted. */
static size_t
ask_cost(const struct ask *ask)
{
	return mux_is_one_way(ask->rules) ? MUX_QUEUE_ENTRY : 0;
}

static bool
ask_goes_along(const struct ask *ask, const struct ask_run *run, size_t length, size_t room)
{
	return run->misfits ? length + ask_cost(ask) > room :
	    run->bytes + length + (run->count + 1) * ask_cost(ask) <= room;
}

/* Collects what can go on together: most messages, room bytes; one at least is looked at. */
static void
ask_collect(struct ask *ask, struct ask_run *run, uint32_t most, size_t room)
{
	size_t length;

	run->said = ask_bytes(ask);
	run->length = ask_length(ask);
	run->count = 0;
	run->bytes = 0;
	do {
		if (run->length == run->bytes) {
			run->result = FRAMING_MORE;
			return;
		}
		run->result = ask_parse(ask, run, &length);
		if (run->result != FRAMING_WHOLE)
			return;
		ask_judge(ask, run, length);
		if (run->judged.verdict != FRAMING_FORWARD || mux_judged_is_changed(&run->judged) ||
		    (run->count > 0 && !ask_goes_along(ask, run, length, room)))
			return;
		run->bytes += length;
		run->end[run->count++] = run->bytes;
	} while (run->count < most);
}

/* A packet becomes one message as a whole, whatever it holds. */
static bool
ask_is_packet(const struct ask *ask)
{
	return mux_has_packets(ask->rules) && !ask->rules->framing->protocol && !ask_splits(ask);
}

/* How many requests more may be the client's; how many the queue has places for, and how many bytes. */
static uint32_t
ask_window(const struct ask *ask)
{
	return mux_is_ordered(ask->rules) ? mux_reader_left(&ask->asker->reader) : ASK_RUN;
}

static uint32_t
ask_places(const struct ask *ask)
{
	size_t count = mux_queue_count(&ask->rules->queue), places = count < ASK_QUEUE ? ASK_QUEUE - count : 0;

	if (!ask->vacant || ask->rules->closed)
		return 0;
	return places < ASK_RUN && !mux_is_one_way(ask->rules) ? (uint32_t)places : ASK_RUN;
}

/* How much the queue may take in all, and what it has taken of that. */
static size_t
ask_limit(const struct ask *ask)
{
	size_t limit = ask->rules->settings->queue_size, memory;

	if (!mux_is_one_way(ask->rules))
		return mux_most_bytes(ask->rules);
	if (!mux_drops(ask->rules))
		return limit;
	memory = mux_queue_memory(&ask->rules->queue);
	return memory < limit ? memory : limit;
}

static size_t
ask_taken(const struct ask *ask)
{
	const struct mux_queue *queue = &ask->rules->queue;

	return mux_is_one_way(ask->rules) ? mux_queue_taken(queue) : ring_length(queue->table, queue->record->out);
}

static size_t
ask_room(const struct ask *ask)
{
	size_t most = ask_limit(ask), there = ask_taken(ask);

	return most > there ? most - there : 0;
}

/* Where count messages of so many bytes may be written for the upstream; more than framed are needed for them there.
 * NULL: there is no place for them now.  An empty queue has one for anything. */
static unsigned char *
ask_place(const struct ask *ask, uint32_t count, size_t bytes, size_t more)
{
	struct mux_queue *queue = &ask->rules->queue;

	if (ask_places(ask) < count ||
	    (bytes + count * ask_cost(ask) > ask_room(ask) && ask_taken(ask) > 0))
		return NULL;
	return mux_queue_room(queue, count, bytes + more);
}

/* What has no place now is dropped, or others are for it. */
static bool
ask_drops(const struct ask *ask)
{
	return mux_drops(ask->rules) && ask_places(ask) > 0;
}

/* The most that may be free when the oldest messages are dropped. */
static size_t
ask_room_of_oldest(const struct ask *ask)
{
	size_t most = ask_limit(ask), stays = ask_taken(ask) - mux_queue_droppable(&ask->rules->queue);

	return most > stays ? most - stays : 0;
}

/* As ask_place(), of which there was none: the oldest messages make room if they may, and if that is enough. */
static unsigned char *
ask_place_of_oldest(const struct ask *ask, uint32_t count, size_t bytes, size_t more)
{
	size_t wanted = bytes + count * ask_cost(ask), most = ask_limit(ask), taken = ask_taken(ask);

	if (ask->rules->settings->on_full != SHARED_DROP_OLDEST || wanted > ask_room_of_oldest(ask) ||
	    wanted + taken <= most || !mux_queue_drop_oldest(&ask->rules->queue, wanted + taken - most))
		return NULL;
	return ask_place(ask, count, bytes, more);
}

/* The messages become the upstream's, and the client is owed the replies.  end: where each ends, of those that were
 * written there.  true: there may be more. */
static bool
ask_commit(struct ask *ask, const struct ask_run *run, const size_t *end)
{
	mux_queue_ask(&ask->rules->queue, ask->asker->index, run->bytes, end, run->count, NULL);
	if (mux_is_ordered(ask->rules)) {
		ask->asker->reader.in_flight += run->count;
		ask->result.owed += run->count;
	}
	return true;
}

/* false if no memory is left for it. */
static bool
ask_answer(struct ask *ask, const struct mux_queue_answer *answer)
{
	if (!mux_queue_answer_here(&ask->rules->queue, ask->asker->index, answer))
		return ask_stop(ask, MUX_ASKED_WAIT);
	ask->result.told = ask->result.told || answer->length > 0;
	return true;
}

static bool
ask_end(struct ask *ask, enum closing_cause cause)
{
	ask->result.cause = cause;
	return ask_stop(ask, MUX_ASKED_LAST);
}

/* It is the last answer that the client gets, and nothing behind the message is looked at. */
static bool
ask_answer_last(struct ask *ask, const char *text, size_t length, enum closing_cause cause)
{
	if (!ask_answer(ask, &(struct mux_queue_answer){ .text = text, .length = length,
		.taken = ask_length(ask), .change.flip = TABLE_CLIENT_LAST }))
		return false;
	ask_end(ask, cause);
	return true;
}

/* In the server's own words where it would have refused the message, too. */
static const char *
ask_complaint(const struct ask *ask, enum framing_result result, char room[FRAMING_COMPLAINT_SIZE])
{
	const struct framing *framing = ask->rules->framing;
	const char *complaint = framing->complaint == NULL ? NULL :
	    framing->complaint(ask_bytes(ask), ask_length(ask), room);

	if (complaint != NULL)
		return complaint;
	return result == FRAMING_TOO_LONG ? "holdfast: the request is longer than max_message" :
	    "holdfast: this is no request";
}

static bool
ask_reject(struct ask *ask, enum framing_result result)
{
	char room[FRAMING_COMPLAINT_SIZE], error[192];
	const char *complaint = ask_complaint(ask, result, room);

	log_notice(ask->rules->name, "client %llu sent %s: closed (%s)", (unsigned long long)ask_record(ask)->id,
	    result == FRAMING_TOO_LONG ? "a message of more than max_message" : "what is no message of the framing",
	    complaint);
	if (ask->rules->framing->error != NULL && ask_answer_last(ask, error,
	    ask->rules->framing->error(FRAMING_FAULT_CLIENT, complaint, error, sizeof error), CLOSING_PROTOCOL))
		return false;
	return ask_end(ask, CLOSING_PROTOCOL);
}

/* The first message is for the upstream, but in other words. */
static bool
ask_instead(struct ask *ask, const struct ask_run *run)
{
	struct mux_queue_change change = mux_judged_change(&run->judged);
	size_t length = mux_judged_length(&run->judged);
	unsigned char *room;

	if (ask_window(ask) == 0)
		return ask_stop(ask, MUX_ASKED_STUCK);
	if ((room = ask_place(ask, 1, length, 0)) == NULL)
		return ask_stop(ask, MUX_ASKED_WAIT);
	mux_judged_write(&run->judged, ask_bytes(ask), room);
	mux_queue_ask(&ask->rules->queue, ask->asker->index, run->judged.length, &length, 1, &change);
	ask->asker->reader.in_flight++;
	ask->result.owed++;
	return true;
}

static void
ask_log_refusal(const struct ask *ask, const struct ask_run *run)
{
	size_t begin = run->judged.answer[0] == '-' ? strlen("-ERR ") : 0;
	size_t end = run->judged.answer_length - strlen("\r\n");

	log_notice(ask->rules->name, "client %llu closed: %.*s", (unsigned long long)ask_record(ask)->id,
	    (int)(end - begin), run->judged.answer + begin);
}

/* The first message is not for the upstream as it is. */
static bool
ask_alone(struct ask *ask, const struct ask_run *run)
{
	const struct resp_judgement *judgement = &run->judged.resp;
	struct mux_queue_answer answer = { .text = run->judged.answer, .taken = run->judged.length };
	bool refused = run->judged.verdict == FRAMING_REFUSE;

	if (run->result == FRAMING_WHOLE && mux_judged_is_changed(&run->judged))
		return ask_instead(ask, run);
	if (ask->asker->reader.in_flight > 0) /* its replies come first */
		return ask_stop(ask, MUX_ASKED_STUCK);
	if (run->result != FRAMING_WHOLE)
		return ask_reject(ask, run->result);
	if (run->judged.verdict == FRAMING_OWN) {
		ask->result.first = judgement->first;
		return ask_stop(ask, MUX_ASKED_OWN);
	}
	if (run->judged.verdict == FRAMING_QUIT || refused) { /* it ends with the answer */
		if (ask_answer_last(ask, run->judged.answer, run->judged.answer_length,
		    refused ? CLOSING_STATE : CLOSING_CLIENT) && refused)
			ask_log_refusal(ask, run);
		return false;
	}
	if (run->judged.verdict != FRAMING_SKIP)
		answer.length = run->judged.answer_length;
	answer.change = mux_judged_change(&run->judged);
	return ask_answer(ask, &answer);
}

/* Not all that the client says gets to the disk: where that is confirmed it is not told so. */
static uint16_t
ask_note_dropped(const struct ask *ask)
{
	bool noted = ask->rules->confirmation.bytes == NULL || (ask_record(ask)->flags & TABLE_CLIENT_DROPPED);

	return noted ? 0 : TABLE_CLIENT_DROPPED;
}

/* The messages are dropped. */
static bool
ask_drop(struct ask *ask, const struct ask_run *run)
{
	return ask_answer(ask, &(struct mux_queue_answer){ .taken = run->bytes, .dropped = run->count,
		.change.flip = ask_note_dropped(ask) });
}

/* Where count messages of so many bytes may be written for the disk. */
static unsigned char *
ask_spool_place(const struct ask *ask, uint32_t count, size_t bytes)
{
	struct mux_queue *queue = &ask->rules->queue;
	size_t there = spool_queue_waiting(queue);

	if (!ask->vacant || (there > 0 && there + bytes + count * SPOOL_RECORD > ask->rules->settings->queue_size))
		return NULL;
	return spool_queue_room(queue, count, bytes);
}

/* There is no place for the run's messages: the disk takes none, or is slow, or memory is short.  What was not to go
 * there finds its place there in the next turn. */
static bool
ask_spool_full(struct ask *ask, const struct ask_run *run)
{
	const struct mux_rules *rules = ask->rules;

	ask->asker->progress = (struct framing_progress){ 0 }; /* it was that of the message after them */
	ask->rules->was_full = !rules->spools;
	if (!rules->spools || !rules->spool_fails || !ask->vacant || rules->settings->on_full == SHARED_BLOCK)
		return ask_stop(ask, MUX_ASKED_WAIT);
	if (rules->settings->on_full == SHARED_DROP_NEWEST)
		return ask_drop(ask, run);
	return spool_queue_drop(&ask->rules->queue, run->bytes + run->count * SPOOL_RECORD) ||
	    ask_stop(ask, MUX_ASKED_WAIT);
}

/* The run's messages are written for the disk. */
static bool
ask_spool(struct ask *ask, const struct ask_run *run)
{
	unsigned char *room = ask_spool_place(ask, run->count, run->bytes);
	size_t begin = 0;

	if (room == NULL)
		return ask_spool_full(ask, run);
	for (uint32_t i = 0; i < run->count; begin = run->end[i++]) {
		memcpy(room + SPOOL_RECORD, ask_bytes(ask) + begin, run->end[i] - begin);
		room += SPOOL_RECORD + run->end[i] - begin;
	}
	spool_queue_put(&ask->rules->queue, ask->asker->index, run->bytes, run->end, run->count);
	return true;
}

static unsigned char *
ask_packet_place(const struct ask *ask, size_t length)
{
	unsigned char *room;

	if (!ask->rules->spools)
		return ask_place(ask, 1, length, FRAMING_OVERHEAD);
	room = ask_spool_place(ask, 1, length + FRAMING_OVERHEAD);
	return room == NULL ? NULL : room + SPOOL_RECORD;
}

/* The message that was written there, of this length, becomes the upstream's. */
static bool
ask_commit_one(struct ask *ask, const struct ask_run *run, const size_t *length)
{
	if (!ask->rules->spools)
		return ask_commit(ask, run, length);
	spool_queue_put(&ask->rules->queue, ask->asker->index, run->bytes, length, 1);
	return true;
}

/* A packet's contents become one message.  Many programs end a line with its newline though it is all of a packet:
 * that does not count. */
static bool
ask_packet(struct ask *ask)
{
	struct ask_run run = { .count = 1, .bytes = ask_length(ask) };
	size_t length = run.bytes;
	unsigned char *room;

	if (ask_window(ask) == 0)
		return ask_stop(ask, MUX_ASKED_STUCK);
	room = ask_packet_place(ask, length);
	if (room == NULL && ask->rules->has_spool)
		return ask_spool_full(ask, &run);
	if (room == NULL && !ask_drops(ask))
		return ask_stop(ask, MUX_ASKED_WAIT);
	if (room == NULL && (room = ask_place_of_oldest(ask, 1, length, FRAMING_OVERHEAD)) == NULL)
		return ask_drop(ask, &run);
	if (ask->rules->settings->framing == FRAMING_LINE && ask_bytes(ask)[length - 1] == '\n')
		length--;
	length = ask->rules->framing->wrap(ask_bytes(ask), length, room);
	if (length > 0)
		return ask_commit_one(ask, &run, &length);
	if (ask->asker->reader.in_flight > 0) /* it cannot be a message: the replies before it come first */
		return ask_stop(ask, MUX_ASKED_STUCK);
	if (!ask->asker->datagrams)
		return ask_reject(ask, FRAMING_MALFORMED);
	log_notice(ask->rules->name, "a datagram of %zu bytes is no message of the framing: it is dropped",
	    run.bytes);
	return ask_answer(ask, &(struct mux_queue_answer){ .taken = run.bytes, .lost = true });
}

static bool
ask_move(struct ask *ask, const struct ask_run *run, unsigned char *room)
{
	memcpy(room, ask_bytes(ask), run->bytes);
	return ask_commit(ask, run, run->end);
}

/* Collects again; what is known of a message that is not whole was of the one behind those of the run. */
static void
ask_collect_again(struct ask *ask, struct ask_run *run, bool misfits, size_t room)
{
	ask->asker->progress = (struct framing_progress){ 0 };
	run->misfits = misfits;
	ask_collect(ask, run, ASK_RUN, room);
}

/* The first message has no place in the queue, and nobody waits for one. */
static bool
ask_messages_full(struct ask *ask)
{
	unsigned char *room = NULL;
	struct ask_run run;

	if (ask->rules->settings->on_full == SHARED_DROP_OLDEST) {
		ask_collect_again(ask, &run, false, ask_room_of_oldest(ask));
		room = ask_place_of_oldest(ask, run.count, run.bytes, 0);
	}
	if (room != NULL)
		return ask_move(ask, &run, room);
	ask_collect_again(ask, &run, true, ask_room(ask));
	return ask_drop(ask, &run);
}

static bool
ask_messages(struct ask *ask)
{
	uint32_t window = ask_window(ask), places = ask_places(ask), most = window < places ? window : places;
	unsigned char *room;
	struct ask_run run;

	run.misfits = false;
	ask_collect(ask, &run, most > 0 ? most : 1, ask_room(ask));
	if (run.count == 0)
		return run.result == FRAMING_MORE ? ask_stop(ask, MUX_ASKED_ALL) : ask_alone(ask, &run);
	if (ask->rules->spools)
		return ask_spool(ask, &run);
	room = window == 0 ? NULL : ask_place(ask, run.count, run.bytes, 0);
	if (room == NULL && ask->rules->has_spool)
		return ask_spool_full(ask, &run);
	if (room == NULL && ask_drops(ask))
		return ask_messages_full(ask);
	if (room == NULL) {
		ask->asker->progress = (struct framing_progress){ 0 }; /* it was that of the message after them */
		return ask_stop(ask, window == 0 ? MUX_ASKED_STUCK : MUX_ASKED_WAIT);
	}
	return ask_move(ask, &run, room);
}

/* What is there is all of the last message, whose end is missing: no more comes, of the client or the datagram. */
static bool
ask_is_last_line(const struct ask *ask)
{
	return ask_splits(ask) || (mux_is_one_way(ask->rules) && ask->rules->settings->framing == FRAMING_LINE &&
	    ask->asker->ended && !ask->asker->torn);
}

/* A newline is added to it. */
static void
ask_last_line(struct ask *ask)
{
	size_t length = ask_length(ask);
	unsigned char *room = ask_packet_place(ask, length);
	struct ask_run run;

	run.count = 1;
	run.bytes = length;
	while (room == NULL && ask->rules->has_spool) {
		if (!ask_spool_full(ask, &run) || ask_length(ask) == 0)
			return;
		room = ask_packet_place(ask, length); /* others were dropped for it */
	}
	if (room == NULL && !ask_drops(ask)) {
		ask_stop(ask, MUX_ASKED_WAIT);
		return;
	}
	if (room == NULL && (room = ask_place_of_oldest(ask, 1, length + 1, 0)) == NULL) {
		ask_drop(ask, &run);
		return;
	}
	length = ask->rules->framing->wrap(ask_bytes(ask), length, room);
	ask_commit_one(ask, &run, &length);
}

/* The client has ended within a message. */
static void
ask_unfinished(struct ask *ask)
{
	ask->asker->progress = (struct framing_progress){ 0 };
	if (ask_is_last_line(ask)) {
		ask_last_line(ask);
		return;
	}
	log_info(ask->rules->name, "client %llu ended within a message: %zu bytes of it are dropped",
	    (unsigned long long)ask_record(ask)->id, ask_length(ask));
	ask_answer(ask, &(struct mux_queue_answer){ .taken = ask_length(ask), .unfinished = true,
		.change.flip = ask_note_dropped(ask) });
}

struct mux_asked
mux_ask(struct mux_rules *rules, struct mux_asker *asker, bool vacant)
{
	struct ask ask = { .rules = rules, .asker = asker, .vacant = vacant };

	while (ask_length(&ask) > 0 && (ask_is_packet(&ask) ? ask_packet(&ask) : ask_messages(&ask)))
		;
	if ((asker->ended || ask_splits(&ask)) && ask.result.why == MUX_ASKED_ALL && ask_length(&ask) > 0)
		ask_unfinished(&ask);
	return ask.result;
}

/* The next message of a stream is taken, if it is for the upstream. */
static void
ask_take_lost(struct ask *ask, struct mux_queue_answer *answer)
{
	struct ask_run run = { .misfits = false };

	ask_collect(ask, &run, 1, SIZE_MAX);
	if (run.bytes > 0 || run.result != FRAMING_MORE || !ask_is_last_line(ask))
		answer->taken = run.bytes;
	if (run.count > 0 || run.result != FRAMING_WHOLE || !mux_judged_is_changed(&run.judged))
		return;
	answer->taken = run.judged.length;
	if (run.judged.memcache.silence == FRAMING_SILENT_ALL)
		answer->length = 0;
}

struct mux_asked
mux_ask_fail(struct mux_rules *rules, struct mux_asker *asker, enum closing_cause cause)
{
	struct mux_queue_answer answer = { .text = rules->loss.bytes, .lost = true };
	struct ask ask = { .rules = rules, .asker = asker };

	while (ask.result.why != MUX_ASKED_LAST && (answer.taken = ask_length(&ask)) > 0) {
		answer.length = rules->loss.length;
		if (!ask_is_packet(&ask))
			ask_take_lost(&ask, &answer);
		if (answer.taken == 0)
			break;
		if ((mux_is_ordered(rules) && answer.text == NULL) || !ask_answer(&ask, &answer)) {
			rules->queue.record->lost++;
			ask_end(&ask, cause);
		}
	}
	return ask.result;
}

/* Nothing behind it is looked at, for it is meant for the state that the client cannot have. */
struct mux_asked
mux_ask_fail_own(struct mux_rules *rules, struct mux_asker *asker, enum closing_cause cause)
{
	struct ask ask = { .rules = rules, .asker = asker };

	rules->queue.record->lost++;
	if (rules->loss.bytes == NULL || ask_answer_last(&ask, rules->loss.bytes, rules->loss.length, cause))
		ask_end(&ask, cause);
	return ask.result;
}

struct mux_asked
mux_ask_reject(struct mux_rules *rules, struct mux_asker *asker, enum framing_result result)
{
	struct ask ask = { .rules = rules, .asker = asker };

	ask_reject(&ask, result);
	return ask.result;
}
