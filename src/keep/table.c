#include "keep/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/pipes.h"
#include "keep/redo.h"


/* Puts the record between two of its service's; 0 is the end. */
static void
table_index_put(struct table_index *index, uint16_t service, uint32_t record, uint32_t before, uint32_t next)
{
	if (service >= index->services)
		index->services = service + 1u;
	index->record[record].before = before;
	index->record[record].next = next;
	*(before == 0 ? &index->service[service].first : &index->record[before].next) = record;
	*(next == 0 ? &index->service[service].last : &index->record[next].before) = record;
}

static void
table_index_remove(struct table_index *index, uint16_t service, uint32_t record)
{
	uint32_t before = index->record[record].before, next = index->record[record].next;

	*(before == 0 ? &index->service[service].first : &index->record[before].next) = next;
	*(next == 0 ? &index->service[service].last : &index->record[next].before) = before;
}

static uint32_t
table_index_next(const struct table_index *index, uint16_t service, uint32_t record)
{
	return record == 0 ? index->service[service].first : index->record[record].next;
}

static void
table_index_clear(struct table_index *index)
{
	memset(index->service, 0, index->services * sizeof *index->service);
}

uint32_t
table_client_next(const struct table *table, uint16_t service, uint32_t client)
{
	return table_index_next(&table->client_index, service, client);
}

uint32_t
table_conn_next(const struct table *table, uint16_t service, uint32_t conn)
{
	return table_index_next(&table->conn_index, service, conn);
}

static struct table_open *
table_open_of(const struct table *table, uint16_t service, uint16_t endpoint)
{
	struct table_open *all = &table->conns_open[service * TABLE_OPEN], *one = &all[endpoint % TABLE_ENDPOINTS];

	return endpoint != 0 && one->number == endpoint ? one : &all[TABLE_ENDPOINTS];
}

static void
table_count_open(struct table *table, uint32_t conn, int change)
{
	const struct table_conn *record = &table->conns[conn];

	if (table->conns_open != NULL) /* else before table_derive() */
		table_open_of(table, record->service, record->endpoint)->count += (uint32_t)change;
}

void
table_name_endpoints(struct table *table, uint16_t service, const uint16_t numbers[TABLE_ENDPOINTS], int64_t now)
{
	struct table_open *all = &table->conns_open[service * TABLE_OPEN];
	bool same = true;

	for (size_t i = 0; i < TABLE_ENDPOINTS; i++)
		same = same && numbers[i] == all[i].number;
	if (same)
		return;
	for (size_t i = 0; i < TABLE_OPEN; i++)
		all[i] = (struct table_open){ .number = i < TABLE_ENDPOINTS ? numbers[i] : 0 };
	for (uint32_t i = 0; (i = table_conn_next(table, service, i)) != 0;) {
		struct table_conn *conn = &table->conns[i];

		if (table_conn_state(table, i) != TABLE_READY)
			continue;
		table_count_open(table, i, 1);
		if (table_open_of(table, service, conn->endpoint)->number == 0 && conn->left_at == 0)
			conn->left_at = now;
	}
}

uint32_t
table_conns_open(const struct table *table, uint16_t service, uint16_t endpoint)
{
	return table_open_of(table, service, endpoint)->count;
}

static void
table_derive_clients(struct table *table)
{
	struct table_index *index = &table->client_index;

	table->free_client = table->clients_used = table->lingering = 0;
	table_index_clear(index);
	memset(table->taken_by, 0, table->header->conn_high * sizeof *table->taken_by);
	for (uint32_t i = table->header->client_high - 1; i > 0; i--) {
		struct table_client *client = &table->clients[i];

		if (table_client_state(table, i) == TABLE_FREE) {
			client->fd = (int32_t)table->free_client;
			table->free_client = i;
			continue;
		}
		table->clients_used++;
		table_index_put(index, client->service, i, 0, index->service[client->service].first);
		if (table_client_own(table, i) != 0)
			table->taken_by[client->conn] = i;
	}
}

/* Until a dead worker's endpoints are named: one with connections most likely has its place still. */
static void
table_guess_endpoint(const struct table *table, const struct table_conn *conn)
{
	struct table_open *one = &table->conns_open[conn->service * TABLE_OPEN + conn->endpoint % TABLE_ENDPOINTS];

	if (one->number == 0)
		one->number = conn->endpoint;
}

