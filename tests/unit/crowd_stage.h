/* crowd_stage.h - a service's clients over a remote side that is played here. */
#ifndef HOLDFAST_TESTS_CROWD_STAGE_H
#define HOLDFAST_TESTS_CROWD_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "client/crowd.h"
#include "keep/recover.h"
#include "keep_side.h"

#define READY 16

static struct event_base *loop;
static struct table table;
static struct crowd *crowd;
static struct crowd_settings settings;
static int listener;

/* The remote side: connections that are ready, and what it was told. */
static struct {
	uint32_t conn[READY];
	int far[READY];
	unsigned ready, taken, tuned, attached, unused, held, ended;
	int64_t unused_age;
	bool refuses, up;
} remote;

static inline uint32_t
on_take(void *arg)
{
	(void)arg;
	return remote.taken == remote.ready ? 0 : remote.conn[remote.taken];
}

static inline void
on_taken(void *arg, uint32_t conn)
{
	(void)arg;
	assert_int_equal(conn, remote.conn[remote.taken]);
	remote.taken++;
}

static inline void
on_tune(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	remote.tuned++;
}

static inline void
on_heed(void *arg, uint32_t conn, uint32_t active)
{
	(void)arg;
	(void)conn;
	(void)active;
}

static inline void
on_attached(void *arg)
{
	(void)arg;
	remote.attached++;
}

static inline void
on_unused(void *arg, uint32_t conn)
{
	(void)arg;
	assert_true(side_is_open(table.conns[conn].fd));
	remote.unused++;
	remote.unused_age = clock_now() - table.conns[conn].since;
}

static inline void
on_held(void *arg, unsigned held)
{
	(void)arg;
	remote.held = held;
}

static inline bool
on_refuses(void *arg)
{
	(void)arg;
	return remote.refuses;
}

static inline bool
on_is_up(void *arg)
{
	(void)arg;
	return remote.up;
}

static inline void
on_ended(void *arg)
{
	(void)arg;
	remote.ended++;
}

static const struct crowd_callbacks callbacks = {
	.take = on_take, .taken = on_taken, .tune = on_tune, .heed = on_heed, .attached = on_attached,
	.unused = on_unused, .held = on_held, .refuses = on_refuses, .is_up = on_is_up, .ended = on_ended,
};

static inline void
begin(void)
{
	crowd = crowd_new(loop, &table, 0, &settings, false, NULL, &callbacks, NULL);
	crowd_listen(crowd, listener);
	crowd_serve(crowd);
}

static inline int
set_up(void **state)
{
	(void)state;
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	if (table_new(50, &table) < 0)
		return -1;
	loop = loop_new();
	memset(&remote, 0, sizeof remote);
	settings = (struct crowd_settings){ .max_held = 10, .max_clients = 20 };
	listener = side_listener(&table);
	begin();
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	crowd_close(crowd, CLOSING_OPERATOR, true);
	crowd_finish(crowd);
	crowd_free(crowd);
	close(listener);
	loop_free(loop);
	for (unsigned i = 0; i < remote.ready; i++) {
		close(remote.far[i]);
		if (i >= remote.taken)
			recover_close_conn(&table, remote.conn[i]);
	}
	table_free(&table);
	return 0;
}

static inline void
settle(void)
{
	side_turns(loop, 10 * CLOCK_MILLISECOND);
}

/* A further connection is ready; its far end. */
static inline int
bring(void)
{
	int pair[2];

	side_pair(pair);
	remote.conn[remote.ready] = side_conn(&table, TABLE_READY, pair[0]);
	remote.far[remote.ready] = pair[1];
	return remote.far[remote.ready++];
}

static inline int
come(void)
{
	int fd = side_connect(&table);

	settle();
	return fd;
}

static inline void
hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR); /* it is closed at the end of all */
	settle();
}

static const struct table_counters *
counters(void)
{
	return &table.services[0].counters;
}

#endif
