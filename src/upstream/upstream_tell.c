#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "keep/histogram.h"
#include "upstream/upstream_parts.h"

#define UPSTREAM_STILL (60 * CLOCK_SECOND)

const char *
upstream_state_name(enum upstream_state state)
{
	static const char *const names[] = { "idle", "connecting", "connected", "waiting", "closing", "closed",
		"drained", "aborted" };

	return names[state];
}

static enum upstream_state
upstream_state(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (p->state == PCONN_CLOSED && !p->closing)
		return p->ending == PCONN_END_ABORT ? UPSTREAM_ABORTED : UPSTREAM_DRAINED;
	if (p->state == PCONN_CLOSED)
		return UPSTREAM_CLOSED;
	if (pconn_is_closed(p) || upstream_is_draining(upstream))
		return UPSTREAM_CLOSING;
	switch ((enum pconn_state)p->state) {
	case PCONN_IDLE:
		return UPSTREAM_IDLE;
	case PCONN_WAIT: case PCONN_DISCONNECTED:
		return UPSTREAM_WAITING;
	case PCONN_CONNECTED:
		return p->lost ? UPSTREAM_WAITING : UPSTREAM_IS_CONNECTED;
	case PCONN_NEW: case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL:
	case PCONN_FAILED: case PCONN_CLOSED: case PCONN_STATES:
		return UPSTREAM_CONNECTING;
	}
	return UPSTREAM_CONNECTING;
}

/* Whether it can be used as far as is known: the last thing that was learnt of it is no failure. */
static bool
upstream_is_well(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);
	const struct upstream_record *record = upstream->record;

	if (upstream_is_failing(upstream) || upstream_refuses(upstream))
		return false;
	return !record->outage && (p->state != PCONN_CONNECTED || !p->lost || record->purposely);
}

void
upstream_set_error(struct upstream *upstream, const char *what, const char *error)
{
	struct upstream_record *record = upstream->record;

	record_text(record->error, sizeof record->error, error);
	snprintf(record->last_error, sizeof record->last_error, "%s%s%s", what, *what == '\0' ? "" : ": ", error);
	record->last_error_at = clock_wall();
}

void
upstream_set_reason(struct upstream *upstream, const char *reason)
{
	record_text(upstream->record->error, sizeof upstream->record->error, reason);
}

void
upstream_set_purpose(struct upstream *upstream, const char *reason)
{
	upstream_set_reason(upstream, reason);
	upstream->record->purposely = 1;
}

struct upstream_event
upstream_last_event(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);
	const struct upstream_record *record = upstream->record;
	struct upstream_event event = { .kind = (enum upstream_event_kind)(p->event - PCONN_REPORT_ATTEMPTING),
	    .address = "",
		.error = "", .failures = p->failures };

	if (event.kind == UPSTREAM_FAILED || event.kind == UPSTREAM_DISCONNECTED)
		event.error = record->error;
	if (event.kind != UPSTREAM_ATTEMPTING && !(event.kind == UPSTREAM_FAILED && !p->located))
		event.address = record->address;
	return event;
}

/* What happens next comes last. */
static void
upstream_next(const struct upstream *upstream, char *text, size_t size)
{
	const struct pconn *p = upstream_pconn(upstream);
	int64_t left = p->retry_at - clock_now();

	if (p->ending == PCONN_END_ABORT) {
		snprintf(text, size, "no further attempt until it is opened");
	} else if (p->closing || p->ending != PCONN_END_NONE) {
		snprintf(text, size, "no further attempt");
	} else if (upstream_is_paused(upstream)) {
		snprintf(text, size, "no attempt until it is resumed");
	} else if (upstream_is_failing(upstream)) {
		snprintf(text, size, "it is connected anew in %.1f s",
		    (double)upstream_failing_left(upstream) / CLOCK_SECOND);
	} else if (p->state == PCONN_CONNECTED && !p->lost) {
		snprintf(text, size, "%s takes over", upstream->record->taking_over);
	} else if (p->state == PCONN_FAILED && !p->last) {
		snprintf(text, size, "the other endpoints are tried");
	} else if (upstream->held > 0 && upstream->settings->pconn.hold_retry > 0) {
		snprintf(text, size, "next attempt soon, for %u held", upstream->held);
	} else {
		snprintf(text, size, "next attempt in %.1f s", left > 0 ? (double)left / CLOCK_SECOND : 0.0);
	}
}

static void
upstream_log_event(const struct upstream *upstream, const struct upstream_event *event)
{
	const char *name = upstream_event_name(event->kind);
	char next[ADDRESS_TEXT_SIZE + 64];

	upstream_next(upstream, next, sizeof next);
	switch (event->kind) {
	case UPSTREAM_ATTEMPTING:
		log_event(LOG_LEVEL_DEBUG, upstream->name, name, NULL, "attempting to connect");
		break;
	case UPSTREAM_OBTAINED:
		log_event(LOG_LEVEL_DEBUG, upstream->name, name, event->address, "obtained address %s",
		    event->address);
		break;
	case UPSTREAM_FAILED:
		log_event(LOG_LEVEL_WARNING, upstream->name, name, event->address, "%s; %s",
		    upstream->record->last_error, next);
		break;
	case UPSTREAM_CONNECTED:
		log_event(LOG_LEVEL_INFO, upstream->name, name, event->address, "connected to %s", event->address);
		break;
	case UPSTREAM_DISCONNECTED:
		log_event(LOG_LEVEL_WARNING, upstream->name, name, event->address, "lost %s: %s; %s", event->address,
		    event->error, next);
		break;
	case UPSTREAM_NOTE:
		break;
	}
}

