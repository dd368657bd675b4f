/* test_upstream_renew.c - upstream/upstream when a reload gives its service other settings, and what counts as an
 * outage. */
#include "upstream_world.h"
#include "temporary.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "upstream/machine.h"

static struct upstream *volatile dead; /* so that it is not taken for a leak */

/* Settings of their own memory: what the upstream still has of the former ones is found by the sanitizers. */
static struct upstream_settings *
settings_for(const char *address)
{
	struct upstream_settings *settings = mem_new(1, sizeof *settings);

	*settings = w.settings;
	settings->lookup.addresses = NULL;
	settings->lookup.script = NULL;
	settings->on_event = settings->notify = NULL;
	mem_list_add(&settings->lookup.addresses, address);
	return settings;
}

static struct upstream_settings *
settings_for_port(uint16_t port)
{
	char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	return settings_for(text);
}

static void
settings_free(struct upstream_settings *settings)
{
	mem_list_free(settings->lookup.addresses);
	mem_free(settings->lookup.script);
	mem_free(settings->on_event);
	mem_free(settings->notify);
	memset(settings, 0xff, sizeof *settings);
	mem_free(settings);
}

/* Goes on with now; before is freed at once. */
static void
renew(struct upstream_settings *before, struct upstream_settings *now, bool anew)
{
	upstream_renew(w.upstream, now, anew);
	if (before != NULL)
		settings_free(before);
}

static void
spin(int turns)
{
	while (turns-- > 0)
		world_turn();
}

static const char *
history_text(void)
{
	static char text[TABLE_HISTORY_TEXT];
	const struct table_service *service = &w.table.services[SERVICE];

	text[0] = '\0';
	for (size_t i = 0; i < TABLE_HISTORY; i++)
		if (service->history[i].kind == UPSTREAM_DISCONNECTED && service->history[i].text[0] != '\0')
			snprintf(text, sizeof text, "%s", service->history[i].text);
	return text;
}

static void
a_connected_one_connects_to_the_new_place(void **state)
{
	uint16_t first = 0, second = 0;
	int a = world_listen(&first), b = world_listen(&second);
	struct upstream_settings *now;

	(void)state;
	world_make(first, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	now = settings_for_port(second);
	renew(NULL, now, true);
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0 && world_status().warm == 1);
	assert_non_null(strstr(world_status().address, strrchr(now->lookup.addresses[0], ':')));
	assert_non_null(strstr(history_text(), "reload"));
	assert_int_equal(world_status().counters.connects, 2);
	assert_int_equal(world_status().counters.outages, 0);
	close(world_accept(b));
	close(a);
	close(b);
	world_end();
	settings_free(now);
}

static void
nothing_happens_when_the_upstream_part_is_the_same(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);
	struct upstream_settings *first, *second;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	first = settings_for_port(port);
	renew(NULL, first, false);
	second = settings_for_port(port);
	renew(first, second, false);
	spin(5);
	assert_string_equal(w.events, "Ta+");
	assert_int_equal(world_status().warm, 1);
	close(world_take());
	RUN_UNTIL(1000, world_status().warm == 1); /* its dials have the new settings */
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0); /* its lookup too */
	close(listener);
	world_end();
	settings_free(second);
}

static void
a_waiting_one_tries_at_once_and_who_waits_is_answered(void **state)
{
	uint16_t silent = 0, port = 0;
	int listener = world_listen(&silent);
	struct upstream_settings *now;

	(void)state;
	close(listener);
	listener = world_listen(&port);
	world_make(silent, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL);
	now = settings_for_port(port);
	renew(NULL, now, true);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_string_equal(w.events, "TaFa+");
	assert_int_equal(world_status().counters.outages, 1);
	close(listener);
	world_end();
	settings_free(now);
}

