/* test_upstream_switch.c - upstream/upstream under an operator's orders: paused, and made to fail. */
#include "upstream_world.h"

#include <stdio.h>
#include <unistd.h>

#include "upstream/record.h"

static int listener;
static uint16_t port;

static void
begin(bool shared)
{
	port = 0;
	listener = world_listen(&port);
	world_make(port, 0);
	w.settings.shared = shared;
	w.settings.pconn.retry.delay = 50 * CLOCK_MILLISECOND;
	world_begin();
}

static void
end(void)
{
	close(listener);
	if (w.lent != 0)
		world_close_lent();
	world_end();
}

static void
lend(void)
{
	int fd = -1;

	RUN_UNTIL(1000, fd != -1 || (fd = world_lend()) != -1);
}

static struct table_service *
record(void)
{
	return &w.table.services[SERVICE];
}

static void
pause_it(void)
{
	record()->pause.value = 1;
	upstream_let_go(w.upstream, false);
}

static void
resume_it(void)
{
	record()->pause.value = 0;
	upstream_let_go(w.upstream, false);
}

static void
fail_for(int64_t span)
{
	record()->failing.value = span == 0 ? 0 : (uint64_t)(clock_now() + span);
	upstream_fail(w.upstream, "alice");
}

static void
turn_for(int64_t span)
{
	int64_t until = clock_now() + span;

	while (clock_now() < until)
		world_turn();
}

static void
a_paused_upstream_drops_what_is_ready_and_rests(void **state)
{
	int server;

	(void)state;
	begin(false);
	RUN_UNTIL(1000, world_status().warm == 1);
	server = world_accept(listener);
	pause_it();
	assert_int_equal(world_take(), -1);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_IDLE);
	assert_true(upstream_is_at_rest(w.upstream));
	assert_string_equal(w.events, "Ta+-");
	assert_string_equal(w.error, "paused by an operator");
	assert_int_equal(read(server, &(char){ 0 }, 1), 0);
	upstream_set_held(w.upstream, 3);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	turn_for(150 * CLOCK_MILLISECOND); /* three retry delays */
	assert_string_equal(w.events, "Ta+-");
	assert_int_equal(world_status().counters.outages, 0);
	assert_int_equal(world_status().down_since, 0);
	resume_it();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0);
	assert_int_equal(world_status().counters.outages, 0);
	close(server);
	end();
}

static void
the_lent_connection_stays_until_it_is_let_go(void **state)
{
	(void)state;
	begin(true);
	lend();
	pause_it();
	turn_for(50 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "Ta+");
	assert_false(upstream_is_at_rest(w.upstream));
	upstream_let_go(w.upstream, true);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_IDLE);
	assert_int_equal(w.drops, 1);
	assert_true(upstream_is_at_rest(w.upstream));
	assert_int_equal(world_lend(), -1);
	resume_it();
	lend();
	assert_string_equal(w.events, "Ta+-Ta+");
	end();
}

static void
a_pause_that_ends_before_the_work_goes_on_with_the_lent_connection(void **state)
{
	(void)state;
	begin(true);
	lend();
	pause_it();
	turn_for(20 * CLOCK_MILLISECOND);
	resume_it();
	turn_for(20 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "Ta+");
	assert_int_equal(w.drops, 0);
	end();
}

static void
one_that_was_let_go_and_is_still_there_is_good_again(void **state)
{
	(void)state;
	begin(true);
	lend();
	pause_it();
	upstream_let_go(w.upstream, true);
	resume_it();
	turn_for(20 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "Ta+");
	assert_int_equal(w.drops, 0);
	end();
}

/* Wherever it died, the next one goes on with the pause, or connects. */
static void
a_pause_outlives_the_worker_and_its_end_is_not_missed(void **state)
{
	(void)state;
	begin(false);
	RUN_UNTIL(1000, world_status().warm == 1);
	record()->pause.value = 1;
	world_die();
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_IDLE);
	world_die();
	world_begin();
	turn_for(100 * CLOCK_MILLISECOND);
	assert_int_equal(world_status().state, UPSTREAM_IDLE);
	assert_string_equal(w.events, "");
	record()->pause.value = 0;
	world_die();
	world_begin();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	end();
}

static void
a_upstream_that_is_down_stops_trying_in_a_pause(void **state)
{
	uint64_t attempts;

	(void)state;
	port = 0;
	listener = world_listen(&port);
	close(listener);
	world_make(port, 0);
	w.settings.pconn.retry.delay = 20 * CLOCK_MILLISECOND;
	world_begin();
	RUN_UNTIL(1000, world_status().counters.attempts > 1);
	pause_it();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_IDLE);
	attempts = world_status().counters.attempts;
	turn_for(80 * CLOCK_MILLISECOND);
	assert_int_equal(world_status().counters.attempts, attempts);
	assert_true(world_status().down_since != 0);
	listener = world_listen(&port);
	resume_it();
	RUN_UNTIL(1000, world_status().up);
	end();
}

