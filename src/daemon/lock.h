/* lock.h - one daemon in one runtime directory: a lock file there, and a lock on the directory itself, which holds
 * where somebody has removed the file.
 */
#ifndef HOLDFAST_DAEMON_LOCK_H
#define HOLDFAST_DAEMON_LOCK_H

#include <event2/event.h>

struct lock {
	int file, directory; /* open files that hold the locks */
};

/* Makes the directory if it is missing, and takes both.  0, -EWOULDBLOCK: another daemon has it, or -errno.  What is
 * left of a previous instance, or has locked the directory for a moment, is waited for 2 s. */
int lock_take(const char *directory, struct lock *ret_lock);

/* Takes what stands at the paths of a lock that we have, when somebody has removed its file or the directory: at
 * once, and again until nobody else has it; waits for nobody, and tells.  The numbers of the files stay.  look(arg)
 * is called soon after a change there, by which other things may have gone too, and is to call
 * lock_keeper_look(). */
struct lock_keeper;
struct lock_keeper *lock_keeper_new(struct event_base *loop, const char *directory, const struct lock *lock,
    void (*look)(void *arg), void *arg);
void lock_keeper_free(struct lock_keeper *keeper);

/* Looks now, and watches from then on. */
void lock_keeper_look(struct lock_keeper *keeper);

/* Why it cannot be taken again (borrowed); NULL: we have it. */
const char *lock_keeper_error(const struct lock_keeper *keeper);

#endif