static void
table_derive_conns(struct table *table)
{
	struct table_index *index = &table->conn_index;

	table->free_conn = 0;
	table_index_clear(index);
	table_free_open(table);
	table->conns_open = mmap(NULL, TABLE_OPEN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table->conns_open == MAP_FAILED)
		abort(); /* as mem_new() */
	for (uint32_t i = table->header->conn_high - 1; i > 0; i--) {
		struct table_conn *conn = &table->conns[i];

		if (table_conn_state(table, i) == TABLE_FREE) {
			conn->fd = (int32_t)table->free_conn;
			table->free_conn = i;
			continue;
		}
		table_index_put(index, conn->service, i, 0, index->service[conn->service].first);
		if (table_conn_state(table, i) == TABLE_READY) {
			table_guess_endpoint(table, conn);
			table_count_open(table, i, 1);
		}
	}
}

static void
table_mark_held(void *arg, const struct table_held *held)
{
	struct table *table = arg;

	buffers_mark(table, held->payer, held->buffer);
	pipes_mark(table, held->payer, held->pipe);
}

void
table_derive(struct table *table)
{
	table_derive_clients(table);
	table_derive_conns(table);
	budget_forget(table->budget);
	table->free_pipes = table->idle_pipes = 0;
	table->no_pipes = false;
	table_each_held(table, table_mark_held, table);
	buffers_find_free(table);
	pipes_find_free(table);
}

void
table_service_clear(struct table_service *record)
{
	size_t large = offsetof(struct table_service, history), behind = offsetof(struct table_service, pauses);

	memset((unsigned char *)record + sizeof record->word, 0, large - sizeof record->word);
	if (record->word != 0)
		memset((unsigned char *)record + large, 0, behind - large);
	memset((unsigned char *)record + behind, 0, sizeof *record - behind);
	for (uint32_t i = 0; i < TABLE_LISTENERS; i++)
		record->sockets[i].fd = -1;
}

uint32_t
table_services_used(const struct table *table)
{
	uint32_t used = 0;

	while (used < table->shape.services && table->services[used].word != 0)
		used++;
	return used;
}

void
table_each_held(const struct table *table, void (*visit)(void *arg, const struct table_held *held), void *arg)
{
	uint32_t services = table_services_used(table);

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		if (table_client_state(table, i) == TABLE_FREE)
			continue;
		for (enum table_direction d = TABLE_UP; d <= TABLE_DOWN; d++)
			visit(arg, &(struct table_held){ .payer = buffers_payer(table, i, d),
			    .buffer = table->clients[i].buffer[d], .pipe = table->clients[i].pipe[d] });
	}
	for (uint32_t i = 0; i < services; i++) {
		const struct table_shared *shared = &table->services[i].shared;
		const uint32_t buffers[] = { shared->in, shared->out, shared->pending, shared->spool };

		for (size_t k = 0; k < sizeof buffers / sizeof buffers[0]; k++)
			visit(arg, &(struct table_held){ .payer = { .service = (uint16_t)i, .moves_on = true },
			    .buffer = buffers[k] });
	}
}

static void
table_one_file(volatile int32_t *fd, enum table_kind kind,
    void (*visit)(void *arg, enum table_kind kind, volatile int32_t *fd), void *arg)
{
	if (*fd != -1)
		visit(arg, kind, fd);
}

static void
table_each_file_but_records(const struct table *table,
    void (*visit)(void *arg, enum table_kind kind, volatile int32_t *fd), void *arg)
{
	struct table_header *header = table->header;
	uint32_t used = table_services_used(table);

	for (int i = 0; i < TABLE_FILES; i++)
		table_one_file(&header->file[i], TABLE_OF_DAEMON, visit, arg);
	for (uint32_t i = 0; i < header->activated_count; i++)
		table_one_file(&header->activated[i].fd, TABLE_OF_SYSTEMD, visit, arg);
	table_one_file(&header->control.fd, TABLE_OF_LISTENERS, visit, arg);
	table_one_file(&header->metrics.fd, TABLE_OF_LISTENERS, visit, arg);
	for (uint32_t i = 0; i < used; i++)
		for (uint32_t k = 0; TABLE_STATE(table->services[i].word) != TABLE_FREE && k < TABLE_LISTENERS; k++)
			if (!table->services[i].sockets[k].activated)
				table_one_file(&table->services[i].sockets[k].fd, TABLE_OF_LISTENERS, visit, arg);
	for (uint32_t i = 1; i <= TABLE_PIPES; i++)
		if (header->pipe[i].read_fd != -1) {
			table_one_file(&header->pipe[i].read_fd, TABLE_OF_PIPES, visit, arg);
			table_one_file(&header->pipe[i].write_fd, TABLE_OF_PIPES, visit, arg);
		}
}

