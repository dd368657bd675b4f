/* Replies of RESP on their way through shared mode, as client/mux_conn hands them out: whole up to max_message, in
 * parts beyond, each followed in the table and passed by a commit.  An input's first two bytes choose max_message and
 * the pieces in which the rest comes.  Before a commit the worker may have died, and the asker may have gone. */
#include "client/mux_stream.h"
#include "keep/recover.h"
#include "keep/redo.h"
#include "pieces.h"

#define NO_LIMIT (SIZE_MAX / 2)
#define REQUESTS 16

static struct table table;
static struct shared_settings settings = { .framing = FRAMING_RESP };
static struct mux_rules rules = { .queue.table = &table, .name = "fuzz", .settings = &settings };
static const struct budget_payer payer = { .service = 0 };
static uint32_t client;
static unsigned roll;

/* What came, and how much of it has been handed out; the message there, as a parser without a limit has it. */
static struct {
	const uint8_t *bytes;
	size_t size, at, message;
	enum framing_result result;
	size_t length;
} stream;

static unsigned
draw(unsigned count)
{
	roll = roll * 1103515245 + 12345;
	return roll / 65536 % count;
}

static void
begin_table(void)
{
	if (table_new(100, &table) < 0)
		abort();
	table.services[0].word = TABLE_LIVE;
	table.services[0].sockets[0].fd = -1;
	client = table_client_claim(&table);
	table.clients[client].flags = TABLE_CLIENT_DATAGRAMS; /* it has no file */
	table_client_set(&table, client, TABLE_LIVE);
	rules.queue.record = &table.services[0].shared;
	rules.framing = framing_of(FRAMING_RESP);
}

/* So many requests of the client are in flight. */
static void
begin_queue(void)
{
	struct mux_queue *queue = &rules.queue;
	size_t end[REQUESTS];

	ring_drop(&table, payer, &queue->record->in);
	ring_drop(&table, payer, mux_queue_told(queue, client));
	mux_queue_drop(queue);
	memset(queue->record, 0, sizeof *queue->record);
	for (size_t i = 0; i < REQUESTS; i++)
		end[i] = i + 1;
	if (mux_queue_room(queue, REQUESTS, REQUESTS) == NULL)
		abort();
	mux_queue_ask(queue, 0, 0, end, REQUESTS, NULL);
	for (size_t i = 0; i < REQUESTS; i++)
		((struct table_pending *)(uintptr_t)mux_queue_at(queue, i))->who = mux_queue_word(&table, client);
}

static void
begin_message(void)
{
	struct framing_progress progress = { 0 };

	stream.message = stream.at;
	stream.result = rules.framing->reply(&progress, stream.bytes + stream.at, stream.size - stream.at, NO_LIMIT,
	    &stream.length);
}

/* These bytes have gone to the client, or to nobody; whole: the message ends with them. */
static void
note(size_t bytes, uint32_t to, bool whole)
{
	uint32_t ring = *mux_queue_told(&rules.queue, client);
	size_t told = ring_length(&table, ring);

	if (to != 0)
		assert(told >= bytes && memcmp(ring_bytes(&table, ring) + told - bytes, stream.bytes + stream.at,
		    bytes) == 0);
	stream.at += bytes;
	if (!whole) {
		assert(rules.queue.record->streamed == stream.at - stream.message);
		return;
	}
	assert(rules.queue.record->streamed == 0);
	assert(stream.result == FRAMING_WHOLE && stream.length == stream.at - stream.message);
	begin_message();
}

/* The next part of a long one.  false: it is none. */
static bool
pass(void)
{
	struct table_shared *record = rules.queue.record;
	uint32_t to = draw(4) == 0 ? 0 : client;
	enum framing_result result;
	size_t bytes, count = mux_queue_count(&rules.queue);
	bool silent;

	result = mux_stream_follow(&rules, &bytes, &silent);
	assert(!silent);
	if (draw(4) == 0) { /* the worker has died: nothing of that counts */
		redo_replay(&table);
		memset(record->stream[(record->stream_place + 1) & 1], 0xAA, TABLE_STREAM_SIZE);
		assert(mux_stream_follow(&rules, &bytes, &silent) == result);
	}
	if (result != FRAMING_MORE && result != FRAMING_WHOLE) {
		assert(stream.result != FRAMING_WHOLE);
		return false;
	}
	assert(bytes > 0);
	if (!mux_queue_pass(&rules.queue, to, bytes, result == FRAMING_WHOLE))
		abort();
	assert(mux_queue_count(&rules.queue) == count - (result == FRAMING_WHOLE));
	if (result == FRAMING_WHOLE)
		assert(stream.at + bytes - stream.message > settings.max_message);
	note(bytes, to, result == FRAMING_WHOLE);
	return true;
}

/* The next message that is not a long one, or its begin.  false: there is none yet, or none at all (*ret_over). */
static bool
answer(struct framing_progress *progress, bool *ret_over)
{
	uint32_t in = rules.queue.record->in;
	size_t whole, count = mux_queue_count(&rules.queue);
	enum framing_result result = rules.framing->reply(progress, ring_bytes(&table, in), ring_length(&table, in),
	    settings.max_message, &whole);
	bool replies = rules.framing->is_reply(ring_bytes(&table, in), ring_length(&table, in));

	if (result == FRAMING_MORE)
		return false;
	*progress = (struct framing_progress){ 0 };
	if (result == FRAMING_TOO_LONG && replies && count > 0) {
		*ret_over = mux_stream_is_due(&rules) && !pass();
		return mux_stream_is_due(&rules) && !*ret_over;
	}
	*ret_over = result != FRAMING_WHOLE || (replies && count == 0);
	if (*ret_over)
		return false;
	assert(whole <= settings.max_message);
	if (!replies)
		ring_take(&table, in, whole);
	else if (!mux_queue_answer(&rules.queue, client, 1, whole))
		abort();
	note(whole, replies ? client : 0, true);
	return true;
}

/* Behind what has come lies what is not to be looked at. */
static void
receive(const uint8_t *bytes, size_t length)
{
	unsigned char *room = ring_room(&table, payer, &rules.queue.record->in, length + 32);

	if (room == NULL)
		abort();
	memcpy(room, bytes, length);
	memset(room + length, 0xAA, 32);
	table.buffers[rules.queue.record->in].tail += (uint32_t)length;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct framing_progress progress = { 0 };
	bool over = false;
	size_t piece;

	if (size < PIECES_HEAD || pieces_max(data) == 0)
		return 0;
	if (table.header == NULL)
		begin_table();
	begin_queue();
	roll = data[1] * 2654435761u;
	settings.max_message = (unsigned)pieces_max(data);
	stream.bytes = data + PIECES_HEAD;
	stream.size = size - PIECES_HEAD;
	stream.at = 0;
	begin_message();
	for (size_t came = 0; came < stream.size && !over; came += piece) {
		piece = data[1] % 4 == 0 ? 1 : draw(29) + 1;
		piece = piece < stream.size - came ? piece : stream.size - came;
		receive(stream.bytes + came, piece);
		while (!over && ring_length(&table, rules.queue.record->in) > 0)
			if (mux_stream_is_on(&rules.queue))
				over = !pass();
			else if (!answer(&progress, &over))
				break;
	}
	return 0;
}
