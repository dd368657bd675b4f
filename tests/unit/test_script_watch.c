/* Lookup scripts that stay and say whenever their list changes (lookup.watch). */
#include "lookup_outcome.h"

#include <signal.h>

#include "keep/layout.h"

#define MS CLOCK_MILLISECOND
#define S  CLOCK_SECOND

/* What the owner of the lookup was told. */
static struct {
	unsigned news, ended, repeated;
	bool done;
	char error[300];
	int64_t again, delay;
	unsigned failures;
} told;

static void
on_news(void *arg)
{
	(void)arg;
	told.news++;
	told.done = true;
}

static void
on_unwatched(void *arg, const char *error, int64_t again, bool same)
{
	(void)arg;
	told.ended++;
	told.repeated += same;
	told.done = true;
	told.again = again;
	snprintf(told.error, sizeof told.error, "%s", error);
}

static int64_t
give_delay(void *arg, unsigned failures)
{
	(void)arg;
	told.failures = failures;
	return told.delay;
}

static const struct lookup_callbacks callbacks = { .catalog = ignore, .roll = always_zero, .ended = ignore_end,
	.news = on_news, .unwatched = on_unwatched, .delay = give_delay };

static volatile pid_t groups[4];

/* body is what it does with --watch; without, it says 10.0.0.9:9 and is counted. */
static struct lookup *
begin(struct lookup_settings *settings, const char *body)
{
	char script[2000];
	struct lookup *lookup;

	snprintf(script, sizeof script, "n=\n\nif test \"$1\" = --watch; then cd '%s'\n%s\nfi\n"
	    "echo . >>'%s/script.runs'; echo 10.0.0.9:9", stage_folder, body, stage_folder);
	remove(stage_path("script.runs"));
	memset(&told, 0, sizeof told);
	memset(&record.lookup, 0, sizeof record.lookup);
	told.delay = 60 * S;
	*settings = settings_of_script(stage_script("watch", script));
	settings->watch = true;
	settings->timeout = 5 * S;
	settings->refresh = 30 * S;
	lookup = lookup_new(stage_loop, "cache", settings, groups, &record, &callbacks, NULL);
	assert_int_equal(groups[TABLE_GROUP_WATCH], 0);
	lookup_watch(lookup, true);
	return lookup;
}

static void
end(struct lookup *lookup)
{
	lookup_free(lookup);
	assert_int_equal(groups[TABLE_GROUP_WATCH], 0);
	assert_true(stage_no_children());
}

static const char *
ask_as(struct lookup *lookup, unsigned asker)
{
	memset(&outcome, 0, sizeof outcome);
	lookup_ask(lookup, asker, on_lookup, &outcome);
	assert_true(stage_run(&outcome.done, 10 * S));
	return outcome.error[0] != '\0' ? outcome.error : outcome.list;
}

static const char *
ask(struct lookup *lookup)
{
	return ask_as(lookup, LOOKUP_ATTEMPT);
}

static void
its_last_list_is_the_answer_and_no_other_run_is_needed(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "echo '10.0.0.1:1 weight=7'; echo 10.0.0.2:2; echo\n"
	    "while ! test -e go; do sleep 0.01; done; rm go; echo 10.0.0.2:2; echo; sleep 60");

	(void)state;
	assert_string_equal(ask(lookup), "10.0.0.1:1 10.0.0.2:2");
	assert_string_equal(outcome.whole, "10.0.0.1:1 0/7 0 \"\", 10.0.0.2:2 0/1 1 \"\"");
	await(&told.news, &told.done, 1);
	assert_int_equal(groups[TABLE_GROUP_LOOKUP], 0);
	stage_write("go", "", 0600);
	await(&told.news, &told.done, 2);
	assert_string_equal(ask(lookup), "10.0.0.2:2");
	assert_int_equal(runs(), 0);
	end(lookup);
}

static void
the_same_list_again_is_no_news(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "for i in 1 2 3 4 5; do echo 10.0.0.1:1; echo; done\n"
	    "echo 10.0.0.2:2; echo; sleep 60");

	(void)state;
	ask(lookup);
	while (strcmp(ask(lookup), "10.0.0.2:2") != 0)
		assert_string_equal(outcome.list, "10.0.0.1:1");
	assert_in_range(told.news, 0, 2);
	end(lookup);
}

static void
a_list_may_come_in_pieces(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "for c in 1 0 . 0 . 0 . 1 : 1; do printf $c; sleep 0.002; done\n"
	    "sleep 0.01; echo; sleep 0.01; echo; sleep 60");

	(void)state;
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	assert_int_equal(runs(), 0);
	end(lookup);
}

static void
its_silence_is_not_trusted_beyond_refresh(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "echo 10.0.0.1:1; echo; sleep 60");
	int64_t until;

	(void)state;
	settings.refresh = 500 * MS;
	settings.min_interval = 0;
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	for (until = clock_now() + 501 * MS; clock_now() < until;)
		continue;
	assert_string_equal(ask(lookup), "10.0.0.9:9");
	assert_int_equal(runs(), 1);
	settings.refresh = 0; /* as it is said nothing of */
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	end(lookup);
}

