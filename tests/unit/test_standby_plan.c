/* test_standby_plan.c - when connections to other copies are looked up and dialled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "upstream/standby_plan.h"

/* Rows name what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define NO   (-1)
#define LOOK STANDBY_DO_LOOKUP
#define DIAL STANDBY_DO_DIAL
#define DROP STANDBY_DO_DROP

struct row {
	int64_t ms;
	enum standby_event event;
	unsigned todo;
	int64_t deadline_ms;
	unsigned wanted, ready, dialling, others;
};

static const struct pconn_settings usual = { .retry = { 10 * CLOCK_SECOND, 0.3, 2, 60 * CLOCK_SECOND },
	.spread = CLOCK_SECOND };

static void
play(struct standby_plan *p, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct standby_input in = { row->event, row->ms * CLOCK_MILLISECOND, DELAY_EXACT, row->wanted,
			row->ready, row->dialling, row->others };
		unsigned todo = standby_step(p, &usual, &in);
		int64_t deadline = row->deadline_ms == NO ? CLOCK_NEVER : row->deadline_ms * CLOCK_MILLISECOND;

		if (todo != row->todo || p->deadline != deadline)
			fail_msg("row %zu: to do %#x instead of %#x, deadline %lld us instead of %lld", i, todo,
			    row->todo, (long long)p->deadline, (long long)deadline);
	}
}

#define PLAY(p, ...) \
	do { \
		static const struct row rows_[] = { __VA_ARGS__ }; \
		play((p), rows_, sizeof rows_ / sizeof *rows_); \
	} while (0)

static void
p2_it_looks_up_before_it_dials_one_after_the_other(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 1, STANDBY_LOOK, LOOK, NO, .wanted = 2 }, { 2, STANDBY_LOOK, 0, NO, .wanted = 2 },
	    { 3, STANDBY_LOOKED_UP, DIAL, NO, .wanted = 2, .others = 2 },
	    { 4, STANDBY_LOOK, 0, NO, .wanted = 2, .dialling = 1, .others = 2 },
	    { 5, STANDBY_DIALED, DIAL, NO, .wanted = 2, .ready = 1, .others = 1 },
	    { 6, STANDBY_DIALED, 0, NO, .wanted = 2, .ready = 2 },
	    { 7, STANDBY_LOOK, 0, NO, .wanted = 2, .ready = 2 });
}

static void
without_another_copy_it_looks_again_after_the_delay(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 0, STANDBY_LOOK, LOOK, NO, .wanted = 1 }, { 0, STANDBY_LOOKED_UP, 0, 10000, .wanted = 1 },
	    { 5000, STANDBY_LOOK, 0, 10000, .wanted = 1 }, { 10000, STANDBY_LOOK, LOOK, NO, .wanted = 1 },
	    { 10000, STANDBY_LOOKED_UP, 0, 20000, .wanted = 1 });
}

static void
p24_a_changed_catalog_wakes_it(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 0, STANDBY_LOOK, LOOK, NO, .wanted = 1 }, { 0, STANDBY_LOOKED_UP, 0, 10000, .wanted = 1 },
	    { 5000, STANDBY_WAKE, LOOK, NO, .wanted = 1 }, { 5000, STANDBY_LOOKED_UP, 0, 15000, .wanted = 1 });
}

static void
p4_one_that_lived_longer_than_the_delay_is_replaced_at_once(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 0, STANDBY_LOOK, LOOK, NO, .wanted = 1 },
	    { 0, STANDBY_LOOKED_UP, DIAL, NO, .wanted = 1, .others = 1 },
	    { 1, STANDBY_DIALED, 0, NO, .wanted = 1, .ready = 1 },
	    { 3000, STANDBY_LOOK, 0, 10000, .wanted = 1, .others = 1 }, /* it has ended */
	    { 10000, STANDBY_LOOK, LOOK, NO, .wanted = 1, .others = 1 },
	    { 10000, STANDBY_LOOKED_UP, DIAL, NO, .wanted = 1, .others = 1 },
	    { 10001, STANDBY_DIALED, 0, NO, .wanted = 1, .ready = 1 },
	    { 30000, STANDBY_LOOK, LOOK, NO, .wanted = 1, .others = 1 });
}

static void
p4_failures_wait_for_a_growing_delay(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 0, STANDBY_LOOK, LOOK, NO, .wanted = 1 }, { 1, STANDBY_LOOKUP_FAILED, 0, 10000, .wanted = 1 },
	    { 10000, STANDBY_LOOK, LOOK, NO, .wanted = 1 },
	    { 10000, STANDBY_LOOKED_UP, DIAL, NO, .wanted = 1, .others = 1 },
	    { 10001, STANDBY_DIAL_FAILED, 0, 30000, .wanted = 1, .others = 1 },
	    { 30000, STANDBY_LOOK, LOOK, NO, .wanted = 1 },
	    { 30000, STANDBY_LOOKED_UP, DIAL, NO, .wanted = 1, .others = 1 },
	    { 30001, STANDBY_DIALED, 0, NO, .wanted = 1, .ready = 1 });
	assert_int_equal(p.failures, 0);
}

static void
what_is_not_wanted_any_more_is_dropped_once(void **state)
{
	struct standby_plan p = { 0 };

	(void)state;
	PLAY(&p, { 0, STANDBY_LOOK, 0, NO }, { 0, STANDBY_LOOK, LOOK, NO, .wanted = 1 },
	    { 1, STANDBY_LOOK, DROP, NO }, { 2, STANDBY_LOOK, 0, NO }, { 2, STANDBY_LOOK, DROP, NO, .ready = 1 },
	    { 2, STANDBY_LOOK, DROP, NO, .dialling = 1 }, { 3, STANDBY_LOOK, 0, 10000, .wanted = 1 });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p2_it_looks_up_before_it_dials_one_after_the_other),
		cmocka_unit_test(without_another_copy_it_looks_again_after_the_delay),
		cmocka_unit_test(p24_a_changed_catalog_wakes_it),
		cmocka_unit_test(p4_one_that_lived_longer_than_the_delay_is_replaced_at_once),
		cmocka_unit_test(p4_failures_wait_for_a_growing_delay),
		cmocka_unit_test(what_is_not_wanted_any_more_is_dropped_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
