/* decline.h - answers PostgreSQL's clients that ask for encryption on their way to us.
 *
 * A client of libpq that does not come by a Unix socket asks so before all else (SSLRequest, GSSENCRequest) and waits
 * for a byte: N is no.  The server, which is spoken to within TLS already, would take such a request for an error.
 */
#ifndef HOLDFAST_CLIENT_DECLINE_H
#define HOLDFAST_CLIENT_DECLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/table.h"

#define DECLINE_REQUEST 8u /* bytes of one */

/* Whether the bytes begin with such a request.  Pure. */
bool decline_is_meant(const unsigned char *bytes, size_t length);

/* Answers the requests that what the client's buffer holds for the upstream begins with, and takes them out of it:
 * each in one step of the table, so that no death has one answered twice, or not at all. */
void decline_requests(struct table *table, uint32_t client);

#endif
