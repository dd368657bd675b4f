/* waiters.h - who asked an upstream to be told (P13, P14, P18).  Answers come through the loop, never at once. */
#ifndef HOLDFAST_UPSTREAM_WAITERS_H
#define HOLDFAST_UPSTREAM_WAITERS_H

#include <event2/event.h>
#include <stdbool.h>

#define WAITERS_CONNECTED 1u /* P13 */
#define WAITERS_RESULT    2u /* P14 */
#define WAITERS_CLOSED    4u /* P18 */

/* The answer, once: NULL for what was waited for, else why it does not come. */
typedef void waiters_callback(void *arg, const char *error);

struct waiter;
struct waiters;

struct waiters *waiters_new(struct event_base *loop);

/* Those who still wait are told the error. */
void waiters_free(struct waiters *waiters, const char *error);

/* One who waits for one kind of answer; freed by its answer or waiters_leave(), even after waiters_free(). */
struct waiter *waiters_add(struct waiters *waiters, unsigned kind, waiters_callback *answer, void *arg);

void waiters_leave(struct waiter *waiter);

/* Whether somebody waits for one of these kinds, a bit each. */
bool waiters_wait(const struct waiters *waiters, unsigned kinds);

/* Answers this one; or those whom the machine has an answer for (PCONN_DO_*), where it is closed, or the attempt has
 * failed, with these errors. */
void waiters_answer_one(struct waiter *waiter, const char *error);
void waiters_act(struct waiters *waiters, unsigned todo, const char *closed_error, const char *failed_error);

#endif
