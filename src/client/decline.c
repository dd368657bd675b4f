#include "client/decline.h"

#include <string.h>

#include "client/ring.h"
#include "keep/io_journal.h"

/* "PostgreSQL: Frontend/Backend Protocol", 55.7: a length, and a number in place of a version. */
static const unsigned char decline_ssl[DECLINE_REQUEST] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };
static const unsigned char decline_gss[DECLINE_REQUEST] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30 };

bool
decline_is_meant(const unsigned char *bytes, size_t length)
{
	return length >= DECLINE_REQUEST && (memcmp(bytes, decline_ssl, DECLINE_REQUEST) == 0 ||
	    memcmp(bytes, decline_gss, DECLINE_REQUEST) == 0);
}

/* B8.  What cannot be answered, as its client does not read or is gone, goes the way of all else. */
void
decline_requests(struct table *table, uint32_t client)
{
	uint32_t index = table->clients[client].buffer[TABLE_UP];

	while (decline_is_meant(ring_bytes(table, index), ring_length(table, index)))
		if (!io_journal_decline(table, client, DECLINE_REQUEST))
			return;
}
