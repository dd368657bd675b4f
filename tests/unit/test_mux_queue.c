/* The queue of who is owed a reply: its order, its growth, that only who asked is answered, and that each change is
 * one, wherever a worker dies. */
#include "client/mux_queue.h"

#include <stdio.h>

#include "recover_stage.h"

#define SMALLEST ((uint32_t)(TABLE_BUFFER_SIZE / sizeof(struct table_pending)))

static struct mux_queue queue;

static struct table_shared *
shared(void)
{
	return &table.services[0].shared;
}

static void
begin(void)
{
	memset(shared(), 0, sizeof *shared());
	table.services[0].word = TABLE_LIVE;
	queue = (struct mux_queue){ .table = &table, .record = shared() };
}

/* A heartbeat of so many bytes, which are not written at all; its entry bears the number who afterwards. */
static bool
push(uint64_t who, size_t bytes)
{
	if (mux_queue_room(&queue, 1, bytes) == NULL)
		return false;
	mux_queue_ask(&queue, 0, 0, &bytes, 1, NULL);
	((struct table_pending *)(uintptr_t)mux_queue_at(&queue, mux_queue_count(&queue) - 1))->who = who;
	return true;
}

/* The oldest is done with. */
static uint64_t
pop(void)
{
	uint64_t who = mux_queue_at(&queue, 0)->who;

	assert_true(mux_queue_retire(&queue, mux_queue_end(&queue, 1)));
	return who;
}

static void
who_asked_first_is_first(void **state)
{
	(void)state;
	begin();
	assert_int_equal(mux_queue_count(&queue), 0);
	for (uint64_t i = 1; i <= 3; i++)
		assert_true(push(i, 10));
	assert_int_equal(mux_queue_count(&queue), 3);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(pop(), i);
	assert_int_equal(mux_queue_count(&queue), 0);
}

static void
numbers_go_on_beyond_the_ring_and_beyond_all_numbers(void **state)
{
	(void)state;
	begin();
	shared()->pending_head = shared()->pending_tail = UINT64_MAX - SMALLEST - 2;
	for (uint64_t i = 0; i < 5; i++)
		push(i, 1);
	for (uint64_t i = 5; i < 3 * SMALLEST; i++) {
		push(i, 1);
		assert_int_equal(pop(), i - 5);
	}
	assert_int_equal(mux_queue_count(&queue), 5);
	assert_int_equal(buffers_size(&table, shared()->pending), TABLE_BUFFER_SIZE);
}

/* The ring is full, and its oldest entry stands in its midst. */
static void
growth_across_the_rings_end_keeps_the_order(void **state)
{
	uint32_t old;

	(void)state;
	begin();
	shared()->pending_head = shared()->pending_tail = UINT64_MAX - SMALLEST / 2;
	for (uint64_t i = 0; i < SMALLEST; i++)
		push(i, 1);
	old = shared()->pending;
	for (uint64_t i = SMALLEST; i < 3 * SMALLEST; i++)
		push(i, 1);
	assert_int_not_equal(shared()->pending, old);
	assert_int_equal(buffers_size(&table, shared()->pending), 4 * TABLE_BUFFER_SIZE);
	for (uint64_t i = 0; i < 3 * SMALLEST; i++) {
		assert_int_equal(mux_queue_at(&queue, 0)->end, i + 1);
		assert_int_equal(pop(), i);
	}
}

static void
one_that_was_given_in_part_has_begun(void **state)
{
	static const struct {
		uint64_t sent, whole, begun, end;
	} rows[] = { { 10, 1, 1, 10 }, { 11, 1, 2, 20 }, { 19, 1, 2, 20 }, { 20, 2, 2, 20 }, { 30, 3, 3, 30 } };
	uint64_t end;

	(void)state;
	begin();
	for (uint64_t i = 1; i <= 3; i++)
		push(i, 10);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		shared()->sent = rows[i].sent;
		assert_int_equal(mux_queue_sent(&queue), rows[i].whole);
		assert_int_equal(mux_queue_begun(&queue, &end), rows[i].begun);
		assert_int_equal(end, rows[i].end);
	}
}

