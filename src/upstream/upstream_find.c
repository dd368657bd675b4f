/* Where the service is: look-ups, for attempts, standbys and to refresh (P32), and what becomes of its endpoints. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/upstream_parts.h"

void
upstream_abort(struct upstream *upstream, const char *error)
{
	record_text(upstream->record->abort_error, sizeof upstream->record->abort_error, error);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_ABORT });
}

void
upstream_address(const struct upstream *upstream, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct endpoint *endpoint = endpoints_find(&upstream->record->endpoints, number);
	struct address address;

	ret_text[0] = '\0';
	if (endpoint == NULL)
		return;
	endpoint_address(endpoint, &address);
	address_format(&address, ret_text);
}

static void
upstream_tell_withdrawn(struct upstream *upstream, uint64_t bits)
{
	const struct endpoints *e = &upstream->record->endpoints;
	char address[ADDRESS_TEXT_SIZE], text[TABLE_HISTORY_TEXT];

	for (uint32_t i = 0; i < e->high; i++) {
		if ((bits & ENDPOINTS_BIT(i)) == 0 || e->list[i].open == 0)
			continue;
		upstream_address(upstream, e->list[i].number, address);
		snprintf(text, sizeof text, "endpoint %.110s withdrawn by the look-up; connections left: %u", address,
		    e->list[i].open);
		table_history_add(upstream->table, upstream->service, UPSTREAM_NOTE, text);
		log_notice(upstream->name, "%s", text);
	}
}

/* Of a good look-up; the last addresses, which are kept, are listed still.  Whether the list has changed. */
static bool
upstream_list(struct upstream *upstream, const struct lookup_result *result)
{
	struct endpoints *e = &upstream->record->endpoints;
	struct endpoints_changes changes = { 0, 0, false };
	bool changed;

	if (result->kept_error == NULL) {
		upstream->record->random = result->random;
		upstream_note_settings(upstream);
		changes = endpoints_list(e, result->endpoints, result->listed_count, clock_now());
	}
	CRASH_POINT(ENDPOINT_LISTED);
	lookup_refresh_by(upstream->lookup, endpoints_doubtful_until(e)); /* P33: twice not listed */
	upstream_tell_withdrawn(upstream, changes.withdrawn);
	changed = (changes.fresh | changes.withdrawn) != 0 || (changes.reordered && !result->random);
	if (changed || result->kept_error != NULL || upstream->record->noted == 0)
		upstream_tell_listing(upstream, result);
	return changed;
}

static void
upstream_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct upstream *upstream = arg;
	struct upstream_record *record = upstream->record;
	char text[RECORD_ERROR_SIZE];

	upstream->asking = NULL;
	histogram_count(upstream->table, upstream->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (result->error == NULL && result->abort_reason == NULL) {
		upstream_list(upstream, result);
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_LOOKED_UP });
	} else {
		record->counters.lookup_failures++;
		snprintf(text, sizeof text, "%s%s", result->error == NULL ? "abort: " : "",
		    result->error == NULL ? result->abort_reason : result->error);
		upstream_set_error(upstream, "", text);
		if (result->error == NULL)
			upstream_abort(upstream, text);
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_LOOKUP_FAILED });
	}
	upstream_run(upstream);
}

void
upstream_ask(struct upstream *upstream)
{
	lookup_leave(upstream->asking);
	upstream->asking = lookup_ask(upstream->lookup, true, upstream_on_looked_up, upstream);
}

/* What did not succeed may do so now. */
static void
upstream_wake(struct upstream *upstream)
{
	pool_tell_standby(upstream->pool, STANDBY_WAKE);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_WAKE });
}

/* The catalog's (P24); while connected it is looked at (P32). */
static void
upstream_on_changed(void *arg)
{
	struct upstream *upstream = arg;

	log_debug(upstream->name, "the catalog's list has changed");
	lookup_refresh_by(upstream->lookup, clock_now());
	upstream_wake(upstream);
}

