/* Running programs: what they get, what is told of their end, and that nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "stage.h"

static char *const no_words[] = { NULL };
static char *const plain_environment[] = { (char *)(uintptr_t)"PATH=/usr/bin:/bin", NULL };

struct outcome {
	bool done;
	unsigned calls;
	char error[200], output[70000], last_line[300], errors[5000];
	size_t output_length;
	bool timed_out;
	int status;
	int64_t took;
};

static void
on_child(void *arg, const struct child_result *result)
{
	struct outcome *outcome = arg;

	outcome->done = true;
	outcome->calls++;
	snprintf(outcome->error, sizeof outcome->error, "%s", result->error != NULL ? result->error : "");
	memcpy(outcome->output, result->output, result->output_length + 1);
	outcome->output_length = result->output_length;
	snprintf(outcome->last_line, sizeof outcome->last_line, "%s", result->last_line);
	snprintf(outcome->errors, sizeof outcome->errors, "%s", result->errors);
	outcome->timed_out = result->timed_out;
	outcome->status = result->status;
}

static struct child_job
job_of(const char *program, int64_t timeout)
{
	return (struct child_job){ .program = program, .arguments = no_words, .environment = plain_environment,
		.timeout = timeout, .output_max = 65536 };
}

/* Runs the job to its end and checks that it left nothing. */
static void
run(const struct child_job *job, struct outcome *outcome)
{
	unsigned files = stage_count_files();
	int64_t began = clock_now();
	volatile pid_t group = -1;

	memset(outcome, 0, sizeof *outcome);
	child_start(stage_loop, job, &group, on_child, outcome);
	assert_int_equal(outcome->calls, 0);
	assert_true(stage_run(&outcome->done, 10 * CLOCK_SECOND));
	outcome->took = clock_now() - began;
	assert_int_equal(group, 0);
	assert_int_equal(stage_count_files(), files);
	assert_true(stage_no_children());
}

static void
run_script(const char *body, int64_t timeout, struct outcome *outcome)
{
	struct child_job job = job_of(stage_script("script", body), timeout);

	run(&job, outcome);
}

static struct outcome outcome;

static void
output_and_standard_error_come_back(void **state)
{
	(void)state;
	run_script("echo one; echo two; echo 'it is warm' >&2; echo 'it is cold' >&2", 5 * CLOCK_SECOND, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.output, "one\ntwo\n");
	assert_string_equal(outcome.last_line, "it is cold");
	assert_string_equal(outcome.errors, "it is warm\nit is cold\n");
	assert_int_equal(outcome.status, 0);
}

static void
arguments_environment_and_folder_are_as_told(void **state)
{
	char *arguments[] = { mem_copy_text("a b"), mem_copy_text(""), mem_copy_text("c"), NULL };
	char *environment[] = { mem_copy_text("X=1 2"), NULL };
	struct child_job job;

	(void)state;
	job = job_of(stage_script("script", "/usr/bin/printf '%s|' \"$@\" \"$(/usr/bin/pwd)\" \"$X\" $#"),
	    5 * CLOCK_SECOND);
	job.arguments = arguments;
	job.environment = environment;
	run(&job, &outcome);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.output, "a b||c|/|1 2|3|");
	for (int i = 0; i < 3; i++)
		mem_free(arguments[i]);
	mem_free(environment[0]);
}

static void
no_files_and_empty_standard_input_are_inherited(void **state)
{
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec, as a careless library's */

	(void)state;
	run_script("cat; ls /proc/$$/fd; cat /proc/$$/fdinfo/1 > /dev/null; readlink /proc/$$/fd/0",
	    5 * CLOCK_SECOND, &outcome);
	close(leak);
	assert_string_equal(outcome.error, "");
	/* 10 is the shell's own, its script.  In a pipeline it might still have had an end of the pipe. */
	assert_string_equal(outcome.output, "0\n1\n10\n2\n/dev/null\n");
}

static void
signals_are_as_by_default(void **state)
{
	sigset_t usr1, old;

	(void)state;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &old);
	/* stage_open() ignores SIGPIPE; a shell started so could never mend it.  Signals 32 and 33 are the C
	 * library's, out of everybody's reach, and as whoever started the tests left them. */
	run_script("grep -E '^Sig(Blk|Ign)' /proc/self/status | sed s/0000000180000000/0000000000000000/",
	    5 * CLOCK_SECOND, &outcome);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void
