/* relay_flow.h - a session under a relay, its far ends, and the streams that pass. */
#ifndef HOLDFAST_TESTS_RELAY_RING_H
#define HOLDFAST_TESTS_RELAY_RING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/relay.h"
#include "keep/recover.h"
#include "keep_side.h"

#define LIMIT (10 * CLOCK_SECOND)
#define MANY  200

/* A session, its far ends, and what has passed. */
struct ring {
	struct relay relay;
	uint32_t session;
	int client, upstream;       /* far ends; -1 once closed */
	int near_upstream;
	unsigned attached, upstream_ended, ended;
	uint64_t sent[2], received[2], to_send[2];
	bool finished[2];           /* shut down behind the last byte */
	bool at_end[2];             /* the end was read */
	bool deaf[2];               /* nothing is read for now */
	unsigned wrong;
};

static struct event_base *loop;
static struct table table;
static struct ring ring;

static inline void
on_ended(struct ring *f)
{
	f->ended++;
	relay_stop(&f->relay);
	table_client_close(&table, f->session);
}

/* As the client of a relay does it. */
static inline void
ring_follow(struct ring *f, enum relay_result result)
{
	f->attached = f->relay.attached;
	if (result == RELAY_UPSTREAM_ENDED) {
		f->upstream_ended++;
		result = relay_pass_on(&f->relay);
	}
	if (result == RELAY_ENDED)
		on_ended(f);
}

static inline void
ring_on_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	ring_follow(arg, relay_work(&((struct ring *)arg)->relay, TABLE_UP, what));
}

static inline void
ring_on_down(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	ring_follow(arg, relay_work(&((struct ring *)arg)->relay, TABLE_DOWN, what));
}

static const event_callback_fn ring_events[2] = { ring_on_up, ring_on_down };

static inline void
ring_begin(struct ring *f, bool tcp)
{
	int client[2], upstream[2];

	memset(f, 0, sizeof *f);
	side_pair(client);
	if (tcp)
		side_tcp_pair(upstream);
	else
		side_pair(upstream);
	f->client = client[1];
	f->upstream = upstream[1];
	f->near_upstream = upstream[0];
	f->session = side_session(&table, client[0], upstream[0]);
	relay_init(&f->relay, loop, &table, f->session, ring_events, f);
	relay_start(&f->relay);
}

static inline void
ring_end(struct ring *f)
{
	if (f->ended == 0 && f->session != 0)
		on_ended(f);
	if (f->client != -1)
		close(f->client);
	if (f->upstream != -1)
		close(f->upstream);
}

static inline int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as every worker does: splice() has no MSG_NOSIGNAL */
	loop = loop_new();
	memset(&ring, 0, sizeof ring);
	ring.client = ring.upstream = -1;
	return table_new(2 * MANY + 10, &table);
}

static inline int
tear_down(void **state)
{
	(void)state;
	ring_end(&ring);
	loop_free(loop);
	table_free(&table);
	return 0;
}

/* Moves a piece of the far ends' bytes of one direction; false if nothing moved. */
static inline bool
ring_move_piece(struct ring *f, enum table_direction d)
{
	int from = d == TABLE_UP ? f->client : f->upstream, to = d == TABLE_UP ? f->upstream : f->client;
	uint64_t seed = f->session * 2 + (uint64_t)d, before = f->sent[d] + f->received[d];
	long n;

	if (f->sent[d] < f->to_send[d])
		f->sent[d] += side_write(from, seed, f->sent[d], f->to_send[d] - f->sent[d]);
	if (f->sent[d] == f->to_send[d] && !f->finished[d]) {
		f->finished[d] = true;
		shutdown(from, SHUT_WR);
	}
	if (!f->deaf[d] && !f->at_end[d]) {
		n = side_read(to, seed, f->received[d], 16384, &f->wrong);
		f->at_end[d] = n == -1;
		f->received[d] += n > 0 ? (uint64_t)n : 0;
	}
	return f->sent[d] + f->received[d] != before;
}

/* Gives whether all have come, with their end. */
static inline bool
ring_move(struct ring *f, enum table_direction d)
{
	for (int pieces = 0; pieces < 32 && ring_move_piece(f, d); pieces++)
		;
	return f->at_end[d] && f->received[d] == f->to_send[d];
}

static inline bool
ring_exchange(void *arg)
{
	bool up = ring_move(arg, TABLE_UP), down = ring_move(arg, TABLE_DOWN);

	return up && down && ((struct ring *)arg)->ended == 1;
}

static inline bool
ring_up_is_through(void *arg)
{
	return ring_move(arg, TABLE_UP);
}

static inline bool
ring_down_is_through(void *arg)
{
	return ring_move(arg, TABLE_DOWN);
}

static inline bool
ring_is_over(void *arg)
{
	return ((struct ring *)arg)->ended > 0;
}

/* Both kinds of upstream. */
static inline void
with_both(void (*story)(void))
{
	for (int tcp = 0; tcp < 2; tcp++) {
		ring_begin(&ring, tcp != 0);
		story();
		ring_end(&ring);
		memset(&ring, 0, sizeof ring);
		ring.client = ring.upstream = -1;
		assert_int_equal(table.header->handling, 0);
	}
}

static inline void
assert_rest(void)
{
	side_turns(loop, 20 * CLOCK_MILLISECOND); /* what is on its way comes */
	assert_in_range(side_turns(loop, 50 * CLOCK_MILLISECOND), 0, 5);
}

#endif
