#include "client/spool_thread.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"

struct spool_thread {
	char *path;              /* owned */
	struct spool_disk *disk; /* owned; the thread's while a job is under way, as is: */
	struct spool_job job;
	pthread_t id;
	sem_t go;                /* there is a job; without one: the end */
	volatile bool has_job, frees; /* set before go; frees: itself */
	int told;                /* eventfd: a job is done */
	struct event event;
	void (*done)(void *arg);
	void *arg;               /* borrowed */
};

/* AddressSanitizer's allocator, unlike that of the C library, may be locked for ever in the child of a fork(), such
 * as the one that reads the configuration: no thread begins or works meanwhile. */
#ifdef __SANITIZE_ADDRESS__
static sem_t thread_forks; /* whoever begins a thread takes it, and the thread gives it back */

static void
thread_before_fork(void)
{
	while (sem_wait(&thread_forks) == -1 && errno == EINTR)
		;
}

static void
thread_after_fork(void)
{
	sem_post(&thread_forks);
}

static void __attribute__((constructor))
thread_hold_forks(void)
{
	sem_init(&thread_forks, 0, 1);
	pthread_atfork(thread_before_fork, thread_after_fork, thread_after_fork);
}
#else
#define thread_before_fork() ((void)0)
#define thread_after_fork()  ((void)0)
#endif

static void
thread_free(struct spool_thread *thread)
{
	spool_disk_free(thread->disk);
	mem_free(thread->job.bytes);
	mem_free(thread->job.into);
	mem_free(thread->path);
	close(thread->told);
	sem_destroy(&thread->go);
	mem_free(thread);
}

static void *
thread_run(void *arg)
{
	struct spool_thread *thread = arg;
	const uint64_t one = 1;

	thread_after_fork();
	for (;;) {
		while (sem_wait(&thread->go) == -1 && errno == EINTR)
			;
		if (!thread->has_job) /* the end has a go of its own: whoever gave it is done with the thread then */
			break;
		thread_before_fork();
		spool_disk_run(thread->disk, &thread->job);
		thread_after_fork();
		thread->has_job = false;
		if (write(thread->told, &one, sizeof one) == -1)
			abort(); /* it has room for 2^64 */
	}
	if (thread->frees)
		thread_free(thread);
	return NULL;
}

static void
thread_on_told(evutil_socket_t fd, short what, void *arg)
{
	struct spool_thread *thread = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) == sizeof count)
		thread->done(thread->arg);
}

/* Without signals: they are the loop's. */
static bool
thread_start(struct spool_thread *thread)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread_before_fork();
	error = pthread_create(&thread->id, NULL, thread_run, thread);
	if (error != 0)
		thread_after_fork();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return error == 0;
}

struct spool_thread *
spool_thread_new(struct event_base *loop, const char *path, void (*done)(void *arg), void *arg)
{
	int told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct spool_thread *thread;

	if (told == -1)
		return NULL;
	thread = mem_new(1, sizeof *thread);
	thread->told = told;
	thread->path = mem_copy_text(path);
	thread->disk = spool_disk_new(thread->path);
	thread->done = done;
	thread->arg = arg;
	sem_init(&thread->go, 0, 0);
	if (!thread_start(thread)) {
		int error = errno;

		thread_free(thread);
		errno = error;
		return NULL;
	}
	event_assign(&thread->event, loop, told, EV_READ | EV_PERSIST, thread_on_told, thread);
	loop_event_add(&thread->event);
	return thread;
}

void
spool_thread_tell(struct spool_thread *thread, void (*done)(void *arg), void *arg)
{
	thread->done = done;
	thread->arg = arg;
}

struct spool_job *
spool_thread_job(struct spool_thread *thread)
{
	return &thread->job;
}

void
spool_thread_do(struct spool_thread *thread)
{
	thread->has_job = true;
	sem_post(&thread->go);
}

void
spool_thread_end(struct spool_thread *thread, bool waits)
{
	pthread_t id;

	if (thread == NULL)
		return;
	id = thread->id;
	loop_event_stop(&thread->event);
	thread->frees = !waits;
	sem_post(&thread->go);
	if (!waits) {
		pthread_detach(id);
		return;
	}
	pthread_join(id, NULL);
	thread_free(thread);
}
