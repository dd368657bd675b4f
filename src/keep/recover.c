#include "keep/recover.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/peer_closed.h"
#include "base/tcp_listen.h"
#include "keep/audit.h"
#include "keep/crash.h"
#include "keep/io_journal.h"
#include "keep/redo.h"
#include "keep/table.h"

#define RECOVER_STATUS 4096 /* bytes of /proc/self/status */

/* A socket's own name, large enough for both kinds. */
union recover_name {
	struct sockaddr_un local;
	struct sockaddr any;
};

/* The file descriptors that some record names, one bit each. */
struct recover_named {
	unsigned char *bits;
	uint32_t count;
};

/* Clients first: of a connection that is over the one who names it must know. */
static void
recover_finish_closing(struct table *table)
{
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) == TABLE_CLOSING) {
			table_beat(table);
			CRASH_POINT(RECOVER_CLOSING);
			table_client_close(table, i);
		}
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_state(table, i) == TABLE_CLOSING)
			table_conn_close(table, i);
}

static void
recover_name(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	struct recover_named *named = arg;

	(void)kind;
	if (*fd >= 0 && (uint32_t)*fd < named->count)
		named->bits[*fd / 8] |= (unsigned char)(1u << (*fd % 8));
}

/* How many file descriptors the process may have in use.  Opens and closes a file, which harms nobody here: all that
 * had to be closed by its number is closed, and the numbers that records name are in use, so it gets none of
 * those. */
static uint32_t
recover_count_files(const struct table *table)
{
	uint32_t count = table->header->file_high + 1; /* at least, where there is no /proc */
	char text[RECOVER_STATUS];
	long size;

	file_read("/proc/self/status", text, sizeof text);
	size = file_find_number(text, "FDSize");
	return size > 0 ? (uint32_t)size : count;
}

/* Whether a socket of this name of its own was accepted from that one: of Unix it bears the listener's name. */
static bool
recover_is_of(const struct table_socket *listener, const union recover_name *name, socklen_t length)
{
	if (listener->bound.sun_family == AF_UNSPEC && listener->length > 0)
		return tcp_listen_has_taken(&name->any, listener->bound.sun_path);
	return listener->length == length && memcmp(&listener->bound, &name->local, length) == 0;
}

static int
recover_find(const struct table_service *service, const union recover_name *name, socklen_t length)
{
	for (uint32_t i = 0; i < TABLE_LISTENERS; i++)
		if (recover_is_of(&service->sockets[i], name, length))
			return (int)i;
	return -1;
}

int
recover_listener_of(const struct table_service *service, int fd)
{
	union recover_name name = { .local = { 0 } };
	socklen_t length = sizeof name;

	return getsockname(fd, &name.any, &length) == -1 ? -1 : recover_find(service, &name, length);
}

/* Which service's listener a socket of this name was accepted from, or -1. */
static int
recover_service_of(const struct table *table, const union recover_name *name, socklen_t length)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 0; i < used; i++) {
		const struct table_service *service = &table->services[i];

		if (TABLE_STATE(service->word) == TABLE_LIVE && recover_find(service, name, length) != -1)
			return (int)i;
	}
	return -1;
}

/* A client that was accepted just before the death.  Of a damaged table it may be one whose record was given up, in
 * the midst of what it said. */
