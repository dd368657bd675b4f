/* Look-ups: every source, what is shared, the order, and scripts that do everything wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stage.h"
#include "upstream/lookup.h"
#include "upstream/pick.h"

struct outcome {
	bool done;
	unsigned calls;
	char error[600], abort_reason[200], kept[600], list[4000];
	size_t count;
	struct lookup *free_this;     /* in the callback */
	struct lookup *ask_again;
	struct lookup_waiter *leave_this;
	struct outcome *next;
};

static const struct lookup_question question = { .service = "cache", .failures = 3, .last_address = "10.9.9.9:9" };

static void
on_lookup(void *arg, const struct lookup_result *result)
{
	struct outcome *outcome = arg;
	char text[ADDRESS_TEXT_SIZE];

	outcome->done = true;
	outcome->calls++;
	outcome->list[0] = '\0';
	snprintf(outcome->error, sizeof outcome->error, "%s", result->error != NULL ? result->error : "");
	snprintf(outcome->kept, sizeof outcome->kept, "%s", result->kept_error != NULL ? result->kept_error : "");
	snprintf(outcome->abort_reason, sizeof outcome->abort_reason, "%s",
	    result->abort_reason != NULL ? result->abort_reason : "");
	outcome->count = result->candidate_count;
	for (size_t i = 0; i < result->candidate_count; i++) {
		address_format(&result->candidates[i], text);
		strcat(outcome->list, i > 0 ? " " : "");
		strcat(outcome->list, text);
	}
	if (outcome->leave_this != NULL)
		lookup_leave(outcome->leave_this);
	if (outcome->ask_again != NULL)
		lookup_ask(outcome->ask_again, &question, on_lookup, outcome->next);
	if (outcome->free_this != NULL)
		lookup_free(outcome->free_this);
}

static struct lookup_settings
settings_of_script(const char *path)
{
	return (struct lookup_settings){ .script = (char *)(uintptr_t)path, .timeout = 300 * CLOCK_MILLISECOND,
		.max_age = CLOCK_NEVER };
}

/* One look-up from beginning to end, which must leave nothing open, no child, no group. */
static void
look(const struct lookup_settings *settings, const struct lookup_question *asked, struct outcome *outcome)
{
	unsigned files = stage_count_files();
	volatile pid_t group = 0;
	struct lookup *lookup = lookup_new(stage_loop, "cache", settings, &group, NULL, NULL);

	memset(outcome, 0, sizeof *outcome);
	lookup_ask(lookup, asked, on_lookup, outcome);
	assert_int_equal(outcome->calls, 0);
	assert_true(lookup_running_since(lookup) > 0);
	assert_true(stage_run(&outcome->done, 10 * CLOCK_SECOND));
	assert_int_equal(lookup_running_since(lookup), 0);
	lookup_free(lookup);
	assert_int_equal(group, 0);
	assert_int_equal(outcome->calls, 1);
	assert_int_equal(stage_count_files(), files);
	assert_true(stage_no_children());
}

static struct outcome outcome;

/* ---- scripts ---- */

#define LONG_NAME "n=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; n=$n$n$n$n$n$n$n$n; "