group_is_told_while_it_runs(void **state)
{
	struct child_job job = job_of(stage_script("script", "sleep 60"), CLOCK_NEVER);
	volatile pid_t group = -1;
	struct child *child;

	(void)state;
	memset(&outcome, 0, sizeof outcome);
	child = child_start(stage_loop, &job, &group, on_child, &outcome);
	assert_true(group > 0);
	assert_int_equal(getpgid(group), group);
	child_cancel(child);
	assert_int_equal(group, 0);
	assert_true(stage_no_children());
	stage_idle(20 * CLOCK_MILLISECOND);
	assert_int_equal(outcome.calls, 0);
}

static const struct {
	const char *body;
	const char *error;
	bool timed_out;
} ends[] = {
	{ "exit 1", "exit 1", false },
	{ "exit 127", "exit 127", false },
	{ "kill -SEGV $$", "killed by SIGSEGV", false },
	{ "kill -KILL 0", "killed by SIGKILL", false },
	{ "sleep 60", "time-out after 0.3 s", true },
	{ "trap '' TERM; while :; do sleep 1; done", "time-out after 0.3 s", true },
	{ "trap 'exit 0' TERM; while :; do sleep 0.1; done", "time-out after 0.3 s", true },
	{ "kill -STOP $$", "time-out after 0.3 s", true },
	{ "exec >&- 2>&-; sleep 60", "time-out after 0.3 s", true },
	{ "sleep 60 & exit 3", "exit 3", false },
	{ "yes >&2 & exit 4", "exit 4", false },
	{ "setsid sleep 6 & exit 5", "exit 5", false },
	{ "yes", "more than 65536 bytes of output", false },
	{ "trap '' TERM PIPE; yes; sleep 60", "more than 65536 bytes of output", false },
	{ "yes >&2", "time-out after 0.3 s", true },
};

static void
every_end_has_its_cause_and_comes_in_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		run_script(ends[i].body, 300 * CLOCK_MILLISECOND, &outcome);
		if (outcome.took > 3 * CLOCK_SECOND)
			fail_msg("\"%s\" took %ld us", ends[i].body, (long)outcome.took);
		if (strcmp(outcome.error, ends[i].error) != 0)
			fail_msg("\"%s\" ended as \"%s\"", ends[i].body, outcome.error);
		assert_int_equal(outcome.timed_out, ends[i].timed_out);
	}
}

static void
what_cannot_run_says_why(void **state)
{
	struct child_job job;

	(void)state;
	job = job_of(stage_path("no-such-file"), CLOCK_SECOND);
	run(&job, &outcome);
	assert_string_equal(outcome.error, "No such file or directory");
	assert_int_equal(outcome.status, -1);
	job = job_of(stage_write("plain", "#!/bin/sh\n", 0644), CLOCK_SECOND);
	run(&job, &outcome);
	assert_string_equal(outcome.error, "not executable: Permission denied");
	job = job_of(stage_folder, CLOCK_SECOND);
	run(&job, &outcome);
	assert_string_equal(outcome.error, "is a directory");
	job = job_of(stage_write("bad", "#!/no/such/shell\n", 0755), CLOCK_SECOND);
	run(&job, &outcome);
	assert_string_equal(outcome.error, "its interpreter (the #! line): No such file or directory");
	job = job_of(stage_write("junk", "\177ELF and nothing more", 0755), CLOCK_SECOND);
	run(&job, &outcome);
	assert_string_equal(outcome.error, "Exec format error");
}

static void
no_files_left_is_an_error_and_leaves_nothing(void **state)
{
	struct child_job job = job_of(stage_script("script", "exit 0"), CLOCK_SECOND);
	unsigned files = stage_count_files() - 3; /* ".", ".." and the folder's own */
	struct rlimit old, few;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	/* 2 and 4 are short for the pipes, and 4 is enough for them, but not for the pidfd besides. */
	for (rlim_t spare = 0; spare < 5; spare++) {
		bool ended;

		few = old;
		few.rlim_cur = files + spare;
		memset(&outcome, 0, sizeof outcome);
		setrlimit(RLIMIT_NOFILE, &few);
		child_start(stage_loop, &job, NULL, on_child, &outcome);
		ended = stage_run(&outcome.done, 5 * CLOCK_SECOND);
		setrlimit(RLIMIT_NOFILE, &old);
		assert_true(ended);
		assert_non_null(strstr(outcome.error, "Too many open files"));
		assert_int_equal(stage_count_files() - 3, files);
		assert_true(stage_no_children());
	}
}

