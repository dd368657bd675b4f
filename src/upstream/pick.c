#include "upstream/pick.h"

void
pick_ordered(uint8_t *order, size_t count)
{
	pick_rotate(order, count, 0);
}

void
pick_shuffle(uint8_t *order, size_t count, uint32_t roll)
{
	uint32_t state = roll * UINT32_C(2654435769) ^ UINT32_C(0x9e3779b9);

	pick_ordered(order, count);
	if (state == 0)
		state = 1;
	for (size_t i = count; i > 1; i--) {
		uint8_t *other, last = order[i - 1];

		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		other = &order[(uint64_t)state * i >> 32];
		order[i - 1] = *other;
		*other = last;
	}
}

void
pick_rotate(uint8_t *order, size_t count, uint32_t turn)
{
	for (size_t i = 0; i < count; i++)
		order[i] = (uint8_t)((i + turn % count) % count);
}
