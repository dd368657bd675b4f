#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "keep/histogram.h"
#include "upstream/link_parts.h"

#define LINK_STILL (60 * CLOCK_SECOND)

const char *
link_state_name(enum link_state state)
{
	static const char *const names[] = { "idle", "connecting", "connected", "waiting", "closing", "closed",
		"drained", "aborted" };

	return names[state];
}

static enum link_state
link_state(const struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->state == PCONN_CLOSED && !p->closing)
		return p->ending == PCONN_END_ABORT ? LINK_ABORTED : LINK_DRAINED;
	if (p->state == PCONN_CLOSED)
		return LINK_CLOSED;
	if (pconn_is_closed(p) || link_is_draining(link))
		return LINK_CLOSING;
	switch ((enum pconn_state)p->state) {
	case PCONN_IDLE:
		return LINK_IDLE;
	case PCONN_WAIT: case PCONN_DISCONNECTED:
		return LINK_WAITING;
	case PCONN_CONNECTED:
		return p->lost ? LINK_WAITING : LINK_IS_CONNECTED;
	case PCONN_NEW: case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL:
	case PCONN_FAILED: case PCONN_CLOSED: case PCONN_STATES:
		return LINK_CONNECTING;
	}
	return LINK_CONNECTING;
}

/* Whether it can be used as far as is known: the last thing that was learnt of it is no failure. */
static bool
link_is_well(const struct link *link)
{
	const struct pconn *p = link_pconn(link);
	const struct link_record *record = link->record;

	if (link_is_failing(link) || link_refuses(link))
		return false;
	return !record->outage && (p->state != PCONN_CONNECTED || !p->lost || record->purposely);
}

void
link_set_error(struct link *link, const char *what, const char *error)
{
	struct link_record *record = link->record;

	record_text(record->error, sizeof record->error, error);
	snprintf(record->last_error, sizeof record->last_error, "%s%s%s", what, *what == '\0' ? "" : ": ", error);
	record->last_error_at = clock_wall();
}

void
link_set_reason(struct link *link, const char *reason)
{
	record_text(link->record->error, sizeof link->record->error, reason);
}

void
link_set_purpose(struct link *link, const char *reason)
{
	link_set_reason(link, reason);
	link->record->purposely = 1;
}

struct link_event
link_last_event(const struct link *link)
{
	const struct pconn *p = link_pconn(link);
	const struct link_record *record = link->record;
	struct link_event event = { .kind = (enum link_event_kind)(p->event - PCONN_REPORT_ATTEMPTING), .address = "",
		.error = "", .failures = p->failures };

	if (event.kind == LINK_FAILED || event.kind == LINK_DISCONNECTED)
		event.error = record->error;
	if (event.kind != LINK_ATTEMPTING && !(event.kind == LINK_FAILED && !p->located))
		event.address = record->address;
	return event;
}

/* What happens next comes last. */
static void
link_next(const struct link *link, char *text, size_t size)
{
	const struct pconn *p = link_pconn(link);
	int64_t left = p->retry_at - clock_now();

	if (p->ending == PCONN_END_ABORT) {
		snprintf(text, size, "no further attempt until it is opened");
	} else if (p->closing || p->ending != PCONN_END_NONE) {
		snprintf(text, size, "no further attempt");
	} else if (link_is_paused(link)) {
		snprintf(text, size, "no attempt until it is resumed");
	} else if (link_is_failing(link)) {
		snprintf(text, size, "it is connected anew in %.1f s",
		    (double)link_failing_left(link) / CLOCK_SECOND);
	} else if (p->state == PCONN_CONNECTED && !p->lost) {
		snprintf(text, size, "%s takes over", link->record->taking_over);
	} else if (p->state == PCONN_FAILED && !p->last) {
		snprintf(text, size, "the other endpoints are tried");
	} else if (link->held > 0 && link->settings->pconn.hold_retry > 0) {
		snprintf(text, size, "next attempt soon, for %u held", link->held);
	} else {
		snprintf(text, size, "next attempt in %.1f s", left > 0 ? (double)left / CLOCK_SECOND : 0.0);
	}
}

