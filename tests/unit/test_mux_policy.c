/* When an upstream that all share counts as dead, how much a client may ask, how long all wait for a slow one, and
 * whose time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/mux_policy.h"

static const struct mux_limits
	nothing = { 0 },
	replies = { .reply_timeout = 100 },
	beats = { .beats = true, .interval = 50, .timeout = 20 },
	both = { .reply_timeout = 100, .beats = true, .interval = 50, .timeout = 20 };

static const struct {
	struct { int64_t heard, asked, beaten; } times;
	const struct mux_limits *limits;
	int64_t now;
	enum mux_verdict verdict;
} rows[] = {
	/* without any limit it lives */
	{ { 1000, 0, 0 }, &nothing, 999999, MUX_ALIVE },
	{ { 1000, 1000, 0 }, &nothing, 999999, MUX_ALIVE },

	/* reply_timeout: who owes nothing may be silent */
	{ { 1000, 0, 0 }, &replies, 999999, MUX_ALIVE },
	/* it runs from what was asked */
	{ { 1000, 2000, 0 }, &replies, 2099, MUX_ALIVE },
	{ { 1000, 2000, 0 }, &replies, 2100, MUX_SILENT },
	{ { 1000, 2000, 0 }, &replies, 2101, MUX_SILENT },
	/* or from what came later than that */
	{ { 2050, 2000, 0 }, &replies, 2149, MUX_ALIVE },
	{ { 2050, 2000, 0 }, &replies, 2150, MUX_SILENT },

	/* an idle one is asked after interval */
	{ { 1000, 0, 0 }, &beats, 1049, MUX_ALIVE },
	{ { 1000, 0, 0 }, &beats, 1050, MUX_BEAT },
	/* one that owes replies is not */
	{ { 1000, 1010, 0 }, &beats, 5000, MUX_ALIVE },
	/* the answer has timeout */
	{ { 1000, 1050, 1050 }, &beats, 1069, MUX_ALIVE },
	{ { 1000, 1050, 1050 }, &beats, 1070, MUX_NO_PULSE },
	{ { 1000, 0, 1050 }, &beats, 1070, MUX_NO_PULSE }, /* it was not even taken */
	/* whatever comes meanwhile shows life */
	{ { 1060, 1050, 1050 }, &beats, 1079, MUX_ALIVE },
	{ { 1060, 1050, 1050 }, &beats, 1080, MUX_NO_PULSE },
	/* and while it is out there is no second one */
	{ { 1000, 0, 1050 }, &beats, 1069, MUX_ALIVE },

	/* both: each by itself */
	{ { 1000, 0, 0 }, &both, 1050, MUX_BEAT },
	{ { 1000, 1040, 0 }, &both, 1139, MUX_ALIVE },
	{ { 1000, 1040, 0 }, &both, 1140, MUX_SILENT },
	{ { 1000, 1050, 1050 }, &both, 1070, MUX_NO_PULSE },
	{ { 1000, 900, 1090 }, &both, 1105, MUX_SILENT }, /* the heartbeat has time left, the reply has none */
	{ { 1000, 900, 1050 }, &both, 1100, MUX_NO_PULSE },
};

static void
every_verdict_comes_at_its_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mux_policy policy = { .state = MUX_OPEN, .heard = rows[i].times.heard,
			.asked = rows[i].times.asked, .beaten = rows[i].times.beaten };

		if (mux_policy_judge(&policy, rows[i].limits, rows[i].now) != rows[i].verdict)
			fail_msg("row %zu", i);
		policy.state = MUX_PRESSED; /* what it says is not looked at */
		assert_int_equal(mux_policy_judge(&policy, rows[i].limits, rows[i].now), MUX_ALIVE);
	}
}

/* What was set is asked for an eighth of the shortest time, between 10 ms and a second. */
static const struct {
	struct mux_limits limits;
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
	const struct mux_policy open = { .state = MUX_OPEN };
	const struct mux_waits queued = { .queued = true };

	(void)state;
	for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++)
		assert_int_equal(mux_policy_period(&open, &periods[i].limits, &queued), periods[i].period);
}

static void
one_that_owes_nothing_is_not_asked_for_its_replies(void **state)
{
	const struct mux_policy open = { .state = MUX_OPEN };
	const struct mux_waits nothing_waits = { 0 };

	(void)state;
	assert_int_equal(mux_policy_period(&open, &replies, &nothing_waits), 0);
	assert_int_equal(mux_policy_period(&open, &both, &nothing_waits),
	    mux_policy_period(&open, &beats, &nothing_waits));
}

