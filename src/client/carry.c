#include "client/carry.h"

#include <errno.h>

#include "client/call.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/pipes.h"

/* Reads in a row of so many bytes, after which a pipe is used.  Half a buffer: a reader that is quick finds no full
 * one even in a stream of large writes, which the kernel hands over in halves. */
#define CARRY_LARGE       2
#define CARRY_LARGE_BYTES (TABLE_BUFFER_SIZE / 2)
/* Pieces in a row of fewer bytes than this, after which buffers are used again. */
#define CARRY_SMALL       8
#define CARRY_SMALL_BYTES (16 << 10)

static struct table_client *
carry_record(const struct carry *carry)
{
	return &carry->table->clients[carry->session];
}

static struct budget_payer
carry_payer(const struct carry *carry)
{
	return buffers_payer(carry->table, carry->session, (enum table_direction)carry->direction);
}

static enum table_direction
carry_direction(const struct carry *carry)
{
	return (enum table_direction)carry->direction;
}

void
carry_init(struct carry *carry, struct table *table, uint32_t session, enum table_direction direction)
{
	uint16_t pipe = table->clients[session].pipe[direction];

	*carry = (struct carry){ .table = table, .session = session, .direction = (uint8_t)direction };
	if (pipe == 0)
		return;
	carry->level = pipes_level(table, pipe);
	carry->splices = true;
	if (carry->level == 0)
		carry_drop(carry);
}

bool
carry_is_empty(const struct carry *carry)
{
	const struct table_client *record = carry_record(carry);

	return record->buffer[carry->direction] == 0 && record->pipe[carry->direction] == 0;
}

static bool
carry_take_buffer(struct carry *carry)
{
	uint32_t buffer;

	if (carry_record(carry)->buffer[carry->direction] != 0)
		return true;
	buffer = buffers_claim(carry->table, carry_payer(carry), TABLE_BUFFER_SIZE);
	if (buffer == 0)
		buffer = buffers_claim_lean(carry->table, carry_payer(carry));
	if (buffer == 0)
		return false;
	CRASH_POINT(BUFFER_CLAIMED);
	carry_record(carry)->buffer[carry->direction] = buffer;
	CRASH_POINT(BUFFER_NAMED);
	return true;
}

static bool
carry_take_pipe(struct carry *carry)
{
	uint16_t pipe;

	if (carry_record(carry)->pipe[carry->direction] != 0)
		return true;
	pipe = pipes_claim(carry->table, carry_payer(carry));
	if (pipe == 0)
		return false;
	carry_record(carry)->pipe[carry->direction] = pipe;
	CRASH_POINT(PIPE_TAKEN);
	return true;
}

static void
carry_drop_buffer(struct carry *carry)
{
	uint32_t buffer = carry_record(carry)->buffer[carry->direction];

	if (buffer == 0)
		return;
	carry_record(carry)->buffer[carry->direction] = 0;
	CRASH_POINT(BUFFER_UNNAMED);
	buffers_free(carry->table, carry_payer(carry), buffer);
}

static void
carry_drop_pipe(struct carry *carry)
{
	uint16_t pipe = carry_record(carry)->pipe[carry->direction];

	if (pipe == 0)
		return;
	carry_record(carry)->pipe[carry->direction] = 0;
	CRASH_POINT(PIPE_GIVEN_BACK);
	pipes_release(carry->table, carry_payer(carry), pipe, carry->level);
	carry->level = 0;
}

void
carry_drop(struct carry *carry)
{
	carry_drop_buffer(carry);
	carry_drop_pipe(carry);
}

void
carry_use_buffers(struct carry *carry)
{
	carry->splices = false;
	carry->large = 0;
}

static ssize_t
carry_receive_by_pipe(struct carry *carry, int fd, bool *ret_more)
{
	ssize_t n = call_fill(carry->table, carry->session, carry_direction(carry), fd);

	if (n <= 0)
		return n;
	*ret_more = (size_t)n > TABLE_BUFFER_SIZE; /* a writer of 64 KiB at a time will not have written again yet */
	carry->level = (uint32_t)n;
	carry->small = n < CARRY_SMALL_BYTES ? (uint8_t)(carry->small + 1) : 0;
	if (carry->small == CARRY_SMALL)
		carry_use_buffers(carry);
	return n;
}

static ssize_t
carry_receive_by_buffer(struct carry *carry, int fd, bool *ret_more)
{
	ssize_t n = call_receive(carry->table, carry_record(carry)->buffer[carry->direction], fd,
	    CALL_MOST);
	size_t bytes = n > 0 ? (size_t)n : 0;

	*ret_more = n > 0 && bytes == buffers_size(carry->table, carry_record(carry)->buffer[carry->direction]);
	carry->large = bytes >= CARRY_LARGE_BYTES ? (uint8_t)(carry->large + 1) : 0;
	if (carry->large == CARRY_LARGE) {
		carry->splices = true;
		carry->large = carry->small = 0;
	}
	return n;
}

ssize_t
carry_receive(struct carry *carry, int fd, bool ready, bool *ret_more)
{
	ssize_t n;

	*ret_more = false;
	if (carry->splices && !carry_take_pipe(carry))
		carry_use_buffers(carry);
	if (carry->splices) {
		n = carry_receive_by_pipe(carry, fd, ret_more);
		if (n > 0 || (n == -EAGAIN && !ready))
			return n;
		/* splice() stops before TCP's urgent byte for ever, and may say 0 where memory is short: what there
		 * is, and whether it is the end, recvmmsg() tells. */
		carry_drop_pipe(carry);
	}
	if (!carry_take_buffer(carry))
		return -ENOMEM;
	return carry_receive_by_buffer(carry, fd, ret_more);
}

static int
carry_send_buffer(struct carry *carry, int fd, size_t *ret_sent)
{
	const struct table_buffer *buffer = &carry->table->buffers[carry_record(carry)->buffer[carry->direction]];
	ssize_t n;

	while (buffer->head != buffer->tail) {
		n = call_send(carry->table, carry->session, carry_direction(carry), fd);
		if (n < 0)
			return (int)n;
		*ret_sent += (size_t)n;
	}
	return 0;
}

static int
carry_send_pipe(struct carry *carry, int fd, size_t *ret_sent)
{
	ssize_t n;

	while (carry->level > 0) {
		n = call_drain(carry->table, carry->session, carry_direction(carry), fd, carry->level);
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		carry->level -= (uint32_t)n;
		*ret_sent += (size_t)n;
	}
	return 0;
}

int
carry_deliver(struct carry *carry, int fd, size_t *ret_sent)
{
	int error = 0;

	*ret_sent = 0;
	if (carry_record(carry)->buffer[carry->direction] != 0)
		error = carry_send_buffer(carry, fd, ret_sent);
	else if (carry_record(carry)->pipe[carry->direction] != 0)
		error = carry_send_pipe(carry, fd, ret_sent);
	if (error == 0)
		carry_drop(carry);
	return error;
}
