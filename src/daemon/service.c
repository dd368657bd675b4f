#include "daemon/service.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/peer.h"
#include "config/settings.h"
#include "config/write.h"
#include "daemon/service_sockets.h"
#include "keep/crash.h"
#include "upstream/hello.h"

struct service {
	struct event_base *loop;  /* borrowed */
	struct table *table;      /* borrowed */
	uint16_t index;           /* of the record */
	struct table_service *record; /* borrowed: the table's */
	struct service_settings *settings; /* owned */
	struct clients *clients;      /* owned */
	struct mux *mux;          /* owned; NULL in session mode */
	struct upstream *upstream; /* owned; NULL once removed */
	struct service_sockets *sockets; /* owned; NULL once removed or stopped */
	bool removed;
	struct loop_timer ending; /* of a removed service: its limit, or that its last client has gone */
	void (*gone)(void *arg, struct service *service);
	void *arg;                /* borrowed */
};

/* Notes what was done to the service, for the log and for explain. */
#define service_note(service, ...) \
	upstream_note((service)->table, (service)->index, LOG_LEVEL_NOTICE, __VA_ARGS__)

/* The record of a living service of this name, or a free one; -1 if the table is full. */
static int
service_find_record(const struct table *table, const char *name)
{
	uint32_t used = table_services_used(table);
	int vacant = used < table->shape.services ? (int)used : -1;

	for (uint32_t i = used; i-- > 0;) {
		const struct table_service *record = &table->services[i];

		if (TABLE_STATE(record->word) == TABLE_LIVE && strcmp(record->name, name) == 0)
			return (int)i;
		if (TABLE_STATE(record->word) == TABLE_FREE)
			vacant = (int)i;
	}
	return vacant;
}

/* Records are used in order, so the first that never was used ends them: a word is never 0 again. */
static void
service_set_state(struct table_service *record, enum table_state state)
{
	uint32_t generation = TABLE_GENERATION(record->word) + (state == TABLE_LIVE);

	table_barrier();
	record->word = generation << 8 | (uint32_t)state;
}

/* What the step makes of the connection; a file as it is now. */
static void
service_note_step(const struct hello_step *step, struct resp_connection *resp)
{
	size_t length = 0;
	char *text = NULL;

	if (step->send != NULL)
		resp_note_hello((const unsigned char *)step->send, strlen(step->send), resp);
	if (step->send_file == NULL)
		return;
	mem_free(hello_load(step->send_file, &text, &length));
	if (text == NULL)
		return;
	resp_note_hello((const unsigned char *)text, length, resp);
	hello_forget(&text, length);
}

/* The settings have changed. */
static void
service_share_set(struct service *service)
{
	const struct service_settings *settings = service->settings;
	struct resp_connection resp = { .database = 0, .protocol = 2 };

	if (service->mux == NULL)
		return;
	for (size_t i = 0; i < settings->upstream.hello.count; i++)
		service_note_step(&settings->upstream.hello.steps[i], &resp);
	mux_set(service->mux, &settings->shared, settings->clients.hold_timeout,
	    settings->clients.on_down == CLIENTS_REFUSE, settings->clients.abort_on_close, &resp);
}

/* A connection that is kept for the last clients only ends with them (P20): looks. */
static void
service_share_leave(struct service *service)
{
	if (service->mux == NULL || clients_count(service->clients) > 0 || service->upstream == NULL ||
	    !upstream_refuses(service->upstream) || !mux_is_connected(service->mux))
		return;
	mux_lose(service->mux, "its last client has gone");
}

static void
service_on_client_ended(void *arg)
{
	struct service *service = arg;

	if (service->removed && clients_is_empty(service->clients))
		loop_timer_soon(&service->ending);
	service_share_leave(service);
}

static void
service_on_ready(void *arg)
{
	struct service *service = arg;

	if (service->mux != NULL)
		mux_serve(service->mux);
	clients_serve(service->clients);
	service_share_leave(service);
}

static void
service_on_lost(void *arg, uint16_t endpoint)
{
	struct service *service = arg;

	if (service->mux != NULL && endpoint == 0)
		mux_drop(service->mux);
	else
		clients_cut(service->clients, endpoint, CLOSING_WITHDRAWN);
}

