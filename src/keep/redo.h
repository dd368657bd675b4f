/* redo.h - several words of the table changed as one (X1 of surviving.md).
 *
 * redo_add() as often as needed (TABLE_REDO at most), then redo_commit(): a death before the commit changes
 * nothing, one after it changes all, since redo_replay() does it again.
 */
#ifndef HOLDFAST_KEEP_REDO_H
#define HOLDFAST_KEEP_REDO_H

#include <stdint.h>

#include "keep/layout.h"

struct redo {
	struct table *table; /* borrowed */
	uint32_t count;
};

/* Starts afresh in the caller's redo, which is forgotten by just not committing it.  One at a time: all share the
 * table's one record. */
void redo_begin(struct redo *redo, struct table *table);

/* The word, which must lie in the table, will become value. */
void redo_add(struct redo *redo, uint64_t *word, uint64_t value);

/* The same, by so much more than it is. */
static inline void
redo_more(struct redo *redo, uint64_t *word, uint64_t more)
{
	redo_add(redo, word, *word + more);
}

/* All words are changed when it returns, and, after a death from the commit on, by the next worker.  The redo is
 * used up: redo_begin() before the next. */
void redo_commit(struct redo *redo);

/* A new worker's first act. */
void redo_replay(struct table *table);

#endif
