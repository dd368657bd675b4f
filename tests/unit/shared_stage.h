/* shared_stage.h - a service in shared mode between clients and an upstream that are played here, and a worker that
 * dies between any two turns of the loop.
 *
 * The far ends of clients and upstream are named by records of service 1, so that no sweep closes them.
 */
#ifndef HOLDFAST_TESTS_SHARED_STAGE_H
#define HOLDFAST_TESTS_SHARED_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/mux.h"
#include "keep/recover.h"
#include "fake_upstream.h"
#include "keep_side.h"

/* What a story may look at, and set before world_begin(). */
struct world {
	struct event_base *loop;
	struct table table;
	struct mux *mux;
	struct shared_settings settings; /* line, ordered, stream, no limits to speak of */
	struct resp_connection resp; /* database 0, RESP2 */
	int64_t hold_timeout;
	bool tcp;                /* the upstream is a TCP connection; else Unix */
	bool aborts;             /* abort_on_close */
	bool drains;             /* the connection is given up with the last client */
	unsigned ended;          /* clients whom we have closed */
	int datagrams;           /* where they come from; -1 none */
};
extern struct world world;

/* cmocka's set-up and tear-down of a single test: a world that is not begun yet. */
int world_open(void **state);
int world_close(void **state);

/* The worker begins its work. */
void world_begin(void);

/* A client that has come; its far end. */
int world_come(void);

/* A connection that is ready, and taken; its far end.  Idle until then. */
int world_bring(void);

/* As world_bring(), but it is not told. */
int world_prepare(void);

/* The near end of the connection in use, and of the first client. */
int world_near_upstream(void);
int world_near_client(void);

/* A far end is closed by who has it. */
void world_leave(int fd);

/* The worker dies, and the next one begins. */
void world_die(void);

/* Some turns of the loop, until nothing more is to be done at once.  The worker dies where world_with_deaths() says
 * so. */
void world_settle(void);

/* Time goes by, a millisecond a turn of the loop, though none does outside: clock_now() says what it is.  Or until
 * something is done, for limit at most; false: it is not. */
void world_wait(int64_t span);
bool world_run(bool (*done)(void), int64_t limit);

/* Settles, and looks whether the loop finds nothing more to do. */
bool world_is_idle(void);

/* Settles, and checks what there is to hear: see side_hear(). */
void world_expect(int fd, const char *text);

/* Says, and settles. */
void world_say(int fd, const char *text);

/* The same of a line of so many bytes, its end with them, all of which is taken; and hears one. */
void world_say_long(int fd, size_t length);
void world_hear_long(int fd, size_t length);

/* With this max_message only one request of so many bytes has a place in the queue, and small ones beside it. */
#define WORLD_LONG ((size_t)2 << 20)

/* Runs the story in a new world each time: without a death, with one after each turn of the loop, and with one after
 * every turn.  The world that the test began with is not used. */
void world_with_deaths(void (*story)(void));

/* Buffers that records name, the ring of who is owed aside. */
unsigned world_count_buffers(void);

struct table_shared *world_record(void);

#define WORLD_ROW(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

/* A test of this name that runs the story of the name story_NAME with deaths. */
#define WORLD_STORY(name)                 \
	static void                       \
	name(void **state)                \
	{                                 \
		(void)state;              \
		world_with_deaths(story_##name); \
	}

#endif
