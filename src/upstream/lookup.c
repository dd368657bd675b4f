#include "upstream/lookup.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/secret.h"
#include "upstream/catalog.h"
#include "upstream/delay.h"
#include "upstream/resolver.h"
#include "upstream/script.h"

#define LOOKUP_REFRESH_JITTER 0.3

struct lookup_waiter {
	LIST_ENTRY(lookup_waiter) next;
	struct lookup *lookup;       /* borrowed; NULL once that is freed */
	lookup_callback *callback;
	void *arg;                   /* borrowed */
	struct loop_timer orphan;    /* tells the waiter that the look-up was freed */
};
LIST_HEAD(lookup_waiters, lookup_waiter);

/* One entry that the source gave, and what became of it. */
struct lookup_lead {
	struct lookup_run *run;      /* borrowed */
	struct entry entry;
	struct resolver *resolver;   /* owned; NULL when it is not being resolved (any more) */
	struct address *found;       /* owned; of a host name */
	size_t found_count;
};

/* One look-up under way. */
struct lookup_run {
	struct lookup *lookup;       /* borrowed */
	int64_t since;
	uint32_t roll;
	bool random;                 /* this source means no order */
	bool counts;                 /* somebody's question does */
	struct loop_timer pace;      /* until the script may be run (min_interval) */
	unsigned failures;           /* for the script, */
	char last_address[ADDRESS_TEXT_SIZE]; /* too */
	struct script *script;       /* owned; NULL when it has ended */
	struct lookup_lead leads[LOOKUP_ENDPOINTS];
	size_t lead_count, resolving;
	int64_t good_for;
	char *error, *abort_reason;  /* owned */
	char *incomplete;            /* owned: the error of a name, though others gave something */
	char *output, *errors;       /* owned */
	struct lookup_waiters told;  /* those who are told the end, while they are */
	struct loop_timer report;    /* the end, through the loop */
};

struct lookup {
	struct event_base *loop;     /* borrowed */
	char *service, *description; /* owned */
	const struct lookup_settings *settings; /* borrowed */
	volatile pid_t *ret_group;   /* borrowed; may be NULL */
	struct catalog *catalog;     /* owned; NULL for other sources */
	struct lookup_waiters waiters;
	struct lookup_waiters *telling; /* borrowed: those who are just being told; NULL if nobody is */
	struct lookup_run *run;      /* owned; NULL when none is under way */
	struct lookup_record *record; /* borrowed, or own */
	struct lookup_record own;
	const struct lookup_callbacks *callbacks; /* borrowed; NULL none */
	void *arg;                   /* borrowed */
	bool refreshing;
	struct lookup_waiter *refresher; /* owned; NULL: no refresh is under way */
	int64_t wanted_at;           /* a refresh is, not later than this; CLOCK_NEVER */
	struct loop_timer refresh;   /* until it is */
	struct lookup_endpoint *last; /* owned; the last success, for keep_last */
	size_t last_count;
};

static void
lookup_run_free(struct lookup_run *run)
{
	if (run == NULL)
		return;
	script_cancel(run->script);
	loop_timer_stop(&run->pace);
	for (size_t i = 0; i < run->lead_count; i++) {
		resolver_cancel(run->leads[i].resolver);
		mem_free(run->leads[i].found);
	}
	loop_timer_stop(&run->report);
	mem_free(run->error);
	mem_free(run->abort_reason);
	mem_free(run->incomplete);
	mem_free(run->output);
	mem_free(run->errors);
	mem_free(run);
}

static void
lookup_add(const struct lookup_lead *lead, const struct address *address, struct lookup_endpoint *endpoints,
    size_t *count)
{
	struct lookup_endpoint *endpoint = &endpoints[*count];

	for (size_t i = 0; i < *count; i++)
		if (address_equal(&endpoints[i].address, address))
			return;
	if (*count == LOOKUP_ENDPOINTS)
		return;
	++*count;
	*endpoint = (struct lookup_endpoint){ .address = *address, .priority = lead->entry.priority,
		.weight = lead->entry.weight, .source = (uint16_t)(lead - lead->run->leads) };
	snprintf(endpoint->from, sizeof endpoint->from, "%.63s", lead->entry.address.kind == ADDRESS_HOST ?
	    lead->entry.address.host : lead->entry.from);
}

