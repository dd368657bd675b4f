/* entry.h - a line that says where an endpoint is: the first of a catalog's file, or one that a script prints. */
#ifndef HOLDFAST_UPSTREAM_ENTRY_H
#define HOLDFAST_UPSTREAM_ENTRY_H

#include "upstream/endpoints.h"

/* Parses ADDRESS [ttl=SECONDS] [priority=N] [weight=N], changing line.  ret_ttl gets microseconds, CLOCK_NEVER if
 * none is given; where it is NULL, for a script's line, ttl= is no such word, and the address may have blanks.  NULL,
 * or a static text. */
const char *entry_parse(char *line, struct endpoint_listed *ret_listed, int64_t *ret_ttl);

#endif