/* kind, body, what the error is ("look-up script: " before it). */
static const struct {
	const char *kind, *body, *error;
} hostile[] = {
	{ "fails", "exit 1", "exit 1" },
	{ "fails and says why", "echo no route to the database >&2; exit 7", "exit 7: no route to the database" },
	{ "says it with control characters", "printf '\\033[31mno\\007\\n' >&2; exit 1",
		"exit 1: \\x1b[31mno\\x07" },
	{ "prints, then fails", "echo 10.0.0.1:1; exit 3", "exit 3" },
	{ "exit 127", "no-such-command", "exit 127: " },
	{ "dies on a signal", "kill -SEGV $$", "killed by SIGSEGV" },
	{ "kills its group", "kill -KILL 0", "killed by SIGKILL" },
	{ "prints, then dies", "echo 10.0.0.1:1; kill -ABRT $$", "killed by SIGABRT" },
	{ "hangs", "sleep 60", "time-out after 0.3 s" },
	{ "prints, then hangs", "echo 10.0.0.1:1; sleep 60", "time-out after 0.3 s" },
	{ "spins", "while :; do :; done", "time-out after 0.3 s" },
	{ "ignores SIGTERM", "trap '' TERM; while :; do sleep 1; done", "time-out after 0.3 s" },
	{ "answers after SIGTERM", "trap 'echo 10.0.0.1:1; exit 0' TERM; sleep 60 & wait",
		"time-out after 0.3 s" },
	{ "stops itself", "kill -STOP $$", "time-out after 0.3 s" },
	{ "closes standard output and hangs", "exec >&-; sleep 60", "time-out after 0.3 s" },
	{ "a grandchild holds the pipe", "sleep 60 & exit 4", "exit 4" },
	{ "a grandchild writes for ever", "yes & sleep 0.05; exit 0", "more than 65536 bytes of output" },
	{ "a daemon holds the pipe", "setsid sleep 6 & echo nonsense", "line 1: no port: \"nonsense\"" },
	{ "many grandchildren", "for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; echo",
		"no address in the output" },
	{ "1 MiB without a newline", "head -c 1048576 /dev/zero | tr '\\0' x",
		"more than 65536 bytes of output" },
	{ "output without end", "yes 10.0.0.1:1", "more than 65536 bytes of output" },
	{ "standard error without end", "yes woe >&2", "time-out after 0.3 s: " },
	{ "blank lines without end", "yes ''", "more than 65536 bytes of output" },
	{ "nothing", "exit 0", "no address in the output" },
	{ "nothing but a warning", "echo empty list >&2", "no address in the output: empty list" },
	{ "only comments", "echo '# none'; echo; echo '  # today'", "no address in the output" },
	{ "waits for input", "read line; echo \"$line\"", "no address in the output" },
	{ "a NUL byte", "printf '10.0.0.1:1\\0\\n'", "a NUL byte in the output" },
	{ "binary garbage", "printf '\\377\\376\\001\\n'", "line 1: no port: \"???\"" },
	{ "no port", "echo 10.0.0.1", "line 1: no port: \"10.0.0.1\"" },
	{ "port 0", "echo 10.0.0.1:0", "line 1: port 0 is not a port: \"10.0.0.1:0\"" },
	{ "a port too high", "echo 10.0.0.1:65536", "line 1: the port is above 65535: " },
	{ "trailing garbage", "echo 10.0.0.1:80 primary",
		"line 1: the port is not a number: \"10.0.0.1:80 primary\"" },
	{ "IPv6 without brackets", "echo ::1:80",
		"line 1: more than one colon (an IPv6 address needs [ and ]): " },
	{ "a URL", "echo http://10.0.0.1:80/", "line 1: more than one colon " },
	{ "a name too long", LONG_NAME "echo $n:80", "line 1: the host name is longer than 253 bytes: \"xxx" },
	{ "an impossible host", "echo 'a b:80'", "line 1: the host name has a character that is not allowed" },
	{ "a bad line after a good one", "echo 10.0.0.1:1; echo 10.0.0", "line 2: no port: \"10.0.0\"" },
	{ "a line cut off", "printf '10.0.0.1:1\\n10.0.0.2'", "line 2: no port: \"10.0.0.2\"" },
	{ "CRLF", "printf '10.0.0.1:1\\r\\n'", "line 1: carriage return" },
	{ "65 addresses", "for i in $(seq 65); do echo 10.0.0.1:$i; done", "more than 64 addresses" },
	{ "abort among addresses", "echo 10.0.0.1:1; echo abort: no", "line 2: \"abort:\" must be the only line" },
	{ "abort with further lines", "echo abort: no; echo 10.0.0.1:1",
		"line 2: \"abort:\" must be the only line" },
	{ "abort and fail", "echo abort: no; exit 1", "exit 1" },
	{ "a name that does not resolve", "echo nobody.onion:80", "" },
};

static void
hostile_scripts_fail_with_the_cause_in_time(void **state)
{
	struct lookup_settings settings;
	char expected[400];
	int64_t began;

	(void)state;
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		settings = settings_of_script(stage_script("script", hostile[i].body));
		snprintf(expected, sizeof expected, "look-up script: %s", hostile[i].error);
		if (hostile[i].error[0] == '\0')
			snprintf(expected, sizeof expected, "resolve nobody.onion: ");
		began = clock_now();
		look(&settings, &question, &outcome);
		if (clock_now() - began > 3 * CLOCK_SECOND)
			fail_msg("%s: took %ld us", hostile[i].kind, (long)(clock_now() - began));
		if (strncmp(outcome.error, expected, strlen(expected)) != 0)
			fail_msg("%s: the error is \"%s\"", hostile[i].kind, outcome.error);
		assert_int_equal(outcome.count, 0);
		assert_string_equal(outcome.abort_reason, "");
	}
}

