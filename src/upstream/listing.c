#include "upstream/listing.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/upstream_log.h"

#define LOOK_AGAIN   CLOCK_SECOND /* at the earliest */
#define LISTING_LINE 1200         /* bytes of a line about several entries */

struct listing {
	struct upstream_context *context; /* borrowed */
	struct upstream_record *record;   /* borrowed: the table's */
	struct lookup *lookup;            /* owned */
	bool failing;                     /* that the last refresh failed was told */
	int64_t refreshed_at;             /* the last good refresh; 0 none by this worker */
	uint32_t left[ENDPOINTS_MAX];     /* P33: clients' connections to each that end, but are still open */
	int64_t look_at;                  /* not before, at those to endpoints that lost their places */
};

static void
listing_tell_withdrawn(const struct listing *listing, uint64_t bits)
{
	const struct endpoints *e = &listing->record->endpoints;
	char address[ADDRESS_TEXT_SIZE];

	for (uint32_t i = 0; i < e->high; i++) {
		if ((bits & ENDPOINTS_BIT(i)) == 0 || e->list[i].open == 0)
			continue;
		record_address(listing->record, e->list[i].number, address);
		upstream_note(listing->context->table, listing->context->service, LOG_LEVEL_NOTICE,
		    "endpoint %.110s withdrawn by the lookup; connections left: %u", address, e->list[i].open);
	}
}

/* What a lookup gave, if it differs from before. */
static void
listing_tell(const struct listing *listing, const struct lookup_result *result)
{
	char text[TABLE_HISTORY_TEXT], one[ADDRESS_TEXT_SIZE];
	size_t at;
	uint64_t hash;

	if (result->kept_error != NULL)
		at = (size_t)snprintf(text, sizeof text, "the last addresses are kept (%.120s):", result->kept_error);
	else
		at = (size_t)snprintf(text, sizeof text, "lookup:");
	for (size_t i = 0; i < result->endpoint_count && at < sizeof text; i++) {
		address_format(&result->endpoints[i].address, one);
		at += (size_t)snprintf(text + at, sizeof text - at, " %s", one);
	}
	hash = repeats_hash(text);
	if (hash == listing->record->noted)
		return;
	listing->record->noted = hash;
	upstream_note(listing->context->table, listing->context->service, LOG_LEVEL_DEBUG, "%s", text);
}

/* Of a good lookup; the last addresses, which are kept, are listed still.  Whether the list has changed. */
static bool
listing_put(struct listing *listing, const struct lookup_result *result)
{
	struct endpoints *e = &listing->record->endpoints;
	struct endpoints_changes changes = { 0, 0, false };
	bool changed;

	if (result->kept_error == NULL) {
		listing->failing = false;
		listing->record->random = result->random;
		upstream_context_set(listing->context, listing->context->settings);
		record_count_open(listing->context->table, listing->context->service, e);
		changes = endpoints_list(e, result->endpoints, result->listed_count, clock_now());
	}
	CRASH_POINT(ENDPOINT_LISTED);
	lookup_refresh_by(listing->lookup, endpoints_doubtful_until(e)); /* P33: twice not listed */
	listing_tell_withdrawn(listing, changes.withdrawn);
	changed = (changes.fresh | changes.withdrawn) != 0 || (changes.reordered && !result->random);
	if (changed || result->kept_error != NULL || listing->record->noted == 0)
		listing_tell(listing, result);
	return changed;
}

/* An answer that is not whole is one for who waits, and nothing to a refresh; nor is an abort, which is an attempt's
 * to say.  Nothing but the line about a refresh would tell that the addresses are out of date while all is well. */
