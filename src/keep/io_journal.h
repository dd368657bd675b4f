/* io_journal.h - moves a client's bytes by calls whose result a SIGKILL cannot lose (B1, B2).
 *
 * Small data goes through the buffer that client.buffer[direction] names: the kernel writes the count into the table
 * before a signal can strike.  Large data goes through the pipe that client.pipe[direction] names: what the pipe
 * holds tells the count.  io_journal_replay() does the rest of an interrupted call.
 */
#ifndef HOLDFAST_KEEP_IO_JOURNAL_H
#define HOLDFAST_KEEP_IO_JOURNAL_H

#include <stdint.h>
#include <sys/types.h>

#include "keep/layout.h"

#define IO_JOURNAL_MOST (256u << 10)

/* Fills the rest of this buffer, which a record names, from fd, IO_JOURNAL_MOST bytes at most, as far as its pages
 * are there: they are made for want bytes, and as many again whenever they have been filled.  A page costs time and
 * memory, and most who speak say little.  Bytes, 0 at the end of the file, or -errno.
 *
 * A socket tells of an error once, before the bytes that it had (B3): it is put into *ret_error (a positive errno;
 * may be NULL), and what follows is read, at last the end.  An error that is given is one that came twice. */
ssize_t io_journal_receive(struct table *table, uint32_t buffer, int fd, size_t want, int *ret_error);

/* Sends what the buffer holds to fd and counts it as delivered.  Bytes or -errno. */
ssize_t io_journal_send(struct table *table, uint32_t client, enum table_direction direction, int fd);

/* Sends length bytes at offset from the buffer's head as one packet, and takes whole bytes (of the message with its
 * framing) from it.  Bytes or -errno.  A death may have an empty packet sent a second time: its count tells
 * nothing. */
ssize_t io_journal_send_packet(struct table *table, uint32_t client, enum table_direction direction, int fd,
    uint32_t offset, uint32_t length, uint32_t whole);

/* Gives what the service's shared requests hold beyond what was sent, up to the offset until of their stream, to fd.
 * Bytes or -errno. */
ssize_t io_journal_give(struct table *table, uint16_t service, int fd, uint64_t until);

/* Sends what a connection begins with, which is none of its client's bytes, and stores in the connection's record
 * whether it took all of it, a part, or nothing. */
void io_journal_introduce(struct table *table, uint32_t conn, unsigned char *bytes, uint32_t length);

/* Answers the client no, by one byte, and takes so many bytes, which ask for that, from what it has for the upstream;
 * or, if it does not take the answer, neither: false. */
bool io_journal_decline(struct table *table, uint32_t client, uint32_t request);

/* Fills the pipe, which must be empty, from fd.  Bytes, 0 at the end of the file, or -errno. */
ssize_t io_journal_fill(struct table *table, uint32_t client, enum table_direction direction, int fd);

/* Moves what the pipe holds, level bytes, to fd and counts it as delivered.  Bytes or -errno. */
ssize_t io_journal_drain(struct table *table, uint32_t client, enum table_direction direction, int fd,
    uint32_t level);

/* Moves what the pipe holds, level bytes, behind what the buffer holds that the record names, as far as there is
 * room.  Bytes or -errno. */
ssize_t io_journal_copy(struct table *table, uint32_t client, enum table_direction direction, uint32_t level);

/* A new worker: does the rest of a call that was under way. */
void io_journal_replay(struct table *table);

#endif
