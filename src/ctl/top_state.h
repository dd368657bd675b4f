/* top_state.h - what the user of "holdfastctl top" has asked to see: order, filter, page, place; and what a key does.
 *
 * Pure.
 */
#ifndef HOLDFAST_CTL_TOP_STATE_H
#define HOLDFAST_CTL_TOP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/sample.h"

#define TOP_FILTER_SIZE 64
#define TOP_NAME_SIZE   72

enum top_page { TOP_TABLE, TOP_EXPLAIN, TOP_HELP };

enum top_sort {
	TOP_BY_NAME, TOP_BY_STATE, TOP_BY_SINCE, TOP_BY_CLIENTS, TOP_BY_HELD, TOP_BY_IN, TOP_BY_OUT, TOP_BY_WORK,
	TOP_BY_ERROR, TOP_SORTS
};

/* Keys that are no characters. */
enum top_key {
	TOP_KEY_UP = 256, TOP_KEY_DOWN, TOP_KEY_PAGE_UP, TOP_KEY_PAGE_DOWN, TOP_KEY_HOME, TOP_KEY_END, TOP_KEY_ENTER,
	TOP_KEY_ESCAPE, TOP_KEY_ERASE, TOP_KEY_LEFT, TOP_KEY_RIGHT, TOP_KEY_HELP
};

struct top_state {
	enum top_page page;
	enum top_sort sort;
	bool reverse;
	char filter[TOP_FILTER_SIZE];
	bool typing;                   /* the filter is being typed */
	size_t *rows;                  /* owned; indexes of the sample's services, as they are shown */
	size_t row_count;
	size_t chosen;                 /* of rows */
	char chosen_name[TOP_NAME_SIZE];
	size_t first;                  /* of rows, the first on the screen */
	char explained[TOP_NAME_SIZE]; /* the service of the page TOP_EXPLAIN */
	size_t scroll;                 /* lines above the screen, of explain or help */
	bool follow;                   /* explain: stay at the end */
	/* What the view found when it was painted last: how far one can go. */
	size_t page_rows;              /* rows that a page has */
	size_t scroll_most;            /* of scroll */
};

void top_state_init(struct top_state *state);
void top_state_free(struct top_state *state);

/* Filters and sorts anew: after a new sample, and after a key.  The chosen service stays chosen, wherever it goes. */
void top_state_arrange(struct top_state *state, const struct sample *sample);

/* What a key (a character, or an enum top_key) does; others do nothing.  False: the user has had enough. */
bool top_state_key(struct top_state *state, int key);

#endif
