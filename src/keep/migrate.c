#include "keep/migrate.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/buffers.h"

#define MIGRATE_PAGE 4096u

/* A table of the layout before, as bytes. */
struct migrate {
	struct table_shape shape;
	const unsigned char *header, *services, *clients, *conns, *buffers, *config, *bytes; /* borrowed */
};

static const unsigned char *
migrate_place(const unsigned char **next, size_t size)
{
	const unsigned char *place = *next;

	*next += (size + MIGRATE_PAGE - 1) & ~(size_t)(MIGRATE_PAGE - 1);
	return place;
}

/* Where the arrays begin, by the sizes that the header tells. */
static void
migrate_lay_out(struct migrate *migrate, const unsigned char *memory)
{
	const struct table_shape *shape = &migrate->shape;
	const unsigned char *next = memory;

	migrate->header = migrate_place(&next, shape->header_size);
	migrate->services = migrate_place(&next, (size_t)shape->services * shape->service_size);
	migrate->clients = migrate_place(&next, (size_t)shape->files * shape->client_size);
	migrate->conns = migrate_place(&next, (size_t)shape->files * shape->conn_size);
	migrate->buffers = migrate_place(&next, (size_t)shape->buffers * shape->buffer_size);
	migrate->config = migrate_place(&next, 2 * (size_t)TABLE_CONFIG_MAX);
	migrate->bytes = next;
}

static bool
migrate_is_smaller(const struct table_shape *migrate, const struct table_shape *own)
{
	return migrate->header_size <= own->header_size && migrate->service_size <= own->service_size &&
	    migrate->client_size <= own->client_size && migrate->conn_size <= own->conn_size &&
	    migrate->buffer_size == own->buffer_size &&
	    migrate->services == own->services && migrate->buffers == own->buffers &&
	    migrate->classes == own->classes && migrate->smallest == own->smallest;
}

/* Which layout it has, if it is one to go on with. */
static int
migrate_check(int fd, uint32_t *ret_layout)
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
	return found.layout + 1 == TABLE_LAYOUT && migrate_is_smaller(&found, &own) ? 0 : -EPROTO;
}

/* Copies number records, each longer now, of which the last bytes stay 0. */
static void
migrate_copy_records(void *to, size_t to_size, const unsigned char *from, size_t from_size, size_t number)
{
	for (size_t i = 0; i < number; i++)
		memcpy((unsigned char *)to + i * to_size, from + i * from_size, from_size);
}

static void
migrate_copy_buffer(const struct migrate *migrate, struct table *table, uint32_t buffer)
{
	unsigned char *bytes;

	if (buffer == 0 || buffer >= migrate->shape.buffers)
		return;
	bytes = buffers_bytes(table, buffer);
	memcpy(bytes, migrate->bytes + (bytes - table->class[0].bytes), buffers_size(table, buffer));
}

/* The bytes of those buffers that somebody names; the others hold nothing. */
static void
migrate_copy_buffers(const struct migrate *migrate, struct table *table)
{
	uint32_t used = table_services_used(table);

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) != TABLE_FREE)
			for (int d = 0; d < 2; d++)
				migrate_copy_buffer(migrate, table, table->clients[i].buffer[d]);
	for (uint32_t i = 0; i < used; i++) {
		migrate_copy_buffer(migrate, table, table->services[i].shared.in);
		migrate_copy_buffer(migrate, table, table->services[i].shared.out);
		migrate_copy_buffer(migrate, table, table->services[i].shared.pending);
	}
}

static void
migrate_copy_header(const struct migrate *migrate, struct table *table)
{
	struct table_header *header = table->header;
	struct table_shape own = header->shape;
	int memory_fd = header->file[TABLE_FILE_MEMORY];

	memcpy(header, migrate->header, migrate->shape.header_size);
	header->shape = own;
	header->file[TABLE_FILE_MEMORY] = table_note_file(table, memory_fd);
}