static bool
recover_adopt(struct table *table, int fd, int service)
{
	uint32_t index = service == -1 || audit_has_found(table) || peer_closed_is_final(fd) ? 0
	    : table_client_claim(table);

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

/* A listener, or a socket for datagrams, that a reload was opening, or giving from one service to another.  Not one
 * that was shut: another has come in its place, perhaps under the same name. */
static bool
recover_keep_stray(struct table *table, int fd)
{
	if (peer_closed_was_shut(fd))
		return false;
	fcntl(fd, F_SETFD, FD_CLOEXEC); /* the program before this one may have left it to be inherited */
	recover_add_stray(table, fd);
	return true;
}

/* Whether clients come with sockets of this kind: a Unix socket with a name, or one of TCP. */
static bool
recover_may_be_ours(const union recover_name *name, socklen_t length, int type)
{
	if (name->any.sa_family == AF_UNIX)
		return length > offsetof(struct sockaddr_un, sun_path);
	return (name->any.sa_family == AF_INET || name->any.sa_family == AF_INET6) && type == SOCK_STREAM;
}

/* Whether a file that no record names stays open: it may be a socket with a name that was ours. */
static bool
recover_keep(struct table *table, int fd)
{
	union recover_name name = { .local = { 0 } };
	socklen_t length = sizeof name, int_length = sizeof(int);
	int type = 0, listening = 0;

	if (getsockname(fd, &name.any, &length) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 ||
	    !recover_may_be_ours(&name, length, type))
		return false;
	return listening || type == SOCK_DGRAM ? recover_keep_stray(table, fd)
	    : recover_adopt(table, fd, recover_service_of(table, &name, length));
}

void
recover_add_stray(struct table *table, int fd)
{
	table->stray = mem_resize(table->stray, table->stray_count + 1, sizeof *table->stray);
	table->stray[table->stray_count++] = fd;
}

/* Whether a listener has the name that a record would give it. */
static bool
recover_is_named(int fd, const struct sockaddr_un *name, socklen_t length)
{
	struct sockaddr_un bound;
	socklen_t bound_length = sizeof bound;
	char words[ADDRESS_TEXT_SIZE];

	if (name->sun_family == AF_UNSPEC)
		return tcp_listen_name_of(fd, words) && strcmp(words, name->sun_path) == 0;
	return getsockname(fd, (struct sockaddr *)&bound, &bound_length) == 0 && bound_length == length &&
	    memcmp(&bound, name, length) == 0;
}

int
recover_take_stray(struct table *table, const struct sockaddr_un *name, socklen_t length)
{
	int fd;

	for (size_t i = 0; i < table->stray_count; i++) {
		fd = table->stray[i];
		if (!recover_is_named(fd, name, length))
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
	table_each_file(table, recover_name, &named);
	for (int fd = STDERR_FILENO + 1; (uint32_t)fd < named.count; fd++)
		if (!(named.bits[fd / 8] & (1u << (fd % 8))) && fcntl(fd, F_GETFD) != -1 &&
		    !recover_keep(table, fd))
			close(fd);
	mem_free(named.bits);
}

static enum audit_file
recover_look(int fd)
{
	int type = 0, listening = 0;
	socklen_t length = sizeof(int);
	struct stat status;

	if (fstat(fd, &status) == -1)
		return AUDIT_CLOSED;
	if (!S_ISSOCK(status.st_mode))
		return S_ISFIFO(status.st_mode) ? AUDIT_PIPE : AUDIT_OTHER;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
	return listening || type == SOCK_DGRAM ? AUDIT_LISTENER : AUDIT_SOCKET;
}

/* A listener whose record bears another name than it has bears its own again; whose file is at its path is not
 * known. */
static void
recover_name_listener(struct table *table, struct table_socket *listener)
{
	union recover_name name = { .local = { 0 } };
	socklen_t length = sizeof name.local;
	char words[ADDRESS_TEXT_SIZE];

	if (listener->fd == -1 ||
	    (audit_is_name(listener) && recover_is_named(listener->fd, &listener->bound, listener->length)))
		return;
	if (getsockname(listener->fd, &name.any, &length) == -1)
		return;
	memset(&listener->bound, 0, sizeof listener->bound);
	if (name.any.sa_family == AF_UNIX && length <= sizeof listener->bound)
		memcpy(&listener->bound, &name.local, length);
	else if (tcp_listen_name_of(listener->fd, words))
		memcpy(listener->bound.sun_path, words, strnlen(words, sizeof listener->bound.sun_path - 1));
	listener->length = name.any.sa_family == AF_UNIX ? length : sizeof listener->bound;
	listener->place = (struct place){ 0 };
	table->header->damage.words++;
}

static void
recover_name_listeners(struct table *table)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 0; i < used; i++)
		for (uint32_t k = 0; TABLE_STATE(table->services[i].word) != TABLE_FREE && k < TABLE_LISTENERS; k++)
			recover_name_listener(table, &table->services[i].sockets[k]);
	recover_name_listener(table, &table->header->control);
	recover_name_listener(table, &table->header->metrics);
}

/* Programs are of our session; where the leader has ended there is none to ask, and its number is no other's as long
 * as one of the group lives. */
static bool
recover_may_end(pid_t group)
{
	pid_t session = group > 1 && group != getpgrp() ? getsid(group) : 0;

	return session == -1 || (session > 0 && session == getsid(0));
}

void
recover_end_group(volatile int32_t *group)
{
	if (*group != 0 && recover_may_end(*group))
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

/* What was under way is finished, and whatever cannot be followed is given up. */
static void
recover_judge(struct table *table)
{
	if (table->header->damage.give_up) {
		recover_end_programs(table);
		audit_give_up(table);
	}
	audit_redo(table);
	redo_replay(table);
	CRASH_POINT(RECOVER_REDONE);
	audit_journal(table);
	io_journal_replay(table);
	CRASH_POINT(RECOVER_JOURNAL);
	audit_records(table, recover_look, clock_now());
	recover_name_listeners(table);
	CRASH_POINT(RECOVER_JUDGED);
}

void
recover_run(struct table *table)
{
	table->stray_count = 0; /* the sweep finds those that are still open */
	recover_judge(table);
	table_derive(table);
	recover_finish_closing(table);
	CRASH_POINT(RECOVER_CLOSED);
	recover_sweep(table);
	table->header->damage.give_up = 0;
	CRASH_POINT(RECOVER_SWEPT);
}