static const struct upstream_callbacks service_upstream_callbacks = {
	.ready = service_on_ready, .lost = service_on_lost
};

/* Its record is free for another. */
static void
service_end(struct service *service)
{
	if (service->mux != NULL)
		mux_end(service->mux);
	table_service_clear(service->record);
	service_set_state(service->record, TABLE_FREE);
}

static void
service_on_ending(void *arg)
{
	struct service *service = arg;

	if (clients_count(service->clients) > 0) {
		log_notice(service_name(service), "drain_timeout over: the last %u clients are closed",
		    clients_count(service->clients));
		clients_close(service->clients, CLOSING_REMOVED, true);
	}
	clients_finish(service->clients);
	service_end(service);
	service->gone(service->arg, service);
}

/* What one part sees of another. */
static void
service_join_settings(struct service_settings *settings)
{
	settings->clients.dial = &settings->upstream.dial;
	settings->clients.listeners = &settings->listeners;
}

static struct service *
service_make(struct event_base *loop, struct table *table, uint16_t index, struct service_settings *settings,
    void (*gone)(void *arg, struct service *service), void *arg)
{
	struct service *service = mem_new(1, sizeof *service);

	*service = (struct service){ .loop = loop, .table = table, .index = index, .record = &table->services[index],
		.settings = settings, .gone = gone, .arg = arg };
	service_join_settings(settings);
	loop_timer_init(&service->ending, loop, service_on_ending, service);
	return service;
}

/* Of the settings as the dump writes them. */
static uint64_t
service_hash(const struct service_settings *settings)
{
	char *text = config_service_text(settings, setting_print);
	uint64_t hash = repeats_hash(text);

	mem_free(text);
	return hash;
}

/* A fresh record: made whole but for its socket, then LIVE. */
static void
service_create_record(struct service *service)
{
	struct table_service *record = service->record;

	table_service_clear(record);
	snprintf(record->name, sizeof record->name, "%s", service->settings->name);
	record->since = clock_wall();
	service_set_state(record, TABLE_LIVE);
}

/* Does what the table says. */
static void
service_obey_pause(struct service *service, bool kill)
{
	clients_pause(service->clients, kill);
	upstream_let_go(service->upstream, false);
	if (service->mux == NULL)
		return;
	mux_pause(service->mux);
	if (kill)
		upstream_let_go(service->upstream, true);
}

/* An operator's name; valid until the next call. */
static const char *
service_user(uid_t uid)
{
	static char user[UPSTREAM_BY_SIZE];

	peer_user(uid, user, sizeof user);
	return user;
}

static void
service_obey_failure(struct service *service)
{
	const struct table_order *order = &service->record->failing;

	upstream_fail(service->upstream, service_user(order->uid));
	if (order->value != 0)
		clients_cut(service->clients, 0, CLOSING_UPSTREAM);
}

/* With those whom the table holds. */
static void
service_make_clients(struct service *service, bool log_clients)
{
	const struct service_settings *settings = service->settings;

	if (settings->mode == SERVICE_SHARED) {
		service->mux = mux_new(service->loop, service->table, service->index, &settings->shared,
		    service->upstream);
		service_share_set(service);
	}
	service->clients = clients_new(service->loop, service->table, service->index, &settings->clients, log_clients,
	    service->upstream, service->mux, service_on_client_ended, service);
	if (service->mux != NULL)
		mux_begin(service->mux, service->removed ? -1 : service->record->sockets[0].fd);
}

static void
service_listen(void *arg, unsigned listener, int fd, bool last)
{
	struct service *service = arg;

	if (service->settings->shared.type == LISTENER_DGRAM)
		mux_set_datagrams(service->mux, fd);
	else
		clients_listen(service->clients, listener, fd, last);
}

