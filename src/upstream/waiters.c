#include "upstream/waiters.h"

#include <sys/queue.h>

#include "base/loop.h"
#include "base/mem.h"
#include "upstream/pconn.h"

struct waiter {
	LIST_ENTRY(waiter) next;
	bool waiting;        /* in the list; else its answer is on its way */
	unsigned kind;
	waiters_callback *answer;
	void *arg;           /* borrowed */
	char *error;         /* owned; the answer */
	struct loop_timer timer;
};

struct waiters {
	struct event_base *loop; /* borrowed */
	LIST_HEAD(waiters_list, waiter) list;
};

struct waiters *
waiters_new(struct event_base *loop)
{
	struct waiters *waiters = mem_new(1, sizeof *waiters);

	waiters->loop = loop;
	LIST_INIT(&waiters->list);
	return waiters;
}

/* Answers all of the kinds, a bit each. */
static void
waiters_answer(struct waiters *waiters, unsigned kinds, const char *error)
{
	struct waiter *waiter, *next;

	for (waiter = LIST_FIRST(&waiters->list); waiter != NULL; waiter = next) {
		next = LIST_NEXT(waiter, next);
		if ((waiter->kind & kinds) != 0)
			waiters_answer_one(waiter, error);
	}
}

void
waiters_act(struct waiters *waiters, unsigned todo, const char *closed_error, const char *failed_error)
{
	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		waiters_answer(waiters, WAITERS_CONNECTED | WAITERS_RESULT, NULL);
	if ((todo & PCONN_DO_ANSWER_CLOSED) != 0)
		waiters_answer(waiters, WAITERS_CONNECTED | WAITERS_RESULT, closed_error);
	if ((todo & PCONN_DO_ANSWER_FAILED) != 0)
		waiters_answer(waiters, WAITERS_RESULT, failed_error);
	if ((todo & PCONN_DO_FINISHED) != 0)
		waiters_answer(waiters, WAITERS_CLOSED, NULL);
}

void
waiters_free(struct waiters *waiters, const char *error)
{
	if (waiters == NULL)
		return;
	waiters_answer(waiters, ~0u, error);
	mem_free(waiters);
}

static void
waiters_on_timer(void *arg)
{
	struct waiter *waiter = arg;
	waiters_callback *answer = waiter->answer;
	void *answer_arg = waiter->arg;
	char *error = waiter->error;

	waiter->error = NULL;
	waiters_leave(waiter);
	answer(answer_arg, error);
	mem_free(error);
}

struct waiter *
waiters_add(struct waiters *waiters, unsigned kind, waiters_callback *answer, void *arg)
{
	struct waiter *waiter = mem_new(1, sizeof *waiter);

	waiter->kind = kind;
	waiter->answer = answer;
	waiter->arg = arg;
	waiter->waiting = true;
	loop_timer_init(&waiter->timer, waiters->loop, waiters_on_timer, waiter);
	LIST_INSERT_HEAD(&waiters->list, waiter, next);
	return waiter;
}

void
waiters_answer_one(struct waiter *waiter, const char *error)
{
	LIST_REMOVE(waiter, next);
	waiter->waiting = false;
	waiter->error = mem_copy_text(error);
	loop_timer_soon(&waiter->timer);
}

bool
waiters_wait(const struct waiters *waiters, unsigned kinds)
{
	const struct waiter *waiter;

	LIST_FOREACH(waiter, &waiters->list, next)
		if ((waiter->kind & kinds) != 0)
			return true;
	return false;
}

void
waiters_leave(struct waiter *waiter)
{
	if (waiter == NULL)
		return;
	if (waiter->waiting)
		LIST_REMOVE(waiter, next);
	loop_timer_stop(&waiter->timer);
	mem_free(waiter->error);
	mem_free(waiter);
}
