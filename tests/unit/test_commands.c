/* The daemon's commands, with services and upstreams of ours behind them. */
#include "commands_side.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/help.h"
#include "daemon/command.h"
#include "fake_service.h"
#include "keep/budget.h"
#include "upstream/record.h"

static struct table_header header;
static struct table_service records[FAKE_SERVICES];
static struct table_open conns_open[FAKE_SERVICES * (TABLE_ENDPOINTS + 1)];
static struct table table = { .header = &header, .services = records, .conns_open = conns_open };
static bool reload_is_asked, reload_is_dry, reload_is_forced;

/* The daemon. */

static char *
config(void *arg, const char *service)
{
	(void)arg;
	return mem_print("services for %s", service == NULL ? "all" : service);
}

static void
reload(void *arg, bool dry, bool force)
{
	(void)arg;
	reload_is_asked = true;
	reload_is_dry = dry;
	reload_is_forced = force;
}

static struct command_context context = {
	.table = &table, .version = "9.9", .config = config, .reload = reload,
};

static int
setup(void **state)
{
	side_setup(state);
	fake_service_setup(0, "one");
	fake_service_setup(1, "two");
	context.events = side.events;
	pendings_init(&context.pendings, side.loop);
	control_free(side.control);
	side.control = control_new(side.loop, side.listener, NULL, NULL, commands_register, &context);
	return 0;
}

static int
teardown(void **state)
{
	fake_service_teardown(0);
	fake_service_teardown(1);
	pendings_end(&context.pendings);
	return side_teardown(state);
}

/* Ends what is waited for at the upstream. */
static void
answer_waiter(struct upstream *upstream, const char *error)
{
	struct upstream_waiter waiter;

	for (int64_t until = clock_now() + SIDE_BOUND; upstream->waiter == NULL; side_turn())
		assert_true(clock_now() < until);
	waiter = *upstream->waiter;
	mem_free(upstream->waiter);
	upstream->waiter = NULL;
	waiter.answer(waiter.arg, error);
}

static void
unknown_services_and_bad_words_are_errors(void **state)
{
	static const char *const unknown[] = {
		"status x", "endpoints x", "clients x", "wait x", "try x 1", "close x", "drain x", "open x",
		"kill x --id 1", "reconnect x", "lookup x", "events x", "explain x", "config x", "pause x",
		"pause x 1 --kill", "resume x", "fail x 1", "fail x 0",
	};
	static const char *const usage[] = {
		"status a b", "endpoints a b", "clients --by", "clients --by size", "wait", "wait one x",
		"wait one -1", "wait one 1 2", "try one y", "close", "close --kill", "drain", "drain --all one",
		"drain one --wait", "drain one --wait x", "kill one", "kill one --id", "kill one --pid 3",
		"kill --id 3 --user 4",
		"lookup -v", "lookup one -x", "ping x", "reload x", "pause", "pause --kill", "pause one x",
		"pause one -1", "pause one 1 2", "pause one --all", "resume", "fail one", "fail one x",
		"fail one 1 2", "fail one -1",
		"metrics x", "metrics --prometheus x", "metrics --json",
	};

	(void)state;
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		expect(unknown[i], "error", "\"no service \\\"x\\\"\"");
	expect("status oen", "error", "\"no service \\\"oen\\\"; did you mean \\\"one\\\"?\"");
	expect("kill twoo --id 1", "error", "\"no service \\\"twoo\\\"; did you mean \\\"two\\\"?\"");
	for (size_t i = 0; i < sizeof usage / sizeof usage[0]; i++)
		expect(usage[i], "usage", "true");
	expect("log loud", "ok", "false");
}

static void
status_tells_what_the_service_tells(void **state)
{
	json_t *answer = ask("status two"), *service;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(answer, "services")), 1);
	service = json_array_get(json_object_get(answer, "services"), 0);
	assert_string_equal(json_string_value(json_object_get(service, "service")), "two");
	assert_string_equal(json_string_value(json_object_get(service, "last_error")), "Connection refused");
	assert_true(json_is_null(json_object_get(service, "address")));
	assert_true(json_is_null(json_object_get(service, "administered")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(service, "refused"), "max_held")), 2);
	json_decref(answer);
	expect("status", "version", "\"9.9\"");
	expect("status", "config_error", "null");
}

