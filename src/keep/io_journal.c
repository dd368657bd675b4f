#include "keep/io_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/pipes.h"

/* Where the call's bytes are in this process.  The rest of the message's header stays zero; the kernel may write
 * msg_flags, but does not read it back. */
static void
io_journal_point(struct table_io_journal *io_journal, unsigned char *bytes, size_t length)
{
	io_journal->vector.iov_base = bytes;
	io_journal->vector.iov_len = length;
	io_journal->message.msg_hdr.msg_iov = &io_journal->vector;
	io_journal->message.msg_hdr.msg_iovlen = 1;
	io_journal->message.msg_len = 0;
}

/* Writes the call's record but for its phase. */
static struct table_io_journal *
io_journal_prepare(struct table *table, uint32_t client, enum table_direction direction, uint32_t buffer,
    uint32_t begin, uint32_t end)
{
	struct table_io_journal *io_journal = &table->header->io_journal;

	io_journal->index = client;
	io_journal->direction = (uint32_t)direction;
	io_journal->buffer = buffer;
	io_journal->base = begin;
	io_journal_point(io_journal, buffers_bytes(table, buffer) + begin, end - begin);
	return io_journal;
}

static void
io_journal_store_packet(struct table *table)
{
	const struct table_io_journal *io_journal = &table->header->io_journal;

	table->clients[io_journal->index].bytes[io_journal->direction] = io_journal->base_bytes + io_journal->whole;
	table->buffers[io_journal->buffer].head = io_journal->base + io_journal->whole;
}

/* What the record says was moved is stored where it belongs; harmless to repeat. */
static void
io_journal_store(struct table *table)
{
	const struct table_io_journal *io_journal = &table->header->io_journal;
	struct table_buffer *buffer = &table->buffers[io_journal->buffer];
	struct table_client *client = &table->clients[io_journal->index];
	uint32_t moved = io_journal->message.msg_len;

	switch ((enum table_io_journal_phase)io_journal->phase) {
	case TABLE_IO_JOURNAL_RECEIVE:
		buffer->tail = io_journal->base + moved;
		break;
	case TABLE_IO_JOURNAL_SEND:
		client->bytes[io_journal->direction] = io_journal->base_bytes + moved;
		buffer->head = io_journal->base + moved;
		break;
	case TABLE_IO_JOURNAL_DRAIN:
		client->bytes[io_journal->direction] = io_journal->base_bytes + io_journal->base -
		    pipes_level(table, client->pipe[io_journal->direction]);
		break;
	case TABLE_IO_JOURNAL_PACKET:
		if (moved > 0)
			io_journal_store_packet(table);
		break;
	case TABLE_IO_JOURNAL_GIVE:
		table->services[io_journal->index].shared.sent = io_journal->base_bytes + moved;
		break;
	case TABLE_IO_JOURNAL_HEADER:
		if (moved > 0)
			table->conns[io_journal->index].flags |= moved == io_journal->base ? TABLE_CONN_HEADED :
			    TABLE_CONN_HEADER_CUT;
		break;
	case TABLE_IO_JOURNAL_DECLINE:
		if (moved > 0)
			buffer->head = io_journal->base + io_journal->whole;
		break;
	case TABLE_IO_JOURNAL_COPY:
		buffer->tail = io_journal->base + (uint32_t)io_journal->base_bytes -
		    pipes_level(table, client->pipe[io_journal->direction]);
		break;
	case TABLE_IO_JOURNAL_NONE:
		break;
	}
}

static void
io_journal_mark(struct table_io_journal *io_journal, enum table_io_journal_phase phase)
{
	table_barrier();
	io_journal->phase = phase;
}

static uint32_t
io_journal_bounded(size_t bytes)
{
	return bytes < IO_JOURNAL_MOST ? (uint32_t)bytes : IO_JOURNAL_MOST;
}

