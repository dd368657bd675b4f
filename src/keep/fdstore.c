#include "keep/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep/files.h"
#include "keep/migrate.h"
#include "keep/notify.h"
#include "keep/rights.h"

#define FDSTORE_PAIRS    16    /* each takes as many messages as its buffer, about 250 */
#define FDSTORE_MARK     '.'   /* what their names begin with; a service's begins with a letter */
#define FDSTORE_TABLE    ".table"
#define FDSTORE_LISTENER ".listener"
#define FDSTORE_FILE     ".file-%d" /* of header.file[] */
#define FDSTORE_PAIR     ".pair-%d"
#define FDSTORE_NAME     32    /* bytes of such a name */

/* Files of header.file[] that go along: listeners. */
static const enum table_file fdstore_daemon_files[] = { TABLE_FILE_CONTROL, TABLE_FILE_METRICS };

#define FDSTORE_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What is being put in. */
struct fdstore_filling {
	int pairs;
	int read_fd[FDSTORE_PAIRS], write_fd;
	int files[RIGHTS_MAX];
	unsigned count;              /* of files */
	uint32_t total;
	int error;                   /* 0 or the first -errno */
};

static int
fdstore_open_pair(struct fdstore_filling *filling)
{
	int pair[2];

	if (filling->pairs == FDSTORE_PAIRS)
		return -E2BIG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -errno;
	if (filling->write_fd != -1)
		close(filling->write_fd);
	filling->read_fd[filling->pairs++] = pair[0];
	filling->write_fd = pair[1];
	return 0;
}

static int
fdstore_send(const struct fdstore_filling *filling)
{
	return rights_send(filling->write_fd, NULL, 0, "f", filling->files, filling->count);
}

/* A pair whose buffer is full is followed by another one. */
static void
fdstore_flush(struct fdstore_filling *filling)
{
	if (filling->error < 0 || filling->count == 0)
		return;
	filling->error = filling->write_fd == -1 ? -EAGAIN : fdstore_send(filling);
	if (filling->error == -EAGAIN) {
		filling->error = fdstore_open_pair(filling);
		if (filling->error == 0)
			filling->error = fdstore_send(filling);
	}
	filling->total += filling->count;
	filling->count = 0;
}

static bool
fdstore_is_in_pairs(enum files_kind kind)
{
	return kind == FILES_PIPE || kind == FILES_CLIENT || kind == FILES_CONN;
}

static void
fdstore_fill(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct fdstore_filling *filling = arg;

	if (!fdstore_is_in_pairs(kind) || filling->error < 0)
		return;
	filling->files[filling->count++] = *fd;
	if (filling->count == RIGHTS_MAX)
		fdstore_flush(filling);
}

/* Hands files over to systemd under a name. */
static int
fdstore_hand_over(const struct table *table, const char *name, const int *files, unsigned count)
{
	char text[FDSTORE_NAME + 32];

	snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return notify_hand_over(table, text, files, count);
}

struct fdstore_listeners {
	const struct table *table;
	int files[RIGHTS_MAX];
	unsigned count;
	int error;
};

static void
fdstore_flush_listeners(struct fdstore_listeners *listeners)
{
	if (listeners->count > 0 && listeners->error == 0)
		listeners->error = fdstore_hand_over(listeners->table, FDSTORE_LISTENER, listeners->files,
		    listeners->count);
	listeners->count = 0;
}

static void
fdstore_gather_listener(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct fdstore_listeners *listeners = arg;

	if (kind != FILES_LISTENER)
		return;
	listeners->files[listeners->count++] = *fd;
	if (listeners->count == RIGHTS_MAX)
		fdstore_flush_listeners(listeners);
}