static void
metrics_are_of_each_service(void **state)
{
	json_t *open = ask("metrics --openmetrics"), *older = ask("metrics");
	const char *text = json_string_value(json_object_get(open, "metrics"));

	(void)state;
	assert_non_null(strstr(text, "\nholdfast_clients_accepted_total{service=\"two\"} 7\n"));
	assert_non_null(strstr(text, "\nholdfast_refused_total{service=\"one\",reason=\"max_held\"} 2\n"));
	assert_non_null(strstr(text, "\nholdfast_accepting_pauses_total{service=\"one\","
	    "reason=\"max_clients\"} 3\n"));
	assert_non_null(strstr(text, "\n# EOF\n"));
	text = json_string_value(json_object_get(older, "metrics"));
	assert_non_null(strstr(text, "\n# TYPE holdfast_clients_accepted_total counter\n"));
	json_decref(open);
	json_decref(older);
}

static void
wait_answers_when_connected_and_0_at_once(void **state)
{
	int fd = side_client();

	(void)state;
	expect("wait one 0", "connected", "false");
	fake_services[0].status.upstream.up = true; /* as a service is whose first attempt is under way */
	fake_services[0].status.upstream.state = UPSTREAM_CONNECTING;
	expect("wait one 0", "connected", "false");
	fake_services[0].status.upstream.state = UPSTREAM_IS_CONNECTED;
	expect("wait one 0", "connected", "true");
	side_put(fd, "wait one 5\n");
	answer_waiter(&fake_upstreams[0], NULL);
	side_expect_ok(fd, "connected", "true");
	side_put(fd, "try one 5\n");
	answer_waiter(&fake_upstreams[0], "Connection refused");
	side_expect_error(fd, "one: Connection refused");
	close(fd);
}

static void
wait_ends_at_its_time_and_with_its_connection(void **state)
{
	int fd = side_client();

	(void)state;
	expect("wait one 0.02", "timed_out", "true");
	assert_null(fake_upstreams[0].waiter);
	side_put(fd, "wait one\n");
	while (fake_upstreams[0].waiter == NULL)
		side_turn();
	close(fd);
	while (fake_upstreams[0].waiter != NULL)
		side_turn();
}

static void
close_kills_if_told_and_answers_when_finished(void **state)
{
	int fd = side_client();

	(void)state;
	side_put(fd, "close --kill one\n");
	answer_waiter(&fake_upstreams[0], NULL);
	side_expect_ok(fd, "clients", "0");
	assert_true(fake_services[0].killed);
	close(fd);
}

static void
drain_waits_until_no_client_is_left(void **state)
{
	int fd = side_client();

	(void)state;
	fake_services[0].status.clients = 2;
	expect("drain one", "clients", "2");
	assert_true(fake_services[0].drained && !fake_services[1].drained);
	expect("drain --all --wait 0.02", "timed_out", "true");
	assert_true(fake_services[1].drained);
	side_put(fd, "drain --wait 5 one\n");
	for (int i = 0; i < 10; i++)
		side_turn();
	fake_services[0].status.clients = 0;
	side_expect_ok(fd, "clients", "0");
	close(fd);
}

static void
clients_are_listed_counted_and_killed(void **state)
{
	json_t *answer = ask("clients one"), *list = json_object_get(answer, "clients");

	(void)state;
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")), "attached");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "state")), "connected");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "state")), "held");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "pid")), getpid());
	json_decref(answer);
	answer = ask("clients --by pid");
	list = json_object_get(answer, "counts");
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "clients")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "held")), 2);
	json_decref(answer);
	expect("kill one --id 102", "killed", "1");
	assert_int_equal(fake_services[0].ended, 1u << 2);
	expect("kill one --id 109", "ok", "false");
	expect("kill one --user no-such-user", "killed", "0");
}

