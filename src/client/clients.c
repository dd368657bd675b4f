#include "client/clients.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/clients_parts.h"
#include "keep/crash.h"
#include "keep/histogram.h"

struct table_counters *
clients_counters(const struct clients *clients)
{
	return &clients->table->services[clients->service].counters;
}

/* Whether who is held waits for nothing but a connection that is being made: neither is the service down, nor does an
 * operator have it wait. */
static bool
clients_is_dialling(const struct clients *clients)
{
	return !table_is_paused(clients->table, clients->service) && !upstream_refuses(clients->upstream) &&
	    upstream_is_up(clients->upstream);
}

/* Those who come then are not refused for want of a place among the held: they wait in the backlog until connections
 * have been made for those who came before them.  One at least is held, or none would be made. */
static bool
clients_is_lagging(const struct clients *clients)
{
	unsigned max = clients->settings->max_held > 0 ? clients->settings->max_held : 1;

	return clients->held.count >= max && clients_is_dialling(clients);
}

void
clients_limit(struct clients *clients)
{
	unsigned max = clients->settings->max_clients;
	enum table_pause why = TABLE_PAUSE_NONE;

	if (clients->listener == NULL)
		return;
	if (max > 0 && clients->open_count + clients->held.count >= max)
		why = TABLE_PAUSE_MAX_CLIENTS;
	else if (clients_is_lagging(clients))
		why = TABLE_PAUSE_MAX_HELD;
	if (why == clients->paused)
		return;
	listener_pause(clients->listener, why != TABLE_PAUSE_NONE);
	clients->paused = why;
	clients_note_paused(clients, why);
}

void
clients_tell_held(struct clients *clients)
{
	upstream_set_held(clients->upstream, clients->held.count);
}

/* Takes the session out of its list; it is to be closed or to go to the other list. */
static void
clients_unlist(struct clients *clients, struct client *client)
{
	if (client_is_held(client)) {
		waiting_leave(&clients->held, &client->waiting);
	} else {
		TAILQ_REMOVE(&clients->open, client, entry);
		clients->open_count--;
	}
}

/* It leaves those who share, if it is one of them. */
static void
clients_unshare(struct client *client)
{
	mux_client_free(client->mux_client);
	client->mux_client = NULL;
}

void
clients_end(struct clients *clients, struct client *client, enum closing_cause cause, const char *reply)
{
	bool held = client_is_held(client);

	clients_log_end(clients, client, cause);
	admission_leave(clients->admission, client->uid);
	clients_unlist(clients, client);
	clients_unshare(client);
	if (clients->placed == client)
		clients->placed = NULL;
	if (reply != NULL)
		client_refuse(client, clients->lingering, reply);
	else
		client_close(client);
	if (held)
		clients_tell_held(clients);
	clients_limit(clients);
	clients->ended(clients->arg);
}

/* A client that gets no connection: told why if the settings say so, and counted. */
static void
clients_refuse(struct clients *clients, struct client *client, uint64_t *counter, enum closing_cause cause)
{
	const char *reply = clients->settings->down_reply;

	++*counter;
	clients_end(clients, client, cause, reply != NULL ? reply : "");
}

static void
clients_on_attached(void *arg, struct client *client)
{
	struct clients *clients = arg;

	(void)client;
	upstream_tell(clients->upstream, PCONN_RELAYED);
}

void
clients_put_back(struct clients *clients, struct client *client)
{
	uint64_t lost;

	clients_unlist(clients, client);
	client_return(client, &lost);
	clients_counters(clients)->lost_bytes += lost;
	clients_wait(clients, client);
}

static bool
clients_on_upstream_ended(void *arg, struct client *client)
{
	struct clients *clients = arg;

	if ((client_was_attached(client) && clients->settings->on_upstream_end != CLIENTS_RECONNECT) ||
	    upstream_refuses(clients->upstream))
		return false;
	if (client_is_unused(client))
		upstream_unused(clients->upstream, client_record(client)->conn);
	clients_put_back(clients, client);
	clients_tell_held(clients);
	clients_serve(clients);
	return true;
}

static void
clients_on_ended(void *arg, struct client *client)
{
	/* Who shares may have said what nobody has read. */
	clients_end(arg, client, client->cause, client->mux_client != NULL ? "" : NULL);
}

