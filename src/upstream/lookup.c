#include "upstream/lookup.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/layout.h"
#include "upstream/delay.h"
#include "upstream/entry.h"
#include "upstream/record.h"
#include "upstream/resolver.h"
#include "upstream/script.h"
#include "upstream/script_watch.h"

#define LOOKUP_REFRESH_JITTER 0.3

struct lookup_waiter {
	TAILQ_ENTRY(lookup_waiter) next;
	struct lookup_run *run;      /* borrowed */
	unsigned asker;
	lookup_callback *callback;
	void *arg;                   /* borrowed */
};

/* One entry that the source gave, and what became of it. */
struct lookup_lead {
	struct lookup_run *run;      /* borrowed */
	struct endpoint_listed listed;
	struct resolver *resolver;   /* owned; NULL when it is not being resolved (any more) */
	struct address *found;       /* owned; of a host name */
	size_t found_count;
};

/* One lookup. */
struct lookup_run {
	struct lookup *lookup;       /* borrowed; NULL once that is freed: those who still wait are told so */
	TAILQ_HEAD(, lookup_waiter) waiters; /* in the order in which they asked */
	bool refreshes;              /* it is a refresh, too */
	bool telling;                /* who waits is just being told */
	int64_t since;               /* 0: the script may not be run yet */
	bool expects;                /* the first list of a script that watches */
	struct loop_timer timer;     /* until that must have come; until the script may be run (min_interval);
	                              * then the end, through the loop */
	struct child *script;        /* owned; NULL when it has ended */
	struct lookup_lead leads[ENDPOINTS_MAX];
	size_t lead_count, resolving;
	bool random;                 /* this source means no order */
	int64_t good_for;
	char *error, *abort_reason;  /* owned */
	char *output, *errors;       /* owned */
	struct endpoint_listed *endpoints; /* owned; all that the leads led to */
	size_t count;
};

struct lookup {
	struct event_base *loop;     /* borrowed */
	char *service, *description; /* owned */
	const struct lookup_settings *settings; /* borrowed */
	volatile pid_t *groups;      /* borrowed; may be NULL */
	struct catalog *catalog;     /* owned; NULL for other sources */
	struct script script;        /* of settings, where they name one */
	struct script_watch *watch;  /* owned; NULL for other sources */
	struct lookup_run *run;      /* owned; NULL when none is under way */
	struct lookup_run *telling;  /* borrowed: the one whose waiters are just being told; NULL none */
	struct upstream_record *record;  /* borrowed */
	const struct lookup_callbacks *callbacks; /* borrowed */
	void *arg;                   /* borrowed */
	bool refreshing;
	int64_t wanted_at;           /* a refresh is, not later than this; CLOCK_NEVER */
	struct loop_timer refresh;   /* until it is */
};

/* Ends what is under way. */
static void
lookup_run_stop(struct lookup_run *run)
{
	child_cancel(run->script);
	run->script = NULL;
	for (size_t i = 0; i < run->lead_count; i++) {
		resolver_cancel(run->leads[i].resolver);
		run->leads[i].resolver = NULL;
	}
	loop_timer_stop(&run->timer);
}

static void
lookup_run_free(struct lookup_run *run)
{
	lookup_run_stop(run);
	for (size_t i = 0; i < run->lead_count; i++)
		mem_free(run->leads[i].found);
	mem_free(run->endpoints);
	mem_free(run->error);
	mem_free(run->abort_reason);
	mem_free(run->output);
	mem_free(run->errors);
	mem_free(run);
}

/* Each place once, the first one's. */
static void
lookup_add(struct lookup_run *run, const struct endpoint_listed *listed, const struct address *address)
{
	for (size_t i = 0; i < run->count; i++)
		if (address_equal(&run->endpoints[i].address, address))
			return;
	if (run->count == ENDPOINTS_MAX)
		return;
	run->endpoints[run->count] = *listed;
	run->endpoints[run->count++].address = *address;
}

/* What was found before, by a dead worker perhaps, in that order. */
static void
lookup_add_last(struct lookup_run *run)
{
	const struct endpoints *e = &run->lookup->record->endpoints;

	for (uint32_t at = 0; at < ENDPOINTS_MAX * e->high; at++) {
		const struct endpoint *endpoint = &e->list[at % e->high];
		const struct endpoint_listing *says = endpoints_listing(e, endpoint);
		struct endpoint_listed listed = { .priority = says->priority, .weight = says->weight,
			.order = says->order };

		if (!endpoints_is_listed(e, endpoint) || says->order != at / e->high)
			continue;
		record_text(listed.from, sizeof listed.from, endpoint->from);
		endpoint_address(endpoint, &listed.address);
		lookup_add(run, &listed, &listed.address);
	}
}

