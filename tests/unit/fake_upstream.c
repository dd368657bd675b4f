#include "fake_upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keep_side.h"

struct remote remote;

uint32_t
upstream_take(struct upstream *upstream)
{
	(void)upstream;
	return remote.take();
}

void
upstream_taken(struct upstream *upstream, uint32_t conn)
{
	(void)upstream;
	assert_true(conn != 0);
	remote.taken++;
}

uint32_t
upstream_shared(const struct upstream *upstream)
{
	(void)upstream;
	return 0;
}

void
upstream_tell(struct upstream *upstream, enum pconn_event event)
{
	(void)upstream;
	assert_int_equal(event, PCONN_ANSWERED);
	remote.answered++;
}

void
upstream_unused(struct upstream *upstream, uint32_t conn)
{
	const struct table_conn *record = &remote.table->conns[conn];

	(void)upstream;
	assert_true(side_is_open(record->fd));
	remote.unused++;
	remote.unused_age = clock_now() - record->since;
}

void
upstream_lost(struct upstream *upstream, const char *reason)
{
	(void)upstream;
	remote.lost++;
	snprintf(remote.reason, sizeof remote.reason, "%s", reason);
}

void
upstream_set_held(struct upstream *upstream, unsigned held)
{
	(void)upstream;
	remote.held = held;
}

bool
upstream_refuses(const struct upstream *upstream)
{
	(void)upstream;
	return remote.refuses;
}

bool
upstream_is_up(const struct upstream *upstream)
{
	(void)upstream;
	return remote.up;
}

struct own *
upstream_own_start(struct upstream *upstream, const char *const *requests, size_t count, const char *first)
{
	(void)first;
	(void)upstream;
	(void)requests;
	(void)count;
	return NULL;
}

bool
upstream_moves(const struct upstream *upstream)
{
	(void)upstream;
	return false;
}

void
upstream_let_go(struct upstream *upstream, bool lets)
{
	(void)upstream;
	remote.let_go += lets;
}
