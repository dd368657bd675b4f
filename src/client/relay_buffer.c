#include "client/relay_buffer.h"

#include <errno.h>

#include "keep/io_journal.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/pipes.h"

/* Reads in a row of so many bytes, after which a pipe is used.  Half a buffer: a reader that is quick finds no full
 * one even in a stream of large writes, which the kernel hands over in halves. */
#define RELAY_BUFFER_LARGE       2
#define RELAY_BUFFER_LARGE_BYTES (TABLE_BUFFER_SIZE / 2)
/* Pieces in a row of fewer bytes than this, after which buffers are used again. */
#define RELAY_BUFFER_SMALL       8
#define RELAY_BUFFER_SMALL_BYTES (16 << 10)

static struct table_client *
relay_buffer_record(const struct relay_buffer *relay_buffer)
{
	return &relay_buffer->table->clients[relay_buffer->session];
}

static struct budget_payer
relay_buffer_payer(const struct relay_buffer *relay_buffer)
{
	return buffers_payer(relay_buffer->table, relay_buffer->session,
	    (enum table_direction)relay_buffer->direction);
}

static enum table_direction
relay_buffer_direction(const struct relay_buffer *relay_buffer)
{
	return (enum table_direction)relay_buffer->direction;
}

void
relay_buffer_init(struct relay_buffer *relay_buffer, struct table *table, uint32_t session,
    enum table_direction direction)
{
	uint16_t pipe = table->clients[session].pipe[direction];

	*relay_buffer = (struct relay_buffer){ .table = table, .session = session, .direction = (uint8_t)direction };
	if (pipe == 0)
		return;
	relay_buffer->level = pipes_level(table, pipe);
	relay_buffer->splices = true;
	if (relay_buffer->level == 0)
		relay_buffer_drop(relay_buffer);
}

bool
relay_buffer_is_empty(const struct relay_buffer *relay_buffer)
{
	const struct table_client *record = relay_buffer_record(relay_buffer);

	return record->buffer[relay_buffer->direction] == 0 && record->pipe[relay_buffer->direction] == 0;
}

static bool
relay_buffer_take_buffer(struct relay_buffer *relay_buffer)
{
	uint32_t buffer;

	if (relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction] != 0)
		return true;
	buffer = buffers_claim(relay_buffer->table, relay_buffer_payer(relay_buffer), TABLE_BUFFER_SIZE);
	if (buffer == 0)
		buffer = buffers_claim_lean(relay_buffer->table, relay_buffer_payer(relay_buffer));
	if (buffer == 0)
		return false;
	CRASH_POINT(BUFFER_CLAIMED);
	relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction] = buffer;
	CRASH_POINT(BUFFER_NAMED);
	return true;
}

static bool
relay_buffer_take_pipe(struct relay_buffer *relay_buffer)
{
	uint16_t pipe;

	if (relay_buffer_record(relay_buffer)->pipe[relay_buffer->direction] != 0)
		return true;
	pipe = pipes_claim(relay_buffer->table, relay_buffer_payer(relay_buffer));
	if (pipe == 0)
		return false;
	relay_buffer_record(relay_buffer)->pipe[relay_buffer->direction] = pipe;
	CRASH_POINT(PIPE_TAKEN);
	return true;
}

static void
relay_buffer_drop_buffer(struct relay_buffer *relay_buffer)
{
	uint32_t buffer = relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction];

	if (buffer == 0)
		return;
	relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction] = 0;
	CRASH_POINT(BUFFER_UNNAMED);
	buffers_free(relay_buffer->table, relay_buffer_payer(relay_buffer), buffer);
}

static void
relay_buffer_drop_pipe(struct relay_buffer *relay_buffer)
{
	uint16_t pipe = relay_buffer_record(relay_buffer)->pipe[relay_buffer->direction];

	if (pipe == 0)
		return;
	relay_buffer_record(relay_buffer)->pipe[relay_buffer->direction] = 0;
	CRASH_POINT(PIPE_PASSED_FDS_BACK);
	pipes_release(relay_buffer->table, relay_buffer_payer(relay_buffer), pipe, relay_buffer->level);
	relay_buffer->level = 0;
}

void
relay_buffer_drop(struct relay_buffer *relay_buffer)
{
	relay_buffer_drop_buffer(relay_buffer);
	relay_buffer_drop_pipe(relay_buffer);
}