/* All that the leads led to, each once, in the source's order. */
static size_t
lookup_collect(const struct lookup_run *run, struct lookup_endpoint *endpoints)
{
	size_t count = 0;

	for (size_t i = 0; i < run->lead_count; i++) {
		if (run->leads[i].entry.address.kind == ADDRESS_SOCKET)
			lookup_add(&run->leads[i], &run->leads[i].entry.address, endpoints, &count);
		for (size_t k = 0; k < run->leads[i].found_count; k++)
			lookup_add(&run->leads[i], &run->leads[i].found[k], endpoints, &count);
	}
	return count;
}

void
lookup_keep(struct lookup *lookup, const struct lookup_endpoint *endpoints, size_t count)
{
	lookup->last = mem_resize(lookup->last, count, sizeof *endpoints);
	memcpy(lookup->last, endpoints, count * sizeof *endpoints);
	lookup->last_count = count;
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

	if (!lookup->refreshing || lookup->refresher != NULL) {
		loop_timer_stop(&lookup->refresh);
		return;
	}
	due = lookup_due(lookup->record, lookup->settings);
	loop_timer_at(&lookup->refresh, due < lookup->wanted_at ? due : lookup->wanted_at);
}

/* For the next refresh.  What failed says nothing of names. */
static void
lookup_note(const struct lookup_run *run)
{
	struct lookup_record *record = run->lookup->record;
	bool names = false;

	if (!run->counts)
		return;
	for (size_t i = 0; i < run->lead_count; i++)
		names = names || run->leads[i].entry.address.kind == ADDRESS_HOST;
	if (run->error == NULL || names)
		record->names = names;
	if (run->error == NULL)
		record->good_for = run->good_for == CLOCK_NEVER ? 0 :
		    run->good_for < CLOCK_SECOND ? CLOCK_SECOND : run->good_for;
	record->roll = run->roll;
	record->ended_at = clock_now();
	lookup_schedule(run->lookup);
}

/* Tells all who waited.  Each may leave, ask anew, or free the look-up while it is told; the run outlives it. */
static void
lookup_tell(struct lookup_run *run, const struct lookup_result *result)
{
	struct lookup *lookup = run->lookup;
	struct lookup_waiter *waiter;

	while ((waiter = LIST_FIRST(&lookup->waiters)) != NULL) {
		LIST_REMOVE(waiter, next);
		LIST_INSERT_HEAD(&run->told, waiter, next);
	}
	lookup->telling = &run->told;
	while ((waiter = LIST_FIRST(&run->told)) != NULL) {
		lookup_callback *callback = waiter->callback;
		void *arg = waiter->arg;

		LIST_REMOVE(waiter, next);
		if (LIST_EMPTY(&run->told))
			lookup->telling = NULL;
		mem_free(waiter);
		callback(arg, result);
	}
}

static void
lookup_run_end(struct lookup_run *run)
{
	struct lookup *lookup = run->lookup;
	struct lookup_endpoint *endpoints = mem_new(LOOKUP_ENDPOINTS, sizeof *endpoints);
	struct lookup_result result = { .error = run->error, .abort_reason = run->abort_reason,
		.endpoints = endpoints, .random = run->random, .good_for = run->good_for,
		.incomplete = run->incomplete,
		.took = clock_now() - run->since, .output = run->output != NULL ? run->output : "",
		.errors = run->errors != NULL ? run->errors : "" };

	lookup->run = NULL;
	if (run->abort_reason == NULL && run->error == NULL) {
		result.endpoint_count = lookup_collect(run, endpoints);
		lookup_keep(lookup, endpoints, result.endpoint_count);
	} else if (run->error != NULL && lookup->settings->keep_last && lookup->last_count > 0) {
		result.kept_error = run->error;
		result.error = NULL;
		result.endpoint_count = lookup->last_count;
		memcpy(endpoints, lookup->last, lookup->last_count * sizeof *endpoints);
	}
	lookup_note(run);
	lookup_tell(run, &result);
	mem_free(endpoints);
	lookup_run_free(run);
}