void
table_each_file(const struct table *table, void (*visit)(void *arg, enum table_kind kind, volatile int32_t *fd),
    void *arg)
{
	table_each_file_but_records(table, visit, arg);
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) != TABLE_FREE)
			table_one_file(&table->clients[i].fd, TABLE_OF_CLIENTS, visit, arg);
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_state(table, i) != TABLE_FREE)
			table_one_file(&table->conns[i].fd, TABLE_OF_CONNS, visit, arg);
	for (size_t i = 0; i < table->stray_count; i++)
		table_one_file(&table->stray[i], TABLE_OF_STRAYS, visit, arg);
}

uint32_t
table_client_claim(struct table *table)
{
	struct table_header *header = table->header;
	uint32_t index = table->free_client;
	struct table_client *client;

	if (index != 0)
		table->free_client = (uint32_t)table->clients[index].fd;
	else if (header->client_high < table->shape.files)
		index = header->client_high++;
	else
		return 0;
	table->clients_used++;
	client = &table->clients[index];
	/* All but the word: a death here must not lose the generation. */
	memset((unsigned char *)client + sizeof client->word, 0, sizeof *client - sizeof client->word);
	client->fd = -1;
	client->id = header->next_id++;
	return index;
}

uint32_t
table_conn_claim(struct table *table)
{
	struct table_header *header = table->header;
	uint32_t index = table->free_conn;
	struct table_conn *conn;

	if (index != 0)
		table->free_conn = (uint32_t)table->conns[index].fd;
	else if (header->conn_high < table->shape.files)
		index = header->conn_high++;
	else
		return 0;
	conn = &table->conns[index];
	memset((unsigned char *)conn + sizeof conn->word, 0, sizeof *conn - sizeof conn->word);
	conn->fd = -1;
	table->taken_by[index] = 0;
	return index;
}

static void
table_set_state(volatile uint32_t *word, enum table_state state)
{
	table_barrier(); /* T2: all other stores come first */
	*word = (*word & ~0xffu) | (uint32_t)state;
	table_barrier();
}

/* State FREE, with the next generation. */
static void
table_set_free(volatile uint32_t *word)
{
	table_barrier();
	*word = (TABLE_GENERATION(*word) + 1) << 8;
}

void
table_client_set(struct table *table, uint32_t client, enum table_state state)
{
	struct table_index *index = &table->client_index;
	uint16_t service = table->clients[client].service;

	if (table_client_state(table, client) == TABLE_FREE)
		table_index_put(index, service, client, index->service[service].last, 0);
	table_set_state(&table->clients[client].word, state);
}

void
table_conn_set(struct table *table, uint32_t conn, enum table_state state)
{
	struct table_index *index = &table->conn_index;
	uint16_t service = table->conns[conn].service;
	enum table_state before = table_conn_state(table, conn);

	if (before == TABLE_FREE)
		table_index_put(index, service, conn, index->service[service].last, 0);
	table_set_state(&table->conns[conn].word, state);
	table_count_open(table, conn, (state == TABLE_READY) - (before == TABLE_READY));
}

void
table_client_free(struct table *table, uint32_t client)
{
	struct table_client *record = &table->clients[client];

	if (table_client_state(table, client) != TABLE_FREE)
		table_index_remove(&table->client_index, record->service, client);
	table_set_free(&record->word);
	record->fd = (int32_t)table->free_client;
	table->free_client = client;
	table->clients_used--;
}

void
table_conn_free(struct table *table, uint32_t conn)
{
	struct table_conn *record = &table->conns[conn];

	if (table_conn_state(table, conn) != TABLE_FREE)
		table_index_remove(&table->conn_index, record->service, conn);
	if (table_conn_state(table, conn) == TABLE_READY)
		table_count_open(table, conn, -1);
	table_set_free(&record->word);
	record->fd = (int32_t)table->free_conn;
	table->free_conn = conn;
}

bool
table_client_is_held(const struct table *table, uint32_t client)
{
	return table_client_state(table, client) == TABLE_LIVE && table->clients[client].conn == 0;
}

bool
table_client_is_open(const struct table *table, uint32_t client)
{
	return table_client_state(table, client) == TABLE_LIVE && table->clients[client].conn != 0;
}

void
table_client_take(struct table *table, uint32_t client, uint32_t conn)
{
	table_barrier();
	table->clients[client].conn = conn;
	table_barrier();
	if (table_client_own(table, client) != 0)
		table->taken_by[conn] = client;
}

uint32_t
table_client_own(const struct table *table, uint32_t client)
{
	uint32_t conn = table->clients[client].conn;

	return conn == TABLE_CONN_SHARED ? 0 : conn;
}