static int
fdstore_hand_over_listeners(struct table *table)
{
	struct fdstore_listeners listeners = { .table = table };
	char name[FDSTORE_NAME];

	files_each(table, fdstore_gather_listener, &listeners);
	fdstore_flush_listeners(&listeners);
	for (size_t i = 0; i < FDSTORE_COUNT(fdstore_daemon_files) && listeners.error == 0; i++) {
		int fd = table->header->file[fdstore_daemon_files[i]];

		snprintf(name, sizeof name, FDSTORE_FILE, (int)fdstore_daemon_files[i]);
		if (fd != -1)
			listeners.error = fdstore_hand_over(table, name, &fd, 1);
	}
	return listeners.error;
}

static int
fdstore_hand_over_all(struct table *table, const struct fdstore_filling *filling)
{
	int error = filling->error, memory = table->header->file[TABLE_FILE_MEMORY];
	char name[FDSTORE_NAME];

	if (error == 0)
		/* first: it tells what must come with it */
		error = fdstore_hand_over(table, FDSTORE_TABLE, &memory, 1);
	for (int i = 0; i < filling->pairs && error == 0; i++) {
		snprintf(name, sizeof name, FDSTORE_PAIR, i);
		error = fdstore_hand_over(table, name, &filling->read_fd[i], 1);
	}
	if (error == 0)
		error = fdstore_hand_over_listeners(table);
	return error < 0 ? error : notify_barrier(table);
}

/* Whether systemd could be told. */
static bool
fdstore_remove(const struct table *table, const char *format, int number)
{
	char name[FDSTORE_NAME], text[FDSTORE_NAME + 32];

	snprintf(name, sizeof name, format, number);
	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return notify_hand_over(table, text, NULL, 0) == 0;
}

bool
fdstore_forget(struct table *table)
{
	bool heard = fdstore_remove(table, FDSTORE_LISTENER, 0);

	for (size_t i = 0; i < FDSTORE_COUNT(fdstore_daemon_files); i++)
		heard = heard && fdstore_remove(table, FDSTORE_FILE, (int)fdstore_daemon_files[i]);
	for (int i = 0; i < FDSTORE_PAIRS; i++)
		heard = heard && fdstore_remove(table, FDSTORE_PAIR, i);
	heard = heard && fdstore_remove(table, FDSTORE_TABLE, 0);
	table->header->fdstore = 0;
	return heard;
}