static void
standard_error_keeps_its_end_and_is_escaped(void **state)
{
	(void)state;
	run_script("yes 0123456789 | head -n 2000 >&2; printf 'a\\033[1m\\303\\266\\n\\n \\n' >&2; exit 1",
	    5 * CLOCK_SECOND, &outcome);
	assert_string_equal(outcome.last_line, "a\\x1b[1m\\xc3\\xb6");
	assert_in_range(strlen(outcome.errors), 4000, 4096);
	run_script("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1", 5 * CLOCK_SECOND, &outcome);
	assert_in_range(strlen(outcome.last_line), 190, 200);
}

static void
output_up_to_the_limit_is_whole(void **state)
{
	(void)state;
	run_script("head -c 65536 /dev/zero | tr '\\0' x", 5 * CLOCK_SECOND, &outcome);
	assert_string_equal(outcome.error, "");
	assert_int_equal(outcome.output_length, 65536);
	run_script("head -c 65537 /dev/zero | tr '\\0' x", 5 * CLOCK_SECOND, &outcome);
	assert_string_equal(outcome.error, "more than 65536 bytes of output");
}

static void
output_that_nobody_wants_is_not_read(void **state)
{
	struct child_job job = job_of(stage_script("script", "yes | head -n 100000; echo x >&2"), 5 * CLOCK_SECOND);

	(void)state;
	job.output_max = 0;
	run(&job, &outcome);
	assert_string_equal(outcome.error, "");
	assert_int_equal(outcome.output_length, 0);
	assert_string_equal(outcome.last_line, "x");
}

static void
cancelled_jobs_leave_nothing_and_are_silent(void **state)
{
	static const char *const bodies[] = { "sleep 60", "trap '' TERM; sleep 60", "yes", "kill -STOP $$",
		"sleep 60 & sleep 60", "exit 0" };
	unsigned files = stage_count_files();

	(void)state;
	memset(&outcome, 0, sizeof outcome);
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		for (int64_t after = 0; after < 3; after++) {
			struct child_job job = job_of(stage_script("script", bodies[i]), CLOCK_SECOND);
			struct child *child = child_start(stage_loop, &job, NULL, on_child, &outcome);

			stage_idle(after * CLOCK_MILLISECOND / 2);
			if (outcome.calls > 0) { /* a quick one may have ended */
				outcome.calls = 0;
				continue;
			}
			child_cancel(child);
			stage_idle(CLOCK_MILLISECOND);
			assert_int_equal(outcome.calls, 0);
			assert_true(stage_no_children());
		}
	assert_int_equal(stage_count_files(), files);
	child_cancel(NULL);
}

static void
the_program_dies_with_its_starter(void **state)
{
	const char *script = stage_script("script", "echo $$ > $0.pid.tmp; mv $0.pid.tmp $0.pid; exec sleep 60");
	struct child_job job = job_of(script, CLOCK_NEVER);
	char path[300];
	int status, pid = 0;
	pid_t starter;
	FILE *file;

	(void)state;
	snprintf(path, sizeof path, "%s.pid", script);
	starter = fork();
	if (starter == 0) {
		child_start(stage_loop, &job, NULL, on_child, &outcome);
		while (access(path, F_OK) == -1)
			usleep(1000);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(starter, &status, 0), starter);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	for (int i = 0; i < 2000 && kill(pid, 0) == 0; i++) {
		char proc[64], what = '?';

		/* Dead is enough: who reaps orphans here is not ours to say. */
		snprintf(proc, sizeof proc, "/proc/%d/stat", pid);
		file = fopen(proc, "r");
		if (file != NULL && fscanf(file, "%*d %*s %c", &what) == 1 && what == 'Z')
			i = 2000;
		if (file != NULL)
			fclose(file);
		if (what == 'Z')
			return;
		usleep(1000);
	}
	assert_int_equal(kill(pid, 0), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_standard_error_come_back),
		cmocka_unit_test(arguments_environment_and_folder_are_as_told),
		cmocka_unit_test(no_files_and_empty_standard_input_are_inherited),
		cmocka_unit_test(signals_are_as_by_default),
		cmocka_unit_test(group_is_told_while_it_runs),
		cmocka_unit_test(every_end_has_its_cause_and_comes_in_time),
		cmocka_unit_test(what_cannot_run_says_why),
		cmocka_unit_test(no_files_left_is_an_error_and_leaves_nothing),
		cmocka_unit_test(standard_error_keeps_its_end_and_is_escaped),
		cmocka_unit_test(output_up_to_the_limit_is_whole),
		cmocka_unit_test(output_that_nobody_wants_is_not_read),
		cmocka_unit_test(cancelled_jobs_leave_nothing_and_are_silent),
		cmocka_unit_test(the_program_dies_with_its_starter),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
