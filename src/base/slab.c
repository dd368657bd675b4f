#include "base/slab.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "base/mem.h"

/* Before each object: its block while it is taken, else the next free place. */
union slab_place {
	struct slab_block *block;
	union slab_place *next;
	max_align_t aligned;
};

struct slab_block {
	LIST_ENTRY(slab_block) entry; /* while an object is free */
	unsigned used;
	union slab_place *free;
	alignas(max_align_t) unsigned char places[];
};

static size_t
slab_stride(const struct slab *slab)
{
	size_t align = sizeof(union slab_place);

	return align + (slab->size + align - 1) / align * align;
}

static struct slab_block *
slab_new_block(struct slab *slab)
{
	size_t stride = slab_stride(slab);
	struct slab_block *block = mem_new(1, sizeof *block + slab->number * stride);

	for (unsigned i = slab->number; i-- > 0;) {
		union slab_place *place = (union slab_place *)(void *)(block->places + i * stride);

		place->next = block->free;
		block->free = place;
	}
	LIST_INSERT_HEAD(&slab->blocks, block, entry);
	slab->count++;
	return block;
}

void *
slab_take(struct slab *slab)
{
	struct slab_block *block = LIST_FIRST(&slab->blocks);
	union slab_place *place;

	if (block == NULL)
		block = slab_new_block(slab);
	place = block->free;
	block->free = place->next;
	place->block = block;
	if (++block->used == slab->number)
		LIST_REMOVE(block, entry);
	return memset(place + 1, 0, slab->size);
}

void
slab_give(struct slab *slab, void *object)
{
	union slab_place *place;
	struct slab_block *block;

	if (object == NULL)
		return;
	place = (union slab_place *)object - 1;
	block = place->block;
	if (block->used-- == slab->number)
		LIST_INSERT_HEAD(&slab->blocks, block, entry);
	place->next = block->free;
	block->free = place;
	if (block->used > 0 || (LIST_FIRST(&slab->blocks) == block && LIST_NEXT(block, entry) == NULL))
		return;
	LIST_REMOVE(block, entry);
	slab->count--;
	mem_free(block);
}

void
slab_clear(struct slab *slab)
{
	struct slab_block *block;

	while ((block = LIST_FIRST(&slab->blocks)) != NULL) {
		assert(block->used == 0);
		LIST_REMOVE(block, entry);
		slab->count--;
		mem_free(block);
	}
	assert(slab->count == 0);
}
