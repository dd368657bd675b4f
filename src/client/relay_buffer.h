/* relay_buffer.h - holds one direction's bytes between their receipt and their delivery, in the table's memory.
 *
 * A buffer is taken when something comes and given back when all is gone; a lean one where max_memory permits no
 * other, so that who does not take what is there never keeps another's bytes from moving.  After two large reads in a
 * row data passes through a pooled pipe instead, without being copied, until eight small pieces have come in a row
 * (B2).  A direction at rest holds neither.
 */
#ifndef HOLDFAST_CLIENT_RELAY_BUFFER_H
#define HOLDFAST_CLIENT_RELAY_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keep/table.h"

struct relay_buffer {
	struct table *table;  /* borrowed */
	uint32_t client;      /* its record */
	uint32_t level;       /* bytes in the pipe */
	uint8_t direction;    /* enum table_direction */
	uint8_t large, small; /* pieces in a row */
	bool splices;         /* the next piece goes through a pipe */
};

/* Resumes with what the client's record holds for this direction. */
void relay_buffer_init(struct relay_buffer *self, struct table *table, uint32_t client,
    enum table_direction direction);

/* Whether nothing is held: no byte, no buffer, no pipe. */
bool relay_buffer_is_empty(const struct relay_buffer *self);

/* Receives a piece from fd, which is ready if epoll has just said so; a pipe that is in use must be empty.  Bytes, 0
 * at the end of the file, -EAGAIN, -ENOMEM if there is no place to put it, or another -errno; without bytes
 * relay_buffer_drop() gives the place back.  *ret_more: there may be more at once. */
ssize_t relay_buffer_receive(struct relay_buffer *self, int fd, bool ready, bool *ret_more);

/* Delivers to fd; when all is gone the place is given back.  *ret_sent: bytes.  0 when all is gone, or -errno
 * (-EAGAIN: when fd can be written to again). */
int relay_buffer_deliver(struct relay_buffer *self, int fd, size_t *ret_sent);

/* Forgets what is held. */
void relay_buffer_drop(struct relay_buffer *self);

/* From now on no pipe is used, for bytes that are not passed on.  Nothing may be held. */
void relay_buffer_use_buffers(struct relay_buffer *self);

#endif
