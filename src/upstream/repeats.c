#include "upstream/repeats.h"

#include <string.h>

/* FNV-1a. */
uint64_t
repeats_hash(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash == 0 ? 1 : hash;
}

void
repeats_begin(struct repeats *r)
{
	memset(r, 0, sizeof *r);
}

uint64_t
repeats_looked_up(struct repeats *r, const uint64_t *addresses, size_t count)
{
	struct repeats before = *r;
	uint64_t fresh = 0;

	r->count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		size_t old = 0;

		while (old < before.count && before.address[old] != addresses[i])
			old++;
		r->address[i] = addresses[i];
		r->error[i] = old < before.count ? before.error[old] : 0;
		if (old == before.count)
			fresh |= UINT64_C(1) << i;
	}
	return fresh;
}

bool
repeats_dial_failed(struct repeats *r, size_t i, uint64_t error)
{
	bool same = (r->count == 1 ? r->last_error : r->error[i]) == error;

	r->error[i] = r->last_error = error;
	return same;
}

bool
repeats_lookup_failed(struct repeats *r, uint64_t error)
{
	bool same = r->last_error == error;

	r->last_error = error;
	return same;
}
