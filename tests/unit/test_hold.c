/* Who waits: the order of places, and each one's end of waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/hold.h"
#include "keep_side.h"

#define WAITING 4
#define TIMEOUT (50 * CLOCK_MILLISECOND)

static struct event_base *loop;
static struct table table;
static struct session_slab slab;
static struct hold *hold;
static struct session *session[WAITING];
static unsigned expired;
static uint32_t last_expired;

static void
on_expired(void *arg, struct session *s)
{
	(void)arg;
	expired++;
	last_expired = s->index;
	hold_remove(hold, s);
}

static int
set_up(void **state)
{
	static const struct session_callbacks none;

	(void)state;
	if (table_new(20, &table) < 0)
		return -1;
	loop = loop_new();
	session_slab_init(&slab);
	expired = 0;
	hold = hold_new(loop, TIMEOUT, on_expired, NULL);
	for (int i = 0; i < WAITING; i++)
		session[i] = session_new(&slab, loop, &table, side_client(&table, -1), &none, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	hold_free(hold);
	for (int i = 0; i < WAITING; i++)
		session_free(session[i]);
	session_slab_clear(&slab);
	loop_free(loop);
	table_free(&table);
	return 0;
}

static void
places_are_by_arrival_whoever_is_added_when(void **state)
{
	static const int order[WAITING] = { 2, 0, 3, 1 };
	struct session *s;
	int i = 0;

	(void)state;
	for (int n = 0; n < WAITING; n++)
		hold_add(hold, session[order[n]]);
	assert_int_equal(hold_count(hold), WAITING);
	for (s = hold_first(hold); s != NULL; s = hold_next(s))
		assert_ptr_equal(s, session[i++]);
	hold_remove(hold, session[0]);
	assert_ptr_equal(hold_first(hold), session[1]);
}

static void
all_are_expired_in_time_and_not_before(void **state)
{
	int64_t begin = clock_now();

	(void)state;
	for (int i = 0; i < WAITING; i++) {
		session_record(session[i])->since = begin;
		hold_add(hold, session[i]);
	}
	while (expired == 0 && clock_now() < begin + 5 * CLOCK_SECOND)
		side_turns(loop, CLOCK_MILLISECOND);
	assert_true(clock_now() - begin >= TIMEOUT);
	assert_int_equal(expired, WAITING);
	assert_int_equal(hold_count(hold), 0);
}

/* Who was put back began to wait later, but stands further ahead. */
static void
one_with_a_later_end_further_ahead_keeps_nobody_waiting(void **state)
{
	(void)state;
	session_record(session[0])->since = clock_now() + 10 * CLOCK_SECOND;
	session_record(session[1])->since = clock_now() - TIMEOUT;
	hold_add(hold, session[0]);
	hold_add(hold, session[1]);
	hold_set_timeout(hold, TIMEOUT);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 1);
	assert_int_equal(last_expired, session[1]->index);
	assert_ptr_equal(hold_first(hold), session[0]);
}

static void
a_client_that_had_been_attached_waits_without_end(void **state)
{
	(void)state;
	session_record(session[0])->bytes[TABLE_DOWN] = 1;
	session_record(session[0])->since = 1;
	session_record(session[1])->since = 1;
	hold_add(hold, session[0]);
	hold_add(hold, session[1]);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 1);
	assert_int_equal(last_expired, session[1]->index);
}

static void
without_a_limit_nobody_expires_until_there_is_one(void **state)
{
	(void)state;
	hold_set_timeout(hold, 0);
	session_record(session[0])->since = 1;
	hold_add(hold, session[0]);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 0);
	hold_set_timeout(hold, TIMEOUT);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 1);
}

static void
the_longest_wait_is_told(void **state)
{
	(void)state;
	assert_int_equal(hold_longest(hold), 0);
	session_record(session[0])->since = clock_now();
	session_record(session[1])->since = clock_now() - 10 * CLOCK_SECOND;
	hold_add(hold, session[0]);
	hold_add(hold, session[1]);
	assert_in_range(hold_longest(hold), 10 * CLOCK_SECOND, 11 * CLOCK_SECOND);
}

/* A new worker adds them in the order of the table. */
static void
whoever_is_added_last_may_be_the_first_to_expire(void **state)
{
	(void)state;
	session_record(session[0])->since = clock_now() + 10 * CLOCK_SECOND;
	session_record(session[1])->since = clock_now() - TIMEOUT;
	hold_add(hold, session[0]);
	hold_add(hold, session[1]);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 1);
	assert_int_equal(last_expired, session[1]->index);
	hold_remove(hold, session[0]);
	session_record(session[2])->since = clock_now() - TIMEOUT;
	hold_add(hold, session[2]); /* none waited, so no timer ran */
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	assert_int_equal(expired, 2);
}

static void
a_wait_is_limited_by_the_time_out_unless_it_is_for_a_reconnect(void **state)
{
	(void)state;
	session_record(session[1])->bytes[TABLE_DOWN] = 1;
	assert_true(hold_is_limited(hold, session[0]));
	assert_false(hold_is_limited(hold, session[1]));
	hold_set_timeout(hold, 0);
	assert_false(hold_is_limited(hold, session[0]));
}

static void
nobody_expires_in_a_pause_and_the_time_begins_anew_after_it(void **state)
{
	int64_t end;

	(void)state;
	hold_pause(hold, true, 0);
	session_record(session[0])->since = clock_now() - 3 * TIMEOUT;
	hold_add(hold, session[0]);
	assert_false(hold_is_limited(hold, session[0]));
	side_turns(loop, 2 * TIMEOUT);
	assert_int_equal(expired, 0);
	end = clock_now();
	hold_pause(hold, false, end);
	assert_true(hold_longest(hold) >= 3 * TIMEOUT);
	while (expired == 0 && clock_now() < end + 5 * CLOCK_SECOND)
		side_turns(loop, CLOCK_MILLISECOND);
	assert_int_equal(expired, 1);
	assert_true(clock_now() >= end + TIMEOUT);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(places_are_by_arrival_whoever_is_added_when),
		ROW(all_are_expired_in_time_and_not_before),
		ROW(one_with_a_later_end_further_ahead_keeps_nobody_waiting),
		ROW(a_client_that_had_been_attached_waits_without_end),
		ROW(without_a_limit_nobody_expires_until_there_is_one),
		ROW(the_longest_wait_is_told),
		ROW(whoever_is_added_last_may_be_the_first_to_expire),
		ROW(nobody_expires_in_a_pause_and_the_time_begins_anew_after_it),
		ROW(a_wait_is_limited_by_the_time_out_unless_it_is_for_a_reconnect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