int64_t
lookup_due(const struct lookup_record *record, const struct lookup_settings *settings)
{
	int64_t span;

	if (settings->refresh == 0 || record->ended_at == 0 || (settings->script == NULL && !record->names))
		return CLOCK_NEVER;
	span = delay_jitter(settings->refresh, LOOKUP_REFRESH_JITTER, record->roll);
	if (settings->script == NULL && record->good_for != 0 && record->good_for < span)
		span = record->good_for;
	return clock_after(record->ended_at, span);
}

static void
lookup_schedule(struct lookup *lookup)
{
	int64_t due;

	if (!lookup->refreshing || (lookup->run != NULL && lookup->run->refreshes)) {
		loop_timer_stop(&lookup->refresh);
		return;
	}
	due = lookup_due(&lookup->record->lookup, lookup->settings);
	loop_timer_at(&lookup->refresh, due < lookup->wanted_at ? due : lookup->wanted_at);
}

/* For the next refresh.  What failed says nothing of names. */
static void
lookup_note(const struct lookup_run *run, bool failed)
{
	struct lookup_record *record = &run->lookup->record->lookup;
	bool names = false;

	for (size_t i = 0; i < run->lead_count; i++)
		names = names || run->leads[i].listed.address.kind == ADDRESS_HOST;
	if (!failed || names)
		record->names = names;
	if (!failed)
		record->good_for = run->good_for == CLOCK_NEVER ? 0 :
		    run->good_for < CLOCK_SECOND ? CLOCK_SECOND : run->good_for;
	record->roll = run->lookup->callbacks->roll(run->lookup->arg);
	record->ended_at = clock_now();
	lookup_schedule(run->lookup);
}

/* Tells all who wait, and frees it.  Each may leave, ask again, or free the lookup while it is told: then who still
 * waits is told that. */
static void
lookup_tell(struct lookup_run *run, const struct lookup_result *result)
{
	struct lookup *lookup = run->lookup;
	struct lookup_waiter *waiter;

	run->telling = true;
	while (run->lookup == lookup && (waiter = TAILQ_FIRST(&run->waiters)) != NULL) {
		lookup_callback *callback = waiter->callback;
		void *arg = waiter->arg;

		TAILQ_REMOVE(&run->waiters, waiter, next);
		mem_free(waiter);
		callback(arg, result);
	}
	run->telling = false;
	if (!TAILQ_EMPTY(&run->waiters))
		return;
	if (run->lookup != NULL)
		run->lookup->telling = NULL;
	lookup_run_free(run);
}

/* All that the leads led to is the result, in the source's order. */
static void
lookup_run_end(struct lookup_run *run)
{
	struct lookup *lookup = run->lookup;
	const struct lookup_waiter *waiter;
	unsigned askers = run->refreshes ? LOOKUP_REFRESH : 0;
	struct lookup_result result = { .abort_reason = run->abort_reason, .random = run->random,
		.good_for = run->good_for, .took = clock_now() - run->since,
		.output = run->output != NULL ? run->output : "", .errors = run->errors != NULL ? run->errors : "" };

	run->endpoints = mem_new(ENDPOINTS_MAX, sizeof *run->endpoints);
	for (size_t i = 0; i < run->lead_count; i++) {
		const struct lookup_lead *lead = &run->leads[i];

		if (lead->listed.address.kind == ADDRESS_SOCKET)
			lookup_add(run, &lead->listed, &lead->listed.address);
		for (size_t k = 0; k < lead->found_count; k++)
			lookup_add(run, &lead->listed, &lead->found[k]);
	}
	result.endpoint_count = run->count;
	if (run->error != NULL && (run->count > 0 || lookup->settings->keep_last))
		lookup_add_last(run);
	if (result.endpoint_count > 0) {
		result.incomplete = run->error;
	} else if (run->count > 0) {
		result.kept_error = run->error;
		result.endpoint_count = run->count;
	} else {
		result.error = run->error;
	}
	result.endpoints = run->endpoints;
	result.listed_count = run->count;
	TAILQ_FOREACH(waiter, &run->waiters, next)
		askers |= waiter->asker;
	lookup->run = NULL;
	lookup->telling = run;
	run->telling = true;
	if (askers != 0) {
		lookup_note(run, result.error != NULL || result.kept_error != NULL);
		lookup->callbacks->ended(lookup->arg, askers, &result);
	}
	if (run->lookup != NULL) /* else the loop tells that it is freed */
		lookup_tell(run, &result);
}

