/* The way of messages through the spool's part of the table: their order, their numbers, and that each change is one,
 * wherever a worker dies. */
#include "client/spool_queue.h"

#include <stdio.h>

#include "base/mem.h"
#include "client/spool_segment.h"
#include "recover_stage.h"

static struct mux_queue queue;
static uint32_t client;
static char before[512], after[512];

static struct table_shared *
shared(void)
{
	return &table.services[0].shared;
}

/* Records as text, each in brackets. */
static size_t
describe_records(char *text, size_t size)
{
	const unsigned char *records = ring_bytes(&table, shared()->spool);
	size_t n = 0, length;

	for (size_t at = 0; at < spool_queue_waiting(&queue); at += SPOOL_RECORD + length) {
		length = spool_record_length(records + at);
		n += (size_t)snprintf(text + n, size - n, "[%.*s]", (int)length,
		    (const char *)records + at + SPOOL_RECORD);
	}
	return n;
}

static void
describe(char text[512])
{
	const struct table_shared *record = shared();
	uint32_t said = *mux_queue_said(&queue, client);
	size_t n = 0;

	for (size_t i = 0; i < mux_queue_count(&queue); i++) {
		uint64_t who = mux_queue_at(&queue, i)->who;

		n += (size_t)snprintf(text + n, 512 - n, "%s%u ", who & TABLE_PENDING_SPOOLED ? "#" :
		    who == TABLE_PENDING_KEPT ? "kept " : "of ", (unsigned)who);
	}
	n += (size_t)snprintf(text + n, 512 - n, "out=%.*s unsent=%u acknowledged=%u read=%u written=%u next=%u ",
	    (int)ring_length(&table, record->out), record->out == 0 ? "" :
	    (const char *)ring_bytes(&table, record->out), (unsigned)(record->out_end - record->sent),
	    (unsigned)record->spool_acknowledged, (unsigned)record->spool_read, (unsigned)record->spool_written,
	    (unsigned)record->spool_next);
	n += (size_t)snprintf(text + n, 512 - n, "dropped=%u said=%.*s waiting=", (unsigned)record->dropped,
	    (int)ring_length(&table, said), said == 0 ? "" : (const char *)ring_bytes(&table, said));
	describe_records(text + n, 512 - n);
}

/* The client says messages of two bytes. */
static void
put(const char *text)
{
	size_t end[16], length = strlen(text);
	uint32_t count = 0;
	unsigned char *room = spool_queue_room(&queue, (uint32_t)length / 2, length);

	assert_non_null(room);
	for (; count < length / 2; count++) {
		memcpy(room + SPOOL_RECORD, text + 2 * count, 2);
		room += SPOOL_RECORD + 2;
		end[count] = 2 * (count + 1);
	}
	spool_queue_put(&queue, client, length, end, count);
}

static void
begin(void)
{
	side_clear(&table);
	memset(shared(), 0, sizeof *shared());
	table.services[0].word = TABLE_LIVE;
	queue = (struct mux_queue){ .table = &table, .record = shared() };
	recover_run(&table);
	client = side_session(&table, side_file(), -1);
	side_put(&table, client, TABLE_UP, "a,b,c,d,e,");
	spool_queue_open(&queue, 7, 10, 10);
}

/* a, b, c are on the disk, of which a is in the queue; d waits. */
static void
prepare(void *arg)
{
	unsigned char copy[64];
	size_t bytes = 3 * (SPOOL_RECORD + 2), taken;

	(void)arg;
	begin();
	put("a,b,c,");
	memcpy(copy, ring_bytes(&table, shared()->spool), bytes);
	spool_queue_written(&queue, 3, bytes);
	put("d,");
	assert_int_equal(spool_queue_load(&queue, copy, SPOOL_RECORD + 2, 10, false, &taken), 1);
	assert_int_equal(taken, SPOOL_RECORD + 2);
	describe(before);
}

/* What is in the queue was sent. */
static void
prepare_sent(void *arg)
{
	prepare(arg);
	shared()->sent = shared()->out_end;
	describe(before);
}

/* All were read, one was sent and not acknowledged, and e went past the disk. */
static void
prepare_direct(void *arg)
{
	size_t end = 2, taken;

	prepare(arg);
	shared()->spool_read = shared()->spool_written;
	assert_int_equal(spool_queue_load(&queue, ring_bytes(&table, shared()->spool), spool_queue_waiting(&queue),
	    13, true, &taken), 1);
	memcpy(mux_queue_room(&queue, 1, 2), "e,", 2);
	mux_queue_ask(&queue, client, 2, &end, 1, NULL);
	shared()->sent += 3;
	describe(before);
}

