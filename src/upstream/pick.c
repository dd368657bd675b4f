#include "upstream/pick.h"

#include <string.h>

#include "base/mem.h"

void
pick_add(struct address *candidates, size_t max, size_t *count, const struct address *address)
{
	for (size_t i = 0; i < *count; i++)
		if (address_equal(&candidates[i], address))
			return;
	if (*count < max)
		candidates[(*count)++] = *address;
}

static void
pick_swap(struct address *a, struct address *b)
{
	struct address other = *a;

	*a = *b;
	*b = other;
}

void
pick_shuffle(struct address *candidates, size_t count, uint32_t roll)
{
	uint32_t state = roll * UINT32_C(2654435769) ^ UINT32_C(0x9e3779b9);

	if (state == 0)
		state = 1;
	for (size_t i = count; i > 1; i--) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		pick_swap(&candidates[i - 1], &candidates[(uint64_t)state * i >> 32]);
	}
}

void
pick_rotate(struct address *candidates, size_t count, uint32_t turn)
{
	size_t first = count == 0 ? 0 : turn % count;
	struct address *old;

	if (first == 0)
		return;
	old = mem_new(count, sizeof *old);
	memcpy(old, candidates, count * sizeof *old);
	for (size_t i = 0; i < count; i++)
		candidates[i] = old[(i + first) % count];
	mem_free(old);
}
