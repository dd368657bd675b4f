/* test_upstream_lend.c - upstream/upstream in shared mode: the one connection that is lent. */
#include "upstream_world.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "upstream/record.h"

static int listener, server;
static uint16_t port;

static void
begin_shared(void)
{
	port = 0;
	listener = world_listen(&port);
	world_make(port, 0);
	w.settings.shared = true;
	w.settings.pconn.retry.delay = 50 * CLOCK_MILLISECOND;
	w.settings.pconn.warm = 7;
	world_begin();
}

static int
lend(void)
{
	int fd = -1;

	RUN_UNTIL(1000, fd != -1 || (fd = world_lend()) != -1);
	server = world_accept(listener);
	return fd;
}

static void
end_shared(void)
{
	close(server);
	close(listener);
	if (w.lent != 0)
		world_close_lent();
	world_end();
}

static void
turn_for(int64_t span)
{
	int64_t end = clock_now() + span;

	while (clock_now() < end)
		world_turn();
}

static void
one_connection_serves_all_whatever_warm_says(void **state)
{
	int fd, on = 0;
	socklen_t length = sizeof on;

	(void)state;
	begin_shared();
	fd = lend();
	upstream_set_held(w.upstream, 5);
	turn_for(50 * CLOCK_MILLISECOND);
	assert_int_equal(world_lend(), -1);
	assert_string_equal(w.events, "Ta+");
	assert_true(upstream_shared(w.upstream) != 0);
	assert_int_equal(world_status().warm, 0);
	assert_int_equal(world_status().dialling, 0);
	assert_int_equal(world_status().state, UPSTREAM_IS_CONNECTED);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
	assert_true(on);
	assert_true(w.table.conns[w.lent].flags & TABLE_CONN_TUNED);
	end_shared();
}

static void
its_end_is_a_loss_with_the_borrowers_reason(void **state)
{
	(void)state;
	begin_shared();
	lend();
	world_close_lent();
	upstream_lost(w.upstream, "it spoke nonsense");
	upstream_wait(w.upstream, UPSTREAM_WAIT_CONNECTED, world_on_answer, NULL);
	assert_string_equal(w.answer, "none"); /* P13: not the dead one */
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-") == 0);
	assert_string_equal(w.error, "it spoke nonsense");
	assert_string_equal(w.answer, "none");
	close(server);
	lend();
	assert_string_equal(w.events, "Ta+-Ta+");
	assert_int_equal(world_status().counters.outages, 1);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	end_shared();
}

static void
p27_an_unused_one_that_ends_young_is_a_failed_attempt(void **state)
{
	(void)state;
	begin_shared();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	close(world_accept(listener));
	RUN_UNTIL(1000, strncmp(w.events, "Ta+-", 4) == 0);
	assert_int_equal(world_status().failures, 1);
	assert_int_equal(world_status().counters.expiries, 0);
	server = -1;
	end_shared();
}

static void
an_unused_one_that_ends_later_is_a_loss_and_no_expiry(void **state)
{
	(void)state;
	begin_shared();
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	world_die();
	for (uint32_t i = 1; i < w.table.header->conn_high; i++)
		w.table.conns[i].since -= 2 * CLOCK_SECOND;
	world_begin();
	world_turn();
	close(world_accept(listener));
	RUN_UNTIL(1000, strncmp(w.events, "-", 1) == 0);
	assert_int_equal(world_status().failures, 0);
	assert_int_equal(world_status().counters.expiries, 0);
	server = -1;
	end_shared();
}

static void
p20_a_drain_waits_for_its_end(void **state)
{
	(void)state;
	begin_shared();
	lend();
	upstream_tell(w.upstream, PCONN_DRAIN);
	turn_for(20 * CLOCK_MILLISECOND);
	assert_int_equal(w.drops, 0);
	assert_string_equal(w.events, "Ta+");
	assert_true(upstream_refuses(w.upstream));
	assert_int_equal(world_status().state, UPSTREAM_CLOSING);
	world_close_lent();
	upstream_lost(w.upstream, "nobody needs it");
	RUN_UNTIL(1000, world_status().state == UPSTREAM_DRAINED);
	assert_string_equal(w.events, "Ta+-");
	assert_int_equal(world_status().counters.outages, 0);
	end_shared();
}