void
relay_buffer_use_buffers(struct relay_buffer *relay_buffer)
{
	relay_buffer->splices = false;
	relay_buffer->large = 0;
}

static ssize_t
relay_buffer_receive_by_pipe(struct relay_buffer *relay_buffer, int fd, bool *ret_more)
{
	ssize_t n = io_journal_fill(relay_buffer->table, relay_buffer->session, relay_buffer_direction(relay_buffer),
	    fd);

	if (n <= 0)
		return n;
	*ret_more = (size_t)n > TABLE_BUFFER_SIZE; /* a writer of 64 KiB at a time will not have written again yet */
	relay_buffer->level = (uint32_t)n;
	relay_buffer->small = n < RELAY_BUFFER_SMALL_BYTES ? (uint8_t)(relay_buffer->small + 1) : 0;
	if (relay_buffer->small == RELAY_BUFFER_SMALL)
		relay_buffer_use_buffers(relay_buffer);
	return n;
}

static ssize_t
relay_buffer_receive_by_buffer(struct relay_buffer *relay_buffer, int fd, bool *ret_more)
{
	ssize_t n = io_journal_receive(relay_buffer->table,
	    relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction], fd,
	    IO_JOURNAL_MOST, NULL);
	size_t bytes = n > 0 ? (size_t)n : 0;

	*ret_more = n > 0 && bytes == buffers_size(relay_buffer->table,
	    relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction]);
	relay_buffer->large = bytes >= RELAY_BUFFER_LARGE_BYTES ? (uint8_t)(relay_buffer->large + 1) : 0;
	if (relay_buffer->large == RELAY_BUFFER_LARGE) {
		relay_buffer->splices = true;
		relay_buffer->large = relay_buffer->small = 0;
	}
	return n;
}

ssize_t
relay_buffer_receive(struct relay_buffer *relay_buffer, int fd, bool ready, bool *ret_more)
{
	ssize_t n;

	*ret_more = false;
	if (relay_buffer->splices && !relay_buffer_take_pipe(relay_buffer))
		relay_buffer_use_buffers(relay_buffer);
	if (relay_buffer->splices) {
		n = relay_buffer_receive_by_pipe(relay_buffer, fd, ret_more);
		if (n > 0 || (n == -EAGAIN && !ready))
			return n;
		/* splice() stops before TCP's urgent byte for ever, and may say 0 where memory is short: what there
		 * is, and whether it is the end, recvmmsg() tells. */
		relay_buffer_drop_pipe(relay_buffer);
	}
	if (!relay_buffer_take_buffer(relay_buffer))
		return -ENOMEM;
	return relay_buffer_receive_by_buffer(relay_buffer, fd, ret_more);
}

static int
relay_buffer_send_buffer(struct relay_buffer *relay_buffer, int fd, size_t *ret_sent)
{
	const struct table_buffer *buffer =
	    &relay_buffer->table->buffers[relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction]];
	ssize_t n;

	while (buffer->head != buffer->tail) {
		n = io_journal_send(relay_buffer->table, relay_buffer->session, relay_buffer_direction(relay_buffer),
		    fd);
		if (n < 0)
			return (int)n;
		*ret_sent += (size_t)n;
	}
	return 0;
}

static int
relay_buffer_send_pipe(struct relay_buffer *relay_buffer, int fd, size_t *ret_sent)
{
	ssize_t n;

	while (relay_buffer->level > 0) {
		n = io_journal_drain(relay_buffer->table, relay_buffer->session, relay_buffer_direction(relay_buffer),
		    fd, relay_buffer->level);
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		relay_buffer->level -= (uint32_t)n;
		*ret_sent += (size_t)n;
	}
	return 0;
}

int
relay_buffer_deliver(struct relay_buffer *relay_buffer, int fd, size_t *ret_sent)
{
	int error = 0;

	*ret_sent = 0;
	if (relay_buffer_record(relay_buffer)->buffer[relay_buffer->direction] != 0)
		error = relay_buffer_send_buffer(relay_buffer, fd, ret_sent);
	else if (relay_buffer_record(relay_buffer)->pipe[relay_buffer->direction] != 0)
		error = relay_buffer_send_pipe(relay_buffer, fd, ret_sent);
	if (error == 0)
		relay_buffer_drop(relay_buffer);
	return error;
}
