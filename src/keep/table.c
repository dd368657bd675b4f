#include "keep/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/budget.h"
#include "keep/buffers.h"

#define TABLE_PAGE         4096u
#define TABLE_LEAST        64u       /* files */
#define TABLE_OPEN         (TABLE_ENDPOINTS + 1)
#define TABLE_OPEN_SIZE    (TABLE_SERVICES * TABLE_OPEN * sizeof(struct table_open))
#define TABLE_FILE_SIZE (2u * TABLE_CLASSES * TABLE_BUFFER_SIZE + 65536u) /* more than is mapped for each */

/* Takes size bytes of memory at *offset, whole pages; NULL while memory is NULL and only counted. */
static void *
table_place(unsigned char *memory, size_t *offset, size_t size)
{
	void *place = memory == NULL ? NULL : memory + *offset;

	*offset += (size + TABLE_PAGE - 1) & ~(size_t)(TABLE_PAGE - 1);
	return place;
}

/* Gives each class of buffers its indexes, from 1 on; how many there are in all, with the one that is none. */
static size_t
table_place_classes(struct table *table, uint32_t files)
{
	uint32_t next = 1;

	for (uint32_t i = 0; i <= TABLE_LEAN; i++) {
		table->class[i].first = next;
		next += buffers_number(i, files);
		table->class[i].end = next;
	}
	return next;
}

/* Sets the pointers into memory, or with memory NULL counts only; gives the size of all. */
static size_t
table_lay_out(struct table *table, void *memory, uint32_t files)
{
	size_t offset = 0, buffers = table_place_classes(table, files);

	table->header = table_place(memory, &offset, sizeof *table->header);
	table->services = table_place(memory, &offset, TABLE_SERVICES * sizeof *table->services);
	table->clients = table_place(memory, &offset, files * sizeof *table->clients);
	table->conns = table_place(memory, &offset, files * sizeof *table->conns);
	table->buffers = table_place(memory, &offset, buffers * sizeof *table->buffers);
	table->config = table_place(memory, &offset, 2 * (size_t)TABLE_CONFIG_MAX);
	for (struct table_class *class = table->class; class <= &table->class[TABLE_LEAN]; class++)
		class->bytes = table_place(memory, &offset,
		    (class->end - class->first) * buffers_class_size((uint32_t)(class - table->class)));
	return offset;
}

void
table_shape(uint32_t files, struct table_shape *ret_shape)
{
	struct table table = { 0 };
	size_t size = table_lay_out(&table, NULL, files);

	*ret_shape = (struct table_shape){
		.magic = TABLE_MAGIC, .layout = TABLE_LAYOUT, .services = TABLE_SERVICES, .files = files,
		.buffers = table.class[TABLE_LEAN].end, .size = size,
		.header_size = sizeof(struct table_header), .service_size = sizeof(struct table_service),
		.client_size = sizeof(struct table_client),
		.conn_size = sizeof(struct table_conn), .buffer_size = sizeof(struct table_buffer),
		.classes = TABLE_CLASSES, .smallest = TABLE_BUFFER_SIZE,
	};
}

static void
table_write_header(const struct table *table, uint32_t files, int memory_fd)
{
	struct table_header *header = table->header;

	for (int i = 0; i < TABLE_FILES; i++)
		header->file[i] = -1;
	for (uint32_t i = 0; i <= TABLE_PIPES; i++)
		header->pipe[i].read_fd = header->pipe[i].write_fd = -1;
	header->file[TABLE_FILE_MEMORY] = memory_fd;
	header->client_high = header->conn_high = 1;
	for (uint32_t i = 0; i <= TABLE_LEAN; i++)
		header->buffer_high[i] = table->class[i].first;
	header->next_id = 1;
	header->started = clock_wall();
	table_shape(files, &header->shape);
}

/* Maps fd, which has the size of a table for so many files. */
static int
table_map(int fd, int flags, uint32_t files, struct table *ret_table)
{
	struct table table = { 0 };
	size_t size = table_lay_out(&table, NULL, files);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	madvise(memory, size, MADV_DONTDUMP);
	table_lay_out(&table, memory, files);
	table.budget = budget_new();
	table.pages = mem_new(table.class[TABLE_LEAN].end, sizeof *table.pages);
	*ret_table = table;
	return 0;
}

