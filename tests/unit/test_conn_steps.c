/* Who has which connection, at every instruction: a worker dies anywhere in taking, sharing, taking over, giving back
 * and closing, and what its table says then is whole.  No file descriptor stands in two records, none is lost, and no
 * connection is two clients' or idle and in use.
 */
#include "client_stage.h"

#include "base/mem.h"
#include "keep/table.h"

static uint32_t conn, role_before;
static int near_client, near_upstream, far_upstream;

/* Each test makes its own world, again and again. */
static int
begin_table(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (table_new(100, &table) < 0)
		return -1;
	table.shape.services = 2;
	table.services[1].sockets[0].fd = -1;
	table.services[1].word = TABLE_LIVE;
	return 0;
}

static int
end_table(void **state)
{
	(void)state;
	side_clear(&table);
	recover_run(&table);
	table_free(&table);
	return 0;
}

/* A client and a ready connection; the far ends are named, so that they live through the sweep. */
static void
prepare_both(void)
{
	int ends[2];

	side_clear(&table);
	memset(&table.header->io_journal, 0, sizeof table.header->io_journal);
	loop = loop_new();
	client_owner_init(&owner, loop, &table);
	owner.on_event = on_event;
	side_pair(ends);
	near_client = ends[0];
	far = ends[1];
	side_pair(ends);
	near_upstream = ends[0];
	far_upstream = ends[1];
	conn = side_conn(&table, TABLE_READY, near_upstream);
	client = client_new(&owner, side_client(&table, near_client));
	record = client_record(client);
	table.clients[side_client(&table, far)].service = 1;
	table.clients[side_client(&table, far_upstream)].service = 1;
}

/* Who was stopped had the loop's epoll in common with us: ours is given up as it is. */
static void
leave_process(void)
{
	client_free(client);
	client = NULL;
	client_owner_clear(&owner);
	loop_free(loop);
}

static void
note_file(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	unsigned *seen = arg;

	if (kind != TABLE_OF_CLIENTS && kind != TABLE_OF_CONNS)
		return;
	assert_true(side_is_open(*fd));
	assert_in_range(*fd, 0, 199);
	assert_int_equal(seen[*fd]++, 0);
}

/* What holds of any table at rest. */
static void
check_whole(void)
{
	unsigned seen[200] = { 0 }, users[200] = { 0 };

	table_each_file(&table, note_file, seen);
	for (uint32_t i = 1; i < table.header->client_high; i++) {
		if (table_client_state(&table, i) == TABLE_FREE)
			continue;
		assert_int_equal(table_client_state(&table, i), TABLE_LIVE);
		if (table_client_own(&table, i) == 0)
			continue;
		assert_int_equal(table_conn_state(&table, table.clients[i].conn), TABLE_READY);
		assert_int_equal(users[table.clients[i].conn]++, 0);
	}
	for (uint32_t i = 1; i < table.header->conn_high; i++)
		assert_true(table_conn_state(&table, i) == TABLE_FREE || table_conn_state(&table, i) == TABLE_READY);
}

static void
recover(void)
{
	leave_process();
	recover_run(&table);
	check_whole();
}

/* Both files are open where they were. */
static void
check_both_are_there(void)
{
	assert_int_equal(table_client_state(&table, 1), TABLE_LIVE);
	assert_int_equal(table.clients[1].fd, near_client);
	assert_int_equal(table_conn_state(&table, conn), TABLE_READY);
	assert_int_equal(table.conns[conn].fd, near_upstream);
}

static void
prepare_idle(void *arg)
{
	(void)arg;
	prepare_both();
	client_begin(client);
	record->bytes[TABLE_UP] = 5; /* it had another before, and waits first of all */
	client->before = 5;
}

static void
take(void *arg)
{
	(void)arg;
	client_open(client, conn);
}

static void
check_taken(void *arg, bool finished)
{
	(void)arg;
	recover();
	check_both_are_there();
	assert_int_equal(table_conn_is_taken(&table, conn), table.clients[1].conn == conn);
	if (finished)
		assert_int_equal(table.clients[1].conn, conn);
	assert_int_equal(table.clients[1].bytes[TABLE_UP], 5);
}

static void
a_connection_is_idle_or_the_clients_wherever_its_taker_dies(void **state)
{
	(void)state;
	if (!side_every_step(prepare_idle, take, check_taken, NULL))
		skip();
}

static void
prepare_open(void *arg)
{
	prepare_idle(arg);
	client_open(client, conn);
	side_put(&table, client->index, TABLE_UP, "kept for the next");
}

static void
give_back(void *arg)
{
	(void)arg;
	client_return(client);
}

static void
check_passed_fds_back(void *arg, bool finished)
{
	(void)arg;
	recover();
	assert_int_equal(table_client_state(&table, 1), TABLE_LIVE);
	assert_int_equal(table.clients[1].fd, near_client);
	assert_int_not_equal(table.clients[1].buffer[TABLE_UP], 0);
	if (finished)
		assert_true(table_client_is_held(&table, 1));
	if (table_client_is_held(&table, 1)) {
		assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
		assert_string_equal(side_hear(far_upstream), "EOF");
	} else {
		check_both_are_there();
	}
}

