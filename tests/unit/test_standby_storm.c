/* test_standby_storm.c - an upstream in shared mode with a standby: anything at any time. */
#include "upstream_world.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener[2];
static uint16_t port[2];

static void
end(void)
{
	if (w.lent != 0)
		world_close_lent();
	world_end();
	close(listener[0]);
	close(listener[1]);
}

static bool
can_accept(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

/* Ends the connections that have come to a copy. */
static void
hang_up(int i)
{
	while (can_accept(listener[i]))
		close(world_accept(listener[i]));
}

static void
lose(void)
{
	world_close_lent();
	upstream_lost(w.upstream, "it died");
}

static struct {
	bool connected, outage, obtained, opened;
	unsigned counts[128];
} heard;

/* P7, P10, whatever happened: reads the events since the last time. */
static void
check_order(void)
{
	for (const char *c = w.events; *c != '\0'; c++) {
		bool right = *c == '+' ? !heard.connected && heard.outage && heard.obtained :
		    *c == '-' ? heard.connected : *c == 'T' ? !heard.connected && (!heard.outage || heard.opened) :
		    *c == 'a' ? heard.outage : heard.outage && !heard.connected;

		if (!right)
			fail_msg("event %ld of %s", (long)(c - w.events), w.events);
		heard.connected = *c == '+' || (heard.connected && *c != '-');
		heard.outage = *c == 'T' || (heard.outage && *c != '+');
		heard.obtained = *c == 'a' || (heard.obtained && *c != 'T');
		heard.opened = heard.opened && *c != 'T';
		heard.counts[(unsigned char)*c]++;
	}
	memset(w.events, 0, sizeof w.events);
}

static void
do_anything(unsigned number)
{
	if (number < 40 && w.lent != 0) {
		lose();
	} else if (number < 50) {
		hang_up(0);
	} else if (number < 60) {
		hang_up(1);
	} else if (number < 63) {
		upstream_tell(w.upstream, PCONN_RECONNECT);
	} else if (number < 66) {
		upstream_renew(w.upstream, &w.settings, true);
	} else if (number < 68) {
		upstream_tell(w.upstream, PCONN_CLOSE);
	} else if (number < 70) {
		upstream_tell(w.upstream, PCONN_DRAIN);
	} else if (number < 80) {
		upstream_tell(w.upstream, PCONN_OPEN);
		heard.opened = true;
	} else if (number < 84) {
		check_order();
		world_die();
		world_begin();
		heard.opened = true; /* no operator has said that it stays closed */
	}
}

/* Anything at any time: the events stay in order, what is lent is known to the upstream, and nothing is left behind.
 * */
static void
a_storm_keeps_order(void **state)
{
	int64_t limit = clock_now() + 2 * CLOCK_SECOND;
	unsigned deaths = 0, number;

	(void)state;
	srand(1);
	memset(&heard, 0, sizeof heard);
	world_listen_twice(listener, port);
	world_make(port[0], port[1]);
	w.settings.shared = w.lends = true;
	w.settings.standby = 1;
	w.settings.pconn.retry.delay = 5 * CLOCK_MILLISECOND;
	w.settings.pconn.spread = CLOCK_MILLISECOND;
	world_begin();
	while (clock_now() < limit) {
		number = (unsigned)rand() % 100;
		deaths += number >= 80 && number < 84;
		if (deaths < 200 || number < 80)
			do_anything(number);
		event_base_loop(w.loop, EVLOOP_NONBLOCK);
		if (rand() % 3 == 0)
			world_turn();
		check_order();
		assert_int_equal(upstream_shared(w.upstream), w.lent);
		if (w.lent != 0)
			assert_true(table_conn_is_shared(&w.table, w.lent));
	}
	assert_true(heard.counts['+'] > 20);
	upstream_tell(w.upstream, PCONN_OPEN);
	heard.opened = true;
	RUN_UNTIL(2000, w.lent != 0);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storm_keeps_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