static void
answer_is_of(int fd, const char *key, size_t size)
{
	json_t *answer = side_get(fd);

	assert_int_equal(json_array_size(json_object_get(answer, key)), size);
	json_decref(answer);
}

/* One look at what is ready, and no other. */
static void
turn_once(void)
{
	event_base_loop(side.loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
put(int fd, const char *line)
{
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
}

/* Turns the loop until the answer to the line is there; no turn may ask for more than so much. */
static json_t *
ask_in_pieces(const char *line, size_t most, size_t *ret_turns)
{
	int fd = side_client();
	struct pollfd file = { .fd = fd, .events = POLLIN };
	size_t before;
	json_t *answer;

	put(fd, line);
	for (*ret_turns = 0; poll(&file, 1, 0) == 0; ++*ret_turns) {
		before = fake_services_asked;
		turn_once();
		assert_in_range(fake_services_asked - before, 0, most);
	}
	answer = side_get(fd);
	close(fd);
	return answer;
}

/* Each service has had an event; another comes for the first and the last before they were told: it is told once. */
static void
events_tell_a_few_last_ones_in_a_turn_and_none_twice(void **state)
{
	struct upstream_event event = { UPSTREAM_CONNECTED, .address = "", .error = "", .failures = 1 };
	unsigned told = 0, before, failures = 0;
	int fd = side_client();
	struct pollfd file = { .fd = fd, .events = POLLIN };
	json_t *line;

	(void)state;
	fake_service_count = FAKE_SERVICES;
	for (unsigned i = 0; i < FAKE_SERVICES; i++) {
		fake_services[i] = fake_services[0];
		snprintf(records[i].name, sizeof records[i].name, "s%u", i);
		events_publish(side.events, &records[i], &event);
	}
	put(fd, "events\n");
	for (int64_t until = clock_now() + SIDE_BOUND; told < FAKE_SERVICES + 1; turn_once()) {
		assert_true(clock_now() < until);
		for (before = told; poll(&file, 1, 0) > 0; told++) {
			line = side_get(fd);
			failures += (unsigned)json_integer_value(json_object_get(line, "failures"));
			json_decref(line);
		}
		assert_in_range(told - before, 0, LOOP_BITS + 1);
		event.failures = 2;
		if (before == 0 && told > 0) {
			events_publish(side.events, &records[0], &event);
			events_publish(side.events, &records[FAKE_SERVICES - 1], &event);
		}
	}
	assert_int_equal(failures, FAKE_SERVICES + 1 + 2);
	close(fd);
	fake_service_count = 2;
	memset(records, 0, sizeof records);
}

/* A look at a service costs some microseconds; a client's more: /proc is read. */
static void
no_turn_looks_at_more_than_a_few_of_a_thousand_services(void **state)
{
	static const struct { const char *line, *key; size_t size; } rows[] = {
		{ "status\n", "services", FAKE_SERVICES }, { "clients\n", "clients", 3 * FAKE_SERVICES },
		{ "clients --by pid\n", "counts", 1 }, { "endpoints\n", "endpoints", 0 },
		{ "metrics\n", "metrics", 0 }, { "metrics --openmetrics\n", "metrics", 0 },
		{ "config\n", "config", 0 },
	};
	json_t *answer, *value;
	size_t turns;

	(void)state;
	for (unsigned i = 2; i < FAKE_SERVICES; i++) {
		fake_services[i] = fake_services[0];
		fake_services[i].status.record = &fake_services[0].record;
	}
	fake_service_count = FAKE_SERVICES;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* The clients of a service are listed at once, three here. */
		answer = ask_in_pieces(rows[i].line, 4 * LOOP_BITS, &turns);
		value = json_object_get(answer, rows[i].key);
		assert_non_null(value);
		if (rows[i].size > 0)
			assert_int_equal(json_array_size(value), rows[i].size);
		assert_true(turns > FAKE_SERVICES / LOOP_BITS);
		json_decref(answer);
	}
	fake_service_count = 2;
}

/* Half of an answer is no reason for a service to stay. */
static void
who_goes_while_an_answer_is_made_is_left_out(void **state)
{
	int fd = side_client(), other = side_client();

	(void)state;
	fake_services[1].gone = 2;
	side_put(fd, "clients two\n");
	answer_is_of(fd, "clients", 2);
	for (unsigned i = 2; i < FAKE_SERVICES; i++)
		fake_services[i] = fake_services[0];
	fake_service_count = FAKE_SERVICES;
	put(fd, "status\n");
	put(other, "clients\n");
	for (int i = 0; i < 5; i++)
		turn_once();
	fake_service_count = 500;
	answer_is_of(fd, "services", 500);
	put(fd, "status\n");
	turn_once();
	close(fd);
	answer_is_of(other, "clients", 3 * 500 - 1);
	close(other);
	fake_service_count = 2;
}

static void
an_order_is_carried_out_at_once_and_outlives_its_connection(void **state)
{
	int fd = side_client(), other = side_client();
	struct pollfd file = { .fd = fd, .events = POLLIN };

	(void)state;
	for (unsigned i = 2; i < FAKE_SERVICES; i++)
		fake_services[i] = fake_services[0];
	fake_service_count = FAKE_SERVICES;
	put(fd, "clients\n");
	for (int i = 0; i < 5; i++)
		turn_once();
	put(other, "kill two --id 102\n");
	close(other);
	for (int i = 0; i < 10 && fake_services[1].ended == 0; i++)
		turn_once();
	assert_int_equal(fake_services[1].ended, 1u << 2);
	assert_int_equal(poll(&file, 1, 0), 0);
	answer_is_of(fd, "clients", 3 * FAKE_SERVICES);
	close(fd);
	fake_service_count = 2;
}

static void
lookup_shows_the_result_and_is_left_with_its_connection(void **state)
{
	struct endpoint_listed endpoint = { .priority = 3, .weight = 1, .from = "a" };
	struct lookup_result result = { .endpoints = &endpoint, .endpoint_count = 1, .good_for = 1500000,
		.output = "o", .errors = "e" };
	struct lookup_waiter *waiter;
	int fd = side_client();

	(void)state;
	assert_null(address_parse("127.0.0.1:5", &endpoint.address));
	side_put(fd, "lookup one -v\nlookup one\n");
	while (fake_upstreams[0].lookup == NULL)
		side_turn();
	waiter = fake_upstreams[0].lookup;
	fake_upstreams[0].lookup = NULL;
	waiter->callback(waiter->arg, &result);
	mem_free(waiter);
	side_expect_ok(fd, "endpoints",
	    "[{\"address\":\"127.0.0.1:5\",\"priority\":3,\"weight\":1,\"from\":\"a\"}]");
	while (fake_upstreams[0].lookup == NULL)
		side_turn();
	close(fd);
	while (fake_upstreams[0].lookup != NULL)
		side_turn();
}

/* Three endpoints of a service, and what has become of each. */
static void
endpoints_setup(struct endpoints *e, int64_t now)
{
	static const char *const texts[] = { "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1" };
	static const struct endpoints_settings settings = {
		.retry = { 10 * CLOCK_SECOND, 0, 1, 60 * CLOCK_SECOND }
	};
	struct endpoint_listed listed[3];
	struct endpoints_input in = { .now = now, .roll = DELAY_EXACT };

	for (size_t i = 0; i < 3; i++) {
		listed[i] = (struct endpoint_listed){ .from = "f", .priority = (uint16_t)i, .weight = 1,
			.order = (uint16_t)i };
		assert_null(address_parse(texts[i], &listed[i].address));
	}
	endpoints_list(e, listed, 3, now);
	for (size_t i = 0; i < 3; i++) {
		in.number = e->list[i].number;
		in.event = ENDPOINTS_BEGAN;
		endpoints_tell(e, &settings, &in);
		in.event = i == 2 ? ENDPOINTS_FAILED : ENDPOINTS_CONNECTED;
		in.began = now - 20000;
		in.error = "Connection refused";
		endpoints_tell(e, &settings, &in);
	}
	/* Twice not listed: withdrawn. */
	endpoints_list(e, (struct endpoint_listed[]){ listed[0], listed[2] }, 2, now + 2 * CLOCK_SECOND);
	endpoints_list(e, (struct endpoint_listed[]){ listed[0], listed[2] }, 2, now + 4 * CLOCK_SECOND);
}

static void
endpoints_tells_first_what_is_not_well(void **state)
{
	static const char *const states[] = { "failed", "withdrawn", "ok" };
	static const char *const addresses[] = { "10.0.0.3:1", "10.0.0.2:1", "10.0.0.1:1" };
	int64_t now = clock_now();
	json_t *answer, *list, *one;
	uint16_t number;

	(void)state;
	memset(records, 0, sizeof records);
	endpoints_setup(&record_of(&table, 1)->endpoints, now);
	number = record_of(&table, 1)->endpoints.list[1].number;
	conns_open[TABLE_ENDPOINTS + 1 + 1] = (struct table_open){ 3, number };
	answer = ask("endpoints two");
	list = json_object_get(answer, "endpoints");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		one = json_array_get(list, i);
		assert_string_equal(json_string_value(json_object_get(one, "state")), states[i]);
		assert_string_equal(json_string_value(json_object_get(one, "address")), addresses[i]);
		assert_int_equal(json_is_null(json_object_get(one, "failed_until")), i != 0);
		assert_int_equal(json_is_null(json_object_get(one, "withdrawn_since")), i != 1);
		answer_is(one, "connections", i == 1 ? "3" : "0");
	}
	answer_is(json_array_get(list, 0), "last_error", "\"Connection refused\"");
	answer_is(json_array_get(list, 0), "connect_seconds", "null");
	answer_is(json_array_get(list, 2), "connect_seconds", "0.02");
	answer_is(json_array_get(list, 2), "from", "\"f\"");
	answer_is(answer, "left_out", "0");
	answer_is(answer, "passed_over", "[]");
	json_decref(answer);
	answer = ask("endpoints");
	assert_int_equal(json_array_size(json_object_get(answer, "endpoints")), 3);
	json_decref(answer);
	expect("endpoints one", "endpoints", "[]");
	answer = ask("explain two");
	assert_int_equal(json_array_size(json_object_get(answer, "endpoints")), 3);
	json_decref(answer);
	memset(records, 0, sizeof records);
	memset(conns_open, 0, sizeof conns_open);
}