bool
clients_has_left(const struct clients *clients, const struct client *client)
{
	return clients->settings->abort_on_close ? client_is_gone(client) : client_has_left(client);
}

static void
clients_on_left(void *arg, struct client *client)
{
	if (clients_has_left(arg, client))
		clients_end(arg, client, CLOSING_CLIENT, NULL);
}

static const struct client_callbacks clients_session_callbacks = {
	.attached = clients_on_attached,
	.upstream_ended = clients_on_upstream_ended,
	.ended = clients_on_ended,
	.left = clients_on_left,
};

static void
clients_on_expiry(void *arg)
{
	struct clients *clients = arg;
	struct client *client;
	int64_t now = clock_now();

	while ((client = client_of(waiting_over(&clients->held, now))) != NULL) {
		clients_note_refused(clients, CLIENTS_LIMIT_TIME);
		clients_refuse(clients, client, &clients_counters(clients)->refused_hold_timeout,
		    CLOSING_HOLD_TIMEOUT);
	}
	loop_timer_at(&clients->expiry, waiting_next_end(&clients->held));
}

/* Since when it waits: its coming, or the loss of the connection it had, whose time is not limited; after a worker's
 * death that is known to the tick.  Its place is its id, so that a new worker finds the same order. */
void
clients_wait(struct clients *clients, struct client *client)
{
	const struct table_client *record = client_record(client);
	int64_t end;

	client->waiting.place = record->id;
	client->waiting.unlimited = client_was_attached(client);
	client->waiting.since = record->since;
	if (client->waiting.unlimited)
		client->waiting.since = client->returned != 0 ? client->returned : record->active * CLOCK_TICK;
	waiting_enter(&clients->held, &client->waiting);
	end = waiting_end(&clients->held, &client->waiting);
	/* A new worker adds them in the order of the table, not of their ends. */
	if (end != CLOCK_NEVER && (!loop_timer_is_set(&clients->expiry) || end < clients->expiry.deadline))
		loop_timer_at(&clients->expiry, end);
}

static void
clients_open(struct clients *clients, struct client *client, uint32_t conn)
{
	int64_t since = client->waiting.since;

	client_open(client, conn);
	upstream_taken(clients->upstream, conn);
	CRASH_POINT(OPEN_TAKEN);
	if (client != clients->placed)
		histogram_count(clients->table, clients->service, TABLE_HISTOGRAM_HOLD, client->opened - since);
	TAILQ_INSERT_TAIL(&clients->open, client, entry);
	clients->open_count++;
	if (clients->fresh)
		return;
	clients->fresh = true;
	clients_scan_later(clients);
}

bool
clients_is_closed_now(const struct clients *clients)
{
	return admission_is_closed(clients->table, clients->service, clients->upstream,
	    clients->settings->on_down == CLIENTS_REFUSE);
}

/* With max_held = 0 the one who waits while a connection is being made does so no longer than that. */
static bool
clients_holds_nobody(const struct clients *clients)
{
	return clients->settings->max_held == 0 && !clients_is_dialling(clients);
}

void
clients_serve(struct clients *clients)
{
	unsigned before = clients->held.count;
	struct client *client;
	uint32_t conn;

	while ((client = clients_first_held(clients)) != NULL) {
		if (upstream_refuses(clients->upstream)) {
			clients_refuse(clients, client, &clients_counters(clients)->refused_down, CLOSING_REFUSED);
			continue;
		}
		/* One that has only just come, and does not wait, is not looked at: it costs a call. */
		if (client->waits && clients->settings->abort_on_close && client_is_gone(client)) {
			clients_end(clients, client, CLOSING_CLIENT, NULL);
			continue;
		}
		conn = upstream_take(clients->upstream);
		if (conn != 0) {
			waiting_leave(&clients->held, &client->waiting);
			clients_open(clients, client, conn);
		} else if (clients_is_closed_now(clients) && !client_was_attached(client)) {
			clients_refuse(clients, client, &clients_counters(clients)->refused_down, CLOSING_REFUSED);
		} else if (clients_holds_nobody(clients) && !client_was_attached(client)) {
			clients_note_refused(clients, CLIENTS_LIMIT_HELD);
			clients_refuse(clients, client, &clients_counters(clients)->refused_held_max, CLOSING_LIMIT);
		} else {
			break;
		}
	}
	if (clients->held.count != before)
		clients_tell_held(clients);
	clients_limit(clients);
}