static bool
table_fits(uint32_t files)
{
	struct table table = { 0 };
	size_t size;
	void *room;

	if ((uint64_t)files * TABLE_FILE_SIZE > SIZE_MAX / 4)
		return false;
	size = table_lay_out(&table, NULL, files);
	size += size / 4;
	room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return room != MAP_FAILED && munmap(room, size) == 0;
}

uint32_t
table_fitting(uint32_t files_max)
{
	uint32_t files = files_max < TABLE_FILES_MAX ? files_max : TABLE_FILES_MAX;

	while (files > TABLE_LEAST && !table_fits(files))
		files = files - files / 8 > TABLE_LEAST ? files - files / 8 : TABLE_LEAST;
	return files;
}

int
table_new(uint32_t files_max, struct table *ret_table)
{
	uint32_t files = files_max < TABLE_FILES_MAX ? files_max + 1 : TABLE_FILES_MAX;
	struct table table = { 0 };
	int error, fd = memfd_create("holdfast", MFD_CLOEXEC);

	if (fd == -1)
		return -errno;
	error = ftruncate(fd, (off_t)table_lay_out(&table, NULL, files)) == -1 ? -errno
	    : table_map(fd, MAP_SHARED, files, &table);
	if (error < 0) {
		close(fd);
		return error;
	}
	table_write_header(&table, files, fd);
	*ret_table = table;
	return 0;
}

bool
table_is_sane(const struct table *table)
{
	const struct table_header *header = table->header;

	if (header->client_high == 0 || header->client_high > header->shape.files ||
	    header->conn_high == 0 || header->conn_high > header->shape.files ||
	    header->activated_count > TABLE_ACTIVATED)
		return false;
	for (uint32_t i = 0; i <= TABLE_LEAN; i++)
		if (header->buffer_high[i] < table->class[i].first || header->buffer_high[i] > table->class[i].end)
			return false;
	return header->config_length[0] <= TABLE_CONFIG_MAX && header->config_length[1] <= TABLE_CONFIG_MAX;
}

int
table_open(int fd, bool copy, struct table *ret_table)
{
	struct table_shape found, own;
	struct stat status;
	int error;

	if (fstat(fd, &status) == -1)
		return -errno;
	if (pread(fd, &found, sizeof found, 0) != sizeof found)
		return -EPROTO;
	if (found.files == 0 || found.files > TABLE_FILES_MAX)
		return -EPROTO;
	table_shape(found.files, &own);
	if (memcmp(&found, &own, sizeof own) != 0 || (uint64_t)status.st_size != own.size)
		return -EPROTO;
	error = table_map(fd, copy ? MAP_PRIVATE : MAP_SHARED, found.files, ret_table);
	if (error == 0 && !table_is_sane(ret_table)) {
		munmap(ret_table->header, (size_t)own.size);
		budget_free(ret_table->budget);
		mem_free(ret_table->pages);
		return -EPROTO;
	}
	if (error == 0)
		ret_table->header->file[TABLE_FILE_MEMORY] = fd;
	return error;
}

/* Pages that are not needed are never there. */
static void
table_free_open(struct table *table)
{
	if (table->conns_open != NULL)
		munmap(table->conns_open, TABLE_OPEN_SIZE);
	table->conns_open = NULL;
}

void
table_free(struct table *table)
{
	int fd;

	if (table->header == NULL)
		return;
	fd = table->header->file[TABLE_FILE_MEMORY];
	munmap(table->header, (size_t)table->header->shape.size);
	close(fd);
	mem_free(table->stray);
	table_free_open(table);
	budget_free(table->budget);
	mem_free(table->pages);
	*table = (struct table){ 0 };
}

