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
 * left of a previous instance, or has locked the directory for a moment, is waited for 2 s. */
int lock_take(const char *directory, struct lock *ret_lock);

/* If the lock file or the directory has been removed: takes what is at their paths now, under the numbers that the
 * locked files had before, waits for nobody, and tells.  NULL, or what is wrong, a text to free with mem_free(), and
 * the locks are as they were. */
char *lock_look(const char *directory, const struct lock *lock);

/* The lock file's path, to be freed. */
char *lock_path(const char *directory);

#endif
