/* script.h - what a look-up script has said about where the endpoints of a service are.
 *
 * The protocol is that of holdfast-lookup(7): one address a line, with priority= and weight= behind it perhaps, best
 * first, exit 0; or the single line "abort: REASON".  Anything else is a failed look-up whose text names the cause.
 */
#ifndef HOLDFAST_UPSTREAM_SCRIPT_H
#define HOLDFAST_UPSTREAM_SCRIPT_H

#include <stddef.h>

#include "base/child.h"
#include "upstream/endpoints.h"

#define SCRIPT_OUTPUT_MAX 65536

/* NULL, with up to ENDPOINTS_MAX addresses, or with none and a reason in *ret_abort (owned by the caller; P21); else
 * what is wrong (likewise): "look-up script: exit 1: no route to the database". */
char *script_read(const struct child_result *child, struct endpoint_listed ret_endpoints[ENDPOINTS_MAX],
    size_t *ret_count, char **ret_abort);

#endif
