#include "client/clients.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/admission.h"
#include "client/client.h"
#include "client/mux.h"
#include "client/mux_client.h"
#include "client/mux_own.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/upstream.h"

/* A connect to a service that is up takes less. */
#define CLIENTS_MOMENT   (20 * CLOCK_MILLISECOND)
#define CLIENTS_LOOK_MIN (100 * CLOCK_MILLISECOND)
#define CLIENTS_LOOK_MAX (5 * CLOCK_SECOND)
/* Who is turned away has so long to hear why. */
#define CLIENTS_LINGERING_TIME CLOCK_SECOND

struct clients {
	struct client_owner owner;    /* its arg is this */
	struct table *table;          /* borrowed */
	uint16_t service;
	const char *name;             /* borrowed: in the table */
	struct table_counters *counters; /* borrowed: likewise */
	const struct clients_settings *settings; /* borrowed */
	enum log_level log_level;     /* of each client's closing line */
	struct upstream *upstream;    /* borrowed; NULL once no connection will come */
	struct mux *mux;              /* borrowed; NULL in session mode */
	struct admission *admission;  /* owned */
	struct client_list all;       /* owned: held and open */
	unsigned count;               /* of them */
	struct waiting_queue held;
	struct waiting_queue lingering; /* owned: who was turned away, and is not gone yet; the oldest first */
	bool begun;                   /* the clients of a dead worker have been taken up */
	struct loop_timer look;
	int64_t watch_at;             /* when who waits is watched for leaving; CLOCK_NEVER: nobody came */
	int64_t regular;              /* when all is looked at next, not only who is idle */
	int64_t idle_at;              /* when the next client will have been idle for idle_timeout; CLOCK_NEVER */
	bool fresh;                   /* some connections have no socket options yet */
	void (*ended)(void *arg);
	void *arg;                    /* borrowed */
};

/* Who is served next; NULL: nobody. */
static struct client *
clients_first_held(const struct clients *clients)
{
	return client_of(waiting_first(&clients->held));
}

/* Whether clients that connect now, or wait, are turned away. */
static bool
clients_is_closed(const struct clients *clients)
{
	return admission_is_closed(clients->table, clients->service, clients->upstream,
	    clients->settings->on_down == CLIENTS_REFUSE);
}

/* Whether who is held waits for nothing but a connection that is being made: neither is the service down, nor does an
 * operator have it wait. */
static bool
clients_is_dialling(const struct clients *clients)
{
	return !table_is_paused(clients->table, clients->service) && !upstream_refuses(clients->upstream) &&
	    upstream_is_up(clients->upstream);
}

/* Accepting pauses at max_clients, and resumes below.  While connections for max_held are being made further clients
 * are not refused: they wait in the backlog.  One at least is held, or no connection would be made. */
static void
clients_limit(struct clients *clients)
{
	unsigned max = clients->settings->max_clients, held = clients->settings->max_held;
	enum table_pause why = TABLE_PAUSE_NONE;

	if (max > 0 && clients->count >= max)
		why = TABLE_PAUSE_MAX_CLIENTS;
	else if (clients->held.count >= (held > 0 ? held : 1) && clients_is_dialling(clients))
		why = TABLE_PAUSE_MAX_HELD;
	admission_pause(clients->admission, why, why == TABLE_PAUSE_MAX_HELD ? held : max);
}

/* clients_look() comes by then. */
static void
clients_look_by(struct clients *clients, int64_t at)
{
	if (at != CLOCK_NEVER && (!loop_timer_is_set(&clients->look) || at < clients->look.deadline))
		loop_timer_at(&clients->look, at);
}

/* Runs the timer when something will be due; it may have changed what, and for whom. */
static void
clients_look_soon(struct clients *clients, int64_t now)
{
	int64_t interval = clients->settings->idle_timeout / 4, regular;
	int64_t most = clients->fresh ? TABLE_TUNE_AGE : CLIENTS_LOOK_MAX;

	if (interval == 0 || interval > most)
		interval = most;
	regular = now + (interval < CLIENTS_LOOK_MIN ? CLIENTS_LOOK_MIN : interval);
	if (clients->regular <= now || clients->regular > regular)
		clients->regular = regular;
	clients_look_by(clients, clients->regular);
	clients_look_by(clients, clients->idle_at);
	clients_look_by(clients, clients->watch_at);
}

