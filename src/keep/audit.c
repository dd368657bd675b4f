#include "keep/audit.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "keep/audit_files.h"
#include "keep/audit_names.h"
#include "keep/audit_queue.h"
#include "keep/buffers.h"

#define AUDIT_GAP      64u  /* records in a row that never were used: none is behind them */
#define AUDIT_SERVICES 4u   /* the same of services, which are large */
#define AUDIT_SPARE    (8u * TABLE_SERVICES) /* buffers of a class that may be in use beside those of clients */
#define AUDIT_MARK     (UINT32_C(1) << 31)   /* of keep/buffers: a death may leave it */
#define AUDIT_FAIL     INT64_C(3600000000)   /* of "fail": the longest */
#define AUDIT_REQUESTS (TABLE_REQUEST_EXECUTE * 2 - 1)
#define AUDIT_CLIENT_FLAGS (TABLE_CLIENT_DROPPED * 2 - 1)
#define AUDIT_CONN_FLAGS   (TABLE_CONN_TLS_1_2 * 2 - 1)

struct audit {
	struct table *table;         /* borrowed */
	struct table_damage *damage; /* borrowed */
	int64_t now;
	uint32_t services;
	unsigned char *bad_client, *bad_conn, *bad_service; /* owned */
	struct audit_names buffers, pipes, taken;
};

/* A number that nothing is lost with. */
static void
audit_right(struct audit *audit, volatile uint32_t *word, uint32_t right)
{
	if (*word == right)
		return;
	*word = right;
	audit->damage->words++;
}

static void
audit_end_text(struct audit *audit, char *text, size_t size)
{
	if (memchr(text, '\0', size) != NULL)
		return;
	text[size - 1] = '\0';
	audit->damage->words++;
}

/* A moment that is still to come cannot be when something was. */
static void
audit_past(struct audit *audit, int64_t *moment)
{
	if (*moment <= audit->now && *moment >= 0)
		return;
	*moment = audit->now;
	audit->damage->words++;
}

void
audit_redo(struct table *table)
{
	struct table_redo *redo = &table->header->redo;
	uint32_t count = redo->count;
	bool good = count <= TABLE_REDO;

	for (uint32_t i = 0; good && i < count; i++)
		good = redo->entry[i].offset % sizeof(uint64_t) == 0 &&
		    redo->entry[i].offset >= sizeof table->shape &&
		    redo->entry[i].offset <= table->shape.size - sizeof(uint64_t);
	if (good)
		return;
	redo->count = 0;
	table->header->damage.words++;
}

static bool
audit_is_client(const struct table *table, uint32_t index)
{
	return index > 0 && index < table->shape.files;
}

static bool
audit_is_buffer(const struct table *table, uint32_t index)
{
	return index > 0 && index < table->shape.buffers;
}

/* A phase's index, and its buffer if it has one. */
static bool
audit_is_call(const struct table *table, const struct table_io_journal *call)
{
	switch ((enum table_io_journal_phase)call->phase) {
	case TABLE_IO_JOURNAL_NONE:
		return true;
	case TABLE_IO_JOURNAL_RECEIVE: /* of whatever client */
		return audit_is_buffer(table, call->buffer);
	case TABLE_IO_JOURNAL_SEND:
	case TABLE_IO_JOURNAL_PACKET:
	case TABLE_IO_JOURNAL_DECLINE:
		return audit_is_client(table, call->index) && audit_is_buffer(table, call->buffer);
	case TABLE_IO_JOURNAL_COPY:
		if (!audit_is_buffer(table, call->buffer))
			return false;
		/* fall through */
	case TABLE_IO_JOURNAL_DRAIN:
		return audit_is_client(table, call->index) && call->direction <= TABLE_DOWN &&
		    table->clients[call->index].pipe[call->direction] <= TABLE_PIPES;
	case TABLE_IO_JOURNAL_GIVE:
		return call->index < table->shape.services;
	case TABLE_IO_JOURNAL_HEADER:
		return call->index > 0 && call->index < table->shape.files;
	}
	return false;
}

