/* A new worker's first acts: each kind of half-done record; and all of it done twice, or died in. */
#include "recover_stage.h"

static void
a_receive_that_was_done_is_counted(void **state)
{
	int client[2], upstream[2];
	uint32_t session;
	struct table_call *call = &table.header->call;
	struct table_buffer *buffer;

	(void)state;
	side_pair(client);
	side_pair(upstream);
	session = side_session(&table, TABLE_OPEN, client[0], upstream[0]);
	side_put(&table, session, TABLE_UP, "abc");
	call->session = session;
	call->direction = TABLE_UP;
	call->buffer = table.sessions[session].buffer[TABLE_UP];
	buffer = &table.buffers[call->buffer];
	call->base = 3;
	call->message.msg_len = 5;
	call->phase = TABLE_CALL_RECEIVE;
	recover_twice();
	assert_int_equal(buffer->tail, 8);
	assert_int_equal(buffer->head, 0);
	assert_int_equal(call->phase, TABLE_CALL_NONE);
}

static void
a_send_that_was_done_is_counted_once(void **state)
{
	int client[2], upstream[2];
	uint32_t session;
	struct table_call *call = &table.header->call;

	(void)state;
	side_pair(client);
	side_pair(upstream);
	session = side_session(&table, TABLE_OPEN, client[0], upstream[0]);
	side_put(&table, session, TABLE_DOWN, "abcdef");
	table.sessions[session].bytes[TABLE_DOWN] = 104; /* the count is stored, the head is not */
	call->session = session;
	call->direction = TABLE_DOWN;
	call->buffer = table.sessions[session].buffer[TABLE_DOWN];
	call->base = 0;
	call->base_bytes = 100;
	call->message.msg_len = 4;
	call->phase = TABLE_CALL_SEND;
	recover_twice();
	assert_int_equal(table.sessions[session].bytes[TABLE_DOWN], 104);
	assert_int_equal(table.buffers[table.sessions[session].buffer[TABLE_DOWN]].head, 4);
}

/* One receive and one send, dying before any instruction; what the recovered table says must agree with what the
 * sockets say. */
static void
passage_prepare(void *arg)
{
	struct passage *passage = arg;

	passage_begin(passage);
	table.sessions[passage->session].buffer[TABLE_UP] = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
}

static void
passage_act(void *arg)
{
	const struct passage *passage = arg;

	call_receive(&table, passage->session, TABLE_UP, passage->from[0]);
	call_send(&table, passage->session, TABLE_UP, passage->to[0]);
}

static void
passage_check(void *arg, bool finished)
{
	struct passage *passage = arg;
	struct table_session *record = &table.sessions[passage->session];
	struct table_buffer *buffer;
	char text[32];
	ssize_t unread, there, delivered;

	(void)finished;
	unread = recv(passage->from[0], text, sizeof text, MSG_DONTWAIT | MSG_PEEK);
	recover_run(&table);
	buffer = &table.buffers[record->buffer[TABLE_UP]];
	there = (ssize_t)(buffer->tail - buffer->head);
	delivered = recv(passage->to[1], text, sizeof text, MSG_DONTWAIT);
	assert_int_equal((unread > 0 ? unread : 0) + there + (delivered > 0 ? delivered : 0), 10);
	assert_int_equal(record->bytes[TABLE_UP], delivered > 0 ? delivered : 0);
	if (there > 0)
		assert_memory_equal(buffers_bytes(&table, record->buffer[TABLE_UP]) + buffer->head, "0123456789",
		    10);
	passage_end(passage);
}

static void
no_byte_is_lost_or_doubled_by_a_death_before_any_instruction(void **state)
{
	struct passage passage;

	(void)state;
	if (!side_every_step(passage_prepare, passage_act, passage_check, &passage))
		skip();
}

/* The same with packets, which leave their framing behind. */
static void
packets_prepare(void *arg)
{
	struct passage *passage = arg;

	passage_begin(passage);
	side_put(&table, passage->session, TABLE_UP, "01234\n56789\n");
}

static void
packets_act(void *arg)
{
	const struct passage *passage = arg;

	for (int i = 0; i < 2; i++)
		call_send_packet(&table, passage->session, TABLE_UP, passage->to[0], 0, 5, 6);
}

