/* A new worker's first acts: each kind of half-done record; and all of it done twice, or died in. */
#include "recover_stage.h"

static void
a_receive_that_was_done_is_counted(void **state)
{
	int client[2], upstream[2];
	uint32_t session;
	struct table_io_journal *io_journal = &table.header->io_journal;
	struct table_buffer *buffer;

	(void)state;
	side_pair(client);
	side_pair(upstream);
	session = side_session(&table, client[0], upstream[0]);
	side_put(&table, session, TABLE_UP, "abc");
	io_journal->index = session;
	io_journal->direction = TABLE_UP;
	io_journal->buffer = table.clients[session].buffer[TABLE_UP];
	buffer = &table.buffers[io_journal->buffer];
	io_journal->base = 3;
	io_journal->message.msg_len = 5;
	io_journal->phase = TABLE_IO_JOURNAL_RECEIVE;
	recover_twice();
	assert_int_equal(buffer->tail, 8);
	assert_int_equal(buffer->head, 0);
	assert_int_equal(io_journal->phase, TABLE_IO_JOURNAL_NONE);
}

static void
a_send_that_was_done_is_counted_once(void **state)
{
	int client[2], upstream[2];
	uint32_t session;
	struct table_io_journal *io_journal = &table.header->io_journal;

	(void)state;
	side_pair(client);
	side_pair(upstream);
	session = side_session(&table, client[0], upstream[0]);
	side_put(&table, session, TABLE_DOWN, "abcdef");
	table.clients[session].bytes[TABLE_DOWN] = 104; /* the count is stored, the head is not */
	io_journal->index = session;
	io_journal->direction = TABLE_DOWN;
	io_journal->buffer = table.clients[session].buffer[TABLE_DOWN];
	io_journal->base = 0;
	io_journal->base_bytes = 100;
	io_journal->message.msg_len = 4;
	io_journal->phase = TABLE_IO_JOURNAL_SEND;
	recover_twice();
	assert_int_equal(table.clients[session].bytes[TABLE_DOWN], 104);
	assert_int_equal(table.buffers[table.clients[session].buffer[TABLE_DOWN]].head, 4);
}

/* One receive and one send, dying before any instruction; what the recovered table says must agree with what the
 * sockets say. */
static void
passage_prepare(void *arg)
{
	struct passage *passage = arg;

	passage_begin(passage);
	table.clients[passage->session].buffer[TABLE_UP] = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
}

static void
passage_act(void *arg)
{
	const struct passage *passage = arg;

	io_journal_receive(&table, table.clients[passage->session].buffer[TABLE_UP], passage->from[0],
	    IO_JOURNAL_MOST, NULL);
	io_journal_send(&table, passage->session, TABLE_UP, passage->to[0]);
}

static void
passage_check(void *arg, bool finished)
{
	struct passage *passage = arg;
	struct table_client *record = &table.clients[passage->session];
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
		io_journal_send_packet(&table, passage->session, TABLE_UP, passage->to[0], 0, 5, 6);
}

