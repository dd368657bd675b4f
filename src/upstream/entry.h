/* entry.h - what a source of lookups says of where the endpoints of a service are: the lines of a script, the first
 * line of a catalog's file.
 */
#ifndef HOLDFAST_UPSTREAM_ENTRY_H
#define HOLDFAST_UPSTREAM_ENTRY_H

#include <stddef.h>

#include "base/child.h"
#include "upstream/endpoints.h"

#define ENTRY_OUTPUT_MAX 65536 /* of a script */

/* Parses ADDRESS [ttl=SECONDS] [priority=N] [weight=N], changing line.  ret_ttl gets microseconds, CLOCK_NEVER if
 * none is given; where it is NULL, for a script's line, ttl= is no such word, and the address may have blanks.  NULL,
 * or a static text. */
const char *entry_parse(char *line, struct endpoint_listed *ret_listed, int64_t *ret_ttl);

/* What a script has said, by the protocol of holdfast-lookup(7): one address a line, best first, exit 0; or the
 * single line "abort: REASON".  NULL, with up to ENDPOINTS_MAX addresses, or with none and a reason in *ret_abort
 * (owned by the caller; P21); else what is wrong (likewise): "lookup script: exit 1: no route to the database". */
char *entry_read_script(const struct child_result *child, struct endpoint_listed ret_endpoints[ENDPOINTS_MAX],
    size_t *ret_count, char **ret_abort);

#endif