static void
packets_check(void *arg, bool finished)
{
	struct passage *passage = arg;
	struct table_session *record = &table.sessions[passage->session];
	char text[32];
	ssize_t delivered;

	(void)finished;
	recover_run(&table);
	delivered = recv(passage->to[1], text, sizeof text, MSG_DONTWAIT);
	assert_int_equal(table.buffers[record->buffer[TABLE_UP]].head, delivered > 0 ? delivered / 5 * 6 : 0);
	assert_int_equal(record->bytes[TABLE_UP], table.buffers[record->buffer[TABLE_UP]].head);
	passage_end(passage);
}

static void
no_packet_is_lost_or_doubled_by_a_death_before_any_instruction(void **state)
{
	struct passage passage;

	(void)state;
	if (!side_every_step(packets_prepare, packets_act, packets_check, &passage))
		skip();
}

static void
a_committed_redo_is_applied_first(void **state)
{
	uint64_t *word = &table.services[0].counters.clients;

	(void)state;
	table.header->redo.entry[0].offset = (uint64_t)((unsigned char *)word - (unsigned char *)table.header);
	table.header->redo.entry[0].value = 77;
	table.header->redo.count = 1;
	recover_twice();
	assert_int_equal(*word, 77);
}

static void
a_closing_record_is_finished_wherever_it_stopped(void **state)
{
	(void)state;
	for (unsigned done = 0; done < 5; done++) {
		int client = side_file(), upstream = side_file();
		uint32_t session = side_session(&table, TABLE_CLOSING, client, upstream);
		struct table_session *record = &table.sessions[session];
		uint32_t generation = TABLE_GENERATION(record->word);
		uint64_t bytes = table.services[0].counters.bytes[TABLE_UP];

		side_put(&table, session, TABLE_DOWN, "never delivered");
		record->bytes[TABLE_UP] = 5;
		if (done >= 1)
			close(upstream); /* and died before it could say so */
		if (done >= 2)
			record->upstream_fd = -1;
		if (done >= 3)
			close(client);
		if (done >= 4)
			record->client_fd = -1;
		recover_twice();
		assert_false(side_is_open(client));
		assert_false(side_is_open(upstream));
		assert_int_equal(table_session_state(&table, session), TABLE_FREE);
		assert_int_equal(TABLE_GENERATION(record->word), generation + 1);
		assert_int_equal(table.services[0].counters.bytes[TABLE_UP], bytes + 5);
	}
	assert_int_equal(table.header->buffer_high[0], 2); /* the same buffer each time */
}

static uint32_t closing;

static void
closing_prepare(void *arg)
{
	(void)arg;
	recover_run(&table);
	table.services[0].counters.bytes[TABLE_UP] = 100;
	closing = side_session(&table, TABLE_CLOSING, side_file(), side_file());
	side_put(&table, closing, TABLE_UP, "x");
	table.sessions[closing].bytes[TABLE_UP] = 5;
	side_session(&table, TABLE_CLOSING, side_file(), -1);
	side_session(&table, TABLE_SPARE, -1, side_file());
	table.header->redo.count = 0;
}

static void
closing_act(void *arg)
{
	(void)arg;
	recover_run(&table);
}

static void
closing_check(void *arg, bool finished)
{
	(void)arg;
	(void)finished;
	recover_run(&table);
	assert_int_equal(table.services[0].counters.bytes[TABLE_UP], 105);
	assert_int_equal(count_state(TABLE_CLOSING), 0);
	assert_int_equal(count_state(TABLE_SPARE), 1);
	for (uint32_t i = 1; i < table.header->session_high; i++)
		table_session_free(&table, i);
}

static void
a_death_in_the_recovery_is_recovered_from(void **state)
{
	(void)state;
	if (!side_every_step(closing_prepare, closing_act, closing_check, NULL))
		skip();
}

static void
a_held_client_does_not_own_the_connection_it_had_not_got_yet(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t spare = side_session(&table, TABLE_SPARE, -1, upstream);
	uint32_t held = side_session(&table, TABLE_HELD, client, upstream);

	(void)state;
	recover_twice(); /* died at open.named */
	assert_int_equal(table_session_state(&table, spare), TABLE_SPARE);
	assert_int_equal(table_session_state(&table, held), TABLE_HELD);
	assert_int_equal(table.sessions[held].upstream_fd, -1);
	assert_true(side_is_open(upstream));
}

