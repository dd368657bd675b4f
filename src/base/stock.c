#include "base/stock.h"

#include <string.h>

#include "base/mem.h"

#define STOCK_MOST 64

void *
stock_take(struct stock *stock)
{
	void *object = stock->first;

	if (object == NULL)
		return mem_new(1, stock->size);
	memcpy(&stock->first, object, sizeof stock->first);
	stock->count--;
	return memset(object, 0, stock->size);
}

void
stock_give(struct stock *stock, void *object)
{
	if (object == NULL)
		return;
	if (stock->count >= STOCK_MOST) {
		mem_free(object);
		return;
	}
	memcpy(object, &stock->first, sizeof stock->first);
	stock->first = object;
	stock->count++;
}

void
stock_clear(struct stock *stock)
{
	void *object;

	while ((object = stock->first) != NULL) {
		memcpy(&stock->first, object, sizeof stock->first);
		mem_free(object);
	}
	stock->count = 0;
}
