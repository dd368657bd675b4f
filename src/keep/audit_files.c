#include "keep/audit_files.h"

#include "keep/audit_names.h"

struct files {
	struct table *table;         /* borrowed */
	audit_look *look;
	uint32_t services;
	unsigned char *bad_client, *bad_conn; /* borrowed */
	struct audit_names names;    /* of descriptors */
};

static bool
files_is_number(int fd)
{
	return fd > 2 && (uint32_t)fd < TABLE_FILES_MAX;
}

/* Whether there is such a file; AUDIT_CLOSED as kind: of any. */
static bool
files_is_file(const struct files *files, int fd, enum audit_file kind)
{
	enum audit_file found = files_is_number(fd) ? files->look(fd) : AUDIT_CLOSED;

	return found != AUDIT_CLOSED && (found == kind || kind == AUDIT_CLOSED);
}

/* One of the daemon's own, which goes before all others: it is named from now on, or it is none. */
static void
files_own_file(struct files *files, volatile int32_t *fd, enum audit_file kind)
{
	if (*fd == -1 || *fd == 0) { /* a place that was never used is 0 */
		*fd = -1;
		return;
	}
	if (files_is_file(files, *fd, kind) && !audit_names_has(&files->names, (uint32_t)*fd)) {
		audit_names_add(&files->names, (uint32_t)*fd);
		return;
	}
	*fd = -1;
	files->table->header->damage.words++;
}

static bool
files_is_activated(const struct table *table, int fd)
{
	for (uint32_t i = 0; i < table->header->activated_count; i++)
		if (table->header->activated[i].fd == fd)
			return fd != -1;
	return false;
}

/* A service's that systemd has handed over stands among those, too. */
static void
files_listener(struct files *files, struct table_socket *socket)
{
	bool activated = files_is_activated(files->table, socket->fd);

	if (socket->fd != -1 && socket->activated != activated) {
		socket->activated = activated;
		files->table->header->damage.words++;
	}
	if (!activated)
		files_own_file(files, &socket->fd, AUDIT_LISTENER);
}

static void
files_listeners(struct files *files)
{
	struct table *table = files->table;
	struct table_header *header = table->header;

	for (uint32_t i = 0; i < header->activated_count; i++)
		files_own_file(files, &header->activated[i].fd, AUDIT_CLOSED); /* whatever was handed over */
	for (uint32_t i = 0; i < files->services; i++)
		for (uint32_t k = 0; TABLE_STATE(table->services[i].word) != TABLE_FREE && k < TABLE_LISTENERS; k++)
			files_listener(files, &table->services[i].sockets[k]);
	files_own_file(files, &header->control.fd, AUDIT_LISTENER);
	files_own_file(files, &header->metrics.fd, AUDIT_LISTENER);
}

static void
files_own_files(struct files *files)
{
	volatile int32_t *file = files->table->header->file;

	for (int i = 0; i < TABLE_FILES; i++)
		files_own_file(files, &file[i], i == TABLE_FILE_NOTIFY ? AUDIT_LISTENER : AUDIT_OTHER);
	files_listeners(files);
}

/* A record's: named once is right. */
static void
files_name_file(struct files *files, int fd)
{
	if (files_is_number(fd))
		audit_names_add(&files->names, (uint32_t)fd);
}

static void
files_name_files(struct files *files)
{
	const struct table *table = files->table;

	for (uint32_t i = 1; i <= TABLE_PIPES; i++)
		if (table->header->pipe[i].read_fd != -1) {
			files_name_file(files, table->header->pipe[i].read_fd);
			files_name_file(files, table->header->pipe[i].write_fd);
		}
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (TABLE_STATE(table->clients[i].word) != TABLE_FREE)
			files_name_file(files, table->clients[i].fd);
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (TABLE_STATE(table->conns[i].word) != TABLE_FREE)
			files_name_file(files, table->conns[i].fd);
}

/* Whether it is the only name of such a file.  Else it names none: whose it is, the sweep does not ask. */
static bool
files_keep_file(struct files *files, volatile int32_t *fd, enum audit_file kind)
{
	if (*fd == -1)
		return true;
	if (files_is_file(files, *fd, kind) && !audit_names_several(&files->names, (uint32_t)*fd))
		return true;
	*fd = -1;
	return false;
}

/* Of a record that was CLOSING already the file may have been closed. */
static void
files_record_files(struct files *files)
{
	struct table *table = files->table;

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (TABLE_STATE(table->clients[i].word) != TABLE_FREE)
			files->bad_client[i] |= !files_keep_file(files, &table->clients[i].fd, AUDIT_SOCKET) &&
			    TABLE_STATE(table->clients[i].word) != TABLE_CLOSING;
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (TABLE_STATE(table->conns[i].word) != TABLE_FREE)
			files->bad_conn[i] |= !files_keep_file(files, &table->conns[i].fd, AUDIT_SOCKET) &&
			    TABLE_STATE(table->conns[i].word) != TABLE_CLOSING;
}

/* A pipe has two ends that are nobody else's. */
static void
files_pipes(struct files *files)
{
	struct table_pipe *pipe = files->table->header->pipe;

	for (uint32_t i = 1; i <= TABLE_PIPES; i++) {
		bool good;

		if (pipe[i].read_fd == -1)
			continue;
		good = files_keep_file(files, &pipe[i].read_fd, AUDIT_PIPE);
		if (files_keep_file(files, &pipe[i].write_fd, AUDIT_PIPE) && good && pipe[i].write_fd != -1)
			continue;
		pipe[i].read_fd = pipe[i].write_fd = -1;
		files->table->header->damage.words++;
	}
}

void
audit_files(struct table *table, audit_look *look, uint32_t services, unsigned char *bad_client,
    unsigned char *bad_conn)
{
	struct files files = { .table = table, .look = look, .services = services, .bad_client = bad_client,
		.bad_conn = bad_conn };

	audit_names_new(&files.names, TABLE_FILES_MAX);
	files_own_files(&files);
	files_name_files(&files);
	files_pipes(&files);
	files_record_files(&files);
	audit_names_free(&files.names);
}
