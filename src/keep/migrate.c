#include "keep/migrate.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/buffers.h"
#include "keep/table.h"

/* From the layout before to this one; the first is only bytes, for its records are shorter. */
struct migrate {
	const struct table_shape *shape; /* borrowed: of the layout before */
	struct table from, *to;
};

/* Whether records only grew, and all else is as it was. */
static bool
migrate_is_smaller(const struct table_shape *before, const struct table_shape *own)
{
	return before->header_size <= own->header_size && before->service_size <= own->service_size &&
	    before->client_size <= own->client_size && before->conn_size <= own->conn_size &&
	    (before->client_more == 0 || before->client_more == own->client_more) &&
	    before->buffer_size == own->buffer_size &&
	    before->services == own->services && before->buffers == own->buffers &&
	    before->classes == own->classes && before->smallest == own->smallest;
}

/* Reads the shape of the table in the file, if it is one of the layout before. */
static int
migrate_check(int fd, struct table_shape *ret_shape)
{
	struct table_shape own;
	struct stat status;
	struct table places;

	if (fstat(fd, &status) == -1)
		return -errno;
	if (pread(fd, ret_shape, sizeof *ret_shape, 0) != sizeof *ret_shape ||
	    memcmp(ret_shape->magic, TABLE_MAGIC, sizeof ret_shape->magic) != 0 ||
	    ret_shape->layout < TABLE_LAYOUT_FIRST || ret_shape->layout + 1 != TABLE_LAYOUT ||
	    ret_shape->files == 0 || ret_shape->files > TABLE_FILES_MAX ||
	    (uint64_t)status.st_size != ret_shape->size)
		return -EPROTO;
	table_shape(ret_shape->files, &own);
	return migrate_is_smaller(ret_shape, &own) && table_lay_out(&places, NULL, ret_shape) == ret_shape->size ? 0
	    : -EPROTO;
}

/* Copies number records, each longer now, of which the last bytes stay 0. */
static void
migrate_copy_records(void *to, size_t to_size, const void *from, size_t from_size, size_t number)
{
	for (size_t i = 0; i < number; i++)
		memcpy((unsigned char *)to + i * to_size, (const unsigned char *)from + i * from_size, from_size);
}

/* The bytes of a buffer that somebody names; the others hold nothing. */
static void
migrate_copy_buffer(void *arg, const struct table_held *held)
{
	const struct migrate *migrate = arg;

	if (held->buffer != 0 && held->buffer < migrate->shape->buffers)
		memcpy(buffers_bytes(migrate->to, held->buffer), buffers_bytes(&migrate->from, held->buffer),
		    buffers_size(migrate->to, held->buffer));
}

static void
migrate_copy_header(const struct migrate *migrate)
{
	struct table_header *header = migrate->to->header;
	struct table_shape own = header->shape;
	int memory_fd = header->file[TABLE_FILE_MEMORY];

	memcpy(header, migrate->from.header, migrate->shape->header_size);
	header->shape = own;
	header->file[TABLE_FILE_MEMORY] = table_note_file(migrate->to, memory_fd);
}

/* As table_services_used(): to copy those beyond would give them memory. */
static size_t
migrate_services_used(const struct migrate *migrate)
{
	const unsigned char *service = (const unsigned char *)migrate->from.services;
	size_t used = 0;
	uint32_t word;

	for (; used < migrate->shape->services; used++) {
		memcpy(&word, service + used * migrate->shape->service_size, sizeof word);
		if (word == 0)
			break;
	}
	return used;
}

/* Labels and tracks that count; to copy others would give them memory. */
static void
migrate_copy_more(const struct migrate *migrate)
{
	struct table *to = migrate->to;

	for (uint32_t i = 1; migrate->shape->client_more != 0 && i < to->header->client_high; i++) {
		if (to->clients[i].flags & TABLE_CLIENT_LABELLED)
			to->labels[i] = migrate->from.labels[i];
		if (to->clients[i].flags & TABLE_CLIENT_TRACKED)
			to->tracks[i] = migrate->from.tracks[i];
	}
}

/* false: what is there is no table of ours, whatever it says. */
static bool
migrate_copy(struct migrate *migrate)
{
	const struct table_shape *shape = migrate->shape;
	struct table *to = migrate->to, *from = &migrate->from;
	struct table_header *header = to->header;

	migrate_copy_header(migrate);
	if (!table_is_sane(to))
		return false;
	migrate_copy_records(to->services, sizeof *to->services, from->services, shape->service_size,
	    migrate_services_used(migrate));
	migrate_copy_records(to->clients, sizeof *to->clients, from->clients, shape->client_size,
	    header->client_high);
	migrate_copy_records(to->conns, sizeof *to->conns, from->conns, shape->conn_size, header->conn_high);
	migrate_copy_more(migrate);
	table_each_held(to, migrate_copy_buffer, migrate);
	for (size_t i = 0; i < 2; i++)
		memcpy(to->config + i * TABLE_CONFIG_MAX, from->config + i * TABLE_CONFIG_MAX,
		    header->config_length[i]);
	for (uint32_t c = 0; c <= TABLE_LEAN; c++)
		memcpy(to->buffers + to->class[c].first, from->buffers + to->class[c].first,
		    (header->buffer_high[c] - to->class[c].first) * sizeof *to->buffers);
	return true;
}

static int
migrate_convert(int fd, struct table *ret_table)
{
	struct table_shape shape;
	struct migrate migrate = { .shape = &shape, .to = ret_table };
	int error = migrate_check(fd, &shape);
	void *memory;

	if (error < 0)
		return error;
	memory = mmap(NULL, (size_t)shape.size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	table_lay_out(&migrate.from, memory, &shape);
	error = table_new(shape.files - 1, ret_table);
	if (error == 0 && !migrate_copy(&migrate)) {
		table_free(ret_table);
		error = -EPROTO;
	}
	munmap(memory, (size_t)shape.size);
	return error;
}

int
migrate_open(int fd, struct table *ret_table, bool *ret_copied)
{
	int error = table_open(fd, false, ret_table);

	*ret_copied = error == -EPROTO && (error = migrate_convert(fd, ret_table)) == 0;
	return error;
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
	int error = table_open(fd, true, ret_table);

	if (error != -EPROTO)
		return error;
	while ((error = migrate_convert(fd, ret_table)) == 0 && migrate_has_changed(fd, ret_table))
		table_free(ret_table);
	return error;
}
