#include "upstream/candidates.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define CANDIDATES_FAILED    (10 * CLOCK_SECOND)
#define CANDIDATES_PROMISING CLOCK_SECOND

void
candidates_set(struct candidates *c, const struct address *addresses, size_t count)
{
	struct candidate *list;

	if (count > CANDIDATES_MAX)
		count = CANDIDATES_MAX;
	list = mem_new(count == 0 ? 1 : count, sizeof *list);
	for (size_t i = 0; i < count; i++) {
		const struct candidate *old = candidates_find(c, &addresses[i]);

		list[i].address = addresses[i];
		address_format(&addresses[i], list[i].text);
		list[i].failed_at = old == NULL ? 0 : old->failed_at;
	}
	mem_free(c->list);
	c->list = list;
	c->count = count;
	c->generation++;
}

void
candidates_clear(struct candidates *c)
{
	mem_free(c->list);
	c->list = NULL;
	c->count = 0;
}

struct candidate *
candidates_find(const struct candidates *c, const struct address *address)
{
	for (size_t i = 0; i < c->count; i++)
		if (address_equal(&c->list[i].address, address))
			return &c->list[i];
	return NULL;
}

struct candidate *
candidates_find_text(const struct candidates *c, const char *address)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->list[i].text, address) == 0)
			return &c->list[i];
	return NULL;
}

size_t
candidates_choose(const struct candidates *c, uint64_t tried, int64_t now)
{
	size_t other = c->count;

	for (size_t i = 0; i < c->count; i++) {
		if ((tried >> i & 1) != 0)
			continue;
		if (c->list[i].failed_at == 0 || now - c->list[i].failed_at >= CANDIDATES_FAILED)
			return i;
		if (other == c->count)
			other = i;
	}
	return other;
}

unsigned
candidates_promising(const struct candidates *c, int64_t now)
{
	unsigned promising = 0;

	for (size_t i = 0; i < c->count; i++)
		promising += c->list[i].failed_at == 0 || now - c->list[i].failed_at >= CANDIDATES_PROMISING;
	return promising;
}