/* Where it was about to lead is not known then: what depends on it is found among the records. */
void
audit_journal(struct table *table)
{
	struct table_io_journal *call = &table->header->io_journal;

	if (call->direction <= TABLE_DOWN && audit_is_call(table, call))
		return;
	if (call->phase != TABLE_IO_JOURNAL_NONE)
		table->header->damage.words++;
	call->phase = TABLE_IO_JOURNAL_NONE;
	call->direction = TABLE_UP;
}

/* One more than the last of the words of records that was ever used; their words lie size bytes apart. */
static uint32_t
audit_find_high(const void *records, size_t size, uint32_t count)
{
	uint32_t high = 1, word;

	for (uint32_t i = 1; i < count && i < high + AUDIT_GAP; i++) {
		memcpy(&word, (const unsigned char *)records + i * size, sizeof word);
		if (word != 0)
			high = i + 1;
	}
	return high;
}

/* Those that a dead worker had claimed and not used make it higher than what is found, by a few. */
static void
audit_high(struct audit *audit, uint32_t *high, const void *records, size_t size)
{
	uint32_t found = audit_find_high(records, size, audit->table->shape.files);

	if (*high >= found && *high <= audit->table->shape.files && *high - found < AUDIT_GAP)
		return;
	*high = found;
	audit->damage->words++;
}

bool
audit_is_name(const struct table_socket *listener)
{
	size_t path = offsetof(struct sockaddr_un, sun_path);

	return listener->length > path && listener->length <= sizeof listener->bound &&
	    (listener->bound.sun_family == AF_UNSPEC || listener->bound.sun_family == AF_UNIX) &&
	    memchr(listener->bound.sun_path, '\0', sizeof listener->bound.sun_path) != NULL;
}

static void
audit_header_texts(struct audit *audit)
{
	struct table_header *header = audit->table->header;

	audit_end_text(audit, header->status, sizeof header->status);
	audit_end_text(audit, header->config_path, sizeof header->config_path);
	audit_end_text(audit, header->config_error, sizeof header->config_error);
	audit_end_text(audit, header->upgrade_error, sizeof header->upgrade_error);
	audit_end_text(audit, header->passed_fds_error, sizeof header->passed_fds_error);
	audit_end_text(audit, header->version, sizeof header->version);
	audit_end_text(audit, header->program, sizeof header->program);
	for (uint32_t i = 0; i < header->activated_count; i++)
		audit_end_text(audit, header->activated[i].name, sizeof header->activated[i].name);
}

/* What this process knows by itself. */
static void
audit_kept(struct audit *audit)
{
	const struct table *table = audit->table;
	struct table_header *header = table->header;

	header->shape = table->shape;
	for (int i = 0; i < TABLE_FILES; i++)
		if (table->file[i] != TABLE_FILE_UNKNOWN && header->file[i] != table->file[i]) {
			header->file[i] = table->file[i];
			audit->damage->words++;
		}
}

static void
audit_header(struct audit *audit)
{
	struct table *table = audit->table;
	struct table_header *header = table->header;

	audit_kept(audit);
	if (header->activated_count > TABLE_ACTIVATED)
		audit_right(audit, &header->activated_count, 0);
	audit_header_texts(audit);
	audit_high(audit, &header->client_high, table->clients, sizeof *table->clients);
	audit_high(audit, &header->conn_high, table->conns, sizeof *table->conns);
	for (int i = 0; i < 2; i++)
		if (header->config_length[i] > TABLE_CONFIG_MAX)
			audit_right(audit, &header->config_length[i], 0);
	if (header->log_level > LOG_LEVEL_DEBUG + 1)
		audit_right(audit, &header->log_level, 0);
	if (header->file_high > TABLE_FILES_MAX)
		audit_right(audit, &header->file_high, TABLE_FILES_MAX);
	if (header->origin > TABLE_REFUSED)
		audit_right(audit, &header->origin, TABLE_NEW);
	if (header->requests > AUDIT_REQUESTS)
		audit_right(audit, &header->requests, header->requests & AUDIT_REQUESTS);
	if (!header->stopping && (header->requests & (TABLE_REQUEST_STOP | TABLE_REQUEST_STOP_NOW)))
		audit_right(audit, &header->requests,
		    header->requests & ~(TABLE_REQUEST_STOP | TABLE_REQUEST_STOP_NOW));
}