static void
listing_on_ended(void *arg, unsigned askers, const struct lookup_result *result)
{
	static const char format[] = "the lookup fails, the addresses stay as they are: %.160s";
	struct listing *listing = arg;
	const struct upstream_context *context = listing->context;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason;
	const char *partly = wrong != NULL ? wrong : result->kept_error != NULL ? result->kept_error :
	    result->incomplete;
	bool refresh = (askers & LOOKUP_REFRESH) != 0, changed = false;

	if ((askers & ~LOOKUP_STANDBY) != 0)
		histogram_count(context->table, context->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if ((refresh && partly != NULL) || ((askers & LOOKUP_ATTEMPT) != 0 && wrong != NULL))
		listing->record->counters.lookup_failures++;
	if (askers == LOOKUP_REFRESH ? partly == NULL : wrong == NULL)
		changed = listing_put(listing, result);
	if (!refresh)
		return;
	machine_look(context->machine); /* that of clients' connections none may be left */
	if (partly != NULL && listing->failing) {
		log_debug(context->name, format, partly);
	} else if (partly != NULL) {
		upstream_note(context->table, context->service, LOG_LEVEL_WARNING, format, partly);
		listing->failing = true;
	} else {
		listing->refreshed_at = clock_now();
	}
	if (partly != NULL || !changed)
		return;
	log_debug(context->name, "the list of addresses has changed");
	machine_push_event(context->machine, PCONN_WAKE);
}

/* One line for several, as of so many lines the log would suppress some. */
static void
listing_tell_line(const struct listing *listing, char text[LISTING_LINE], const char *further)
{
	size_t length = strlen(text);

	if (length > 0 && (further == NULL || length + strlen(further) + 2 >= LISTING_LINE)) {
		log_notice(listing->context->name, "catalog %s", text);
		text[length = 0] = '\0';
	}
	if (further != NULL)
		snprintf(text + length, LISTING_LINE - length, "%s%s", length > 0 ? "; " : "", further);
}

/* Logs what of the catalog is ignored and was not told yet, by a dead worker neither.  What is noted last: a
 * death before it has a line told twice, and none lost. */
static void
listing_tell_passed_over(const struct listing *listing)
{
	const struct catalog *catalog = lookup_catalog(listing->lookup);
	uint64_t hashes[CATALOG_PASSED] = { 0 }, *told = listing->record->passed_over;
	const struct catalog_passed *passed;
	size_t count, more, at;
	char line[LISTING_LINE] = "", text[64 + sizeof passed->name + sizeof passed->cause];

	if (catalog == NULL)
		return;
	passed = catalog_passed_over(catalog, &count, &more);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "entry %s is ignored: %s", passed[i].name, passed[i].cause);
		hashes[i] = repeats_hash(text);
		for (at = 0; at < CATALOG_PASSED && told[at] != hashes[i];)
			at++;
		if (at == CATALOG_PASSED)
			listing_tell_line(listing, line, text);
	}
	listing_tell_line(listing, line, NULL);
	memcpy(told, hashes, sizeof hashes);
}

/* It is looked up at once where refreshes are on (P32). */
static void
listing_on_catalog(void *arg, unsigned differs)
{
	struct listing *listing = arg;

	if ((differs & CATALOG_PASSES) != 0)
		listing_tell_passed_over(listing);
	if ((differs & CATALOG_CHANGED) == 0)
		return;
	log_debug(listing->context->name, "the catalog's list has changed");
	lookup_refresh_by(listing->lookup, clock_now());
	machine_push_event(listing->context->machine, PCONN_WAKE);
}

static void
listing_on_news(void *arg)
{
	struct listing *listing = arg;

	log_debug(listing->context->name, "the list of the script that watches has changed");
	lookup_refresh_by(listing->lookup, clock_now());
	machine_push_event(listing->context->machine, PCONN_WAKE);
}

static void
listing_on_unwatched(void *arg, const char *error, int64_t again, bool same)
{
	const struct listing *listing = arg;
	const struct upstream_context *context = listing->context;
	int64_t left = again - clock_now();
	double seconds = left > 0 ? (double)left / (double)CLOCK_SECOND : 0;
	static const char format[] = "%.160s; it is run again in %.1f s; until then each lookup runs it by itself";

	if (same)
		log_debug(context->name, format, error, seconds);
	else
		upstream_note(context->table, context->service, LOG_LEVEL_WARNING, format, error, seconds);
}

static int64_t
listing_watch_delay(void *arg, unsigned failures)
{
	const struct listing *listing = arg;

	return delay_draw(&listing->context->settings->pconn.retry, failures, machine_roll(NULL));
}

static void
listing_make_lookup(struct listing *listing)
{
	static const struct lookup_callbacks callbacks = { .catalog = listing_on_catalog, .roll = machine_roll,
		.news = listing_on_news, .unwatched = listing_on_unwatched, .delay = listing_watch_delay,
		.ended = listing_on_ended };
	const struct upstream_context *context = listing->context;

	listing->lookup = lookup_new(context->loop, context->name, &context->settings->lookup,
	    context->table->services[context->service].groups, listing->record, &callbacks, listing);
	listing_tell_passed_over(listing);
}

struct listing *
listing_new(struct upstream_context *context)
{
	struct listing *listing = mem_new(1, sizeof *listing);

	listing->context = context;
	listing->record = context->record;
	listing_make_lookup(listing);
	return listing;
}