/* As table_services_used(): to copy those beyond would give them memory. */
static size_t
migrate_services_used(const struct migrate *migrate)
{
	size_t used = 0;
	uint32_t word;

	for (; used < migrate->shape.services; used++) {
		memcpy(&word, migrate->services + used * migrate->shape.service_size, sizeof word);
		if (word == 0)
			break;
	}
	return used;
}

/* Whether the arrays, by the sizes that the header tells, are as long as the memory. */
static bool
migrate_is_whole(const struct migrate *migrate, const struct table *table)
{
	const unsigned char *own = (const unsigned char *)table->header;
	size_t of_buffers = (size_t)table->header->shape.size - (size_t)(table->class[0].bytes - own);

	return (size_t)(migrate->bytes - migrate->header) + of_buffers == migrate->shape.size;
}

/* false: what is there is no table of ours, whatever it says. */
static bool
migrate_copy(const struct migrate *migrate, struct table *table)
{
	struct table_header *header = table->header;

	if (!migrate_is_whole(migrate, table))
		return false;
	migrate_copy_header(migrate, table);
	if (!table_is_sane(table))
		return false;
	migrate_copy_records(table->services, sizeof *table->services, migrate->services, migrate->shape.service_size,
	    migrate_services_used(migrate));
	migrate_copy_records(table->clients, sizeof *table->clients, migrate->clients, migrate->shape.client_size,
	    header->client_high);
	migrate_copy_records(table->conns, sizeof *table->conns, migrate->conns, migrate->shape.conn_size,
	    header->conn_high);
	migrate_copy_buffers(migrate, table);
	for (size_t i = 0; i < 2; i++)
		memcpy(table->config + i * TABLE_CONFIG_MAX, migrate->config + i * TABLE_CONFIG_MAX,
		    header->config_length[i]);
	for (uint32_t c = 0; c <= TABLE_LEAN; c++)
		memcpy(table->buffers + table->class[c].first,
		    migrate->buffers + (size_t)table->class[c].first * migrate->shape.buffer_size,
		    (header->buffer_high[c] - table->class[c].first) * sizeof *table->buffers);
	return true;
}

static int
migrate_convert(int fd, struct table *ret_table)
{
	struct migrate migrate;
	void *memory;
	int error;

	if (pread(fd, &migrate.shape, sizeof migrate.shape, 0) != sizeof migrate.shape ||
	    migrate.shape.size > SIZE_MAX)
		return -EPROTO;
	memory = mmap(NULL, (size_t)migrate.shape.size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	migrate_lay_out(&migrate, memory);
	error = table_new(migrate.shape.files - 1, ret_table);
	if (error == 0 && !migrate_copy(&migrate, ret_table)) {
		table_free(ret_table);
		error = -EPROTO;
	}
	munmap(memory, (size_t)migrate.shape.size);
	return error;
}

static int
migrate_take(int fd, bool copy, struct table *ret_table, bool *ret_copied)
{
	uint32_t layout;
	int error = migrate_check(fd, &layout);

	*ret_copied = false;
	if (error < 0)
		return error;
	if (layout == TABLE_LAYOUT)
		return table_open(fd, copy, ret_table);
	*ret_copied = true;
	return migrate_convert(fd, ret_table);
}

int
migrate_open(int fd, struct table *ret_table, bool *ret_copied)
{
	return migrate_take(fd, false, ret_table, ret_copied);
}

/* Whether another configuration was put in force while the table was copied: it may be torn. */
static bool
migrate_has_changed(int fd, const struct table *table)
{
	uint32_t current = 0;

	return pread(fd, &current, sizeof current, offsetof(struct table_header, config_current)) == sizeof current &&
	    current != table->header->config_current;
}

int
migrate_look(int fd, struct table *ret_table)
{
	bool copied;
	int error;

	while ((error = migrate_take(fd, true, ret_table, &copied)) == 0 && copied &&
	    migrate_has_changed(fd, ret_table))
		table_free(ret_table);
	return error;
}