static void
room_for_many_comes_at_once(void **state)
{
	(void)state;
	begin();
	push(7, 1);
	assert_non_null(mux_queue_room(&queue, SMALLEST, 1));
	assert_int_equal(pop(), 7);
}

static void
without_memory_the_ring_stays_as_it_is(void **state)
{
	uint32_t taken[300], count = 0;

	(void)state;
	begin();
	for (uint64_t i = 0; i < SMALLEST; i++)
		push(i, 1);
	while (count < 300 && (taken[count] = buffers_claim(&table, side_payer, 2 * TABLE_BUFFER_SIZE)) != 0)
		count++;
	assert_in_range(count, 1, 299);
	assert_false(push(SMALLEST, 1));
	for (uint64_t i = 0; i < SMALLEST; i++)
		assert_int_equal(pop(), i);
	assert_true(push(SMALLEST, 1));
	while (count > 0)
		buffers_free(&table, side_payer, taken[--count]);
}

/* Requests of 10, 20 and 30 bytes; so many are sent. */
static void
only_what_was_sent_as_a_whole_counts_as_sent(void **state)
{
	static const struct {
		uint64_t sent, count;
	} rows[] = { { 0, 0 }, { 9, 0 }, { 10, 1 }, { 11, 1 }, { 29, 1 }, { 30, 2 }, { 59, 2 }, { 60, 3 } };

	(void)state;
	begin();
	for (uint64_t i = 1; i <= 3; i++)
		push(i, i * 10);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		shared()->sent = rows[i].sent;
		assert_int_equal(mux_queue_sent(&queue), rows[i].count);
	}
	shared()->sent = 40;
	pop();
	assert_int_equal(mux_queue_sent(&queue), 1);
	pop();
	assert_int_equal(mux_queue_sent(&queue), 0);
}

static void
a_request_begins_where_the_one_before_it_ends(void **state)
{
	const uint64_t base = UINT64_C(5) << 30; /* beyond what 32 bits hold */

	(void)state;
	begin();
	shared()->out_end = base;
	for (uint64_t i = 1; i <= 3; i++)
		push(i, i * 10);
	assert_int_equal(mux_queue_end(&queue, 0), base);
	assert_int_equal(mux_queue_end(&queue, 1), base + 10);
	assert_int_equal(mux_queue_end(&queue, 2), base + 30);
	assert_int_equal(mux_queue_end(&queue, 3), base + 60);
	assert_int_equal(ring_length(&table, shared()->out), 60);
	pop();
	assert_int_equal(mux_queue_end(&queue, 0), base + 10);
	assert_int_equal(mux_queue_end(&queue, 2), base + 60);
	assert_int_equal(ring_length(&table, shared()->out), 50);
	pop();
	pop();
	assert_int_equal(shared()->out, 0);
}

/* One client's requests hold up nobody but itself; nor do those of who has gone wait, or a heartbeat. */
static void
others_are_open_clients_behind_the_first(void **state)
{
	uint64_t first, second;
	uint32_t gone;

	(void)state;
	begin();
	first = mux_queue_word(&table, side_session(&table, side_file(), -1));
	second = mux_queue_word(&table, side_session(&table, side_file(), -1));
	gone = side_session(&table, side_file(), -1);
	assert_false(mux_queue_has_others(&queue));
	push(first, 1);
	assert_false(mux_queue_has_others(&queue));
	push(first, 1);
	push(TABLE_PENDING_NOBODY, 1);
	push(mux_queue_word(&table, gone), 1);
	assert_true(mux_queue_has_others(&queue));
	table_client_close(&table, gone);
	assert_false(mux_queue_has_others(&queue));
	push(second, 1);
	push(first, 1);
	assert_true(mux_queue_has_others(&queue));
	for (int i = 0; i < 4; i++)
		pop();
	assert_true(mux_queue_has_others(&queue)); /* the first behind the second */
	pop();
	assert_false(mux_queue_has_others(&queue));
}

