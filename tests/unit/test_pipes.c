/* Pooled pipes: taken and given back, spared when nobody needs them, found again after a death. */
#include "recover_stage.h"

#include <sys/resource.h>

#include "keep/buffers.h"
#include "keep/pipes.h"

static uint32_t session;

/* The table names as many files as a process may have. */
static int
set_up_pipes(void **state)
{
	(void)state;
	if (table_new(2000, &table) < 0)
		return -1;
	table.shape.services = 2;
	session = side_session(&table, side_file(), -1);
	return 0;
}

static int
end_of(uint16_t pipe)
{
	return table.header->pipe[pipe].write_fd;
}

static void
put(uint16_t pipe, const char *text)
{
	assert_int_equal(write(end_of(pipe), text, strlen(text)), (long)strlen(text));
}

static unsigned
count_open(void)
{
	unsigned count = 0;

	for (uint16_t pipe = 1; pipe <= TABLE_PIPES; pipe++)
		count += table.header->pipe[pipe].read_fd != -1;
	return count;
}

static void
a_pipe_is_large_and_blocks_nobody(void **state)
{
	uint16_t pipe = pipes_claim(&table, side_payer);
	int read_fd = table.header->pipe[pipe].read_fd;

	(void)state;
	assert_int_equal(pipe, 1);
	assert_int_equal(fcntl(end_of(pipe), F_GETPIPE_SZ), PIPES_SIZE);
	assert_int_equal(fcntl(read_fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(read_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(end_of(pipe), F_GETFD), FD_CLOEXEC);
	assert_true(table.header->file_high >= (uint32_t)end_of(pipe));
	pipes_release(&table, side_payer, pipe, 0);
}

static void
an_empty_pipe_is_used_again(void **state)
{
	uint16_t one = pipes_claim(&table, side_payer), two = pipes_claim(&table, side_payer);
	int fd = end_of(one);

	(void)state;
	assert_int_not_equal(one, two);
	pipes_release(&table, side_payer, two, 0);
	pipes_release(&table, side_payer, one, 0);
	assert_int_equal(pipes_claim(&table, side_payer), one);
	assert_int_equal(end_of(one), fd);
	assert_int_equal(count_open(), 2);
	pipes_release(&table, side_payer, one, 0);
}

static void
a_pipe_that_holds_bytes_is_never_used_again(void **state)
{
	uint16_t pipe = pipes_claim(&table, side_payer);
	int fd = end_of(pipe);

	(void)state;
	put(pipe, "secret");
	assert_int_equal(pipes_level(&table, pipe), 6);
	pipes_release(&table, side_payer, pipe, 6);
	assert_false(side_is_open(fd));
	assert_int_equal(count_open(), 0);
}

static void
there_are_64_at_most(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= TABLE_PIPES; i++)
		assert_int_equal(pipes_claim(&table, side_payer), i);
	assert_int_equal(pipes_claim(&table, side_payer), 0);
	pipes_release(&table, side_payer, 7, 0);
	assert_int_equal(pipes_claim(&table, side_payer), 7);
	for (uint16_t pipe = 1; pipe <= TABLE_PIPES; pipe++)
		pipes_release(&table, side_payer, pipe, 0);
}

static void
pipes_that_nobody_needed_are_closed(void **state)
{
	uint16_t one = pipes_claim(&table, side_payer), two = pipes_claim(&table, side_payer);
	uint16_t three = pipes_claim(&table, side_payer);

	(void)state;
	pipes_release(&table, side_payer, one, 0);
	pipes_release(&table, side_payer, two, 0);
	pipes_trim(&table); /* they were needed since the last time */
	assert_int_equal(count_open(), 3);
	assert_int_equal(pipes_claim(&table, side_payer), one);
	pipes_release(&table, side_payer, one, 0);
	pipes_trim(&table);
	assert_int_equal(count_open(), 2);
	assert_int_equal(table.header->pipe[two].read_fd, -1);
	pipes_trim(&table);
	assert_int_equal(count_open(), 1); /* the one in use */
	pipes_release(&table, side_payer, three, 0);
}

static void
pipes_take_no_file_that_is_kept_for_others(void **state)
{
	int room = side_file();
	uint32_t sessions = table.shape.files;

	(void)state;
	close(room);
	table.shape.files = (uint32_t)room + 20;
	assert_int_equal(pipes_claim(&table, side_payer), 0);
	assert_int_equal(side_file(), room); /* nothing is left open */
	close(room);
	table.shape.files = sessions;
	assert_int_equal(pipes_claim(&table, side_payer), 0); /* it is not tried again and again */
	pipes_trim(&table);
	assert_int_equal(pipes_claim(&table, side_payer), 1);
	pipes_release(&table, side_payer, 1, 0);
}

static void
where_no_file_is_left_there_is_no_pipe(void **state)
{
	struct rlimit before, limit;
	int next = side_file();

	(void)state;
	close(next);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(pipes_claim(&table, side_payer), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	pipes_trim(&table);
	assert_int_equal(pipes_claim(&table, side_payer), 1);
	pipes_release(&table, side_payer, 1, 0);
}

static void
b2_a_new_worker_finds_the_bytes_where_they_were(void **state)
{
	uint16_t used = pipes_claim(&table, side_payer), full = pipes_claim(&table, side_payer);
	uint16_t empty = pipes_claim(&table, side_payer);
	int full_fd = end_of(full), empty_fd = end_of(empty);

	(void)state;
	table.clients[session].pipe[TABLE_DOWN] = used;
	put(used, "kept");
	put(full, "un-named in the midst of a close");
	recover_twice();
	assert_int_equal(pipes_level(&table, used), 4);
	assert_false(side_is_open(full_fd));
	assert_true(side_is_open(empty_fd));
	assert_int_equal(pipes_claim(&table, side_payer), empty);
	assert_int_equal(count_open(), 2);
	pipes_release(&table, side_payer, empty, 0);
}

static void
b2_what_was_delivered_of_a_pipe_is_counted_once(void **state)
{
	struct table_io_journal *io_journal = &table.header->io_journal;

	(void)state;
	table.clients[session].pipe[TABLE_UP] = pipes_claim(&table, side_payer);
	put(table.clients[session].pipe[TABLE_UP], "four");
	io_journal->index = session;
	io_journal->direction = TABLE_UP;
	io_journal->base = 10; /* so 6 are gone */
	io_journal->base_bytes = 100;
	io_journal->phase = TABLE_IO_JOURNAL_DRAIN;
	recover_twice();
	assert_int_equal(table.clients[session].bytes[TABLE_UP], 106);
	assert_int_equal(io_journal->phase, TABLE_IO_JOURNAL_NONE);
}

static void
b2_what_was_copied_of_a_pipe_is_in_the_buffer_once(void **state)
{
	struct table_io_journal *io_journal = &table.header->io_journal;
	struct table_client *client = &table.clients[session];

	(void)state;
	client->pipe[TABLE_UP] = pipes_claim(&table, side_payer);
	client->buffer[TABLE_UP] = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
	put(client->pipe[TABLE_UP], "four");
	io_journal->index = session;
	io_journal->direction = TABLE_UP;
	io_journal->buffer = client->buffer[TABLE_UP];
	io_journal->base = 0;
	io_journal->base_bytes = 10; /* so 6 are there */
	io_journal->phase = TABLE_IO_JOURNAL_COPY;
	recover_twice();
	assert_int_equal(table.buffers[client->buffer[TABLE_UP]].tail, 6);
	assert_int_equal(pipes_level(&table, client->pipe[TABLE_UP]), 4);
	assert_int_equal(io_journal->phase, TABLE_IO_JOURNAL_NONE);
}

static void
b2_the_end_of_a_session_frees_its_pipes(void **state)
{
	uint16_t up = pipes_claim(&table, side_payer), down = pipes_claim(&table, side_payer);
	int up_fd = end_of(up), down_fd = end_of(down);

	(void)state;
	table.clients[session].pipe[TABLE_UP] = up;
	table.clients[session].pipe[TABLE_DOWN] = down;
	put(up, "not delivered");
	table_client_close(&table, session);
	assert_false(side_is_open(up_fd));
	assert_true(side_is_open(down_fd));
	assert_int_equal(pipes_claim(&table, side_payer), down);
	pipes_release(&table, side_payer, down, 0);
}

static void
b2_a_pipe_that_is_not_named_is_swept(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	table.header->pipe[3].write_fd = table_note_file(&table, fd[1]); /* the commit is read_fd's */
	recover_run(&table);
	assert_false(side_is_open(fd[0]));
	assert_false(side_is_open(fd[1]));
	assert_int_equal(count_open(), 0);
}

/* A piece by pipe and on, dying before any instruction: every byte is in one place. */
static void
passage_prepare(void *arg)
{
	passage_begin(arg);
	table_derive(&table);
}

static void
passage_act(void *arg)
{
	const struct passage *passage = arg;
	struct table_client *record = &table.clients[passage->session];
	uint16_t pipe = pipes_claim(&table, side_payer);

	record->pipe[TABLE_UP] = pipe;
	io_journal_fill(&table, passage->session, TABLE_UP, passage->from[0]);
	io_journal_drain(&table, passage->session, TABLE_UP, passage->to[0], 10);
	record->pipe[TABLE_UP] = 0;
	pipes_release(&table, side_payer, pipe, 0);
	pipes_trim(&table);
	pipes_trim(&table);
}

static void
passage_check(void *arg, bool finished)
{
	struct passage *passage = arg;
	struct table_client *record = &table.clients[passage->session];
	char text[32];
	ssize_t unread, there, delivered;

	(void)finished;
	unread = recv(passage->from[0], text, sizeof text, MSG_DONTWAIT | MSG_PEEK);
	recover_run(&table);
	there = record->pipe[TABLE_UP] == 0 ? 0 : (ssize_t)pipes_level(&table, record->pipe[TABLE_UP]);
	delivered = recv(passage->to[1], text, sizeof text, MSG_DONTWAIT);
	assert_int_equal((unread > 0 ? unread : 0) + there + (delivered > 0 ? delivered : 0), 10);
	assert_int_equal(record->bytes[TABLE_UP], delivered > 0 ? delivered : 0);
	for (uint16_t pipe = 1; pipe <= TABLE_PIPES; pipe++)
		if (table.header->pipe[pipe].read_fd != -1)
			assert_true(side_is_open(table.header->pipe[pipe].read_fd) && side_is_open(end_of(pipe)));
	table_client_close(&table, passage->session);
	passage_end(passage);
}

static void
b2_no_byte_of_a_pipe_is_lost_or_doubled_by_a_death_before_any_instruction(void **state)
{
	struct passage passage;

	(void)state;
	table_client_close(&table, session);
	if (!side_every_step(passage_prepare, passage_act, passage_check, &passage))
		skip();
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up_pipes, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_pipe_is_large_and_blocks_nobody),
		ROW(an_empty_pipe_is_used_again),
		ROW(a_pipe_that_holds_bytes_is_never_used_again),
		ROW(there_are_64_at_most),
		ROW(pipes_that_nobody_needed_are_closed),
		ROW(pipes_take_no_file_that_is_kept_for_others),
		ROW(where_no_file_is_left_there_is_no_pipe),
		ROW(b2_a_new_worker_finds_the_bytes_where_they_were),
		ROW(b2_what_was_delivered_of_a_pipe_is_counted_once),
		ROW(b2_what_was_copied_of_a_pipe_is_in_the_buffer_once),
		ROW(b2_the_end_of_a_session_frees_its_pipes),
		ROW(b2_a_pipe_that_is_not_named_is_swept),
		ROW(b2_no_byte_of_a_pipe_is_lost_or_doubled_by_a_death_before_any_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
