/* call.h - receive and send whose result a SIGKILL cannot lose (B1).
 *
 * The kernel writes the count into the table before a signal can strike; keep/recover does the rest of an
 * interrupted call.  The buffer that session.buffer[direction] names is filled or emptied.
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

#endif
