#include "client/crowd.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/crowd_parts.h"
#include "keep/crash.h"
#include "keep/histogram.h"

struct table_counters *
crowd_counters(const struct crowd *crowd)
{
	return &crowd->table->services[crowd->service].counters;
}

/* Whether who is held waits for nothing but a connection that is being made: neither is the service down, nor does an
 * operator have it wait. */
static bool
crowd_is_dialling(const struct crowd *crowd)
{
	return !table_is_paused(crowd->table, crowd->service) && !upstream_refuses(crowd->upstream) &&
	    upstream_is_up(crowd->upstream);
}

/* Those who come then are not refused for want of a place among the held: they wait in the backlog until connections
 * have been made for those who came before them.  One at least is held, or none would be made. */
static bool
crowd_is_lagging(const struct crowd *crowd)
{
	unsigned max = crowd->settings->max_held > 0 ? crowd->settings->max_held : 1;

	return hold_count(crowd->hold) >= max && crowd_is_dialling(crowd);
}

void
crowd_limit(struct crowd *crowd)
{
	unsigned max = crowd->settings->max_clients;
	enum table_pause why = TABLE_PAUSE_NONE;

	if (crowd->listener == NULL)
		return;
	if (max > 0 && crowd->open_count + hold_count(crowd->hold) >= max)
		why = TABLE_PAUSE_MAX_CLIENTS;
	else if (crowd_is_lagging(crowd))
		why = TABLE_PAUSE_MAX_HELD;
	if (why == crowd->paused)
		return;
	listener_pause(crowd->listener, why != TABLE_PAUSE_NONE);
	crowd->paused = why;
	crowd_note_paused(crowd, why);
}

void
crowd_tell_held(struct crowd *crowd)
{
	upstream_set_held(crowd->upstream, hold_count(crowd->hold));
}

/* Takes the session out of its list; it is to be closed or to go to the other list. */
static void
crowd_unlist(struct crowd *crowd, struct session *session)
{
	if (session_is_held(session)) {
		hold_remove(crowd->hold, session);
	} else {
		TAILQ_REMOVE(&crowd->open, session, entry);
		crowd->open_count--;
	}
}

void
crowd_end(struct crowd *crowd, struct session *session, enum closing_cause cause, const char *reply)
{
	bool held = session_is_held(session);

	crowd_log_end(crowd, session, cause);
	admission_leave(crowd->admission, session->uid);
	crowd_unlist(crowd, session);
	if (crowd->placed == session)
		crowd->placed = NULL;
	if (reply != NULL)
		session_refuse(session, crowd->lingering, reply);
	else
		session_close(session);
	if (held)
		crowd_tell_held(crowd);
	crowd_limit(crowd);
	crowd->ended(crowd->arg);
}

/* A client that gets no connection: told why if the settings say so, and counted. */
static void
crowd_refuse(struct crowd *crowd, struct session *session, uint64_t *counter, enum closing_cause cause)
{
	const char *reply = crowd->settings->down_reply;

	++*counter;
	crowd_end(crowd, session, cause, reply != NULL ? reply : "");
}

static void
crowd_on_attached(void *arg, struct session *session)
{
	struct crowd *crowd = arg;

	(void)session;
	upstream_tell(crowd->upstream, PCONN_RELAYED);
}

void
crowd_put_back(struct crowd *crowd, struct session *session)
{
	uint64_t lost;

	crowd_unlist(crowd, session);
	session_return(session, &lost);
	crowd_counters(crowd)->lost_bytes += lost;
	hold_add(crowd->hold, session);
}

static bool
crowd_on_upstream_ended(void *arg, struct session *session)
{
	struct crowd *crowd = arg;

	if ((session_was_attached(session) && crowd->settings->on_upstream_end != CROWD_RECONNECT) ||
	    upstream_refuses(crowd->upstream))
		return false;
	if (session_is_unused(session))
		upstream_unused(crowd->upstream, session_record(session)->conn);
	crowd_put_back(crowd, session);
	crowd_tell_held(crowd);
	crowd_serve(crowd);
	return true;
}

