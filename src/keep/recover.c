#include "keep/recover.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/peer_closed.h"
#include "base/mem.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/files.h"
#include "keep/pipes.h"
#include "keep/redo.h"

/* The files that some record names, one bit each. */
struct recover_named {
	unsigned char *bits;
	uint32_t count;
};

static void
recover_io_journal(struct table *table)
{
	struct table_io_journal *io_journal = &table->header->io_journal;
	struct table_buffer *buffer = &table->buffers[io_journal->buffer];
	struct table_client *client = &table->clients[io_journal->session];

	if (io_journal->phase == TABLE_IO_JOURNAL_RECEIVE) {
		buffer->tail = io_journal->base + io_journal->message.msg_len;
	} else if (io_journal->phase == TABLE_IO_JOURNAL_SEND) {
		client->bytes[io_journal->direction] = io_journal->base_bytes + io_journal->message.msg_len;
		buffer->head = io_journal->base + io_journal->message.msg_len;
	} else if (io_journal->phase == TABLE_IO_JOURNAL_DRAIN) {
		client->bytes[io_journal->direction] = io_journal->base_bytes + io_journal->base -
		    pipes_level(table, client->pipe[io_journal->direction]);
	} else if (io_journal->phase == TABLE_IO_JOURNAL_PACKET && io_journal->message.msg_len > 0) {
		client->bytes[io_journal->direction] = io_journal->base_bytes + io_journal->whole;
		buffer->head = io_journal->base + io_journal->whole;
	} else if (io_journal->phase == TABLE_IO_JOURNAL_GIVE) {
		table->services[io_journal->session].shared.sent =
		    io_journal->base_bytes + io_journal->message.msg_len;
	}
	table_barrier();
	io_journal->phase = TABLE_IO_JOURNAL_NONE;
}

void
recover_release(struct table *table, uint32_t index)
{
	struct table_client *client = &table->clients[index];

	for (enum table_direction d = TABLE_UP; d <= TABLE_DOWN; d++) {
		struct budget_payer payer = buffers_payer(table, index, d);
		uint32_t buffer = client->buffer[d];
		uint16_t pipe = client->pipe[d];

		client->buffer[d] = 0;
		client->pipe[d] = 0;
		if (buffer != 0)
			buffers_free(table, payer, buffer);
		if (pipe != 0)
			pipes_release(table, payer, pipe, pipes_level(table, pipe));
	}
}

/* The counters of the client become the service's, at once with their end here. */
static void
recover_count_bytes(struct table *table, struct table_client *client)
{
	struct table_counters *counters = &table->services[client->service].counters;
	struct redo redo;

	if (client->bytes[TABLE_UP] == 0 && client->bytes[TABLE_DOWN] == 0)
		return;
	redo_begin(&redo, table);
	for (int d = 0; d < 2; d++) {
		redo_add(&redo, &counters->bytes[d], counters->bytes[d] + client->bytes[d]);
		redo_add(&redo, &client->bytes[d], 0);
	}
	redo_commit(&redo);
}

/* No client names a record that is free. */
static void
recover_end_conn(struct table *table, uint32_t index, struct table_client *client)
{
	struct table_conn *conn = &table->conns[index];

	table_conn_set(table, index, TABLE_CLOSING);
	CRASH_POINT(CONN_MARKED);
	if (conn->fd != -1)
		close(conn->fd);
	conn->fd = -1;
	CRASH_POINT(CONN_CLOSED);
	if (client != NULL)
		client->conn = 0;
	CRASH_POINT(CONN_UNNAMED);
	table_conn_free(table, index);
	CRASH_POINT(CONN_FREED);
}

void
recover_close_conn(struct table *table, uint32_t conn)
{
	recover_end_conn(table, conn, NULL);
}

void
recover_end_own(struct table *table, uint32_t client)
{
	uint32_t conn = table_client_own(table, client);

	if (conn != 0)
		recover_end_conn(table, conn, &table->clients[client]);
}

