/* stock.h - objects of one size that are kept for reuse, where they come and go so often that allocating counts. */
#ifndef HOLDFAST_BASE_STOCK_H
#define HOLDFAST_BASE_STOCK_H

#include <stddef.h>

/* All zero but for size is an empty one. */
struct stock {
	size_t size;    /* bytes of an object */
	unsigned count; /* kept ones */
	void *first;    /* owned; each begins with the next one's address */
};

/* An object, zeroed; the caller's, to be given back. */
void *stock_take(struct stock *stock);

/* Gives it back.  Beyond a few dozen it is freed.  NULL is fine. */
void stock_give(struct stock *stock, void *object);

/* Frees what is kept; objects that are out can still be given back. */
void stock_clear(struct stock *stock);

#endif
