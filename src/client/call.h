/* call.h - moves a session's bytes by calls whose result a SIGKILL cannot lose (B1, B2).
 *
 * Small data goes through the buffer that session.buffer[direction] names: the kernel writes the count into the table
 * before a signal can strike.  Large data goes through the pipe that session.pipe[direction] names: what the pipe
 * holds tells the count.  keep/recover does the rest of an interrupted call.
 */
#ifndef HOLDFAST_CLIENT_CALL_H
#define HOLDFAST_CLIENT_CALL_H

#include <stdint.h>
#include <sys/types.h>

#include "keep/table.h"

/* Fills the rest of the buffer from fd.  Bytes, 0 at the end of the file, or -errno. */
ssize_t call_receive(struct table *table, uint32_t session, enum table_direction direction, int fd);

/* Sends what the buffer holds to fd and counts it as delivered.  Bytes or -errno. */
ssize_t call_send(struct table *table, uint32_t session, enum table_direction direction, int fd);

/* Fills the pipe, which must be empty, from fd.  Bytes, 0 at the end of the file, or -errno. */
ssize_t call_fill(struct table *table, uint32_t session, enum table_direction direction, int fd);

/* Moves what the pipe holds, level bytes, to fd and counts it as delivered.  Bytes or -errno. */
ssize_t call_drain(struct table *table, uint32_t session, enum table_direction direction, int fd, uint32_t level);

#endif
