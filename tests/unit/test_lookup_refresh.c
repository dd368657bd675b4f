/* P32: when a lookup is made again by itself, and what counts as a change. */
#include "lookup_outcome.h"

#define MS CLOCK_MILLISECOND
#define S  CLOCK_SECOND

static struct outcome refreshed;

static void
on_ended(void *arg, unsigned askers, const struct lookup_result *result)
{
	(void)arg;
	if ((askers & LOOKUP_REFRESH) != 0)
		on_lookup(&refreshed, result);
}

static const struct lookup_callbacks callbacks = { .catalog = ignore,
	.roll = always_zero, .ended = on_ended };

static struct lookup_settings
begin(const char *body, int64_t refresh)
{
	struct lookup_settings settings = settings_of_script(stage_script("script", body));

	remove(stage_path("script.runs"));
	memset(&refreshed, 0, sizeof refreshed);
	memset(&outcome, 0, sizeof outcome);
	memset(&record.lookup, 0, sizeof record.lookup);
	settings.timeout = 5 * S;
	settings.refresh = refresh;
	return settings;
}

/* A lookup that counts, as an attempt makes. */
static void
ask(struct lookup *lookup, bool counts)
{
	outcome.done = false;
	lookup_ask(lookup, counts ? LOOKUP_ATTEMPT : 0, on_lookup, &outcome);
	assert_true(stage_run(&outcome.done, 5 * S));
}

