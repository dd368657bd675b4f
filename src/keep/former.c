#include "keep/former.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/buffers.h"

#define FORMER_PAGE 4096u

/* A table of the layout before, as bytes. */
struct former {
	struct table_shape shape;
	const unsigned char *header, *services, *clients, *conns, *buffers, *config, *bytes; /* borrowed */
};

static const unsigned char *
former_place(const unsigned char **next, size_t size)
{
	const unsigned char *place = *next;

	*next += (size + FORMER_PAGE - 1) & ~(size_t)(FORMER_PAGE - 1);
	return place;
}

/* Where the arrays begin, by the sizes that the header tells. */
static void
former_lay_out(struct former *former, const unsigned char *memory)
{
	const struct table_shape *shape = &former->shape;
	const unsigned char *next = memory;

	former->header = former_place(&next, shape->header_size);
	former->services = former_place(&next, (size_t)shape->services * shape->service_size);
	former->clients = former_place(&next, (size_t)shape->files * shape->client_size);
	former->conns = former_place(&next, (size_t)shape->files * shape->conn_size);
	former->buffers = former_place(&next, (size_t)shape->buffers * shape->buffer_size);
	former->config = former_place(&next, 2 * (size_t)TABLE_CONFIG_MAX);
	former->bytes = next;
}

static bool
former_is_smaller(const struct table_shape *former, const struct table_shape *own)
{
	return former->header_size <= own->header_size && former->service_size <= own->service_size &&
	    former->client_size <= own->client_size && former->conn_size <= own->conn_size &&
	    former->buffer_size == own->buffer_size &&
	    former->services == own->services && former->buffers == own->buffers &&
	    former->classes == own->classes && former->smallest == own->smallest;
}

/* Which layout it has, if it is one to go on with. */
static int
former_check(int fd, uint32_t *ret_layout)
{
	struct table_shape found, own;
	struct stat status;

	*ret_layout = 0;
	if (fstat(fd, &status) == -1)
		return -errno;
	if (pread(fd, &found, sizeof found, 0) != sizeof found ||
	    memcmp(found.magic, TABLE_MAGIC, sizeof found.magic) != 0 || found.layout < TABLE_LAYOUT_FIRST ||
	    found.files == 0 || found.files > TABLE_FILES_MAX)
		return -EPROTO;
	*ret_layout = found.layout;
	table_shape(found.files, &own);
	if ((uint64_t)status.st_size != found.size)
		return -EPROTO;
	if (found.layout == TABLE_LAYOUT)
		return memcmp(&found, &own, sizeof own) == 0 ? 0 : -EPROTO;
	return found.layout + 1 == TABLE_LAYOUT && former_is_smaller(&found, &own) ? 0 : -EPROTO;
}

/* Copies number records, each longer now, of which the last bytes stay 0. */
static void
former_copy_records(void *to, size_t to_size, const unsigned char *from, size_t from_size, size_t number)
{
	for (size_t i = 0; i < number; i++)
		memcpy((unsigned char *)to + i * to_size, from + i * from_size, from_size);
}

static void
former_copy_buffer(const struct former *former, struct table *table, uint32_t buffer)
{
	unsigned char *bytes;

	if (buffer == 0 || buffer >= former->shape.buffers)
		return;
	bytes = buffers_bytes(table, buffer);
	memcpy(bytes, former->bytes + (bytes - table->class[0].bytes), buffers_size(table, buffer));
}

/* The bytes of those buffers that somebody names; the others hold nothing. */
static void
former_copy_buffers(const struct former *former, struct table *table)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) != TABLE_FREE)
			for (int d = 0; d < 2; d++)
				former_copy_buffer(former, table, table->clients[i].buffer[d]);
	for (uint32_t i = 0; i < used; i++) {
		former_copy_buffer(former, table, table->services[i].shared.in);
		former_copy_buffer(former, table, table->services[i].shared.out);
		former_copy_buffer(former, table, table->services[i].shared.owed);
	}
}