static void
lookup_on_report(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	lookup_run_end(arg);
}

/* All names are done: an error only if nothing was found at all. */
static void
lookup_resolved(struct lookup_run *run)
{
	bool any = false;

	for (size_t i = 0; i < run->lead_count; i++)
		any = any || run->leads[i].entry.address.kind == ADDRESS_SOCKET || run->leads[i].found_count > 0;
	if (any) {
		run->incomplete = run->error;
		run->error = NULL;
	}
	loop_timer_soon(&run->report);
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
	} else if (run->error == NULL) {
		run->error = mem_copy_text(result->error);
	}
	if (--run->resolving == 0)
		lookup_resolved(run);
}

/* The source has answered, well or not: resolves the host names among it, or reports at once. */
static void
lookup_follow(struct lookup_run *run)
{
	struct lookup *lookup = run->lookup;

	for (size_t i = 0; run->error == NULL && i < run->lead_count; i++) {
		struct lookup_lead *lead = &run->leads[i];

		if (lead->entry.address.kind == ADDRESS_SOCKET)
			continue;
		run->resolving++;
		lead->resolver = resolver_start(lookup->loop, &lead->entry.address, lookup->settings->timeout,
		    lookup_on_resolved, lead);
	}
	if (run->resolving == 0)
		loop_timer_soon(&run->report);
}

static void
lookup_add_lead(struct lookup_run *run, const struct entry *entry)
{
	struct lookup_lead *lead = &run->leads[run->lead_count];

	if (run->lead_count == LOOKUP_ENDPOINTS)
		return;
	run->lead_count++;
	lead->run = run;
	lead->entry = *entry;
}

static void
lookup_ask_fixed(struct lookup_run *run)
{
	char *const *texts = run->lookup->settings->addresses;
	struct entry entry = { .weight = 1 };
	const char *error;

	for (size_t i = 0; run->error == NULL && texts != NULL && texts[i] != NULL; i++) {
		error = address_parse(texts[i], &entry.address);
		if (error == NULL)
			lookup_add_lead(run, &entry);
		else
			run->error = mem_print("address %s: %s", texts[i], error);
	}
	if (run->error == NULL && run->lead_count == 0)
		run->error = mem_copy_text("no address");
	lookup_follow(run);
}

static void
lookup_ask_catalog(struct lookup_run *run)
{
	struct entry *entries = mem_new(CATALOG_ADDRESSES, sizeof *entries);
	size_t count = 0;

	run->error = catalog_read(run->lookup->catalog, entries, &count, &run->random);
	for (size_t i = 0; i < count; i++)
		lookup_add_lead(run, &entries[i]);
	mem_free(entries);
	lookup_follow(run);
}

/* A script may say what it was given. */
static void
lookup_mask(const struct lookup_settings *settings, char *text)
{
	secret_mask(text, settings->arguments, settings->secrets);
	secret_mask(text, settings->environment, settings->secrets);
}

static void
lookup_on_script(void *arg, const struct script_result *result)
{
	struct lookup_run *run = arg;

	run->script = NULL;
	run->error = mem_copy_text(result->error);
	run->abort_reason = mem_copy_text(result->abort_reason);
	run->output = mem_copy_text(result->output);
	run->errors = mem_copy_text(result->errors);
	lookup_mask(run->lookup->settings, run->error);
	lookup_mask(run->lookup->settings, run->abort_reason);
	lookup_mask(run->lookup->settings, run->output);
	lookup_mask(run->lookup->settings, run->errors);
	for (size_t i = 0; result->error == NULL && i < result->count; i++)
		lookup_add_lead(run, &result->entries[i]);
	lookup_follow(run);
}

