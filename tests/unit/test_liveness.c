/* When an upstream that all share counts as dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/liveness.h"

static const struct liveness_settings
	nothing = { 0 },
	replies = { .reply_timeout = 100 },
	beats = { .beats = true, .interval = 50, .timeout = 20 },
	both = { .reply_timeout = 100, .beats = true, .interval = 50, .timeout = 20 };

static const struct {
	struct liveness liveness; /* heard, asked, beaten */
	const struct liveness_settings *settings;
	int64_t now;
	enum liveness_verdict verdict;
} rows[] = {
	/* without any limit it lives */
	{ { 1000, 0, 0 }, &nothing, 999999, LIVENESS_ALIVE },
	{ { 1000, 1000, 0 }, &nothing, 999999, LIVENESS_ALIVE },

	/* reply_timeout: who owes nothing may be silent */
	{ { 1000, 0, 0 }, &replies, 999999, LIVENESS_ALIVE },
	/* it runs from what was asked */
	{ { 1000, 2000, 0 }, &replies, 2099, LIVENESS_ALIVE },
	{ { 1000, 2000, 0 }, &replies, 2100, LIVENESS_SILENT },
	{ { 1000, 2000, 0 }, &replies, 2101, LIVENESS_SILENT },
	/* or from what came later than that */
	{ { 2050, 2000, 0 }, &replies, 2149, LIVENESS_ALIVE },
	{ { 2050, 2000, 0 }, &replies, 2150, LIVENESS_SILENT },

	/* an idle one is asked after interval */
	{ { 1000, 0, 0 }, &beats, 1049, LIVENESS_ALIVE },
	{ { 1000, 0, 0 }, &beats, 1050, LIVENESS_BEAT },
	/* one that owes replies is not */
	{ { 1000, 1010, 0 }, &beats, 5000, LIVENESS_ALIVE },
	/* the answer has timeout */
	{ { 1000, 1050, 1050 }, &beats, 1069, LIVENESS_ALIVE },
	{ { 1000, 1050, 1050 }, &beats, 1070, LIVENESS_NO_PULSE },
	{ { 1000, 0, 1050 }, &beats, 1070, LIVENESS_NO_PULSE }, /* it was not even taken */
	/* whatever comes meanwhile shows life */
	{ { 1060, 1050, 1050 }, &beats, 1079, LIVENESS_ALIVE },
	{ { 1060, 1050, 1050 }, &beats, 1080, LIVENESS_NO_PULSE },
	/* and while it is out there is no second one */
	{ { 1000, 0, 1050 }, &beats, 1069, LIVENESS_ALIVE },

	/* both: each by itself */
	{ { 1000, 0, 0 }, &both, 1050, LIVENESS_BEAT },
	{ { 1000, 1040, 0 }, &both, 1139, LIVENESS_ALIVE },
	{ { 1000, 1040, 0 }, &both, 1140, LIVENESS_SILENT },
	{ { 1000, 1050, 1050 }, &both, 1070, LIVENESS_NO_PULSE },
	{ { 1000, 900, 1090 }, &both, 1105, LIVENESS_SILENT }, /* the heartbeat has time left, the reply has none */
	{ { 1000, 900, 1050 }, &both, 1100, LIVENESS_NO_PULSE },
};

static void
every_verdict_comes_at_its_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (liveness_judge(&rows[i].liveness, rows[i].settings, rows[i].now) != rows[i].verdict)
			fail_msg("row %zu", i);
}

/* What was set is asked for an eighth of the shortest time, between 10 ms and a second. */
static const struct {
	struct liveness_settings settings;
	int64_t period;
} periods[] = {
	{ { 0 }, 0 },
	{ { .interval = CLOCK_SECOND, .timeout = CLOCK_SECOND }, 0 }, /* of no heartbeat */
	{ { .reply_timeout = CLOCK_SECOND }, CLOCK_SECOND / 8 },
	{ { .reply_timeout = 80 * CLOCK_MILLISECOND }, 10 * CLOCK_MILLISECOND },
	{ { .reply_timeout = 79 * CLOCK_MILLISECOND }, 10 * CLOCK_MILLISECOND },
	{ { .reply_timeout = 1 }, 10 * CLOCK_MILLISECOND },
	{ { .reply_timeout = 8 * CLOCK_SECOND }, CLOCK_SECOND },
	{ { .reply_timeout = 3600 * CLOCK_SECOND }, CLOCK_SECOND },
	{ { .beats = true, .interval = 4 * CLOCK_SECOND, .timeout = 2 * CLOCK_SECOND }, CLOCK_SECOND / 4 },
	{ { .beats = true, .interval = 2 * CLOCK_SECOND, .timeout = 4 * CLOCK_SECOND }, CLOCK_SECOND / 4 },
	{ { .reply_timeout = CLOCK_SECOND, .beats = true, .interval = 4 * CLOCK_SECOND,
	    .timeout = 2 * CLOCK_SECOND }, CLOCK_SECOND / 8 },
};

static void
it_is_asked_often_enough(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++)
		assert_int_equal(liveness_period(&periods[i].settings), periods[i].period);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verdict_comes_at_its_time),
		cmocka_unit_test(it_is_asked_often_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
