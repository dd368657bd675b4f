#include "keep/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep/migrate.h"
#include "keep/notify.h"
#include "keep/rights.h"
#include "keep/table.h"

#define FDSTORE_PAIRS 16    /* each takes as many messages as its buffer, about 250 */
#define FDSTORE_MARK  '.'   /* what their names begin with; a service's begins with a letter */
#define FDSTORE_TABLE ".table"
#define FDSTORE_PAIR  ".pair-%d"
#define FDSTORE_NAME  32    /* bytes of such a name */

/* Whether files of this kind go along; in the table they keep their places. */
static bool
fdstore_is_kept(enum table_kind kind)
{
	return kind != TABLE_OF_DAEMON && kind != TABLE_OF_SYSTEMD;
}

/* Files in the table's order, gathered from it or to be named there. */
struct fdstore_files {
	struct table *table; /* borrowed */
	int *files;          /* owned; NULL: only counted */
	uint32_t count, room;
};

static void
fdstore_gather(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	struct fdstore_files *all = arg;

	if (!fdstore_is_kept(kind))
		return;
	if (all->files != NULL)
		all->files[all->count] = *fd;
	all->count++;
}

/* Socket pairs, as many as their buffers make necessary. */
struct fdstore_pairs {
	int count;
	int read_fd[FDSTORE_PAIRS], write_fd[FDSTORE_PAIRS];
};

static int
fdstore_open_pair(struct fdstore_pairs *pairs)
{
	int pair[2];

	if (pairs->count == FDSTORE_PAIRS)
		return -E2BIG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -errno;
	pairs->read_fd[pairs->count] = pair[0];
	pairs->write_fd[pairs->count++] = pair[1];
	return 0;
}

/* A pair whose buffer is full is followed by another one. */
static int
fdstore_fill(struct fdstore_pairs *pairs, const struct fdstore_files *all)
{
	int error = 0;

	for (uint32_t i = 0, n; i < all->count && error == 0; i += n) {
		n = all->count - i < RIGHTS_MAX ? all->count - i : RIGHTS_MAX;
		error = pairs->count == 0 ? -EAGAIN
		    : rights_send(pairs->write_fd[pairs->count - 1], NULL, 0, "f", all->files + i, n);
		if (error == -EAGAIN && (error = fdstore_open_pair(pairs)) == 0)
			n = 0;
	}
	return error;
}

static void
fdstore_close_pairs(const struct fdstore_pairs *pairs)
{
	for (int i = 0; i < pairs->count; i++) {
		close(pairs->read_fd[i]);
		close(pairs->write_fd[i]);
	}
}

/* Tells systemd something of what it keeps, or shall keep, under this name. */
static int
fdstore_tell(const struct table *table, const char *what, const char *name, const int *fd)
{
	char text[FDSTORE_NAME + 64];

	snprintf(text, sizeof text, "%s\nFDNAME=%s", what, name);
	return notify_hand_over(table, text, fd, fd != NULL);
}

static const char *
fdstore_pair_name(int number, char ret_name[FDSTORE_NAME])
{
	snprintf(ret_name, FDSTORE_NAME, FDSTORE_PAIR, number);
	return ret_name;
}

/* The table first: it tells what must come with it. */
static int
fdstore_hand_over(const struct table *table, const struct fdstore_pairs *pairs)
{
	int memory = table->header->file[TABLE_FILE_MEMORY];
	int error = fdstore_tell(table, "FDSTORE=1\nFDPOLL=0", FDSTORE_TABLE, &memory);
	char name[FDSTORE_NAME];

	for (int i = 0; i < pairs->count && error == 0; i++)
		error = fdstore_tell(table, "FDSTORE=1\nFDPOLL=0", fdstore_pair_name(i, name), &pairs->read_fd[i]);
	return error < 0 ? error : notify_barrier(table);
}

/* Sockets that earlier builds left by themselves go too: nobody would accept from them. */
bool
fdstore_forget(struct table *table)
{
	static const char *const earlier[] = { ".listener", ".file-4", ".file-5" };
	char name[FDSTORE_NAME];
	int error = 0;

	for (size_t i = 0; i < sizeof earlier / sizeof earlier[0] && error == 0; i++)
		error = fdstore_tell(table, "FDSTOREREMOVE=1", earlier[i], NULL);
	for (int i = 0; i < FDSTORE_PAIRS && error == 0; i++)
		error = fdstore_tell(table, "FDSTOREREMOVE=1", fdstore_pair_name(i, name), NULL);
	if (error == 0)
		error = fdstore_tell(table, "FDSTOREREMOVE=1", FDSTORE_TABLE, NULL);
	table->header->fdstore = 0;
	return error == 0;
}