static void
lookup_start_script(struct lookup_run *run)
{
	struct lookup *lookup = run->lookup;
	struct script_job job = { .program = lookup->settings->script, .arguments = lookup->settings->arguments,
		.environment = lookup->settings->environment, .service = lookup->service,
		.failures = run->failures, .last_address = run->last_address,
		.timeout = lookup->settings->timeout };

	run->since = lookup->record->script_at = clock_now();
	run->script = script_start(lookup->loop, &job, lookup->ret_group, lookup_on_script, run);
}

static void
lookup_on_pace(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	lookup_start_script(arg);
}

/* At once, unless it was started just before. */
static void
lookup_ask_script(struct lookup_run *run, const struct lookup_question *question)
{
	const struct lookup *lookup = run->lookup;
	int64_t at = lookup->record->script_at + lookup->settings->min_interval;

	run->failures = question->failures;
	snprintf(run->last_address, sizeof run->last_address, "%s", question->last_address);
	if (lookup->record->script_at != 0 && clock_now() < at)
		loop_timer_at(&run->pace, at);
	else
		lookup_start_script(run);
}

static void
lookup_run_start(struct lookup *lookup, const struct lookup_question *question)
{
	struct lookup_run *run = mem_new(1, sizeof *run);

	LIST_INIT(&run->told);
	run->lookup = lookup;
	run->since = clock_now();
	run->roll = question->roll;
	run->good_for = CLOCK_NEVER;
	loop_timer_init(&run->report, lookup->loop, lookup_on_report, run);
	loop_timer_init(&run->pace, lookup->loop, lookup_on_pace, run);
	lookup->run = run;
	if (lookup->settings->script != NULL)
		lookup_ask_script(run, question);
	else if (lookup->catalog != NULL)
		lookup_ask_catalog(run);
	else
		lookup_ask_fixed(run);
}

struct lookup_waiter *
lookup_ask(struct lookup *lookup, const struct lookup_question *question, lookup_callback *callback, void *arg)
{
	struct lookup_waiter *waiter = mem_new(1, sizeof *waiter);

	waiter->lookup = lookup;
	waiter->callback = callback;
	waiter->arg = arg;
	LIST_INSERT_HEAD(&lookup->waiters, waiter, next);
	if (lookup->run == NULL)
		lookup_run_start(lookup, question);
	lookup->run->counts = lookup->run->counts || question->counts;
	return waiter;
}

void
lookup_leave(struct lookup_waiter *waiter)
{
	struct lookup *lookup;

	if (waiter == NULL)
		return;
	lookup = waiter->lookup;
	if (lookup == NULL) {
		loop_timer_stop(&waiter->orphan);
		mem_free(waiter);
		return;
	}
	LIST_REMOVE(waiter, next);
	mem_free(waiter);
	if (lookup->telling != NULL && LIST_EMPTY(lookup->telling))
		lookup->telling = NULL;
	if (lookup->run != NULL && LIST_EMPTY(&lookup->waiters)) {
		lookup_run_free(lookup->run);
		lookup->run = NULL;
	}
}

static void
lookup_on_orphan(evutil_socket_t fd, short what, void *arg)
{
	static const struct lookup_result gone = { .error = "the service was changed or removed meanwhile",
		.output = "", .errors = "" };
	struct lookup_waiter *waiter = arg;
	lookup_callback *callback = waiter->callback;

	(void)fd;
	(void)what;
	arg = waiter->arg;
	mem_free(waiter);
	callback(arg, &gone);
}

static void
lookup_orphan(struct lookup *lookup, struct lookup_waiters *waiters)
{
	struct lookup_waiter *waiter;

	while (waiters != NULL && (waiter = LIST_FIRST(waiters)) != NULL) {
		LIST_REMOVE(waiter, next);
		waiter->lookup = NULL;
		loop_timer_init(&waiter->orphan, lookup->loop, lookup_on_orphan, waiter);
		loop_timer_soon(&waiter->orphan);
	}
}