static void
link_log_event(const struct link *link, const struct link_event *event)
{
	const char *name = link_event_name(event->kind);
	char next[ADDRESS_TEXT_SIZE + 64];

	link_next(link, next, sizeof next);
	switch (event->kind) {
	case LINK_ATTEMPTING:
		log_event(LOG_LEVEL_DEBUG, link->name, name, NULL, "attempting to connect");
		break;
	case LINK_OBTAINED:
		log_event(LOG_LEVEL_DEBUG, link->name, name, event->address, "obtained address %s", event->address);
		break;
	case LINK_FAILED:
		log_event(LOG_LEVEL_WARNING, link->name, name, event->address, "%s; %s",
		    link->record->last_error, next);
		break;
	case LINK_CONNECTED:
		log_event(LOG_LEVEL_INFO, link->name, name, event->address, "connected to %s", event->address);
		break;
	case LINK_DISCONNECTED:
		log_event(LOG_LEVEL_WARNING, link->name, name, event->address, "lost %s: %s; %s", event->address,
		    event->error, next);
		break;
	case LINK_NOTE:
		break;
	}
}

/* Its length is counted and it is over, both at once. */
static void
link_end_outage(struct link *link)
{
	struct link_record *record = link->record;
	struct redo redo;

	if (record->outage_at == 0)
		return;
	redo_begin(&redo, link->table);
	histogram_add(&redo, link->service, TABLE_HISTOGRAM_OUTAGE, clock_now() - (int64_t)record->outage_at);
	redo_add(&redo, &record->outage_at, 0);
	redo_commit(&redo);
}

/* A loss is an outage, or else the first attempt that fails; what is given up on purpose is none. */
static void
link_count(struct link *link, const struct link_event *event)
{
	struct link_record *record = link->record;
	const struct pconn *p = link_pconn(link);
	bool down = false;

	if (event->kind == LINK_CONNECTED) {
		record->counters.connects++;
		link_end_outage(link);
		record->outage = record->purposely = 0;
	} else if (event->kind == LINK_DISCONNECTED) {
		record->counters.disconnects++;
		down = !record->purposely;
	} else if (event->kind == LINK_FAILED) {
		down = p->last;
	}
	if (!down || record->outage || link_is_failing(link)) /* by order: none of the service's */
		return;
	record->outage_at = (uint64_t)clock_now();
	record->outage = 1;
	record->counters.outages++;
}

/* Where a standby has taken over is told as the address that was obtained. */
static void
link_name_takeover(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->event == PCONN_REPORT_OBTAINED && p->state == PCONN_CONNECTED)
		record_text(link->record->address, sizeof link->record->address, link->record->taking_over);
}

/* The last error: this loss, unless it already is what is told as the reason, where it was dialled in vain. */
static void
link_set_loss(struct link *link, const struct link_event *event)
{
	struct link_record *record = link->record;

	record->last_error_at = clock_wall();
	if (strcmp(record->last_error, event->error) != 0)
		snprintf(record->last_error, sizeof record->last_error, "lost %s: %s", event->address, event->error);
}

void
link_report(struct link *link)
{
	struct link_event event;
	char text[TABLE_HISTORY_TEXT];

	link_name_takeover(link);
	event = link_last_event(link);
	link_count(link, &event);
	if (event.kind == LINK_DISCONNECTED && !link->record->purposely)
		link_set_loss(link, &event);
	if (event.kind == LINK_FAILED)
		record_text(text, sizeof text, link->record->last_error);
	else
		snprintf(text, sizeof text, "%.100s%s%.120s", event.address,
		    *event.error == '\0' ? "" : ": ", event.error);
	table_history_add(link->table, link->service, event.kind, text);
	link_log_event(link, &event);
	link->callbacks->event(link->arg, &event);
	handlers_notify(link->handlers, &event);
}

void
link_tell_repeat(struct link *link)
{
	log_debug(link->name, "%s, again", link->record->last_error);
}

void
link_tell_listing(struct link *link, const struct lookup_result *result)
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
	if (hash == link->record->noted)
		return;
	link->record->noted = hash;
	table_history_add(link->table, link->service, LINK_NOTE, text);
	log_debug(link->name, "%s", text);
}

/* Whether its line stands in the log already. */
static bool
link_has_told(const struct link *link, uint64_t hash)
{
	for (size_t i = 0; i < CATALOG_PASSED; i++)
		if (link->record->passed_over[i] == hash)
			return true;
	return false;
}

