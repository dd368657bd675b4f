#include "keep/table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

#define TABLE_SESSIONS_MAX (1u << 20)
#define TABLE_PAGE         4096u

/* Takes size bytes of memory at *offset, whole pages; NULL while memory is NULL and only counted. */
static void *
table_place(unsigned char *memory, size_t *offset, size_t size)
{
	void *place = memory == NULL ? NULL : memory + *offset;

	*offset += (size + TABLE_PAGE - 1) & ~(size_t)(TABLE_PAGE - 1);
	return place;
}

/* Sets the pointers into memory, or with memory NULL counts only; gives the size of all. */
static size_t
table_lay_out(struct table *table, void *memory, uint32_t sessions)
{
	size_t offset = 0, buffers = 2 * (size_t)sessions;

	table->header = table_place(memory, &offset, sizeof *table->header);
	table->services = table_place(memory, &offset, TABLE_SERVICES * sizeof *table->services);
	table->sessions = table_place(memory, &offset, sessions * sizeof *table->sessions);
	table->buffers = table_place(memory, &offset, buffers * sizeof *table->buffers);
	table->config = table_place(memory, &offset, 2 * (size_t)TABLE_CONFIG_MAX);
	table->bytes = table_place(memory, &offset, buffers * TABLE_BUFFER_SIZE);
	return offset;
}

static void
table_write_header(struct table_header *header, uint32_t sessions, size_t size, int memory_fd)
{
	header->layout = TABLE_LAYOUT;
	header->services = TABLE_SERVICES;
	header->sessions = sessions;
	header->buffers = 2 * sessions;
	header->size = size;
	for (int i = 0; i < TABLE_FILES; i++)
		header->file[i] = -1;
	for (uint32_t i = 0; i <= TABLE_PIPES; i++)
		header->pipe[i].read_fd = header->pipe[i].write_fd = -1;
	header->file[TABLE_FILE_MEMORY] = memory_fd;
	header->session_high = header->buffer_high = 1;
	header->next_id = 1;
	header->started = clock_wall();
	memcpy(header->magic, TABLE_MAGIC, sizeof header->magic);
}

