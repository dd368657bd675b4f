#include "client/hold.h"

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

struct hold {
	struct session_list list;
	unsigned count;
	int64_t timeout;
	bool paused;
	int64_t from;  /* nobody's waiting counts from before */
	struct loop_timer timer;
	int64_t armed; /* when the timer will run, CLOCK_NEVER if it does not */
	void (*expired)(void *arg, struct session *session);
	void *arg; /* borrowed */
};

static bool
hold_was_attached(const struct session *session)
{
	return session_was_attached(session);
}

bool
hold_is_limited(const struct hold *hold, const struct session *session)
{
	return hold->timeout != 0 && !hold->paused && !hold_was_attached(session);
}

static int64_t
hold_end_of(const struct hold *hold, const struct session *session)
{
	int64_t since = session_record(session)->since;

	if (!hold_is_limited(hold, session))
		return CLOCK_NEVER;
	return clock_after(since > hold->from ? since : hold->from, hold->timeout);
}

/* Ends are not quite in the order of places: who was put back among the held began to wait only then. */
static int64_t
hold_next_end(const struct hold *hold)
{
	const struct session *session;
	int64_t end, next = CLOCK_NEVER;

	TAILQ_FOREACH(session, &hold->list, entry) {
		end = hold_end_of(hold, session);
		if (end < next)
			next = end;
	}
	return next;
}

static struct session *
hold_first_over(const struct hold *hold, int64_t now)
{
	struct session *session;

	TAILQ_FOREACH(session, &hold->list, entry)
		if (hold_end_of(hold, session) <= now)
			return session;
	return NULL;
}

static void
hold_arm(struct hold *hold, int64_t end)
{
	hold->armed = end;
	loop_timer_at(&hold->timer, end);
}

static void
hold_on_timer(void *arg)
{
	struct hold *hold = arg;
	struct session *session;
	int64_t now = clock_now();

	hold->armed = CLOCK_NEVER;
	while ((session = hold_first_over(hold, now)) != NULL)
		hold->expired(hold->arg, session);
	hold_arm(hold, hold_next_end(hold));
}

struct hold *
hold_new(struct event_base *loop, int64_t timeout, void (*expired)(void *arg, struct session *session), void *arg)
{
	struct hold *hold = mem_new(1, sizeof *hold);

	TAILQ_INIT(&hold->list);
	hold->timeout = timeout;
	hold->armed = CLOCK_NEVER;
	hold->expired = expired;
	hold->arg = arg;
	loop_timer_init(&hold->timer, loop, hold_on_timer, hold);
	return hold;
}

void
hold_free(struct hold *hold)
{
	if (hold == NULL)
		return;
	loop_timer_stop(&hold->timer);
	mem_free(hold);
}

void
hold_set_timeout(struct hold *hold, int64_t timeout)
{
	hold->timeout = timeout;
	hold_arm(hold, hold_next_end(hold));
}

void
hold_pause(struct hold *hold, bool paused, int64_t from)
{
	hold->paused = paused;
	hold->from = from;
	hold_arm(hold, hold_next_end(hold));
}

void
hold_add(struct hold *hold, struct session *session)
{
	uint64_t id = session_record(session)->id;
	struct session *before = TAILQ_LAST(&hold->list, session_list);
	int64_t end = hold_end_of(hold, session);

	while (before != NULL && session_record(before)->id > id)
		before = TAILQ_PREV(before, session_list, entry);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&hold->list, session, entry);
	else
		TAILQ_INSERT_AFTER(&hold->list, before, session, entry);
	hold->count++;
	/* A new worker adds them in the order of the table, not of their ends. */
	if (end < hold->armed)
		hold_arm(hold, end);
}

void
hold_remove(struct hold *hold, struct session *session)
{
	TAILQ_REMOVE(&hold->list, session, entry);
	if (--hold->count == 0)
		hold_arm(hold, CLOCK_NEVER);
}

struct session *
hold_first(const struct hold *hold)
{
	return TAILQ_FIRST(&hold->list);
}

struct session *
hold_next(struct session *session)
{
	return TAILQ_NEXT(session, entry);
}

unsigned
hold_count(const struct hold *hold)
{
	return hold->count;
}

int64_t
hold_since(const struct session *session)
{
	if (!hold_was_attached(session))
		return session_record(session)->since;
	return session->returned != 0 ? session->returned : session_record(session)->active * CLOCK_TICK;
}

int64_t
hold_longest(const struct hold *hold)
{
	int64_t now = clock_now(), first = now;
	const struct session *session;

	TAILQ_FOREACH(session, &hold->list, entry)
		if (hold_since(session) < first)
			first = hold_since(session);
	return now - first;
}
