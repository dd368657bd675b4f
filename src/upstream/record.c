#include "upstream/record.h"

#include <arpa/inet.h>
#include <string.h>

#include "keep/crash.h"

struct record_place *
record_open(struct link_record *record)
{
	uint32_t current = record->current & 1;

	record->place[1 - current] = record->place[current];
	return &record->place[1 - current];
}

void
record_commit(struct link_record *record)
{
	CRASH_POINT(LINK_STEPPED);
	table_barrier();
	record->current = 1 - (record->current & 1);
	table_barrier();
	CRASH_POINT(LINK_COMMITTED);
}

void
record_clear(struct link_record *record)
{
	record->begun = 0;
	table_barrier();
	memset(record->place, 0, sizeof *record - offsetof(struct link_record, place));
}

void
record_text(char *place, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (place == text)
		return;
	if (length >= size)
		length = size - 1;
	memmove(place, text, length);
	place[length] = '\0';
}

void
record_set_candidates(struct link_record *record, const struct address *candidates, size_t count)
{
	if (count > RECORD_CANDIDATES)
		count = RECORD_CANDIDATES;
	record->kept = 0; /* else a death here leaves a list that is half of one look-up, half of another */
	table_barrier();
	for (size_t i = 0; i < count; i++) {
		record->candidate[i].socket = candidates[i].socket;
		record->candidate[i].length = candidates[i].socket_length;
		record_text(record->candidate[i].interface, IF_NAMESIZE, candidates[i].host);
	}
	record->candidate_count = (uint32_t)count;
	table_barrier();
	record->kept = 1;
}

void
record_get_candidate(const struct link_record *record, size_t i, struct address *ret_address)
{
	memset(ret_address, 0, sizeof *ret_address);
	ret_address->kind = ADDRESS_SOCKET;
	ret_address->socket = record->candidate[i].socket;
	ret_address->socket_length = record->candidate[i].length;
	record_text(ret_address->host, IF_NAMESIZE, record->candidate[i].interface);
	if (ret_address->socket.ss_family == AF_INET)
		ret_address->port = ntohs(((const struct sockaddr_in *)&ret_address->socket)->sin_port);
	else if (ret_address->socket.ss_family == AF_INET6)
		ret_address->port = ntohs(((const struct sockaddr_in6 *)&ret_address->socket)->sin6_port);
}