/* Services are used in order: one whose word is 0 before others is damaged. */
static void
audit_find_services(struct audit *audit)
{
	struct table_service *services = audit->table->services;
	uint32_t used = 0;

	for (uint32_t i = 0; i < audit->table->shape.services && i < used + AUDIT_SERVICES; i++)
		if (services[i].word != 0)
			used = i + 1;
	audit->services = used;
	for (uint32_t i = 0; i < used; i++)
		if (services[i].word == 0) {
			services[i].word = UINT32_C(1) << 8 | TABLE_LIVE; /* its name tells whether it is */
			audit->damage->words++;
		}
}

static void
audit_history(struct audit *audit, struct table_service *service)
{
	uint32_t used = service->history_next < TABLE_HISTORY ? (uint32_t)service->history_next : TABLE_HISTORY;

	for (uint32_t i = 0; i < used; i++)
		audit_end_text(audit, service->history[i].text, sizeof service->history[i].text);
}

/* What operators have set, and how its socket is called. */
static void
audit_service(struct audit *audit, struct table_service *service)
{
	enum table_state state = TABLE_STATE(service->word);

	if (state != TABLE_FREE && state != TABLE_LIVE && state != TABLE_CLOSING) {
		service->word = (service->word & ~0xffu) | TABLE_LIVE; /* its name tells whether it is */
		audit->damage->words++;
	}
	audit_end_text(audit, service->name, sizeof service->name);
	if (service->administered > TABLE_ADMIN_DRAINED ||
	    (service->administered != TABLE_ADMIN_NONE && service->administered_since <= 0))
		audit_right(audit, &service->administered, TABLE_ADMIN_NONE);
	if (service->pause.value > 1 || (service->pause.value == 1 && service->pause.since <= 0)) {
		service->pause.value = 0;
		audit->damage->words++;
	}
	if (service->failing.value > (uint64_t)audit->now + AUDIT_FAIL) {
		service->failing.value = 0;
		audit->damage->words++;
	}
	audit_history(audit, service);
}

static bool
audit_is_broadcast(const struct table *table, const struct table_shared *shared)
{
	return shared->broadcast_slot == 0 || (shared->broadcast_slot <= table->shape.files &&
	    shared->broadcast_length <= audit_queue_bytes(table, shared->in));
}

/* A buffer has its bytes within it. */
static bool
audit_holds(struct audit *audit, uint32_t index)
{
	struct table *table = audit->table;
	struct table_buffer *buffer;
	uint32_t class;

	if (index == 0)
		return true;
	if (!audit_is_buffer(table, index) || audit_names_several(&audit->buffers, index))
		return false;
	buffer = &table->buffers[index];
	class = buffers_class(table, index);
	if (table->header->buffer_high[class] <= index)
		audit_right(audit, &table->header->buffer_high[class], index + 1);
	buffer->tail &= ~AUDIT_MARK;
	return buffer->head <= buffer->tail && buffer->tail <= table_class_size(class);
}

/* What the clients of a service share is given up: nothing is asked, and nothing owed. */
static void
audit_clear_shared(struct table_shared *shared)
{
	shared->in = shared->out = shared->pending = shared->spool = 0;
	shared->pending_head = shared->pending_tail;
	shared->sent = shared->out_end;
	shared->streamed = shared->gap_count = shared->broadcast_slot = 0;
	shared->spool_written = shared->spool_next; /* they waited there */
	if (shared->spool_read > shared->spool_written)
		shared->spool_read = shared->spool_written;
	if (shared->spool_acknowledged > shared->spool_read)
		shared->spool_acknowledged = shared->spool_read;
}

