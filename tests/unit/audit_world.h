/* audit_world.h - a table with all kinds of records, and a walk through it that trusts what an audit has let pass. */
#ifndef HOLDFAST_TESTS_AUDIT_WORLD_H
#define HOLDFAST_TESTS_AUDIT_WORLD_H

#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "keep/audit.h"
#include "keep/buffers.h"
#include "keep/io_journal.h"
#include "keep/redo.h"
#include "keep/table.h"
#include "upstream/record_audit.h"

#define AUDIT_NOW     INT64_C(1000000000000)
#define AUDIT_FILES   40u      /* clients, and connections, that there may be */
#define AUDIT_LONGEST INT64_C(200000000)

/* What there is, by number; none of them is open here. */
enum { AUDIT_AT_SOCKETS = 1000, AUDIT_AT_LISTENERS = 1100, AUDIT_AT_PIPES = 1200, AUDIT_AT_OTHERS = 1300,
	AUDIT_AT_NONE = 1400 };

static struct table audited;

static inline enum audit_file
audit_world_look(int fd)
{
	if (fd < AUDIT_AT_SOCKETS || fd >= AUDIT_AT_NONE)
		return AUDIT_CLOSED;
	return fd < AUDIT_AT_LISTENERS ? AUDIT_SOCKET : fd < AUDIT_AT_PIPES ? AUDIT_LISTENER
	    : fd < AUDIT_AT_OTHERS ? AUDIT_PIPE : AUDIT_OTHER;
}

static inline void
audit_world_service(uint32_t index, const char *name)
{
	struct table_service *service = &audited.services[index];

	service->sockets[0] = (struct table_socket){ .fd = AUDIT_AT_LISTENERS + (int)index, .length = 32,
		.bound = { .sun_family = AF_UNIX, .sun_path = "/run/holdfast/s.sock" } };
	strcpy(service->name, name);
	service->history_next = 2;
	strcpy(service->history[0].text, "connected");
	service->word = 1 << 8 | TABLE_LIVE;
}

static inline uint32_t
audit_world_conn(uint16_t service, enum table_role role, enum table_state state)
{
	uint32_t index = table_conn_claim(&audited);
	struct table_conn *conn = &audited.conns[index];

	conn->service = service;
	conn->role = (uint16_t)role;
	conn->fd = AUDIT_AT_SOCKETS + 50 + (int)index;
	conn->since = 5;
	table_conn_set(&audited, index, state);
	return index;
}

static inline uint32_t
audit_world_client(uint16_t service, uint32_t conn)
{
	uint32_t index = table_client_claim(&audited);
	struct table_client *client = &audited.clients[index];

	client->service = service;
	client->fd = AUDIT_AT_SOCKETS + (int)index;
	client->since = 5;
	client->conn = conn;
	table_client_set(&audited, index, TABLE_LIVE);
	return index;
}

static inline uint32_t
audit_world_buffer(const char *text)
{
	uint32_t buffer = buffers_claim(&audited, (struct budget_payer){ .service = 0 }, 1000);

	memcpy(buffers_bytes(&audited, buffer), text, strlen(text));
	audited.buffers[buffer].tail = (uint32_t)strlen(text);
	return buffer;
}

/* Three requests that are owed a reply, the first of which was sent, and a part of a reply. */
static inline void
audit_world_queue(struct table_shared *shared, uint32_t client)
{
	struct table_pending *ring;

	shared->framing = 1;
	shared->out = audit_world_buffer("one\ntwo\nthree\n");
	shared->in = audit_world_buffer("on");
	shared->pending = audit_world_buffer("");
	ring = (struct table_pending *)(void *)buffers_bytes(&audited, shared->pending);
	for (unsigned i = 0; i < 3; i++)
		ring[7 + i] = (struct table_pending){ .who = UINT64_C(0) << 32 | client, .end = 100 + 4 * (i + 1) };
	ring[9].end = shared->out_end = 114;
	shared->pending_head = 7;
	shared->pending_tail = 10;
	shared->sent = 104;
}

