/* The memory that another program has left: what is none of ours is refused, and what is opened can be followed.  An
 * input begins with the length that is left of it, in pages (16 bits, 0: all); the bytes behind are changes as those
 * of table.c, of the header alone. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keep/migrate.h"
#include "keep/table.h"
#include "pieces.h"

#define CHANGE 4
#define HEAD   2

static struct table own;
static unsigned char before[sizeof(struct table_header)];

static void
begin(void)
{
	if (table_new(4, &own) < 0)
		abort();
	table_config_set(&own, "services: { };", 14);
	memcpy(before, own.header, sizeof before);
}

static void
put(const uint8_t *data, size_t size)
{
	unsigned char *bytes = (unsigned char *)own.header;

	for (; size >= CHANGE; data += CHANGE, size -= CHANGE)
		bytes[((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % sizeof before] = data[3];
}

static void
look(int fd)
{
	struct table found;
	size_t length;
	char *text;

	if (migrate_look(fd, &found) < 0)
		return;
	assert(found.header->client_high <= found.shape.files && found.header->conn_high <= found.shape.files);
	text = table_config_copy(&found, &length);
	assert(length <= TABLE_CONFIG_MAX);
	free(text);
	found.header->file[TABLE_FILE_MEMORY] = -1;
	table_free(&found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t pages;
	int fd;

	if (own.header == NULL)
		begin();
	if (size < HEAD)
		return 0;
	memcpy(own.header, before, sizeof before);
	put(data + HEAD, size - HEAD);
	fd = own.file[TABLE_FILE_MEMORY];
	pages = (size_t)data[0] << 8 | data[1];
	if (pages != 0) { /* a copy of its begin, cut short */
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		if (fd == -1 || ftruncate(fd, (off_t)pages * 64) == -1 ||
		    pwrite(fd, own.header, pages * 64 < sizeof before ? pages * 64 : sizeof before, 0) == -1)
			abort();
	}
	look(fd);
	if (pages != 0)
		close(fd);
	return 0;
}
