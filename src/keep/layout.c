#include "keep/layout.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define LAYOUT_PAGE    4096u
#define LAYOUT_LEAST   64u       /* files */
#define LAYOUT_BUFFERS 4u        /* at least, of each class */
#define LAYOUT_FILE_SIZE (2u * TABLE_CLASSES * TABLE_BUFFER_SIZE + 65536u) /* more than is mapped for each */

/* Gives each class of buffers its indexes, from 1 on; how many there are in all, with the one that is none.  Each
 * class has as many bytes as the smallest one, but at least so many buffers. */
static uint32_t
layout_number_buffers(struct table *table, uint32_t files)
{
	uint32_t next = 1, number;

	for (uint32_t i = 0; i <= TABLE_LEAN; i++) {
		number = i == TABLE_LEAN ? 2 * files : 2 * files >> 2 * i;
		table->class[i].first = next;
		next += number > LAYOUT_BUFFERS ? number : LAYOUT_BUFFERS;
		table->class[i].end = next;
	}
	return next;
}

/* Takes size bytes of memory at *offset, whole pages; NULL while memory is NULL and only counted. */
static void *
layout_place(unsigned char *memory, size_t *offset, size_t size)
{
	void *place = memory == NULL ? NULL : memory + *offset;

	*offset += (size + LAYOUT_PAGE - 1) & ~(size_t)(LAYOUT_PAGE - 1);
	return place;
}

size_t
table_lay_out(struct table *table, void *memory, const struct table_shape *shape)
{
	size_t offset = 0;

	layout_number_buffers(table, shape->files);
	table->header = layout_place(memory, &offset, shape->header_size);
	table->services = layout_place(memory, &offset, (size_t)shape->services * shape->service_size);
	table->clients = layout_place(memory, &offset, (size_t)shape->files * shape->client_size);
	table->conns = layout_place(memory, &offset, (size_t)shape->files * shape->conn_size);
	table->buffers = layout_place(memory, &offset, (size_t)shape->buffers * shape->buffer_size);
	table->config = layout_place(memory, &offset, 2 * (size_t)TABLE_CONFIG_MAX);
	if (shape->client_more != 0) {
		table->labels = layout_place(memory, &offset, (size_t)shape->files * sizeof *table->labels);
		table->tracks = layout_place(memory, &offset, (size_t)shape->files * (shape->client_more -
		    sizeof *table->labels));
	}
	for (uint32_t i = 0; i <= TABLE_LEAN; i++)
		table->class[i].bytes = layout_place(memory, &offset,
		    (table->class[i].end - table->class[i].first) * table_class_size(i));
	return offset;
}

void
table_shape(uint32_t files, struct table_shape *ret_shape)
{
	struct table table;

	*ret_shape = (struct table_shape){
		.magic = TABLE_MAGIC, .layout = TABLE_LAYOUT, .services = TABLE_SERVICES, .files = files,
		.buffers = layout_number_buffers(&table, files),
		.header_size = sizeof(struct table_header), .service_size = sizeof(struct table_service),
		.client_size = sizeof(struct table_client),
		.conn_size = sizeof(struct table_conn), .buffer_size = sizeof(struct table_buffer),
		.classes = TABLE_CLASSES, .smallest = TABLE_BUFFER_SIZE,
		.client_more = sizeof(struct table_label) + sizeof(struct table_track),
	};
	ret_shape->size = table_lay_out(&table, NULL, ret_shape);
}

static void
layout_write_header(const struct table *table, const struct table_shape *shape, int memory_fd)
{
	struct table_header *header = table->header;

	for (int i = 0; i < TABLE_FILES; i++)
		header->file[i] = -1;
	for (uint32_t i = 0; i <= TABLE_PIPES; i++)
		header->pipe[i].read_fd = header->pipe[i].write_fd = -1;
	header->control.fd = header->metrics.fd = -1;
	header->file[TABLE_FILE_MEMORY] = memory_fd;
	header->client_high = header->conn_high = 1;
	for (uint32_t i = 0; i <= TABLE_LEAN; i++)
		header->buffer_high[i] = table->class[i].first;
	header->next_id = 1;
	header->started = clock_wall();
	header->shape = *shape;
}