/* A script that first sleeps: the attempt's lookup and an operator's are under way when the reload comes. */
static void
a_look_up_under_way_is_begun_again(void **state)
{
	char script[TEMPORARY_SIZE];
	uint16_t port = 0;
	int listener = world_listen(&port), file = mkstemp(temporary_name(script));
	struct upstream_settings *before, *now;

	(void)state;
	assert_int_equal(write(file, "#!/bin/sh\nexec sleep 20\n", 24), 24);
	fchmod(file, 0700);
	close(file);
	world_make(port, 0);
	before = settings_for_port(port);
	before->lookup.script = mem_copy_text(script);
	before->lookup.timeout = 30 * CLOCK_SECOND;
	w.upstream = NULL;
	world_begin();
	renew(NULL, before, true);
	RUN_UNTIL(1000, world_status().lookup_running_since != 0 && world_status().state == UPSTREAM_CONNECTING);
	assert_int_equal(strncmp(world_status().lookup, "script ", 7), 0);
	upstream_wait(w.upstream, UPSTREAM_WAIT_RESULT, world_on_answer, NULL);
	now = settings_for_port(port);
	renew(before, now, true);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_string_equal(w.events, "Ta+");
	unlink(script);
	close(listener);
	world_end();
	settings_free(now);
}

static void
on_lookup(void *arg, const struct lookup_result *result)
{
	*(char **)arg = mem_copy_text(result->error);
}

static void
an_operators_look_up_is_told_so(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);
	struct upstream_settings *now;
	char *error = NULL;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	lookup_ask(upstream_lookup(w.upstream), false, on_lookup, &error);
	now = settings_for_port(port);
	renew(NULL, now, true);
	RUN_UNTIL(1000, error != NULL);
	assert_string_equal(error, "the service was changed or removed meanwhile");
	mem_free(error);
	close(listener);
	world_end();
	settings_free(now);
}

static void
an_aborted_one_starts_anew(void **state)
{
	char script[TEMPORARY_SIZE];
	uint16_t port = 0;
	int listener = world_listen(&port), file = mkstemp(temporary_name(script));
	struct upstream_settings *before, *now;

	(void)state;
	assert_int_equal(write(file, "#!/bin/sh\necho abort: moved\n", 28), 28);
	fchmod(file, 0700);
	close(file);
	world_make(port, 0);
	before = settings_for_port(port);
	before->lookup.script = mem_copy_text(script);
	world_begin();
	renew(NULL, before, true);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_ABORTED);
	now = settings_for_port(port);
	renew(before, now, true);
	assert_false(upstream_refuses(w.upstream));
	RUN_UNTIL(1000, world_status().warm == 1);
	unlink(script);
	close(listener);
	world_end();
	settings_free(now);
}

static void
what_an_operator_ended_stays_so(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);
	struct upstream_settings *now, *later;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	w.table.services[SERVICE].administered = TABLE_ADMIN_CLOSED;
	upstream_tell(w.upstream, PCONN_CLOSE);
	now = settings_for_port(port);
	renew(NULL, now, true); /* in the same turn */
	RUN_UNTIL(1000, world_status().state == UPSTREAM_CLOSED);
	later = settings_for_port(port);
	renew(now, later, true);
	spin(5);
	assert_int_equal(world_status().state, UPSTREAM_CLOSED);
	assert_true(upstream_refuses(w.upstream));
	assert_string_equal(w.events, "Ta+-");
	w.table.services[SERVICE].administered = TABLE_ADMIN_NONE;
	upstream_tell(w.upstream, PCONN_OPEN);
	RUN_UNTIL(1000, world_status().warm == 1);
	close(listener);
	world_end();
	settings_free(later);
}

/* A worker that dies right after it was told so. */
static void
a_new_worker_connects_anew_if_the_dead_one_did_not(void **state)
{
	uint16_t first = 0, second = 0;
	int a = world_listen(&first), b = world_listen(&second);

	(void)state;
	world_make(first, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	mem_free(w.addresses[0]);
	w.addresses[0] = mem_print("127.0.0.1:%u", second);
	upstream_renew(w.upstream, &w.settings, true);
	dead = w.upstream;
	loop_free(w.loop);
	w.loop = loop_new();
	world_begin();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0 && world_status().warm == 1);
	assert_string_equal(world_status().address, w.addresses[0]);
	close(a);
	close(b);
	world_end();
}

