#include "client/crowd_parts.h"

#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "upstream/conn.h"

#define CROWD_TICKS (uint32_t)(CLOCK_SECOND / CLOCK_TICK) /* of a second */
/* A connect to a service that is up takes less. */
#define CROWD_MOMENT   (20 * CLOCK_MILLISECOND)
#define CROWD_SCAN_MIN (100 * CLOCK_MILLISECOND)
#define CROWD_SCAN_MAX (5 * CLOCK_SECOND)
/* A client that is gone altogether leaves its upstream so long to end by itself; closing at once could reset the
 * connection before the upstream has read what was delivered. */
#define CROWD_LINGER   (30 * CLOCK_SECOND)
/* One that is gone, but has left bytes, waits so long for somebody to take them: a held one where hold_timeout sets
 * no end, another from when the upstream last took some. */
#define CROWD_GHOST    (60 * CLOCK_SECOND)

static int64_t
crowd_scan_interval(const struct crowd *crowd)
{
	int64_t interval = crowd->settings->idle_timeout / 4;

	if (crowd->fresh && (interval == 0 || interval > TABLE_TUNE_AGE))
		return TABLE_TUNE_AGE;
	if (interval == 0 || interval > CROWD_SCAN_MAX)
		return CROWD_SCAN_MAX;
	return interval < CROWD_SCAN_MIN ? CROWD_SCAN_MIN : interval;
}

/* A held client is watched until its first word of an end only; one that has shut down its side may have gone
 * since. */
static void
crowd_scan_held(struct crowd *crowd, int64_t now)
{
	struct session *session = hold_first(crowd->hold), *next;

	for (; session != NULL; session = next) {
		next = hold_next(session);
		if (crowd_has_left(crowd, session))
			crowd_end(crowd, session, CLOSING_CLIENT, NULL);
		else if (session_gone_for(session, now) >= CROWD_GHOST && !hold_is_limited(crowd->hold, session))
			crowd_end(crowd, session, CLOSING_CLIENT, NULL);
	}
}

/* Looks again at a connection that has its socket options, over which the last byte passed at this tick; always: at
 * the one that all share.  One that was silent for long has nothing outstanding, or is being patient with. */
static void
crowd_heed(const struct crowd *crowd, uint32_t conn, uint32_t active, bool always)
{
	const struct conn_settings *dial = crowd->settings->dial;
	struct table_conn *record = &crowd->table->conns[conn];
	bool patient = (record->flags & TABLE_CONN_PATIENT) != 0;

	if (conn == 0 || dial->user_timeout == 0)
		return;
	if (!patient && !always &&
	    clock_tick() - active > (unsigned)dial->user_timeout / 1000 * CROWD_TICKS + 60 * CROWD_TICKS)
		return;
	if (conn_heed(record->fd, dial, patient) != patient)
		record->flags ^= TABLE_CONN_PATIENT;
}

/* One that was kept ready for long was tuned there. */
static void
crowd_tune(struct crowd *crowd, struct session *session, int64_t now)
{
	const struct table_client *record = session_record(session);
	struct table_conn *conn;

	if (crowd->shared != NULL)
		return;
	conn = &crowd->table->conns[record->conn];
	if (conn->flags & TABLE_CONN_TUNED) {
		crowd_heed(crowd, record->conn, record->active, false);
		return;
	}
	if (now - session->opened < TABLE_TUNE_AGE) {
		crowd->fresh = true;
		return;
	}
	conn_tune(conn->fd, crowd->settings->dial);
	conn->flags |= TABLE_CONN_TUNED;
}

/* Who has been idle for too long ends; what takes system calls is looked at less often.  Gives when the next client
 * will have been idle for too long, if it stays so. */
static int64_t
crowd_scan_open(struct crowd *crowd, int64_t now, bool regular)
{
	struct session *session = TAILQ_FIRST(&crowd->open), *next;
	int64_t idle, limit = crowd->settings->idle_timeout, longest = 0;

	for (; session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		if (regular && session_look(session))
			continue;
		if (regular)
			crowd_tune(crowd, session, now);
		/* Rounded: never early. */
		idle = now - (session_record(session)->active + INT64_C(1)) * CLOCK_TICK;
		if (limit > 0 && idle >= limit)
			crowd_end(crowd, session, CLOSING_IDLE, NULL);
		else if (session_is_client_gone(session) &&
		    idle >= (session_has_words(session) ? CROWD_GHOST : CROWD_LINGER))
			crowd_end(crowd, session, CLOSING_CLIENT, NULL);
		else if (idle > longest)
			longest = idle;
	}
	return limit == 0 ? CLOCK_NEVER : clock_after(now, limit - longest);
}