/* It is held from now on. */
static void
clients_wait(struct clients *clients, struct client *client)
{
	client_wait(client, &clients->held);
	clients_look_by(clients, waiting_end(&clients->held, &client->waiting));
}

/* It is none of those who are held or open; that it waits ends with it, or when it is turned away. */
static void
clients_remove(struct clients *clients, struct client *client)
{
	TAILQ_REMOVE(&clients->all, client, entry);
	clients->count--;
	if (clients->mux != NULL && client->relay != NULL)
		mux_own_note(mux_get_own(clients->mux), -1);
	mux_leave(clients->mux, client->mux_client);
	client->mux_client = NULL;
}

/* One of no list is told why, and closed when it has heard it, or its time is over. */
static void
clients_turn_away(struct clients *clients, struct client *client, const char *text)
{
	client_linger_in(client, text, &clients->lingering);
	if (clients->lingering.count > 0)
		clients_look_by(clients, waiting_end(&clients->lingering, waiting_first(&clients->lingering)));
}

/* Ends a client, held or open; the cause is for the log.  A reply that is not NULL is said first. */
static void
clients_end(struct clients *clients, struct client *client, enum closing_cause cause, const char *reply)
{
	bool held = client_is_held(client);

	if (client->mux_client != NULL && mux_client_is_asking(client->mux_client))
		client->asked = true;
	client_log_end(client, clients->name, clients->log_level, cause);
	admission_leave(clients->admission, client->uid);
	clients_remove(clients, client);
	if (reply != NULL)
		clients_turn_away(clients, client, reply);
	else
		client_close(client);
	if (!clients->begun)
		return;
	if (held)
		upstream_set_held(clients->upstream, clients->held.count);
	clients_limit(clients);
	clients->ended(clients->arg);
}

/* A held client that gets no connection: counted, and told why if the settings say so.  For a limit the log says so
 * at once, then once a minute at most. */
static void
clients_refuse(struct clients *clients, struct client *client, enum closing_cause cause)
{
	const char *reply = clients->settings->down_reply;
	int64_t now = clock_now();
	uint64_t *counter = &clients->counters->refused_down;

	if (cause == CLOSING_LIMIT) {
		counter = &clients->counters->refused_held_max;
		admission_note_refused(clients->admission, ADMISSION_MAX_HELD, clients->settings->max_held, now);
	} else if (cause == CLOSING_HOLD_TIMEOUT) {
		counter = &clients->counters->refused_hold_timeout;
		admission_note_refused(clients->admission, ADMISSION_HOLD_TIMEOUT, clients->held.timeout, now);
	}
	++*counter;
	clients_end(clients, client, cause, reply != NULL ? reply : "");
}

/* In shared mode a client is served at once, whether the service is up or not. */
static void
clients_share(struct clients *clients, struct client *client)
{
	if (client_is_held(client))
		client_share(client);
	client->mux_client = mux_join(clients->mux, client);
}

/* An open client's own connection is closed, and it waits for another, of which the upstream is to be told, or shares
 * what its service shares. */
static void
clients_put_back(struct clients *clients, struct client *client)
{
	clients->counters->lost_bytes += client_return(client);
	if (clients->mux == NULL) {
		clients_wait(clients, client);
		return;
	}
	mux_own_note(mux_get_own(clients->mux), -1);
	clients_share(clients, client);
}