/* What a row of times is: each from 0, which is none but for now, to here. */
#define TIMES 7

/* How many moments before now count: in them a reply was owed, nothing came later, and, where that matters, others
 * waited. */
static int64_t
count_silent(const struct mux_policy *policy, bool spares, int64_t now)
{
	int64_t count = 0;

	for (int64_t moment = 0; moment < now; moment++)
		count += policy->asked != 0 && moment >= policy->asked && moment >= policy->heard &&
		    (!spares || (policy->crowded != 0 && moment >= policy->crowded));
	return count;
}

static void
silence_counts_while_a_reply_is_owed_and_where_one_is_spared_while_others_wait(void **state)
{
	struct mux_policy policy = { .state = MUX_OPEN };
	struct mux_limits limits = { 0 };

	(void)state;
	for (unsigned row = 0; row < 2 * TIMES * TIMES * TIMES * TIMES * TIMES; row++) {
		unsigned rest = row / 2;
		int64_t now;

		limits.spares = row % 2;
		policy.asked = rest % TIMES, rest /= TIMES;
		policy.heard = rest % TIMES, rest /= TIMES;
		policy.crowded = rest % TIMES, rest /= TIMES;
		limits.reply_timeout = rest % TIMES, rest /= TIMES;
		now = rest;
		assert_int_equal(mux_policy_judge(&policy, &limits, now) == MUX_SILENT, limits.reply_timeout > 0 &&
		    count_silent(&policy, limits.spares, now) >= limits.reply_timeout);
	}
}

static void
others_wait_since_they_were_first_seen(void **state)
{
	struct mux_policy policy = { 0 };

	(void)state;
	mux_policy_open(&policy, 5);
	assert_int_equal(policy.crowded, 0);
	mux_policy_note_others(&policy, true, 10);
	mux_policy_note_others(&policy, true, 20);
	assert_int_equal(policy.crowded, 10);
	mux_policy_note_others(&policy, false, 30);
	assert_int_equal(policy.crowded, 0);
	mux_policy_note_others(&policy, true, 40);
	assert_int_equal(policy.crowded, 40);
	mux_policy_close(&policy, 50);
	assert_int_equal(policy.crowded, 0);
}

static void
one_that_owes_a_reply_in_silence_for_a_second_is_stuck(void **state)
{
	static const int64_t times[] = { 0, 1, CLOCK_SECOND - 1, CLOCK_SECOND, CLOCK_SECOND + 1, 2 * CLOCK_SECOND,
		2 * CLOCK_SECOND + 1 };

	(void)state;
	for (unsigned row = 0; row < 4 * TIMES * TIMES * TIMES; row++) {
		struct mux_policy policy = { .state = (enum mux_state)(row % 4), .asked = times[row / 4 % TIMES],
			.heard = times[row / 4 / TIMES % TIMES] };
		int64_t now = times[row / 4 / TIMES / TIMES];

		assert_int_equal(mux_policy_is_stuck(&policy, now), policy.state == MUX_OPEN && policy.asked != 0 &&
		    now - policy.asked >= CLOCK_SECOND && now - policy.heard >= CLOCK_SECOND);
	}
}

/* Its answer found no memory, which comes back without a word. */
static void
who_is_refused_and_still_waits_is_looked_at_again(void **state)
{
	const struct mux_policy down = { .state = MUX_DOWN };
	const struct mux_waits waits = { .waiting = true, .refused = true }, held = { .waiting = true };

	(void)state;
	assert_in_range(mux_policy_period(&down, &periods[0].limits, &waits), 1, 250 * CLOCK_MILLISECOND);
	assert_int_equal(mux_policy_period(&down, &periods[0].limits, &held), 0);
}

static void
a_client_may_ask_twice_as_much_whenever_it_has_taken_all(void **state)
{
	struct mux_reader reader = { .window = MUX_WINDOW_FIRST };

	(void)state;
	for (unsigned window = MUX_WINDOW_FIRST; window < MUX_WINDOW_MOST; window *= 2) {
		assert_int_equal(mux_reader_left(&reader), window);
		reader.in_flight = window;
		assert_int_equal(mux_reader_left(&reader), 0);
		mux_reader_take_all(&reader); /* of what it was given so far: most is still on the way */
		assert_int_equal(reader.window, window);
		mux_reader_answer(&reader, window, window);
		mux_reader_take_all(&reader);
	}
	mux_reader_take_all(&reader);
	assert_int_equal(reader.window, MUX_WINDOW_MOST);
}

