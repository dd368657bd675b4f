#include "keep/vault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep/files.h"
#include "keep/former.h"
#include "keep/notify.h"
#include "keep/rights.h"

#define VAULT_PAIRS    16    /* each takes as many messages as its buffer, about 250 */
#define VAULT_MARK     '.'   /* what their names begin with; a service's begins with a letter */
#define VAULT_TABLE    ".table"
#define VAULT_LISTENER ".listener"
#define VAULT_FILE     ".file-%d" /* of header.file[] */
#define VAULT_PAIR     ".pair-%d"
#define VAULT_NAME     32    /* bytes of such a name */

/* Files of header.file[] that go along: listeners. */
static const enum table_file vault_daemon_files[] = { TABLE_FILE_CONTROL, TABLE_FILE_METRICS };

#define VAULT_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What is being put in. */
struct vault_filling {
	int pairs;
	int read_fd[VAULT_PAIRS], write_fd;
	int files[RIGHTS_MAX];
	unsigned count;              /* of files */
	uint32_t total;
	int error;                   /* 0 or the first -errno */
};

static int
vault_open_pair(struct vault_filling *filling)
{
	int pair[2];

	if (filling->pairs == VAULT_PAIRS)
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
vault_send(const struct vault_filling *filling)
{
	return rights_send(filling->write_fd, NULL, 0, "f", filling->files, filling->count);
}

/* A pair whose buffer is full is followed by another one. */
static void
vault_flush(struct vault_filling *filling)
{
	if (filling->error < 0 || filling->count == 0)
		return;
	filling->error = filling->write_fd == -1 ? -EAGAIN : vault_send(filling);
	if (filling->error == -EAGAIN) {
		filling->error = vault_open_pair(filling);
		if (filling->error == 0)
			filling->error = vault_send(filling);
	}
	filling->total += filling->count;
	filling->count = 0;
}

static bool
vault_is_in_pairs(enum files_kind kind)
{
	return kind == FILES_PIPE || kind == FILES_CLIENT || kind == FILES_CONN;
}

static void
vault_fill(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct vault_filling *filling = arg;

	if (!vault_is_in_pairs(kind) || filling->error < 0)
		return;
	filling->files[filling->count++] = *fd;
	if (filling->count == RIGHTS_MAX)
		vault_flush(filling);
}

/* Hands files over to systemd under a name. */
static int
vault_hand_over(const struct table *table, const char *name, const int *files, unsigned count)
{
	char text[VAULT_NAME + 32];

	snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return notify_hand_over(table, text, files, count);
}

struct vault_listeners {
	const struct table *table;
	int files[RIGHTS_MAX];
	unsigned count;
	int error;
};

static void
vault_flush_listeners(struct vault_listeners *listeners)
{
	if (listeners->count > 0 && listeners->error == 0)
		listeners->error = vault_hand_over(listeners->table, VAULT_LISTENER, listeners->files,
		    listeners->count);
	listeners->count = 0;
}

static void
vault_gather_listener(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct vault_listeners *listeners = arg;

	if (kind != FILES_LISTENER)
		return;
	listeners->files[listeners->count++] = *fd;
	if (listeners->count == RIGHTS_MAX)
		vault_flush_listeners(listeners);
}

static int
vault_hand_over_listeners(struct table *table)
{
	struct vault_listeners listeners = { .table = table };
	char name[VAULT_NAME];

	files_each(table, vault_gather_listener, &listeners);
	vault_flush_listeners(&listeners);
	for (size_t i = 0; i < VAULT_COUNT(vault_daemon_files) && listeners.error == 0; i++) {
		int fd = table->header->file[vault_daemon_files[i]];

		snprintf(name, sizeof name, VAULT_FILE, (int)vault_daemon_files[i]);
		if (fd != -1)
			listeners.error = vault_hand_over(table, name, &fd, 1);
	}
	return listeners.error;
}

static int
vault_hand_over_all(struct table *table, const struct vault_filling *filling)
{
	int error = filling->error, memory = table->header->file[TABLE_FILE_MEMORY];
	char name[VAULT_NAME];

	if (error == 0)
		error = vault_hand_over(table, VAULT_TABLE, &memory, 1); /* first: it tells what must come with it */
	for (int i = 0; i < filling->pairs && error == 0; i++) {
		snprintf(name, sizeof name, VAULT_PAIR, i);
		error = vault_hand_over(table, name, &filling->read_fd[i], 1);
	}
	if (error == 0)
		error = vault_hand_over_listeners(table);
	return error < 0 ? error : notify_barrier(table);
}

/* Whether systemd could be told. */
static bool
vault_remove(const struct table *table, const char *format, int number)
{
	char name[VAULT_NAME], text[VAULT_NAME + 32];

	snprintf(name, sizeof name, format, number);
	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return notify_hand_over(table, text, NULL, 0) == 0;
}

bool
vault_forget(struct table *table)
{
	bool heard = vault_remove(table, VAULT_LISTENER, 0);

	for (size_t i = 0; i < VAULT_COUNT(vault_daemon_files); i++)
		heard = heard && vault_remove(table, VAULT_FILE, (int)vault_daemon_files[i]);
	for (int i = 0; i < VAULT_PAIRS; i++)
		heard = heard && vault_remove(table, VAULT_PAIR, i);
	heard = heard && vault_remove(table, VAULT_TABLE, 0);
	table->header->vault = 0;
	return heard;
}

int
vault_store(struct table *table)
{
	struct vault_filling filling = { .write_fd = -1 };
	int error = notify_barrier(table); /* is it alive?  What it has been sent and does not read stays open. */

	if (error < 0)
		return error;
	if (!vault_forget(table)) /* of an earlier start that could not say so: names are there once */
		return -EAGAIN;
	files_each(table, vault_fill, &filling);
	vault_flush(&filling);
	table->header->vault = filling.total + 1;
	error = vault_hand_over_all(table, &filling);
	if (error < 0)
		vault_forget(table);
	for (int i = 0; i < filling.pairs; i++)
		close(filling.read_fd[i]);
	if (filling.write_fd != -1)
		close(filling.write_fd);
	return error;
}

bool
vault_is_given(const struct given *given)
{
	for (size_t i = 0; i < given->count; i++)
		if (given->files[i].name[0] == VAULT_MARK)
			return true;
	return false;
}

/* What is being taken out. */
struct vault_emptying {
	struct table *table;
	struct given *given;
	int pairs;
	int pair;                    /* -1 none */
	int files[RIGHTS_MAX];
	unsigned count, next;
	uint32_t total;
	int error;
};

static void
vault_close_pair(struct vault_emptying *emptying)
{
	if (emptying->pair != -1)
		close(emptying->pair);
	emptying->pair = -1;
}

/* The next pair; it is only looked into, from its begin. */
static bool
vault_next_pair(struct vault_emptying *emptying)
{
	char name[VAULT_NAME];
	int begin = 0;

	vault_close_pair(emptying);
	snprintf(name, sizeof name, VAULT_PAIR, emptying->pairs++);
	emptying->pair = given_claim(emptying->given, name);
	return emptying->pair != -1 &&
	    setsockopt(emptying->pair, SOL_SOCKET, SO_PEEK_OFF, &begin, sizeof begin) == 0;
}

static bool
vault_refill(struct vault_emptying *emptying)
{
	emptying->next = emptying->count = 0;
	do {
		if (emptying->pair != -1)
			emptying->count = rights_look(emptying->pair, emptying->files);
	} while (emptying->count == 0 && vault_next_pair(emptying));
	return emptying->count > 0;
}

static void
vault_empty(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct vault_emptying *emptying = arg;

	if (!vault_is_in_pairs(kind) || emptying->error < 0)
		return;
	if (emptying->next == emptying->count && !vault_refill(emptying)) {
		emptying->error = -EMFILE;
		return;
	}
	*fd = table_note_file(emptying->table, emptying->files[emptying->next++]);
	emptying->total++;
}

/* Those that were opened, when there were not enough. */
static void
vault_close_opened(void *arg, enum files_kind kind, volatile int32_t *fd)
{
	struct vault_emptying *emptying = arg;

	if (vault_is_in_pairs(kind) && emptying->total > 0) {
		emptying->total--;
		close(*fd);
	}
}

static int
vault_take_pairs(struct given *given, struct table *table)
{
	struct vault_emptying emptying = { .table = table, .given = given, .pair = -1 };

	files_each(table, vault_empty, &emptying);
	vault_close_pair(&emptying);
	if (emptying.error == 0 && emptying.total + 1 == table->header->vault)
		return 0;
	while (emptying.next < emptying.count)
		close(emptying.files[emptying.next++]);
	files_each(table, vault_close_opened, &emptying);
	return -EMFILE;
}

/* The listener goes to the service that it was bound for.  One that a reload was about to give to another stays open:
 * the first worker's sweep finds it. */
static void
vault_place_listener(struct table *table, int fd)
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
vault_take_listeners(struct given *given, struct table *table)
{
	uint32_t used = table_services_used(table);
	char name[VAULT_NAME];
	int fd;

	for (uint32_t i = 0; i < used; i++)
		table->services[i].listener_fd = -1;
	while ((fd = given_claim(given, VAULT_LISTENER)) != -1)
		vault_place_listener(table, fd);
	for (int i = 0; i < TABLE_FILES; i++)
		if (i != TABLE_FILE_MEMORY)
			table->header->file[i] = -1;
	for (size_t i = 0; i < VAULT_COUNT(vault_daemon_files); i++) {
		snprintf(name, sizeof name, VAULT_FILE, (int)vault_daemon_files[i]);
		fd = given_claim(given, name);
		table->header->file[vault_daemon_files[i]] = fd == -1 ? -1 : table_note_file(table, fd);
	}
	table->header->activated_count = 0;
}

void
vault_decline(struct given *given)
{
	for (size_t i = 0; i < given->count; i++)
		if (given->files[i].fd != -1 && given->files[i].name[0] == VAULT_MARK) {
			close(given->files[i].fd);
			given->files[i].fd = -1;
		}
}

static int
vault_take_all(struct given *given, struct table *table)
{
	int error = table->header->vault == 0 ? -ENODATA : vault_take_pairs(given, table);

	if (error == 0)
		vault_take_listeners(given, table);
	return error;
}

int
vault_take(struct given *given, struct table *ret_table, char **ret_config)
{
	int fd = given_claim(given, VAULT_TABLE);
	bool copied = false;
	size_t length;
	int error = fd == -1 ? -ENOENT : former_open(fd, ret_table, &copied);
	bool opened = error == 0;

	*ret_config = NULL;
	if (opened)
		error = vault_take_all(given, ret_table);
	if (opened && error < 0) {
		*ret_config = table_config_copy(ret_table, &length);
		table_free(ret_table);
	}
	if (fd != -1 && (copied || !opened))
		close(fd); /* else it was the table's */
	vault_decline(given);
	return error;
}