static void
an_open_client_owns_the_connection_and_the_spare_lets_go(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t spare = side_session(&table, TABLE_SPARE, -1, upstream);
	uint32_t open = side_session(&table, TABLE_OPEN, client, upstream);

	(void)state;
	recover_twice(); /* died at open.committed */
	assert_int_equal(table_session_state(&table, spare), TABLE_FREE);
	assert_int_equal(table_session_state(&table, open), TABLE_OPEN);
	assert_true(side_is_open(upstream));
	assert_true(side_is_open(client));
}

static void
a_lent_connection_is_kept(void **state)
{
	int upstream = side_file();
	uint32_t lent = side_session(&table, TABLE_LENT, -1, upstream);

	(void)state;
	recover_twice();
	assert_int_equal(table_session_state(&table, lent), TABLE_LENT);
	assert_int_equal(table.sessions[lent].upstream_fd, upstream);
	assert_true(side_is_open(upstream));
}

static void
a_held_client_that_was_returned_closes_its_old_connection(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t held = side_session(&table, TABLE_HELD, client, upstream);

	(void)state;
	recover_twice(); /* died at return.held */
	assert_false(side_is_open(upstream));
	assert_true(side_is_open(client));
	assert_int_equal(table.sessions[held].upstream_fd, -1);
}

/* A session is condemned by the keeper just after it got its connection: the spare's record names what is closed. */
static void
a_spare_that_went_with_a_condemned_session_is_not_found_in_another_file(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t spare = side_session(&table, TABLE_SPARE, -1, upstream);
	uint32_t open = side_session(&table, TABLE_CLOSING, client, upstream);
	uint32_t dialling = side_session(&table, TABLE_DIALLING, -1, -1);

	(void)state;
	recover_twice();
	assert_int_equal(table_session_state(&table, spare), TABLE_FREE);
	assert_int_equal(table_session_state(&table, open), TABLE_FREE);
	assert_int_equal(table_session_state(&table, dialling), TABLE_FREE);
}

static uint32_t lost_spare;

static void
lost_prepare(void *arg)
{
	int upstream;

	(void)arg;
	for (uint32_t i = 1; i < table.header->session_high; i++)
		table_session_free(&table, i);
	recover_run(&table);
	upstream = side_file();
	lost_spare = side_session(&table, TABLE_SPARE, -1, upstream);
	side_session(&table, TABLE_CLOSING, side_file(), upstream);
}

static void
lost_act(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i < table.header->session_high; i++)
		if (table_session_state(&table, i) == TABLE_CLOSING)
			recover_close_session(&table, i);
	recover_run(&table);
}

static void
lost_check(void *arg, bool finished)
{
	(void)arg;
	(void)finished;
	recover_run(&table);
	assert_int_equal(table_session_state(&table, lost_spare), TABLE_FREE);
}

static void
nothing_is_opened_before_lost_connections_are_forgotten(void **state)
{
	(void)state;
	if (!side_every_step(lost_prepare, lost_act, lost_check, NULL))
		skip();
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_receive_that_was_done_is_counted),
		ROW(a_send_that_was_done_is_counted_once),
		ROW(no_byte_is_lost_or_doubled_by_a_death_before_any_instruction),
		ROW(no_packet_is_lost_or_doubled_by_a_death_before_any_instruction),
		ROW(a_committed_redo_is_applied_first),
		ROW(a_closing_record_is_finished_wherever_it_stopped),
		ROW(a_death_in_the_recovery_is_recovered_from),
		ROW(a_held_client_does_not_own_the_connection_it_had_not_got_yet),
		ROW(an_open_client_owns_the_connection_and_the_spare_lets_go),
		ROW(a_lent_connection_is_kept),
		ROW(a_held_client_that_was_returned_closes_its_old_connection),
		ROW(a_spare_that_went_with_a_condemned_session_is_not_found_in_another_file),
		ROW(nothing_is_opened_before_lost_connections_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
