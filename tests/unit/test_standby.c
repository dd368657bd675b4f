/* test_standby.c - an upstream in shared mode with connections to other copies that are kept ready. */
#include "upstream_world.h"
#include "temporary.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upstream/record.h"

static int listener[2];
static uint16_t port[2];

static void
prepare(unsigned standby)
{
	world_make(port[0], port[1]);
	w.settings.shared = true;
	w.settings.standby = standby;
	w.settings.pconn.retry.delay = 100 * CLOCK_MILLISECOND;
	w.lends = true;
}

/* Two copies; connected to the first, the second ready. */
static void
begin(void)
{
	world_listen_twice(listener, port);
	prepare(1);
	world_begin();
	RUN_UNTIL(1000, w.lent != 0 && world_status().standby == 1);
}

static void
end(void)
{
	if (w.lent != 0)
		world_close_lent();
	world_end();
	close(listener[0]);
	close(listener[1]);
}

static void
turn_for(int64_t span)
{
	for (int64_t limit = clock_now() + span; clock_now() < limit;)
		world_turn();
}

/* Which copy a connection goes to. */
static int
copy_of(int fd)
{
	struct sockaddr_in name;
	socklen_t length = sizeof name;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&name, &length), 0);
	return ntohs(name.sin_port) == port[0] ? 0 : ntohs(name.sin_port) == port[1] ? 1 : -1;
}

static int
lent_copy(void)
{
	return copy_of(w.table.conns[w.lent].fd);
}

static bool
can_accept(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

/* How many connections have come to a copy since the last time; they are closed if told so. */
static unsigned
came_to(int i, bool closes)
{
	unsigned count = 0;
	int fd;

	while (can_accept(listener[i])) {
		fd = world_accept(listener[i]);
		if (closes)
			close(fd);
		count++;
	}
	return count;
}

static void
lose(void)
{
	world_close_lent();
	upstream_lost(w.upstream, "it died");
}

static void
a_ready_one_takes_over_in_the_same_turn(void **state)
{
	(void)state;
	begin();
	assert_int_equal(lent_copy(), 0);
	lose();
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	assert_true(w.lent != 0);
	assert_int_equal(lent_copy(), 1);
	assert_int_equal(w.table.conns[w.lent].role, TABLE_ROLE_SHARED);
	assert_string_equal(w.events, "Ta+-Ta+");
	assert_int_equal(world_status().counters.outages, 1);
	assert_int_equal(world_status().counters.connects, 2);
	assert_int_equal(world_status().counters.disconnects, 1);
	assert_int_equal(world_status().counters.attempts, 1); /* nothing was looked up or dialled for it */
	assert_int_equal(world_status().down_since, 0);
	assert_int_equal(strtoul(strrchr(world_status().address, ':') + 1, NULL, 10), port[1]);
	RUN_UNTIL(1000, world_status().standby == 1); /* the first copy is well: it stands by now */
	lose();
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	assert_int_equal(lent_copy(), 0);
	assert_string_equal(w.events, "Ta+-Ta+-Ta+");
	end();
}

static void
it_may_be_lent_before_the_machine_is_told(void **state)
{
	(void)state;
	begin();
	w.lends = false;
	lose();
	assert_true(world_lend() != -1); /* in the very call */
	assert_int_equal(lent_copy(), 1);
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0);
	assert_int_equal(w.drops, 0);
	end();
}

static void
p13_there_is_a_connection_all_along(void **state)
{
	(void)state;
	begin();
	lose();
	upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL);
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	RUN_UNTIL(100, strcmp(w.answer, "connected") == 0);
	end();
}

static void
with_one_address_nothing_is_dialled_twice(void **state)
{
	(void)state;
	world_listen_twice(listener, port);
	prepare(2);
	mem_free(w.addresses[1]);
	w.addresses[1] = NULL;
	world_begin();
	RUN_UNTIL(1000, w.lent != 0);
	turn_for(350 * CLOCK_MILLISECOND); /* three delays */
	assert_int_equal(world_status().standby, 0);
	assert_int_equal(came_to(0, false), 1);
	assert_string_equal(w.events, "Ta+");
	end();
}

