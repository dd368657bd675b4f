/* slab.h - objects of one size that come and go so often that allocating each would count.
 *
 * They lie together in blocks, so that a block's memory can really be given back when all of its objects have come
 * back; one empty block is kept.
 */
#ifndef HOLDFAST_BASE_SLAB_H
#define HOLDFAST_BASE_SLAB_H

#include <stddef.h>
#include <sys/queue.h>

struct slab_block;

/* All zero but for the first two is an empty one. */
struct slab {
	size_t size;     /* bytes of an object */
	unsigned number; /* objects in a block, at least 1 */
	LIST_HEAD(, slab_block) blocks; /* owned: those with a free object */
	unsigned count;  /* of all blocks */
};

/* An object, zeroed; the caller's, to be given back. */
void *slab_take(struct slab *slab);

/* Gives it back.  NULL is fine. */
void slab_give(struct slab *slab, void *object);

/* Frees all; every object must have been given back. */
void slab_clear(struct slab *slab);

#endif