void
listing_free(struct listing *listing)
{
	if (listing == NULL)
		return;
	lookup_free(listing->lookup);
	mem_free(listing);
}

void
listing_set(struct listing *listing)
{
	listing->look_at = 0;
	lookup_set(listing->lookup, &listing->context->settings->lookup);
}

void
listing_renew(struct listing *listing)
{
	struct upstream_record *record = listing->record;

	lookup_free(listing->lookup);
	endpoints_renew(&record->endpoints);
	record->lookup = (struct lookup_record){ 0 };
	memset(record->passed_over, 0, sizeof record->passed_over);
	listing->failing = false;
	listing->look_at = 0;
	listing_make_lookup(listing);
}

void
listing_resume(struct listing *listing)
{
	lookup_refresh_by(listing->lookup, lookup_catalog(listing->lookup) != NULL ? clock_now() :
	    endpoints_doubtful_until(&listing->record->endpoints));
}

void
listing_look(struct listing *listing, bool refresh)
{
	uint8_t state = record_pconn(listing->record)->state;

	lookup_watch(listing->lookup, state != PCONN_NEW && state != PCONN_CLOSED);
	lookup_refresh(listing->lookup, refresh);
}

int64_t
listing_found_at(const struct listing *listing)
{
	return endpoints_found_at(&listing->record->endpoints, listing->refreshed_at);
}

bool
listing_drops(const struct listing *listing, uint16_t number, int64_t left_at, int64_t now, int64_t *next)
{
	int64_t at = endpoints_leaves_at(&listing->record->endpoints, &listing->context->endpoints, number, left_at);

	if (at > now && at < *next)
		*next = at;
	return at <= now;
}

/* Clients' connections to endpoints that lost their places.  With drain what is left behind meanwhile has its whole
 * withdrawn_timeout before it. */
static int64_t
listing_cut_left(const struct listing *listing, int64_t now)
{
	const struct upstream_context *context = listing->context;
	const struct table *table = context->table;
	unsigned char told[(UINT16_MAX + 1) / 8] = { 0 };
	bool drain = context->endpoints.on_withdrawn == ENDPOINTS_ON_DRAIN;
	int64_t timeout = context->endpoints.withdrawn_timeout, next = now + (drain ? timeout : 0);

	for (uint32_t i = 1; i < table->header->conn_high; i++) {
		const struct table_conn *conn = &table->conns[i];
		unsigned char *byte = &told[conn->endpoint / 8], bit = (unsigned char)(1u << (conn->endpoint % 8));

		if (table_conn_state(table, i) != TABLE_READY || conn->service != context->service ||
		    (*byte & bit) != 0 || endpoints_find(&listing->record->endpoints, conn->endpoint) != NULL)
			continue;
		if (listing_drops(listing, conn->endpoint, conn->left_at, now, &next)) {
			*byte |= bit;
			context->callbacks->lost(context->arg, conn->endpoint);
		} else if (drain && conn->left_at != 0 && conn->left_at + timeout < next) {
			next = conn->left_at + timeout; /* there is nothing to go to yet */
		}
	}
	return next < now + LOOK_AGAIN ? now + LOOK_AGAIN : next;
}

/* Connections to endpoints that lost their places are looked at seldom, for that is a scan, and they are few. */
bool
listing_judge_clients(struct listing *listing, int64_t now, int64_t *next)
{
	const struct upstream_context *context = listing->context;
	const struct endpoints_settings *settings = &context->endpoints;
	const struct endpoints *e = &listing->record->endpoints;
	uint16_t told = record_current(listing->record)->told;
	bool by_time = settings->on_withdrawn == ENDPOINTS_ON_DROP ||
	    (settings->on_withdrawn == ENDPOINTS_ON_DRAIN && settings->withdrawn_timeout > 0);

	for (uint32_t i = 0; i < e->high; i++) {
		const struct endpoint *one = &e->list[i];
		uint32_t left = one->open > 0 && listing_drops(listing, one->number, 0, now, next) ? one->open : 0;

		if (left > listing->left[i])
			context->callbacks->lost(context->arg, one->number);
		listing->left[i] = left;
	}
	if (!by_time || table_conns_open(context->table, context->service, 0) == 0)
		listing->look_at = 0;
	else if (now >= listing->look_at)
		listing->look_at = listing_cut_left(listing, now);
	if (listing->look_at != 0 && listing->look_at < *next)
		*next = listing->look_at;
	return machine_is_to_stay(context->machine) && told != 0 && endpoints_is_left(e, settings, told);
}

struct lookup *
listing_lookup(const struct listing *listing)
{
	return listing->lookup;
}
