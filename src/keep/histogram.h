/* histogram.h - how long things took, counted in steps in the table, for the metrics.
 *
 * What is counted, and when:
 * CONNECT  an upstream connection is ready: from the start of its connect, hello included
 * LOOKUP   a lookup for an attempt has ended, well or not; one that several waited for counts once
 * HOLD     a client gets the connection that it waited for: from its coming, or from the loss of the one it had.
 *          Who found one ready has not waited and is not counted, nor who never got one; session mode
 * OUTAGE   the service is connected again: from the loss, or the attempt's failure, that was counted as an outage
 */
#ifndef HOLDFAST_KEEP_HISTOGRAM_H
#define HOLDFAST_KEEP_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "keep/redo.h"
#include "keep/layout.h"

/* The upper bounds of a kind's steps, which include them: microseconds, ascending, at most TABLE_HISTOGRAM - 1.  One
 * more step, the last, is without an end. */
const int64_t *histogram_bounds(enum table_histogram_kind kind, size_t *ret_count);

/* Which step of its kind a duration in microseconds falls into. */
size_t histogram_step(enum table_histogram_kind kind, int64_t duration);

/* Counts a duration in microseconds, one below 0 as 0: step and sum together, whenever the worker dies. */
void histogram_count(struct table *table, uint16_t service, enum table_histogram_kind kind, int64_t duration);

/* The same as a part of a redo. */
void histogram_add(struct redo *redo, uint16_t service, enum table_histogram_kind kind, int64_t duration);

#endif
