#include "client/relay_buffer.h"

#include <errno.h>

#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/io_journal.h"
#include "keep/pipes.h"

/* Reads in a row of so many bytes, after which a pipe is used.  Half a buffer: a reader that is quick finds no full
 * one even in a stream of large writes, which the kernel hands over in halves. */
#define RELAY_BUFFER_LARGE       2
#define RELAY_BUFFER_LARGE_BYTES (TABLE_BUFFER_SIZE / 2)
/* Pieces in a row of fewer bytes than this, after which buffers are used again. */
#define RELAY_BUFFER_SMALL       8
#define RELAY_BUFFER_SMALL_BYTES (16 << 10)

/* The words of the record that name what is held. */
static volatile uint32_t *
relay_buffer_buffer(const struct relay_buffer *self)
{
	return &self->table->clients[self->client].buffer[self->direction];
}

static volatile uint16_t *
relay_buffer_pipe(const struct relay_buffer *self)
{
	return &self->table->clients[self->client].pipe[self->direction];
}

static struct budget_payer
relay_buffer_payer(const struct relay_buffer *self)
{
	return buffers_payer(self->table, self->client, (enum table_direction)self->direction);
}

void
relay_buffer_init(struct relay_buffer *self, struct table *table, uint32_t client, enum table_direction direction)
{
	uint16_t pipe = table->clients[client].pipe[direction];

	*self = (struct relay_buffer){ .table = table, .client = client, .direction = (uint8_t)direction };
	if (pipe == 0)
		return;
	self->level = pipes_level(table, pipe);
	self->splices = true;
	if (self->level == 0)
		relay_buffer_drop(self);
}

bool
relay_buffer_is_empty(const struct relay_buffer *self)
{
	return *relay_buffer_buffer(self) == 0 && *relay_buffer_pipe(self) == 0;
}

static bool
relay_buffer_take_buffer(struct relay_buffer *self)
{
	uint32_t buffer;

	if (*relay_buffer_buffer(self) != 0)
		return true;
	buffer = buffers_claim(self->table, relay_buffer_payer(self), TABLE_BUFFER_SIZE);
	if (buffer == 0)
		buffer = buffers_claim_lean(self->table, relay_buffer_payer(self));
	if (buffer == 0)
		return false;
	CRASH_POINT(BUFFER_CLAIMED);
	*relay_buffer_buffer(self) = buffer;
	CRASH_POINT(BUFFER_NAMED);
	return true;
}

static bool
relay_buffer_take_pipe(struct relay_buffer *self)
{
	uint16_t pipe;

	if (*relay_buffer_pipe(self) != 0)
		return true;
	pipe = pipes_claim(self->table, relay_buffer_payer(self));
	if (pipe == 0)
		return false;
	*relay_buffer_pipe(self) = pipe;
	CRASH_POINT(PIPE_TAKEN);
	return true;
}

static void
relay_buffer_drop_pipe(struct relay_buffer *self)
{
	uint16_t pipe = *relay_buffer_pipe(self);

	if (pipe == 0)
		return;
	*relay_buffer_pipe(self) = 0;
	CRASH_POINT(PIPE_GIVEN_BACK);
	pipes_release(self->table, relay_buffer_payer(self), pipe, self->level);
	self->level = 0;
}

static void
relay_buffer_drop_buffer(struct relay_buffer *self)
{
	uint32_t buffer = *relay_buffer_buffer(self);

	if (buffer == 0)
		return;
	*relay_buffer_buffer(self) = 0;
	CRASH_POINT(BUFFER_UNNAMED);
	buffers_free(self->table, relay_buffer_payer(self), buffer);
}

void
relay_buffer_drop(struct relay_buffer *self)
{
	relay_buffer_drop_buffer(self);
	relay_buffer_drop_pipe(self);
}

void
relay_buffer_use_buffers(struct relay_buffer *self)
{
	self->splices = false;
	self->large = 0;
}

