/* pick.h - in which order the endpoints of a look-up are tried.  Pure. */
#ifndef HOLDFAST_UPSTREAM_PICK_H
#define HOLDFAST_UPSTREAM_PICK_H

#include <stddef.h>
#include <stdint.h>

/* Each fills order with 0 to count - 1: order[i] is which one comes as number i. */

/* As they came. */
void pick_ordered(uint8_t *order, size_t count);

/* Any order, each equally likely (Fisher and Yates, xorshift32 seeded by roll: the same roll, the same order). */
void pick_shuffle(uint8_t *order, size_t count, uint32_t roll);

/* Begins with the one whose turn it is, and goes round. */
void pick_rotate(uint8_t *order, size_t count, uint32_t turn);

#endif