static bool
clients_on_event(void *arg, struct client *client, enum client_event event)
{
	struct clients *clients = arg;

	switch (event) {
	case CLIENT_ANSWERED:
		if (clients->mux == NULL)
			upstream_tell(clients->upstream, PCONN_ANSWERED);
		break;
	case CLIENT_OWNS:
		clients->fresh = true;
		clients_look_soon(clients, client->opened);
		break;
	case CLIENT_FREE:
		mux_own_rest(mux_get_own(clients->mux), client);
		break;
	case CLIENT_BACK:
		clients_put_back(clients, client);
		break;
	case CLIENT_UPSTREAM_ENDED:
		if (clients->mux != NULL ? !client_is_unused(client) : upstream_refuses(clients->upstream) ||
		    (client_was_attached(client) && clients->settings->on_upstream_end != CLIENTS_RECONNECT))
			return false;
		if (clients->mux == NULL && client_is_unused(client))
			upstream_unused(clients->upstream, client_record(client)->conn);
		clients_put_back(clients, client);
		if (clients->mux == NULL) {
			upstream_set_held(clients->upstream, clients->held.count);
			clients_serve(clients);
		}
		return true;
	case CLIENT_LEFT:
		if (client_has_left(client, clients->settings->abort_on_close))
			clients_end(clients, client, CLOSING_CLIENT, NULL);
		break;
	case CLIENT_ENDED: /* who shares may have said what nobody has read */
		clients_end(clients, client, client->cause, client->mux_client != NULL ? "" : NULL);
		break;
	case CLIENT_HEARD:
		client_close(client);
		clients->ended(clients->arg);
		break;
	}
	return false;
}

/* To the first of the held. */
static void
clients_open(struct clients *clients, struct client *client, uint32_t conn)
{
	waiting_leave(&client->waiting);
	client_open(client, conn);
	upstream_taken(clients->upstream, conn);
	CRASH_POINT(OPEN_TAKEN);
	if (client->waits)
		histogram_count(clients->table, clients->service, TABLE_HISTOGRAM_HOLD,
		    client->opened - client->waiting.since);
	if (clients->fresh)
		return;
	clients->fresh = true;
	clients_look_soon(clients, client->opened);
}

/* The first of the held is served, refused, or found gone; false: it waits on. */
static bool
clients_serve_first(struct clients *clients, struct client *client)
{
	uint32_t conn;

	if (upstream_refuses(clients->upstream)) {
		clients_refuse(clients, client, CLOSING_REFUSED);
	/* One that has only just come, and does not wait, is not looked at: it takes a system call. */
	} else if (client->waits && clients->settings->abort_on_close && client_is_gone(client)) {
		clients_end(clients, client, CLOSING_CLIENT, NULL);
	} else if ((conn = upstream_take(clients->upstream)) != 0) {
		clients_open(clients, client, conn);
	} else if (client_was_attached(client)) {
		return false;
	} else if (clients_is_closed(clients)) {
		clients_refuse(clients, client, CLOSING_REFUSED);
	/* With max_held = 0 one waits while a connection is being made, and no longer. */
	} else if (clients->settings->max_held == 0 && !clients_is_dialling(clients)) {
		clients_refuse(clients, client, CLOSING_LIMIT);
	} else {
		return false;
	}
	return true;
}

void
clients_serve(struct clients *clients)
{
	unsigned before = clients->held.count;
	struct client *client;

	while ((client = clients_first_held(clients)) != NULL && clients_serve_first(clients, client))
		;
	if (clients->held.count != before)
		upstream_set_held(clients->upstream, clients->held.count);
	clients_limit(clients);
}

/* A client connected: serve it, hold it, or refuse it. */
static void
clients_place(struct clients *clients, struct client *client)
{
	if (clients->mux != NULL && !clients_is_closed(clients)) {
		clients_share(clients, client);
		return;
	}
	clients_wait(clients, client);
	if (clients_is_closed(clients)) {
		clients_refuse(clients, client, CLOSING_REFUSED);
		return;
	}
	if (clients_first_held(clients) == client) {
		clients_serve(clients);
		if (clients_first_held(clients) != client) /* it is served, or what was found out has refused it */
			return;
	}
	if (clients->held.count > clients->settings->max_held && !clients_is_dialling(clients)) {
		clients_refuse(clients, client, CLOSING_LIMIT);
		return;
	}
	client->waits = true;
	if (clients->watch_at == CLOCK_NEVER) /* most are served before it is worth to be watched for leaving */
		clients->watch_at = client_record(client)->since + CLIENTS_MOMENT;
	clients_look_by(clients, clients->watch_at);
	upstream_set_held(clients->upstream, clients->held.count);
}

