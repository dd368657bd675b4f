/* The keeper: what follows each kind of death, and who is blamed (K3, K6, K7). */
#include "keeper_play.h"

static void
a_killed_worker_is_replaced_at_once(void **state)
{
	int64_t at;

	(void)state;
	begin_ready();
	assert_true(play->own_id_right);
	for (uint32_t i = 1; i <= 5; i++) {
		at = clock_now();
		kill_worker(SIGKILL);
		assert_true(await_workers(i + 1));
		assert_true(clock_now() - at < 200 * CLOCK_MILLISECOND);
		assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	}
	assert_int_equal(table.header->worker_restarts, 5);
	assert_int_equal(table.header->blamed_next, 0);
	assert_int_equal(WTERMSIG(table.header->last_death.status), SIGKILL);
	kill(keeper, SIGTERM);
	assert_int_equal(await_end(SECONDS(5)), 0);
	assert_int_equal(play->stops, 1);
}

static void
an_exit_before_any_was_ready_ends_all_with_its_code(void **state)
{
	(void)state;
	play->exit_code = 1 + 7;
	begin();
	assert_int_equal(await_end(SECONDS(5)), 7);
	assert_int_equal(play->workers, 1);
}

static void
an_exit_of_a_later_worker_is_a_death_like_others(void **state)
{
	(void)state;
	begin_ready();
	play->exit_code = 1 + 1;
	kill_worker(SIGKILL);
	assert_true(await_workers(4));
	play->exit_code = 0;
	assert_true(side_await(&table.header->ready, 1, SECONDS(10)));
	kill(keeper, SIGTERM);
	assert_int_equal(await_end(SECONDS(5)), 0);
}

static void
k7_young_deaths_of_their_own_making_delay_the_next_start(void **state)
{
	static const int64_t least[] = { 0, 10, 50, 200 };

	(void)state;
	play->abort_until = 4;
	begin();
	assert_true(await_workers(5));
	for (unsigned i = 0; i < 4; i++)
		assert_true(play->started[i + 1] - play->started[i] >= least[i] * CLOCK_MILLISECOND);
	assert_true(play->started[2] - play->started[0] < 1000 * CLOCK_MILLISECOND);
}

static void
k7_three_strikes_close_the_session(void **state)
{
	uint32_t session = side_session(&table, side_file(), -1);

	(void)state;
	play->handling = session;
	play->abort_until = 2;
	begin();
	assert_true(await_workers(3));
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	assert_int_equal(table_client_state(&table, session), TABLE_LIVE);
	assert_int_equal(table.header->last_death.condemned, 0);
	kill_worker(SIGKILL); /* no strike */
	assert_true(await_workers(4));
	assert_int_equal(table_client_state(&table, session), TABLE_LIVE);
	play->abort_until = 5;
	kill_worker(SIGKILL);
	assert_true(await_workers(6));
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	assert_int_equal(table_client_state(&table, session), TABLE_FREE); /* closed by the worker that came then */
	assert_int_equal(table.header->blamed[(table.header->blamed_next - 1) % TABLE_BLAMED].handled, session);
}

static void
k7_three_strikes_close_the_connection_that_all_share(void **state)
{
	uint32_t session = side_session(&table, side_file(), -1), conn = side_conn(&table, TABLE_READY, side_file());

	(void)state;
	assert_int_equal(session, conn); /* each is known from the other */
	table_conn_share(&table, conn);
	play->handling = TABLE_HANDLING_CONN | conn;
	play->abort_until = 3;
	begin();
	assert_true(await_workers(4));
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
	assert_int_equal(table_client_state(&table, session), TABLE_LIVE);
}

static void
k7_a_held_session_loses_no_connection_of_others(void **state)
{
	int upstream = side_file();
	uint32_t spare = side_conn(&table, TABLE_READY, upstream);
	uint32_t held = side_client(&table, side_file());

	(void)state;
	play->handling = held;
	play->abort_until = 3;
	begin();
	assert_true(await_workers(4));
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	assert_int_equal(table_client_state(&table, held), TABLE_FREE);
	assert_int_equal(table_conn_state(&table, spare), TABLE_READY);
	close(upstream);
}

#ifndef __SANITIZE_ADDRESS__ /* its own handlers are in the place of ours */
static void
k7_a_fault_that_was_sent_blames_nobody(void **state)
{
	uint32_t session = side_session(&table, side_file(), -1);

	(void)state;
	play->handling = session;
	begin_ready();
	for (uint32_t i = 1; i <= 4; i++) {
		int64_t at = clock_now();

		kill_worker(i % 2 == 0 ? SIGSEGV : SIGABRT);
		assert_true(await_workers(i + 1));
		assert_true(clock_now() - at < 300 * CLOCK_MILLISECOND);
		assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	}
	assert_int_equal(table.header->blamed_next, 0);
	assert_int_equal(table_client_state(&table, session), TABLE_LIVE);
}
#endif

static void
k6_a_hung_worker_is_replaced(void **state)
{
	int64_t at;

	(void)state;
	begin_ready();
	play->hang = 1;
	at = clock_now();
	assert_true(await_workers(2));
	assert_in_range(clock_now() - at, 1700 * CLOCK_MILLISECOND, 3000 * CLOCK_MILLISECOND);
	assert_int_equal(table.header->last_death.hung, 1);
	play->hang = 0;
	assert_true(side_await(&table.header->ready, 1, SECONDS(5)));
	at = clock_now();
	kill_worker(SIGSTOP);
	assert_true(await_workers(3));
	assert_in_range(clock_now() - at, 1700 * CLOCK_MILLISECOND, 3000 * CLOCK_MILLISECOND);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_killed_worker_is_replaced_at_once),
		ROW(an_exit_before_any_was_ready_ends_all_with_its_code),
		ROW(an_exit_of_a_later_worker_is_a_death_like_others),
		ROW(k7_young_deaths_of_their_own_making_delay_the_next_start),
		ROW(k7_three_strikes_close_the_session),
		ROW(k7_three_strikes_close_the_connection_that_all_share),
		ROW(k7_a_held_session_loses_no_connection_of_others),
#ifndef __SANITIZE_ADDRESS__
		ROW(k7_a_fault_that_was_sent_blames_nobody),
#endif
		ROW(k6_a_hung_worker_is_replaced),
	};

	play = mmap(NULL, sizeof *play, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
