#include "client/admission.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/listener.h"
#include "client/peer.h"
#include "keep/crash.h"
#include "keep/recover.h"
#include "keep/table.h"
#include "upstream/upstream.h"

#define ADMISSION_LOGGED 64 /* users whose last log line is remembered */
/* What is said again and again is said this seldom. */
#define ADMISSION_SILENT (60 * CLOCK_SECOND)

struct admission_user {
	uid_t uid;
	unsigned count;
};

struct admission_logged {
	uid_t uid;
	int64_t at;
};

/* Refusals for a limit. */
struct admission_refusals {
	unsigned count; /* since they were last told of */
	int64_t most;   /* the limit then */
	int64_t told;   /* when; 0 never */
};

/* One of the service's sockets, and who may come in there. */
struct admission_socket {
	struct admission *admission; /* borrowed */
	struct listener *listener;   /* owned; NULL while not listening */
	struct peer_rules *rules;    /* owned; NULL: everybody */
};

struct admission {
	struct event_base *loop;  /* borrowed */
	struct table *table;      /* borrowed */
	uint16_t service;
	const char *name;         /* borrowed: in the table */
	struct admission_socket sockets[TABLE_LISTENERS];
	const struct admission_socket *entered; /* where a client comes in just now; NULL: it came earlier */
	enum table_pause paused;  /* file descriptors that have run out are the listener's to know */
	int64_t told[TABLE_PAUSES]; /* when a pause for this reason was last told of; 0 never */
	struct admission_refusals refusals[ADMISSION_LIMITS];
	bool ruled;               /* some socket is not for everybody */
	unsigned per_user;
	struct admission_user *counts; /* owned; one for each user who is here */
	size_t count;
	struct admission_logged logged[ADMISSION_LOGGED];
	unsigned logged_next;
	void (*came)(void *arg, uint32_t index);
	void (*exhausted)(void *arg);
	void *arg;                /* borrowed */
};

struct admission *
admission_new(struct event_base *loop, struct table *table, uint16_t service,
    void (*came)(void *arg, uint32_t index), void (*exhausted)(void *arg), void *arg)
{
	struct admission *admission = mem_new(1, sizeof *admission);

	*admission = (struct admission){ .loop = loop, .table = table, .service = service,
		.name = table->services[service].name, .came = came, .exhausted = exhausted, .arg = arg };
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		admission->sockets[i].admission = admission;
	return admission;
}

void
admission_free(struct admission *admission)
{
	if (admission == NULL)
		return;
	for (unsigned i = 0; i < TABLE_LISTENERS; i++) {
		listener_free(admission->sockets[i].listener);
		peer_rules_free(admission->sockets[i].rules);
	}
	mem_free(admission->counts);
	mem_free(admission);
}

void
admission_set(struct admission *admission, const struct listeners_settings *listeners, unsigned per_user)
{
	for (unsigned i = 0; i < TABLE_LISTENERS; i++) {
		peer_rules_free(admission->sockets[i].rules);
		admission->sockets[i].rules = i < listeners->count ?
		    peer_rules_new(listeners->at[i].allow_users, listeners->at[i].allow_groups) : NULL;
	}
	admission->ruled = false;
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		admission->ruled |= admission->sockets[i].rules != NULL;
	admission->per_user = per_user;
}

/* Whether a line about this user may be logged now. */
static bool
admission_may_log(struct admission *admission, uid_t uid)
{
	int64_t now = clock_now();
	struct admission_logged *logged;

	for (unsigned i = 0; i < ADMISSION_LOGGED; i++) {
		logged = &admission->logged[i];
		if (logged->at == 0 || logged->uid != uid)
			continue;
		if (now - logged->at < ADMISSION_SILENT)
			return false;
		logged->at = now;
		return true;
	}
	admission->logged[admission->logged_next++ % ADMISSION_LOGGED] =
	    (struct admission_logged){ .uid = uid, .at = now };
	return true;
}