void
recover_close_client(struct table *table, uint32_t index)
{
	struct table_client *client = &table->clients[index];

	table_client_set(table, index, TABLE_CLOSING);
	CRASH_POINT(CLOSE_MARKED);
	recover_end_own(table, index);
	CRASH_POINT(CLOSE_UPSTREAM);
	if (client->fd != -1)
		close(client->fd);
	client->fd = -1;
	CRASH_POINT(CLOSE_CLIENT);
	recover_release(table, index);
	recover_count_bytes(table, client);
	CRASH_POINT(CLOSE_RELEASED);
	table_client_free(table, index);
	CRASH_POINT(CLOSE_FREED);
}

/* Clients first: of a connection that is over the one who names it must know. */
static void
recover_finish_closing(struct table *table)
{
	for (uint32_t i = 1; i < table->header->client_high; i++) {
		uint32_t conn = table_client_own(table, i);

		if (table_client_state(table, i) == TABLE_CLOSING) {
			table_beat(table);
			CRASH_POINT(RECOVER_CLOSING);
			recover_close_client(table, i);
		} else if (table_client_state(table, i) == TABLE_LIVE && conn != 0 &&
		    table_conn_state(table, conn) == TABLE_CLOSING) {
			recover_end_own(table, i);
		}
	}
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_state(table, i) == TABLE_CLOSING)
			recover_close_conn(table, i);
}

static void
recover_name(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct recover_named *named = arg;

	(void)kind;
	if (*fd >= 0 && (uint32_t)*fd < named->count)
		named->bits[*fd / 8] |= (unsigned char)(1u << (*fd % 8));
}

static void
recover_name_all(struct table *table, struct recover_named *named)
{
	for (volatile int32_t fd = 0; fd <= STDERR_FILENO; fd++)
		recover_name(named, FILES_DAEMON, &fd);
	files_each(table, recover_name, named);
}

/* How many file numbers the process may have in use.  Opens and closes a file, which harms nobody here: all that had
 * to be closed by its number is closed, and the numbers that records name are in use, so it gets none of those. */
static uint32_t
recover_count_files(const struct table *table)
{
	uint32_t count = table->header->file_high + 1, size = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");

	if (file != NULL) {
		while (fgets(line, sizeof line, file) != NULL)
			if (sscanf(line, "FDSize: %u", &size) == 1)
				break;
		fclose(file);
	}
	return size > count ? size : count;
}

/* Which service's listener a socket was accepted from, or -1: it bears the listener's name. */
static int
recover_service_of(const struct table *table, int fd)
{
	struct sockaddr_un name = { 0 };
	socklen_t length = sizeof name, int_length = sizeof(int);
	uint32_t used = table_services_used(table);
	int type = 0, listening = 1;

	if (getsockname(fd, (struct sockaddr *)&name, &length) == -1 || name.sun_family != AF_UNIX ||
	    length <= offsetof(struct sockaddr_un, sun_path) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 ||
	    (type != SOCK_STREAM && type != SOCK_SEQPACKET) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 || listening)
		return -1;
	for (uint32_t i = 0; i < used; i++) {
		const struct table_service *service = &table->services[i];

		if (TABLE_STATE(service->word) == TABLE_LIVE && service->bound_length == length &&
		    memcmp(&service->bound, &name, length) == 0)
			return (int)i;
	}
	return -1;
}

static bool
recover_adopt(struct table *table, int fd)
{
	int service = recover_service_of(table, fd);
	uint32_t index;

	if (service == -1 || peer_closed_is_final(fd))
		return false;
	index = table_client_claim(table);
	if (index == 0)
		return false;
	table->clients[index].fd = fd;
	table->clients[index].service = (uint16_t)service;
	table->clients[index].since = 0;
	table->clients[index].flags = TABLE_CLIENT_ADOPTED;
	table_client_set(table, index, TABLE_LIVE);
	CRASH_POINT(RECOVER_ADOPTED);
	return true;
}

