#include "tls/turns.h"

static bool
turns_next(void *arg)
{
	struct turns *turns = arg;
	struct turn *turn = TAILQ_FIRST(&turns->waiting);

	if (turn != NULL) {
		turns_leave(turn);
		turn->go(turn->arg);
	}
	return !TAILQ_EMPTY(&turns->waiting);
}

static void
turns_done(void *arg)
{
	struct turns *turns = arg;

	turns->busy = false;
}

void
turns_init(struct turns *turns, struct event_base *loop)
{
	loop_work_init(&turns->work, loop, turns);
	TAILQ_INIT(&turns->waiting);
	turns->busy = false;
}

void
turns_end(struct turns *turns)
{
	loop_work_stop(&turns->work);
}

void
turns_wait(struct turns *turns, struct turn *turn, void (*go)(void *arg), void *arg)
{
	if (turn->turns != NULL)
		return;
	*turn = (struct turn){ .turns = turns, .go = go, .arg = arg };
	TAILQ_INSERT_TAIL(&turns->waiting, turn, entry);
	if (turns->busy)
		return;
	turns->busy = true;
	loop_work_start(&turns->work, turns_next, turns_done);
}

void
turns_leave(struct turn *turn)
{
	if (turn->turns != NULL)
		TAILQ_REMOVE(&turn->turns->waiting, turn, entry);
	turn->turns = NULL;
}