/* Lets in a client that has a record only.  NULL: it is turned away. */
static struct client *
clients_admit(struct clients *clients, uint32_t index)
{
	struct client *client = client_new(&clients->owner, index);
	struct table_client *record = client_record(client);

	enum closing_cause cause = admission_ask(clients->admission, record->fd, &client->uid);

	if (cause == CLOSING_UNKNOWN) {
		record->since = clock_now();
		record->flags = 0;
		clients->counters->clients++;
		return client;
	}
	client_log_end(NULL, clients->name, clients->log_level, cause);
	if (cause == CLOSING_NOT_ALLOWED) /* no file descriptor is kept for who may not come at all */
		client_close(client);
	else
		clients_turn_away(clients, client, clients->settings->down_reply);
	return NULL;
}

static void
clients_add(struct clients *clients, struct client *client)
{
	TAILQ_INSERT_TAIL(&clients->all, client, entry);
	clients->count++;
}

static void
clients_on_came(void *arg, uint32_t index)
{
	struct clients *clients = arg;
	struct client *client = clients_admit(clients, index);

	if (client == NULL)
		return;
	clients_add(clients, client);
	clients_place(clients, client);
	clients_limit(clients);
}

/* A client of a dead worker's; one that it had accepted, and nothing more, is let in or turned away as any new one
 * is. */
static void
clients_take_up(struct clients *clients, uint32_t index)
{
	const struct table_client *record = &clients->table->clients[index];
	bool adopted = record->flags & TABLE_CLIENT_ADOPTED;
	struct client *client = adopted ? clients_admit(clients, index) : client_new(&clients->owner, index);

	if (client == NULL)
		return;
	clients_add(clients, client);
	if (adopted && clients_is_closed(clients)) {
		clients_wait(clients, client);
		clients_refuse(clients, client, CLOSING_REFUSED);
		return;
	}
	admission_rejoin(clients->admission, record->fd, &client->uid);
	client->waits = true;
	if (clients->mux != NULL && table_client_own(clients->table, index) == 0) {
		clients_share(clients, client);
		return;
	}
	if (clients->mux != NULL)
		mux_own_note(mux_get_own(clients->mux), 1);
	if (client_is_held(client))
		clients_wait(clients, client);
	client_begin(client);
}

static void
clients_resume(struct clients *clients)
{
	const struct table *table = clients->table;
	enum table_state state;

	for (uint32_t i = table_client_next(table, clients->service, 0), next; i != 0; i = next) {
		next = table_client_next(table, clients->service, i);
		state = table_client_state(table, i);
		if (table->clients[i].flags & TABLE_CLIENT_DATAGRAMS)
			continue;
		if (state == TABLE_LIVE)
			clients_take_up(clients, i);
		else if (state == TABLE_LINGERING)
			clients_turn_away(clients, client_new(&clients->owner, i), clients->settings->down_reply);
	}
	clients->begun = true;
	upstream_set_held(clients->upstream, clients->held.count);
}

/* The file descriptors of those who linger are needed more by who may come in. */
static void
clients_on_exhausted(void *arg)
{
	clients_finish(arg);
}

static void
clients_on_look(void *arg)
{
	clients_look(arg, clock_now());
}