static bool
audit_is_shared_good(struct audit *audit, const struct table_shared *shared)
{
	const struct table *table = audit->table;

	if (!audit_holds(audit, shared->in) || !audit_holds(audit, shared->out) ||
	    !audit_holds(audit, shared->pending) || !audit_holds(audit, shared->spool))
		return false;
	return audit_queue_is_whole(table, shared) && audit_is_broadcast(table, shared) &&
	    (shared->streamed == 0 || shared->pending_head != shared->pending_tail);
}

static void
audit_shared(struct audit *audit, uint32_t index)
{
	struct table_shared *shared = &audit->table->services[index].shared;

	if (shared->upstream >= audit->table->header->conn_high ||
	    (shared->upstream != 0 && audit->table->conns[shared->upstream].service != index))
		audit_right(audit, &shared->upstream, 0); /* it is found by its role */
	if (audit_is_shared_good(audit, shared))
		return;
	audit_clear_shared(shared);
	audit->bad_service[index] = 1;
	audit->damage->services++;
}

static void
audit_name_buffer(struct audit *audit, uint32_t buffer)
{
	if (audit_is_buffer(audit->table, buffer))
		audit_names_add(&audit->buffers, buffer);
}

/* Who names which buffer, pipe and connection. */
static void
audit_name_all(struct audit *audit)
{
	const struct table *table = audit->table;

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		const struct table_client *client = &table->clients[i];

		if (TABLE_STATE(client->word) == TABLE_FREE)
			continue;
		for (enum table_direction d = TABLE_UP; d <= TABLE_DOWN; d++) {
			audit_name_buffer(audit, client->buffer[d]);
			if (client->pipe[d] != 0 && client->pipe[d] <= TABLE_PIPES)
				audit_names_add(&audit->pipes, client->pipe[d]);
		}
		if (client->conn != 0 && client->conn < table->header->conn_high)
			audit_names_add(&audit->taken, client->conn);
	}
	for (uint32_t i = 0; i < audit->services; i++) {
		const struct table_shared *shared = &table->services[i].shared;

		audit_name_buffer(audit, shared->in);
		audit_name_buffer(audit, shared->out);
		audit_name_buffer(audit, shared->pending);
		audit_name_buffer(audit, shared->spool);
	}
}

static bool
audit_is_service(const struct audit *audit, uint16_t service)
{
	return service < audit->services && TABLE_STATE(audit->table->services[service].word) != TABLE_FREE;
}

/* A record that stays is of a service, and its times are past. */
static void
audit_conn(struct audit *audit, uint32_t index)
{
	struct table_conn *conn = &audit->table->conns[index];
	enum table_state state = TABLE_STATE(conn->word);
	bool bad = state != TABLE_DIALLING && state != TABLE_READY && state != TABLE_CLOSING;

	if (!audit_is_service(audit, conn->service)) {
		conn->service = 0;
		bad = true;
	}
	if (conn->role >= TABLE_ROLES) {
		conn->role = TABLE_ROLE_NEXT;
		bad = true;
	}
	if (conn->flags > AUDIT_CONN_FLAGS || (state == TABLE_READY && conn->fd == -1))
		bad = true;
	conn->flags &= AUDIT_CONN_FLAGS;
	audit_past(audit, &conn->since);
	audit_past(audit, &conn->left_at);
	if (audit_names_several(&audit->taken, index))
		bad = true;
	if ((conn->role == TABLE_ROLE_SHARED || conn->role == TABLE_ROLE_TAKEOVER) &&
	    audit->bad_service[conn->service])
		bad = true;
	audit->bad_conn[index] |= bad;
}

