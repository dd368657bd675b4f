/* buffers.h - the table's buffers: places for bytes that outlive a worker, in a few sizes.
 *
 * A buffer is in use if a record names it; free ones are found by marking those.  Index 0 is none.  Some free ones
 * keep their pages, so that steady traffic claims and frees without a system call.
 */
#ifndef HOLDFAST_KEEP_BUFFERS_H
#define HOLDFAST_KEEP_BUFFERS_H

#include "keep/budget.h"
#include "keep/layout.h"

/* The most that buffers_claim() can be asked for. */
size_t buffers_largest(void);

/* A free buffer of at least size bytes, empty; or 0: there is none, or max_memory does not permit it now (budget.h).
 * It is in use as soon as a record names it.  Before the kernel writes to it: buffers_open(). */
uint32_t buffers_claim(struct table *table, struct budget_payer payer, size_t size);

/* A lean buffer, of a sixteenth of the smallest size: each direction of each session can have one whatever has been
 * taken, so that it moves on, if slowly.  0 only where a session has named more than two. */
uint32_t buffers_claim_lean(struct table *table, struct budget_payer payer);

/* Gives it back, of the same payer; no record may name it any more. */
void buffers_free(struct table *table, struct budget_payer payer, uint32_t buffer);

/* Who pays for what a session's record names, in this direction. */
struct budget_payer buffers_payer(const struct table *table, uint32_t session, enum table_direction direction);

/* Of which class a buffer is, how many bytes it has, and where: asked several times for each message. */
static inline uint32_t
buffers_class(const struct table *table, uint32_t buffer)
{
	uint32_t class = 0;

	while (buffer >= table->class[class].end)
		class++;
	return class;
}

static inline size_t
buffers_size(const struct table *table, uint32_t buffer)
{
	return table_class_size(buffers_class(table, buffer));
}

static inline unsigned char *
buffers_bytes(const struct table *table, uint32_t buffer)
{
	uint32_t class = buffers_class(table, buffer);

	return table->class[class].bytes + (size_t)(buffer - table->class[class].first) * table_class_size(class);
}

/* Sees to it that the pages of want bytes from begin on are there (B1), as far as the buffer goes.  Up to where all
 * are: it may be more. */
uint32_t buffers_open(struct table *table, uint32_t buffer, size_t begin, size_t want);

/* For table_derive(): one, unless 0, is named and paid for; then all that are not marked are free. */
void buffers_mark(struct table *table, struct budget_payer payer, uint32_t buffer);
void buffers_find_free(struct table *table);

/* Gives the memory of those free buffers back that nobody has needed since the last call; once in a while. */
void buffers_trim(struct table *table);

#endif