static void
p16_a_close_takes_it_back(void **state)
{
	(void)state;
	begin_shared();
	lend();
	upstream_tell(w.upstream, PCONN_CLOSE);
	RUN_UNTIL(1000, world_status().state == UPSTREAM_CLOSED);
	assert_int_equal(w.drops, 1);
	assert_int_equal(upstream_shared(w.upstream), 0);
	assert_string_equal(w.events, "Ta+-");
	end_shared();
}

static void
a_reconnect_or_a_renewal_takes_it_back_for_a_new_one(void **state)
{
	(void)state;
	begin_shared();
	lend();
	upstream_tell(w.upstream, PCONN_RECONNECT);
	RUN_UNTIL(1000, w.drops == 1);
	close(server);
	lend();
	upstream_renew(w.upstream, &w.settings, true);
	RUN_UNTIL(1000, w.drops == 2);
	close(server);
	lend();
	assert_string_equal(w.events, "Ta+-Ta+-Ta+");
	assert_int_equal(world_status().counters.outages, 0);
	end_shared();
}

static void
p26_a_new_worker_finds_it_lent(void **state)
{
	(void)state;
	begin_shared();
	lend();
	world_die();
	world_begin();
	turn_for(20 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "");
	assert_true(upstream_shared(w.upstream) != 0);
	assert_int_equal(w.drops, 0);
	assert_int_equal(world_lend(), -1);
	world_close_lent();
	upstream_lost(w.upstream, "gone");
	RUN_UNTIL(1000, strncmp(w.events, "-", 1) == 0);
	end_shared();
}

static void
a_loss_that_the_dead_worker_did_not_tell_is_told(void **state)
{
	(void)state;
	begin_shared();
	lend();
	world_close_lent();
	world_die();
	world_begin();
	RUN_UNTIL(1000, strncmp(w.events, "-", 1) == 0);
	assert_string_equal(w.error, "it ended while the worker was restarted");
	end_shared();
}

static void
a_new_workers_loss_before_its_upstream_begins_keeps_its_reason(void **state)
{
	(void)state;
	begin_shared();
	lend();
	world_die();
	world_begin();
	world_close_lent();
	upstream_lost(w.upstream, "reset");
	RUN_UNTIL(1000, strncmp(w.events, "-", 1) == 0);
	assert_string_equal(w.error, "reset");
	end_shared();
}

static void
one_that_was_given_up_before_the_death_is_taken_back(void **state)
{
	struct upstream_record *record;

	(void)state;
	begin_shared();
	lend();
	world_die();
	record = record_of(&w.table, SERVICE); /* died between the commit and what it says is to be done */
	record_current(record)->pconn.lost = 1;
	record_current(record)->pconn.state = PCONN_DISCONNECTED;
	world_begin();
	assert_int_equal(w.drops, 0);
	RUN_UNTIL(1000, w.drops == 1);
	end_shared();
}

static void
a_removed_service_leaves_it_to_its_borrower(void **state)
{
	(void)state;
	begin_shared();
	lend();
	upstream_free(w.upstream);
	w.upstream = NULL;
	assert_int_equal(w.drops, 0);
	assert_true(table_conn_is_shared(&w.table, w.lent));
	end_shared();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_connection_serves_all_whatever_warm_says),
		cmocka_unit_test(its_end_is_a_loss_with_the_borrowers_reason),
		cmocka_unit_test(p27_an_unused_one_that_ends_young_is_a_failed_attempt),
		cmocka_unit_test(an_unused_one_that_ends_later_is_a_loss_and_no_expiry),
		cmocka_unit_test(p20_a_drain_waits_for_its_end),
		cmocka_unit_test(p16_a_close_takes_it_back),
		cmocka_unit_test(a_reconnect_or_a_renewal_takes_it_back_for_a_new_one),
		cmocka_unit_test(p26_a_new_worker_finds_it_lent),
		cmocka_unit_test(a_loss_that_the_dead_worker_did_not_tell_is_told),
		cmocka_unit_test(a_new_workers_loss_before_its_upstream_begins_keeps_its_reason),
		cmocka_unit_test(one_that_was_given_up_before_the_death_is_taken_back),
		cmocka_unit_test(a_removed_service_leaves_it_to_its_borrower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