static void
crowd_on_ended(void *arg, struct session *session)
{
	/* Who shares may have said what nobody has read. */
	crowd_end(arg, session, session->cause, session->member != NULL ? "" : NULL);
}

bool
crowd_has_left(const struct crowd *crowd, const struct session *session)
{
	return crowd->settings->abort_on_close ? session_is_gone(session) : session_has_left(session);
}

static void
crowd_on_left(void *arg, struct session *session)
{
	if (crowd_has_left(arg, session))
		crowd_end(arg, session, CLOSING_CLIENT, NULL);
}

static const struct session_callbacks crowd_session_callbacks = {
	.attached = crowd_on_attached,
	.upstream_ended = crowd_on_upstream_ended,
	.ended = crowd_on_ended,
	.left = crowd_on_left,
};

static void
crowd_on_expired(void *arg, struct session *session)
{
	struct crowd *crowd = arg;

	crowd_note_refused(crowd, CROWD_LIMIT_TIME);
	crowd_refuse(crowd, session, &crowd_counters(crowd)->refused_hold_timeout, CLOSING_HOLD_TIMEOUT);
}

static void
crowd_open(struct crowd *crowd, struct session *session, uint32_t conn)
{
	int64_t since = hold_since(session);

	session_open(session, conn);
	upstream_taken(crowd->upstream, conn);
	CRASH_POINT(OPEN_TAKEN);
	if (session != crowd->placed)
		histogram_count(crowd->table, crowd->service, TABLE_HISTOGRAM_HOLD, session->opened - since);
	TAILQ_INSERT_TAIL(&crowd->open, session, entry);
	crowd->open_count++;
	if (crowd->fresh)
		return;
	crowd->fresh = true;
	crowd_scan_later(crowd);
}

bool
crowd_is_closed_now(const struct crowd *crowd)
{
	return upstream_refuses(crowd->upstream) || (crowd->settings->on_down == CROWD_REFUSE &&
	    !table_is_paused(crowd->table, crowd->service) && !upstream_is_up(crowd->upstream));
}

/* With max_held = 0 the one who waits while a connection is being made does so no longer than that. */
static bool
crowd_holds_nobody(const struct crowd *crowd)
{
	return crowd->settings->max_held == 0 && !crowd_is_dialling(crowd);
}

void
crowd_serve(struct crowd *crowd)
{
	unsigned before = hold_count(crowd->hold);
	struct session *session;
	uint32_t conn;

	while ((session = hold_first(crowd->hold)) != NULL) {
		if (upstream_refuses(crowd->upstream)) {
			crowd_refuse(crowd, session, &crowd_counters(crowd)->refused_down, CLOSING_REFUSED);
			continue;
		}
		/* One that has only just come, and does not wait, is not looked at: it costs a call. */
		if (session->waits && crowd->settings->abort_on_close && session_is_gone(session)) {
			crowd_end(crowd, session, CLOSING_CLIENT, NULL);
			continue;
		}
		conn = upstream_take(crowd->upstream);
		if (conn != 0) {
			hold_remove(crowd->hold, session);
			crowd_open(crowd, session, conn);
		} else if (crowd_is_closed_now(crowd) && !session_was_attached(session)) {
			crowd_refuse(crowd, session, &crowd_counters(crowd)->refused_down, CLOSING_REFUSED);
		} else if (crowd_holds_nobody(crowd) && !session_was_attached(session)) {
			crowd_note_refused(crowd, CROWD_LIMIT_HELD);
			crowd_refuse(crowd, session, &crowd_counters(crowd)->refused_held_max, CLOSING_LIMIT);
		} else {
			break;
		}
	}
	if (hold_count(crowd->hold) != before)
		crowd_tell_held(crowd);
	crowd_limit(crowd);
}

/* In shared mode a client is served at once, whether the service is up or not. */
static void
crowd_share(struct crowd *crowd, struct session *session)
{
	hold_remove(crowd->hold, session);
	TAILQ_INSERT_TAIL(&crowd->open, session, entry);
	crowd->open_count++;
	session_share(session);
}

