#include "upstream/repeats.h"

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
	*r = (struct repeats){ 0 };
}

void
repeats_attempt(struct repeats *r)
{
	r->before = r->tried;
	r->tried = 0;
}

bool
repeats_try(struct repeats *r, uint16_t number)
{
	uint64_t bit = ENDPOINTS_BIT(number);
	bool known = r->number[number % ENDPOINTS_MAX] == number, before = known && (r->before & bit) != 0;

	if (known && (r->tried & bit) != 0)
		return false;
	r->number[number % ENDPOINTS_MAX] = number;
	r->tried |= bit;
	if (!before) {
		r->before &= ~bit;
		r->error[number % ENDPOINTS_MAX] = 0;
	}
	return !before;
}

bool
repeats_dial_failed(struct repeats *r, uint16_t number, uint64_t error)
{
	bool tried = r->number[number % ENDPOINTS_MAX] == number && (r->tried & ENDPOINTS_BIT(number)) != 0;
	bool alone = (r->tried & (r->tried - 1)) == 0 && (r->before & (r->before - 1)) == 0; /* one bit or none */
	uint64_t *own = &r->error[number % ENDPOINTS_MAX];
	bool same = (alone || !tried ? r->last_error : *own) == error;

	if (tried)
		*own = error;
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
