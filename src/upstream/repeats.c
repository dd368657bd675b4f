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

void
repeats_attempt(struct repeats *r)
{
	r->before_count = r->count;
	memcpy(r->before, r->tried, r->count * sizeof *r->tried);
	r->count = 0;
}

static struct repeats_tried *
repeats_find(struct repeats_tried *list, uint32_t count, uint64_t address)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].address == address)
			return &list[i];
	return NULL;
}

bool
repeats_try(struct repeats *r, uint64_t address)
{
	const struct repeats_tried *before = repeats_find(r->before, r->before_count, address);

	if (repeats_find(r->tried, r->count, address) != NULL)
		return false;
	if (r->count < REPEATS_ADDRESSES)
		r->tried[r->count++] = (struct repeats_tried){ .address = address,
			.error = before == NULL ? 0 : before->error };
	return before == NULL;
}

bool
repeats_dial_failed(struct repeats *r, uint64_t address, uint64_t error)
{
	struct repeats_tried *tried = repeats_find(r->tried, r->count, address);
	bool alone = r->count <= 1 && r->before_count <= 1;
	bool same = (alone || tried == NULL ? r->last_error : tried->error) == error;

	if (tried != NULL)
		tried->error = error;
	r->last_error = error;
	return same;
}

bool
repeats_lookup_failed(struct repeats *r, uint64_t error)
{
	bool same = r->last_error == error;

	r->last_error = error;
	return same;
}