static void
await_reload(void)
{
	for (int64_t until = clock_now() + SIDE_BOUND; !reload_is_asked; side_turn())
		assert_true(clock_now() < until);
	reload_is_asked = false;
}

static void
reload_answers_when_done_and_is_forgotten_with_its_connection(void **state)
{
	char *errors[] = { "x.conf:1: y: bad", "x.conf:2: z: bad", NULL };
	struct command_reload_result bad = { .errors = { .errors = errors, .count = 2 } }, good = { .holders = 1 };
	int fd = side_client();

	(void)state;
	side_put(fd, "reload\nreload\nreload\n");
	await_reload();
	pending_answer(&context.pendings, COMMAND_RELOAD, &bad);
	side_expect_error(fd, "x.conf:1: y: bad (and more errors)");
	await_reload();
	pending_move(&context.pendings, COMMAND_RELOAD, COMMAND_READING);
	pending_answer(&context.pendings, COMMAND_RELOAD, &bad); /* of one before it */
	pending_answer(&context.pendings, COMMAND_READING, &good);
	side_expect_ok(fd, "added", "[]");
	await_reload();
	close(fd);
	while (pending_waits(&context.pendings, COMMAND_RELOAD))
		side_turn();
}

static void
a_dry_run_tells_each_setting_and_what_a_renewal_does(void **state)
{
	struct reload_difference differences[] = { { "address", (char *)"\"h:1\"", NULL } };
	struct reload_change changes[] = {
		{ .service = (char *)"one", .how = SETTING_RENEW, .differences = differences, .count = 1 },
		{ .service = (char *)"two", .how = SETTING_IN_PLACE },
	};
	struct command_reload_result good = { .holders = 1, .plan = { .changed = changes, .changed_count = 2 } };
	int fd = side_client();
	json_t *answer;

	(void)state;
	side_put(fd, "reload --dry-run\n");
	await_reload();
	assert_true(reload_is_dry && !reload_is_forced);
	pending_answer(&context.pendings, COMMAND_DRY_RUN, &good);
	answer = side_get(fd);
	assert_true(json_is_true(json_object_get(answer, "dry_run")));
	assert_int_equal(json_array_size(json_object_get(answer, "changed")), 2);
	assert_int_equal(json_array_size(json_object_get(answer, "renewed")), 1);
	answer_is(json_array_get(json_object_get(answer, "changes"), 0), "settings",
	    "[{\"setting\":\"address\",\"from\":\"\\\"h:1\\\"\",\"to\":null}]");
	answer_is(json_array_get(json_object_get(answer, "changes"), 0), "how", "\"renewed\"");
	answer_is(json_array_get(json_object_get(answer, "changes"), 1), "effect", "null");
	json_decref(answer);
	close(fd);
}