static void
large_replies_are_asked_for_a_few_at_a_time(void **state)
{
	struct mux_reader reader = { .window = MUX_WINDOW_MOST, .in_flight = 10 };

	(void)state;
	mux_reader_answer(&reader, 2, 512 << 10); /* a quarter of a mebibyte each */
	assert_int_equal(reader.in_flight, 8);
	assert_in_range(reader.window, 4, 5);
	mux_reader_answer(&reader, 1, 16 << 20);
	assert_int_equal(reader.window, 1);
	assert_int_equal(mux_reader_left(&reader), 0);
}

static void
who_takes_some_is_not_deaf(void **state)
{
	struct mux_policy policy = { .state = MUX_OPEN };
	struct mux_reader reader = { .window = 1 };
	int64_t now = CLOCK_SECOND;

	(void)state;
	assert_true(mux_policy_is_hopeless(&policy, &reader, now)); /* it takes all, and yet there is too much */
	mux_reader_block(&reader, 1000, false, now);
	assert_true(mux_policy_press(&policy, &reader, now));
	mux_reader_look(&reader, 900, now += 400 * CLOCK_MILLISECOND);
	mux_reader_look(&reader, 900, now += 400 * CLOCK_MILLISECOND);
	assert_false(mux_policy_is_hopeless(&policy, &reader, now));
	mux_reader_block(&reader, 950, false, now += 50 * CLOCK_MILLISECOND);
	mux_reader_look(&reader, 950, now += 50 * CLOCK_MILLISECOND);
	assert_true(mux_policy_is_hopeless(&policy, &reader, now)); /* 500 ms since it took the last */
}

static void
who_is_furthest_behind_is_closed_where_others_are_short_of_memory(void **state)
{
	struct mux_policy policy = { .state = MUX_OPEN };
	struct mux_reader behind = { .deaf_since = CLOCK_SECOND };
	int64_t now = CLOCK_SECOND + 100 * CLOCK_MILLISECOND;

	(void)state;
	assert_false(mux_policy_check_short(&policy, &behind, true, now));
	behind.deaf_since = now += 400 * CLOCK_MILLISECOND;
	assert_false(mux_policy_check_short(&policy, &behind, true, now));
	assert_true(mux_policy_check_short(&policy, &behind, true, now + 500 * CLOCK_MILLISECOND)); /* deaf */
	behind.deaf_since = now += 1600 * CLOCK_MILLISECOND;
	assert_true(mux_policy_check_short(&policy, &behind, true, now)); /* for 2 s now */
	assert_false(mux_policy_check_short(&policy, &behind, false, now));
	assert_false(mux_policy_check_short(&policy, &behind, true, now)); /* begins anew */
	assert_false(mux_policy_check_short(&policy, NULL, true, now + CLOCK_SECOND));
}

/* An event in each step, after a while that is one of these. */
enum { PRESS, TAKE, RESUME, OPEN, CLOSE, HEAR, STARVE, EVENTS };
static const int64_t spans[] = { 0, 60 * CLOCK_MILLISECOND, 450 * CLOCK_MILLISECOND, 11 * CLOCK_SECOND };

struct explored {
	struct mux_policy policy;
	struct mux_reader reader;
	int64_t now, waited;  /* how long all have waited for clients, since the first event */
	int64_t starving;     /* since when nothing came, for want of memory */
};

static void
check_explored(const struct explored *explored)
{
	const struct mux_policy *policy = &explored->policy;
	const struct mux_waits blocked = { .blocked = true };
	struct mux_policy later = *policy;

	/* it is looked often enough at whom all wait for, and nobody is waited for longer than 500 ms in silence */
	if (policy->state == MUX_PRESSED) {
		assert_in_range(mux_policy_period(policy, &nothing, &blocked), 1, 50 * CLOCK_MILLISECOND);
		assert_true(mux_policy_is_hopeless(policy, &explored->reader, explored->reader.deaf_since +
		    500 * CLOCK_MILLISECOND));
	}
	/* whoever they wait for, all have waited for a second at most and a tenth of the time when one is pressed */
	assert_true(explored->waited <= CLOCK_SECOND + explored->now / 10 + spans[2]);
	/* without memory the connection is given up after 10 s */
	if (policy->state == MUX_STARVED)
		assert_false(mux_policy_starve(&later, explored->starving + 10 * CLOCK_SECOND));
	/* one that is not looked at does not die of silence */
	if (policy->state == MUX_DOWN || policy->state == MUX_PRESSED)
		assert_int_equal(mux_policy_judge(policy, &both, INT64_MAX / 2), MUX_ALIVE);
}

