/* pick.h - puts the candidates of a look-up in the order in which they are tried.  Pure. */
#ifndef HOLDFAST_UPSTREAM_PICK_H
#define HOLDFAST_UPSTREAM_PICK_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* Adds address at the end of the *count candidates, unless it is among them or there are max already. */
void pick_add(struct address *candidates, size_t max, size_t *count, const struct address *address);

/* Any order, each equally likely (Fisher and Yates, xorshift32 seeded by roll: the same roll, the same order). */
void pick_shuffle(struct address *candidates, size_t count, uint32_t roll);

/* Begins with the one whose turn it is, and goes round. */
void pick_rotate(struct address *candidates, size_t count, uint32_t turn);

#endif