void
table_client_release(struct table *table, uint32_t index)
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
table_count_bytes(struct table *table, struct table_client *client)
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

static void
table_close_file(volatile int32_t *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* No client names a record that is free. */
void
table_conn_close(struct table *table, uint32_t conn)
{
	if (conn == 0)
		return;
	table_conn_set(table, conn, TABLE_CLOSING);
	CRASH_POINT(CONN_MARKED);
	table_close_file(&table->conns[conn].fd);
	CRASH_POINT(CONN_CLOSED);
	if (table->taken_by[conn] != 0)
		table->clients[table->taken_by[conn]].conn = 0;
	table->taken_by[conn] = 0;
	CRASH_POINT(CONN_UNNAMED);
	table_conn_free(table, conn);
	CRASH_POINT(CONN_FREED);
}

void
table_client_close(struct table *table, uint32_t client)
{
	table_client_set(table, client, TABLE_CLOSING);
	CRASH_POINT(CLOSE_MARKED);
	table_conn_close(table, table_client_own(table, client));
	CRASH_POINT(CLOSE_UPSTREAM);
	table_close_file(&table->clients[client].fd);
	CRASH_POINT(CLOSE_CLIENT);
	table_client_release(table, client);
	table_count_bytes(table, &table->clients[client]);
	CRASH_POINT(CLOSE_RELEASED);
	table_client_free(table, client);
	CRASH_POINT(CLOSE_FREED);
}

bool
table_conn_is_taken(const struct table *table, uint32_t conn)
{
	return table->taken_by[conn] != 0;
}

bool
table_conn_is_shared(const struct table *table, uint32_t conn)
{
	uint16_t role = table->conns[conn].role;

	return table_conn_state(table, conn) == TABLE_READY &&
	    (role == TABLE_ROLE_SHARED || role == TABLE_ROLE_TAKEOVER);
}

void
table_conn_share(struct table *table, uint32_t conn)
{
	volatile uint16_t *role = &table->conns[conn].role;

	table_barrier();
	*role = *role == TABLE_ROLE_STANDBY ? TABLE_ROLE_TAKEOVER : TABLE_ROLE_SHARED;
	table_barrier();
}

/* FNV-1a. */
static uint64_t
table_config_sum(const char *text, size_t length)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	return sum;
}

bool
table_config_is_whole(const struct table *table)
{
	uint32_t place = table->header->config_current & 1, length = table->header->config_length[place];

	return length > 0 && length <= TABLE_CONFIG_MAX && table->header->config_sum[place] ==
	    table_config_sum(table->config + place * (size_t)TABLE_CONFIG_MAX, length);
}

char *
table_config_copy(const struct table *table, size_t *ret_length)
{
	const uint32_t *current = &table->header->config_current;
	char *text = NULL;
	uint32_t before;

	do {
		mem_free(text);
		before = __atomic_load_n(current, __ATOMIC_ACQUIRE);
		*ret_length = table->header->config_length[before & 1];
		if (*ret_length > TABLE_CONFIG_MAX)
			*ret_length = 0; /* torn, and done again; or no table of ours */
		text = mem_copy_bytes(table->config + (before & 1) * (size_t)TABLE_CONFIG_MAX, *ret_length);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(current, __ATOMIC_RELAXED) != before);
	return text;
}

/* Whoever reads at the same time (table_config_copy) sees the place change only after the number has. */
int
table_config_set(struct table *table, const char *text, size_t length)
{
	uint32_t next = table->header->config_current + 1;

	if (length > TABLE_CONFIG_MAX)
		return -E2BIG;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(table->config + (next & 1) * (size_t)TABLE_CONFIG_MAX, text, length);
	table->header->config_length[next & 1] = (uint32_t)length;
	table->header->config_sum[next & 1] = table_config_sum(text, length);
	__atomic_store_n(&table->header->config_current, next, __ATOMIC_RELEASE);
	return 0;
}

void
table_status_set(struct table *table, const char *text)
{
	struct table_header *header = table->header;

	header->status_version |= 1;
	table_barrier();
	strncpy(header->status, text, sizeof header->status - 1);
	header->status[sizeof header->status - 1] = '\0';
	table_barrier();
	header->status_version++;
}

void
table_history_add(struct table *table, uint16_t service, uint32_t kind, const char *text)
{
	struct table_service *record = &table->services[service];
	struct table_event *event = &record->history[record->history_next % TABLE_HISTORY];

	event->wall = clock_wall();
	event->kind = kind;
	strncpy(event->text, text, sizeof event->text - 1);
	event->text[sizeof event->text - 1] = '\0';
	table_barrier();
	record->history_next++;
}