static ssize_t
io_journal_try_receive(struct table *table, uint32_t index, int fd, size_t want)
{
	struct table_buffer *buffer = &table->buffers[index];
	uint32_t begin = buffer->tail, end = buffers_open(table, index, begin, io_journal_bounded(want));
	struct table_io_journal *io_journal;
	int n;

	end = begin + io_journal_bounded(end - begin);
	io_journal = io_journal_prepare(table, 0, TABLE_UP, index, begin, end);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_RECEIVE);
	CRASH_POINT(JOURNAL_RECEIVE_MARKED);
	n = recvmmsg(fd, &io_journal->message, 1, MSG_DONTWAIT, NULL);
	CRASH_POINT(JOURNAL_RECEIVED);
	io_journal_store(table);
	CRASH_POINT(JOURNAL_RECEIVE_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	if (buffer->tail == end)
		buffers_open(table, index, end, io_journal_bounded(end));
	return n == -1 ? -errno : (ssize_t)io_journal->message.msg_len;
}

ssize_t
io_journal_receive(struct table *table, uint32_t buffer, int fd, size_t want, int *ret_error)
{
	ssize_t n = io_journal_try_receive(table, buffer, fd, want);

	if (n >= 0 || n == -EAGAIN)
		return n;
	if (ret_error != NULL)
		*ret_error = (int)-n;
	return io_journal_try_receive(table, buffer, fd, want);
}