/* The client's record is there: serve it, hold it, or refuse it. */
static void
crowd_place(struct crowd *crowd, struct session *session)
{
	struct table_counters *counters = crowd_counters(crowd);
	const struct crowd_settings *settings = crowd->settings;

	hold_add(crowd->hold, session);
	if (crowd_is_closed_now(crowd)) {
		crowd_refuse(crowd, session, &counters->refused_down, CLOSING_REFUSED);
		return;
	}
	if (crowd->shared != NULL) {
		crowd_share(crowd, session);
		return;
	}
	crowd->placed = session;
	if (hold_first(crowd->hold) == session)
		crowd_serve(crowd);
	if (crowd->placed == NULL) /* what was found out by trying to serve it has refused it */
		return;
	crowd->placed = NULL;
	if (!session_is_held(session))
		return;
	if (hold_count(crowd->hold) > settings->max_held && !crowd_is_dialling(crowd)) {
		crowd_note_refused(crowd, CROWD_LIMIT_HELD);
		crowd_refuse(crowd, session, &counters->refused_held_max, CLOSING_LIMIT);
		return;
	}
	session->waits = true;
	crowd_watch_later(crowd);
	crowd_tell_held(crowd);
}

struct session *
crowd_add(struct crowd *crowd, uint32_t index, uid_t uid)
{
	struct session *session = session_new(&crowd->stock, crowd->loop, crowd->table, index,
	    &crowd_session_callbacks, crowd);

	session->shared = crowd->shared;
	session->uid = uid;
	return session;
}

enum admission_result
crowd_admit(struct crowd *crowd, int fd, uid_t *ret_uid)
{
	enum admission_result result = admission_ask(crowd->admission, fd, ret_uid);

	if (result == ADMISSION_NOT_ALLOWED) {
		crowd_counters(crowd)->refused_permission++;
		crowd_log_end(crowd, NULL, CLOSING_NOT_ALLOWED);
	} else if (result == ADMISSION_TOO_MANY) {
		crowd_counters(crowd)->refused_per_user++;
		crowd_log_end(crowd, NULL, CLOSING_LIMIT);
	}
	return result;
}

/* A record for a client that has just been accepted.  0: there is none, the client is closed. */
static uint32_t
crowd_record(struct crowd *crowd, int fd, uint16_t flags)
{
	uint32_t index = table_client_claim(crowd->table);
	struct table_client *record = &crowd->table->clients[index];

	if (index == 0) {
		close(fd);
		return 0;
	}
	record->fd = table_note_file(crowd->table, fd);
	record->service = crowd->service;
	record->since = clock_now();
	record->flags = flags;
	table_client_set(crowd->table, index, TABLE_LIVE);
	CRASH_POINT(ACCEPT_RECORDED);
	return index;
}

/* Who has too many connections is told so.  Should this worker die here, the next one asks again who it is. */
static void
crowd_turn_away(struct crowd *crowd, int fd)
{
	uint32_t index = crowd_record(crowd, fd, TABLE_CLIENT_ADOPTED);

	if (index != 0)
		lingering_begin(crowd->lingering, index, crowd->settings->down_reply);
}

static void
crowd_on_accepted(void *arg, int fd)
{
	struct crowd *crowd = arg;
	uint32_t index;
	uid_t uid;

	switch (crowd_admit(crowd, fd, &uid)) {
	case ADMISSION_NOT_ALLOWED: /* no file is kept for who may not come at all */
		close(fd);
		return;
	case ADMISSION_TOO_MANY:
		crowd_turn_away(crowd, fd);
		return;
	default:
		break;
	}
	index = crowd_record(crowd, fd, 0);
	if (index == 0) {
		admission_leave(crowd->admission, uid);
		return;
	}
	crowd_counters(crowd)->clients++;
	crowd_place(crowd, crowd_add(crowd, index, uid));
	crowd_limit(crowd);
}

static void
crowd_on_exhausted(void *arg, int error)
{
	struct crowd *crowd = arg;

	log_error(crowd->name, "cannot accept: %s; accepting goes on as soon as it can", strerror(error));
	crowd_note_paused(crowd, TABLE_PAUSE_FILES);
	lingering_close(crowd->lingering); /* their files are needed more by who may come in */
}