static void
admission_log(struct admission *admission, const struct peer *peer, const char *why)
{
	char user[64], unit[PEER_UNIT_SIZE], pid[16];

	if (!admission_may_log(admission, peer->uid))
		return;
	peer_user(peer->uid, user, sizeof user);
	peer_unit(peer->pid, unit);
	snprintf(pid, sizeof pid, "%d", (int)peer->pid);
	log_warning(admission->name, "client of user %s closed: %s pid=%s unit=%s", user, why,
	    peer->pid != 0 ? pid : "-", unit[0] != '\0' ? unit : "-");
}

static struct admission_user *
admission_find(struct admission *admission, uid_t uid)
{
	for (size_t i = 0; i < admission->count; i++)
		if (admission->counts[i].uid == uid)
			return &admission->counts[i];
	return NULL;
}

static struct admission_user *
admission_find_or_add(struct admission *admission, uid_t uid)
{
	struct admission_user *user = admission_find(admission, uid);

	if (user == NULL) {
		admission->counts = mem_resize(admission->counts, admission->count + 1, sizeof *user);
		user = &admission->counts[admission->count++];
		*user = (struct admission_user){ .uid = uid };
	}
	return user;
}

/* Whether the client at the other end may come in where it came.  One that a dead worker had accepted bears the
 * socket's name; if that is gone since, it must be allowed everywhere. */
static bool
admission_allows(const struct admission *admission, int fd, const struct peer *peer)
{
	const struct admission_socket *socket = admission->entered;
	int found = socket == NULL ? recover_listener_of(&admission->table->services[admission->service], fd) : -1;
	bool allowed = true;

	if (found != -1)
		socket = &admission->sockets[found];
	if (socket != NULL)
		return peer_rules_allow(socket->rules, fd, peer);
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		allowed = allowed && peer_rules_allow(admission->sockets[i].rules, fd, peer);
	return allowed;
}

enum closing_cause
admission_ask(struct admission *admission, int fd, uid_t *ret_uid)
{
	struct table_counters *counters = &admission->table->services[admission->service].counters;
	struct admission_user *user;
	struct peer peer = { 0 };
	bool known;

	*ret_uid = (uid_t)-1;
	if (!admission->ruled && admission->per_user == 0)
		return CLOSING_UNKNOWN;
	known = peer_get(fd, &peer) == 0;
	if (!known || !admission_allows(admission, fd, &peer)) {
		counters->refused_permission++;
		if (known)
			admission_log(admission, &peer, "not in allow_users or allow_groups");
		return CLOSING_NOT_ALLOWED;
	}
	if (admission->per_user == 0)
		return CLOSING_UNKNOWN;
	user = admission_find_or_add(admission, peer.uid);
	if (user->count >= admission->per_user) {
		counters->refused_per_user++;
		admission_log(admission, &peer, "max_clients_per_user reached");
		return CLOSING_LIMIT;
	}
	user->count++;
	*ret_uid = peer.uid;
	return CLOSING_UNKNOWN;
}

void
admission_rejoin(struct admission *admission, int fd, uid_t *uid)
{
	struct peer peer;

	if (admission->per_user == 0 || *uid != (uid_t)-1 || peer_get(fd, &peer) < 0)
		return;
	admission_find_or_add(admission, peer.uid)->count++;
	*uid = peer.uid;
}

bool
admission_is_closed(const struct table *table, uint16_t service, const struct upstream *upstream, bool refuses)
{
	return upstream_refuses(upstream) ||
	    (refuses && !table_is_paused(table, service) && !upstream_is_up(upstream));
}

void
admission_leave(struct admission *admission, uid_t uid)
{
	struct admission_user *user = uid == (uid_t)-1 ? NULL : admission_find(admission, uid);

	if (user == NULL)
		return;
	if (--user->count == 0)
		*user = admission->counts[--admission->count];
}

static void
admission_on_accepted(void *arg, int fd)
{
	const struct admission_socket *socket = arg;
	struct admission *admission = socket->admission;
	struct table *table = admission->table;
	uint32_t index = table_client_claim(table);
	struct table_client *record = &table->clients[index];

	if (index == 0) {
		close(fd);
		return;
	}
	record->fd = table_note_file(table, fd);
	record->service = admission->service;
	record->flags = TABLE_CLIENT_ADOPTED;
	table_client_set(table, index, TABLE_LIVE);
	CRASH_POINT(ACCEPT_RECORDED);
	admission->entered = socket;
	admission->came(admission->arg, index);
	admission->entered = NULL;
}