static void
act_put(void *arg)
{
	(void)arg;
	put("e,");
}

static void
act_written(void *arg)
{
	(void)arg;
	spool_queue_written(&queue, 1, SPOOL_RECORD + 2);
}

static void
act_drop(void *arg)
{
	(void)arg;
	assert_true(spool_queue_drop(&queue, 1));
}

/* b and c, as the disk had them. */
static void
act_load(void *arg)
{
	unsigned char records[2 * (SPOOL_RECORD + 2)] = { 2 };
	size_t taken;

	(void)arg;
	memcpy(records + SPOOL_RECORD, "b,", 2);
	records[SPOOL_RECORD + 2] = 2;
	memcpy(records + 2 * SPOOL_RECORD + 2, "c,", 2);
	assert_int_equal(spool_queue_load(&queue, records, sizeof records, 11, false, &taken), 2);
}

static void
act_retire(void *arg)
{
	(void)arg;
	assert_true(mux_queue_retire(&queue, mux_queue_end(&queue, 1)));
}

static void
act_reclaim(void *arg)
{
	(void)arg;
	spool_queue_reclaim(&queue);
}

static void
act_open_another(void *arg)
{
	(void)arg;
	spool_queue_open(&queue, 8, 40, 50);
}

static void
act_open_written(void *arg)
{
	(void)arg;
	spool_queue_open(&queue, 7, 10, 14);
}

/* What was before, or all is as it is to be. */
static void
check(void *arg, bool finished)
{
	char text[512];

	(void)arg;
	recover_run(&table);
	queue = (struct mux_queue){ .table = &table, .record = shared() };
	describe(text);
	if (finished || strcmp(text, before) != 0)
		assert_string_equal(text, after);
}

static void
every_step(void (*prepared)(void *arg), void (*act)(void *arg), const char *expected)
{
	prepared(NULL);
	act(NULL);
	describe(after);
	assert_string_equal(after, expected);
	if (!side_every_step(prepared, act, check, NULL))
		skip();
}

static void
what_is_said_waits_for_the_disk_in_one_step(void **state)
{
	(void)state;
	every_step(prepare, act_put, "#10 out=a, unsent=2 acknowledged=10 read=11 written=13 next=15 "
	    "dropped=0 said= waiting=[d,][e,]");
}

static void
what_is_written_waits_no_more(void **state)
{
	(void)state;
	every_step(prepare, act_written, "#10 out=a, unsent=2 acknowledged=10 read=11 written=14 next=14 "
	    "dropped=0 said=e, waiting=");
}

static void
what_is_dropped_is_counted(void **state)
{
	(void)state;
	every_step(prepare, act_drop, "#10 out=a, unsent=2 acknowledged=10 read=11 written=14 next=14 "
	    "dropped=1 said=e, waiting=");
}

static void
where_nothing_waits_nothing_is_dropped(void **state)
{
	(void)state;
	begin();
	assert_false(spool_queue_drop(&queue, 1));
	assert_int_equal(shared()->dropped, 0);
}

static void
what_the_disk_had_goes_to_the_queue_in_one_step(void **state)
{
	(void)state;
	every_step(prepare, act_load, "#10 #11 #12 out=a,b,c, unsent=6 acknowledged=10 read=13 written=13 next=14 "
	    "dropped=0 said=e, waiting=[d,]");
}

static void
what_is_acknowledged_is_known_by_its_number(void **state)
{
	(void)state;
	every_step(prepare_sent, act_retire, "out= unsent=0 acknowledged=11 read=11 written=13 next=14 "
	    "dropped=0 said=e, waiting=[d,]");
}

static void
what_went_past_the_disk_goes_there_when_the_connection_is_lost(void **state)
{
	(void)state;
	every_step(prepare_direct, act_reclaim, "out= unsent=0 acknowledged=10 read=10 written=14 next=16 "
	    "dropped=0 said= waiting=[d,][e,]");
}