static void
lookup_on_resolved(void *arg, const struct resolver_result *result)
{
	struct lookup_lead *lead = arg;
	struct lookup_run *run = lead->run;

	lead->resolver = NULL;
	if (result->error == NULL) {
		lead->found = mem_new(result->count, sizeof *lead->found);
		memcpy(lead->found, result->addresses, result->count * sizeof *lead->found);
		lead->found_count = result->count;
		run->good_for = result->ttl < run->good_for ? result->ttl : run->good_for;
	}
	if (run->error == NULL)
		run->error = mem_copy_text(result->error != NULL ? result->error : result->incomplete);
	if (--run->resolving == 0)
		loop_timer_soon(&run->timer);
}

/* The kinds of addresses that the name had. */
static unsigned
lookup_expected(const struct lookup_lead *lead)
{
	const struct endpoints *e = &lead->run->lookup->record->endpoints;
	char from[ENDPOINT_FROM_SIZE];
	unsigned kinds = 0;

	for (uint32_t i = 0; i < e->high; i++) {
		record_text(from, sizeof from, e->list[i].from);
		if (endpoints_is_listed(e, &e->list[i]) && strcmp(from, lead->listed.from) == 0)
			kinds |= resolver_kind(e->list[i].key.socket.ss_family);
	}
	return kinds;
}

/* The source has answered this, well or not: resolves the host names among it, patiently where nobody waits, or
 * reports at once. */
static void
lookup_follow(struct lookup_run *run, const struct endpoint_listed *listed, size_t count)
{
	const struct lookup *lookup = run->lookup;

	for (size_t i = 0; i < count; i++) {
		struct lookup_lead *lead = &run->leads[run->lead_count++];

		*lead = (struct lookup_lead){ .run = run, .listed = listed[i] };
		lead->listed.order = (uint16_t)i;
		if (listed[i].address.kind == ADDRESS_SOCKET)
			continue;
		record_text(lead->listed.from, sizeof lead->listed.from, listed[i].address.host);
		run->resolving++;
		lead->resolver = resolver_start(lookup->loop, &lead->listed.address, lookup->settings->timeout,
		    lookup_expected(lead), TAILQ_EMPTY(&run->waiters), lookup_on_resolved, lead);
	}
	if (run->resolving == 0)
		loop_timer_soon(&run->timer);
}

static void
lookup_ask_fixed(struct lookup_run *run)
{
	char *const *texts = run->lookup->settings->addresses;
	struct endpoint_listed *listed = mem_new(ENDPOINTS_MAX, sizeof *listed);
	size_t count = 0;
	const char *error;

	for (; texts != NULL && *texts != NULL && count < ENDPOINTS_MAX; texts++) {
		listed[count].weight = 1;
		error = address_parse(*texts, &listed[count].address);
		count += error == NULL;
		if (error != NULL && run->error == NULL)
			run->error = mem_print("address %s: %s", *texts, error);
	}
	if (run->error == NULL && count == 0)
		run->error = mem_copy_text("no address");
	lookup_follow(run, listed, count);
	mem_free(listed);
}

static void
lookup_take_script(struct lookup_run *run, const struct child_result *result)
{
	const struct script *script = &run->lookup->script;
	struct endpoint_listed *listed = mem_new(ENDPOINTS_MAX, sizeof *listed);
	size_t count = 0;

	run->error = script_mask(script, entry_read_script(result, listed, &count, &run->abort_reason));
	script_mask(script, run->abort_reason);
	run->output = script_mask(script, mem_copy_text(result->output));
	run->errors = script_mask(script, mem_copy_text(result->errors));
	lookup_follow(run, listed, count);
	mem_free(listed);
}

static void
lookup_on_script(void *arg, const struct child_result *result)
{
	struct lookup_run *run = arg;

	run->script = NULL;
	lookup_take_script(run, result);
}

static volatile pid_t *
lookup_group(const struct lookup *lookup, enum table_group group)
{
	return lookup->groups == NULL ? NULL : &lookup->groups[group];
}