static void
crowd_on_lingered(void *arg)
{
	struct crowd *crowd = arg;

	crowd->ended(crowd->arg);
}

struct crowd *
crowd_new(struct event_base *loop, struct table *table, uint16_t service, const struct crowd_settings *settings,
    bool log_clients, struct upstream *upstream, struct shared *shared, void (*ended)(void *arg), void *arg)
{
	struct crowd *crowd = mem_new(1, sizeof *crowd);

	crowd->loop = loop;
	crowd->table = table;
	crowd->service = service;
	crowd->name = table->services[service].name;
	crowd->upstream = upstream;
	crowd->shared = shared;
	crowd->ended = ended;
	crowd->arg = arg;
	session_stock_init(&crowd->stock);
	TAILQ_INIT(&crowd->open);
	crowd->admission = admission_new(crowd->name);
	crowd->hold = hold_new(loop, settings->hold_timeout, crowd_on_expired, crowd);
	crowd->lingering = lingering_new(loop, table,
	    shared == NULL ? LINGERING_REQUEST : LINGERING_MESSAGE, crowd_on_lingered, crowd);
	crowd_scan_init(crowd);
	crowd_resume_pause(crowd);
	crowd_set(crowd, settings, log_clients);
	crowd_resume(crowd);
	return crowd;
}

void
crowd_free(struct crowd *crowd)
{
	struct session *session;

	if (crowd == NULL)
		return;
	listener_free(crowd->listener);
	loop_timer_stop(&crowd->scan);
	loop_timer_stop(&crowd->watching);
	while ((session = hold_first(crowd->hold)) != NULL) {
		hold_remove(crowd->hold, session);
		session_free(session);
	}
	while ((session = TAILQ_FIRST(&crowd->open)) != NULL) {
		TAILQ_REMOVE(&crowd->open, session, entry);
		session_free(session);
	}
	hold_free(crowd->hold);
	lingering_free(crowd->lingering);
	admission_free(crowd->admission);
	session_stock_clear(&crowd->stock);
	mem_free(crowd);
}

/* Who came before there was a limit per user is counted from now on. */
static void
crowd_count_users(struct crowd *crowd)
{
	struct session *session;

	TAILQ_FOREACH(session, &crowd->open, entry)
		admission_rejoin(crowd->admission, session_record(session)->fd, &session->uid);
	for (session = hold_first(crowd->hold); session != NULL; session = hold_next(session))
		admission_rejoin(crowd->admission, session_record(session)->fd, &session->uid);
}

void
crowd_set(struct crowd *crowd, const struct crowd_settings *settings, bool log_clients)
{
	crowd->settings = settings;
	crowd->log_clients = log_clients;
	admission_set(crowd->admission, settings->allow_users, settings->allow_groups,
	    settings->max_clients_per_user);
	crowd_count_users(crowd);
	hold_set_timeout(crowd->hold, settings->hold_timeout);
	crowd_scan_later(crowd);
	crowd_limit(crowd);
}

void
crowd_leave_upstream(struct crowd *crowd)
{
	crowd->upstream = NULL;
}

void
crowd_listen(struct crowd *crowd, int fd)
{
	listener_free(crowd->listener);
	crowd->listener = NULL;
	crowd->paused = TABLE_PAUSE_NONE;
	if (fd != -1) {
		crowd->listener = listener_new(crowd->loop, fd, crowd_on_accepted, crowd_on_exhausted, crowd);
		listener_keep_reserve(crowd->listener);
	}
	crowd_limit(crowd);
}

void
crowd_accept_rest(struct crowd *crowd)
{
	if (crowd->listener != NULL)
		listener_finish(crowd->listener);
}

void
crowd_close(struct crowd *crowd, enum closing_cause cause, bool open)
{
	struct session *session;

	while ((session = hold_first(crowd->hold)) != NULL)
		crowd_refuse(crowd, session, &crowd_counters(crowd)->refused_down, cause);
	while (open && (session = TAILQ_FIRST(&crowd->open)) != NULL)
		crowd_end(crowd, session, cause, NULL);
}

void
crowd_finish(struct crowd *crowd)
{
	lingering_close(crowd->lingering);
}