static void
packets_check(void *arg, bool finished)
{
	struct passage *passage = arg;
	struct table_client *record = &table.clients[passage->session];
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
a_closing_client_is_finished_wherever_it_stopped(void **state)
{
	(void)state;
	for (unsigned done = 0; done < 7; done++) {
		int client = side_file(), upstream = side_file();
		uint32_t session = side_session(&table, client, upstream), conn = table.clients[session].conn;
		struct table_client *record = &table.clients[session];
		uint32_t generation = TABLE_GENERATION(record->word);
		uint64_t bytes = table.services[0].counters.bytes[TABLE_UP];

		table_client_set(&table, session, TABLE_CLOSING);
		side_put(&table, session, TABLE_DOWN, "never delivered");
		record->bytes[TABLE_UP] = 5;
		if (done >= 1)
			table_conn_set(&table, conn, TABLE_CLOSING);
		if (done >= 2)
			close(upstream); /* and died before it could say so */
		if (done >= 3)
			table.conns[conn].fd = -1;
		if (done >= 4)
			record->conn = 0;
		if (done >= 5)
			close(client);
		if (done >= 6)
			record->fd = -1;
		recover_twice();
		assert_false(side_is_open(client));
		assert_false(side_is_open(upstream));
		assert_int_equal(table_client_state(&table, session), TABLE_FREE);
		assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
		assert_int_equal(TABLE_GENERATION(record->word), generation + 1);
		assert_int_equal(table.services[0].counters.bytes[TABLE_UP], bytes + 5);
	}
	assert_int_equal(table.header->buffer_high[0], 2); /* the same buffer each time */
}

static void
closing_prepare(void *arg)
{
	uint32_t closing;

	(void)arg;
	recover_run(&table);
	side_clear(&table);
	table.services[0].counters.bytes[TABLE_UP] = 100;
	closing = side_session(&table, side_file(), side_file());
	table_client_set(&table, closing, TABLE_CLOSING);
	side_put(&table, closing, TABLE_UP, "x");
	table.clients[closing].bytes[TABLE_UP] = 5;
	table_client_set(&table, side_client(&table, side_file()), TABLE_CLOSING);
	side_conn(&table, TABLE_CLOSING, side_file());
	side_conn(&table, TABLE_READY, side_file());
	closing = side_session(&table, side_file(), side_file());
	table_conn_set(&table, table.clients[closing].conn, TABLE_CLOSING);
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
	assert_int_equal(count_clients(TABLE_CLOSING), 0);
	assert_int_equal(count_clients(TABLE_LIVE), 1); /* it is held */
	assert_int_equal(count_conns(TABLE_CLOSING), 0);
	assert_int_equal(count_conns(TABLE_READY), 1);
}

static void
a_death_in_the_recovery_is_recovered_from(void **state)
{
	(void)state;
	if (!side_every_step(closing_prepare, closing_act, closing_check, NULL))
		skip();
}

static void
a_client_keeps_the_connection_that_it_names(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t open = side_session(&table, client, upstream), conn = table.clients[open].conn;

	(void)state;
	recover_twice();
	assert_int_equal(table.clients[open].conn, conn);
	assert_int_equal(table_conn_state(&table, conn), TABLE_READY);
	assert_true(side_is_open(upstream));
	assert_true(side_is_open(client));
}

static void
a_connection_that_all_share_is_kept(void **state)
{
	int upstream = side_file();
	uint32_t conn = side_conn(&table, TABLE_READY, upstream);

	(void)state;
	table_conn_share(&table, conn);
	recover_twice();
	assert_true(table_conn_is_shared(&table, conn));
	assert_int_equal(table.conns[conn].fd, upstream);
	assert_true(side_is_open(upstream));
}

static void
a_client_whose_connection_was_over_is_held(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t session = side_session(&table, client, upstream), conn = table.clients[session].conn;

	(void)state;
	table_conn_set(&table, conn, TABLE_CLOSING);
	recover_twice(); /* died at return.held */
	assert_false(side_is_open(upstream));
	assert_true(side_is_open(client));
	assert_true(table_client_is_held(&table, session));
	assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
}

/* The keeper condemns a client whose worker died as it gave its connection back. */
static void
a_condemned_client_and_its_connection_end_together(void **state)
{
	int client = side_file(), upstream = side_file();
	uint32_t session = side_session(&table, client, upstream), conn = table.clients[session].conn;

	(void)state;
	table_conn_set(&table, conn, TABLE_CLOSING);
	table_client_set(&table, session, TABLE_CLOSING);
	recover_twice();
	assert_false(side_is_open(upstream));
	assert_false(side_is_open(client));
	assert_int_equal(table_client_state(&table, session), TABLE_FREE);
	assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
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
		ROW(a_closing_client_is_finished_wherever_it_stopped),
		ROW(a_death_in_the_recovery_is_recovered_from),
		ROW(a_client_keeps_the_connection_that_it_names),
		ROW(a_connection_that_all_share_is_kept),
		ROW(a_client_whose_connection_was_over_is_held),
		ROW(a_condemned_client_and_its_connection_end_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