static void
lookup_start_script(struct lookup_run *run)
{
	struct lookup *lookup = run->lookup;

	loop_timer_stop(&run->timer); /* it may have waited until later */
	run->since = lookup->record->lookup.script_at = clock_now();
	run->script = script_start(&lookup->script, NULL, lookup_group(lookup, TABLE_GROUP_LOOKUP), lookup_on_script,
	    run);
}

/* At once, unless it was started just before; waits again if it does already. */
static void
lookup_ask_script(struct lookup_run *run)
{
	const struct lookup *lookup = run->lookup;
	int64_t at = lookup->record->lookup.script_at + lookup->settings->min_interval;

	if (lookup->record->lookup.script_at == 0 || clock_now() >= at) {
		lookup_start_script(run);
		return;
	}
	run->since = 0;
	loop_timer_at(&run->timer, at);
}

/* The list of one that watches, if it counts; or its first list is waited for; else it is run for one answer. */
static void
lookup_ask_watched(struct lookup_run *run)
{
	struct script_watch *watch = run->lookup->watch;
	struct child_result result = { .last_line = "", .errors = "" };

	run->expects = false;
	result.output = script_watch_list(watch, &result.output_length);
	if (result.output != NULL) {
		lookup_take_script(run, &result);
	} else if (script_watch_expected(watch) > clock_now()) {
		run->expects = true;
		loop_timer_at(&run->timer, script_watch_expected(watch));
	} else {
		lookup_ask_script(run);
	}
}

static void
lookup_on_timer(void *arg)
{
	static const struct lookup_result gone = { .error = "the service was changed or removed meanwhile",
		.output = "", .errors = "" };
	struct lookup_run *run = arg;

	if (run->lookup == NULL)
		lookup_tell(run, &gone);
	else if (run->expects)
		lookup_ask_watched(run);
	else if (run->since == 0)
		lookup_start_script(run);
	else
		lookup_run_end(run);
}

static void
lookup_run_start(struct lookup *lookup)
{
	struct lookup_run *run = mem_new(1, sizeof *run);
	const struct endpoint_listed *listed = NULL;
	size_t count = 0;

	TAILQ_INIT(&run->waiters);
	run->lookup = lookup;
	run->since = clock_now();
	run->good_for = CLOCK_NEVER;
	loop_timer_init(&run->timer, lookup->loop, lookup_on_timer, run);
	lookup->run = run;
	if (lookup->watch != NULL) {
		lookup_ask_watched(run);
	} else if (lookup->settings->script != NULL) {
		lookup_ask_script(run);
	} else if (lookup->catalog == NULL) {
		lookup_ask_fixed(run);
	} else {
		run->error = catalog_read(lookup->catalog, &listed, &count, &run->random);
		lookup_follow(run, listed, count);
	}
}

void
lookup_watch(struct lookup *lookup, bool on)
{
	if (lookup->watch != NULL)
		script_watch_run(lookup->watch, on);
}

struct lookup_waiter *
lookup_ask(struct lookup *lookup, unsigned asker, lookup_callback *callback, void *arg)
{
	struct lookup_waiter *waiter = mem_new(1, sizeof *waiter);

	if (asker != 0)
		lookup_watch(lookup, true);
	if (lookup->run == NULL)
		lookup_run_start(lookup);
	for (size_t i = 0; i < lookup->run->lead_count; i++)
		resolver_hurry(lookup->run->leads[i].resolver);
	waiter->run = lookup->run;
	waiter->asker = asker;
	waiter->callback = callback;
	waiter->arg = arg;
	TAILQ_INSERT_TAIL(&lookup->run->waiters, waiter, next);
	return waiter;
}

/* What nobody waits for any more is ended. */
static void
lookup_end_unwanted(struct lookup_run *run)
{
	if (run->telling || run->refreshes || !TAILQ_EMPTY(&run->waiters))
		return;
	if (run->lookup != NULL)
		run->lookup->run = NULL;
	lookup_run_free(run);
}

void
lookup_leave(struct lookup_waiter *waiter)
{
	struct lookup_run *run;

	if (waiter == NULL)
		return;
	run = waiter->run;
	TAILQ_REMOVE(&run->waiters, waiter, next);
	mem_free(waiter);
	lookup_end_unwanted(run);
}

static void
lookup_abandon(struct lookup_run *run)
{
	if (run == NULL)
		return;
	run->refreshes = false;
	lookup_run_stop(run);
	run->lookup = NULL;
	loop_timer_soon(&run->timer);
}