static inline void
audit_world_upstream(uint16_t service)
{
	struct upstream_record *record = record_of(&audited, service);
	struct endpoint *endpoint = &record->endpoints.list[3];
	struct sockaddr_in *to = (struct sockaddr_in *)(void *)&endpoint->key.socket;

	record->begun = 1;
	record->place[0].pconn = (struct pconn){ .state = PCONN_CONNECTED, .deadline = CLOCK_NEVER };
	record->endpoints.high = 4;
	record->endpoints.listing = 2;
	endpoint->listing[0].in = 2;
	endpoint->key.length = sizeof *to;
	to->sin_family = AF_INET;
	endpoint->number = ENDPOINTS_MAX + 3;
}

static inline void
audit_world_header(void)
{
	struct table_header *header = audited.header;

	for (int i = 0; i < TABLE_FILES; i++)
		if (i == TABLE_FILE_NOTIFY || i == TABLE_FILE_REQUEST || i == TABLE_FILE_LOCK ||
		    i == TABLE_FILE_PROGRAM || i == TABLE_FILE_DIRECTORY)
			header->file[i] = i == TABLE_FILE_NOTIFY ? AUDIT_AT_LISTENERS + 90 : AUDIT_AT_OTHERS + i;
	audited.file[TABLE_FILE_MEMORY] = TABLE_FILE_UNKNOWN;
	header->file[TABLE_FILE_MEMORY] = AUDIT_AT_OTHERS;
	header->control.fd = AUDIT_AT_LISTENERS + 80;
	header->pipe[1].read_fd = AUDIT_AT_PIPES;
	header->pipe[1].write_fd = AUDIT_AT_PIPES + 1;
	header->pipe[2].read_fd = AUDIT_AT_PIPES + 2;
	header->pipe[2].write_fd = AUDIT_AT_PIPES + 3;
	table_config_set(&audited, "services: { };", 14);
}

/* Of session mode two clients, held and with its connection; of shared mode three, and the connection they share. */
static inline void
audit_world_new(void)
{
	uint32_t client;

	assert(table_new(AUDIT_FILES, &audited) == 0);
	audit_world_header();
	audit_world_service(0, "session");
	audit_world_service(1, "shared");
	table_derive(&audited);
	client = audit_world_client(0, audit_world_conn(0, TABLE_ROLE_NEXT, TABLE_READY));
	audited.clients[client].buffer[TABLE_UP] = audit_world_buffer("to go");
	audited.clients[client].pipe[TABLE_DOWN] = 1;
	audit_world_client(0, 0);
	audit_world_conn(0, TABLE_ROLE_NEXT, TABLE_DIALLING);
	audited.services[1].shared.upstream = audit_world_conn(1, TABLE_ROLE_SHARED, TABLE_READY);
	client = audit_world_client(1, TABLE_CONN_SHARED);
	audited.clients[client].buffer[TABLE_DOWN] = audit_world_buffer("come");
	audit_world_client(1, TABLE_CONN_SHARED);
	audit_world_client(1, audit_world_conn(1, TABLE_ROLE_OWN, TABLE_READY));
	audit_world_queue(&audited.services[1].shared, client);
	audit_world_upstream(0);
	audit_world_upstream(1);
}

/* As recover_run() does before it derives anything. */
static inline void
audit_world_judge(void)
{
	audit_redo(&audited);
	redo_replay(&audited);
	audit_journal(&audited);
	io_journal_replay(&audited);
	audit_records(&audited, audit_world_look, AUDIT_NOW);
	for (uint16_t i = 0; i < table_services_used(&audited); i++)
		record_audit(record_of(&audited, i), AUDIT_LONGEST, AUDIT_NOW);
}

static inline void
audit_walk_buffer(void *arg, const struct table_held *held)
{
	unsigned char *once = arg;
	const struct table_buffer *buffer = &audited.buffers[held->buffer];

	assert(held->pipe <= TABLE_PIPES);
	assert(held->pipe == 0 || audited.header->pipe[held->pipe].read_fd != -1);
	if (held->buffer == 0)
		return;
	assert(held->buffer < audited.shape.buffers && once[held->buffer]++ == 0);
	assert(held->buffer < audited.header->buffer_high[buffers_class(&audited, held->buffer)]);
	assert(buffer->head <= buffer->tail && buffer->tail <= buffers_size(&audited, held->buffer));
}

/* Each file is named once, and there; of a client, a socket. */
static inline void
audit_walk_file(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	unsigned char *once = arg;
	enum audit_file found = audit_world_look(*fd);

	assert(found != AUDIT_CLOSED && once[*fd - AUDIT_AT_SOCKETS]++ == 0);
	assert((kind != TABLE_OF_CLIENTS && kind != TABLE_OF_CONNS) || found == AUDIT_SOCKET);
	assert(kind != TABLE_OF_PIPES || found == AUDIT_PIPE);
}

