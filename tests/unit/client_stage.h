/* client_stage.h - a held client, whose session is ours to open with any upstream. */
#ifndef HOLDFAST_TESTS_CLIENT_STAGE_H
#define HOLDFAST_TESTS_CLIENT_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/client.h"
#include "keep/recover.h"
#include "keep_side.h"

static struct event_base *loop;
static struct table table;
static struct client_owner owner;
static struct client *client;
static struct table_client *record;
static int far; /* the far end */
static unsigned answered, upstream_ended, ended, left;
static bool gives_back;
static uint64_t lost;

static inline bool
on_event(void *arg, struct client *c, enum client_event event)
{
	(void)arg;
	switch (event) {
	case CLIENT_OWNS:
	case CLIENT_FREE:
	case CLIENT_BACK:
	case CLIENT_ANSWERED:
		answered++;
		break;
	case CLIENT_UPSTREAM_ENDED:
		upstream_ended++;
		if (gives_back)
			lost = client_return(c);
		return gives_back;
	case CLIENT_LEFT:
		if (!client_has_left(c, false))
			break;
		left++;
		/* fall through */
	case CLIENT_ENDED:
	case CLIENT_HEARD:
		ended++;
		client_close(c);
		client = NULL;
	}
	return false;
}

static inline int
set_up(void **state)
{
	int pair[2];

	(void)state;
	if (table_new(2000, &table) < 0)
		return -1;
	signal(SIGPIPE, SIG_IGN); /* as every worker does: splice() has no MSG_NOSIGNAL */
	loop = loop_new();
	client_owner_init(&owner, loop, &table);
	owner.on_event = on_event;
	answered = upstream_ended = ended = left = 0;
	gives_back = false;
	side_pair(pair);
	far = pair[1];
	client = client_new(&owner, side_client(&table, pair[0]));
	record = client_record(client);
	client_begin(client);
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	client_close(client);
	close(far);
	client_owner_clear(&owner);
	loop_free(loop);
	table_free(&table);
	return 0;
}

static inline void
settle(void)
{
	side_settle(loop);
}

static inline int
open_with(bool tcp)
{
	int pair[2];

	if (tcp)
		side_tcp_pair(pair);
	else
		side_pair(pair);
	client_open(client, side_conn(&table, TABLE_READY, pair[0]));
	return pair[1];
}

#endif