/* P32: what failed, or is not the whole answer, changes nothing; nor does an abort, which is an attempt's to say. */
static void
upstream_on_refreshed(void *arg, const struct lookup_result *result)
{
	struct upstream *upstream = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason != NULL ?
	    result->abort_reason : result->kept_error != NULL ? result->kept_error : result->incomplete;

	histogram_count(upstream->table, upstream->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (wrong != NULL) {
		upstream->record->counters.lookup_failures++;
		log_debug(upstream->name, "refresh: %s; the addresses stay as they are", wrong);
		return;
	}
	if (upstream_list(upstream, result)) {
		log_debug(upstream->name, "the list of addresses has changed");
		upstream_wake(upstream);
	}
}

const struct lookup_callbacks upstream_lookup_callbacks = {
	.catalog = { .changed = upstream_on_changed, .passed_over = upstream_tell_passed_over },
	.roll = upstream_roll,
	.refreshed = upstream_on_refreshed,
};

/* For a standby. */
static void
upstream_on_standby_looked_up(void *arg, const struct lookup_result *result)
{
	struct upstream *upstream = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason;

	upstream->asking_standby = NULL;
	if (wrong != NULL)
		log_debug(upstream->name, "look-up for a standby: %s", wrong);
	else
		upstream_list(upstream, result);
	pool_tell_standby(upstream->pool, wrong != NULL ? STANDBY_LOOKUP_FAILED : STANDBY_LOOKED_UP);
}

void
upstream_look_up_standby(void *arg)
{
	struct upstream *upstream = arg;

	upstream->asking_standby = upstream_lookup(upstream, upstream_on_standby_looked_up, upstream);
}

void
upstream_leave_standby(void *arg)
{
	struct upstream *upstream = arg;

	lookup_leave(upstream->asking_standby);
	upstream->asking_standby = NULL;
}

/* While connected no event tells it. */
void
upstream_on_turned(void *arg, uint16_t number, bool good)
{
	struct upstream *upstream = arg;
	const struct endpoint *endpoint = endpoints_find(&upstream->record->endpoints, number);
	char address[ADDRESS_TEXT_SIZE], text[TABLE_HISTORY_TEXT];

	if (upstream_pconn(upstream)->state != PCONN_CONNECTED || endpoint == NULL)
		return;
	upstream_address(upstream, number, address);
	if (good)
		snprintf(text, sizeof text, "endpoint %.110s is in good health again", address);
	else
		snprintf(text, sizeof text, "endpoint %.80s failed: %.90s; tried again in %.1f s", address,
		    endpoint->error, (double)(endpoint->failed_until - clock_now()) / CLOCK_SECOND);
	table_history_add(upstream->table, upstream->service, UPSTREAM_NOTE, text);
	log_info(upstream->name, "%s", text);
}

/* An idle connection that the next client must not get is gone: another is to be had. */
static void
upstream_note_dropped(struct upstream *upstream)
{
	const struct endpoints *e = &upstream->record->endpoints;
	const struct endpoint *current = endpoints_find(e, upstream->record->number);
	bool failed = current != NULL && endpoints_state(e, current) == ENDPOINT_FAILED;

	if (!upstream->settings->shared || upstream_ready(upstream) > 0) {
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_HELD });
		return;
	}
	upstream_set_purpose(upstream, failed ? "its endpoint failed, another is in good health" :
	    UPSTREAM_WITHDRAWN);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_LOST });
}

/* Of shared mode. */
static void
upstream_judge_lent(struct upstream *upstream, int64_t now)
{
	enum endpoints_verdict verdict = endpoints_judge(&upstream->record->endpoints, &upstream->endpoints,
	    upstream->lent_number, false, now);

	bool moves = verdict == ENDPOINTS_MOVE;

	if (!upstream_is_to_stay(upstream))
		return;
	if (verdict == ENDPOINTS_DROP || (moves && upstream->moving && upstream->let_go)) {
		upstream_withdraw(upstream);
	} else if (moves != upstream->moving) {
		upstream->moving = moves;
		upstream->let_go = false;
		upstream->callbacks->move(upstream->arg, moves);
	}
}

/* Clients' connections; and whether what was told as connected is withdrawn, and another is to be had. */
static void
upstream_judge_clients(struct upstream *upstream, int64_t now)
{
	const struct endpoints *e = &upstream->record->endpoints;
	const struct endpoint *current = endpoints_find(e, upstream->record->number);

	for (uint32_t i = 0; i < e->high; i++) {
		bool drop = e->list[i].open > 0 && endpoints_state(e, &e->list[i]) == ENDPOINT_WITHDRAWN &&
		    endpoints_judge(e, &upstream->endpoints, e->list[i].number, false, now) == ENDPOINTS_DROP;
		uint32_t left = drop ? e->list[i].open : 0;

		if (left > upstream->left[i])
			upstream->callbacks->leave(upstream->arg, e->list[i].number);
		upstream->left[i] = left;
	}
	if (upstream_is_to_stay(upstream) && upstream->endpoints.on_withdrawn != ENDPOINTS_ON_KEEP &&
	    current != NULL &&
	    endpoints_elsewhere(e) && endpoints_state(e, current) == ENDPOINT_WITHDRAWN)
		upstream_withdraw(upstream);
}

/* Idle connections and dials in the background are for a service that is connected; who has a connection keeps it
 * whatever the service does. */
void
upstream_tend(struct upstream *upstream)
{
	int64_t now = clock_now(), next = CLOCK_NEVER, timeout;
	unsigned before = upstream_ready(upstream);

	if (upstream_is_to_stay(upstream))
		next = pool_tend(upstream->pool, now);
	timeout = endpoints_timeout(&upstream->record->endpoints, &upstream->endpoints, now);
	loop_timer_at(&upstream->tending, timeout < next ? timeout : next);
	if (upstream->lent != 0)
		upstream_judge_lent(upstream, now);
	else if (!upstream->settings->shared)
		upstream_judge_clients(upstream, now);
	if (upstream_ready(upstream) < before)
		upstream_note_dropped(upstream);
}

void
upstream_on_tending(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	upstream_tend(arg);
}
