/* loop.h - the event loop, and timers that take a deadline of base/clock instead of a time-out.
 *
 * The timers of a loop stand in a heap of their own behind one timerfd.  With libevent's, each epoll_wait() would be
 * given a time-out, which the kernel then sets up and takes down; and a change of the earliest one is a system call
 * here only if it becomes earlier.
 */
#ifndef HOLDFAST_BASE_LOOP_H
#define HOLDFAST_BASE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop_timers;

/* A timer; all zero is one that was never initialised. */
struct loop_timer {
	struct loop_timers *timers; /* borrowed: of its loop */
	void (*callback)(void *arg);
	void *arg;                /* borrowed */
	int64_t deadline;
	uint64_t order;           /* of being set, among equal deadlines */
	size_t place;             /* in the heap, from 1 on; 0: not there */
	bool soon;                /* in the list of those that run in this turn */
	TAILQ_ENTRY(loop_timer) entry;
};

/* A new event base: epoll without a change list.  Aborts if there is none. */
struct event_base *loop_new(void);

/* Frees it; its timers must be stopped.  NULL is fine. */
void loop_free(struct event_base *loop);

/* Prepares a timer; callback(arg) runs once after each loop_timer_at(). */
void loop_timer_init(struct loop_timer *timer, struct event_base *loop, void (*callback)(void *arg), void *arg);

/* Runs the timer at deadline, or in the loop's next turn if that is past; CLOCK_NEVER stops it.  Replaces an earlier
 * one. */
void loop_timer_at(struct loop_timer *timer, int64_t deadline);

/* Runs the timer in this turn of the loop, after all that is due. */
void loop_timer_soon(struct loop_timer *timer);

/* Whether it is going to run. */
bool loop_timer_is_set(const struct loop_timer *timer);

/* Stops the timer; harmless when it was never set, or never initialised. */
void loop_timer_stop(struct loop_timer *timer);

/* Work that would hold the loop for long, of many services perhaps, is done in bits, in each turn of the loop so many
 * of them. */
#define LOOP_BITS 16

struct loop_work {
	struct loop_timer timer;
	bool (*bit)(void *arg);  /* false: that was the last one */
	void (*done)(void *arg); /* NULL: nothing */
	void *arg;               /* borrowed */
};

void loop_work_init(struct loop_work *work, struct event_base *loop, void *arg);

/* Does the first bits in this turn of the loop, after all that is due.  With the last one done(arg) is called, which
 * may free the work, or start the next; a bit does neither.  Replaces what was begun. */
void loop_work_start(struct loop_work *work, bool (*bit)(void *arg), void (*done)(void *arg));

/* Leaves it undone: done is not called.  Harmless when there is none, or it was never initialised. */
void loop_work_stop(struct loop_work *work);

/* Waits for an event of a file descriptor.  If the kernel has no memory for that, the process is aborted: a worker is
 * replaced and nothing is lost, while one that continues would never hear of the descriptor again. */
void loop_event_add(struct event *event);

/* Whether an error of a socket only says that the kernel cannot do it now, for lack of room or memory: it is asked
 * again when the socket is ready, and waited for as long as it takes. */
bool loop_is_busy(int error);

/* Removes an event of any kind; harmless when it was never initialised (all zero). */
void loop_event_stop(struct event *event);

#endif