static void
a_client_is_held_or_has_its_connection_wherever_it_is_given_back(void **state)
{
	(void)state;
	if (!side_every_step(prepare_open, give_back, check_passed_fds_back, NULL))
		skip();
}

static void
close_it(void *arg)
{
	(void)arg;
	client_close(client);
}

static void
check_closed(void *arg, bool finished)
{
	(void)arg;
	recover();
	if (finished)
		assert_int_equal(table_client_state(&table, 1), TABLE_FREE);
	if (table_client_state(&table, 1) == TABLE_FREE) {
		assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
		assert_string_equal(side_hear(far_upstream), "EOF");
		assert_string_equal(side_hear(far), "EOF");
		assert_int_equal(table.services[0].counters.bytes[TABLE_UP], 5);
		table.services[0].counters.bytes[TABLE_UP] = 0;
	} else {
		check_both_are_there();
	}
}

static void
a_client_and_its_connection_end_together_wherever_its_closer_dies(void **state)
{
	(void)state;
	if (!side_every_step(prepare_open, close_it, check_closed, NULL))
		skip();
}

/* Keeper and worker: the client that is being handled is condemned, wherever the worker was. */
static void
check_condemned(void *arg, bool finished)
{
	(void)arg;
	(void)finished;
	leave_process();
	if (table_client_state(&table, 1) != TABLE_FREE)
		table_client_set(&table, 1, TABLE_CLOSING);
	recover_run(&table);
	check_whole();
	assert_int_equal(table_client_state(&table, 1), TABLE_FREE);
	assert_string_equal(side_hear(far), "EOF");
	assert_true(table_conn_state(&table, conn) == TABLE_FREE || table.conns[conn].fd == near_upstream);
}

static void
a_client_may_be_condemned_anywhere(void **state)
{
	(void)state;
	if (!side_every_step(prepare_idle, take, check_condemned, NULL))
		skip();
	side_every_step(prepare_open, give_back, check_condemned, NULL);
	side_every_step(prepare_open, close_it, check_condemned, NULL);
}

static void
prepare_role(void *arg)
{
	(void)arg;
	prepare_both();
	table.conns[conn].role = (uint16_t)role_before;
}

static void
share(void *arg)
{
	(void)arg;
	table_conn_share(&table, conn);
	table.services[0].shared.upstream = conn;
}

static void
check_shared(void *arg, bool finished)
{
	uint16_t role = table.conns[conn].role;
	bool stood_by = role_before == TABLE_ROLE_STANDBY;

	(void)arg;
	recover();
	check_both_are_there();
	assert_int_equal(role, table.conns[conn].role);
	assert_true(role == role_before || role == (stood_by ? TABLE_ROLE_TAKEOVER : TABLE_ROLE_SHARED));
	assert_int_equal(table_conn_is_shared(&table, conn), role != role_before);
	assert_true(!finished || role != role_before);
	table.services[0].shared.upstream = 0;
}

static void
a_connection_stands_by_or_is_shared_wherever_its_borrower_dies(void **state)
{
	(void)state;
	role_before = TABLE_ROLE_NEXT;
	if (!side_every_step(prepare_role, share, check_shared, NULL))
		skip();
	role_before = TABLE_ROLE_STANDBY;
	side_every_step(prepare_role, share, check_shared, NULL);
}

/* Who recovers may die too. */
static void
recover_it(void *arg)
{
	(void)arg;
	recover_run(&table);
}

static void
prepare_half_closed(void *arg)
{
	prepare_open(arg);
	leave_process();
	table_client_set(&table, 1, TABLE_CLOSING);
}

static void
prepare_half_returned(void *arg)
{
	prepare_open(arg);
	leave_process();
	table_conn_set(&table, conn, TABLE_CLOSING);
}

static void
check_recovered(void *arg, bool finished)
{
	(void)arg;
	(void)finished;
	recover_run(&table);
	check_whole();
	assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
	assert_string_equal(side_hear(far_upstream), "EOF");
}

static void
what_is_half_done_is_finished_wherever_that_is_left(void **state)
{
	(void)state;
	if (!side_every_step(prepare_half_closed, recover_it, check_recovered, NULL))
		skip();
	side_every_step(prepare_half_returned, recover_it, check_recovered, NULL);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, begin_table, end_table)

/* Sanitizers see the same code in other tests; with theirs between, each instruction takes too long. */
#ifdef __SANITIZE_ADDRESS__
#define SKIPPED 77
#else
#define SKIPPED 0
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_connection_is_idle_or_the_clients_wherever_its_taker_dies),
		ROW(a_client_is_held_or_has_its_connection_wherever_it_is_given_back),
		ROW(a_client_and_its_connection_end_together_wherever_its_closer_dies),
		ROW(a_client_may_be_condemned_anywhere),
		ROW(a_connection_stands_by_or_is_shared_wherever_its_borrower_dies),
		ROW(what_is_half_done_is_finished_wherever_that_is_left),
	};

	return SKIPPED != 0 ? SKIPPED : cmocka_run_group_tests(tests, NULL, NULL);
}
