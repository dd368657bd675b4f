#include "ctl/publisher.h"

#include <assert.h>

void
publisher_init(struct publisher *p, int64_t every, int64_t check_every)
{
	assert(every >= CLOCK_MILLISECOND && (check_every == 0 || check_every >= CLOCK_MILLISECOND));
	*p = (struct publisher){ .every = every, .check_every = check_every, .next_put = CLOCK_NEVER,
		.next_check = CLOCK_NEVER, .deadline = CLOCK_NEVER };
}

static bool
publisher_wants(const struct publisher *p)
{
	return p->state == PUBLISHER_TRYING || p->state == PUBLISHER_LISTED;
}

static unsigned
publisher_check(struct publisher *p, int64_t now)
{
	p->next_check = now + p->check_every;
	if (p->checking)
		return PUBLISHER_DO_KILL_CHECK;
	p->checking = true;
	return PUBLISHER_DO_CHECK;
}

/* What comes next is known when the entry is there, or is not. */
static unsigned
publisher_put(struct publisher *p)
{
	p->next_put = CLOCK_NEVER;
	return PUBLISHER_DO_PUT;
}

static unsigned
publisher_begin(struct publisher *p, int64_t now)
{
	if (p->check_every > 0)
		return publisher_check(p, now);
	p->state = PUBLISHER_TRYING;
	return publisher_put(p);
}

static unsigned
publisher_deadline(struct publisher *p, int64_t now)
{
	unsigned todo = 0;

	if (now >= p->next_check)
		todo |= publisher_check(p, now);
	if (now >= p->next_put)
		todo |= publisher_put(p);
	return todo;
}

static void
publisher_wait(struct publisher *p, enum publisher_state state, int64_t span, int64_t now)
{
	if (!publisher_wants(p))
		return;
	p->state = state;
	p->next_put = now + span;
}

static unsigned
publisher_checked(struct publisher *p, bool passed)
{
	bool wanted = publisher_wants(p);

	p->checking = false;
	if (p->state == PUBLISHER_ENDED || (wanted == passed && p->state != PUBLISHER_UNCHECKED))
		return 0;
	p->state = passed ? PUBLISHER_TRYING : PUBLISHER_ABSENT;
	p->next_put = CLOCK_NEVER;
	return passed ? PUBLISHER_DO_PUT : PUBLISHER_DO_WITHDRAW;
}

/* What a failed beat or a killed publisher has left may still be there. */
static unsigned
publisher_stop(struct publisher *p)
{
	unsigned todo = publisher_wants(p) || p->state == PUBLISHER_UNCHECKED ? PUBLISHER_DO_WITHDRAW : 0;

	if (p->checking)
		todo |= PUBLISHER_DO_KILL_CHECK;
	p->state = PUBLISHER_ENDED;
	p->next_put = p->next_check = CLOCK_NEVER;
	return todo;
}

unsigned
publisher_step(struct publisher *p, enum publisher_event event, int64_t now)
{
	unsigned todo = 0;

	switch (event) {
	case PUBLISHER_BEGIN: todo = publisher_begin(p, now); break;
	case PUBLISHER_DEADLINE: todo = publisher_deadline(p, now); break;
	case PUBLISHER_PUT: publisher_wait(p, PUBLISHER_LISTED, p->every, now); break;
	case PUBLISHER_PUT_FAILED:
		publisher_wait(p, PUBLISHER_TRYING, p->every < PUBLISHER_AGAIN ? p->every : PUBLISHER_AGAIN, now);
		break;
	case PUBLISHER_CHECK_PASSED: todo = publisher_checked(p, true); break;
	case PUBLISHER_CHECK_FAILED: todo = publisher_checked(p, false); break;
	case PUBLISHER_STOP: todo = publisher_stop(p); break;
	}
	p->deadline = p->next_put < p->next_check ? p->next_put : p->next_check;
	return todo;
}
