/* clients_stage.h - a service's clients over a remote side that is played here. */
#ifndef HOLDFAST_TESTS_CLIENTS_STAGE_H
#define HOLDFAST_TESTS_CLIENTS_STAGE_H

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
#include "client/clients.h"
#include "client/listener.h"
#include "keep/recover.h"
#include "fake_upstream.h"
#include "keep_side.h"

#define READY 16

static struct event_base *loop;
static struct table table;
static struct clients *clients;
static struct listeners_settings listeners = { .count = 1 };
static struct clients_settings settings;
static const struct conn_settings dial = { .keepalive_idle = 0 };
static int listener;

/* The remote side's connections that are ready, and their far ends; and how many clients have ended. */
static struct {
	uint32_t conn[READY];
	int far[READY];
	unsigned ready, ended;
} side;

static inline uint32_t
take(void)
{
	return remote.taken == side.ready ? 0 : side.conn[remote.taken];
}

static inline void
on_ended(void *arg)
{
	(void)arg;
	side.ended++;
}

static inline void
begin(void)
{
	clients = clients_new(loop, &table, 0, &settings, false, NULL, NULL, on_ended, NULL);
	clients_listen(clients, 0, listener, false);
	clients_serve(clients);
}

static inline int
set_up(void **state)
{
	(void)state;
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	if (table_new(50, &table) < 0)
		return -1;
	loop = loop_new();
	memset(&side, 0, sizeof side);
	remote = (struct remote){ .table = &table, .take = take };
	settings = (struct clients_settings){ .max_held = 10, .max_clients = 20, .dial = &dial,
		.listeners = &listeners };
	listener = side_listener(&table);
	begin();
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	clients_close(clients, CLOSING_OPERATOR, true);
	clients_finish(clients);
	clients_free(clients);
	close(listener);
	loop_free(loop);
	for (unsigned i = 0; i < side.ready; i++) {
		close(side.far[i]);
		if (i >= remote.taken)
			table_conn_close(&table, side.conn[i]);
	}
	table_free(&table);
	return 0;
}

static inline void
settle(void)
{
	side_settle(loop);
}

/* A further connection is ready; its far end. */
static inline int
bring(void)
{
	int pair[2];

	side_pair(pair);
	side.conn[side.ready] = side_conn(&table, TABLE_READY, pair[0]);
	side.far[side.ready] = pair[1];
	return side.far[side.ready++];
}

static inline int
come(void)
{
	int fd = side_connect(&table);

	settle();
	return fd;
}

/* So much later, as far as the clients know. */
static inline void
after(int64_t span)
{
	clients_look(clients, clock_now() + span);
}

/* Who is held is watched for that after a moment. */
static inline void
leave(int fd)
{
	close(fd);
	after(CLOCK_SECOND);
	settle();
}

static inline void
hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR); /* it is closed at the end of all */
	settle();
}

static inline struct clients_status
status(void)
{
	struct clients_status now;

	clients_get_status(clients, &now);
	return now;
}

static const struct table_counters *
counters(void)
{
	return &table.services[0].counters;
}

#endif