static void
layout_new_index(struct table_index *index, const struct table_shape *shape)
{
	index->service = mem_new(shape->services, sizeof *index->service);
	index->record = mem_new(shape->files, sizeof *index->record);
}

/* Maps fd, which has the size of a table of this shape. */
static int
layout_map(int fd, int flags, const struct table_shape *shape, struct table *ret_table)
{
	struct table table = { 0 };
	void *memory = mmap(NULL, (size_t)shape->size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	madvise(memory, (size_t)shape->size, MADV_DONTDUMP);
	table_lay_out(&table, memory, shape);
	table.shape = *shape;
	for (int i = 0; i < TABLE_FILES; i++)
		table.file[i] = TABLE_FILE_UNKNOWN;
	table.budget = budget_new(TABLE_SERVICES, TABLE_BUFFER_SIZE);
	table.pages = mem_new(shape->buffers, sizeof *table.pages);
	table.taken_by = mem_new(shape->files, sizeof *table.taken_by);
	layout_new_index(&table.client_index, shape);
	layout_new_index(&table.conn_index, shape);
	*ret_table = table;
	return 0;
}

static void
layout_free_index(struct table_index *index)
{
	mem_free(index->service);
	mem_free(index->record);
}

void
table_free_open(struct table *table)
{
	if (table->conns_open != NULL)
		munmap(table->conns_open, TABLE_OPEN_SIZE);
	table->conns_open = NULL;
}

static void
layout_unmap(struct table *table)
{
	munmap(table->header, (size_t)table->shape.size);
	mem_free(table->stray);
	table_free_open(table);
	mem_free(table->taken_by);
	mem_free(table->pages);
	layout_free_index(&table->client_index);
	layout_free_index(&table->conn_index);
	budget_free(table->budget);
	*table = (struct table){ 0 };
}

static bool
layout_fits(uint32_t files)
{
	struct table_shape shape;
	size_t size;
	void *room;

	if ((uint64_t)files * LAYOUT_FILE_SIZE > SIZE_MAX / 4)
		return false;
	table_shape(files, &shape);
	size = (size_t)(shape.size + shape.size / 4);
	room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return room != MAP_FAILED && munmap(room, size) == 0;
}

uint32_t
table_fitting(uint32_t files_max)
{
	uint32_t files = files_max < TABLE_FILES_MAX ? files_max : TABLE_FILES_MAX;

	while (files > LAYOUT_LEAST && !layout_fits(files))
		files = files - files / 8 > LAYOUT_LEAST ? files - files / 8 : LAYOUT_LEAST;
	return files;
}

int
table_new(uint32_t files_max, struct table *ret_table)
{
	struct table_shape shape;
	int error, fd = memfd_create("holdfast", MFD_CLOEXEC);

	if (fd == -1)
		return -errno;
	table_shape(files_max < TABLE_FILES_MAX ? files_max + 1 : TABLE_FILES_MAX, &shape);
	error = ftruncate(fd, (off_t)shape.size) == -1 ? -errno : layout_map(fd, MAP_SHARED, &shape, ret_table);
	if (error < 0)
		close(fd);
	else
		layout_write_header(ret_table, &shape, fd);
	if (error == 0)
		ret_table->file[TABLE_FILE_MEMORY] = fd;
	return error;
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
	if (pread(fd, &found, sizeof found, 0) != sizeof found || found.files == 0 || found.files > TABLE_FILES_MAX)
		return -EPROTO;
	table_shape(found.files, &own);
	if (memcmp(&found, &own, sizeof own) != 0 || (uint64_t)status.st_size != own.size)
		return -EPROTO;
	error = layout_map(fd, copy ? MAP_PRIVATE : MAP_SHARED, &own, ret_table);
	if (error < 0)
		return error;
	if (!table_is_sane(ret_table)) {
		layout_unmap(ret_table);
		return -EPROTO;
	}
	ret_table->header->file[TABLE_FILE_MEMORY] = ret_table->file[TABLE_FILE_MEMORY] = fd;
	return 0;
}

void
table_free(struct table *table)
{
	int fd;

	if (table->header == NULL)
		return;
	fd = table->header->file[TABLE_FILE_MEMORY];
	layout_unmap(table);
	close(fd);
}
