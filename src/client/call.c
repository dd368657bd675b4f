#include "client/call.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/pipes.h"

/* Writes the call's record but for its phase.  The rest of the message's header stays zero; the kernel may write
 * msg_flags, but does not read it back. */
static struct table_call *
call_prepare(struct table *table, uint32_t session, enum table_direction direction, uint32_t buffer, uint32_t begin,
    uint32_t end)
{
	struct table_call *call = &table->header->call;

	call->session = session;
	call->direction = (uint32_t)direction;
	call->buffer = buffer;
	call->base = begin;
	call->vector.iov_base = buffers_bytes(table, buffer) + begin;
	call->vector.iov_len = end - begin;
	call->message.msg_hdr.msg_iov = &call->vector; /* where this process has it */
	call->message.msg_hdr.msg_iovlen = 1;
	call->message.msg_len = 0;
	return call;
}

static void
call_mark(struct table_call *call, enum table_call_phase phase)
{
	table_barrier();
	call->phase = phase;
}

static uint32_t
call_bounded(size_t bytes)
{
	return bytes < CALL_MOST ? (uint32_t)bytes : CALL_MOST;
}

ssize_t
call_receive(struct table *table, uint32_t index, int fd, size_t want)
{
	struct table_buffer *buffer = &table->buffers[index];
	uint32_t begin = buffer->tail, end = buffers_open(table, index, begin, call_bounded(want));
	struct table_call *call;
	int n;

	end = begin + call_bounded(end - begin);
	call = call_prepare(table, 0, TABLE_UP, index, begin, end);
	call_mark(call, TABLE_CALL_RECEIVE);
	CRASH_POINT(CALL_RECEIVE_MARKED);
	n = recvmmsg(fd, &call->message, 1, MSG_DONTWAIT, NULL);
	CRASH_POINT(CALL_RECEIVED);
	buffer->tail = call->base + call->message.msg_len;
	CRASH_POINT(CALL_RECEIVE_STORED);
	call_mark(call, TABLE_CALL_NONE);
	if (buffer->tail == end)
		buffers_open(table, index, end, call_bounded(end));
	return n == -1 ? -errno : (ssize_t)call->message.msg_len;
}

ssize_t
call_send(struct table *table, uint32_t session, enum table_direction direction, int fd)
{
	struct table_client *record = &table->clients[session];
	uint32_t index = record->buffer[direction];
	struct table_buffer *buffer = &table->buffers[index];
	struct table_call *call = call_prepare(table, session, direction, index, buffer->head, buffer->tail);
	int n;

	call->base_bytes = record->bytes[direction];
	call_mark(call, TABLE_CALL_SEND);
	CRASH_POINT(CALL_SEND_MARKED);
	n = sendmmsg(fd, &call->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(CALL_SENT);
	record->bytes[direction] = call->base_bytes + call->message.msg_len;
	buffer->head = call->base + call->message.msg_len;
	CRASH_POINT(CALL_SEND_STORED);
	call_mark(call, TABLE_CALL_NONE);
	return n == -1 ? -errno : (ssize_t)call->message.msg_len;
}

ssize_t
call_send_packet(struct table *table, uint32_t session, enum table_direction direction, int fd, uint32_t offset,
    uint32_t length, uint32_t whole)
{
	struct table_client *record = &table->clients[session];
	uint32_t index = record->buffer[direction];
	struct table_buffer *buffer = &table->buffers[index];
	uint32_t begin = buffer->head + offset;
	struct table_call *call = call_prepare(table, session, direction, index, begin, begin + length);
	int n;

	call->base = buffer->head;
	call->whole = whole;
	call->base_bytes = record->bytes[direction];
	call_mark(call, TABLE_CALL_PACKET);
	CRASH_POINT(CALL_PACKET_MARKED);
	n = sendmmsg(fd, &call->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(CALL_PACKET_SENT);
	if (n == 1) {
		record->bytes[direction] = call->base_bytes + whole;
		buffer->head = call->base + whole;
	}
	CRASH_POINT(CALL_PACKET_STORED);
	call_mark(call, TABLE_CALL_NONE);
	return n == -1 ? -errno : (ssize_t)call->message.msg_len;
}

ssize_t
call_give(struct table *table, uint16_t service, int fd, uint64_t until)
{
	struct table_shared *shared = &table->services[service].shared;
	uint32_t tail = table->buffers[shared->out].tail;
	uint32_t begin = tail - (uint32_t)(shared->out_end - shared->sent);
	struct table_call *call = call_prepare(table, service, TABLE_UP, shared->out, begin,
	    begin + (uint32_t)(until - shared->sent));
	int n;

	call->base_bytes = shared->sent;
	call_mark(call, TABLE_CALL_GIVE);
	CRASH_POINT(CALL_GIVE_MARKED);
	n = sendmmsg(fd, &call->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(CALL_GIVEN);
	shared->sent = call->base_bytes + call->message.msg_len;
	CRASH_POINT(CALL_GIVE_STORED);
	call_mark(call, TABLE_CALL_NONE);
	return n == -1 ? -errno : (ssize_t)call->message.msg_len;
}

ssize_t
call_fill(struct table *table, uint32_t session, enum table_direction direction, int fd)
{
	const struct table_pipe *pipe = &table->header->pipe[table->clients[session].pipe[direction]];
	ssize_t n = splice(fd, NULL, pipe->write_fd, NULL, PIPES_SIZE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	CRASH_POINT(CALL_FILLED);
	return n == -1 ? -errno : n;
}

ssize_t
call_drain(struct table *table, uint32_t session, enum table_direction direction, int fd, uint32_t level)
{
	struct table_client *record = &table->clients[session];
	const struct table_pipe *pipe = &table->header->pipe[record->pipe[direction]];
	struct table_call *call = &table->header->call;
	ssize_t n;

	call->session = session;
	call->direction = (uint32_t)direction;
	call->base = level;
	call->base_bytes = record->bytes[direction];
	call_mark(call, TABLE_CALL_DRAIN);
	CRASH_POINT(CALL_DRAIN_MARKED);
	n = splice(pipe->read_fd, NULL, fd, NULL, level, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	CRASH_POINT(CALL_DRAINED);
	if (n > 0)
		record->bytes[direction] = call->base_bytes + (uint64_t)n;
	CRASH_POINT(CALL_DRAIN_STORED);
	call_mark(call, TABLE_CALL_NONE);
	return n == -1 ? -errno : n;
}