static void
more_than_there_are_copies_is_no_reason_to_dial_one_twice(void **state)
{
	(void)state;
	world_listen_twice(listener, port);
	prepare(5);
	world_begin();
	RUN_UNTIL(1000, w.lent != 0 && world_status().standby == 1);
	turn_for(350 * CLOCK_MILLISECOND);
	assert_int_equal(came_to(0, false), 1);
	assert_int_equal(came_to(1, false), 1);
	end();
}

static void
one_that_ended_is_replaced_and_never_lent(void **state)
{
	(void)state;
	begin();
	assert_int_equal(came_to(1, true), 1);
	lose();
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	assert_true(w.lent == 0); /* it was looked at first */
	RUN_UNTIL(1000, w.lent != 0 && world_status().standby == 1);
	assert_string_equal(w.events, "Ta+-Ta+");
	assert_in_range(came_to(1, true), 1, 2); /* one may be a look in the background (P31) */
	RUN_UNTIL(1000, world_status().standby == 0);
	RUN_UNTIL(1000, world_status().standby == 1); /* silently */
	assert_string_equal(w.events, "Ta+-Ta+");
	assert_true(w.lent != 0);
	end();
}

static void
it_speaks_hello(void **state)
{
	static char ping[] = "PING\n", pong[] = "+PONG";
	struct hello_step step = { .send = ping, .expect = pong, .timeout = CLOCK_SECOND };
	int first, second;

	(void)state;
	world_listen_twice(listener, port);
	prepare(1);
	w.settings.hello = (struct hello_settings){ .steps = &step, .count = 1 };
	world_begin();
	RUN_UNTIL(1000, can_accept(listener[0]));
	first = world_accept(listener[0]);
	assert_int_equal(write(first, "+PONG\n", 6), 6);
	RUN_UNTIL(1000, can_accept(listener[1]));
	second = world_accept(listener[1]);
	turn_for(20 * CLOCK_MILLISECOND);
	assert_int_equal(world_status().standby, 0);
	assert_int_equal(write(second, "+PONG\n", 6), 6);
	RUN_UNTIL(1000, world_status().standby == 1);
	close(first);
	close(second);
	end();
}

static void
a_renewal_a_reconnect_and_an_end_drop_them(void **state)
{
	int64_t limit;

	(void)state;
	begin();
	assert_int_equal(came_to(0, false) + came_to(1, false), 2);
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, w.drops == 1 && w.lent != 0 && world_status().standby == 1);
	assert_int_equal(came_to(0, false) + came_to(1, false), 2);
	upstream_renew(w.upstream, &w.settings, true);
	RUN_UNTIL(1000, w.drops == 2 && w.lent != 0 && world_status().standby == 1);
	assert_int_equal(came_to(0, false) + came_to(1, false), 2);
	assert_string_equal(w.events, "Ta+-Ta+-Ta+");
	upstream_tell(w.upstream, PCONN_DRAIN);
	RUN_UNTIL(1000, world_status().standby == 0);
	lose();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_DRAINED);
	upstream_tell(w.upstream, PCONN_OPEN);
	RUN_UNTIL(1000, w.lent != 0 && world_status().standby == 1);
	upstream_tell(w.upstream, PCONN_CLOSE);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_CLOSED);
	assert_int_equal(world_status().standby, 0);
	limit = clock_now() + 250 * CLOCK_MILLISECOND;
	came_to(0, true);
	came_to(1, true);
	while (clock_now() < limit)
		world_turn();
	assert_int_equal(came_to(0, true) + came_to(1, true), 0);
	end();
}

static void
p26_a_new_worker_keeps_them(void **state)
{
	(void)state;
	begin();
	world_die();
	world_begin();
	turn_for(50 * CLOCK_MILLISECOND);
	assert_int_equal(world_status().standby, 1);
	assert_true(upstream_shared(w.upstream) != 0);
	assert_string_equal(w.events, "");
	assert_int_equal(came_to(0, false), 1);
	assert_int_equal(came_to(1, false), 1);
	lose();
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	assert_int_equal(lent_copy(), 1);
	assert_string_equal(w.events, "-Ta+");
	end();
}

