/* stock.h - objects of one size that come and go so often that allocating each would count.
 *
 * They lie together in slabs, so that a slab's memory can really be given back when all of its objects have come
 * back; one empty slab is kept.
 */
#ifndef HOLDFAST_BASE_STOCK_H
#define HOLDFAST_BASE_STOCK_H

#include <stddef.h>
#include <sys/queue.h>

struct stock_slab;

/* All zero but for the first two is an empty one. */
struct stock {
	size_t size;     /* bytes of an object */
	unsigned number; /* objects in a slab, at least 1 */
	LIST_HEAD(, stock_slab) slabs; /* owned: those with a free object */
	unsigned count;  /* of all slabs */
};

/* An object, zeroed; the caller's, to be given back. */
void *stock_take(struct stock *stock);

/* Gives it back.  NULL is fine. */
void stock_give(struct stock *stock, void *object);

/* Frees all; every object must have been given back. */
void stock_clear(struct stock *stock);

#endif
