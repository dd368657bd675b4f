/* pause, resume, fail and drain, with services and upstreams of ours behind them. */
#include "commands_side.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/command.h"
#include "fake_service.h"

static struct command_context context;

static int
setup(void **state)
{
	side_setup(state);
	fake_service_setup(0, "one");
	fake_service_count = 1;
	pendings_init(&context.pendings, side.loop);
	control_free(side.control);
	side.control = control_new(side.loop, side.listener, NULL, NULL, commands_register, &context);
	return 0;
}

static int
teardown(void **state)
{
	fake_service_teardown(0);
	return side_teardown(state);
}

/* The error begins with this text, or has it. */
static void
expect_error(const char *line, const char *part)
{
	json_t *answer = ask(line);

	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_non_null(strstr(json_string_value(json_object_get(answer, "error")), part));
	json_decref(answer);
}

static void
wait_paused(void)
{
	for (int64_t until = clock_now() + SIDE_BOUND; fake_services[0].record.pause.value == 0; side_turn())
		assert_true(clock_now() < until);
}

static void
pause_answers_when_nothing_is_left(void **state)
{
	int fd = side_client();

	(void)state;
	fake_services[0].left.clients = 2;
	side_put(fd, "pause one --kill\n");
	wait_paused();
	for (int i = 0; i < 10; i++)
		side_turn();
	assert_true(fake_services[0].killed);
	fake_services[0].left.clients = 0;
	fake_services[0].status.held = 3;
	side_expect_ok(fd, "held", "3");
	expect("pause one 0", "paused", "true");
	expect("resume one", "was_paused", "true");
	expect("resume one", "was_paused", "false");
	close(fd);
}

static void
pause_names_the_clients_left_when_its_time_is_over(void **state)
{
	json_t *answer;
	const char *error;

	(void)state;
	fake_services[0].left.clients = 7;
	answer = ask("pause one 0.02");
	error = json_string_value(json_object_get(answer, "error"));
	assert_non_null(strstr(error, "time ran out after 0.0 s, and it stays paused: 7 clients are left: 1 (pid "));
	assert_non_null(strstr(error, ", 5 (pid "));
	assert_non_null(strstr(error, ", and 2 more"));
	assert_true(json_is_true(json_object_get(answer, "timed_out")));
	assert_int_equal(json_array_size(json_object_get(answer, "left")), 5);
	json_decref(answer);
	assert_true(fake_services[0].record.pause.value != 0);
}

static void
pause_tells_what_it_waits_for(void **state)
{
	(void)state;
	fake_services[0].left = (struct service_left){ .clients = 1, .requests = 12 };
	expect_error("pause one 0", "12 requests of 1 client are in flight: 1 (pid ");
	fake_services[0].left = (struct service_left){ .requests = 1 };
	expect_error("pause one 0", "1 request of 0 clients is in flight");
	fake_services[0].left = (struct service_left){ .connecting = true };
	expect_error("pause one 0", "an attempt to connect is under way");
}

static void
a_pause_that_waits_is_told_of_a_resume(void **state)
{
	int fd = side_client();

	(void)state;
	fake_services[0].left.clients = 1;
	side_put(fd, "pause one\n");
	wait_paused();
	expect("resume one", "was_paused", "true");
	side_expect_error(fd, "one: it was resumed before all work had ended");
	side_put(fd, "pause one\n");
	wait_paused();
	close(fd);
	for (int i = 0; i < 5; i++)
		side_turn();
}

static void
what_is_closed_is_neither_paused_nor_made_to_fail(void **state)
{
	(void)state;
	fake_upstreams[0].refuses = true;
	expect_error("pause one", "one: waiting; \"open one\" starts it again");
	expect_error("fail one 5", "one: waiting; \"open one\" starts it again");
	assert_false(fake_services[0].record.pause.value != 0);
	expect("fail one 0", "failing", "false");
	expect("resume one", "was_paused", "false");
}

static void
others_are_told_of_a_pause_and_of_a_failure_by_order(void **state)
{
	(void)state;
	fake_services[0].record.failing.value = (uint64_t)clock_now() + 60 * CLOCK_SECOND;
	expect_error("wait one 0", "one: not connected: waiting, made to fail for ");
	fake_services[0].record.pause.value = 1;
	expect_error("wait one 0", "one: not connected: waiting, paused by an operator");
	expect_error("reconnect one", "one: paused; \"resume one\" connects it again");
}

static void
fail_lasts_an_hour_at_most(void **state)
{
	(void)state;
	expect("fail one 3600", "left_seconds", "3600.0");
	assert_true((int64_t)fake_services[0].record.failing.value > clock_now());
	expect_error("fail one 3600.1", "3600 s at most; nothing was changed");
	expect("fail one 0", "failing", "false");
	assert_int_equal(fake_services[0].record.failing.value, 0);
}

static void
drain_counts_each_client_of_shared_mode_once(void **state)
{
	(void)state;
	fake_services[0].status.mode = SERVICE_SHARED;
	fake_services[0].status.clients = 3;
	fake_services[0].status.held = 2; /* of these three: they have asked something */
	expect("drain one", "clients", "3");
	fake_services[0].status.mode = SERVICE_SESSION;
	expect("drain one", "clients", "5");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pause_answers_when_nothing_is_left),
		TEST(pause_names_the_clients_left_when_its_time_is_over),
		TEST(pause_tells_what_it_waits_for),
		TEST(a_pause_that_waits_is_told_of_a_resume),
		TEST(what_is_closed_is_neither_paused_nor_made_to_fail),
		TEST(others_are_told_of_a_pause_and_of_a_failure_by_order),
		TEST(fail_lasts_an_hour_at_most),
		TEST(drain_counts_each_client_of_shared_mode_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
