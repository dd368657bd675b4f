/* audit_queue.h - whether what the clients of a service have asked together can be followed: entries within their
 * ring, whose ends rise within the bytes that are there, also in the midst of a drop.
 *
 * Pure.  The buffers that the record names must be ones, with their bytes within them.
 */
#ifndef HOLDFAST_KEEP_AUDIT_QUEUE_H
#define HOLDFAST_KEEP_AUDIT_QUEUE_H

#include "keep/layout.h"

bool audit_queue_is_whole(const struct table *table, const struct table_shared *shared);

/* How many bytes a buffer holds; none, 0, holds none. */
uint32_t audit_queue_bytes(const struct table *table, uint32_t buffer);

#endif