int
fdstore_store(struct table *table)
{
	struct fdstore_files all = { .table = table };
	struct fdstore_pairs pairs = { .count = 0 };
	int error = notify_barrier(table); /* is it alive?  What it has been sent and does not read stays open. */

	if (error < 0)
		return error;
	if (!fdstore_forget(table)) /* of an earlier start that could not say so: names are there once */
		return -EAGAIN;
	table_each_file(table, fdstore_gather, &all);
	all.files = calloc(all.count + 1, sizeof *all.files); /* a keeper must not end for lack of memory */
	if (all.files == NULL)
		return -ENOMEM;
	all.count = 0;
	table_each_file(table, fdstore_gather, &all);
	table->header->fdstore = all.count + 1;
	error = fdstore_fill(&pairs, &all);
	if (error == 0)
		error = fdstore_hand_over(table, &pairs);
	if (error < 0)
		fdstore_forget(table);
	fdstore_close_pairs(&pairs);
	mem_free(all.files);
	return error;
}

bool
fdstore_is_given(const struct passed_fds *passed_fds)
{
	for (size_t i = 0; i < passed_fds->count; i++)
		if (passed_fds->files[i].name[0] == FDSTORE_MARK)
			return true;
	return false;
}

void
fdstore_decline(struct passed_fds *passed_fds)
{
	for (size_t i = 0; i < passed_fds->count; i++)
		if (passed_fds->files[i].fd != -1 && passed_fds->files[i].name[0] == FDSTORE_MARK) {
			close(passed_fds->files[i].fd);
			passed_fds->files[i].fd = -1;
		}
}

/* Opens what lies in a pair, which is only looked into, from its start, and is closed. */
static void
fdstore_look_into(int pair, struct fdstore_files *all)
{
	int begin = 0, files[RIGHTS_MAX];
	unsigned n;

	setsockopt(pair, SOL_SOCKET, SO_PEEK_OFF, &begin, sizeof begin);
	while ((n = rights_look(pair, files)) > 0)
		for (unsigned i = 0; i < n; i++)
			if (all->count < all->room)
				all->files[all->count++] = files[i];
			else
				close(files[i]);
	close(pair);
}

/* The numbers that the table has are those of a process that has ended. */
static void
fdstore_put(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	struct fdstore_files *all = arg;

	if (fdstore_is_kept(kind))
		*fd = all->count < all->room ? table_note_file(all->table, all->files[all->count++]) : -1;
	else if (fd != &all->table->header->file[TABLE_FILE_MEMORY])
		*fd = -1;
}

/* What the table does not name are listeners that a reload had open: the first worker's sweep finds them. */
static void
fdstore_put_all(struct fdstore_files *all)
{
	struct table *table = all->table;
	uint32_t used = table_services_used(table);

	all->count = 0;
	table_each_file(table, fdstore_put, all);
	while (all->count < all->room)
		table_note_file(table, all->files[all->count++]);
	for (uint32_t i = 0; i < used; i++)
		for (uint32_t k = 0; k < TABLE_LISTENERS; k++)
			if (table->services[i].sockets[k].activated)
				table->services[i].sockets[k].fd = -1;
	table->header->activated_count = 0;
}

static int
fdstore_take_files(struct passed_fds *passed_fds, struct table *table)
{
	uint32_t stored = table->header->fdstore;
	struct fdstore_files all = { .table = table, .room = stored - 1 };
	char name[FDSTORE_NAME];
	int pair;

	if (stored == 0 || stored > TABLE_FILES_MAX)
		return stored == 0 ? -ENODATA : -EPROTO;
	all.files = mem_new(all.room, sizeof *all.files);
	for (int i = 0; (pair = passed_fds_claim(passed_fds, fdstore_pair_name(i, name))) != -1; i++)
		fdstore_look_into(pair, &all);
	if (all.count == all.room)
		fdstore_put_all(&all);
	else
		for (uint32_t i = 0; i < all.count; i++)
			close(all.files[i]);
	mem_free(all.files);
	return all.count == all.room ? 0 : -EMFILE;
}

int
fdstore_take(struct passed_fds *passed_fds, struct table *ret_table, char **ret_config)
{
	int fd = passed_fds_claim(passed_fds, FDSTORE_TABLE);
	bool copied = false;
	size_t length;
	int error = fd == -1 ? -ENOENT : migrate_open(fd, ret_table, &copied);
	bool opened = error == 0;

	*ret_config = NULL;
	if (opened)
		error = fdstore_take_files(passed_fds, ret_table);
	if (opened && error < 0) {
		*ret_config = table_config_copy(ret_table, &length);
		table_free(ret_table);
	}
	if (fd != -1 && (copied || !opened))
		close(fd); /* else it was the table's */
	fdstore_decline(passed_fds);
	return error;
}