/* What the record holds is resumed, so nothing here may fail. */
static void
service_begin(struct service *service, const char *runtime_directory, struct prepared_socket *prepared,
    bool log_clients, const struct upstream_watcher *watcher)
{
	const struct service_settings *settings = service->settings;
	struct table_service *record = service->record;
	uint64_t hash = service_hash(settings);

	service->upstream = upstream_new(service->loop, service->table, service->index, &settings->upstream, watcher,
	    &service_upstream_callbacks, service);
	if (record->settings_hash != 0 && record->settings_hash != hash) /* a worker died in a reload */
		upstream_renew(service->upstream, &settings->upstream, true);
	record->settings_hash = hash;
	service_make_clients(service, log_clients);
	service->sockets = service_sockets_new(service->loop, service->table, service->index, runtime_directory,
	    service_listen, service);
	if (record->pause.value != 0)
		service_obey_pause(service, false);
	if (record->failing.value != 0)
		service_obey_failure(service);
	clients_serve(service->clients);
	service_sockets_settle(service->sockets, &settings->listeners, settings->upstream.pconn.retry.delay,
	    prepared);
}

char *
service_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    struct service_settings *settings, struct prepared_socket *prepared, bool log_clients,
    const struct upstream_watcher *watcher, void (*gone)(void *arg, struct service *service), void *arg,
    struct service **ret_service)
{
	int index = service_find_record(table, settings->name);
	struct service *service;

	if (index == -1)
		return mem_print("no room for a further service");
	service = service_make(loop, table, (uint16_t)index, settings, gone, arg);
	if (TABLE_STATE(service->record->word) == TABLE_FREE)
		service_create_record(service);
	service_begin(service, runtime_directory, prepared, log_clients, watcher);
	CRASH_POINT(RECOVER_SERVICE);
	*ret_service = service;
	return NULL;
}

/* It is removed, now or by a worker that died since: nobody comes in any more, clients may end by themselves until
 * the deadline (0: whenever they like).  Whether none is left. */
static bool
service_leave(struct service *service, int64_t deadline)
{
	struct table_service *record = service->record;

	record->pause.value = record->failing.value = 0;
	record->drain_deadline = deadline;
	service_set_state(record, TABLE_CLOSING);
	service_sockets_close(service->sockets);
	service->sockets = NULL;
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		listen_socket_end(&record->sockets[i]);
	clients_leave_upstream(service->clients);
	mux_leave_upstream(service->mux);
	upstream_free(service->upstream);
	service->upstream = NULL;
	clients_close(service->clients, CLOSING_REMOVED, false);
	if (deadline != 0)
		loop_timer_at(&service->ending, deadline);
	return clients_is_empty(service->clients);
}

struct service *
service_resume_removed(struct event_base *loop, struct table *table, uint16_t index,
    void (*gone)(void *arg, struct service *service), void *arg)
{
	struct service_settings *settings = mem_new(1, sizeof *settings);
	struct service *service = service_make(loop, table, index, settings, gone, arg);
	const struct table_service *record = service->record;

	record_forget(table, index);
	settings->name = mem_copy_text(record->name);
	if (shared_recall(&record->shared, &settings->shared))
		settings->mode = SERVICE_SHARED;
	service->removed = true;
	service_make_clients(service, false);
	if (service_leave(service, record->drain_deadline))
		loop_timer_soon(&service->ending);
	return service;
}

void
service_free(struct service *service)
{
	if (service == NULL)
		return;
	loop_timer_stop(&service->ending);
	service_sockets_free(service->sockets);
	clients_free(service->clients);
	mux_free(service->mux);
	upstream_free(service->upstream);
	settings_clear(&settings_service, service->settings);
	mem_free(service->settings);
	mem_free(service);
}

bool
service_remove(struct service *service)
{
	int64_t limit = service->settings->drain_timeout;
	bool empty;

	service->removed = true;
	empty = service_leave(service, limit == 0 ? 0 : clock_after(clock_now(), limit));
	if (empty)
		service_end(service);
	return empty;
}

void
service_renew(struct service *service, struct service_settings *settings, struct prepared_socket *prepared,
    bool log_clients)
{
	struct service_settings *old = service->settings;
	struct table_service *record = service->record;
	bool anew = settings_compare(&settings_service, old, settings) >= SETTING_RENEW;

	service->settings = settings;
	service_join_settings(settings);
	service_sockets_settle(service->sockets, &settings->listeners, settings->upstream.pconn.retry.delay,
	    prepared);
	for (unsigned i = 0; i < settings->listeners.count; i++)
		if (record->sockets[i].fd != -1 && !record->sockets[i].activated &&
		    settings->shared.type != LISTENER_DGRAM)
			listen(record->sockets[i].fd, settings->listeners.at[i].backlog);
	service_share_set(service);
	service_note(service, "a reload has changed its settings%s", anew ? "; its upstream side starts afresh"
	    : " in place");
	upstream_renew(service->upstream, &settings->upstream, anew);
	record->settings_hash = service_hash(settings);
	clients_set(service->clients, &settings->clients, log_clients);
	settings_clear(&settings_service, old);
	mem_free(old);
}