/* Its length is counted and it is over, both at once. */
static void
upstream_end_outage(struct upstream *upstream)
{
	struct upstream_record *record = upstream->record;
	struct redo redo;

	if (record->outage_at == 0)
		return;
	redo_begin(&redo, upstream->table);
	histogram_add(&redo, upstream->service, TABLE_HISTOGRAM_OUTAGE, clock_now() - (int64_t)record->outage_at);
	redo_add(&redo, &record->outage_at, 0);
	redo_commit(&redo);
}

/* A loss is an outage, or else the first attempt that fails; what is given up on purpose is none. */
static void
upstream_count(struct upstream *upstream, const struct upstream_event *event)
{
	struct upstream_record *record = upstream->record;
	const struct pconn *p = upstream_pconn(upstream);
	bool down = false;

	if (event->kind == UPSTREAM_CONNECTED) {
		record->counters.connects++;
		upstream_end_outage(upstream);
		record->outage = record->purposely = 0;
	} else if (event->kind == UPSTREAM_DISCONNECTED) {
		record->counters.disconnects++;
		down = !record->purposely;
	} else if (event->kind == UPSTREAM_FAILED) {
		down = p->last;
	}
	if (!down || record->outage || upstream_is_failing(upstream)) /* by order: none of the service's */
		return;
	record->outage_at = (uint64_t)clock_now();
	record->outage = 1;
	record->counters.outages++;
}

/* Where a standby has taken over is told as the address that was obtained. */
static void
upstream_name_takeover(struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (p->event == PCONN_REPORT_OBTAINED && p->state == PCONN_CONNECTED)
		record_text(upstream->record->address, sizeof upstream->record->address,
		    upstream->record->taking_over);
}

/* The last error: this loss, unless it already is what is told as the reason, where it was dialled in vain. */
static void
upstream_set_loss(struct upstream *upstream, const struct upstream_event *event)
{
	struct upstream_record *record = upstream->record;

	record->last_error_at = clock_wall();
	if (strcmp(record->last_error, event->error) != 0)
		snprintf(record->last_error, sizeof record->last_error, "lost %s: %s", event->address, event->error);
}

void
upstream_report(struct upstream *upstream)
{
	struct upstream_event event;
	char text[TABLE_HISTORY_TEXT];

	upstream_name_takeover(upstream);
	event = upstream_last_event(upstream);
	upstream_count(upstream, &event);
	if (event.kind == UPSTREAM_DISCONNECTED && !upstream->record->purposely)
		upstream_set_loss(upstream, &event);
	if (event.kind == UPSTREAM_FAILED)
		record_text(text, sizeof text, upstream->record->last_error);
	else
		snprintf(text, sizeof text, "%.100s%s%.120s", event.address,
		    *event.error == '\0' ? "" : ": ", event.error);
	table_history_add(upstream->table, upstream->service, event.kind, text);
	upstream_log_event(upstream, &event);
	upstream->callbacks->event(upstream->arg, &event);
	handlers_notify(upstream->handlers, &event);
}

void
upstream_tell_repeat(struct upstream *upstream)
{
	log_debug(upstream->name, "%s, again", upstream->record->last_error);
}

void
upstream_tell_listing(struct upstream *upstream, const struct lookup_result *result)
{
	char text[TABLE_HISTORY_TEXT], one[ADDRESS_TEXT_SIZE];
	size_t at;
	uint64_t hash;

	if (result->kept_error != NULL)
		at = (size_t)snprintf(text, sizeof text, "the last addresses are kept (%.120s):", result->kept_error);
	else
		at = (size_t)snprintf(text, sizeof text, "look-up:");
	for (size_t i = 0; i < result->endpoint_count && at < sizeof text; i++) {
		address_format(&result->endpoints[i].address, one);
		at += (size_t)snprintf(text + at, sizeof text - at, " %s", one);
	}
	hash = repeats_hash(text);
	if (hash == upstream->record->noted)
		return;
	upstream->record->noted = hash;
	table_history_add(upstream->table, upstream->service, UPSTREAM_NOTE, text);
	log_debug(upstream->name, "%s", text);
}

/* Whether its line stands in the log already. */
static bool
upstream_has_told(const struct upstream *upstream, uint64_t hash)
{
	for (size_t i = 0; i < CATALOG_PASSED; i++)
		if (upstream->record->passed_over[i] == hash)
			return true;
	return false;
}