/* Its own connection must be of its service, and nobody else's. */
static bool
audit_has_conn(struct audit *audit, const struct table_client *client)
{
	const struct table *table = audit->table;
	const struct table_conn *conn = &table->conns[client->conn];

	if (client->conn == 0)
		return true;
	if (client->conn == TABLE_CONN_SHARED)
		return table->services[client->service].shared.framing != 0;
	return client->conn < table->header->conn_high && conn->service == client->service &&
	    (TABLE_STATE(conn->word) == TABLE_READY || TABLE_STATE(conn->word) == TABLE_CLOSING) &&
	    conn->role != TABLE_ROLE_SHARED && conn->role != TABLE_ROLE_TAKEOVER &&
	    !audit->bad_conn[client->conn] && !audit_names_several(&audit->taken, client->conn);
}

/* What of a direction is not the client's own is not given back with it. */
static bool
audit_direction(struct audit *audit, struct table_client *client, enum table_direction d)
{
	bool good = true;

	if (!audit_holds(audit, client->buffer[d])) {
		client->buffer[d] = 0;
		good = false;
	}
	if (client->pipe[d] > TABLE_PIPES || (client->pipe[d] != 0 && (audit_names_several(&audit->pipes,
	    client->pipe[d]) || audit->table->header->pipe[client->pipe[d]].read_fd == -1))) {
		client->pipe[d] = 0;
		good = false;
	}
	return good;
}

static bool
audit_is_state(const struct table_client *client)
{
	enum table_state state = TABLE_STATE(client->word);

	return state == TABLE_LIVE || state == TABLE_LINGERING || state == TABLE_CLOSING;
}

/* Who sends datagrams has no file, all others have one. */
static bool
audit_has_file(const struct table_client *client)
{
	return TABLE_STATE(client->word) == TABLE_CLOSING ||
	    (client->fd == -1) == ((client->flags & TABLE_CLIENT_DATAGRAMS) != 0);
}

static void
audit_client(struct audit *audit, uint32_t index)
{
	struct table_client *client = &audit->table->clients[index];
	bool bad = !audit_is_state(client) || client->flags > AUDIT_CLIENT_FLAGS || !audit_has_file(client);

	client->flags &= AUDIT_CLIENT_FLAGS;
	if (!audit_is_service(audit, client->service)) {
		client->service = 0;
		client->bytes[TABLE_UP] = client->bytes[TABLE_DOWN] = 0; /* whoever they were of */
		bad = true;
	}
	if (!audit_has_conn(audit, client)) {
		client->conn = 0;
		bad = true;
	}
	for (enum table_direction d = TABLE_UP; d <= TABLE_DOWN; d++)
		if (!audit_direction(audit, client, d))
			bad = true;
	audit_past(audit, &client->since);
	if (client->conn == TABLE_CONN_SHARED && audit->bad_service[client->service])
		bad = true;
	audit->bad_client[index] |= bad;
}

/* Connections first: a client goes by what is known of its own. */
static void
audit_pairs(struct audit *audit)
{
	const struct table *table = audit->table;

	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (TABLE_STATE(table->conns[i].word) != TABLE_FREE)
			audit_conn(audit, i);
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (TABLE_STATE(table->clients[i].word) != TABLE_FREE)
			audit_client(audit, i);
}

/* Free ones have been given back; more than there ever can have been are not looked through. */
static void
audit_buffers(struct audit *audit)
{
	struct table *table = audit->table;
	uint32_t most = 2 * table->header->client_high + AUDIT_SPARE;

	for (uint32_t c = 0; c <= TABLE_LEAN; c++) {
		uint32_t *high = &table->header->buffer_high[c], right = table->class[c].first;

		if (*high >= right && *high <= table->class[c].end && *high - right <= most)
			continue;
		for (uint32_t i = right; i < table->class[c].end && i - table->class[c].first < most; i++)
			if (audit_names_has(&audit->buffers, i))
				right = i + 1;
		audit_right(audit, high, right);
	}
}

static void
audit_condemn(volatile uint32_t *word, uint32_t *count)
{
	if (TABLE_STATE(*word) == TABLE_CLOSING)
		return;
	*word = (*word & ~0xffu) | TABLE_CLOSING;
	++*count;
}