static void
lookup_on_refreshed(void *arg, const struct lookup_result *result)
{
	struct lookup *lookup = arg;

	lookup->refresher = NULL;
	lookup_schedule(lookup);
	lookup->callbacks->refreshed(lookup->arg, result);
}

static void
lookup_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *lookup = arg;
	struct lookup_question question = lookup->callbacks->question(lookup->arg);

	(void)fd;
	(void)what;
	question.counts = true;
	lookup->wanted_at = CLOCK_NEVER;
	lookup->refresher = lookup_ask(lookup, &question, lookup_on_refreshed, lookup);
}

void
lookup_refresh(struct lookup *lookup, bool on)
{
	if (on == lookup->refreshing)
		return;
	lookup->refreshing = on;
	if (!on) {
		lookup_leave(lookup->refresher);
		lookup->refresher = NULL;
	}
	lookup_schedule(lookup);
}

bool
lookup_is_watched(const struct lookup *lookup)
{
	return lookup->catalog != NULL;
}

void
lookup_refresh_by(struct lookup *lookup, int64_t at)
{
	if (at >= lookup->wanted_at || (lookup->settings->refresh == 0 && lookup->catalog == NULL))
		return;
	lookup->wanted_at = at;
	lookup_schedule(lookup);
}

static void
lookup_on_changed(void *arg)
{
	const struct lookup *lookup = arg;

	if (lookup->callbacks != NULL)
		lookup->callbacks->changed(lookup->arg);
}

static void
lookup_on_passed_over(void *arg)
{
	const struct lookup *lookup = arg;

	if (lookup->callbacks != NULL)
		lookup->callbacks->passed_over(lookup->arg);
}

static const struct catalog_callbacks lookup_catalog_callbacks = {
	.changed = lookup_on_changed, .passed_over = lookup_on_passed_over
};

struct lookup *
lookup_new(struct event_base *loop, const char *service, const struct lookup_settings *settings,
    volatile pid_t *ret_group, struct lookup_record *record, const struct lookup_callbacks *callbacks, void *arg)
{
	struct lookup *lookup = mem_new(1, sizeof *lookup);

	lookup->loop = loop;
	lookup->service = mem_copy_text(service);
	lookup->settings = settings;
	lookup->ret_group = ret_group;
	lookup->record = record != NULL ? record : &lookup->own;
	lookup->callbacks = callbacks;
	lookup->arg = arg;
	LIST_INIT(&lookup->waiters);
	loop_timer_init(&lookup->refresh, loop, lookup_on_due, lookup);
	lookup->wanted_at = CLOCK_NEVER;
	if (settings->script != NULL)
		lookup->description = mem_print("script %s", settings->script);
	else if (settings->catalog != NULL)
		lookup->description = mem_print("catalog %s", settings->catalog);
	else
		lookup->description = mem_print("address %s%s", mem_list_length(settings->addresses) > 0 ?
		    settings->addresses[0] : "none", mem_list_length(settings->addresses) > 1 ? " ..." : "");
	if (settings->script == NULL && settings->catalog != NULL)
		lookup->catalog = catalog_new(loop, settings->catalog, service, settings->max_age, settings->owners,
		    &lookup_catalog_callbacks, lookup);
	return lookup;
}

void
lookup_set(struct lookup *lookup, const struct lookup_settings *settings)
{
	lookup->settings = settings;
	lookup_schedule(lookup);
}

void
lookup_free(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	lookup_leave(lookup->refresher);
	loop_timer_stop(&lookup->refresh);
	lookup_run_free(lookup->run);
	lookup_orphan(lookup, &lookup->waiters);
	lookup_orphan(lookup, lookup->telling);
	catalog_free(lookup->catalog);
	mem_free(lookup->service);
	mem_free(lookup->description);
	mem_free(lookup->last);
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