/* Messages that went there would come behind those that were said after them. */
static void
what_is_before_a_message_from_the_disk_stays_there(void **state)
{
	unsigned char copy[SPOOL_RECORD + 2];
	size_t end = 2, taken;

	(void)state;
	begin();
	memcpy(mux_queue_room(&queue, 1, 2), "a,", 2);
	mux_queue_ask(&queue, client, 2, &end, 1, NULL);
	put("b,");
	memcpy(copy, ring_bytes(&table, shared()->spool), sizeof copy);
	spool_queue_written(&queue, 1, sizeof copy);
	assert_int_equal(spool_queue_load(&queue, copy, sizeof copy, 10, false, &taken), 1);
	describe(before);
	spool_queue_reclaim(&queue);
	describe(after);
	assert_string_equal(after, before);
}

static void
another_spool_has_other_numbers(void **state)
{
	(void)state;
	prepare(NULL);
	act_open_another(NULL);
	describe(after);
	assert_string_equal(after, "kept 0 out=a, unsent=2 acknowledged=40 read=40 written=50 next=51 "
	    "dropped=0 said=e, waiting=[d,]");
}

static void
what_a_dead_worker_has_written_is_not_written_again(void **state)
{
	(void)state;
	every_step(prepare, act_open_written, "#10 out=a, unsent=2 acknowledged=10 read=11 written=14 next=14 "
	    "dropped=0 said=e, waiting=");
}

static void
what_is_skipped_is_not_read(void **state)
{
	(void)state;
	prepare(NULL);
	spool_queue_skip(&queue, 12, 0);
	assert_int_equal(shared()->spool_read, 12);
	assert_int_equal(shared()->spool_acknowledged, 10);
	spool_queue_skip(&queue, 11, 0);
	assert_int_equal(shared()->spool_read, 12);
	assert_int_equal(shared()->dropped, 0);
}

static void
act_skip_dropped(void *arg)
{
	(void)arg;
	spool_queue_skip(&queue, 13, 1);
}

static void
what_is_dropped_from_the_disk_is_counted_as_it_is_skipped(void **state)
{
	(void)state;
	every_step(prepare, act_skip_dropped, "#10 out=a, unsent=2 acknowledged=10 read=13 written=13 next=14 "
	    "dropped=1 said=e, waiting=[d,]");
}

/* In their order; one from the disk is there. */
static void
all_that_is_not_on_the_disk_can_be_copied(void **state)
{
	unsigned char *copy;
	size_t length;
	uint32_t count;

	(void)state;
	prepare_direct(NULL);
	put("f,g,");
	copy = spool_queue_copy(&queue, 0, &length, &count);
	assert_int_equal(count, 4);
	assert_int_equal(length, 4 * (SPOOL_RECORD + 2));
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(spool_record_length(copy + i * (SPOOL_RECORD + 2)), 2);
		assert_memory_equal(copy + i * (SPOOL_RECORD + 2) + SPOOL_RECORD, &"d,e,f,g,"[2 * i], 2);
	}
	mem_free(copy);
	copy = spool_queue_copy(&queue, SPOOL_RECORD + 2, &length, &count);
	assert_int_equal(count, 3);
	assert_memory_equal(copy + 2 * (SPOOL_RECORD + 2) + SPOOL_RECORD, "g,", 2);
	mem_free(copy);
}

static void
a_message_from_the_spool_is_no_clients(void **state)
{
	(void)state;
	begin();
	assert_int_equal(mux_queue_client(&queue, TABLE_PENDING_SPOOLED | client), 0);
	assert_int_equal(mux_queue_client(&queue, TABLE_PENDING_SPOOLED | UINT32_MAX), 0);
	assert_int_equal(mux_queue_client(&queue, TABLE_PENDING_KEPT), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_waits_for_the_disk_in_one_step),
		cmocka_unit_test(what_is_written_waits_no_more),
		cmocka_unit_test(what_is_dropped_is_counted),
		cmocka_unit_test(where_nothing_waits_nothing_is_dropped),
		cmocka_unit_test(what_the_disk_had_goes_to_the_queue_in_one_step),
		cmocka_unit_test(what_is_acknowledged_is_known_by_its_number),
		cmocka_unit_test(what_went_past_the_disk_goes_there_when_the_connection_is_lost),
		cmocka_unit_test(what_is_before_a_message_from_the_disk_stays_there),
		cmocka_unit_test(another_spool_has_other_numbers),
		cmocka_unit_test(what_a_dead_worker_has_written_is_not_written_again),
		cmocka_unit_test(what_is_skipped_is_not_read),
		cmocka_unit_test(what_is_dropped_from_the_disk_is_counted_as_it_is_skipped),
		cmocka_unit_test(all_that_is_not_on_the_disk_can_be_copied),
		cmocka_unit_test(a_message_from_the_spool_is_no_clients),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
