#include "client/waiting.h"

#include "base/clock.h"

void
waiting_init(struct waiting_queue *waiting, int64_t timeout)
{
	*waiting = (struct waiting_queue){ .timeout = timeout };
	TAILQ_INIT(&waiting->list);
}

/* From the end: most come in the order of their places. */
void
waiting_enter(struct waiting_queue *waiting, struct waiting_entry *entry)
{
	struct waiting_entry *other;

	TAILQ_FOREACH_REVERSE(other, &waiting->list, waiting_entries, entry)
		if (other->place <= entry->place)
			break;
	if (other == NULL)
		TAILQ_INSERT_HEAD(&waiting->list, entry, entry);
	else
		TAILQ_INSERT_AFTER(&waiting->list, other, entry, entry);
	entry->queue = waiting;
	waiting->count++;
}

void
waiting_leave(struct waiting_entry *entry)
{
	if (entry->queue == NULL)
		return;
	TAILQ_REMOVE(&entry->queue->list, entry, entry);
	entry->queue->count--;
	entry->queue = NULL;
}

struct waiting_entry *
waiting_first(const struct waiting_queue *waiting)
{
	return TAILQ_FIRST(&waiting->list);
}

struct waiting_entry *
waiting_next(const struct waiting_entry *entry)
{
	return TAILQ_NEXT(entry, entry);
}

void
waiting_pause(struct waiting_queue *waiting, bool paused, int64_t from)
{
	waiting->paused = paused;
	waiting->from = from;
}

int64_t
waiting_end(const struct waiting_queue *waiting, const struct waiting_entry *entry)
{
	if (waiting->timeout == 0 || waiting->paused || entry->unlimited)
		return CLOCK_NEVER;
	return clock_after(entry->since > waiting->from ? entry->since : waiting->from, waiting->timeout);
}

/* Ends are not quite in the order of places: who was put back among the waiting began to wait only then. */
int64_t
waiting_next_end(const struct waiting_queue *waiting)
{
	const struct waiting_entry *entry;
	int64_t end, next = CLOCK_NEVER;

	TAILQ_FOREACH(entry, &waiting->list, entry) {
		end = waiting_end(waiting, entry);
		if (end < next)
			next = end;
	}
	return next;
}

struct waiting_entry *
waiting_over(const struct waiting_queue *waiting, int64_t now)
{
	struct waiting_entry *entry;

	TAILQ_FOREACH(entry, &waiting->list, entry)
		if (waiting_end(waiting, entry) <= now)
			return entry;
	return NULL;
}

int64_t
waiting_longest(const struct waiting_queue *waiting, int64_t now)
{
	const struct waiting_entry *entry;
	int64_t first = now;

	TAILQ_FOREACH(entry, &waiting->list, entry)
		if (entry->since < first)
			first = entry->since;
	return now - first;
}