static void
the_word_of_a_client_leads_to_it_while_it_is_open(void **state)
{
	uint32_t session = side_session(&table, side_file(), -1);
	uint64_t who = mux_queue_word(&table, session);

	(void)state;
	assert_int_not_equal(who, TABLE_PENDING_NOBODY);
	assert_int_equal(mux_queue_client(&queue, who), session);
	table_client_set(&table, session, TABLE_CLOSING);
	assert_int_equal(mux_queue_client(&queue, who), 0);
	table_client_free(&table, session);
	assert_int_equal(mux_queue_client(&queue, who), 0);
	assert_int_equal(mux_queue_client(&queue, TABLE_PENDING_NOBODY), 0);
}

static void
who_has_the_slot_of_one_that_is_gone_is_not_that_one(void **state)
{
	uint32_t session = side_session(&table, side_file(), -1), next;
	uint64_t who = mux_queue_word(&table, session);

	(void)state;
	table_client_free(&table, session);
	next = side_session(&table, side_file(), -1);
	assert_int_equal(next, session);
	assert_int_equal(mux_queue_client(&queue, who), 0);
	assert_int_equal(mux_queue_client(&queue, mux_queue_word(&table, next)), next);
}

/* A worker has copied the entries to a larger ring, and died before that was named. */
static void
a_ring_that_no_record_names_is_free_again(void **state)
{
	uint32_t larger;

	(void)state;
	begin();
	for (uint64_t i = 0; i < SMALLEST; i++)
		push(i, 1);
	larger = buffers_claim(&table, side_payer, 2 * TABLE_BUFFER_SIZE);
	recover_run(&table);
	assert_non_null(mux_queue_room(&queue, 1, 1));
	assert_int_equal(shared()->pending, larger);
	for (uint64_t i = 0; i < SMALLEST; i++)
		assert_int_equal(pop(), i);
}

/* Two clients, one that is gone, and what the upstream said: as text, with all that counts. */
static uint32_t first, second;
static char before[512], after[512];

static int
describe_ring(char *text, size_t size, const char *name, uint32_t ring)
{
	size_t length = ring_length(&table, ring);

	return snprintf(text, size, " %s=%.*s", name, (int)length, length == 0 ? "" :
	    (const char *)ring_bytes(&table, ring));
}

/* What has passed of a long reply, and the place that counts. */
static const char *
describe_stream(void)
{
	static char text[64];

	text[0] = '\0';
	if (shared()->stream_place != 0)
		snprintf(text, sizeof text, " streamed=%u:%u", (unsigned)shared()->streamed,
		    (unsigned)shared()->stream_place);
	return text;
}

static void
describe(char text[512])
{
	const struct table_shared *record = shared();
	size_t n = 0;

	for (size_t i = 0; i < mux_queue_count(&queue); i++)
		n += (size_t)snprintf(text + n, 512 - n, "%u:%u ",
		    mux_queue_client(&queue, mux_queue_at(&queue, i)->who),
		    (unsigned)(mux_queue_end(&queue, i + 1) - mux_queue_end(&queue, i)));
	n += (size_t)snprintf(text + n, 512 - n, "sent=%d slot=%u%s lost=%u retried=%u messages=%u,%u flags=%x",
	    (int)(record->sent - mux_queue_end(&queue, 0)), (unsigned)record->broadcast_slot,
	    describe_stream(), (unsigned)record->lost,
	    (unsigned)record->retried, (unsigned)record->messages[0], (unsigned)record->messages[1],
	    table.clients[first].flags);
	if (record->dropped > 0)
		n += (size_t)snprintf(text + n, 512 - n, " dropped=%u", (unsigned)record->dropped);
	n += (size_t)describe_ring(text + n, 512 - n, "out", record->out);
	n += (size_t)describe_ring(text + n, 512 - n, "in", record->in);
	n += (size_t)describe_ring(text + n, 512 - n, "said", *mux_queue_said(&queue, first));
	n += (size_t)describe_ring(text + n, 512 - n, "told", *mux_queue_told(&queue, first));
	describe_ring(text + n, 512 - n, "told", *mux_queue_told(&queue, second));
}