static void
p32_when_the_next_one_is_due(void **state)
{
	static const struct {
		const char *what;
		int64_t refresh, ended_at, good_for, earliest, latest;
		uint32_t names;
		bool script;
	} rows[] = {
		{ "nothing was looked up yet", 30 * S, 0, 0, CLOCK_NEVER, CLOCK_NEVER, 0, true },
		{ "it is switched off", 0, 100 * S, 0, CLOCK_NEVER, CLOCK_NEVER, 0, true },
		{ "a script", 30 * S, 100 * S, 0, 121 * S, 139 * S, 0, true },
		{ "bare addresses", 30 * S, 100 * S, 0, CLOCK_NEVER, CLOCK_NEVER, 0, false },
		{ "names without a ttl", 30 * S, 100 * S, 0, 121 * S, 139 * S, 1, false },
		{ "names with a short ttl", 30 * S, 100 * S, 2 * S, 102 * S, 102 * S, 1, false },
		{ "names with a long ttl", 30 * S, 100 * S, 3600 * S, 121 * S, 139 * S, 1, false },
		{ "names of a script", 30 * S, 100 * S, 2 * S, 121 * S, 139 * S, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct lookup_settings settings = { .refresh = rows[i].refresh,
			.script = rows[i].script ? (char *)(uintptr_t)"/x" : NULL };
		int64_t least = CLOCK_NEVER, most = 0;

		for (uint32_t roll = 0; roll < UINT32_MAX - 5000001; roll += 5000001) {
			struct lookup_record lookup = { .ended_at = rows[i].ended_at, .good_for = rows[i].good_for,
				.names = rows[i].names, .roll = roll };
			int64_t at = lookup_due(&lookup, &settings);

			least = at < least ? at : least;
			most = at > most ? at : most;
		}
		if (least < rows[i].earliest || most > rows[i].latest)
			fail_msg("%s: from %ld to %ld", rows[i].what, (long)least, (long)most);
		if (most != least && (least > rows[i].earliest + S || most < rows[i].latest - S))
			fail_msg("%s: only from %ld to %ld", rows[i].what, (long)least, (long)most);
	}
}

static void
p32_it_looks_again_while_that_is_wanted(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; echo 10.0.0.1:1", 20 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	lookup_refresh(lookup, true);
	stage_idle(60 * MS);
	assert_int_equal(runs(), 0); /* nothing was looked up yet */
	ask(lookup, true);
	await(&refreshed.calls, &refreshed.done, 3);
	assert_string_equal(refreshed.list, "10.0.0.1:1");
	assert_int_equal(outcome.calls, 1);
	lookup_refresh(lookup, false);
	assert_int_equal(lookup_running_since(lookup), 0);
	refreshed.calls = 0;
	stage_idle(100 * MS);
	assert_int_equal(refreshed.calls, 0);
	lookup_refresh(lookup, true); /* overdue */
	await(&refreshed.calls, &refreshed.done, 1);
	lookup_free(lookup);
	assert_true(stage_no_children());
}

static void
p32_a_failure_is_told_and_tried_again(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; test $(wc -l <$0.runs) = 1 && echo 10.0.0.1:1",
	    20 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	ask(lookup, true);
	assert_string_equal(outcome.error, "");
	lookup_refresh(lookup, true);
	await(&refreshed.calls, &refreshed.done, 3);
	assert_string_equal(refreshed.error, "lookup script: exit 1");
	lookup_free(lookup);
}

static void
p32_what_the_owner_sees_puts_it_off_and_nobody_else(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; echo 10.0.0.1:1", 400 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);
	int64_t began;

	(void)state;
	ask(lookup, true);
	lookup_refresh(lookup, true);
	for (began = clock_now(); clock_now() < began + 800 * MS; stage_idle(50 * MS))
		ask(lookup, true);
	assert_int_equal(refreshed.calls, 0);
	for (began = clock_now(); clock_now() < began + 800 * MS; stage_idle(50 * MS))
		ask(lookup, false);
	assert_int_not_equal(refreshed.calls, 0);
	lookup_free(lookup);
}

static void
p32_a_look_up_under_way_is_shared(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; sleep 0.2; echo 10.0.0.1:1", 50 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	ask(lookup, true);
	lookup_refresh(lookup, true);
	stage_idle(150 * MS); /* it is running */
	assert_int_not_equal(lookup_running_since(lookup), 0);
	ask(lookup, false);
	assert_int_equal(refreshed.calls, 1);
	assert_int_equal(runs(), 2);
	lookup_free(lookup);
}

static void
a_shorter_time_counts_at_once(void **state)
{
	struct lookup_settings settings = begin("echo 10.0.0.1:1", 3600 * S), shorter = settings;
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	ask(lookup, true);
	lookup_refresh(lookup, true);
	shorter.refresh = 10 * MS;
	lookup_set(lookup, &shorter);
	await(&refreshed.calls, &refreshed.done, 2);
	lookup_free(lookup);
}

static void
another_min_interval_counts_at_once(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; echo 10.0.0.1:1", 0), shorter = settings;
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	settings.min_interval = 3600 * S;
	shorter.min_interval = 200 * MS;
	ask(lookup, true);
	outcome.done = false;
	lookup_ask(lookup, LOOKUP_ATTEMPT, on_lookup, &outcome);
	assert_false(stage_run(&outcome.done, 50 * MS));
	assert_int_equal(lookup_running_since(lookup), 0); /* it waits */
	lookup_set(lookup, &shorter);
	assert_int_equal(runs(), 1);
	assert_true(stage_run(&outcome.done, 5 * S));
	lookup_ask(lookup, LOOKUP_ATTEMPT, on_lookup, &outcome);
	lookup_set(lookup, &settings);
	stage_idle(300 * MS);
	assert_int_equal(runs(), 2);
	shorter.min_interval = 0;
	lookup_set(lookup, &shorter);
	assert_int_not_equal(lookup_running_since(lookup), 0);
	lookup_free(lookup);
	stage_idle(10 * MS);
	assert_true(stage_no_children());
}

static void
a_script_that_a_shorter_min_interval_has_started_is_started_once(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; sleep 0.5; echo 10.0.0.1:1", 0);
	struct lookup_settings shorter = settings;
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	settings.min_interval = 800 * MS;
	shorter.min_interval = 0;
	ask(lookup, true);
	outcome.done = false;
	lookup_ask(lookup, LOOKUP_ATTEMPT, on_lookup, &outcome);
	lookup_set(lookup, &shorter); /* it still runs when the longer one would have ended */
	assert_true(stage_run(&outcome.done, 5 * S));
	stage_idle(100 * MS);
	assert_int_equal(runs(), 2);
	lookup_free(lookup);
	assert_true(stage_no_children());
}

static void
p32_a_new_worker_keeps_to_what_the_record_says(void **state)
{
	struct lookup_settings settings = begin("echo x >>$0.runs; echo 10.0.0.1:1", 300 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);
	int64_t began = clock_now();

	(void)state;
	settings.min_interval = 200 * MS;
	ask(lookup, true);
	for (int i = 0; i < 20 && refreshed.calls == 0; i++) { /* each time anew before it is due */
		lookup_free(lookup);
		lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);
		lookup_refresh(lookup, true);
		do
			stage_idle(30 * MS);
		while (lookup_running_since(lookup) != 0);
	}
	assert_int_equal(refreshed.calls, 1);
	lookup_free(lookup);
	/* Nor is the script run before it may be. */
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);
	began = record.lookup.script_at;
	ask(lookup, true);
	assert_true(record.lookup.script_at >= began + 200 * MS);
	lookup_free(lookup);
}

static void
the_end_may_free_it(void **state)
{
	struct lookup_settings settings = begin("echo 10.0.0.1:1", 10 * MS);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, &record, &callbacks, NULL);

	(void)state;
	ask(lookup, true);
	lookup_refresh(lookup, true);
	refreshed.free_this = lookup;
	await(&refreshed.calls, &refreshed.done, 1);
	stage_idle(50 * MS);
	assert_int_equal(refreshed.calls, 1);
	assert_true(stage_no_children());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p32_when_the_next_one_is_due),
		cmocka_unit_test(p32_it_looks_again_while_that_is_wanted),
		cmocka_unit_test(p32_a_failure_is_told_and_tried_again),
		cmocka_unit_test(p32_what_the_owner_sees_puts_it_off_and_nobody_else),
		cmocka_unit_test(p32_a_look_up_under_way_is_shared),
		cmocka_unit_test(a_shorter_time_counts_at_once),
		cmocka_unit_test(another_min_interval_counts_at_once),
		cmocka_unit_test(a_script_that_a_shorter_min_interval_has_started_is_started_once),
		cmocka_unit_test(p32_a_new_worker_keeps_to_what_the_record_says),
		cmocka_unit_test(the_end_may_free_it),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
