/* loop.h - timers of the event loop that take a deadline of base/clock instead of a time-out. */
#ifndef HOLDFAST_BASE_LOOP_H
#define HOLDFAST_BASE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

/* A new event base: epoll without a change list.  Aborts if there is none. */
struct event_base *loop_new(void);

/* Prepares a timer; callback(-1, EV_TIMEOUT, arg) runs once after each loop_timer_at(). */
void loop_timer_init(struct event *timer, struct event_base *loop, event_callback_fn callback, void *arg);

/* Runs the timer at deadline, or at once if that is past; CLOCK_NEVER stops it.  Replaces an earlier one. */
void loop_timer_at(struct event *timer, int64_t deadline);

/* Runs the timer in this turn of the loop, after all that is due; without a system call in between. */
void loop_timer_soon(struct event *timer);

/* Stops the timer; harmless when it was never set, or never initialised (all zero). */
void loop_timer_stop(struct event *timer);

/* Removes an event of any kind; harmless when it was never initialised (all zero). */
void loop_event_stop(struct event *event);

#endif
