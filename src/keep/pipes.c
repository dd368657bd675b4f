#include "keep/pipes.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "keep/crash.h"

/* A pipe of fewer bytes costs more calls than it saves copies; an unprivileged user gets such ones beyond
 * /proc/sys/fs/pipe-user-pages-soft. */
#define PIPES_LEAST   (64 << 10)
/* Files that pipes leave to those who wait for an upstream connection. */
#define PIPES_RESERVE 64u

static uint64_t
pipes_bit(uint16_t pipe)
{
	return UINT64_C(1) << (pipe - 1);
}

static bool
pipes_is_open(const struct table *table, uint16_t pipe)
{
	return table->header->pipe[pipe].read_fd != -1;
}

/* Un-named first: a closed number may soon be another file's. */
static void
pipes_close(struct table *table, uint16_t pipe)
{
	struct table_pipe *record = &table->header->pipe[pipe];
	int read_fd = record->read_fd, write_fd = record->write_fd;

	table->free_pipes &= ~pipes_bit(pipe);
	table_barrier();
	record->read_fd = -1;
	CRASH_POINT(PIPE_UNNAMED);
	close(read_fd);
	close(write_fd);
	record->write_fd = -1;
}

uint32_t
pipes_level(const struct table *table, uint16_t pipe)
{
	int level = 0;

	ioctl(table->header->pipe[pipe].read_fd, FIONREAD, &level);
	return (uint32_t)level;
}

/* It is no session's any more, or never was. */
static void
pipes_put(struct table *table, uint16_t pipe, uint32_t level)
{
	if (level > 0)
		pipes_close(table, pipe);
	else
		table->free_pipes |= pipes_bit(pipe);
}

void
pipes_release(struct table *table, struct budget_payer payer, uint16_t pipe, uint32_t level)
{
	pipes_put(table, pipe, level);
	budget_give(table->budget, payer, PIPES_SIZE);
}

/* Until the free ones are found, those that are not idle. */
void
pipes_mark(struct table *table, struct budget_payer payer, uint16_t pipe)
{
	if (pipe == 0)
		return;
	table->idle_pipes |= pipes_bit(pipe);
	budget_take(table->budget, payer, PIPES_SIZE);
}

void
pipes_find_free(struct table *table)
{
	uint64_t used = table->idle_pipes;

	table->idle_pipes = 0;
	for (uint16_t pipe = 1; pipe <= TABLE_PIPES; pipe++)
		if (pipes_is_open(table, pipe) && !(used & pipes_bit(pipe)))
			pipes_put(table, pipe, pipes_level(table, pipe));
}

/* Whether the new pipe is of use, and takes no file that others need more. */
static bool
pipes_is_good(const struct table *table, const int fd[2])
{
	uint32_t highest = (uint32_t)(fd[0] > fd[1] ? fd[0] : fd[1]);

	return highest + TABLE_LAST_FILES + PIPES_RESERVE < table->shape.files &&
	    fcntl(fd[1], F_SETPIPE_SZ, PIPES_SIZE) >= PIPES_LEAST;
}

static uint16_t
pipes_open(struct table *table)
{
	struct table_pipe *record;
	uint16_t pipe = 1;
	int fd[2];

	while (pipe <= TABLE_PIPES && pipes_is_open(table, pipe))
		pipe++;
	if (pipe > TABLE_PIPES || pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return 0;
	CRASH_POINT(PIPE_OPENED);
	if (!pipes_is_good(table, fd)) {
		close(fd[0]);
		close(fd[1]);
		return 0;
	}
	record = &table->header->pipe[pipe];
	record->write_fd = table_note_file(table, fd[1]);
	table_barrier();
	record->read_fd = table_note_file(table, fd[0]); /* the commit */
	CRASH_POINT(PIPE_NAMED);
	return pipe;
}

static uint16_t
pipes_take_free(struct table *table)
{
	/* The lowest, so that others can be spared. */
	uint16_t pipe = (uint16_t)(__builtin_ctzll(table->free_pipes) + 1);

	table->free_pipes &= ~pipes_bit(pipe);
	table->idle_pipes &= table->free_pipes;
	return pipe;
}

uint16_t
pipes_claim(struct table *table, struct budget_payer payer)
{
	uint16_t pipe = 0;

	if (!budget_permits(table->budget, payer, PIPES_SIZE))
		return 0;
	if (table->free_pipes != 0) {
		pipe = pipes_take_free(table);
	} else if (!table->no_pipes) {
		pipe = pipes_open(table);
		table->no_pipes = pipe == 0; /* not tried again and again */
	}
	if (pipe != 0)
		budget_take(table->budget, payer, PIPES_SIZE);
	return pipe;
}

static void
pipes_close_all(struct table *table, uint64_t bits)
{
	for (uint16_t pipe = 1; pipe <= TABLE_PIPES; pipe++)
		if (bits & pipes_bit(pipe))
			pipes_close(table, pipe);
}

void
pipes_clear(struct table *table)
{
	pipes_close_all(table, table->free_pipes);
}

void
pipes_trim(struct table *table)
{
	pipes_close_all(table, table->idle_pipes & table->free_pipes);
	table->idle_pipes = table->free_pipes;
	table->no_pipes = false;
}
