/* fake_upstream.h - for tests: what client/ calls of a service's upstream, in place of upstream/upstream. */
#ifndef TESTS_UNIT_FAKE_UPSTREAM_H
#define TESTS_UNIT_FAKE_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "keep/table.h"
#include "upstream/upstream.h"

/* What it has, and what it was told. */
struct remote {
	const struct table *table;
	uint32_t (*take)(void); /* the next connection, or 0 */
	unsigned taken, answered, unused, held, lost, let_go;
	int64_t unused_age;
	char reason[128];       /* of the last loss */
	bool refuses, up;
};

extern struct remote remote;

#endif