/* A pause is counted, and whether it is to be told of now. */
static bool
admission_note_pause(struct admission *admission, enum table_pause why)
{
	int64_t now = clock_now();

	admission->table->services[admission->service].pauses[why]++;
	if (admission->told[why] != 0 && now - admission->told[why] < ADMISSION_SILENT)
		return false;
	admission->told[why] = now;
	return true;
}

static void
admission_on_exhausted(void *arg, int error)
{
	struct admission *admission = ((const struct admission_socket *)arg)->admission;

	if (admission_note_pause(admission, TABLE_PAUSE_FILES))
		log_error(admission->name, "cannot accept: %s; accepting resumes as soon as possible",
		    strerror(error));
	admission->exhausted(admission->arg);
}

/* Accepts nowhere for this reason, or everywhere. */
static void
admission_rest(struct admission *admission, enum table_pause why)
{
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		if (admission->sockets[i].listener != NULL)
			listener_pause(admission->sockets[i].listener, why != TABLE_PAUSE_NONE);
	admission->paused = why;
}

void
admission_listen(struct admission *admission, unsigned i, int fd, bool last)
{
	struct admission_socket *socket = &admission->sockets[i];

	if (last && socket->listener != NULL)
		listener_finish(socket->listener);
	listener_free(socket->listener);
	socket->listener = NULL;
	if (fd != -1) {
		socket->listener = listener_new(admission->loop, fd, admission_on_accepted, admission_on_exhausted,
		    socket);
		listener_keep_reserve(socket->listener, &admission->table->clients_used);
	}
	admission_rest(admission, TABLE_PAUSE_NONE);
}

/* Whether it listens anywhere. */
static bool
admission_listens(const struct admission *admission)
{
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		if (admission->sockets[i].listener != NULL)
			return true;
	return false;
}

void
admission_pause(struct admission *admission, enum table_pause why, unsigned most)
{
	if (why == admission->paused || !admission_listens(admission))
		return;
	admission_rest(admission, why);
	if (why == TABLE_PAUSE_NONE || !admission_note_pause(admission, why))
		return;
	if (why == TABLE_PAUSE_MAX_CLIENTS)
		log_rare(LOG_LEVEL_WARNING, admission->name, "max_clients (%u) reached: accepting pauses, further "
		    "clients wait in the backlog", most);
	else
		log_rare(LOG_LEVEL_NOTICE, admission->name, "max_held (%u) reached while connections are being made: "
		    "accepting pauses, further clients wait in the backlog", most);
}

void
admission_tell_refused(struct admission *admission, int64_t now)
{
	for (int limit = 0; limit < ADMISSION_LIMITS; limit++) {
		struct admission_refusals *refusals = &admission->refusals[limit];
		bool one = refusals->count == 1;

		if (refusals->count == 0 || (refusals->told != 0 && now - refusals->told < ADMISSION_SILENT))
			continue;
		if (limit == ADMISSION_MAX_HELD)
			log_rare(LOG_LEVEL_WARNING, admission->name, "%u client%s refused: max_held (%u) reached",
			    refusals->count, one ? " was" : "s were", (unsigned)refusals->most);
		else
			log_rare(LOG_LEVEL_WARNING, admission->name,
			    "%u client%s timed out waiting: hold_timeout (%.1f s) over", refusals->count,
			    one ? "" : "s", (double)refusals->most / (double)CLOCK_SECOND);
		refusals->count = 0;
		refusals->told = now;
	}
}

void
admission_note_refused(struct admission *admission, enum admission_limit limit, int64_t most, int64_t now)
{
	admission->refusals[limit].count++;
	admission->refusals[limit].most = most;
	admission_tell_refused(admission, now);
}

enum table_pause
admission_why_paused(const struct admission *admission)
{
	for (unsigned i = 0; admission->paused == TABLE_PAUSE_NONE && i < TABLE_LISTENERS; i++)
		if (admission->sockets[i].listener != NULL && listener_is_exhausted(admission->sockets[i].listener))
			return TABLE_PAUSE_FILES;
	return admission->paused;
}