static void
step_explored(struct explored *explored, int event)
{
	struct mux_policy *policy = &explored->policy;
	bool pressed = policy->state == MUX_PRESSED;
	int64_t since = policy->pressed;

	switch (event) {
	case OPEN:
		if (policy->state == MUX_DOWN)
			mux_policy_open(policy, explored->now);
		break;
	case CLOSE:
		mux_policy_close(policy, explored->now);
		break;
	case HEAR:
		if (policy->state == MUX_OPEN)
			mux_policy_hear(policy, explored->now);
		break;
	case STARVE:
		if (policy->state != MUX_OPEN)
			break;
		if (policy->starved == 0)
			explored->starving = explored->now;
		if (!mux_policy_starve(policy, explored->now))
			mux_policy_close(policy, explored->now);
		break;
	case PRESS:
		if (policy->state != MUX_OPEN)
			break;
		mux_reader_block(&explored->reader, 10, true, explored->now);
		mux_policy_press(policy, &explored->reader, explored->now);
		break;
	case TAKE:
		if (pressed)
			mux_reader_look(&explored->reader, explored->reader.queued - 1, explored->now);
		break;
	case RESUME:
		if (pressed || policy->state == MUX_STARVED)
			mux_policy_resume(policy, explored->now);
		break;
	}
	if (pressed && policy->state == MUX_PRESSED && mux_policy_is_hopeless(policy, &explored->reader,
	    explored->now)) /* it is closed */
		mux_policy_resume(policy, explored->now);
	if (pressed && policy->state != MUX_PRESSED)
		explored->waited += explored->now - since;
}

static void
explore(const struct explored *before, int depth, size_t first_span, int events)
{
	check_explored(before);
	if (depth == 0)
		return;
	for (size_t i = first_span; i < sizeof spans / sizeof spans[0]; i++)
		for (int event = 0; event < events; event++) {
			struct explored next = *before;

			/* whom all wait for is looked at every 50 ms: no wait is longer than it may be by more */
			if (next.policy.state == MUX_PRESSED && spans[i] > spans[2])
				continue;
			next.now += spans[i];
			step_explored(&next, event);
			explore(&next, depth - 1, first_span, events);
		}
}

static void
whatever_comes_nobody_is_waited_for_without_end(void **state)
{
	struct explored begin = { .policy = { .state = MUX_DOWN }, .now = 1 };

	(void)state;
	explore(&begin, 5, 0, EVENTS);
	begin.policy.state = MUX_OPEN; /* one slow client after the other */
	explore(&begin, 10, 1, RESUME);
}

static void
requests_are_turned_away_when_their_time_is_over_and_not_before(void **state)
{
	struct mux_expiry expiry = { .since = 1000 };
	const int64_t timeout = 16000;

	(void)state;
	assert_int_equal(mux_expiry_look(&expiry, timeout, 5, 1000), 0);
	assert_int_equal(mux_expiry_look(&expiry, timeout, 9, 1500), 0); /* too soon for another mark */
	assert_int_equal(mux_expiry_look(&expiry, timeout, 12, 2000), 0);
	assert_int_equal(mux_expiry_look(&expiry, timeout, 20, 16999), 0);
	assert_int_equal(mux_expiry_look(&expiry, timeout, 21, 17000), 5);
	assert_int_equal(mux_expiry_look(&expiry, timeout, 21, 18000), 12);
	expiry.since = 18001; /* all begin to wait anew */
	assert_int_equal(mux_expiry_look(&expiry, timeout, 21, 33000), 0);
	assert_int_equal(mux_expiry_look(&expiry, timeout, 30, 49000), 21);
	assert_int_equal(mux_expiry_look(&expiry, 0, 30, 999999), 0); /* they may wait for ever */
}