/* What is noted last: a death before it has a line told twice, and none lost. */
void
upstream_tell_passed_over(void *arg)
{
	struct upstream *upstream = arg;
	const struct catalog *catalog = lookup_catalog(upstream->lookup);
	uint64_t hashes[CATALOG_PASSED] = { 0 };
	const struct catalog_passed *passed;
	size_t count, more;
	char text[64 + sizeof passed->name + sizeof passed->cause];

	if (catalog == NULL)
		return;
	passed = catalog_passed_over(catalog, &count, &more);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "catalog entry %s is passed over: %s", passed[i].name, passed[i].cause);
		hashes[i] = repeats_hash(text);
		if (!upstream_has_told(upstream, hashes[i]))
			log_notice(upstream->name, "%s", text);
	}
	memcpy(upstream->record->passed_over, hashes, sizeof hashes);
}

void
upstream_tell_rest(struct upstream *upstream)
{
	const char *until = upstream_pconn(upstream)->cold ? "none is kept ready any more" :
	    "none is kept until a client comes";
	char text[TABLE_HISTORY_TEXT];

	if (upstream->ended_age == 0)
		snprintf(text, sizeof text, "the server speaks first; %s", until);
	else
		snprintf(text, sizeof text, "the server ends unused connections after %.1f s; %s",
		    (double)upstream->ended_age / CLOCK_SECOND, until);
	table_history_add(upstream->table, upstream->service, UPSTREAM_NOTE, text);
	log_notice(upstream->name, "%s; warm = 0 says so for good", text);
}

void
upstream_note_state(struct upstream *upstream)
{
	struct upstream_record *record = upstream->record;
	enum upstream_state state = upstream_state(upstream);
	bool ended = state == UPSTREAM_CLOSED || state == UPSTREAM_DRAINED || state == UPSTREAM_ABORTED;

	if (record->since == 0 || record->shown != (uint32_t)state) {
		record->shown = (uint32_t)state;
		record->since = clock_wall();
	}
	if (upstream_is_well(upstream)) {
		record->down_since = record->still_down_at = 0;
	} else if (record->down_since == 0) {
		record->down_since = clock_wall();
		record->still_down_at = clock_after(clock_now(), UPSTREAM_STILL);
	}
	loop_timer_at(&upstream->still, record->still_down_at == 0 || ended ? CLOCK_NEVER : record->still_down_at);
}

void
upstream_on_still(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;
	struct upstream_record *record = upstream->record;
	char since[CLOCK_TEXT_SIZE], next[ADDRESS_TEXT_SIZE + 64];

	(void)fd;
	(void)what;
	if (clock_now() >= record->still_down_at) {
		clock_format(record->down_since, since);
		upstream_next(upstream, next, sizeof next);
		log_warning(upstream->name, "still down since %s: %s; %s", since, record->last_error, next);
		record->still_down_at = clock_after(clock_now(), UPSTREAM_STILL);
	}
	loop_timer_at(&upstream->still, record->still_down_at);
}

static unsigned
upstream_listed(const struct upstream *upstream)
{
	const struct endpoints *e = &upstream->record->endpoints;
	unsigned listed = 0;

	for (uint32_t i = 0; i < e->high; i++)
		listed += endpoints_is_listed(e, &e->list[i]);
	return listed;
}

static bool
upstream_is_withdrawn(const struct upstream *upstream)
{
	const struct endpoints *e = &upstream->record->endpoints;
	const struct endpoint *endpoint = endpoints_find(e, upstream->record->number);

	return endpoint != NULL && endpoints_state(e, endpoint) == ENDPOINT_WITHDRAWN;
}

void
upstream_get_status(const struct upstream *upstream, struct upstream_status *ret_status)
{
	const struct upstream_record *record = upstream->record;
	const struct record_counters *counters = &record->counters;
	const struct pconn *p = upstream_pconn(upstream);

	*ret_status = (struct upstream_status){ .state = upstream_state(upstream), .up = upstream_is_well(upstream),
		.resting = p->resting || (p->cold && upstream->pconn.fades),
		.address = record->address, .since = record->since,
		.down_since = record->down_since, .last_error = record->last_error,
		.last_error_at = record->last_error_at, .failures = p->failures, .outages = counters->outages,
		.attempts = counters->attempts, .connects = counters->connects, .disconnects = counters->disconnects,
		.lookup_failures = counters->lookup_failures, .expiries = counters->expiries,
		.handler_failures = counters->handler_failures, .notify_dropped = counters->notify_dropped,
		.warm = upstream->settings->shared ? 0 : pool_idle(upstream->pool, TABLE_ROLE_NEXT), .lent =
		    upstream->lent != 0,
		.standby = pool_idle(upstream->pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling(upstream->pool),
		.lookup = lookup_describe(upstream->lookup), .lookup_running_since =
		    lookup_running_since(upstream->lookup),
		.endpoints = upstream_listed(upstream), .withdrawn = upstream_is_withdrawn(upstream) };
	if (p->state == PCONN_WAIT)
		ret_status->next_attempt = p->deadline;
	if (ret_status->since == 0)
		ret_status->since = upstream->table->services[upstream->service].since;
}