static void
crowd_on_scan(evutil_socket_t fd, short what, void *arg)
{
	struct crowd *crowd = arg;
	int64_t now = clock_now(), due;
	bool regular = now >= crowd->regular;

	(void)fd;
	(void)what;
	if (regular) {
		crowd->fresh = false;
		crowd_scan_held(crowd, now);
	}
	due = crowd_scan_open(crowd, now, regular);
	if (regular && crowd->shared != NULL)
		crowd_heed(crowd, upstream_lent(crowd->upstream), 0, true);
	if (regular)
		crowd_tell_refused(crowd, now);
	/* A byte can only put it off, so nobody's end is missed; who comes meanwhile is looked at before its own. */
	crowd->due = due - now < CROWD_SCAN_MIN ? now + CROWD_SCAN_MIN : due;
	crowd_scan_later(crowd);
}

static void
crowd_on_watching(evutil_socket_t fd, short what, void *arg)
{
	struct crowd *crowd = arg;

	(void)fd;
	(void)what;
	for (struct session *session = hold_first(crowd->hold); session != NULL; session = hold_next(session))
		session_begin(session);
}

void
crowd_watch_later(struct crowd *crowd)
{
	if (!loop_timer_is_set(&crowd->watching))
		loop_timer_at(&crowd->watching, clock_now() + CROWD_MOMENT);
}

void
crowd_scan_init(struct crowd *crowd)
{
	crowd->due = CLOCK_NEVER;
	loop_timer_init(&crowd->scan, crowd->loop, crowd_on_scan, crowd);
	loop_timer_init(&crowd->watching, crowd->loop, crowd_on_watching, crowd);
}

void
crowd_scan_later(struct crowd *crowd)
{
	int64_t now = clock_now(), regular = now + crowd_scan_interval(crowd);

	if (crowd->regular <= now || crowd->regular > regular)
		crowd->regular = regular;
	loop_timer_at(&crowd->scan, crowd->regular < crowd->due ? crowd->regular : crowd->due);
}

unsigned
crowd_count(const struct crowd *crowd)
{
	return crowd->open_count;
}

unsigned
crowd_lingering(const struct crowd *crowd)
{
	return lingering_count(crowd->lingering);
}

unsigned
crowd_held(const struct crowd *crowd)
{
	return hold_count(crowd->hold);
}

int64_t
crowd_held_longest(const struct crowd *crowd)
{
	return hold_longest(crowd->hold);
}

enum table_pause
crowd_why_paused(const struct crowd *crowd)
{
	if (crowd->paused == TABLE_PAUSE_NONE && crowd->listener != NULL && listener_is_exhausted(crowd->listener))
		return TABLE_PAUSE_FILES;
	return crowd->paused;
}

void
crowd_get_bytes(const struct crowd *crowd, uint64_t ret_bytes[2])
{
	struct session *session;

	memcpy(ret_bytes, crowd_counters(crowd)->bytes, sizeof crowd_counters(crowd)->bytes);
	TAILQ_FOREACH(session, &crowd->open, entry)
		for (int d = 0; d < 2; d++)
			ret_bytes[d] += session_record(session)->bytes[d];
	/* Those who wait for a reconnect. */
	for (session = hold_first(crowd->hold); session != NULL; session = hold_next(session))
		for (int d = 0; d < 2; d++)
			ret_bytes[d] += session_record(session)->bytes[d];
}

void
crowd_each(struct crowd *crowd, bool (*visit)(void *arg, uint32_t session), void *arg)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&crowd->open); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		if (!visit(arg, session->index))
			return;
	}
	for (session = hold_first(crowd->hold); session != NULL; session = next) {
		next = hold_next(session);
		if (!visit(arg, session->index))
			return;
	}
}

static struct session *
crowd_find(struct crowd *crowd, uint32_t index)
{
	struct session *session;

	TAILQ_FOREACH(session, &crowd->open, entry)
		if (session->index == index)
			return session;
	for (session = hold_first(crowd->hold); session != NULL; session = hold_next(session))
		if (session->index == index)
			return session;
	return NULL;
}

void
crowd_kill(struct crowd *crowd, uint32_t index)
{
	struct session *session = crowd_find(crowd, index);

	if (session != NULL)
		crowd_end(crowd, session, CLOSING_OPERATOR, NULL);
}