void
clients_share_out(struct clients *clients, struct client *client)
{
	client->mux_client = mux_client_new(clients->shared, client);
}

/* In shared mode a client is served at once, whether the service is up or not. */
static void
clients_share(struct clients *clients, struct client *client)
{
	waiting_leave(&clients->held, &client->waiting);
	TAILQ_INSERT_TAIL(&clients->open, client, entry);
	clients->open_count++;
	client_share(client);
	clients_share_out(clients, client);
}

/* The client's record is there: serve it, hold it, or refuse it. */
static void
clients_place(struct clients *clients, struct client *client)
{
	struct table_counters *counters = clients_counters(clients);
	const struct clients_settings *settings = clients->settings;

	clients_wait(clients, client);
	if (clients_is_closed_now(clients)) {
		clients_refuse(clients, client, &counters->refused_down, CLOSING_REFUSED);
		return;
	}
	if (clients->shared != NULL) {
		clients_share(clients, client);
		return;
	}
	clients->placed = client;
	if (clients_first_held(clients) == client)
		clients_serve(clients);
	if (clients->placed == NULL) /* what was found out by trying to serve it has refused it */
		return;
	clients->placed = NULL;
	if (!client_is_held(client))
		return;
	if (clients->held.count > settings->max_held && !clients_is_dialling(clients)) {
		clients_note_refused(clients, CLIENTS_LIMIT_HELD);
		clients_refuse(clients, client, &counters->refused_held_max, CLOSING_LIMIT);
		return;
	}
	client->waits = true;
	clients_watch_later(clients);
	clients_tell_held(clients);
}

struct client *
clients_add(struct clients *clients, uint32_t index, uid_t uid)
{
	struct client *client = client_new(&clients->slab, clients->loop, clients->table, index,
	    &clients_session_callbacks, clients);

	client->uid = uid;
	return client;
}

enum admission_result
clients_admit(struct clients *clients, int fd, uid_t *ret_uid)
{
	enum admission_result result = admission_ask(clients->admission, fd, ret_uid);

	if (result == ADMISSION_NOT_ALLOWED) {
		clients_counters(clients)->refused_permission++;
		clients_log_end(clients, NULL, CLOSING_NOT_ALLOWED);
	} else if (result == ADMISSION_TOO_MANY) {
		clients_counters(clients)->refused_per_user++;
		clients_log_end(clients, NULL, CLOSING_LIMIT);
	}
	return result;
}

/* A record for a client that has just been accepted.  0: there is none, the client is closed. */
static uint32_t
clients_record(struct clients *clients, int fd, uint16_t flags)
{
	uint32_t index = table_client_claim(clients->table);
	struct table_client *record = &clients->table->clients[index];

	if (index == 0) {
		close(fd);
		return 0;
	}
	record->fd = table_note_file(clients->table, fd);
	record->service = clients->service;
	record->since = clock_now();
	record->flags = flags;
	table_client_set(clients->table, index, TABLE_LIVE);
	CRASH_POINT(ACCEPT_RECORDED);
	return index;
}

/* Who has too many connections is told so.  Should this worker die here, the next one asks again who it is. */
static void
clients_turn_away(struct clients *clients, int fd)
{
	uint32_t index = clients_record(clients, fd, TABLE_CLIENT_ADOPTED);

	if (index != 0)
		lingering_begin(clients->lingering, index, clients->settings->down_reply);
}

static void
clients_on_accepted(void *arg, int fd)
{
	struct clients *clients = arg;
	uint32_t index;
	uid_t uid;

	switch (clients_admit(clients, fd, &uid)) {
	case ADMISSION_NOT_ALLOWED: /* no file is kept for who may not come at all */
		close(fd);
		return;
	case ADMISSION_TOO_MANY:
		clients_turn_away(clients, fd);
		return;
	default:
		break;
	}
	index = clients_record(clients, fd, 0);
	if (index == 0) {
		admission_leave(clients->admission, uid);
		return;
	}
	clients_counters(clients)->clients++;
	clients_place(clients, clients_add(clients, index, uid));
	clients_limit(clients);
}

