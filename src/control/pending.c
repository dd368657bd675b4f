#include "control/pending.h"

#include "base/clock.h"
#include "base/mem.h"

static void
pending_on_cancel(void *arg)
{
	pending_free(arg);
}

static void
pending_on_time(void *arg)
{
	struct pending *pending = arg;
	int64_t next = pending->kind->look(pending, clock_now());

	if (next == 0)
		pending_free(pending);
	else
		loop_timer_at(&pending->timer, next);
}

void *
pending_new(struct pendings *all, const struct pending_kind *kind, struct control_request *request, void *context,
    const char *name)
{
	struct pending *pending = mem_new(1, kind->size);

	pending->kind = kind;
	pending->all = all;
	pending->request = request;
	pending->context = context;
	pending->name = mem_copy_text(name);
	pending->deadline = CLOCK_NEVER;
	loop_timer_init(&pending->timer, all->loop, pending_on_time, pending);
	TAILQ_INSERT_TAIL(&all->list, pending, entry);
	control_on_cancel(request, pending_on_cancel, pending);
	return pending;
}

void
pending_free(struct pending *pending)
{
	TAILQ_REMOVE(&pending->all->list, pending, entry);
	if (pending->works)
		TAILQ_REMOVE(&pending->all->working, pending, work_entry);
	loop_timer_stop(&pending->timer);
	if (pending->kind->end != NULL)
		pending->kind->end(pending);
	mem_free(pending->name);
	mem_free(pending);
}

void
pending_look_at(struct pending *pending, int64_t when)
{
	if (when == 0)
		loop_timer_soon(&pending->timer);
	else
		loop_timer_at(&pending->timer, when);
}

/* In the order in which they have come: only one at a time has a half of its answer in memory. */
static bool
pendings_work(void *arg)
{
	struct pendings *all = arg;
	struct pending *pending = TAILQ_FIRST(&all->working);

	if (pending != NULL && !pending->kind->work(pending))
		pending_free(pending);
	return !TAILQ_EMPTY(&all->working);
}

void
pending_work(struct pending *pending)
{
	struct pendings *all = pending->all;
	bool first = TAILQ_EMPTY(&all->working);

	if (pending->kind->order) {
		while (pending->kind->work(pending))
			;
		pending_free(pending);
		return;
	}
	pending->works = true;
	TAILQ_INSERT_TAIL(&all->working, pending, work_entry);
	if (first)
		loop_work_start(&all->work, pendings_work, NULL);
}

void
pending_answer(struct pendings *all, unsigned topic, void *result)
{
	struct pending *pending = TAILQ_FIRST(&all->list), *next;

	for (; pending != NULL; pending = next) {
		next = TAILQ_NEXT(pending, entry);
		if (pending->topic != topic)
			continue;
		pending->topic = 0;
		pending->kind->done(pending, result);
		if (!pending->works)
			pending_free(pending);
	}
}

bool
pending_waits(const struct pendings *all, unsigned topic)
{
	const struct pending *pending;

	TAILQ_FOREACH(pending, &all->list, entry)
		if (pending->topic == topic)
			return true;
	return false;
}

void
pending_move(struct pendings *all, unsigned topic, unsigned to)
{
	struct pending *pending;

	TAILQ_FOREACH(pending, &all->list, entry)
		if (pending->topic == topic)
			pending->topic = to;
}

void
pendings_init(struct pendings *all, struct event_base *loop)
{
	all->loop = loop;
	TAILQ_INIT(&all->list);
	TAILQ_INIT(&all->working);
	loop_work_init(&all->work, loop, all);
}

void
pendings_end(struct pendings *all)
{
	loop_work_stop(&all->work);
}