static void
the_plain_ones_answer(void **state)
{
	(void)state;
	expect("ping", "pong", "true");
	expect("config two", "config", "\"services for two\"");
	expect("open one", "service", "\"one\"");
	assert_true(fake_services[0].opened);
	expect("reconnect one", "service", "\"one\"");
	assert_int_equal(fake_upstreams[0].reconnects, 1);
	fake_upstreams[0].refuses = true;
	expect("reconnect one", "ok", "false");
	expect("explain one", "entries", "[]");
	expect("log debug", "level", "\"debug\"");
	expect("log info", "previous", "\"debug\"");
}

static void
what_may_be_asked_again_changes_nothing_the_second_time(void **state)
{
	static const char *const idempotent[] = { "reload", "pause", "resume", "fail" };
	size_t changing = 0;

	(void)state;
	for (size_t i = 0; commands_register[i].name != NULL; i++)
		changing += help_commands[i].repeatable && commands_register[i].changes;
	assert_int_equal(changing, sizeof idempotent / sizeof idempotent[0]);
	for (size_t i = 0; i < sizeof idempotent / sizeof idempotent[0]; i++)
		assert_true(help_find(idempotent[i])->repeatable);
}

static void
a_mistyped_command_has_a_nearest_one(void **state)
{
	(void)state;
	assert_string_equal(help_nearest("staus"), "status");
	assert_string_equal(help_nearest("recconect"), "reconnect");
	assert_string_equal(help_nearest("lgo"), "log");
	assert_null(help_nearest("xyzzy"));
	assert_null(help_nearest(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int
open_budget(void **state)
{
	(void)state;
	table.budget = budget_new(TABLE_SERVICES, TABLE_BUFFER_SIZE);
	return 0;
}

static int
close_budget(void **state)
{
	(void)state;
	budget_free(table.budget);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_services_and_bad_words_are_errors),
		TEST(status_tells_what_the_service_tells),
		TEST(metrics_are_of_each_service),
		TEST(wait_answers_when_connected_and_0_at_once),
		TEST(wait_ends_at_its_time_and_with_its_connection),
		TEST(close_kills_if_told_and_answers_when_finished),
		TEST(drain_waits_until_no_client_is_left),
		TEST(clients_are_listed_counted_and_killed),
		TEST(events_tell_a_few_last_ones_in_a_turn_and_none_twice),
		TEST(no_turn_looks_at_more_than_a_few_of_a_thousand_services),
		TEST(who_goes_while_an_answer_is_made_is_left_out),
		TEST(an_order_is_carried_out_at_once_and_outlives_its_connection),
		TEST(lookup_shows_the_result_and_is_left_with_its_connection),
		TEST(endpoints_tells_first_what_is_not_well),
		TEST(reload_answers_when_done_and_is_forgotten_with_its_connection),
		TEST(a_dry_run_tells_each_setting_and_what_a_renewal_does),
		TEST(the_plain_ones_answer),
		cmocka_unit_test(what_may_be_asked_again_changes_nothing_the_second_time),
		cmocka_unit_test(a_mistyped_command_has_a_nearest_one),
	};

	return cmocka_run_group_tests(tests, open_budget, close_budget);
}