static void
p26_a_loss_that_the_dead_worker_did_not_tell_is_a_takeover(void **state)
{
	(void)state;
	begin();
	world_close_lent();
	world_die();
	world_begin();
	RUN_UNTIL(1000, strcmp(w.events, "-Ta+") == 0);
	assert_int_equal(lent_copy(), 1);
	end();
}

static void
p26_a_new_workers_early_loss_is_a_takeover(void **state)
{
	(void)state;
	begin();
	world_die();
	world_begin();
	lose();
	RUN_UNTIL(1000, strcmp(w.events, "-Ta+") == 0);
	assert_int_equal(lent_copy(), 1);
	end();
}

/* The dead worker had given the standby to its borrower, or not yet, but had not told the machine. */
static void
p26_a_takeover_that_the_machine_was_not_told_of_is_told(void **state)
{
	(void)state;
	for (int lent = 0; lent < 2; lent++) {
		begin();
		w.lends = false;
		lose();
		if (lent)
			assert_true(world_lend() != -1);
		world_die();
		w.lends = true;
		world_begin();
		RUN_UNTIL(1000, strcmp(w.events, "-Ta+") == 0 && w.lent != 0);
		assert_int_equal(lent_copy(), 1);
		assert_int_equal(w.table.conns[w.lent].role, TABLE_ROLE_SHARED);
		assert_int_equal(strtoul(strrchr(world_status().address, ':') + 1, NULL, 10), port[1]);
		end();
	}
}

/* P9: the handler takes its time, the connection is used all the while. */
static void
p9_each_event_waits_for_the_handler_of_the_one_before(void **state)
{
	char path[TEMPORARY_SIZE];
	int fd = mkstemp(temporary_name(path));

	(void)state;
	assert_true(fd != -1);
	assert_int_equal(write(fd, "#!/bin/sh\nsleep 0.05\n", 21), 21);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	world_listen_twice(listener, port);
	prepare(1);
	w.settings.on_event = mem_copy_text(path);
	world_begin();
	RUN_UNTIL(2000, w.lent != 0 && world_status().standby == 1);
	lose(); /* P10: the handler of connected may still run */
	event_base_loop(w.loop, EVLOOP_NONBLOCK);
	assert_int_equal(lent_copy(), 1);
	RUN_UNTIL(2000, strcmp(w.events, "Ta+-Ta") == 0);
	lose(); /* before it was reported as connected */
	RUN_UNTIL(3000, strstr(w.events, "F") != NULL || strcmp(w.events, "Ta+-Taa+") == 0);
	RUN_UNTIL(3000, w.lent != 0 && w.events[strlen(w.events) - 1] == '+');
	unlink(path);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ready_one_takes_over_in_the_same_turn),
		cmocka_unit_test(it_may_be_lent_before_the_machine_is_told),
		cmocka_unit_test(p13_there_is_a_connection_all_along),
		cmocka_unit_test(with_one_address_nothing_is_dialled_twice),
		cmocka_unit_test(more_than_there_are_copies_is_no_reason_to_dial_one_twice),
		cmocka_unit_test(one_that_ended_is_replaced_and_never_lent),
		cmocka_unit_test(it_speaks_hello),
		cmocka_unit_test(a_renewal_a_reconnect_and_an_end_drop_them),
		cmocka_unit_test(p26_a_new_worker_keeps_them),
		cmocka_unit_test(p26_a_loss_that_the_dead_worker_did_not_tell_is_a_takeover),
		cmocka_unit_test(p26_a_new_workers_early_loss_is_a_takeover),
		cmocka_unit_test(p26_a_takeover_that_the_machine_was_not_told_of_is_told),
		cmocka_unit_test(p9_each_event_waits_for_the_handler_of_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
