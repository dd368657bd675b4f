/* Where the service is: look-ups, for attempts, standbys and to refresh (P32), and what becomes of its endpoints. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/link_parts.h"

struct lookup_question
link_question(struct link *link)
{
	return (struct lookup_question){ .service = link->name, .failures = link_pconn(link)->failures,
		.last_address = link->record->address, .roll = link_roll(link) };
}

void
link_abort(struct link *link, const char *error)
{
	record_text(link->record->abort_error, sizeof link->record->abort_error, error);
	link_push(link, (struct pconn_input){ .event = PCONN_ABORT });
}

void
link_address(const struct link *link, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct endpoint *endpoint = endpoints_find(&link->record->endpoints, number);
	struct address address;

	ret_text[0] = '\0';
	if (endpoint == NULL)
		return;
	endpoint_address(endpoint, &address);
	address_format(&address, ret_text);
}

/* What a name that gave nothing might have given stays listed. */
static size_t
link_add_listed(const struct link *link, struct endpoint_listed *listed, struct address *addresses, size_t count)
{
	const struct endpoints *e = &link->record->endpoints;

	for (uint32_t i = 0; i < e->high && count < LOOKUP_ENDPOINTS; i++) {
		const struct endpoint_listing *says = endpoints_listing(e, &e->list[i]);

		if (!endpoints_is_listed(e, &e->list[i]))
			continue;
		endpoint_address(&e->list[i], &addresses[count]);
		listed[count] = (struct endpoint_listed){ .address = &addresses[count], .from = e->list[i].from,
			.priority = says->priority, .weight = says->weight, .order = says->order };
		count++;
	}
	return count;
}

static void
link_tell_withdrawn(struct link *link, uint64_t bits)
{
	const struct endpoints *e = &link->record->endpoints;
	char address[ADDRESS_TEXT_SIZE], text[TABLE_HISTORY_TEXT];

	for (uint32_t i = 0; i < e->high; i++) {
		if ((bits & ENDPOINTS_BIT(i)) == 0 || e->list[i].open == 0)
			continue;
		link_address(link, e->list[i].number, address);
		snprintf(text, sizeof text, "endpoint %.110s withdrawn by the look-up; connections left: %u", address,
		    e->list[i].open);
		table_history_add(link->table, link->service, LINK_NOTE, text);
		log_notice(link->name, "%s", text);
	}
}

/* Of a good look-up; the last addresses, which are kept, are listed still.  Whether the list has changed. */
static bool
link_list(struct link *link, const struct lookup_result *result)
{
	struct endpoint_listed *listed = mem_new(LOOKUP_ENDPOINTS, sizeof *listed);
	struct address *addresses = mem_new(LOOKUP_ENDPOINTS, sizeof *addresses);
	struct endpoints *e = &link->record->endpoints;
	struct endpoints_changes changes = { 0, 0, false };
	size_t count = result->endpoint_count;
	bool changed;

	for (size_t i = 0; i < count; i++)
		listed[i] = (struct endpoint_listed){ .address = &result->endpoints[i].address,
			.from = result->endpoints[i].from, .priority = result->endpoints[i].priority,
			.weight = result->endpoints[i].weight, .order = result->endpoints[i].source };
	if (result->incomplete != NULL)
		count = link_add_listed(link, listed, addresses, count);
	if (result->kept_error == NULL || e->listing == 0) {
		link->record->random = result->random;
		link_note_settings(link);
		changes = endpoints_list(e, listed, count, clock_now());
	}
	CRASH_POINT(ENDPOINT_LISTED);
	mem_free(addresses);
	mem_free(listed);
	lookup_refresh_by(link->lookup, endpoints_doubtful_until(e)); /* P33: twice not listed */
	link_tell_withdrawn(link, changes.withdrawn);
	changed = (changes.fresh | changes.withdrawn) != 0 || (changes.reordered && !result->random);
	if (changed || result->kept_error != NULL || link->record->noted == 0)
		link_tell_listing(link, result);
	return changed;
}

static void
link_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct link *link = arg;
	struct link_record *record = link->record;
	char text[RECORD_ERROR_SIZE];

	link->asking = NULL;
	histogram_count(link->table, link->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (result->error == NULL && result->abort_reason == NULL) {
		link_list(link, result);
		link_push(link, (struct pconn_input){ .event = PCONN_LOOKED_UP });
	} else {
		record->counters.lookup_failures++;
		snprintf(text, sizeof text, "%s%s", result->error == NULL ? "abort: " : "",
		    result->error == NULL ? result->abort_reason : result->error);
		link_set_error(link, "", text);
		if (result->error == NULL)
			link_abort(link, text);
		link_push(link, (struct pconn_input){ .event = PCONN_LOOKUP_FAILED });
	}
	link_run(link);
}

void
link_ask(struct link *link)
{
	struct lookup_question question = link_question(link);

	question.counts = true;
	lookup_leave(link->asking);
	link->asking = lookup_ask(link->lookup, &question, link_on_looked_up, link);
}

/* What did not succeed may do so now. */
static void
link_wake(struct link *link)
{
	standby_tell(link->standby, STANDBY_WAKE);
	link_push(link, (struct pconn_input){ .event = PCONN_WAKE });
}

/* The catalog's (P24); while connected it is looked at (P32). */
static void
link_on_changed(void *arg)
{
	struct link *link = arg;

	log_debug(link->name, "the catalog's list has changed");
	lookup_refresh_by(link->lookup, clock_now());
	link_wake(link);
}

static struct lookup_question
link_refresh_question(void *arg)
{
	return link_question(arg);
}