void
service_log_clients(struct service *service, bool log_clients)
{
	clients_set(service->clients, &service->settings->clients, log_clients);
}

void
service_stop(struct service *service, bool all)
{
	service_sockets_close(service->sockets);
	service->sockets = NULL;
	clients_close(service->clients, CLOSING_STOP, all);
	if (all)
		clients_finish(service->clients);
}

static void
service_order(struct table_order *order, uid_t uid, uint64_t value)
{
	order->uid = uid;
	order->since = clock_wall();
	table_barrier();
	order->value = value;
	CRASH_POINT(SWITCH_ORDERED);
}

void
service_pause(struct service *service, uid_t uid, bool kill)
{
	struct table_order *order = &service->record->pause;

	if (order->value == 0) {
		service_order(order, uid, 1);
		service_note(service, "paused by %s; new work is held until it is resumed", service_user(uid));
	}
	service_obey_pause(service, kill);
}

bool
service_resume(struct service *service, uid_t uid)
{
	struct table_order *order = &service->record->pause;
	int64_t paused = clock_wall() - order->since;

	if (order->value == 0)
		return false;
	order->value = 0;
	CRASH_POINT(SWITCH_ORDERED);
	table_barrier();
	order->since = clock_now();
	service_note(service, "resumed by %s after %.1f s", service_user(uid), (double)paused / CLOCK_SECOND);
	clients_pause(service->clients, false);
	upstream_let_go(service->upstream, false);
	if (service->mux != NULL)
		mux_unpause(service->mux);
	return true;
}

void
service_fail(struct service *service, uid_t uid, int64_t span)
{
	struct table_order *order = &service->record->failing;
	bool fails = order->value != 0;

	if (span == 0 && !fails)
		return;
	service_order(order, uid, span == 0 ? 0 : (uint64_t)clock_after(clock_now(), span));
	if (span == 0)
		service_note(service, "no longer made to fail: ended by %s", service_user(uid));
	else
		service_note(service, "made to fail by %s for %.1f s", service_user(uid),
		    (double)span / CLOCK_SECOND);
	service_obey_failure(service);
}