static void
scripts_that_cannot_run_fail_with_the_cause(void **state)
{
	struct lookup_settings settings;

	(void)state;
	settings = settings_of_script(stage_path("missing"));
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "look-up script: No such file or directory");
	settings = settings_of_script(stage_write("plain", "#!/bin/sh\n", 0644));
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "look-up script: not executable: Permission denied");
	settings = settings_of_script(stage_folder);
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "look-up script: is a directory");
	settings = settings_of_script(stage_write("bad", "#!/no/such/shell\n", 0755));
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error,
	    "look-up script: its interpreter (the #! line): No such file or directory");
	settings = settings_of_script(stage_write("empty", "", 0755));
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "look-up script: Exec format error");
}

static void
a_good_script_gives_its_addresses_in_order(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "echo '# best first'; echo; echo '  10.0.0.2:5 '; echo '[::1]:7'; echo unix:/run/x; echo 10.0.0.2:5;"
	    "printf 10.0.0.1:5; sleep 60 &"));

	(void)state;
	settings.timeout = 5 * CLOCK_SECOND;
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.list, "10.0.0.2:5 [::1]:7 unix:/run/x 10.0.0.1:5");
}

static void
p21_a_script_can_abort(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "echo 'abort:  licence is over'"));

	(void)state;
	settings.keep_last = true;
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.abort_reason, "licence is over");
	assert_int_equal(outcome.count, 0);
}

static void
a_script_is_told_what_it_needs_and_no_more(void **state)
{
	char *arguments[] = { mem_copy_text("my master"), mem_copy_text("2"), NULL };
	char *environment[] = { mem_copy_text("COLOUR=red"), mem_copy_text("LANG=de"), NULL };
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "test \"$1,$2,$3,$#\" = 'my master,2,cache,3' || exit 10\n"
	    "test \"$HOLDFAST_SERVICE,$HOLDFAST_FAILURES,$HOLDFAST_LAST_ADDRESS\" = cache,3,10.9.9.9:9 || exit 11\n"
	    "test \"$COLOUR,$LANG\" = red,de || exit 12\n"
	    "test \"$(/usr/bin/env | grep -Ev '^(PWD|_|OLDPWD|SHLVL)=' | wc -l)\" = 6 || exit 13\n"
	    "test \"$(pwd)\" = / || exit 14\n"
	    "echo 10.0.0.1:1"));

	(void)state;
	settings.arguments = arguments;
	settings.environment = environment;
	settings.timeout = 5 * CLOCK_SECOND;
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.list, "10.0.0.1:1");
	for (int i = 0; i < 2; i++) {
		mem_free(arguments[i]);
		mem_free(environment[i]);
	}
}

/* ---- fixed addresses and host names ---- */

static struct lookup_settings
settings_of_addresses(char **texts)
{
	return (struct lookup_settings){ .addresses = texts, .timeout = 2 * CLOCK_SECOND, .max_age = CLOCK_NEVER };
}

static void
fixed_addresses_come_in_order(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "10.0.0.2:1");
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.list, "10.0.0.2:1 10.0.0.1:1");
	mem_list_free(texts);
}

static void
host_names_are_resolved_in_place(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "10.0.0.2:1");
	mem_list_add(&texts, "localhost:77");
	mem_list_add(&texts, "nobody.onion:1");
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	look(&settings, &question, &outcome);
	assert_string_equal(outcome.error, "");
	assert_memory_equal(outcome.list, "10.0.0.2:1 ", 11);
	assert_non_null(strstr(outcome.list, " 127.0.0.1:77 "));
	assert_non_null(strstr(outcome.list, " 10.0.0.1:1"));
	mem_list_free(texts);
}

static void
an_unknown_name_is_an_error_that_names_it(void **state)
{
	char **texts = NULL;
	struct lookup_settings settings;

	(void)state;
	mem_list_add(&texts, "nobody.onion:1");
	settings = settings_of_addresses(texts);
	look(&settings, &question, &outcome);
	assert_memory_equal(outcome.error, "resolve nobody.onion: ", 22);
	mem_list_free(texts);
}

/* ---- order ---- */

