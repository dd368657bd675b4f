#include "client/introduction.h"

#include <stdio.h>
#include <sys/socket.h>

#include "client/peer.h"
#include "keep/io_journal.h"

#define ID_SIZE (TABLE_NAME_SIZE + 24)

/* Of a connection, seen from its source if that is this end.  What cannot be told has no family. */
static void
introduction_ask_addresses(int fd, bool is_source, struct proxy_header *header)
{
	struct sockaddr *own = (struct sockaddr *)(is_source ? &header->source : &header->destination);
	struct sockaddr *other = (struct sockaddr *)(is_source ? &header->destination : &header->source);
	socklen_t own_length = sizeof header->source, other_length = sizeof header->source;

	if (getsockname(fd, own, &own_length) == -1)
		own->sa_family = AF_UNSPEC;
	if (getpeername(fd, other, &other_length) == -1)
		other->sa_family = AF_UNSPEC;
}

/* The credentials mean nothing but for a Unix socket's client, which has no address but its host's: that is what the
 * server sees anyway, and with it HAProxy and nginx look at what else is said. */
static void
introduction_ask(int fd, int upstream_fd, struct proxy_header *header)
{
	struct peer peer;

	introduction_ask_addresses(fd, false, header);
	if (header->destination.ss_family != AF_UNIX)
		return;
	if (header->version == PROXY_V2)
		introduction_ask_addresses(upstream_fd, true, header);
	if (peer_get(fd, &peer) < 0)
		return;
	header->has_user = true;
	header->uid = peer.uid;
	header->gid = peer.gid;
	header->pid = (uint32_t)peer.pid;
}

void
introduction_owe(struct table *table, uint32_t conn, enum proxy_version version)
{
	struct table_conn *record = &table->conns[conn];

	record->flags &= (uint16_t)~(TABLE_CONN_HEADER_V1 | TABLE_CONN_HEADER_V2);
	if (version != PROXY_NONE)
		record->flags |= version == PROXY_V1 ? TABLE_CONN_HEADER_V1 : TABLE_CONN_HEADER_V2;
}

/* B7 */
void
introduction_say(struct table *table, uint32_t client)
{
	const struct table_client *record = &table->clients[client];
	const struct table_conn *conn = &table->conns[record->conn];
	struct proxy_header header = { .version = conn->flags & TABLE_CONN_HEADER_V1 ? PROXY_V1 : PROXY_V2 };
	unsigned char bytes[PROXY_HEADER_MAX];
	char id[ID_SIZE];

	if ((conn->flags & (TABLE_CONN_HEADER_V1 | TABLE_CONN_HEADER_V2)) == 0 || (conn->flags & TABLE_CONN_HEADED))
		return;
	introduction_ask(record->fd, conn->fd, &header);
	snprintf(id, sizeof id, "%s/%llu", table->services[record->service].name, (unsigned long long)record->id);
	header.id = id;
	if ((conn->flags & TABLE_CONN_HEADER_CUT) == 0)
		io_journal_introduce(table, record->conn, bytes, (uint32_t)proxy_header_write(&header, bytes));
	if ((conn->flags & TABLE_CONN_HEADED) == 0)
		shutdown(conn->fd, SHUT_RDWR);
}
