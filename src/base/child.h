/* child.h - runs a program of the operator's (lookup script, event handler), or a function of ours that might hang,
 * and tells how it ended.
 *
 * The program has its own process group, empty standard input, no inherited files, directory "/", and just
 * the environment given.  On time-out the whole group is killed (SIGTERM, and SIGKILL 200 ms later).
 * What it leaves in its group behind its end is killed too, so that a grandchild that holds the pipe
 * cannot hold us up.
 */
#ifndef HOLDFAST_BASE_CHILD_H
#define HOLDFAST_BASE_CHILD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_PATIENCE 12

struct child;

/* What a program that stays has written; must not cancel the child.  false: it was too much, and ends it. */
typedef bool child_said(void *arg, const char *bytes, size_t length);

struct child_job {
	const char *program;            /* borrowed; absolute path; of a function, its name as a process */
	bool guarded;                   /* a program that others can have changed (base/program) is not run */
	void (*run)(void *arg);         /* NULL, or called in place of a program by a copy of this process, with its
	                                 * environment and directory: writes to standard output and returns, then the
	                                 * copy is killed, which result.error says */
	void *run_arg;                  /* borrowed */
	char *const *arguments;         /* borrowed; after argv[0]; NULL-terminated */
	char *const *environment;       /* borrowed; NAME=VALUE; NULL-terminated */
	int64_t timeout;                /* microseconds; 0: none */
	bool patient;                   /* one that gets little of the processor has longer: it is ended when it has
	                                 * used none for a fourth of timeout, or timeout of it, or after
	                                 * CHILD_PATIENCE times timeout */
	size_t output_max;              /* more on standard output ends it; 0: output is not read */
	child_said *said;               /* is told what it writes, as it comes, in place of child_result.output;
	                                 * with the callback's arg; NULL: nobody */
};

/* How it ended.  All pointers are borrowed: valid during the callback only. */
struct child_result {
	const char *error;   /* NULL if it exited 0 in time and within output_max, else the cause:
	                      * "exit 1", "killed by SIGSEGV", "time-out after 5.0 s", "more than 65536 bytes of
	                      * output", "not executable", "No such file or directory", "unsafe: ..." ... */
	const char *output;  /* NUL-terminated; may hold NUL bytes before */
	size_t output_length;
	const char *last_line; /* of standard error, escaped, at most 200 bytes; "" if none */
	const char *errors;    /* all of standard error, at most the last 4 KiB */
	bool timed_out;
	int status;            /* as waitpid gives it; -1 if it never ran */
};

typedef void child_callback(void *arg, const struct child_result *result);

/* Runs the job, which is used during the call only; never calls back before it returns.  The child is the loop's:
 * it is freed before its callback runs, and there is none after child_cancel().  *ret_group, unless NULL, gets the
 * process group as soon as it is known, and 0 when the job has ended or could not be started; it is borrowed and
 * must outlive the child (volatile: it may lie in the table, to be killed after a worker's death). */
struct child *child_start(struct event_base *loop, const struct child_job *job, volatile pid_t *ret_group,
    child_callback *callback, void *arg);

/* The rule for patient ones, to be asked every fourth of timeout: after taken microseconds, having used so much of
 * the processor at the last look and so much now (clock_used_by). */
bool child_is_late(int64_t taken, int64_t before, int64_t used, int64_t timeout);

/* Kills the whole group at once and frees the child; no callback.  NULL is fine. */
void child_cancel(struct child *child);

/* The environment of such programs, clean but for what each of them needs: PATH, LANG, and CREDENTIALS_DIRECTORY if
 * we have it; and these names, each with its value behind it, up to a NULL.  NULL is the empty list.  A list of
 * NAME=VALUE, to be freed with mem_list_free(). */
char **child_environment(const char *const *values);

/* Adds NAME=VALUE to it, in the place of an earlier one of the same name. */
void child_add_variable(char ***environment, const char *setting);

#endif
