#include "upstream/race.h"

#include "base/clock.h"
#include "upstream/choice.h"

static unsigned
race_end(struct race *r, enum race_state state)
{
	r->state = (uint8_t)state;
	r->deadline = CLOCK_NEVER;
	return state == RACE_WON ? RACE_DO_USE : RACE_DO_FAIL;
}

static unsigned
race_dial(struct race *r, const struct endpoints_settings *s, uint16_t number, int64_t now)
{
	r->dial = number;
	r->tried |= ENDPOINTS_BIT(number);
	r->under_way |= ENDPOINTS_BIT(number);
	r->deadline = s->stagger > 0 ? now + s->stagger : CLOCK_NEVER;
	return RACE_DO_DIAL;
}

static unsigned
race_next(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	uint16_t number = r->stopped ? 0 : choice_next(e, s, r->tried, in->roll);

	if (number != 0)
		return race_dial(r, s, number, in->now);
	r->deadline = CLOCK_NEVER; /* the dials under way have time-outs of their own */
	return r->under_way == 0 ? race_end(r, RACE_LOST) : 0;
}

/* Who is late has another begun beside it; with no other there is nothing to be late for.  Without a deadline that
 * was so until now, or the last one has failed. */
static unsigned
race_stagger(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	struct endpoints_input late = { .event = ENDPOINTS_LATE, .number = r->dial, .now = in->now };
	bool waits = (r->under_way & ENDPOINTS_BIT(r->dial)) != 0;
	unsigned todo;

	if (s->stagger == 0 || (r->deadline != CLOCK_NEVER && in->now < r->deadline))
		return 0;
	todo = race_next(r, e, s, in);
	if ((todo & RACE_DO_DIAL) != 0 && waits)
		endpoints_tell(e, s, &late);
	return todo;
}

/* The next is begun when the one before has failed; while that has time left it is waited for. */
static unsigned
race_failed(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	if ((r->under_way & ENDPOINTS_BIT(in->number)) == 0)
		return 0;
	r->under_way &= ~ENDPOINTS_BIT(in->number);
	return in->number == r->dial || r->deadline == CLOCK_NEVER ? race_next(r, e, s, in) : 0;
}

static unsigned
race_connected(struct race *r, const struct race_input *in)
{
	if ((r->under_way & ENDPOINTS_BIT(in->number)) == 0)
		return 0;
	r->under_way &= ~ENDPOINTS_BIT(in->number);
	r->winner = in->number;
	return race_end(r, RACE_WON) | (r->under_way != 0 ? RACE_DO_CANCEL : 0);
}

unsigned
race_step(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	if (in->event == RACE_START) {
		*r = (struct race){ .state = RACE_RUNS, .tried = in->without, .deadline = CLOCK_NEVER };
		return race_next(r, e, s, in);
	}
	if (r->state != RACE_RUNS)
		return 0;
	switch (in->event) {
	case RACE_DEADLINE: case RACE_LISTED:
		return race_stagger(r, e, s, in);
	case RACE_FAILED:
		return race_failed(r, e, s, in);
	case RACE_CONNECTED:
		return race_connected(r, in);
	case RACE_STOP:
		r->stopped = true;
		return race_next(r, e, s, in);
	case RACE_START:
		return 0;
	}
	return 0;
}

void
race_begun(struct race *r, const struct endpoints_settings *s, int64_t now)
{
	if (r->state == RACE_RUNS && r->deadline != CLOCK_NEVER)
		r->deadline = now + s->stagger;
}