int
table_new(uint32_t sessions_max, struct table *ret_table)
{
	uint32_t sessions = sessions_max < TABLE_SESSIONS_MAX ? sessions_max + 1 : TABLE_SESSIONS_MAX;
	struct table table = { 0 };
	size_t size = table_lay_out(&table, NULL, sessions);
	void *memory;
	int fd, error;

	fd = memfd_create("holdfast", MFD_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (ftruncate(fd, (off_t)size) == -1)
		goto fail;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	madvise(memory, size, MADV_DONTDUMP);
	table_lay_out(&table, memory, sessions);
	table_write_header(table.header, sessions, size, fd);
	*ret_table = table;
	return 0;
fail:
	error = errno;
	close(fd);
	return -error;
}

void
table_free(struct table *table)
{
	int fd;

	if (table->header == NULL)
		return;
	fd = table->header->file[TABLE_FILE_MEMORY];
	munmap(table->header, table->header->size);
	close(fd);
	*table = (struct table){ 0 };
}

/* Gives a free buffer's pages back to the kernel and puts it on the cold list. */
static void
table_buffer_cool(struct table *table, uint32_t buffer)
{
	madvise(table_buffer_bytes(table, buffer), TABLE_BUFFER_SIZE, MADV_REMOVE);
	table->buffers[buffer].head = table->cold_buffer;
	table->cold_buffer = buffer;
}

static void
table_derive_sessions(struct table *table)
{
	table->free_session = 0;
	for (uint32_t i = table->header->session_high - 1; i > 0; i--)
		if (table_session_state(table, i) == TABLE_FREE) {
			table->sessions[i].client_fd = (int32_t)table->free_session;
			table->free_session = i;
		}
}

/* A buffer's tail beyond its size marks it as named while the free ones are looked for. */
static void
table_derive_buffers(struct table *table)
{
	const uint32_t mark = UINT32_C(1) << 31;

	table->warm_buffer = table->cold_buffer = table->warm_buffers = table->warm_least = 0;
	for (uint32_t i = 1; i < table->header->session_high; i++) {
		struct table_session *session = &table->sessions[i];

		if (table_session_state(table, i) != TABLE_FREE)
			for (int d = 0; d < 2; d++)
				if (session->buffer[d] != 0)
					table->buffers[session->buffer[d]].tail |= mark;
	}
	for (uint32_t i = table->header->buffer_high - 1; i > 0; i--)
		if (table->buffers[i].tail & mark)
			table->buffers[i].tail &= ~mark;
		else
			table_buffer_cool(table, i);
}

void
table_derive(struct table *table)
{
	table_derive_sessions(table);
	table_derive_buffers(table);
}

uint32_t
table_services_used(const struct table *table)
{
	uint32_t used = 0;

	while (used < table->header->services && table->services[used].word != 0)
		used++;
	return used;
}

uint32_t
table_session_claim(struct table *table)
{
	struct table_header *header = table->header;
	uint32_t index = table->free_session;
	struct table_session *session;

	if (index != 0)
		table->free_session = (uint32_t)table->sessions[index].client_fd;
	else if (header->session_high < header->sessions)
		index = header->session_high++;
	else
		return 0;
	session = &table->sessions[index];
	/* All but the word: a death here must not lose the generation. */
	memset((unsigned char *)session + sizeof session->word, 0, sizeof *session - sizeof session->word);
	session->client_fd = session->upstream_fd = -1;
	session->id = header->next_id++;
	return index;
}

enum table_state
table_session_state(const struct table *table, uint32_t session)
{
	return TABLE_STATE(table->sessions[session].word);
}

void
table_session_set(struct table *table, uint32_t session, enum table_state state)
{
	struct table_session *record = &table->sessions[session];

	table_barrier(); /* T2: all other stores come first */
	record->word = (record->word & ~0xffu) | (uint32_t)state;
	table_barrier();
}

void
table_session_free(struct table *table, uint32_t session)
{
	struct table_session *record = &table->sessions[session];

	table_barrier();
	record->word = (TABLE_GENERATION(record->word) + 1) << 8;
	record->client_fd = (int32_t)table->free_session;
	table->free_session = session;
}

static void
table_touch(unsigned char *bytes)
{
	for (size_t i = 0; i < TABLE_BUFFER_SIZE; i += TABLE_PAGE)
		*(volatile unsigned char *)(bytes + i) = 0;
}

uint32_t
table_buffer_claim(struct table *table)
{
	struct table_header *header = table->header;
	uint32_t index = table->warm_buffer;

	if (index != 0) {
		table->warm_buffer = table->buffers[index].head;
		table->warm_buffers--;
		if (table->warm_buffers < table->warm_least)
			table->warm_least = table->warm_buffers;
	} else {
		index = table->cold_buffer;
		if (index != 0)
			table->cold_buffer = table->buffers[index].head;
		else if (header->buffer_high < header->buffers)
			index = header->buffer_high++;
		else
			return 0;
		table_touch(table_buffer_bytes(table, index));
	}
	table->buffers[index].head = table->buffers[index].tail = 0;
	return index;
}

void
table_buffer_free(struct table *table, uint32_t buffer)
{
	table->buffers[buffer].tail = 0;
	if (table->warm_buffers >= TABLE_WARM_BUFFERS) {
		table_buffer_cool(table, buffer);
		return;
	}
	table->buffers[buffer].head = table->warm_buffer;
	table->warm_buffer = buffer;
	table->warm_buffers++;
}

void
table_trim(struct table *table)
{
	uint32_t buffer;

	for (; table->warm_least > 0; table->warm_least--) {
		buffer = table->warm_buffer;
		table->warm_buffer = table->buffers[buffer].head;
		table->warm_buffers--;
		table_buffer_cool(table, buffer);
	}
	table->warm_least = table->warm_buffers;
}

unsigned char *
table_buffer_bytes(const struct table *table, uint32_t buffer)
{
	return table->bytes + (size_t)buffer * TABLE_BUFFER_SIZE;
}

int
table_note_file(struct table *table, int fd)
{
	if (fd > 0 && (uint32_t)fd > table->header->file_high)
		table->header->file_high = (uint32_t)fd;
	return fd;
}

const char *
table_config(const struct table *table, size_t *ret_length)
{
	uint32_t current = table->header->config_current & 1;

	*ret_length = table->header->config_length[current];
	return table->config + current * (size_t)TABLE_CONFIG_MAX;
}

int
table_config_set(struct table *table, const char *text, size_t length)
{
	uint32_t next = ~table->header->config_current & 1;

	if (length > TABLE_CONFIG_MAX)
		return -E2BIG;
	memcpy(table->config + next * (size_t)TABLE_CONFIG_MAX, text, length);
	table->header->config_length[next] = (uint32_t)length;
	table_barrier();
	table->header->config_current = next;
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
