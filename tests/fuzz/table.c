/* A copy of a live table in which bytes have changed: what the audit lets pass, a new worker can follow.  An input is
 * a list of changes, of five bytes each: the part, the place in it (24 bits), the new byte. */
#include "base/clock.h"
#include "../unit/audit_world.h"
#include "pieces.h"

#define CHANGE 5

#define PARTS  8

static unsigned char *before[PARTS];

/* The parts that the world uses. */
static unsigned char *
part_of(unsigned number, size_t *ret_size)
{
	unsigned char *const begins[] = { (unsigned char *)audited.header, (unsigned char *)&audited.services[0],
		(unsigned char *)&audited.services[1], (unsigned char *)audited.clients,
		(unsigned char *)audited.conns, (unsigned char *)audited.buffers,
		(unsigned char *)&audited.services[1].shared, audited.services[1].upstream };
	const size_t sizes[] = { sizeof *audited.header, sizeof *audited.services, sizeof *audited.services,
		8 * sizeof *audited.clients, 8 * sizeof *audited.conns, 16 * sizeof *audited.buffers,
		sizeof audited.services[1].shared, 8192 };

	*ret_size = sizes[number % PARTS];
	return begins[number % PARTS];
}

static void
begin(void)
{
	size_t size;

	audit_world_new();
	for (unsigned i = 0; i < PARTS; i++) {
		const unsigned char *part = part_of(i, &size);

		before[i] = malloc(size);
		memcpy(before[i], part, size);
	}
}

/* Only what is changed was ever used. */
static void
put_back(void)
{
	size_t size;

	for (unsigned i = 0; i < PARTS; i++) {
		unsigned char *part = part_of(i, &size);

		memcpy(part, before[i], size);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (before[0] == NULL)
		begin();
	put_back();
	for (; size >= CHANGE; data += CHANGE, size -= CHANGE) {
		size_t there, at = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
		unsigned char *part = part_of(data[0], &there);

		part[at % there] = data[4];
	}
	audit_world_judge();
	audit_world_walk();
	audit_world_judge(); /* and what was put right stays so */
	audit_world_walk();
	return 0;
}
