/* spool_queue.h - messages that go through the spool, in the table: those that clients said wait in a buffer until
 * they are on the disk, and those that come from the disk go to the end of mux_queue.
 *
 * In the buffer each message stands behind SPOOL_RECORD bytes, which spool_record_begin() has written.  A function
 * that changes something is one change: it happens as a whole, or, where there is no memory, not at all.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_QUEUE_H
#define HOLDFAST_CLIENT_SPOOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/mux_queue.h"

/* Bytes that wait for the disk, with what stands before each message. */
static inline size_t
spool_queue_waiting(const struct mux_queue *queue)
{
	return ring_length(queue->table, queue->record->spool);
}

/* Whether all messages that there are were read from the disk. */
static inline bool
spool_queue_is_read(const struct mux_queue *queue)
{
	return queue->record->spool_read == queue->record->spool_next;
}

/* Where count messages of so many bytes may be written, each behind SPOOL_RECORD bytes that are left for
 * spool_queue_put().  NULL: there is no memory for them. */
unsigned char *spool_queue_room(struct mux_queue *queue, uint32_t count, size_t bytes);

/* The messages that were written there are the client's; the taken bytes at the head of what it said are done with.
 * end[i] is where number i ends, from the first one's begin, as if nothing stood before them. */
void spool_queue_put(struct mux_queue *queue, uint32_t client, size_t taken, const size_t *end, uint32_t count);

/* The oldest count of them, which take so many bytes there, are on the disk. */
void spool_queue_written(struct mux_queue *queue, uint32_t count, size_t bytes);

/* The oldest of them are dropped, and counted, until there are need bytes less; the disk is at work on none.  false:
 * there was none. */
bool spool_queue_drop(struct mux_queue *queue, size_t need);

/* Records of messages with numbers in a row, from this one on, go to the queue, as many as it takes.  waiting: they
 * are the oldest of those that wait for the disk, and do not come there.  How many; *ret_bytes: of the records. */
uint32_t spool_queue_load(struct mux_queue *queue, const unsigned char *records, size_t length, uint64_t number,
    bool waiting, size_t *ret_bytes);

/* The messages of the queue that are not from the disk are to go there, while all that is there was read: the queue
 * is empty then, and what came from the disk is to be read again.  Nothing happens where there is no memory for
 * it, nor where one of them is before one from the disk: all stay in the queue, in their order. */
void spool_queue_reclaim(struct mux_queue *queue);

/* A copy of all messages that are not on the disk, as records: the queue's, then those that wait but for the first so
 * many bytes, which are written.  The caller frees it. */
unsigned char *spool_queue_copy(const struct mux_queue *queue, size_t written, size_t *ret_length,
    uint32_t *ret_count);

/* There are no messages on the disk before this number; so many of those that were not read are dropped. */
void spool_queue_skip(struct mux_queue *queue, uint64_t number, uint64_t dropped);

/* The spool of this identity was opened, which has messages up to end, of which those before position were
 * acknowledged.  What the table knows holds if it is of the same; else messages that wait come behind those. */
void spool_queue_open(struct mux_queue *queue, uint64_t identity, uint64_t position, uint64_t end);

#endif
