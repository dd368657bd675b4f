/* pipes.h - pooled pipes, through which large data passes without being copied (B2).
 *
 * Each open pipe is named in the table; it is a session's as long as a session names it, else it is free, and empty.
 * What it holds is for the kernel to say (FIONREAD), so that no death loses it.
 */
#ifndef HOLDFAST_KEEP_PIPES_H
#define HOLDFAST_KEEP_PIPES_H

#include <stdint.h>

#include "keep/layout.h"

/* Bytes that a pipe takes. */
#define PIPES_SIZE (256u << 10)

/* For table_derive(): one, unless 0, is named and paid for; then all that are not marked are free, but for those that
 * are not empty, which are closed. */
void pipes_mark(struct table *table, struct budget_payer payer, uint16_t pipe);
void pipes_find_free(struct table *table);

/* A free pipe, empty; or 0: all are in use, no more can be had for now, or max_memory does not permit it (budget.h).
 * It is in use as soon as a session names it. */
uint16_t pipes_claim(struct table *table, struct budget_payer payer);

/* Bytes in it. */
uint32_t pipes_level(const struct table *table, uint16_t pipe);

/* Gives it back, of the same payer, with level bytes in it, which closes one that is not empty; no session may name
 * it any more. */
void pipes_release(struct table *table, struct budget_payer payer, uint16_t pipe, uint32_t level);

/* Closes those that nobody has needed since the last call; once in a while. */
void pipes_trim(struct table *table);

/* Closes all that are free. */
void pipes_clear(struct table *table);

#endif
