#include "base/stock.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "base/mem.h"

/* Before each object: its slab while it is taken, else the next free place. */
union stock_place {
	struct stock_slab *slab;
	union stock_place *next;
	max_align_t aligned;
};

struct stock_slab {
	LIST_ENTRY(stock_slab) entry; /* while an object is free */
	unsigned used;
	union stock_place *free;
	alignas(max_align_t) unsigned char places[];
};

static size_t
stock_stride(const struct stock *stock)
{
	size_t align = sizeof(union stock_place);

	return align + (stock->size + align - 1) / align * align;
}

static struct stock_slab *
stock_new_slab(struct stock *stock)
{
	size_t stride = stock_stride(stock);
	struct stock_slab *slab = mem_new(1, sizeof *slab + stock->number * stride);

	for (unsigned i = stock->number; i-- > 0;) {
		union stock_place *place = (union stock_place *)(void *)(slab->places + i * stride);

		place->next = slab->free;
		slab->free = place;
	}
	LIST_INSERT_HEAD(&stock->slabs, slab, entry);
	stock->count++;
	return slab;
}

void *
stock_take(struct stock *stock)
{
	struct stock_slab *slab = LIST_FIRST(&stock->slabs);
	union stock_place *place;

	if (slab == NULL)
		slab = stock_new_slab(stock);
	place = slab->free;
	slab->free = place->next;
	place->slab = slab;
	if (++slab->used == stock->number)
		LIST_REMOVE(slab, entry);
	return memset(place + 1, 0, stock->size);
}

void
stock_give(struct stock *stock, void *object)
{
	union stock_place *place;
	struct stock_slab *slab;

	if (object == NULL)
		return;
	place = (union stock_place *)object - 1;
	slab = place->slab;
	if (slab->used-- == stock->number)
		LIST_INSERT_HEAD(&stock->slabs, slab, entry);
	place->next = slab->free;
	slab->free = place;
	if (slab->used > 0 || (LIST_FIRST(&stock->slabs) == slab && LIST_NEXT(slab, entry) == NULL))
		return;
	LIST_REMOVE(slab, entry);
	stock->count--;
	mem_free(slab);
}

void
stock_clear(struct stock *stock)
{
	struct stock_slab *slab;

	while ((slab = LIST_FIRST(&stock->slabs)) != NULL) {
		assert(slab->used == 0);
		LIST_REMOVE(slab, entry);
		stock->count--;
		mem_free(slab);
	}
	assert(stock->count == 0);
}