static void
former_copy_header(const struct former *former, struct table *table)
{
	struct table_header *header = table->header;
	struct table_shape own = header->shape;
	int memory_fd = header->file[TABLE_FILE_MEMORY];

	memcpy(header, former->header, former->shape.header_size);
	header->shape = own;
	header->file[TABLE_FILE_MEMORY] = table_note_file(table, memory_fd);
}

/* As table_services_used(): to copy those beyond would give them memory. */
static size_t
former_services_used(const struct former *former)
{
	size_t used = 0;
	uint32_t word;

	for (; used < former->shape.services; used++) {
		memcpy(&word, former->services + used * former->shape.service_size, sizeof word);
		if (word == 0)
			break;
	}
	return used;
}

/* Whether the arrays, by the sizes that the header tells, are as long as the memory. */
static bool
former_is_whole(const struct former *former, const struct table *table)
{
	const unsigned char *own = (const unsigned char *)table->header;
	size_t of_buffers = (size_t)table->header->shape.size - (size_t)(table->class[0].bytes - own);

	return (size_t)(former->bytes - former->header) + of_buffers == former->shape.size;
}

/* false: what is there is no table of ours, whatever it says. */
static bool
former_copy(const struct former *former, struct table *table)
{
	struct table_header *header = table->header;

	if (!former_is_whole(former, table))
		return false;
	former_copy_header(former, table);
	if (!table_is_sane(table))
		return false;
	former_copy_records(table->services, sizeof *table->services, former->services, former->shape.service_size,
	    former_services_used(former));
	former_copy_records(table->clients, sizeof *table->clients, former->clients, former->shape.client_size,
	    header->client_high);
	former_copy_records(table->conns, sizeof *table->conns, former->conns, former->shape.conn_size,
	    header->conn_high);
	former_copy_buffers(former, table);
	for (size_t i = 0; i < 2; i++)
		memcpy(table->config + i * TABLE_CONFIG_MAX, former->config + i * TABLE_CONFIG_MAX,
		    header->config_length[i]);
	for (uint32_t c = 0; c <= TABLE_LEAN; c++)
		memcpy(table->buffers + table->class[c].first,
		    former->buffers + (size_t)table->class[c].first * former->shape.buffer_size,
		    (header->buffer_high[c] - table->class[c].first) * sizeof *table->buffers);
	return true;
}

static int
former_convert(int fd, struct table *ret_table)
{
	struct former former;
	void *memory;
	int error;

	if (pread(fd, &former.shape, sizeof former.shape, 0) != sizeof former.shape || former.shape.size > SIZE_MAX)
		return -EPROTO;
	memory = mmap(NULL, (size_t)former.shape.size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	former_lay_out(&former, memory);
	error = table_new(former.shape.files - 1, ret_table);
	if (error == 0 && !former_copy(&former, ret_table)) {
		table_free(ret_table);
		error = -EPROTO;
	}
	munmap(memory, (size_t)former.shape.size);
	return error;
}

static int
former_take(int fd, bool copy, struct table *ret_table, bool *ret_copied)
{
	uint32_t layout;
	int error = former_check(fd, &layout);

	*ret_copied = false;
	if (error < 0)
		return error;
	if (layout == TABLE_LAYOUT)
		return table_open(fd, copy, ret_table);
	*ret_copied = true;
	return former_convert(fd, ret_table);
}

int
former_open(int fd, struct table *ret_table, bool *ret_copied)
{
	return former_take(fd, false, ret_table, ret_copied);
}

/* Whether another configuration was put in force while the table was copied: it may be torn. */
static bool
former_has_changed(int fd, const struct table *table)
{
	uint32_t current = 0;

	return pread(fd, &current, sizeof current, offsetof(struct table_header, config_current)) == sizeof current &&
	    current != table->header->config_current;
}

int
former_look(int fd, struct table *ret_table)
{
	bool copied;
	int error;

	while ((error = former_take(fd, true, ret_table, &copied)) == 0 && copied &&
	    former_has_changed(fd, ret_table))
		table_free(ret_table);
	return error;
}