static void
the_first_list_is_waited_for_as_long_as_a_script_may_take(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "sleep 60");
	int64_t began = clock_now();

	(void)state;
	settings.timeout = 1 * S;
	assert_string_equal(ask(lookup), "10.0.0.9:9");
	assert_true(clock_now() - began >= 1 * S);
	began = clock_now();
	assert_string_equal(ask(lookup), "10.0.0.9:9"); /* at once from then on */
	assert_int_equal(told.ended, 0);
	end(lookup);
}

static void
one_that_ends_is_told_and_run_again_and_its_list_counts_no_more(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "echo 10.0.0.1:1; echo; while ! test -e go; do sleep 0.01; done\n"
	    "rm go; echo no more >&2; exit 3");
	int64_t now;

	(void)state;
	told.delay = 500 * MS;
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	stage_write("go", "", 0600);
	await(&told.ended, &told.done, 1);
	now = clock_now();
	assert_string_equal(told.error, "lookup script --watch: exit 3: no more");
	assert_in_range(told.again, now - 5 * S, now + 5 * S);
	assert_int_equal(told.failures, 0);
	assert_string_equal(ask(lookup), "10.0.0.9:9");
	await(&told.news, &told.done, 2);
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	end(lookup);
}

static void
one_that_knows_no_watch_fails_again_and_again_with_growing_delay(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "echo unknown option >&2; exit 2");

	(void)state;
	told.delay = 10 * MS;
	assert_string_equal(ask(lookup), "10.0.0.9:9"); /* without a wait for the time-out */
	await(&told.ended, &told.done, 3);
	assert_int_equal(told.failures, 3);
	assert_int_equal(told.repeated, 2);
	end(lookup);
}

static void
too_much_without_an_end_is_its_end(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "yes 10.0.0.1:1");

	(void)state;
	await(&told.ended, &told.done, 1);
	assert_string_equal(told.error, "lookup script --watch: more than 65536 bytes of output");
	assert_int_equal(told.news, 0);
	end(lookup);
}

static void
what_is_wrong_in_a_list_fails_lookups_until_the_next(void **state)
{
	static const char *const errors[] = { "lookup script: no address in the output",
		"lookup script: line 1: no port: \"nonsense\"", "lookup script: more than 64 addresses" };
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "for l in '' nonsense \"$(for i in $(seq 65); do echo 10.0.0.1:$i; "
	    "done)\" 10.0.0.1:1; do if test -n \"$l\"; then echo \"$l\"; fi; echo\n"
	    "while ! test -e go; do sleep 0.01; done; rm go; done; sleep 60");

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		await(&told.news, &told.done, i + 1);
		assert_string_equal(ask(lookup), errors[i]);
		stage_write("go", "", 0600);
	}
	await(&told.news, &told.done, 4);
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	assert_int_equal(runs(), 0);
	end(lookup);
}

static void
it_is_ended_with_all_that_it_has_started_when_nobody_wants_it(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "sleep 60 & sleep 60 & echo 10.0.0.1:1; echo; wait");
	pid_t group;

	(void)state;
	ask(lookup);
	group = groups[TABLE_GROUP_WATCH];
	assert_true(group > 0);
	lookup_watch(lookup, false);
	assert_int_equal(groups[TABLE_GROUP_WATCH], 0);
	assert_true(stage_no_children());
	assert_string_equal(ask_as(lookup, 0), "10.0.0.9:9"); /* an operator starts nothing */
	assert_int_equal(groups[TABLE_GROUP_WATCH], 0);
	told.delay = 0;
	told.news = 0;
	lookup_watch(lookup, true);
	await(&told.news, &told.done, 1);
	assert_string_equal(ask(lookup), "10.0.0.1:1");
	end(lookup);
}

static void
it_can_abort(void **state)
{
	struct lookup_settings settings;
	struct lookup *lookup = begin(&settings, "echo abort: the licence is over; echo; sleep 60");

	(void)state;
	ask(lookup);
	assert_string_equal(outcome.abort_reason, "the licence is over");
	end(lookup);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_last_list_is_the_answer_and_no_other_run_is_needed),
		cmocka_unit_test(the_same_list_again_is_no_news),
		cmocka_unit_test(a_list_may_come_in_pieces),
		cmocka_unit_test(its_silence_is_not_trusted_beyond_refresh),
		cmocka_unit_test(the_first_list_is_waited_for_as_long_as_a_script_may_take),
		cmocka_unit_test(one_that_ends_is_told_and_run_again_and_its_list_counts_no_more),
		cmocka_unit_test(one_that_knows_no_watch_fails_again_and_again_with_growing_delay),
		cmocka_unit_test(too_much_without_an_end_is_its_end),
		cmocka_unit_test(what_is_wrong_in_a_list_fails_lookups_until_the_next),
		cmocka_unit_test(it_is_ended_with_all_that_it_has_started_when_nobody_wants_it),
		cmocka_unit_test(it_can_abort),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