static void
what_is_given_up_on_purpose_is_no_outage(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), there;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, world_status().counters.connects == 2);
	close(world_accept(listener));
	there = world_accept(listener);
	upstream_tell(w.upstream, PCONN_CLOSE);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_CLOSED);
	assert_int_equal(world_status().counters.disconnects, 2);
	assert_int_equal(world_status().counters.outages, 0);
	upstream_tell(w.upstream, PCONN_OPEN);
	RUN_UNTIL(1000, world_status().counters.connects == 3);
	close(there);
	there = world_accept(listener);
	close(listener);
	close(there);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	assert_int_equal(world_status().counters.outages, 1);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, world_status().counters.attempts == 4 && world_status().state == UPSTREAM_WAITING);
	assert_int_equal(world_status().counters.outages, 1); /* still the same one */
	listener = world_listen(&port);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, world_status().counters.connects == 4);
	close(listener);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	assert_int_equal(world_status().counters.outages, 1);
	RUN_UNTIL(1000, world_status().counters.outages == 2); /* by its first failed attempt */
	spin(3);
	assert_int_equal(world_status().counters.outages, 2);
	world_end();
}

/* The look before a connection is given away meets the reset first, and takes the socket's error with it. */
static void
the_reason_of_an_end_outlives_the_look(void **state)
{
	struct linger hard = { .l_onoff = 1 };
	uint16_t port = 0;
	int listener = world_listen(&port), there;

	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	there = world_accept(listener);
	setsockopt(there, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(there);
	assert_int_equal(world_take(), -1);
	RUN_UNTIL(1000, strchr(w.events, '-') != NULL);
	assert_non_null(strstr(w.error, "Connection reset by peer"));
	close(listener);
	world_end();
}

/* With the longest path that a Unix socket can have. */
static void
a_copy_that_ends_young_ones_is_tried_last(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char folder[TEMPORARY_SIZE];
	uint16_t port = 0;
	int listener = world_listen(&port);
	uint32_t conn;
	int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)state;
	assert_non_null(mkdtemp(temporary_name(folder)));
	snprintf(name.sun_path, sizeof name.sun_path, "%s/%0*d", folder,
	    (int)(sizeof name.sun_path - strlen(folder) - 2), 0);
	assert_int_equal(strlen(name.sun_path), sizeof name.sun_path - 1);
	assert_int_equal(bind(local, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(local, 16), 0);
	world_make(port, port);
	mem_free(w.addresses[0]);
	w.addresses[0] = mem_print("unix:%s", name.sun_path);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	assert_string_equal(world_status().address, w.addresses[0]);
	conn = world_take_conn();
	assert_true(conn != 0);
	upstream_unused(w.upstream, conn);
	table_conn_close(&w.table, conn);
	RUN_UNTIL(1000, world_status().warm == 1);
	assert_string_equal(world_status().address, w.addresses[1]);
	close(local);
	close(listener);
	unlink(name.sun_path);
	rmdir(folder);
	world_end();
}

static void
rolls_are_even_and_odd(void **state)
{
	unsigned odd = 0, rolls = 1000;

	(void)state;
	for (unsigned i = 0; i < rolls; i++) {
		uint32_t roll = machine_roll(NULL);

		assert_true(roll != DELAY_EXACT);
		odd += roll & 1;
	}
	assert_in_range(odd, rolls / 3, rolls - rolls / 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connected_one_connects_to_the_new_place),
		cmocka_unit_test(nothing_happens_when_the_upstream_part_is_the_same),
		cmocka_unit_test(a_waiting_one_tries_at_once_and_who_waits_is_answered),
		cmocka_unit_test(a_look_up_under_way_is_begun_again),
		cmocka_unit_test(an_operators_look_up_is_told_so),
		cmocka_unit_test(an_aborted_one_starts_anew),
		cmocka_unit_test(what_an_operator_ended_stays_so),
		cmocka_unit_test(a_new_worker_connects_anew_if_the_dead_one_did_not),
		cmocka_unit_test(what_is_given_up_on_purpose_is_no_outage),
		cmocka_unit_test(the_reason_of_an_end_outlives_the_look),
		cmocka_unit_test(a_copy_that_ends_young_ones_is_tried_last),
		cmocka_unit_test(rolls_are_even_and_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