/* Whether this is a listening socket, or one for datagrams, with a name.  Not one that was shut: another has come in
 * its place, perhaps under the same name. */
static bool
recover_is_listener(int fd)
{
	struct sockaddr_un name;
	socklen_t length = sizeof name, int_length = sizeof(int);
	int type = 0, listening = 0;

	return getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.sun_family == AF_UNIX &&
	    length > offsetof(struct sockaddr_un, sun_path) &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == 0 && (listening || type == SOCK_DGRAM) &&
	    !peer_closed_was_shut(fd);
}

/* A reload was opening it, or giving it from one service to another. */
static bool
recover_keep_stray(struct table *table, int fd)
{
	if (!recover_is_listener(fd))
		return false;
	fcntl(fd, F_SETFD, FD_CLOEXEC); /* the program before this one may have left it to be inherited */
	recover_add_stray(table, fd);
	return true;
}

void
recover_add_stray(struct table *table, int fd)
{
	table->stray = mem_resize(table->stray, table->stray_count + 1, sizeof *table->stray);
	table->stray[table->stray_count++] = fd;
}

int
recover_take_stray(struct table *table, const struct sockaddr_un *name, socklen_t length)
{
	struct sockaddr_un bound;
	socklen_t bound_length;
	int fd;

	for (size_t i = 0; i < table->stray_count; i++) {
		fd = table->stray[i];
		bound_length = sizeof bound;
		if (getsockname(fd, (struct sockaddr *)&bound, &bound_length) == -1 || bound_length != length ||
		    memcmp(&bound, name, length) != 0)
			continue;
		table->stray[i] = table->stray[--table->stray_count];
		return fd;
	}
	return -1;
}

void
recover_close_strays(struct table *table)
{
	while (table->stray_count > 0)
		close(table->stray[--table->stray_count]);
	mem_free(table->stray);
	table->stray = NULL;
}

static void
recover_sweep(struct table *table)
{
	struct recover_named named = { .count = recover_count_files(table) };

	named.bits = mem_new(named.count / 8 + 1, 1);
	recover_name_all(table, &named);
	table_derive(table);
	pipes_derive(table);
	for (int fd = 0; (uint32_t)fd < named.count; fd++)
		if (!(named.bits[fd / 8] & (1u << (fd % 8))) && fcntl(fd, F_GETFD) != -1 &&
		    !recover_adopt(table, fd) && !recover_keep_stray(table, fd))
			close(fd);
	mem_free(named.bits);
}

void
recover_run(struct table *table)
{
	table->free_client = table->free_conn = 0;
	for (struct table_class *class = table->class; class <= &table->class[TABLE_LEAN]; class++)
		class->warm = class->cold = class->warm_count = class->warm_least = 0;
	table->free_pipes = table->idle_pipes = 0;
	table->lingering = 0;
	table->stray_count = 0; /* the sweep finds those that are still open */
	redo_replay(table);
	CRASH_POINT(RECOVER_REDONE);
	recover_io_journal(table);
	CRASH_POINT(RECOVER_IO_JOURNAL);
	recover_finish_closing(table);
	CRASH_POINT(RECOVER_CLOSED);
	recover_sweep(table);
	CRASH_POINT(RECOVER_SWEPT);
}

void
recover_end_group(volatile int32_t *group)
{
	if (*group > 1)
		kill(-*group, SIGKILL);
	*group = 0;
}

void
recover_end_programs_of(struct table_service *service)
{
	for (size_t i = 0; i < sizeof service->groups / sizeof *service->groups; i++)
		recover_end_group(&service->groups[i]);
}

void
recover_end_programs(struct table *table)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 0; i < used; i++)
		recover_end_programs_of(&table->services[i]);
	recover_end_group(&table->header->trial);
	recover_end_group(&table->header->reading);
}
