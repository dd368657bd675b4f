/* Lookup scripts, also such that do everything wrong. */
#include "lookup_outcome.h"

#define LONG_NAME "n=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; n=$n$n$n$n$n$n$n$n; "

/* kind, body, what the error is ("lookup script: " before it). */
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
	{ "a priority that is none", "echo 10.0.0.1:80 priority=high",
		"line 1: priority= is not a whole number up to 65535: \"10.0.0.1:80 priority=high\"" },
	{ "a weight too high", "echo 10.0.0.1:80 weight=65536 priority=1",
		"line 1: weight= is not a whole number up to 65535: \"10.0.0.1:80 weight=65536 priority=1\"" },
	{ "a priority without an address", "echo priority=1", "line 1: no port: \"priority=1\"" },
	{ "a ttl, which is a catalog's", "echo 10.0.0.1:80 ttl=5", "line 1: the port is not a number: " },
	{ "IPv6 without brackets", "echo ::1:80",
		"line 1: more than one colon (an IPv6 address needs [ and ]): " },
	{ "a URL", "echo http://10.0.0.1:80/", "line 1: an address is HOST:PORT or unix:/PATH, no URL: " },
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
		snprintf(expected, sizeof expected, "lookup script: %s", hostile[i].error);
		if (hostile[i].error[0] == '\0')
			snprintf(expected, sizeof expected, "resolve nobody.onion: ");
		began = clock_now();
		look(&settings, &outcome);
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
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "lookup script: No such file or directory");
	settings = settings_of_script(stage_write("plain", "#!/bin/sh\n", 0644));
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "lookup script: not executable: Permission denied");
	settings = settings_of_script(stage_folder);
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "lookup script: is a directory");
	settings = settings_of_script(stage_write("bad", "#!/no/such/shell\n", 0755));
	look(&settings, &outcome);
	assert_string_equal(outcome.error,
	    "lookup script: its interpreter (the #! line): No such file or directory");
	settings = settings_of_script(stage_write("empty", "", 0755));
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "lookup script: Exec format error");
}

static void
a_good_script_gives_its_addresses_in_order(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "echo '# best first'; echo; echo '  10.0.0.2:5 '; echo '[::1]:7'; echo unix:/run/x; echo 10.0.0.2:5;"
	    "printf 10.0.0.1:5; sleep 60 &"));

	(void)state;
	settings.timeout = 5 * CLOCK_SECOND;
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.list, "10.0.0.2:5 [::1]:7 unix:/run/x 10.0.0.1:5");
}

static void
a_script_may_give_priorities_and_weights(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "echo '10.0.0.2:5  priority=1\tweight=65535'; echo 10.0.0.1:5; echo '[::1]:5 weight=0';"
	    "echo 'unix:/run/a b priority=3'"));

	(void)state;
	settings.timeout = 5 * CLOCK_SECOND;
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.whole, "10.0.0.2:5 1/65535 0 \"\", 10.0.0.1:5 0/1 1 \"\", [::1]:5 0/0 2 \"\", "
	    "unix:/run/a b 3/1 3 \"\"");
	assert_int_equal(outcome.good_for, CLOCK_NEVER);
}

static void
p21_a_script_can_abort(void **state)
{
	struct lookup_settings settings = settings_of_script(stage_script("script",
	    "echo 'abort:  licence is over'"));

	(void)state;
	settings.keep_last = true;
	look(&settings, &outcome);
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
	look(&settings, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.list, "10.0.0.1:1");
	for (int i = 0; i < 2; i++) {
		mem_free(arguments[i]);
		mem_free(environment[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_scripts_fail_with_the_cause_in_time),
		cmocka_unit_test(scripts_that_cannot_run_fail_with_the_cause),
		cmocka_unit_test(a_good_script_gives_its_addresses_in_order),
		cmocka_unit_test(a_script_may_give_priorities_and_weights),
		cmocka_unit_test(p21_a_script_can_abort),
		cmocka_unit_test(a_script_is_told_what_it_needs_and_no_more),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