static void
clients_on_exhausted(void *arg, int error)
{
	struct clients *clients = arg;

	log_error(clients->name, "cannot accept: %s; accepting goes on as soon as it can", strerror(error));
	clients_note_paused(clients, TABLE_PAUSE_FILES);
	lingering_close(clients->lingering); /* their files are needed more by who may come in */
}

static void
clients_on_lingered(void *arg)
{
	struct clients *clients = arg;

	clients->ended(clients->arg);
}

struct clients *
clients_new(struct event_base *loop, struct table *table, uint16_t service, const struct clients_settings *settings,
    bool log_clients, struct upstream *upstream, struct shared *shared, void (*ended)(void *arg), void *arg)
{
	struct clients *clients = mem_new(1, sizeof *clients);

	clients->loop = loop;
	clients->table = table;
	clients->service = service;
	clients->name = table->services[service].name;
	clients->upstream = upstream;
	clients->shared = shared;
	clients->ended = ended;
	clients->arg = arg;
	client_slab_init(&clients->slab);
	TAILQ_INIT(&clients->open);
	clients->admission = admission_new(clients->name);
	waiting_init(&clients->held, settings->hold_timeout);
	loop_timer_init(&clients->expiry, loop, clients_on_expiry, clients);
	clients->lingering = lingering_new(loop, table,
	    shared == NULL ? LINGERING_REQUEST : LINGERING_MESSAGE, clients_on_lingered, clients);
	clients_scan_init(clients);
	clients_resume_pause(clients);
	clients_set(clients, settings, log_clients);
	clients_resume(clients);
	return clients;
}

void
clients_free(struct clients *clients)
{
	struct client *client;

	if (clients == NULL)
		return;
	listener_free(clients->listener);
	loop_timer_stop(&clients->scan);
	loop_timer_stop(&clients->watching);
	loop_timer_stop(&clients->expiry);
	while ((client = clients_first_held(clients)) != NULL) {
		waiting_leave(&clients->held, &client->waiting);
		client_free(client);
	}
	while ((client = TAILQ_FIRST(&clients->open)) != NULL) {
		TAILQ_REMOVE(&clients->open, client, entry);
		clients_unshare(client);
		client_free(client);
	}
	lingering_free(clients->lingering);
	admission_free(clients->admission);
	client_slab_clear(&clients->slab);
	mem_free(clients);
}

/* Who came before there was a limit per user is counted from now on. */
static void
clients_count_users(struct clients *clients)
{
	struct client *client;

	TAILQ_FOREACH(client, &clients->open, entry)
		admission_rejoin(clients->admission, client_record(client)->fd, &client->uid);
	for (client = clients_first_held(clients); client != NULL; client = clients_next_held(client))
		admission_rejoin(clients->admission, client_record(client)->fd, &client->uid);
}

void
clients_set(struct clients *clients, const struct clients_settings *settings, bool log_clients)
{
	clients->settings = settings;
	clients->log_clients = log_clients;
	admission_set(clients->admission, settings->allow_users, settings->allow_groups,
	    settings->max_clients_per_user);
	clients_count_users(clients);
	clients->held.timeout = settings->hold_timeout;
	loop_timer_at(&clients->expiry, waiting_next_end(&clients->held));
	clients_scan_later(clients);
	clients_limit(clients);
}

void
clients_leave_upstream(struct clients *clients)
{
	clients->upstream = NULL;
}

void
clients_listen(struct clients *clients, int fd)
{
	listener_free(clients->listener);
	clients->listener = NULL;
	clients->paused = TABLE_PAUSE_NONE;
	if (fd != -1) {
		clients->listener = listener_new(clients->loop, fd, clients_on_accepted, clients_on_exhausted,
		    clients);
		listener_keep_reserve(clients->listener);
	}
	clients_limit(clients);
}

void
clients_accept_rest(struct clients *clients)
{
	if (clients->listener != NULL)
		listener_finish(clients->listener);
}

void
clients_close(struct clients *clients, enum closing_cause cause, bool open)
{
	struct client *client;

	while ((client = clients_first_held(clients)) != NULL)
		clients_refuse(clients, client, &clients_counters(clients)->refused_down, cause);
	while (open && (client = TAILQ_FIRST(&clients->open)) != NULL)
		clients_end(clients, client, cause, NULL);
}

void
clients_finish(struct clients *clients)
{
	lingering_close(clients->lingering);
}
