/* spool_thread.h - a thread that makes system calls which may take as long as the disk takes, so that the loop does
 * not wait for them: one job of client/spool_disk after the other.
 *
 * It ends with its process, and the keeper starts no worker before it has ended.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_THREAD_H
#define HOLDFAST_CLIENT_SPOOL_THREAD_H

#include <event2/event.h>

#include "client/spool_disk.h"

struct spool_thread;

/* For the directory at path, which is copied.  done(arg) is called in the loop when a job is done.
 * NULL and errno: there is no file descriptor, or no memory, for it. */
struct spool_thread *spool_thread_new(struct event_base *loop, const char *path, void (*done)(void *arg), void *arg);

/* That a job is done is told to another one from now on. */
void spool_thread_tell(struct spool_thread *thread, void (*done)(void *arg), void *arg);

/* Its job, with bytes and into, which it frees; the caller's while none is under way. */
struct spool_job *spool_thread_job(struct spool_thread *thread);

/* Does the job; none is under way. */
void spool_thread_do(struct spool_thread *thread);

/* The thread ends, after the job that is under way: waits for that, or leaves it to itself.  done is not called any
 * more.  NULL is fine. */
void spool_thread_end(struct spool_thread *thread, bool waits);

#endif