/* Who has a connection that ends, ends with it: what was under way on it is not known. */
static void
audit_condemn_all(struct audit *audit)
{
	struct table *table = audit->table;

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		uint32_t conn = table->clients[i].conn;

		if (TABLE_STATE(table->clients[i].word) == TABLE_FREE)
			continue;
		if (audit->bad_client[i] || (conn != 0 && conn != TABLE_CONN_SHARED && audit->bad_conn[conn]))
			audit_condemn(&table->clients[i].word, &audit->damage->clients);
	}
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (TABLE_STATE(table->conns[i].word) != TABLE_FREE && audit->bad_conn[i])
			audit_condemn(&table->conns[i].word, &audit->damage->conns);
}

static void
audit_free(struct audit *audit)
{
	mem_free(audit->bad_client);
	mem_free(audit->bad_conn);
	mem_free(audit->bad_service);
	audit_names_free(&audit->buffers);
	audit_names_free(&audit->pipes);
	audit_names_free(&audit->taken);
}

void
audit_records(struct table *table, audit_look *look, int64_t now)
{
	struct audit audit = { .table = table, .damage = &table->header->damage, .now = now };

	audit_header(&audit);
	audit_find_services(&audit);
	audit.bad_client = mem_new(table->header->client_high, 1);
	audit.bad_conn = mem_new(table->header->conn_high, 1);
	audit.bad_service = mem_new(table->shape.services, 1);
	audit_names_new(&audit.buffers, table->shape.buffers);
	audit_names_new(&audit.pipes, TABLE_PIPES + 1);
	audit_names_new(&audit.taken, table->header->conn_high);
	audit_files(table, look, audit.services, audit.bad_client, audit.bad_conn);
	audit_name_all(&audit);
	audit_buffers(&audit);
	for (uint32_t i = 0; i < audit.services; i++)
		audit_service(&audit, &table->services[i]);
	for (uint32_t i = 0; i < audit.services; i++)
		audit_shared(&audit, i);
	audit_pairs(&audit);
	audit_condemn_all(&audit);
	audit_free(&audit);
}

/* As it is after its service was made: only what an operator has set, and its counters, stay. */
static void
audit_give_up_service(struct table_service *service)
{
	struct table_shared *shared = &service->shared;
	size_t settings = offsetof(struct table_shared, framing), behind = offsetof(struct table_shared, messages);

	memset(shared, 0, settings);
	memset((unsigned char *)shared + behind, 0, sizeof *shared - behind);
	memset(service->upstream, 0, sizeof service->upstream);
	service->settings_hash = 0;
	service->drain_deadline = 0;
	for (size_t i = 0; i < sizeof service->groups / sizeof *service->groups; i++)
		service->groups[i] = 0;
}

static void
audit_free_word(volatile uint32_t *word)
{
	*word = (TABLE_GENERATION(*word) + 1) << 8;
}

void
audit_give_up(struct table *table)
{
	struct table_header *header = table->header;
	struct audit audit = { .table = table, .damage = &header->damage };
	uint32_t used = 0;

	header->redo.count = 0;
	header->io_journal.phase = TABLE_IO_JOURNAL_NONE;
	audit_high(&audit, &header->client_high, table->clients, sizeof *table->clients);
	audit_high(&audit, &header->conn_high, table->conns, sizeof *table->conns);
	for (uint32_t i = 1; i < header->client_high; i++)
		audit_free_word(&table->clients[i].word);
	for (uint32_t i = 1; i < header->conn_high; i++)
		audit_free_word(&table->conns[i].word);
	for (uint32_t i = 1; i <= TABLE_PIPES; i++)
		header->pipe[i].read_fd = header->pipe[i].write_fd = -1;
	while (used < table->shape.services && table->services[used].word != 0)
		audit_give_up_service(&table->services[used++]);
	header->damage.all = 1;
}
