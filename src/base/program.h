/* program.h - whether a program of the operator's is safe to run: nobody but root and we can have changed it.
 *
 * The program, each directory and each link on the way to it from "/" must belong to root or to our user.  Neither
 * group nor others may have the right to write to the program or a directory, except in one with the sticky bit, as
 * /tmp, where nobody can replace what belongs to us.  This is the rule of sshd for the programs that it runs
 * (AuthorizedKeysCommand), which takes no sticky directory.  The interpreter of a #! line and what a program reads
 * are the program's.
 *
 * What is found is a path without links, to be executed in place of the one that was asked for.  None but root and
 * our user can make it lead elsewhere between the look and the execution.  A file descriptor would be no safer, and a
 * script's interpreter could not open one that is close-on-exec.
 */
#ifndef HOLDFAST_BASE_PROGRAM_H
#define HOLDFAST_BASE_PROGRAM_H

#include <limits.h>
#include <sys/types.h>

/* Finds the program at an absolute path.  NULL, or what is wrong, to be freed with mem_free(): what cannot be reached
 * (strerror), or who can write where.  own is our user. */
char *program_find(const char *path, uid_t own, char ret_place[PATH_MAX]);

#endif