/* P32: what failed, or is not the whole answer, changes nothing; nor does an abort, which is an attempt's to say. */
static void
link_on_refreshed(void *arg, const struct lookup_result *result)
{
	struct link *link = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason != NULL ?
	    result->abort_reason : result->kept_error != NULL ? result->kept_error : result->incomplete;

	histogram_count(link->table, link->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (wrong != NULL) {
		link->record->counters.lookup_failures++;
		log_debug(link->name, "refresh: %s; the addresses stay as they are", wrong);
		return;
	}
	if (link_list(link, result)) {
		log_debug(link->name, "the list of addresses has changed");
		link_wake(link);
	}
}

const struct lookup_callbacks link_lookup_callbacks = {
	.changed = link_on_changed,
	.passed_over = link_tell_passed_over,
	.question = link_refresh_question,
	.refreshed = link_on_refreshed,
};

/* For a standby. */
static void
link_on_standby_looked_up(void *arg, const struct lookup_result *result)
{
	struct link *link = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason;

	link->asking_standby = NULL;
	if (wrong != NULL)
		log_debug(link->name, "look-up for a standby: %s", wrong);
	else
		link_list(link, result);
	standby_tell(link->standby, wrong != NULL ? STANDBY_LOOKUP_FAILED : STANDBY_LOOKED_UP);
}

static void
link_look_up_standby(void *arg)
{
	struct link *link = arg;

	link->asking_standby = link_lookup(link, link_on_standby_looked_up, link);
}

static void
link_leave_standby(void *arg)
{
	struct link *link = arg;

	lookup_leave(link->asking_standby);
	link->asking_standby = NULL;
}

const struct standby_callbacks link_standby_callbacks = {
	.look_up = link_look_up_standby, .leave = link_leave_standby, .roll = link_roll
};

/* While connected no event tells it. */
void
link_on_turned(void *arg, uint16_t number, bool good)
{
	struct link *link = arg;
	const struct endpoint *endpoint = endpoints_find(&link->record->endpoints, number);
	char address[ADDRESS_TEXT_SIZE], text[TABLE_HISTORY_TEXT];

	if (link_pconn(link)->state != PCONN_CONNECTED || endpoint == NULL)
		return;
	link_address(link, number, address);
	if (good)
		snprintf(text, sizeof text, "endpoint %.110s is in good health again", address);
	else
		snprintf(text, sizeof text, "endpoint %.80s failed: %.90s; tried again in %.1f s", address,
		    endpoint->error, (double)(endpoint->failed_until - clock_now()) / CLOCK_SECOND);
	table_history_add(link->table, link->service, LINK_NOTE, text);
	log_info(link->name, "%s", text);
}

/* An idle connection that the next client must not get is gone: another is to be had. */
static void
link_note_dropped(struct link *link)
{
	const struct endpoints *e = &link->record->endpoints;
	const struct endpoint *current = endpoints_find(e, link->record->number);
	bool failed = current != NULL && endpoints_state(e, current) == ENDPOINT_FAILED;

	if (!link->settings->shared || link_ready(link) > 0) {
		link_push(link, (struct pconn_input){ .event = PCONN_HELD });
		return;
	}
	link_set_purpose(link, failed ? "its endpoint failed, another is in good health" : LINK_WITHDRAWN);
	link_push(link, (struct pconn_input){ .event = PCONN_LOST });
}

/* Of shared mode. */
static void
link_judge_lent(struct link *link, int64_t now)
{
	enum endpoints_verdict verdict = endpoints_judge(&link->record->endpoints, &link->endpoints,
	    link->lent_number, false, now);

	bool moves = verdict == ENDPOINTS_MOVE;

	if (!link_is_to_stay(link))
		return;
	if (verdict == ENDPOINTS_DROP || (moves && link->moving && link->let_go)) {
		link_withdraw(link);
	} else if (moves != link->moving) {
		link->moving = moves;
		link->let_go = false;
		link->callbacks->move(link->arg, moves);
	}
}

/* Clients' connections; and whether what was told as connected is withdrawn, and another is to be had. */
static void
link_judge_clients(struct link *link, int64_t now)
{
	const struct endpoints *e = &link->record->endpoints;
	const struct endpoint *current = endpoints_find(e, link->record->number);

	for (uint32_t i = 0; i < e->high; i++) {
		bool drop = e->list[i].open > 0 && endpoints_state(e, &e->list[i]) == ENDPOINT_WITHDRAWN &&
		    endpoints_judge(e, &link->endpoints, e->list[i].number, false, now) == ENDPOINTS_DROP;
		uint32_t left = drop ? e->list[i].open : 0;

		if (left > link->left[i])
			link->callbacks->leave(link->arg, e->list[i].number);
		link->left[i] = left;
	}
	if (link_is_to_stay(link) && link->endpoints.on_withdrawn != ENDPOINTS_ON_KEEP && current != NULL &&
	    endpoints_elsewhere(e) && endpoints_state(e, current) == ENDPOINT_WITHDRAWN)
		link_withdraw(link);
}

/* Idle connections and dials in the background are for a service that is connected; who has a connection keeps it
 * whatever the service does. */
void
link_tend(struct link *link)
{
	int64_t now = clock_now(), next = CLOCK_NEVER, timeout;
	unsigned before = link_ready(link);

	if (link_is_to_stay(link))
		next = pool_tend(link->pool, now);
	timeout = endpoints_timeout(&link->record->endpoints, &link->endpoints, now);
	loop_timer_at(&link->tending, timeout < next ? timeout : next);
	if (link->lent != 0)
		link_judge_lent(link, now);
	else if (!link->settings->shared)
		link_judge_clients(link, now);
	if (link_ready(link) < before)
		link_note_dropped(link);
}

void
link_on_tending(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	link_tend(arg);
}
