#include <string.h>

#include "base/clock.h"
#include "client/crowd.h"
#include "client/peer.h"
#include "daemon/service_parts.h"

#define UNBOUNDED_CLIENTS 4096u /* that are reckoned with where max_clients = 0 */

bool
service_has_given_door(const struct service *service)
{
	return service_record(service)->activated;
}

const char *
service_name(const struct service *service)
{
	return service->settings->name;
}

const struct service_settings *
service_get_settings(const struct service *service)
{
	return service->settings;
}

struct upstream *
service_upstream(const struct service *service)
{
	return service->upstream;
}

uint16_t
service_index(const struct service *service)
{
	return service->index;
}

/* Where clients connect to: systemd's socket may be elsewhere than the settings say. */
static const char *
service_socket(const struct service *service)
{
	const struct table_service *record = service_record(service);

	if (record->activated && record->bound.sun_path[0] != '\0')
		return record->bound.sun_path;
	return service->settings->listener.path;
}

/* A service that nobody can connect to is down, and waits for its socket, whatever its upstream does. */
static void
service_show_shut(const struct service *service, struct upstream_status *upstream)
{
	const struct table_service *record = service_record(service);

	upstream->up = false;
	upstream->last_error = service->door_error;
	upstream->last_error_at = record->shut_since;
	if (upstream->down_since == 0 || upstream->down_since > record->shut_since)
		upstream->down_since = record->shut_since;
	if (service->upstream == NULL || upstream_refuses(service->upstream))
		return;
	upstream->state = UPSTREAM_WAITING;
	upstream->since = record->shut_since;
	upstream->next_attempt = service->door_retry.deadline;
}

void
service_get_status(const struct service *service, struct service_status *ret_status)
{
	const struct table_service *record = service_record(service);

	memset(ret_status, 0, sizeof *ret_status);
	if (service->upstream != NULL)
		upstream_get_status(service->upstream, &ret_status->upstream);
	ret_status->clients = crowd_count(service->crowd);
	ret_status->lingering = crowd_lingering(service->crowd);
	ret_status->held = crowd_held(service->crowd);
	ret_status->held_longest = crowd_held_longest(service->crowd);
	crowd_get_bytes(service->crowd, ret_status->bytes);
	ret_status->mode = service->settings->mode;
	if (service->shared != NULL) {
		shared_get_status(service->shared, &ret_status->shared);
		ret_status->held = ret_status->shared.waiting;
		ret_status->held_longest = ret_status->shared.waiting_longest;
	}
	ret_status->accepting_paused = crowd_why_paused(service->crowd);
	ret_status->pauses = record->pauses;
	ret_status->removed = service->removed;
	ret_status->drain_deadline = record->drain_deadline;
	ret_status->counters = &record->counters;
	ret_status->administered = (enum table_admin)record->administered;
	ret_status->administered_uid = record->administered_uid;
	ret_status->administered_since = record->administered_since;
	ret_status->paused = record->pause.value != 0;
	ret_status->paused_uid = record->pause.uid;
	ret_status->paused_since = record->pause.since;
	ret_status->failing_until = (int64_t)record->failing.value;
	ret_status->failing_uid = record->failing.uid;
	ret_status->failing_since = record->failing.since;
	ret_status->socket = service_socket(service);
	ret_status->socket_error = service->door_error;
	ret_status->shut = service_is_shut(service);
	if (ret_status->shut)
		service_show_shut(service, &ret_status->upstream);
}

static void
service_set_administered(struct service *service, enum table_admin what, uid_t uid)
{
	struct table_service *record = service_record(service);

	record->administered_uid = uid;
	record->administered_since = clock_wall();
	table_barrier();
	record->administered = what;
}

static void
service_note_order(struct service *service, uid_t uid, const char *what)
{
	char user[PEER_UNIT_SIZE];

	peer_user(uid, user, sizeof user);
	service_note(service, "%s by %s", what, user);
}

void
service_close(struct service *service, uid_t uid, bool kill)
{
	service_set_administered(service, TABLE_ADMIN_CLOSED, uid);
	service_note_order(service, uid, kill ? "closed, with all clients," : "closed");
	upstream_tell(service->upstream, PCONN_CLOSE);
	crowd_close(service->crowd, CLOSING_OPERATOR, kill);
}

void
service_drain(struct service *service, uid_t uid)
{
	service_set_administered(service, TABLE_ADMIN_DRAINED, uid);
	service_note_order(service, uid, "drained");
	upstream_tell(service->upstream, PCONN_DRAIN);
	crowd_serve(service->crowd);
}

void
service_open(struct service *service, uid_t uid)
{
	service_set_administered(service, TABLE_ADMIN_NONE, uid);
	service_note_order(service, uid, "opened");
	upstream_tell(service->upstream, PCONN_OPEN);
}

struct service_visit {
	const struct table *table;
	bool (*visit)(void *arg, const struct service_client *client);
	void *arg;
};

/* The connection that the client's bytes go over: its own, or in shared mode that of all. */
static int
service_upstream_of(const struct table *table, uint32_t index)
{
	const struct table_client *record = &table->clients[index];
	uint32_t conn = record->conn;

	if (conn == TABLE_CONN_SHARED)
		conn = table->services[record->service].shared.upstream;
	return conn == 0 ? -1 : table->conns[conn].fd;
}

struct service_client
service_client_of(const struct table *table, uint32_t index)
{
	const struct table_client *record = &table->clients[index];

	return (struct service_client){
		.id = record->id,
		.session = index,
		.fd = record->fd,
		.upstream_fd = service_upstream_of(table, index),
		.held = table_client_is_held(table, index),
		.since = record->since,
		.bytes = { record->bytes[0], record->bytes[1] },
	};
}

static bool
service_on_visit(void *arg, uint32_t index)
{
	const struct service_visit *visit = arg;
	struct service_client client = service_client_of(visit->table, index);

	return visit->visit(visit->arg, &client);
}

void
service_each_client(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_visit each = { .table = service->table, .visit = visit, .arg = arg };

	crowd_each(service->crowd, service_on_visit, &each);
}

void
service_kill(struct service *service, uint32_t session)
{
	crowd_kill(service->crowd, session);
}

unsigned
service_files(const struct service_settings *settings)
{
	unsigned warm = settings->upstream.pconn.warm == UPSTREAM_WARM_AUTO ? 1 : settings->upstream.pconn.warm;
	unsigned clients = settings->crowd.max_clients == 0 ? UNBOUNDED_CLIENTS : settings->crowd.max_clients;

	if (settings->mode == SERVICE_SHARED)
		return clients + 1 + settings->upstream.standby + 1;
	return 2 * clients + settings->crowd.max_held + warm + 1;
}