struct service_sockets *
service_get_sockets(const struct service *service)
{
	return service->sockets;
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

/* A service that nobody can connect to is down, and waits for its socket, whatever its upstream does. */
static void
service_show_shut(const struct service *service, struct upstream_status *upstream)
{
	int64_t since = service_sockets_shut_since(service->sockets);

	upstream->up = false;
	upstream->last_error = service_sockets_error(service->sockets);
	upstream->last_error_at = since;
	if (upstream->down_since == 0 || upstream->down_since > since)
		upstream->down_since = since;
	if (service->upstream == NULL || upstream_refuses(service->upstream))
		return;
	upstream->state = UPSTREAM_WAITING;
	upstream->since = since;
	upstream->next_attempt = service_sockets_next(service->sockets);
}

static void
service_get_sockets_status(const struct service *service, struct service_status *status)
{
	status->socket = service_sockets_text(service->sockets);
	status->socket_count = service_sockets_count(service->sockets);
	for (unsigned i = 0; i < status->socket_count; i++) {
		const char *error = listen_socket_error(service_sockets_at(service->sockets, i));

		status->sockets[i].path = service_sockets_path(service->sockets, i);
		status->sockets[i].error = error;
		status->sockets_missing += error != NULL;
	}
}

void
service_get_status(const struct service *service, struct service_status *ret_status)
{
	const struct table_service *record = service->record;
	struct clients_status clients;

	clients_get_status(service->clients, &clients);
	*ret_status = (struct service_status){ .record = record, .mode = service->settings->mode,
		.clients = clients.open, .lingering = clients.lingering, .held = clients.held,
		.held_longest = clients.held_longest, .bytes = { clients.bytes[0], clients.bytes[1] },
		.accepting_paused = clients.paused, .removed = service->removed,
		.socket = service->settings->listeners.at[0].path,
		.socket_error = service_sockets_error(service->sockets),
		.shut = service_sockets_are_shut(service->sockets) };
	if (service->sockets != NULL)
		service_get_sockets_status(service, ret_status);
	if (service->upstream != NULL)
		upstream_get_status(service->upstream, &ret_status->upstream);
	if (service->mux != NULL) {
		mux_get_status(service->mux, &ret_status->shared);
		ret_status->held = ret_status->shared.waiting;
		ret_status->held_longest = ret_status->shared.waiting_longest;
	}
	if (ret_status->shut)
		service_show_shut(service, &ret_status->upstream);
}

static void
service_administer(struct service *service, enum table_admin what, uid_t uid, const char *text,
    enum pconn_event event)
{
	service->record->administered_uid = uid;
	service->record->administered_since = clock_wall();
	table_barrier();
	service->record->administered = what;
	service_note(service, "%s by %s", text, service_user(uid));
	upstream_tell(service->upstream, event);
}

void
service_close(struct service *service, uid_t uid, bool kill)
{
	service_administer(service, TABLE_ADMIN_CLOSED, uid, kill ? "closed, with all clients," : "closed",
	    PCONN_CLOSE);
	clients_close(service->clients, CLOSING_OPERATOR, kill);
}

void
service_drain(struct service *service, uid_t uid)
{
	service_administer(service, TABLE_ADMIN_DRAINED, uid, "drained", PCONN_DRAIN);
	clients_serve(service->clients);
}

void
service_open(struct service *service, uid_t uid)
{
	service_administer(service, TABLE_ADMIN_NONE, uid, "opened", PCONN_OPEN);
}

/* The connection that the client's bytes go over: its own, or in shared mode that of all. */
static const struct table_conn *
service_upstream_of(const struct table *table, uint32_t index)
{
	const struct table_client *record = &table->clients[index];
	uint32_t conn = record->conn;

	if (conn == TABLE_CONN_SHARED)
		conn = table->services[record->service].shared.upstream;
	return conn == 0 ? NULL : &table->conns[conn];
}

static struct service_client
service_client_of(const struct table *table, uint32_t index)
{
	const struct table_client *record = &table->clients[index];

	return (struct service_client){ .id = record->id, .index = index, .fd = record->fd, .since = record->since,
		.upstream = service_upstream_of(table, index), .held = table_client_is_held(table, index),
		.own = table_client_is_apart(table, index), .bytes = { record->bytes[0], record->bytes[1] } };
}

struct service_visit {
	const struct table *table;
	bool left;       /* of service_left.clients alone */
	unsigned count;
	bool (*visit)(void *arg, const struct service_client *client); /* NULL: they are counted */
	void *arg;
};

static bool
service_on_visit(void *arg, uint32_t index)
{
	struct service_visit *each = arg;
	struct service_client client = service_client_of(each->table, index);

	if (each->left && (client.held || client.fd == -1)) /* who sends datagrams has no file */
		return true;
	each->count++;
	return each->visit == NULL || each->visit(each->arg, &client);
}

bool
service_get_client(const struct service *service, uint32_t index, uint64_t id, struct service_client *ret_client)
{
	if (table_client_state(service->table, index) != TABLE_LIVE || service->table->clients[index].id != id)
		return false;
	*ret_client = service_client_of(service->table, index);
	return true;
}

void
service_each_client(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_visit each = { .table = service->table, .visit = visit, .arg = arg };

	clients_each(service->clients, service_on_visit, &each);
}

unsigned
service_each_left(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_visit each = { .table = service->table, .left = true, .visit = visit, .arg = arg };

	if (service->mux != NULL)
		mux_each_in_flight(service->mux, service_on_visit, &each);
	else
		clients_each(service->clients, service_on_visit, &each);
	return each.count;
}

void
service_get_left(struct service *service, struct service_left *ret_left)
{
	*ret_left = (struct service_left){ .clients = service_each_left(service, NULL, NULL),
		.requests = service->mux == NULL ? 0 : mux_in_flight(service->mux),
		.connecting = !upstream_refuses(service->upstream) && !upstream_is_at_rest(service->upstream) };
}

void
service_kill(struct service *service, uint32_t index)
{
	clients_kill(service->clients, index);
}