static void
rotation_begins_where_its_turn_is(void **state)
{
	static const char *const expected[] = { "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1",
		"10.0.0.2:1 10.0.0.3:1 10.0.0.1:1", "10.0.0.3:1 10.0.0.1:1 10.0.0.2:1" };
	struct lookup_question asked = question;
	struct lookup_settings settings;
	char **texts = NULL;

	(void)state;
	mem_list_add(&texts, "10.0.0.1:1");
	mem_list_add(&texts, "10.0.0.2:1");
	mem_list_add(&texts, "10.0.0.3:1");
	settings = settings_of_addresses(texts);
	settings.pick = LOOKUP_PICK_ROTATE;
	for (asked.turn = 0; asked.turn < 6; asked.turn++) {
		look(&settings, &asked, &outcome);
		assert_string_equal(outcome.list, expected[asked.turn % 3]);
	}
	mem_list_free(texts);
}

static void
shuffling_is_fair(void **state)
{
	unsigned counts[4][4] = { { 0 } };
	struct address list[4];

	(void)state;
	for (uint32_t roll = 0; roll < 40000; roll++) {
		for (uint16_t i = 0; i < 4; i++)
			list[i].port = i;
		pick_shuffle(list, 4, roll);
		for (unsigned i = 0; i < 4; i++)
			counts[i][list[i].port]++;
	}
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 4; k++)
			assert_in_range(counts[i][k], 9500, 10500);
}

/* ---- who asks ---- */

static void
all_who_wait_share_one_look_up(void **state)
{
	const char *script = stage_script("script", "echo x >> $0.runs; sleep 0.1; echo 10.0.0.1:1");
	struct lookup_settings settings = settings_of_script(script);
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, NULL, NULL);
	static struct outcome outcomes[3];
	struct lookup_waiter *waiters[3];
	struct stat st;
	char runs[300];

	(void)state;
	settings.timeout = 5 * CLOCK_SECOND;
	memset(outcomes, 0, sizeof outcomes);
	for (int i = 0; i < 3; i++)
		waiters[i] = lookup_ask(lookup, &question, on_lookup, &outcomes[i]);
	lookup_leave(waiters[1]);
	assert_true(stage_run(&outcomes[0].done, 5 * CLOCK_SECOND));
	assert_true(outcomes[2].done);
	assert_false(outcomes[1].done);
	snprintf(runs, sizeof runs, "%s.runs", script);
	assert_int_equal(stat(runs, &st), 0);
	assert_int_equal(st.st_size, 2);
	lookup_free(lookup);
}

static void
the_last_who_leaves_ends_it(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script", "sleep 60"));
	volatile pid_t group = 0;
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, &group, NULL, NULL);
	struct lookup_waiter *waiter;

	(void)state;
	settings.timeout = CLOCK_NEVER;
	memset(&outcome, 0, sizeof outcome);
	waiter = lookup_ask(lookup, &question, on_lookup, &outcome);
	assert_true(group > 0);
	lookup_leave(waiter);
	assert_int_equal(group, 0);
	assert_int_equal(lookup_running_since(lookup), 0);
	assert_true(stage_no_children());
	lookup_free(lookup);
	lookup_leave(NULL);
	lookup_free(NULL);
}

static void
a_callback_may_leave_ask_anew_and_free(void **state)
{
	char **texts = NULL;
	static struct outcome outcomes[5];
	struct lookup_settings settings;
	struct lookup *lookup;

	(void)state;
	mem_list_add(&texts, "10.0.0.1:1");
	settings = settings_of_addresses(texts);
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, NULL, NULL);
	memset(outcomes, 0, sizeof outcomes);
	lookup_ask(lookup, &question, on_lookup, &outcomes[0]);
	outcomes[0].leave_this = lookup_ask(lookup, &question, on_lookup, &outcomes[1]);
	outcomes[0].ask_again = lookup;
	outcomes[0].next = &outcomes[2];
	assert_true(stage_run(&outcomes[2].done, 5 * CLOCK_SECOND));
	assert_false(outcomes[1].done);
	/* Freed by the first who is told: the second is told that, through the loop. */
	outcomes[2].calls = 0;
	outcomes[2].free_this = lookup;
	lookup_ask(lookup, &question, on_lookup, &outcomes[2]);
	lookup_ask(lookup, &question, on_lookup, &outcomes[3]);
	lookup_leave(lookup_ask(lookup, &question, on_lookup, &outcomes[4]));
	assert_true(stage_run(&outcomes[3].done, 5 * CLOCK_SECOND));
	assert_string_equal(outcomes[2].error, "");
	assert_string_equal(outcomes[3].error, "the service was changed or removed meanwhile");
	assert_int_equal(outcomes[3].calls, 1);
	assert_int_equal(outcomes[4].calls, 0);
	mem_list_free(texts);
}

