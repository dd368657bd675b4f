/* What one direction holds: in a buffer, in a pipe when much comes, and neither at rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keep/io_journal.h"
#include "client/relay_buffer.h"
#include "keep/buffers.h"
#include "keep/pipes.h"
#include "keep_side.h"

static unsigned refused; /* calls of splice() that begin at a pipe and fail next */

/* In place of libc's. */
ssize_t
splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	int type;
	socklen_t length = sizeof type;

	if (refused > 0 && getsockopt(in, SOL_SOCKET, SO_TYPE, &type, &length) == -1) {
		refused--;
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_splice, in, in_at, out, out_at, n, flags);
}

static struct table table;
static struct table_client *record;
static struct relay_buffer relay_buffer;
static int from[2], to[2]; /* ours, the far end's */
static uint64_t sent, received;
static unsigned wrong;

static int
set_up(void **state)
{
	uint32_t session;

	(void)state;
	if (table_new(2000, &table) < 0)
		return -1;
	side_pair(from);
	side_pair(to);
	session = side_session(&table, from[0], to[0]);
	record = &table.clients[session];
	relay_buffer_init(&relay_buffer, &table, session, TABLE_UP);
	sent = received = 0;
	wrong = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_buffer_drop(&relay_buffer);
	for (int i = 0; i < 2; i++) {
		close(from[i]);
		close(to[i]);
	}
	pipes_trim(&table);
	pipes_trim(&table);
	table_free(&table);
	return 0;
}

/* Writes so much into the far end; all of it finds room. */
static void
write_all(size_t size)
{
	uint64_t end = sent + size;

	while (sent < end) {
		size_t n = side_write(from[1], 1, sent, end - sent);

		assert_true(n > 0);
		sent += n;
	}
}

static void
read_all(void)
{
	long n;

	while ((n = side_read(to[1], 1, received, 16384, &wrong)) > 0)
		received += (uint64_t)n;
}

static ssize_t
receive(void)
{
	bool more;

	return relay_buffer_receive(&relay_buffer, from[0], true, &more);
}

static int
deliver(void)
{
	size_t n;

	return relay_buffer_deliver(&relay_buffer, to[0], &n);
}

/* A piece from end to end. */
static ssize_t
pass(size_t size)
{
	ssize_t n;

	write_all(size);
	n = receive();
	assert_int_equal(deliver(), 0);
	read_all();
	return n;
}

/* Two large reads in a row. */
static void
make_it_splice(void)
{
	pass(TABLE_BUFFER_SIZE);
	pass(TABLE_BUFFER_SIZE);
	assert_true(relay_buffer.splices);
}

static void
read_nothing(void)
{
	bool more = true;

	assert_true(relay_buffer_receive(&relay_buffer, from[0], true, &more) < 0);
	assert_false(more);
}

static void
reads_that_find_nothing_are_not_large(void **state)
{
	(void)state;
	read_nothing();
	read_nothing();
	read_nothing();
	assert_false(relay_buffer.splices);
	make_it_splice();
	read_nothing();
}

/* Who says little needs one page of the buffer. */
static void
a_read_fills_the_pages_that_are_there_and_the_next_one_finds_twice_as_many(void **state)
{
	static const ssize_t reads[] = { 4096, 4096, 8192, 13616, -EAGAIN };
	uint32_t buffer = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);

	(void)state;
	record->buffer[TABLE_UP] = buffer;
	write_all(30000);
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
		assert_int_equal(io_journal_receive(&table, buffer, from[0], 100, NULL), reads[i]);
	assert_int_equal(deliver(), 0);
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(wrong, 0);
}

/* It has read nothing, so that its close is a reset. */
static void
b3_an_error_is_told_and_what_came_before_it_is_read(void **state)
{
	uint32_t buffer = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
	struct pollfd ready = { .events = POLLHUP };
	struct linger reset = { .l_onoff = 1 };
	int pair[2], error = 0;

	(void)state;
	record->buffer[TABLE_UP] = buffer;
	side_tcp_pair(pair);
	assert_int_equal(send(pair[1], "last words", 10, 0), 10);
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close(pair[1]);
	ready.fd = pair[0];
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(io_journal_receive(&table, buffer, pair[0], 100, &error), 10);
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(io_journal_receive(&table, buffer, pair[0], 100, &error), 0);
	close(pair[0]);
}