int
fdstore_store(struct table *table)
{
	struct fdstore_filling filling = { .write_fd = -1 };
	int error = notify_barrier(table); /* is it alive?  What it has been sent and does not read stays open. */

	if (error < 0)
		return error;
	if (!fdstore_forget(table)) /* of an earlier start that could not say so: names are there once */
		return -EAGAIN;
	files_each(table, fdstore_fill, &filling);
	fdstore_flush(&filling);
	table->header->fdstore = filling.total + 1;
	error = fdstore_hand_over_all(table, &filling);
	if (error < 0)
		fdstore_forget(table);
	for (int i = 0; i < filling.pairs; i++)
		close(filling.read_fd[i]);
	if (filling.write_fd != -1)
		close(filling.write_fd);
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

/* What is being taken out. */
struct fdstore_emptying {
	struct table *table;
	struct passed_fds *passed_fds;
	int pairs;
	int pair;                    /* -1 none */
	int files[RIGHTS_MAX];
	unsigned count, next;
	uint32_t total;
	int error;
};

static void
fdstore_close_pair(struct fdstore_emptying *emptying)
{
	if (emptying->pair != -1)
		close(emptying->pair);
	emptying->pair = -1;
}

/* The next pair; it is only looked into, from its begin. */
static bool
fdstore_next_pair(struct fdstore_emptying *emptying)
{
	char name[FDSTORE_NAME];
	int begin = 0;

	fdstore_close_pair(emptying);
	snprintf(name, sizeof name, FDSTORE_PAIR, emptying->pairs++);
	emptying->pair = passed_fds_claim(emptying->passed_fds, name);
	return emptying->pair != -1 &&
	    setsockopt(emptying->pair, SOL_SOCKET, SO_PEEK_OFF, &begin, sizeof begin) == 0;
}

static bool
fdstore_refill(struct fdstore_emptying *emptying)
{
	emptying->next = emptying->count = 0;
	do {
		if (emptying->pair != -1)
			emptying->count = rights_look(emptying->pair, emptying->files);
	} while (emptying->count == 0 && fdstore_next_pair(emptying));
	return emptying->count > 0;
}

static void
fdstore_empty(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct fdstore_emptying *emptying = arg;

	if (!fdstore_is_in_pairs(kind) || emptying->error < 0)
		return;
	if (emptying->next == emptying->count && !fdstore_refill(emptying)) {
		emptying->error = -EMFILE;
		return;
	}
	*fd = table_note_file(emptying->table, emptying->files[emptying->next++]);
	emptying->total++;
}

/* Those that were opened, when there were not enough. */
static void
fdstore_close_opened(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct fdstore_emptying *emptying = arg;

	if (fdstore_is_in_pairs(kind) && emptying->total > 0) {
		emptying->total--;
		close(*fd);
	}
}

static int
fdstore_take_pairs(struct passed_fds *passed_fds, struct table *table)
{
	struct fdstore_emptying emptying = { .table = table, .passed_fds = passed_fds, .pair = -1 };

	files_each(table, fdstore_empty, &emptying);
	fdstore_close_pair(&emptying);
	if (emptying.error == 0 && emptying.total + 1 == table->header->fdstore)
		return 0;
	while (emptying.next < emptying.count)
		close(emptying.files[emptying.next++]);
	files_each(table, fdstore_close_opened, &emptying);
	return -EMFILE;
}

/* The listener goes to the service that it was bound for.  One that a reload was about to give to another stays open:
 * the first worker's sweep finds it. */
static void
fdstore_place_listener(struct table *table, int fd)
{
	struct sockaddr_un name = { 0 };
	socklen_t length = sizeof name;
	uint32_t used = table_services_used(table);

	getsockname(fd, (struct sockaddr *)&name, &length);
	for (uint32_t i = 0; i < used; i++) {
		struct table_service *service = &table->services[i];

		if (TABLE_STATE(service->word) == TABLE_LIVE && service->listener_fd == -1 && !service->activated &&
		    service->bound_length == length && memcmp(&service->bound, &name, length) == 0) {
			service->listener_fd = table_note_file(table, fd);
			return;
		}
	}
	table_note_file(table, fd);
}

/* The numbers that the records still have are those of a process that has ended. */
static void
fdstore_take_listeners(struct passed_fds *passed_fds, struct table *table)
{
	uint32_t used = table_services_used(table);
	char name[FDSTORE_NAME];
	int fd;

	for (uint32_t i = 0; i < used; i++)
		table->services[i].listener_fd = -1;
	while ((fd = passed_fds_claim(passed_fds, FDSTORE_LISTENER)) != -1)
		fdstore_place_listener(table, fd);
	for (int i = 0; i < TABLE_FILES; i++)
		if (i != TABLE_FILE_MEMORY)
			table->header->file[i] = -1;
	for (size_t i = 0; i < FDSTORE_COUNT(fdstore_daemon_files); i++) {
		snprintf(name, sizeof name, FDSTORE_FILE, (int)fdstore_daemon_files[i]);
		fd = passed_fds_claim(passed_fds, name);
		table->header->file[fdstore_daemon_files[i]] = fd == -1 ? -1 : table_note_file(table, fd);
	}
	table->header->activated_count = 0;
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

static int
fdstore_take_all(struct passed_fds *passed_fds, struct table *table)
{
	int error = table->header->fdstore == 0 ? -ENODATA : fdstore_take_pairs(passed_fds, table);

	if (error == 0)
		fdstore_take_listeners(passed_fds, table);
	return error;
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
		error = fdstore_take_all(passed_fds, ret_table);
	if (opened && error < 0) {
		*ret_config = table_config_copy(ret_table, &length);
		table_free(ret_table);
	}
	if (fd != -1 && (copied || !opened))
		close(fd); /* else it was the table's */
	fdstore_decline(passed_fds);
	return error;
}
