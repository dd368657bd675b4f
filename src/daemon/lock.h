/* lock.h - one daemon in one runtime directory: a lock file there, and a lock on the directory itself, which holds
 * where somebody has removed the file.
 */
#ifndef HOLDFAST_DAEMON_LOCK_H
#define HOLDFAST_DAEMON_LOCK_H

#include <stdbool.h>

struct lock {
	int file, directory; /* open files that hold the locks */
};

/* Makes the directory if it is missing, and takes both.  0, -EWOULDBLOCK: another daemon has it, or -errno.  What is
 * left of a former instance, or has locked the directory for a moment, is waited for 2 s. */
int lock_take(const char *directory, struct lock *ret_lock);

/* Whether what is at their paths now is what is locked. */
bool lock_is_there(const struct lock *lock, const char *directory);

/* The lock file or the directory has been removed: takes what is at their paths now, under the numbers of the files
 * that were locked before.  Waits for nobody; else likewise, and the locks are as they were after an error. */
int lock_take_again(const char *directory, const struct lock *lock);

/* The lock file's path, to be freed. */
char *lock_path(const char *directory);

#endif
