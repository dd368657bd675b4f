#include "upstream/race.h"

#include "base/clock.h"

#define WEIGHT_SCALE 64 /* RFC 2782: weight 0 is a very small chance beside others */

/* How good a choice is. */
enum tier { TIER_GOOD, TIER_SLOW, TIER_FAILED, TIER_NONE };

static const struct endpoint_listing *
says(const struct endpoints *e, const struct endpoint *endpoint)
{
	return &endpoint->listing[e->listing & 1];
}

static int64_t
weight(const struct endpoints *e, const struct endpoint *endpoint)
{
	uint16_t listed = says(e, endpoint)->weight;

	return listed == 0 ? 1 : (int64_t)listed * WEIGHT_SCALE;
}

/* Those of the best tier and, in it, of the best priority. */
static size_t
best_group(struct endpoints *e, uint64_t without, struct endpoint *ret_group[ENDPOINTS_MAX], enum tier *ret_tier)
{
	enum tier best = TIER_NONE;
	uint16_t priority = 0;
	size_t count = 0;

	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];
		enum tier tier = endpoint->failed_until != 0 ? TIER_FAILED :
		    endpoint->slow_until != 0 ? TIER_SLOW : TIER_GOOD;
		uint16_t listed = says(e, endpoint)->priority;

		if (!endpoints_is_listed(e, endpoint) || (without & ENDPOINTS_BIT(i)) != 0 || tier > best ||
		    (tier == best && listed > priority))
			continue;
		if (tier < best || listed < priority)
			count = 0;
		best = tier;
		priority = listed;
		ret_group[count++] = endpoint;
	}
	*ret_tier = best;
	return count;
}

/* By order; of failed ones (P31) the one that failed longest ago. */
static struct endpoint *
choose_first(const struct endpoints *e, struct endpoint *group[], size_t count, bool failed)
{
	struct endpoint *first = group[0];

	for (size_t i = 1; i < count; i++) {
		bool alike = !failed || group[i]->failed_at == first->failed_at;

		if (alike ? says(e, group[i])->order < says(e, first)->order : group[i]->failed_at < first->failed_at)
			first = group[i];
	}
	return first;
}

static struct endpoint *
choose_random(const struct endpoints *e, struct endpoint *group[], size_t count, uint32_t roll)
{
	int64_t total = 0, at;
	size_t i = 0;

	for (size_t j = 0; j < count; j++)
		total += weight(e, group[j]);
	at = roll == DELAY_EXACT ? 0 : (int64_t)((uint64_t)roll * (uint64_t)total >> 32);
	while (at >= weight(e, group[i]))
		at -= weight(e, group[i++]);
	return group[i];
}

/* Smooth weighted round robin: shares are exact over as many choices as the weights' sum.  All turns together are 0;
 * a death in between leaves another sum, and so a share that is off by one choice at most, once. */
static struct endpoint *
choose_rotated(const struct endpoints *e, struct endpoint *group[], size_t count)
{
	struct endpoint *next = NULL;
	int64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		group[i]->turn += weight(e, group[i]);
		total += weight(e, group[i]);
		if (next == NULL || group[i]->turn > next->turn ||
		    (group[i]->turn == next->turn && says(e, group[i])->order < says(e, next)->order))
			next = group[i];
	}
	next->turn -= total;
	return next;
}

static struct endpoint *
choose_least(const struct endpoints *e, struct endpoint *group[], size_t count)
{
	uint32_t fewest = UINT32_MAX;
	size_t equal = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t has = group[i]->open + group[i]->dialling;

		if (has < fewest) {
			fewest = has;
			equal = 0;
		}
		if (has == fewest)
			group[equal++] = group[i];
	}
	return choose_rotated(e, group, equal);
}

uint16_t
race_choose(struct endpoints *e, const struct endpoints_settings *s, uint64_t without, uint32_t roll)
{
	struct endpoint *group[ENDPOINTS_MAX];
	enum tier tier;
	size_t count = best_group(e, without, group, &tier);

	if (count == 0)
		return 0;
	if (tier == TIER_FAILED)
		return choose_first(e, group, count, true)->number;
	switch (s->pick) {
	case ENDPOINTS_ORDERED: case ENDPOINTS_AUTO:
		return choose_first(e, group, count, false)->number;
	case ENDPOINTS_RANDOM:
		return choose_random(e, group, count, roll)->number;
	case ENDPOINTS_ROTATE:
		return choose_rotated(e, group, count)->number;
	case ENDPOINTS_LEAST:
		return choose_least(e, group, count)->number;
	}
	return 0;
}

static unsigned
race_next(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	uint16_t number = r->stopped ? 0 : race_choose(e, s, r->tried, in->roll);

	r->deadline = CLOCK_NEVER; /* the dials under way have time-outs of their own */
	if (number == 0 && r->under_way == 0)
		r->state = RACE_LOST;
	if (number == 0)
		return r->state == RACE_LOST ? RACE_DO_FAIL : 0;
	r->dial = number;
	r->tried |= ENDPOINTS_BIT(number);
	r->under_way |= ENDPOINTS_BIT(number);
	if (s->stagger > 0)
		r->deadline = in->now + s->stagger;
	return RACE_DO_DIAL;
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
race_ended(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	if ((r->under_way & ENDPOINTS_BIT(in->number)) == 0)
		return 0;
	r->under_way &= ~ENDPOINTS_BIT(in->number);
	if (in->event == RACE_FAILED)
		return in->number == r->dial || r->deadline == CLOCK_NEVER ? race_next(r, e, s, in) : 0;
	r->state = RACE_WON;
	r->deadline = CLOCK_NEVER;
	return 0;
}

unsigned
race_step(struct race *r, struct endpoints *e, const struct endpoints_settings *s, const struct race_input *in)
{
	if (in->event == RACE_START)
		*r = (struct race){ .state = RACE_RUNS, .tried = in->without, .deadline = CLOCK_NEVER };
	if (r->state != RACE_RUNS)
		return 0;
	switch (in->event) {
	case RACE_DEADLINE:
		return race_stagger(r, e, s, in);
	case RACE_FAILED: case RACE_CONNECTED:
		return race_ended(r, e, s, in);
	case RACE_START: case RACE_STOP:
		r->stopped = in->event == RACE_STOP;
		return race_next(r, e, s, in);
	}
	return 0;
}

void
race_begun(struct race *r, const struct endpoints_settings *s, int64_t now)
{
	if (r->state == RACE_RUNS && r->deadline != CLOCK_NEVER)
		r->deadline = now + s->stagger;
}
