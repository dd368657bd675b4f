#include "keep/files.h"

static void
files_one(volatile int32_t *fd, enum files_kind kind, files_visit *visit, void *arg)
{
	if (*fd != -1)
		visit(arg, kind, fd);
}

static void
files_each_listener(const struct table *table, files_visit *visit, void *arg)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 0; i < used; i++)
		if (TABLE_STATE(table->services[i].word) != TABLE_FREE && !table->services[i].activated)
			files_one(&table->services[i].listener_fd, FILES_LISTENER, visit, arg);
	for (size_t i = 0; i < table->stray_count; i++)
		files_one(&table->stray[i], FILES_LISTENER, visit, arg);
}

static void
files_each_but_records(const struct table *table, files_visit *visit, void *arg)
{
	struct table_header *header = table->header;

	for (int i = 0; i < TABLE_FILES; i++)
		files_one(&header->file[i], FILES_DAEMON, visit, arg);
	for (uint32_t i = 0; i < header->activated_count; i++)
		files_one(&header->activated[i].fd, FILES_ACTIVATED, visit, arg);
	files_each_listener(table, visit, arg);
	for (uint32_t i = 1; i <= TABLE_PIPES; i++)
		if (header->pipe[i].read_fd != -1) {
			files_one(&header->pipe[i].read_fd, FILES_PIPE, visit, arg);
			files_one(&header->pipe[i].write_fd, FILES_PIPE, visit, arg);
		}
}

void
files_each(const struct table *table, files_visit *visit, void *arg)
{
	files_each_but_records(table, visit, arg);
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) != TABLE_FREE)
			files_one(&table->clients[i].fd, FILES_CLIENT, visit, arg);
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_state(table, i) != TABLE_FREE)
			files_one(&table->conns[i].fd, FILES_CONN, visit, arg);
}