static void
ask(uint32_t client, const char *text)
{
	size_t length = strlen(text);

	memcpy(mux_queue_room(&queue, 1, length), text, length);
	mux_queue_ask(&queue, client, length, &length, 1, NULL);
}

/* One that is gone asked between two that are there. */
static void
prepare_requests(void *arg)
{
	uint32_t gone;

	(void)arg;
	side_clear(&table);
	begin();
	recover_run(&table); /* all buffers are free */
	first = side_session(&table, side_file(), -1);
	gone = side_session(&table, side_file(), -1);
	second = side_session(&table, side_file(), -1);
	side_put(&table, first, TABLE_UP, "one,more,");
	side_put(&table, gone, TABLE_UP, "buy,");
	side_put(&table, second, TABLE_UP, "two,");
	ask(first, "one,");
	ask(gone, "buy,");
	ask(second, "two,");
	ring_drop(&table, side_payer, mux_queue_said(&queue, gone));
	ring_drop(&table, side_payer, mux_queue_said(&queue, second));
	table_client_free(&table, gone);
	memcpy(ring_room(&table, side_payer, &shared()->in, 10), "1,2,3,4,5,", 10);
	table.buffers[shared()->in].tail += 10;
	describe(before);
}

/* All requests, and a half of the last, were given to the connection. */
static void
prepare_sent(void *arg)
{
	prepare_requests(arg);
	shared()->sent = mux_queue_end(&queue, 3) - 2;
	describe(before);
}

/* Of the first one's reply a part has passed. */
static void
prepare_stream(void *arg)
{
	prepare_sent(arg);
	assert_true(mux_queue_pass(&queue, first, 3, false));
	describe(before);
}

/* So many bytes of them were. */
static void
prepare_begun(uint64_t sent)
{
	prepare_requests(NULL);
	shared()->sent = sent;
	describe(before);
}

static void
prepare_first_begun(void *arg)
{
	(void)arg;
	prepare_begun(2);
}

static void
prepare_second_begun(void *arg)
{
	(void)arg;
	prepare_begun(6);
}

static void
prepare_broadcast(void *arg)
{
	prepare_requests(arg);
	mux_queue_broadcast_begin(&queue, 4, 2);
	describe(before);
}

static void
act_ask(void *arg)
{
	(void)arg;
	ask(first, "more,");
}

static void
act_answer_here(void *arg)
{
	(void)arg;
	assert_true(mux_queue_answer_here(&queue, first, &(struct mux_queue_answer){ .text = "no!", .length = 3,
		.taken = 5, .lost = true, .change.flip = TABLE_CLIENT_LAST }));
}

static void
act_answer(void *arg)
{
	(void)arg;
	assert_true(mux_queue_answer(&queue, first, 1, 2));
}

static void
act_pass(void *arg)
{
	(void)arg;
	assert_true(mux_queue_pass(&queue, first, 4, false));
}

static void
act_pass_last(void *arg)
{
	(void)arg;
	assert_true(mux_queue_pass(&queue, first, 4, true));
}

static void
act_pass_to_nobody(void *arg)
{
	(void)arg;
	assert_true(mux_queue_pass(&queue, 0, 4, true));
}

static void
act_fail_untold(void *arg)
{
	(void)arg;
	assert_true(mux_queue_fail(&queue, 0, NULL, 0));
}

static void
act_fail(void *arg)
{
	(void)arg;
	assert_true(mux_queue_fail(&queue, first, "lost,", 5));
}

static void
act_retire(void *arg)
{
	(void)arg;
	assert_true(mux_queue_retire(&queue, mux_queue_end(&queue, 2)));
}

static void
act_drop_newest(void *arg)
{
	(void)arg;
	assert_true(mux_queue_answer_here(&queue, first, &(struct mux_queue_answer){ .taken = 5, .dropped = 1 }));
}

static void
act_drop_oldest(void *arg)
{
	(void)arg;
	assert_true(mux_queue_drop_oldest(&queue, 1));
}

