/* upstream_world.h - an upstream with a table of its own, for test_upstream*.c and test_handlers.c. */
#ifndef TESTS_UNIT_UPSTREAM_WORLD_H
#define TESTS_UNIT_UPSTREAM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/recover.h"
#include "upstream/upstream.h"

#define SERVICE 3

/* A service, and what its upstream said. */
struct world {
	struct event_base *loop;
	struct table table;
	struct upstream_settings settings;
	struct upstream *upstream;
	char *addresses[3];
	char events[512];   /* letters: T a F + -, in order */
	char error[512];    /* of the last event */
	unsigned ready, drops;
	uint32_t lent;      /* the record that a shared service would have */
	bool lends;         /* it lends whatever is ready at once */
	unsigned lends_seen;
	const char *answer; /* of a waiter: "none" before, "connected", or the error */
	char answer_text[512];
};

extern struct world w;

/* A listener on a free port of loopback, or on the one given. */
int world_listen(uint16_t *port);

/* Listeners on two free ports. */
void world_listen_twice(int ret_listeners[2], uint16_t ret_ports[2]);

/* Accepts, waiting a while. */
int world_accept(int listener);

/* All but the upstream, for one address or two; then the upstream; and the end of all. */
void world_make(uint16_t first, uint16_t second);
void world_begin(void);
void world_end(void);

/* One turn of the loop, of 5 ms at most. */
void world_turn(void);

struct upstream_status world_status(void);

/* A client takes a connection; 0: there is none.  Without a record of its own, so that it is to be ended with
 * table_conn_close(). */
uint32_t world_take_conn(void);

/* The same, but only its file stays, the caller's; -1: there is none. */
int world_take(void);

/* What a shared service does with one: it lends it, and closes it when it has ended.  A dropped one is closed. */
int world_lend(void);
void world_close_lent(void);

/* The worker dies: its table and files stay.  world_begin() is the next one's. */
void world_die(void);

/* Of a waiter: w.answer. */
void world_on_answer(void *arg, const char *error);

/* Runs the loop until the condition holds, at most so many milliseconds. */
#define RUN_UNTIL(ms, condition) \
	do { \
		int64_t end_ = clock_now() + (ms) * CLOCK_MILLISECOND; \
		while (!(condition) && clock_now() < end_) \
			world_turn(); \
		if (!(condition)) \
			fail_msg("not within %d ms: %s; events %s, state %s, error %s", (int)(ms), #condition, \
			    w.events, upstream_state_name(world_status().state), world_status().last_error); \
	} while (0)

#endif