static inline void
audit_walk_clients(void)
{
	for (uint32_t i = 1; i < audited.header->client_high; i++) {
		const struct table_client *client = &audited.clients[i];
		uint32_t own = table_client_own(&audited, i);

		if (table_client_state(&audited, i) == TABLE_FREE)
			continue;
		assert(table_client_state(&audited, i) != TABLE_DIALLING);
		assert(TABLE_STATE(client->word) <= TABLE_CLOSING);
		assert(client->service < table_services_used(&audited) && client->since <= AUDIT_NOW);
		assert(own < audited.header->conn_high);
		assert(own == 0 || (audited.taken_by[own] == i && audited.conns[own].service == client->service));
	}
	for (uint32_t i = 1; i < audited.header->conn_high; i++) {
		const struct table_conn *conn = &audited.conns[i];

		if (table_conn_state(&audited, i) == TABLE_FREE)
			continue;
		assert(conn->service < table_services_used(&audited) && conn->role < TABLE_ROLES);
		assert(conn->since <= AUDIT_NOW && conn->left_at <= AUDIT_NOW);
	}
}

static inline void
audit_walk_queue(const struct table_shared *shared)
{
	uint64_t count = shared->pending_tail - shared->pending_head, size;
	const struct table_pending *ring;
	const struct table_buffer *out = &audited.buffers[shared->out];
	uint64_t length = shared->out == 0 ? 0 : out->tail - out->head;
	uint64_t end = shared->out_end - length;

	assert(shared->upstream < audited.header->conn_high);
	assert(shared->sent - end <= length);
	if (count == 0)
		return;
	size = buffers_size(&audited, shared->pending) / sizeof *ring;
	ring = (const struct table_pending *)(const void *)buffers_bytes(&audited, shared->pending);
	assert(count <= size);
	for (uint64_t i = 0; i < count && shared->gap_count == 0; i++) {
		uint64_t next = ring[(shared->pending_head + i) & (size - 1)].end;

		assert(next - end <= shared->out_end - end);
		end = next;
	}
	assert(shared->gap_count <= count && shared->gap_before + shared->gap_count <= count &&
	    shared->gap_bytes <= length);
}

static inline void
audit_walk_upstream(const struct upstream_record *record)
{
	assert(record->endpoints.high <= ENDPOINTS_MAX);
	assert(record->notice_next - record->notice_first <= RECORD_NOTICES);
	assert(strlen(record->last_error) < sizeof record->last_error && strlen(record->told) < sizeof record->told);
	for (uint32_t i = 0; i < record->endpoints.high; i++) {
		const struct endpoint *endpoint = &record->endpoints.list[i];
		char text[ADDRESS_TEXT_SIZE];

		assert(endpoint->number == 0 || endpoint->number % ENDPOINTS_MAX == i);
		if (endpoint->number != 0)
			record_address(record, endpoint->number, text);
	}
}

/* Everything that a new worker follows. */
static inline void
audit_world_walk(void)
{
	static unsigned char buffers[4096], files[AUDIT_AT_NONE - AUDIT_AT_SOCKETS];
	uint32_t used;

	assert(memcmp(&audited.header->shape, &audited.shape, sizeof audited.shape) == 0);
	assert(audited.shape.buffers <= sizeof buffers);
	memset(buffers, 0, sizeof buffers);
	memset(files, 0, sizeof files);
	table_derive(&audited);
	used = table_services_used(&audited);
	table_each_held(&audited, audit_walk_buffer, buffers);
	table_each_file(&audited, audit_walk_file, files);
	audit_walk_clients();
	for (uint16_t i = 0; i < used; i++) {
		assert(strlen(audited.services[i].name) < TABLE_NAME_SIZE);
		audit_walk_queue(&audited.services[i].shared);
		audit_walk_upstream(record_of(&audited, i));
	}
	assert(strlen(audited.header->status) < TABLE_STATUS_SIZE);
	assert(audited.header->activated_count <= TABLE_ACTIVATED);
	for (uint32_t i = 0; i < 2; i++)
		assert(audited.header->config_length[i] <= TABLE_CONFIG_MAX);
}

#endif