static void
act_drop_two(void *arg)
{
	(void)arg;
	assert_true(mux_queue_drop_oldest(&queue, 4 + MUX_QUEUE_ENTRY + 1));
}

static void
act_forget_gone(void *arg)
{
	(void)arg;
	mux_queue_forget_gone(&queue);
}

static void
act_settle(void *arg)
{
	(void)arg;
	mux_queue_settle(&queue);
}

static void
act_broadcast_to(void *arg)
{
	(void)arg;
	assert_true(mux_queue_broadcast_to(&queue, first));
}

static void
act_broadcast_end(void *arg)
{
	(void)arg;
	mux_queue_broadcast_end(&queue);
}

static const struct {
	void (*prepare)(void *arg), (*act)(void *arg);
	const char *after;
} changes[] = {
	{ prepare_requests, act_ask, "1:4 0:4 3:4 1:5 sent=0 slot=0 lost=0 retried=0 messages=4,0 flags=0"
	    " out=one,buy,two,more, in=1,2,3,4,5, said= told= told=" },
	{ prepare_requests, act_answer_here, "1:4 0:4 3:4 sent=0 slot=0 lost=1 retried=0 messages=3,0 flags=2"
	    " out=one,buy,two, in=1,2,3,4,5, said= told=no! told=" },
	{ prepare_sent, act_answer, "0:4 3:4 sent=6 slot=0 lost=0 retried=0 messages=3,1 flags=0"
	    " out=buy,two, in=2,3,4,5, said=more, told=1, told=" },
	{ prepare_sent, act_pass, "1:4 0:4 3:4 sent=10 slot=0 streamed=4:1 lost=0 retried=0 messages=3,0 flags=0"
	    " out=one,buy,two, in=3,4,5, said=more, told=1,2, told=" },
	{ prepare_stream, act_pass, "1:4 0:4 3:4 sent=10 slot=0 streamed=7:2 lost=0 retried=0 messages=3,0 flags=0"
	    " out=one,buy,two, in=,5, said=more, told=1,2,3,4 told=" },
	{ prepare_stream, act_pass_last, "0:4 3:4 sent=6 slot=0 streamed=0:2 lost=0 retried=0 messages=3,1 flags=0"
	    " out=buy,two, in=,5, said=more, told=1,2,3,4 told=" },
	{ prepare_stream, act_pass_to_nobody, "0:4 3:4 sent=6 slot=0 streamed=0:2 lost=0 retried=0 messages=3,0 "
	    "flags=0 out=buy,two, in=,5, said=more, told=1,2 told=" },
	{ prepare_stream, act_fail_untold, "0:4 3:4 sent=6 slot=0 streamed=0:1 lost=1 retried=0 messages=3,0 flags=0"
	    " out=buy,two, in=,3,4,5, said=more, told=1,2 told=" },
	{ prepare_sent, act_fail, "0:4 3:4 sent=6 slot=0 lost=1 retried=0 messages=3,0 flags=0"
	    " out=buy,two, in=1,2,3,4,5, said=more, told=lost, told=" },
	{ prepare_requests, act_fail, "0:4 3:4 sent=0 slot=0 lost=1 retried=0 messages=3,0 flags=0"
	    " out=buy,two, in=1,2,3,4,5, said=more, told=lost, told=" },
	{ prepare_sent, act_retire, "3:4 sent=2 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " out=two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_requests, act_drop_newest, "1:4 0:4 3:4 sent=0 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " dropped=1 out=one,buy,two, in=1,2,3,4,5, said= told= told=" },
	{ prepare_requests, act_drop_oldest, "0:4 3:4 sent=0 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " dropped=1 out=buy,two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_requests, act_drop_two, "3:4 sent=0 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " dropped=2 out=two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_first_begun, act_drop_oldest, "1:4 3:4 sent=2 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " dropped=1 out=one,two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_second_begun, act_drop_oldest, "1:4 0:4 sent=6 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " dropped=1 out=one,buy, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_requests, act_forget_gone, "1:4 3:4 sent=0 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " out=one,two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_sent, act_settle, "1:4 0:4 3:4 sent=0 slot=0 lost=0 retried=2 messages=3,0 flags=0"
	    " out=one,buy,two, in=1,2,3,4,5, said=more, told= told=" },
	{ prepare_broadcast, act_broadcast_to, "1:4 0:4 3:4 sent=0 slot=2 lost=0 retried=0 messages=3,2 flags=0"
	    " out=one,buy,two, in=1,2,3,4,5, said=more, told=1,2, told=" },
	{ prepare_broadcast, act_broadcast_end, "1:4 0:4 3:4 sent=0 slot=0 lost=0 retried=0 messages=3,0 flags=0"
	    " out=one,buy,two, in=3,4,5, said=more, told= told=" },
};

static void
check_whole(void *arg, bool finished)
{
	const size_t *i = arg;

	recover_run(&table);
	mux_queue_finish_drop(&queue);
	describe(after);
	if (finished || strcmp(after, before) != 0)
		assert_string_equal(after, changes[*i].after);
	assert_string_not_equal(before, changes[*i].after);
}

/* Behind a request that was given in part, of 100 bytes, so many bytes are dropped that it has room to move up. */
static void
a_drop_makes_room_for_what_stays_before_it(void **state)
{
	uint64_t end;

	(void)state;
	begin();
	push(1, 100);
	for (uint64_t i = 2; i <= 20; i++)
		push(i, 10);
	shared()->sent = 1;
	assert_true(mux_queue_drop_oldest(&queue, 1));
	assert_int_equal(shared()->dropped, 10);
	assert_int_equal(mux_queue_begun(&queue, &end), 1);
	assert_int_equal(end - shared()->sent, 99);
	assert_int_equal(pop(), 1);
	for (uint64_t i = 12; i <= 20; i++)
		assert_int_equal(pop(), i);
	assert_int_equal(mux_queue_count(&queue), 0);
}

static void
what_was_given_in_part_and_a_heartbeat_are_not_dropped(void **state)
{
	(void)state;
	begin();
	push(1, 10);
	push(2, 10);
	shared()->sent = 11;
	assert_int_equal(mux_queue_droppable(&queue), 0);
	assert_false(mux_queue_drop_oldest(&queue, 1));
	push(TABLE_PENDING_NOBODY, 10);
	push(4, 10);
	assert_false(mux_queue_drop_oldest(&queue, 1));
	assert_int_equal(shared()->dropped, 0);
	assert_int_equal(mux_queue_count(&queue), 4);
	shared()->sent = 0;
	assert_true(mux_queue_drop_oldest(&queue, 1));
	assert_int_equal(shared()->dropped, 1);
	assert_false(mux_queue_drop_oldest(&queue, 10 + MUX_QUEUE_ENTRY + 1));
	assert_int_equal(pop(), 2);
	assert_int_equal(pop(), TABLE_PENDING_NOBODY);
	assert_int_equal(pop(), 4);
}

static void
a_death_before_any_instruction_leaves_each_change_whole_or_undone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
		if (!side_every_step(changes[i].prepare, changes[i].act, check_whole, &i))
			skip();
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(who_asked_first_is_first),
		ROW(numbers_go_on_beyond_the_ring_and_beyond_all_numbers),
		ROW(growth_across_the_rings_end_keeps_the_order),
		ROW(one_that_was_given_in_part_has_begun),
		ROW(room_for_many_comes_at_once),
		ROW(without_memory_the_ring_stays_as_it_is),
		ROW(only_what_was_sent_as_a_whole_counts_as_sent),
		ROW(a_request_begins_where_the_one_before_it_ends),
		ROW(others_are_open_clients_behind_the_first),
		ROW(the_word_of_a_client_leads_to_it_while_it_is_open),
		ROW(who_has_the_slot_of_one_that_is_gone_is_not_that_one),
		ROW(a_ring_that_no_record_names_is_free_again),
		ROW(a_drop_makes_room_for_what_stays_before_it),
		ROW(what_was_given_in_part_and_a_heartbeat_are_not_dropped),
		ROW(a_death_before_any_instruction_leaves_each_change_whole_or_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
