/* waiting.h - who waits for something that several may have asked for at the same time, and that is done once. */
#ifndef HOLDFAST_DAEMON_WAITING_H
#define HOLDFAST_DAEMON_WAITING_H

#include <stdbool.h>
#include <sys/queue.h>

struct waiting;
STAILQ_HEAD(waiting_list, waiting); /* STAILQ_INIT() makes it empty */

typedef void waiting_done(void *arg, const void *result);

/* done(arg) is called once, by waiting_answer(). */
void waiting_add(struct waiting_list *list, waiting_done *done, void *arg);

/* Whoever was added with this arg waits no longer. */
void waiting_forget(struct waiting_list *list, const void *arg);

/* Tells all the result, which is theirs during the call only; the list is empty then. */
void waiting_answer(struct waiting_list *list, const void *result);

#endif
