/* candidates.h - the addresses a service's further dials may go to, and which of them failed lately. */
#ifndef HOLDFAST_UPSTREAM_CANDIDATES_H
#define HOLDFAST_UPSTREAM_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define CANDIDATES_MAX 64

struct candidate {
	struct address address;
	char text[ADDRESS_TEXT_SIZE]; /* of it */
	int64_t failed_at; /* 0: it did not */
};

/* All zero is none. */
struct candidates {
	struct candidate *list; /* owned */
	size_t count;
	unsigned generation;    /* of the list */
};

/* A new list, best first, copied; what failed is remembered. */
void candidates_set(struct candidates *c, const struct address *addresses, size_t count);
void candidates_clear(struct candidates *c);

/* The candidate with this address, or NULL; the same by its text. */
struct candidate *candidates_find(const struct candidates *c, const struct address *address);
struct candidate *candidates_find_text(const struct candidates *c, const char *address);

/* What to dial next of those that are not in tried, a bit each: the best one that has not failed within 10 s, else
 * the best one; count if there is none. */
size_t candidates_choose(const struct candidates *c, uint64_t tried, int64_t now);

/* How many have not failed within 1 s. */
unsigned candidates_promising(const struct candidates *c, int64_t now);

#endif