static void
small_pieces_go_through_a_buffer(void **state)
{
	(void)state;
	write_all(100);
	assert_int_equal(receive(), 100);
	assert_int_not_equal(record->buffer[TABLE_UP], 0);
	assert_false(relay_buffer_is_empty(&relay_buffer));
	assert_int_equal(deliver(), 0);
	assert_true(relay_buffer_is_empty(&relay_buffer));
	assert_int_equal(record->buffer[TABLE_UP], 0);
	read_all();
	assert_int_equal(received, 100);
	assert_int_equal(wrong, 0);
}

static void
two_large_reads_in_a_row_change_to_a_pipe(void **state)
{
	(void)state;
	pass(TABLE_BUFFER_SIZE);
	pass(TABLE_BUFFER_SIZE / 2 - 1);
	pass(TABLE_BUFFER_SIZE);
	assert_false(relay_buffer.splices);
	pass(TABLE_BUFFER_SIZE / 2);
	assert_true(relay_buffer.splices);
	write_all(100000);
	assert_int_equal(receive(), 100000);
	assert_int_equal(record->buffer[TABLE_UP], 0);
	assert_int_not_equal(record->pipe[TABLE_UP], 0);
	assert_int_equal(deliver(), 0);
	assert_true(relay_buffer_is_empty(&relay_buffer));
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(record->bytes[TABLE_UP], sent);
	assert_int_equal(wrong, 0);
}

static void
eight_small_pieces_in_a_row_change_back(void **state)
{
	(void)state;
	make_it_splice();
	for (int i = 0; i < 7; i++)
		pass(10);
	pass(100000);
	for (int i = 0; i < 7; i++)
		pass(10);
	assert_true(relay_buffer.splices);
	pass(10);
	assert_false(relay_buffer.splices);
	write_all(10);
	receive();
	assert_int_not_equal(record->buffer[TABLE_UP], 0);
	assert_int_equal(deliver(), 0);
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(wrong, 0);
}

static void
a_direction_at_rest_holds_no_pipe(void **state)
{
	(void)state;
	make_it_splice();
	assert_int_equal(receive(), -EAGAIN);
	relay_buffer_drop(&relay_buffer);
	assert_true(relay_buffer_is_empty(&relay_buffer));
	assert_int_equal(pipes_claim(&table, side_payer), 1); /* it is the pool's again */
	pipes_release(&table, side_payer, 1, 0);
}

static void
without_a_free_pipe_buffers_do(void **state)
{
	(void)state;
	make_it_splice();
	table.no_pipes = true;
	pass(TABLE_BUFFER_SIZE);
	assert_false(relay_buffer.splices);
	pass(TABLE_BUFFER_SIZE);
	assert_true(relay_buffer.splices); /* it is asked for again */
	assert_int_equal(received, sent);
}

static void
what_the_destination_does_not_take_stays_in_the_pipe(void **state)
{
	uint64_t held;

	(void)state;
	make_it_splice();
	while (deliver() == 0) {
		write_all(100000);
		assert_int_equal(receive(), 100000);
	}
	held = relay_buffer.level;
	assert_in_range(held, 1, 100000);
	assert_int_equal(pipes_level(&table, record->pipe[TABLE_UP]), held);
	read_all();
	assert_int_equal(received, sent - held);
	assert_int_equal(deliver(), 0);
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(record->bytes[TABLE_UP], sent);
	assert_int_equal(wrong, 0);
}

/* A buffer is smaller than a pipe: it takes several. */
static void
what_cannot_be_spliced_to_the_destination_is_copied(void **state)
{
	(void)state;
	make_it_splice();
	write_all(100000);
	assert_int_equal(receive(), 100000);
	refused = 1000;
	assert_int_equal(deliver(), 0);
	assert_in_range(refused, 1, 998);
	refused = 0;
	assert_true(relay_buffer_is_empty(&relay_buffer));
	assert_false(relay_buffer.splices);
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(record->bytes[TABLE_UP], sent);
	assert_int_equal(wrong, 0);
	assert_int_equal(pipes_claim(&table, side_payer), 1);
	pipes_release(&table, side_payer, 1, 0);
}