ssize_t
io_journal_send(struct table *table, uint32_t client, enum table_direction direction, int fd)
{
	struct table_client *record = &table->clients[client];
	uint32_t index = record->buffer[direction];
	struct table_buffer *buffer = &table->buffers[index];
	struct table_io_journal *io_journal = io_journal_prepare(table, client, direction, index, buffer->head,
	    buffer->tail);
	int n;

	io_journal->base_bytes = record->bytes[direction];
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_SEND);
	CRASH_POINT(JOURNAL_SEND_MARKED);
	n = sendmmsg(fd, &io_journal->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(JOURNAL_SENT);
	io_journal_store(table);
	CRASH_POINT(JOURNAL_SEND_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return n == -1 ? -errno : (ssize_t)io_journal->message.msg_len;
}

ssize_t
io_journal_send_packet(struct table *table, uint32_t client, enum table_direction direction, int fd, uint32_t offset,
    uint32_t length, uint32_t whole)
{
	struct table_client *record = &table->clients[client];
	uint32_t index = record->buffer[direction];
	struct table_buffer *buffer = &table->buffers[index];
	uint32_t begin = buffer->head + offset;
	struct table_io_journal *io_journal = io_journal_prepare(table, client, direction, index, begin,
	    begin + length);
	int n;

	io_journal->base = buffer->head;
	io_journal->whole = whole;
	io_journal->base_bytes = record->bytes[direction];
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_PACKET);
	CRASH_POINT(JOURNAL_PACKET_MARKED);
	n = sendmmsg(fd, &io_journal->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(JOURNAL_PACKET_SENT);
	if (n == 1) /* it may be empty */
		io_journal_store_packet(table);
	CRASH_POINT(JOURNAL_PACKET_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return n == -1 ? -errno : (ssize_t)io_journal->message.msg_len;
}

ssize_t
io_journal_give(struct table *table, uint16_t service, int fd, uint64_t until)
{
	struct table_shared *shared = &table->services[service].shared;
	uint32_t tail = table->buffers[shared->out].tail;
	uint32_t begin = tail - (uint32_t)(shared->out_end - shared->sent);
	struct table_io_journal *io_journal = io_journal_prepare(table, service, TABLE_UP, shared->out, begin,
	    begin + (uint32_t)(until - shared->sent));
	int n;

	io_journal->base_bytes = shared->sent;
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_GIVE);
	CRASH_POINT(JOURNAL_GIVE_MARKED);
	n = sendmmsg(fd, &io_journal->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(JOURNAL_GIVEN);
	io_journal_store(table);
	CRASH_POINT(JOURNAL_GIVE_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return n == -1 ? -errno : (ssize_t)io_journal->message.msg_len;
}

void
io_journal_introduce(struct table *table, uint32_t conn, unsigned char *bytes, uint32_t length)
{
	struct table_io_journal *io_journal = &table->header->io_journal;

	io_journal->index = conn;
	io_journal->base = length;
	io_journal_point(io_journal, bytes, length);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_HEADER);
	CRASH_POINT(JOURNAL_HEADER_MARKED);
	sendmmsg(table->conns[conn].fd, &io_journal->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(JOURNAL_HEADER_SENT);
	io_journal_store(table);
	CRASH_POINT(JOURNAL_HEADER_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
}

bool
io_journal_decline(struct table *table, uint32_t client, uint32_t request)
{
	struct table_io_journal *io_journal = &table->header->io_journal;
	uint32_t index = table->clients[client].buffer[TABLE_UP];
	unsigned char no = 'N';

	io_journal->index = client;
	io_journal->direction = TABLE_UP;
	io_journal->buffer = index;
	io_journal->base = table->buffers[index].head;
	io_journal->whole = request;
	io_journal_point(io_journal, &no, sizeof no);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_DECLINE);
	CRASH_POINT(JOURNAL_DECLINE_MARKED);
	sendmmsg(table->clients[client].fd, &io_journal->message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	CRASH_POINT(JOURNAL_DECLINE_SENT);
	io_journal_store(table);
	CRASH_POINT(JOURNAL_DECLINE_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return io_journal->message.msg_len > 0;
}

ssize_t
io_journal_fill(struct table *table, uint32_t client, enum table_direction direction, int fd)
{
	const struct table_pipe *pipe = &table->header->pipe[table->clients[client].pipe[direction]];
	ssize_t n = splice(fd, NULL, pipe->write_fd, NULL, PIPES_SIZE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	CRASH_POINT(JOURNAL_FILLED);
	return n == -1 ? -errno : n;
}

ssize_t
io_journal_drain(struct table *table, uint32_t client, enum table_direction direction, int fd, uint32_t level)
{
	struct table_client *record = &table->clients[client];
	const struct table_pipe *pipe = &table->header->pipe[record->pipe[direction]];
	struct table_io_journal *io_journal = &table->header->io_journal;
	ssize_t n;

	io_journal->index = client;
	io_journal->direction = (uint32_t)direction;
	io_journal->base = level;
	io_journal->base_bytes = record->bytes[direction];
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_DRAIN);
	CRASH_POINT(JOURNAL_DRAIN_MARKED);
	n = splice(pipe->read_fd, NULL, fd, NULL, level, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	CRASH_POINT(JOURNAL_DRAINED);
	if (n > 0)
		record->bytes[direction] = io_journal->base_bytes + (uint64_t)n;
	CRASH_POINT(JOURNAL_DRAIN_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return n == -1 ? -errno : n;
}

ssize_t
io_journal_copy(struct table *table, uint32_t client, enum table_direction direction, uint32_t level)
{
	const struct table_client *record = &table->clients[client];
	uint32_t index = record->buffer[direction];
	struct table_buffer *buffer = &table->buffers[index];
	uint32_t begin = buffer->tail, end = buffers_open(table, index, begin, level);
	struct table_io_journal *io_journal;
	ssize_t n;

	end = end - begin < level ? end : begin + level;
	io_journal = io_journal_prepare(table, client, direction, index, begin, end);
	io_journal->base_bytes = level;
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_COPY);
	CRASH_POINT(JOURNAL_COPY_MARKED);
	n = read(table->header->pipe[record->pipe[direction]].read_fd, io_journal->vector.iov_base,
	    io_journal->vector.iov_len);
	CRASH_POINT(JOURNAL_COPIED);
	if (n > 0)
		buffer->tail = begin + (uint32_t)n;
	CRASH_POINT(JOURNAL_COPY_STORED);
	io_journal_mark(io_journal, TABLE_IO_JOURNAL_NONE);
	return n == -1 ? -errno : n;
}

void
io_journal_replay(struct table *table)
{
	io_journal_store(table);
	io_journal_mark(&table->header->io_journal, TABLE_IO_JOURNAL_NONE);
}