/* What is noted last: a death before it has a line told twice, and none lost. */
void
link_tell_passed_over(void *arg)
{
	struct link *link = arg;
	const struct catalog *catalog = lookup_catalog(link->lookup);
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
		if (!link_has_told(link, hashes[i]))
			log_notice(link->name, "%s", text);
	}
	memcpy(link->record->passed_over, hashes, sizeof hashes);
}

void
link_tell_rest(struct link *link)
{
	const char *until = link_pconn(link)->cold ? "none is kept ready any more" :
	    "none is kept until a client comes";
	char text[TABLE_HISTORY_TEXT];

	if (link->ended_age == 0)
		snprintf(text, sizeof text, "the server speaks first; %s", until);
	else
		snprintf(text, sizeof text, "the server ends unused connections after %.1f s; %s",
		    (double)link->ended_age / CLOCK_SECOND, until);
	table_history_add(link->table, link->service, LINK_NOTE, text);
	log_notice(link->name, "%s; warm = 0 says so for good", text);
}

void
link_note_state(struct link *link)
{
	struct link_record *record = link->record;
	enum link_state state = link_state(link);
	bool ended = state == LINK_CLOSED || state == LINK_DRAINED || state == LINK_ABORTED;

	if (record->since == 0 || record->shown != (uint32_t)state) {
		record->shown = (uint32_t)state;
		record->since = clock_wall();
	}
	if (link_is_well(link)) {
		record->down_since = record->still_down_at = 0;
	} else if (record->down_since == 0) {
		record->down_since = clock_wall();
		record->still_down_at = clock_after(clock_now(), LINK_STILL);
	}
	loop_timer_at(&link->still, record->still_down_at == 0 || ended ? CLOCK_NEVER : record->still_down_at);
}

void
link_on_still(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct link_record *record = link->record;
	char since[CLOCK_TEXT_SIZE], next[ADDRESS_TEXT_SIZE + 64];

	(void)fd;
	(void)what;
	if (clock_now() >= record->still_down_at) {
		clock_format(record->down_since, since);
		link_next(link, next, sizeof next);
		log_warning(link->name, "still down since %s: %s; %s", since, record->last_error, next);
		record->still_down_at = clock_after(clock_now(), LINK_STILL);
	}
	loop_timer_at(&link->still, record->still_down_at);
}

static unsigned
link_listed(const struct link *link)
{
	const struct endpoints *e = &link->record->endpoints;
	unsigned listed = 0;

	for (uint32_t i = 0; i < e->high; i++)
		listed += endpoints_is_listed(e, &e->list[i]);
	return listed;
}

static bool
link_is_withdrawn(const struct link *link)
{
	const struct endpoints *e = &link->record->endpoints;
	const struct endpoint *endpoint = endpoints_find(e, link->record->number);

	return endpoint != NULL && endpoints_state(e, endpoint) == ENDPOINT_WITHDRAWN;
}

void
link_get_status(const struct link *link, struct link_status *ret_status)
{
	const struct link_record *record = link->record;
	const struct record_counters *counters = &record->counters;
	const struct pconn *p = link_pconn(link);

	*ret_status = (struct link_status){ .state = link_state(link), .up = link_is_well(link),
		.resting = p->resting || (p->cold && link->pconn.fades),
		.address = record->address, .since = record->since,
		.down_since = record->down_since, .last_error = record->last_error,
		.last_error_at = record->last_error_at, .failures = p->failures, .outages = counters->outages,
		.attempts = counters->attempts, .connects = counters->connects, .disconnects = counters->disconnects,
		.lookup_failures = counters->lookup_failures, .expiries = counters->expiries,
		.handler_failures = counters->handler_failures, .notify_dropped = counters->notify_dropped,
		.warm = link->settings->shared ? 0 : pool_idle(link->pool, TABLE_ROLE_NEXT), .lent = link->lent != 0,
		.standby = pool_idle(link->pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling(link->pool),
		.lookup = lookup_describe(link->lookup), .lookup_running_since = lookup_running_since(link->lookup),
		.endpoints = link_listed(link), .withdrawn = link_is_withdrawn(link) };
	if (p->state == PCONN_WAIT)
		ret_status->next_attempt = p->deadline;
	if (ret_status->since == 0)
		ret_status->since = link->table->services[link->service].since;
}