static void
lookup_on_due(void *arg)
{
	struct lookup *lookup = arg;

	lookup->wanted_at = CLOCK_NEVER;
	if (lookup->run == NULL)
		lookup_run_start(lookup);
	lookup->run->refreshes = true;
}

void
lookup_refresh(struct lookup *lookup, bool on)
{
	struct lookup_run *run = lookup->run;

	if (on == lookup->refreshing)
		return;
	lookup->refreshing = on;
	if (!on && run != NULL && run->refreshes) {
		run->refreshes = false;
		lookup_end_unwanted(run);
	}
	lookup_schedule(lookup);
}

void
lookup_refresh_by(struct lookup *lookup, int64_t at)
{
	if (at >= lookup->wanted_at ||
	    (lookup->settings->refresh == 0 && lookup->catalog == NULL && lookup->watch == NULL))
		return;
	lookup->wanted_at = at;
	lookup_schedule(lookup);
}

/* A lookup that waits for its first list has it, or must do without. */
static void
lookup_on_watched(struct lookup *lookup)
{
	if (lookup->run != NULL && lookup->run->expects)
		loop_timer_soon(&lookup->run->timer);
}

static void
lookup_on_news(void *arg)
{
	struct lookup *lookup = arg;

	lookup_on_watched(lookup);
	lookup->callbacks->news(lookup->arg);
}

static void
lookup_on_unwatched(void *arg, const char *error, int64_t again, bool same)
{
	struct lookup *lookup = arg;

	lookup_on_watched(lookup);
	lookup->callbacks->unwatched(lookup->arg, error, again, same);
}

static int64_t
lookup_watch_delay(void *arg, unsigned failures)
{
	struct lookup *lookup = arg;

	return lookup->callbacks->delay(lookup->arg, failures);
}

struct lookup *
lookup_new(struct event_base *loop, const char *service, const struct lookup_settings *settings,
    volatile pid_t *groups, struct upstream_record *record, const struct lookup_callbacks *callbacks, void *arg)
{
	static const struct script_watch_callbacks watched = { .news = lookup_on_news,
		.ended = lookup_on_unwatched, .delay = lookup_watch_delay };
	struct lookup *lookup = mem_new(1, sizeof *lookup);

	*lookup = (struct lookup){ .loop = loop, .service = mem_copy_text(service), .settings = settings,
		.groups = groups, .record = record, .callbacks = callbacks, .arg = arg,
		.wanted_at = CLOCK_NEVER };
	loop_timer_init(&lookup->refresh, loop, lookup_on_due, lookup);
	lookup->script = (struct script){ .loop = loop, .service = lookup->service, .settings = settings,
		.record = record };
	if (settings->script != NULL && settings->watch)
		lookup->watch = script_watch_new(&lookup->script, lookup_group(lookup, TABLE_GROUP_WATCH), &watched,
		    lookup);
	if (settings->script != NULL)
		lookup->description = mem_print("script %s%s", settings->script, settings->watch ? " --watch" : "");
	else if (settings->catalog != NULL)
		lookup->description = mem_print("catalog %s", settings->catalog);
	else
		lookup->description = mem_print("address %s%s", mem_list_length(settings->addresses) > 0 ?
		    settings->addresses[0] : "none", mem_list_length(settings->addresses) > 1 ? " ..." : "");
	if (settings->script == NULL && settings->catalog != NULL)
		lookup->catalog = catalog_new(loop, settings->catalog, service, settings->max_age, settings->owners,
		    callbacks->catalog, arg);
	return lookup;
}

void
lookup_set(struct lookup *lookup, const struct lookup_settings *settings)
{
	lookup->settings = lookup->script.settings = settings;
	if (lookup->run != NULL && lookup->run->since == 0)
		lookup_ask_script(lookup->run);
	lookup_schedule(lookup);
}

void
lookup_free(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	loop_timer_stop(&lookup->refresh);
	lookup_abandon(lookup->run);
	lookup_abandon(lookup->telling);
	catalog_free(lookup->catalog);
	script_watch_free(lookup->watch);
	mem_free(lookup->service);
	mem_free(lookup->description);
	mem_free(lookup);
}

int64_t
lookup_running_since(const struct lookup *lookup)
{
	return lookup->run != NULL ? lookup->run->since : 0;
}

const struct catalog *
lookup_catalog(const struct lookup *lookup)
{
	return lookup->catalog;
}

const char *
lookup_describe(const struct lookup *lookup)
{
	return lookup->description;
}