static void
the_oldest_request_is_the_suspect_after_five_losses_and_ten_seconds(void **state)
{
	struct table_shared record = { .pending_head = 7 };
	int64_t now = CLOCK_SECOND;

	(void)state;
	assert_int_equal(mux_policy_failing(&record, false, 3, now), 3); /* none is sent again */
	for (int i = 0; i < 9; i++, now += CLOCK_SECOND)
		assert_int_equal(mux_policy_failing(&record, true, 3, now), 0);
	now += CLOCK_SECOND;
	assert_int_equal(mux_policy_failing(&record, true, 3, now), 1);
	assert_int_equal(mux_policy_failing(&record, true, 2, now), 0);
	record.stuck = TABLE_STUCK_GUILTY;
	assert_int_equal(mux_policy_failing(&record, true, 2, now), 1); /* it is known to be the cause */
	record.stuck = TABLE_STUCK_GUILTY;
	assert_int_equal(mux_policy_failing(&record, true, 0, now), 0);
	assert_int_equal(record.stuck, 0);
}

static void
whose_reply_has_passed_in_part_is_not_asked_again(void **state)
{
	struct table_shared record = { .pending_head = 7, .streamed = 1, .stuck = TABLE_STUCK_GUILTY };

	(void)state;
	assert_int_equal(mux_policy_failing(&record, true, 3, CLOCK_SECOND), 1);
	assert_int_equal(record.stuck, 0); /* the one behind it is not guilty */
	assert_int_equal(mux_policy_failing(&record, false, 3, CLOCK_SECOND), 3);
}

/* A byte of it is worth a microsecond. */
static void
who_takes_a_long_reply_is_waited_for_as_long_as_it_takes_it(void **state)
{
	struct mux_policy policy = { .state = MUX_OPEN, .patience = 100000, .patient = CLOCK_SECOND };
	struct mux_reader reader = { .window = 1, .streams = true };
	int64_t now = CLOCK_SECOND;

	(void)state;
	mux_reader_block(&reader, 1000, false, now);
	assert_true(mux_policy_press(&policy, &reader, now));
	for (int i = 0; i < 50; i++) {
		now += (600 + i % 2 * 200) * CLOCK_MILLISECOND;
		assert_false(mux_policy_is_hopeless(&policy, &reader, now));
		mux_reader_block(&reader, 1000, true, now);
		mux_policy_take(&policy, &reader, 700000, now);
	}
	assert_int_equal(policy.patience, 0); /* it has taken more than that, too */
	assert_int_equal(now - policy.pressed, 100000);
	assert_false(mux_policy_is_hopeless(&policy, &reader, now += 899999));
	assert_true(mux_policy_is_hopeless(&policy, &reader, now + 1));
	reader.streams = false;
	mux_policy_take(&policy, &reader, 700000, now); /* other replies excuse nothing */
	assert_true(mux_policy_is_hopeless(&policy, &reader, now + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verdict_comes_at_its_time),
		cmocka_unit_test(it_is_asked_often_enough),
		cmocka_unit_test(one_that_owes_nothing_is_not_asked_for_its_replies),
		cmocka_unit_test(silence_counts_while_a_reply_is_owed_and_where_one_is_spared_while_others_wait),
		cmocka_unit_test(others_wait_since_they_were_first_seen),
		cmocka_unit_test(one_that_owes_a_reply_in_silence_for_a_second_is_stuck),
		cmocka_unit_test(who_is_refused_and_still_waits_is_looked_at_again),
		cmocka_unit_test(a_client_may_ask_twice_as_much_whenever_it_has_taken_all),
		cmocka_unit_test(large_replies_are_asked_for_a_few_at_a_time),
		cmocka_unit_test(who_takes_some_is_not_deaf),
		cmocka_unit_test(who_is_furthest_behind_is_closed_where_others_are_short_of_memory),
		cmocka_unit_test(whatever_comes_nobody_is_waited_for_without_end),
		cmocka_unit_test(requests_are_turned_away_when_their_time_is_over_and_not_before),
		cmocka_unit_test(the_oldest_request_is_the_suspect_after_five_losses_and_ten_seconds),
		cmocka_unit_test(whose_reply_has_passed_in_part_is_not_asked_again),
		cmocka_unit_test(who_takes_a_long_reply_is_waited_for_as_long_as_it_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