static void
table_derive_clients(struct table *table)
{
	table->free_client = table->clients_used = 0;
	for (uint32_t i = table->header->client_high - 1; i > 0; i--)
		if (table_client_state(table, i) == TABLE_FREE) {
			table->clients[i].fd = (int32_t)table->free_client;
			table->free_client = i;
		} else {
			table->clients_used++;
		}
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
	uint32_t open = all[TABLE_ENDPOINTS].count;
	bool same = true;

	for (size_t i = 0; i < TABLE_ENDPOINTS; i++) {
		same = same && numbers[i] == all[i].number;
		open += all[i].count;
	}
	if (same)
		return;
	for (size_t i = 0; i < TABLE_OPEN; i++)
		all[i] = (struct table_open){ .number = i < TABLE_ENDPOINTS ? numbers[i] : 0 };
	for (uint32_t i = 1; i < table->header->conn_high && open > 0; i++) {
		struct table_conn *conn = &table->conns[i];

		if (table_conn_state(table, i) != TABLE_READY || conn->service != service)
			continue;
		open--;
		table_count_open(table, i, 1);
		if (table_open_of(table, service, conn->endpoint)->number == 0 && conn->left_at == 0)
			conn->left_at = now;
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
	table->free_conn = 0;
	table_free_open(table);
	table->conns_open = mmap(NULL, TABLE_OPEN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table->conns_open == MAP_FAILED)
		abort(); /* as mem_new() */
	for (uint32_t i = table->header->conn_high - 1; i > 0; i--) {
		if (table_conn_state(table, i) == TABLE_READY) {
			table_guess_endpoint(table, &table->conns[i]);
			table_count_open(table, i, 1);
		}
		if (table_conn_state(table, i) != TABLE_FREE)
			continue;
		table->conns[i].fd = (int32_t)table->free_conn;
		table->free_conn = i;
	}
}

void
table_derive(struct table *table)
{
	table_derive_clients(table);
	table_derive_conns(table);
	buffers_derive(table);
}

uint32_t
table_services_used(const struct table *table)
{
	uint32_t used = 0;

	while (used < table->header->shape.services && table->services[used].word != 0)
		used++;
	return used;
}

uint32_t
table_client_claim(struct table *table)
{
	struct table_header *header = table->header;
	uint32_t index = table->free_client;
	struct table_client *client;

	if (index != 0)
		table->free_client = (uint32_t)table->clients[index].fd;
	else if (header->client_high < header->shape.files)
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
	else if (header->conn_high < header->shape.files)
		index = header->conn_high++;
	else
		return 0;
	conn = &table->conns[index];
	memset((unsigned char *)conn + sizeof conn->word, 0, sizeof *conn - sizeof conn->word);
	conn->fd = -1;
	return index;
}

enum table_state
table_client_state(const struct table *table, uint32_t client)
{
	return TABLE_STATE(table->clients[client].word);
}

enum table_state
table_conn_state(const struct table *table, uint32_t conn)
{
	return TABLE_STATE(table->conns[conn].word);
}

static void
table_set_state(volatile uint32_t *word, enum table_state state)
{
	table_barrier(); /* T2: all other stores come first */
	*word = (*word & ~0xffu) | (uint32_t)state;
	table_barrier();
}

void
table_client_set(struct table *table, uint32_t client, enum table_state state)
{
	table_set_state(&table->clients[client].word, state);
}

void
table_conn_set(struct table *table, uint32_t conn, enum table_state state)
{
	int change = (state == TABLE_READY) - (table_conn_state(table, conn) == TABLE_READY);

	table_set_state(&table->conns[conn].word, state);
	table_count_open(table, conn, change);
}

uint32_t
table_conns_open(const struct table *table, uint16_t service, uint16_t endpoint)
{
	return table_open_of(table, service, endpoint)->count;
}

void
table_client_free(struct table *table, uint32_t client)
{
	struct table_client *record = &table->clients[client];

	table_barrier();
	record->word = (TABLE_GENERATION(record->word) + 1) << 8;
	record->fd = (int32_t)table->free_client;
	table->free_client = client;
	table->clients_used--;
}

void
table_conn_free(struct table *table, uint32_t conn)
{
	struct table_conn *record = &table->conns[conn];

	if (table_conn_state(table, conn) == TABLE_READY)
		table_count_open(table, conn, -1);
	table_barrier();
	record->word = (TABLE_GENERATION(record->word) + 1) << 8;
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
}

uint32_t
table_client_own(const struct table *table, uint32_t client)
{
	uint32_t conn = table->clients[client].conn;

	return conn == TABLE_CONN_SHARED ? 0 : conn;
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

unsigned char *
table_conns_taken(const struct table *table, uint16_t service)
{
	unsigned char *taken = mem_new(table->header->conn_high / 8 + 1, 1);

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		uint32_t conn = table_client_own(table, i);

		if (table_client_state(table, i) == TABLE_LIVE && table->clients[i].service == service)
			taken[conn / 8] |= (unsigned char)(1u << (conn % 8));
	}
	return taken;
}

int
table_note_file(struct table *table, int fd)
{
	if (fd > 0 && (uint32_t)fd > table->header->file_high)
		table->header->file_high = (uint32_t)fd;
	return fd;
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