struct clients *
clients_new(struct event_base *loop, struct table *table, uint16_t service, const struct clients_settings *settings,
    bool log_clients, struct upstream *upstream, struct mux *mux, void (*ended)(void *arg), void *arg)
{
	struct clients *clients = mem_new(1, sizeof *clients);
	int64_t now = clock_now(), pause_ended = table->services[service].pause.since;

	*clients = (struct clients){ .table = table, .service = service, .name = table->services[service].name,
		.counters = &table->services[service].counters, .upstream = upstream, .mux = mux,
		.watch_at = CLOCK_NEVER, .idle_at = CLOCK_NEVER, .ended = ended, .arg = arg };
	client_owner_init(&clients->owner, loop, table);
	clients->owner.on_event = clients_on_event;
	clients->owner.arg = clients;
	clients->owner.drops = mux == NULL ? LINGERING_REQUEST : LINGERING_MESSAGE;
	TAILQ_INIT(&clients->all);
	waiting_init(&clients->held, settings->hold_timeout);
	waiting_init(&clients->lingering, CLIENTS_LINGERING_TIME);
	clients->admission = admission_new(loop, table, service, clients_on_came, clients_on_exhausted, clients);
	loop_timer_init(&clients->look, loop, clients_on_look, clients);
	/* A worker that died between a pause's end and noting when it was has left a point of the wall clock. */
	waiting_pause(&clients->held, table_is_paused(table, service), pause_ended < now ? pause_ended : now);
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
	loop_timer_stop(&clients->look);
	while ((client = TAILQ_FIRST(&clients->all)) != NULL) {
		clients_remove(clients, client);
		client_free(client);
	}
	while ((client = client_of(waiting_first(&clients->lingering))) != NULL)
		client_free(client);
	admission_free(clients->admission);
	client_owner_clear(&clients->owner);
	mem_free(clients);
}

void
clients_set(struct clients *clients, const struct clients_settings *settings, bool log_clients)
{
	struct client *client;

	clients->settings = settings;
	client_owner_set(&clients->owner, settings->dial);
	clients->log_level = log_clients ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	admission_set(clients->admission, settings->listeners, settings->max_clients_per_user);
	TAILQ_FOREACH(client, &clients->all, entry) /* who came before there was a limit per user */
		admission_rejoin(clients->admission, client_record(client)->fd, &client->uid);
	clients->held.timeout = settings->hold_timeout;
	clients_look_by(clients, waiting_next_end(&clients->held));
	clients_look_soon(clients, clock_now());
	clients_limit(clients);
}

void
clients_leave_upstream(struct clients *clients)
{
	clients->upstream = NULL;
}

void
clients_listen(struct clients *clients, unsigned listener, int fd, bool last)
{
	admission_listen(clients->admission, listener, fd, last);
	clients_limit(clients);
}

void
clients_close(struct clients *clients, enum closing_cause cause, bool open)
{
	struct client *client;

	while ((client = clients_first_held(clients)) != NULL)
		clients_refuse(clients, client, cause);
	while (open && (client = TAILQ_FIRST(&clients->all)) != NULL)
		clients_end(clients, client, cause, NULL);
}

void
clients_finish(struct clients *clients)
{
	client_close_lingering(&clients->lingering, CLOCK_NEVER);
}

void
clients_pause(struct clients *clients, bool kill)
{
	bool paused = table_is_paused(clients->table, clients->service);
	bool returns = kill && clients->settings->on_upstream_end == CLIENTS_RECONNECT;
	struct client *client, *next;

	waiting_pause(&clients->held, paused, paused ? 0 : clock_now());
	for (client = paused ? TAILQ_FIRST(&clients->all) : NULL; client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		if (client_can_return(client) && (client_is_unused(client) || (returns && clients->mux == NULL)))
			clients_put_back(clients, client);
		else if (kill && client->relay != NULL)
			clients_end(clients, client, CLOSING_OPERATOR, NULL);
	}
	clients_look_by(clients, waiting_next_end(&clients->held));
	upstream_set_held(clients->upstream, clients->held.count);
	clients_limit(clients);
}

/* What has arrived is still delivered, as after any end of an upstream. */
void
clients_cut(struct clients *clients, uint16_t endpoint, enum closing_cause cause)
{
	const struct table_conn *conns = clients->table->conns;
	struct client *client;

	TAILQ_FOREACH(client, &clients->all, entry) {
		if (client->relay == NULL)
			continue;
		if (endpoint == 0 || conns[client_record(client)->conn].endpoint == endpoint)
			client_cut(client, cause);
		CRASH_POINT(ENDPOINT_CUT);
	}
}

/* What takes system calls.  Has the client gone unnoticed?  true if that was its end. */
static bool
clients_look_at(struct clients *clients, struct client *client, int64_t now)
{
	if (client->mux_client == NULL) {
		if (client_look(client))
			return true;
		clients->fresh |= client_tune(client, clients->settings->dial, now);
		return false;
	}
	if (!mux_client_is_gone(client->mux_client))
		return false;
	client_is_over(client, CLOSING_CLIENT);
	return true;
}