static void
p30_without_warm_connections_a_resume_dials_for_nobody(void **state)
{
	(void)state;
	port = 0;
	listener = world_listen(&port);
	world_make(port, 0);
	w.settings.pconn.warm = 0;
	world_begin();
	world_turn();
	pause_it();
	world_turn();
	resume_it();
	turn_for(30 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "");
	pause_it();
	upstream_set_held(w.upstream, 1);
	world_turn();
	resume_it();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	end();
}

static void
one_that_is_made_to_fail_is_lost_and_fails_until_the_time_is_over(void **state)
{
	int64_t begun;

	(void)state;
	begin(false);
	RUN_UNTIL(1000, world_status().warm == 1);
	begun = clock_now();
	fail_for(200 * CLOCK_MILLISECOND);
	assert_false(upstream_is_up(w.upstream));
	assert_int_equal(world_take(), -1);
	RUN_UNTIL(1000, world_status().counters.attempts > 3);
	assert_string_equal(w.events, "Ta+-TF"); /* P8 */
	assert_string_equal(w.error, "made to fail by alice");
	assert_non_null(strstr(world_status().last_error, "made to fail by alice for 0."));
	assert_int_equal(world_status().counters.outages, 0);
	assert_int_equal(world_status().counters.lookup_failures, 0);
	RUN_UNTIL(2000, world_status().warm == 1);
	assert_true(clock_now() - begun >= 200 * CLOCK_MILLISECOND);
	assert_int_equal(record()->failing.value, 0);
	assert_string_equal(w.events, "Ta+-TFa+");
	end();
}

static void
it_can_be_ended_early_and_is_tried_at_once(void **state)
{
	(void)state;
	begin(true);
	w.settings.pconn.retry.delay = 60 * CLOCK_SECOND;
	lend();
	fail_for(60 * CLOCK_SECOND);
	RUN_UNTIL(1000, strstr(w.events, "F") != NULL);
	assert_int_equal(w.drops, 1);
	fail_for(0);
	RUN_UNTIL(1000, world_status().up);
	end();
}

static void
a_dial_under_way_fails_too(void **state)
{
	(void)state;
	begin(false);
	RUN_UNTIL(1000, strstr(w.events, "a") != NULL);
	fail_for(60 * CLOCK_SECOND);
	RUN_UNTIL(1000, strstr(w.events, "F") != NULL);
	assert_false(world_status().up);
	assert_int_equal(world_status().warm, 0);
	end();
}

static void
the_order_outlives_the_worker(void **state)
{
	(void)state;
	begin(false);
	RUN_UNTIL(1000, world_status().warm == 1);
	record()->failing.value = (uint64_t)(clock_now() + 150 * CLOCK_MILLISECOND);
	world_die();
	world_begin();
	upstream_fail(w.upstream, "alice");
	RUN_UNTIL(1000, strstr(w.events, "-TF") != NULL);
	world_die();
	turn_for(150 * CLOCK_MILLISECOND);
	world_begin();
	upstream_fail(w.upstream, "alice");
	RUN_UNTIL(1000, world_status().up);
	end();
}

static void
one_that_ended_unused_for_it_is_no_failure_of_the_server(void **state)
{
	uint32_t conn;

	(void)state;
	begin(false);
	RUN_UNTIL(1000, world_status().warm == 1);
	conn = world_take_conn();
	fail_for(60 * CLOCK_SECOND);
	upstream_unused(w.upstream, conn);
	table_conn_close(&w.table, conn);
	RUN_UNTIL(1000, strstr(w.events, "F") != NULL);
	assert_null(strstr(world_status().last_error, "unused"));
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_paused_upstream_drops_what_is_ready_and_rests),
		cmocka_unit_test(the_lent_connection_stays_until_it_is_let_go),
		cmocka_unit_test(a_pause_that_ends_before_the_work_goes_on_with_the_lent_connection),
		cmocka_unit_test(one_that_was_let_go_and_is_still_there_is_good_again),
		cmocka_unit_test(a_pause_outlives_the_worker_and_its_end_is_not_missed),
		cmocka_unit_test(a_upstream_that_is_down_stops_trying_in_a_pause),
		cmocka_unit_test(p30_without_warm_connections_a_resume_dials_for_nobody),
		cmocka_unit_test(one_that_is_made_to_fail_is_lost_and_fails_until_the_time_is_over),
		cmocka_unit_test(it_can_be_ended_early_and_is_tried_at_once),
		cmocka_unit_test(a_dial_under_way_fails_too),
		cmocka_unit_test(the_order_outlives_the_worker),
		cmocka_unit_test(one_that_ended_unused_for_it_is_no_failure_of_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