static ssize_t
relay_buffer_receive_by_pipe(struct relay_buffer *self, int fd, bool *ret_more)
{
	ssize_t n = io_journal_fill(self->table, self->client, (enum table_direction)self->direction, fd);

	if (n <= 0)
		return n;
	*ret_more = (size_t)n > TABLE_BUFFER_SIZE; /* a writer of 64 KiB at a time will not have written again yet */
	self->level = (uint32_t)n;
	self->small = n < RELAY_BUFFER_SMALL_BYTES ? (uint8_t)(self->small + 1) : 0;
	if (self->small == RELAY_BUFFER_SMALL)
		relay_buffer_use_buffers(self);
	return n;
}

static ssize_t
relay_buffer_receive_by_buffer(struct relay_buffer *self, int fd, bool *ret_more)
{
	uint32_t buffer = *relay_buffer_buffer(self);
	ssize_t n = io_journal_receive(self->table, buffer, fd, IO_JOURNAL_MOST, NULL);
	size_t bytes = n > 0 ? (size_t)n : 0;

	*ret_more = n > 0 && bytes == buffers_size(self->table, buffer);
	self->large = bytes >= RELAY_BUFFER_LARGE_BYTES ? (uint8_t)(self->large + 1) : 0;
	if (self->large == RELAY_BUFFER_LARGE) {
		self->splices = true;
		self->large = self->small = 0;
	}
	return n;
}

ssize_t
relay_buffer_receive(struct relay_buffer *self, int fd, bool ready, bool *ret_more)
{
	ssize_t n;

	*ret_more = false;
	if (self->splices && !relay_buffer_take_pipe(self))
		relay_buffer_use_buffers(self);
	if (self->splices) {
		n = relay_buffer_receive_by_pipe(self, fd, ret_more);
		if (n > 0 || (n == -EAGAIN && !ready))
			return n;
		/* splice() stops before TCP's urgent byte for ever, and may say 0 where memory is short: what there
		 * is, and whether it is the end, recvmmsg() tells. */
		relay_buffer_drop_pipe(self);
	}
	if (!relay_buffer_take_buffer(self))
		return -ENOMEM;
	return relay_buffer_receive_by_buffer(self, fd, ret_more);
}

/* Sends what the buffer holds.  0 when all is gone, or -errno. */
static int
relay_buffer_deliver_buffer(struct relay_buffer *self, int fd, size_t *sent)
{
	uint32_t buffer = *relay_buffer_buffer(self);
	ssize_t n;

	while (buffer != 0 && self->table->buffers[buffer].head != self->table->buffers[buffer].tail) {
		n = io_journal_send(self->table, self->client, (enum table_direction)self->direction, fd);
		if (n < 0)
			return (int)n;
		*sent += (size_t)n;
	}
	return 0;
}

/* Moves what the pipe holds into a buffer, while none holds anything, as far as it has room.  Bytes or -errno. */
static ssize_t
relay_buffer_copy(struct relay_buffer *self)
{
	relay_buffer_drop_buffer(self); /* it may be full: a new one is as good as an old one that is empty */
	relay_buffer_use_buffers(self);
	if (!relay_buffer_take_buffer(self))
		return -ENOMEM;
	return io_journal_copy(self->table, self->client, (enum table_direction)self->direction, self->level);
}

int
relay_buffer_deliver(struct relay_buffer *self, int fd, size_t *ret_sent)
{
	ssize_t n;
	int error;

	*ret_sent = 0;
	error = relay_buffer_deliver_buffer(self, fd, ret_sent);
	while (error == 0 && self->level > 0) {
		n = io_journal_drain(self->table, self->client, (enum table_direction)self->direction, fd,
		    self->level);
		if (n > 0)
			*ret_sent += (size_t)n;
		else if (n == -EINVAL) /* no splice() into such a file */
			n = relay_buffer_copy(self);
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		self->level -= (uint32_t)n;
		error = relay_buffer_deliver_buffer(self, fd, ret_sent);
	}
	if (error == 0)
		relay_buffer_drop(self);
	return error;
}
