/* spawn.h - a new process by vfork: what is done between it and the program's first instruction.
 *
 * By hand, because posix_spawn can set neither the parent-death signal nor the folder everywhere, and because fork
 * would copy the page tables of everything that is mapped.
 */
#ifndef HOLDFAST_BASE_SPAWN_H
#define HOLDFAST_BASE_SPAWN_H

#include <sys/types.h>

/* The exit status of a process that could not execute its program. */
#define SPAWN_FAILED 127

/* What the new process needs; all borrowed. */
struct spawn_plan {
	const char *program;
	char *const *arguments; /* after argv[0] */
	char *const *environment;
	int out, err;      /* write ends; out may be -1: /dev/null */
	pid_t parent;      /* getpid() of the caller */
	volatile pid_t *group; /* gets the process group as soon as there is one; NULL: nobody wants it */
	int *exec_error;   /* in memory that is shared with the process: gets the errno if it cannot execute */
};

/* A pipe for a program to write to: the read end does not block.  0 or -errno. */
int spawn_pipe(int *ret_read, int *ret_write);

/* Gives the process: leader of its own group, in the folder "/", standard input empty, no other files, all
 * signals as by default, killed when the caller dies.  Or -1 and errno.  A failure after vfork is seen in its exit
 * status SPAWN_FAILED and in *exec_error. */
pid_t spawn_process(const struct spawn_plan *plan);

#endif