static void
a_new_worker_goes_on_with_what_the_pipe_holds(void **state)
{
	uint32_t session = relay_buffer.client;

	(void)state;
	make_it_splice();
	write_all(50000);
	assert_int_equal(receive(), 50000);
	table_derive(&table);
	relay_buffer_init(&relay_buffer, &table, session, TABLE_UP);
	assert_int_equal(relay_buffer.level, 50000);
	assert_int_equal(deliver(), 0);
	read_all();
	assert_int_equal(received, sent);
	assert_int_equal(wrong, 0);
}

static void
a_new_worker_gives_back_a_pipe_that_was_just_taken(void **state)
{
	uint32_t session = relay_buffer.client;

	(void)state;
	record->pipe[TABLE_UP] = pipes_claim(&table, side_payer);
	relay_buffer_init(&relay_buffer, &table, session, TABLE_UP);
	assert_true(relay_buffer_is_empty(&relay_buffer));
	assert_int_equal(table.free_pipes, 1);
}

static void
the_end_and_errors_come_through_a_pipe_too(void **state)
{
	(void)state;
	make_it_splice();
	write_all(1000);
	close(from[1]);
	from[1] = -1;
	assert_int_equal(receive(), 1000);
	assert_int_equal(deliver(), 0);
	assert_int_equal(receive(), 0);
}

/* splice() never passes it, and says that nothing is there, or that this is the end. */
static void
an_urgent_byte_stops_nothing(void **state)
{
	static const char bulk[100000];
	uint64_t wanted = sizeof bulk + 4;
	int pair[2];

	(void)state;
	close(from[0]);
	close(from[1]);
	side_tcp_pair(from);
	pair[0] = from[1];
	relay_buffer.splices = true;
	assert_int_equal(send(pair[0], bulk, sizeof bulk, 0), sizeof bulk);
	assert_int_equal(send(pair[0], "!", 1, MSG_OOB), 1);
	side_say(pair[0], "more");
	shutdown(pair[0], SHUT_WR);
	for (ssize_t n; (n = receive()) != 0;) {
		assert_true(n > 0 || n == -EAGAIN);
		while (n > 0 && deliver() == -EAGAIN)
			while (recv(to[1], (char[4096]){ 0 }, 4096, MSG_DONTWAIT) > 0)
				;
		if (n == -EAGAIN)
			relay_buffer_drop(&relay_buffer);
	}
	assert_int_equal(record->bytes[TABLE_UP], wanted);
}

static void
a_destination_that_is_gone_is_an_error_and_no_signal(void **state)
{
	(void)state;
	make_it_splice();
	write_all(1000);
	assert_int_equal(receive(), 1000);
	close(to[1]);
	to[1] = -1;
	assert_int_equal(deliver(), -EPIPE);
	assert_int_equal(relay_buffer.level, 1000); /* kept: it may go elsewhere */
	relay_buffer_drop(&relay_buffer);
	assert_int_equal(table.header->pipe[1].read_fd, -1); /* and never into another session */
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(reads_that_find_nothing_are_not_large),
		ROW(a_read_fills_the_pages_that_are_there_and_the_next_one_finds_twice_as_many),
		ROW(b3_an_error_is_told_and_what_came_before_it_is_read),
		ROW(small_pieces_go_through_a_buffer),
		ROW(two_large_reads_in_a_row_change_to_a_pipe),
		ROW(eight_small_pieces_in_a_row_change_back),
		ROW(a_direction_at_rest_holds_no_pipe),
		ROW(without_a_free_pipe_buffers_do),
		ROW(what_the_destination_does_not_take_stays_in_the_pipe),
		ROW(what_cannot_be_spliced_to_the_destination_is_copied),
		ROW(a_new_worker_goes_on_with_what_the_pipe_holds),
		ROW(a_new_worker_gives_back_a_pipe_that_was_just_taken),
		ROW(the_end_and_errors_come_through_a_pipe_too),
		ROW(an_urgent_byte_stops_nothing),
		ROW(a_destination_that_is_gone_is_an_error_and_no_signal),
	};

	signal(SIGPIPE, SIG_IGN); /* as every worker does: splice has no MSG_NOSIGNAL */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
