/* What workers' deaths mean: when the next one starts, and when the table is what they die of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "base/clock.h"
#include "keep/deaths.h"

static struct table table;
static struct deaths deaths;
static int64_t now;

static int
set_up(void **state)
{
	(void)state;
	deaths = (struct deaths){ 0 };
	now = CLOCK_SECOND;
	return table_new(10, &table);
}

static int
tear_down(void **state)
{
	(void)state;
	table_free(&table);
	return 0;
}

/* A worker has died so long after its birth, of a signal, or by an exit with 1 (status 256). */
static int64_t
die(int status, int64_t age, bool ready, bool hung)
{
	struct table_death death = { .status = status, .hung = hung, .at = now + age };

	table.header->ready = ready;
	now += age;
	return deaths_note(&deaths, &table, &death, now - age);
}

static void
five_that_die_before_they_serve_have_the_table_given_up(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		die(SIGSEGV, CLOCK_MILLISECOND, false, false);
	assert_int_equal(table.header->damage.give_up, 0);
	die(SIGABRT, CLOCK_MILLISECOND, false, false);
	assert_int_equal(table.header->damage.give_up, 1);
}

static void
two_that_hang_before_they_serve_do_too(void **state)
{
	(void)state;
	die(SIGKILL, 10 * CLOCK_SECOND, false, true);
	assert_int_equal(table.header->damage.give_up, 0);
	die(SIGKILL, 20 * CLOCK_SECOND, false, true);
	assert_int_equal(table.header->damage.give_up, 1);
}

static void
twenty_young_ones_that_had_served_do_too(void **state)
{
	(void)state;
	for (int i = 0; i < 19; i++)
		die(SIGSEGV, CLOCK_SECOND / 2, true, false);
	assert_int_equal(table.header->damage.give_up, 0);
	die(SIGSEGV, CLOCK_SECOND / 2, true, false);
	assert_int_equal(table.header->damage.give_up, 1);
}

static void
one_that_has_served_for_a_second_ends_all_doubts(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		die(SIGSEGV, CLOCK_MILLISECOND, false, false);
	die(SIGSEGV, CLOCK_SECOND, true, false);
	for (int i = 0; i < 4; i++)
		die(SIGSEGV, CLOCK_MILLISECOND, false, false);
	assert_int_equal(table.header->damage.give_up, 0);
}

static void
one_that_exits_has_nothing_against_the_table(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		die(256, CLOCK_MILLISECOND, false, false);
	assert_int_equal(table.header->damage.give_up, 0);
}

static void
the_next_one_starts_the_later_the_more_have_died_young(void **state)
{
	static const int64_t delays[] = { 0, 10, 50, 200, 1000, 5000, 5000 };

	(void)state;
	for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++)
		assert_int_equal(die(256, 1, false, false), delays[i] * CLOCK_MILLISECOND);
	assert_int_equal(die(256, CLOCK_SECOND, true, false), 0);
}

static void
who_is_handled_at_three_deaths_is_closed(void **state)
{
	uint32_t client = table_client_claim(&table);

	(void)state;
	table_client_set(&table, client, TABLE_LIVE);
	table.header->handling = client;
	for (int i = 0; i < 2; i++)
		die(SIGSEGV, CLOCK_SECOND, true, false);
	assert_int_equal(table_client_state(&table, client), TABLE_LIVE);
	die(SIGSEGV, CLOCK_SECOND, true, false);
	assert_int_equal(table_client_state(&table, client), TABLE_CLOSING);
}

static void
what_is_no_record_is_not_blamed(void **state)
{
	(void)state;
	table.header->handling = UINT32_MAX;
	die(SIGSEGV, 1, true, false);
	table.header->handling = TABLE_HANDLING_CONN | 11;
	die(SIGSEGV, 1, true, false);
	assert_int_equal(table.header->blamed_next, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(five_that_die_before_they_serve_have_the_table_given_up),
		ROW(two_that_hang_before_they_serve_do_too),
		ROW(twenty_young_ones_that_had_served_do_too),
		ROW(one_that_has_served_for_a_second_ends_all_doubts),
		ROW(one_that_exits_has_nothing_against_the_table),
		ROW(the_next_one_starts_the_later_the_more_have_died_young),
		ROW(who_is_handled_at_three_deaths_is_closed),
		ROW(what_is_no_record_is_not_blamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
