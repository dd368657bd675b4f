/* deaths.h - what a worker's death means: who is blamed for it, when the next one starts, whether it is the table
 * that workers die of (K7).
 *
 * Pure.
 */
#ifndef HOLDFAST_KEEP_DEATHS_H
#define HOLDFAST_KEEP_DEATHS_H

#include "keep/table.h"

/* Of workers that have died of their own making. */
struct deaths {
	unsigned failures; /* young ones in a row */
	unsigned doubts;   /* about the table */
};

/* Signals of deaths that a program brings upon itself; up to a 0. */
extern const int deaths_own_making[];

/* Whether the worker has brought it upon itself. */
bool deaths_is_own_making(const struct table *table, const struct table_death *death);

/* Counts such a death of a worker that was born then, and blames who was being handled: at the third strike within
 * 10 s its record is closed.  Of a table on which worker after worker dies before it serves, all is given up: what
 * of it they die of nobody knows.  The time until the next start, in microseconds. */
int64_t deaths_note(struct deaths *deaths, struct table *table, struct table_death *death, int64_t born);

#endif