/* Who has been idle for too long, or has gone, ends; what takes system calls is looked at less often.  Gives
 * when the next client will have been idle for too long, if it stays so. */
static int64_t
clients_look_at_all(struct clients *clients, int64_t now, bool regular)
{
	struct client *client = TAILQ_FIRST(&clients->all), *next;
	int64_t idle, limit = clients->settings->idle_timeout, longest = 0;
	bool aborts = clients->settings->abort_on_close;
	enum closing_cause cause;

	for (; client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		cause = CLOSING_UNKNOWN;
		if (client_is_held(client)) {
			if (regular && client_is_ghost(client, &clients->held, aborts, now))
				cause = CLOSING_CLIENT;
		} else if (!regular || !clients_look_at(clients, client, now)) {
			cause = client_is_due(client, now, limit, &idle);
			longest = idle > longest ? idle : longest;
		}
		if (cause != CLOSING_UNKNOWN)
			clients_end(clients, client, cause, NULL);
	}
	return limit == 0 ? CLOCK_NEVER : clock_after(now, limit - longest);
}

void
clients_look(struct clients *clients, int64_t now)
{
	bool regular = now >= clients->regular;
	struct waiting_entry *entry;
	int64_t idle_at;

	while ((entry = waiting_over(&clients->held, now)) != NULL)
		clients_refuse(clients, client_of(entry), CLOSING_HOLD_TIMEOUT);
	if (now >= clients->watch_at) { /* who has waited for more than a moment is watched for leaving */
		clients->watch_at = CLOCK_NEVER;
		for (entry = waiting_first(&clients->held); entry != NULL; entry = waiting_next(entry))
			client_begin(client_of(entry));
	}
	if (regular)
		clients->fresh = false;
	if (regular || now >= clients->idle_at) {
		idle_at = clients_look_at_all(clients, now, regular);
		/* A byte can only put it off, so nobody's end is missed; one that connects meanwhile is looked at
		 * before its own. */
		clients->idle_at = idle_at - now < CLIENTS_LOOK_MIN ? now + CLIENTS_LOOK_MIN : idle_at;
	}
	if (regular && clients->mux != NULL)
		client_heed(clients->table, upstream_shared(clients->upstream), clients->settings->dial);
	if (regular)
		admission_tell_refused(clients->admission, now);
	clients_look_soon(clients, now);
	clients_look_by(clients, waiting_next_end(&clients->held));
	if (client_close_lingering(&clients->lingering, now))
		clients->ended(clients->arg);
}

unsigned
clients_count(const struct clients *clients)
{
	return clients->count - clients->held.count;
}

bool
clients_is_empty(const struct clients *clients)
{
	return clients_count(clients) == 0 && clients->lingering.count == 0;
}

void
clients_get_status(const struct clients *clients, struct clients_status *ret_status)
{
	const struct table *table = clients->table;
	uint32_t i = 0;

	*ret_status = (struct clients_status){ .open = clients_count(clients), .held = clients->held.count,
		.lingering = clients->lingering.count,
		.held_longest = waiting_longest(&clients->held, clock_now()),
		.paused = admission_why_paused(clients->admission) };
	memcpy(ret_status->bytes, clients->counters->bytes, sizeof ret_status->bytes);
	while ((i = table_client_next(table, clients->service, i)) != 0)
		for (int d = 0; d < 2; d++)
			ret_status->bytes[d] += table->clients[i].bytes[d];
}

void
clients_each(struct clients *clients, bool (*visit)(void *arg, uint32_t client), void *arg)
{
	struct client *client = TAILQ_FIRST(&clients->all), *next;
	bool more = true;

	for (; more && client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		more = visit(arg, client->index);
	}
}

void
clients_kill(struct clients *clients, uint32_t index)
{
	struct client *client;

	TAILQ_FOREACH(client, &clients->all, entry)
		if (client->index == index) {
			clients_end(clients, client, CLOSING_OPERATOR, NULL);
			return;
		}
}