static void
freeing_kills_the_script_and_tells_who_waits(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script", "sleep 60"));
	struct lookup *lookup = lookup_new(stage_loop, "cache", &settings, NULL, NULL, NULL);
	struct outcome second = { 0 };
	struct lookup_waiter *waiter;

	(void)state;
	memset(&outcome, 0, sizeof outcome);
	lookup_ask(lookup, &question, on_lookup, &outcome);
	waiter = lookup_ask(lookup, &question, on_lookup, &second);
	lookup_free(lookup);
	assert_true(stage_no_children());
	lookup_leave(waiter);
	assert_true(stage_run(&outcome.done, CLOCK_SECOND));
	assert_false(second.done);
}

static void
keep_last_gives_the_last_ones_and_says_so(void **state)
{
	const char *script = stage_script("script", "test -e $0.bad && exit 9; echo 10.0.0.1:1");
	struct lookup_settings settings = settings_of_script(script);
	struct lookup *lookup;

	(void)state;
	settings.keep_last = true;
	settings.timeout = 5 * CLOCK_SECOND;
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, NULL, NULL);
	stage_write("script.bad", "", 0644);
	for (int i = 0; i < 3; i++) {
		memset(&outcome, 0, sizeof outcome);
		lookup_ask(lookup, &question, on_lookup, &outcome);
		assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
		if (i == 0) { /* nothing to keep yet */
			assert_string_equal(outcome.error, "look-up script: exit 9");
			remove(stage_path("script.bad"));
			continue;
		}
		assert_string_equal(outcome.error, "");
		assert_string_equal(outcome.list, "10.0.0.1:1");
		assert_string_equal(outcome.kept, i == 2 ? "look-up script: exit 9" : "");
		stage_write("script.bad", "", 0644);
	}
	lookup_free(lookup);
}

static void
a_catalog_is_asked_afresh_and_shuffled(void **state)
{
	struct lookup_settings settings = { .catalog = (char *)(uintptr_t)stage_path("catalog"),
		.timeout = CLOCK_SECOND, .max_age = CLOCK_NEVER };
	struct lookup_question asked = question;
	bool other_order = false;
	struct lookup *lookup;

	(void)state;
	mkdir(stage_path("catalog"), 0755);
	lookup = lookup_new(stage_loop, "cache", &settings, NULL, NULL, NULL);
	assert_memory_equal(lookup_describe(lookup), "catalog /", 9);
	mkdir(stage_path("catalog/cache"), 0755);
	stage_publish("catalog/cache/a", "10.0.0.1:1\n");
	stage_publish("catalog/cache/b", "10.0.0.2:1\n");
	for (asked.roll = 0; asked.roll < 16; asked.roll++) {
		memset(&outcome, 0, sizeof outcome);
		lookup_ask(lookup, &asked, on_lookup, &outcome);
		assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
		assert_int_equal(outcome.count, 2);
		other_order = other_order || strcmp(outcome.list, "10.0.0.2:1 10.0.0.1:1") == 0;
	}
	assert_true(other_order);
	lookup_free(lookup);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_scripts_fail_with_the_cause_in_time),
		cmocka_unit_test(scripts_that_cannot_run_fail_with_the_cause),
		cmocka_unit_test(a_good_script_gives_its_addresses_in_order),
		cmocka_unit_test(p21_a_script_can_abort),
		cmocka_unit_test(a_script_is_told_what_it_needs_and_no_more),
		cmocka_unit_test(fixed_addresses_come_in_order),
		cmocka_unit_test(host_names_are_resolved_in_place),
		cmocka_unit_test(an_unknown_name_is_an_error_that_names_it),
		cmocka_unit_test(rotation_begins_where_its_turn_is),
		cmocka_unit_test(shuffling_is_fair),
		cmocka_unit_test(all_who_wait_share_one_look_up),
		cmocka_unit_test(the_last_who_leaves_ends_it),
		cmocka_unit_test(a_callback_may_leave_ask_anew_and_free),
		cmocka_unit_test(freeing_kills_the_script_and_tells_who_waits),
		cmocka_unit_test(keep_last_gives_the_last_ones_and_says_so),
		cmocka_unit_test(a_catalog_is_asked_afresh_and_shuffled),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
