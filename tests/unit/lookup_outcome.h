/* lookup_outcome.h - what a lookup gave, for the tests of lookups. */
#ifndef TESTS_UNIT_LOOKUP_OUTCOME_H
#define TESTS_UNIT_LOOKUP_OUTCOME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stage.h"
#include "upstream/lookup.h"
#include "upstream/record.h"

struct outcome {
	bool done, random;
	unsigned calls;
	char error[600], abort_reason[200], kept[600], list[4000], whole[4000], incomplete[200];
	size_t count;
	int64_t good_for;
	struct lookup *free_this;     /* in the callback */
	struct lookup *ask_again;
	struct lookup_waiter *leave_this;
	struct outcome *next;
};

static struct upstream_record record = { .address = "10.9.9.9:9", .place = { { .pconn = { .failures = 3 } } } };

static void
ignore(void *arg, unsigned differs)
{
	(void)arg;
	(void)differs;
}

static uint32_t
always_zero(void *arg)
{
	(void)arg;
	return 0;
}

static void
on_lookup(void *arg, const struct lookup_result *result)
{
	struct outcome *outcome = arg;
	char text[ADDRESS_TEXT_SIZE];
	int at = 0;

	outcome->done = true;
	outcome->calls++;
	outcome->list[0] = outcome->whole[0] = '\0';
	outcome->good_for = result->good_for;
	snprintf(outcome->incomplete, sizeof outcome->incomplete, "%s",
	    result->incomplete != NULL ? result->incomplete : "");
	snprintf(outcome->error, sizeof outcome->error, "%s", result->error != NULL ? result->error : "");
	snprintf(outcome->kept, sizeof outcome->kept, "%s", result->kept_error != NULL ? result->kept_error : "");
	snprintf(outcome->abort_reason, sizeof outcome->abort_reason, "%s",
	    result->abort_reason != NULL ? result->abort_reason : "");
	outcome->count = result->endpoint_count;
	outcome->random = result->random;
	for (size_t i = 0; i < result->endpoint_count; i++) {
		address_format(&result->endpoints[i].address, text);
		strcat(outcome->list, i > 0 ? " " : "");
		strcat(outcome->list, text);
		at += snprintf(outcome->whole + at, sizeof outcome->whole - (size_t)at, "%s%s %u/%u %u \"%s\"",
		    i > 0 ? ", " : "", text, result->endpoints[i].priority, result->endpoints[i].weight,
		    result->endpoints[i].order, result->endpoints[i].from);
	}
	if (outcome->leave_this != NULL)
		lookup_leave(outcome->leave_this);
	if (outcome->ask_again != NULL)
		lookup_ask(outcome->ask_again, 0, on_lookup, outcome->next);
	if (outcome->free_this != NULL)
		lookup_free(outcome->free_this);
}

static void
ignore_end(void *arg, unsigned askers, const struct lookup_result *result)
{
	(void)arg;
	(void)askers;
	(void)result;
}

static const struct lookup_callbacks no_callbacks = { .catalog = ignore, .roll = always_zero, .ended = ignore_end };

static struct lookup_settings
settings_of_script(const char *path)
{
	return (struct lookup_settings){ .script = (char *)(uintptr_t)path, .timeout = 300 * CLOCK_MILLISECOND,
		.max_age = CLOCK_NEVER };
}

/* One lookup from beginning to end, which must leave nothing open, no child, no group. */
static inline void
look(const struct lookup_settings *settings, struct outcome *outcome)
{
	unsigned files = stage_count_files();
	volatile pid_t groups[4] = { 0 };
	struct lookup *lookup = lookup_new(stage_loop, "cache", settings, groups, &record, &no_callbacks, NULL);

	memset(outcome, 0, sizeof *outcome);
	lookup_ask(lookup, 0, on_lookup, outcome);
	assert_int_equal(outcome->calls, 0);
	assert_true(lookup_running_since(lookup) > 0);
	assert_true(stage_run(&outcome->done, 10 * CLOCK_SECOND));
	assert_int_equal(lookup_running_since(lookup), 0);
	lookup_free(lookup);
	assert_int_equal(groups[TABLE_GROUP_LOOKUP], 0);
	assert_int_equal(outcome->calls, 1);
	assert_int_equal(stage_count_files(), files);
	assert_true(stage_no_children());
}

/* Waits until something has been told of so often; each time it leaves done. */
static inline void
await(const unsigned *count, bool *done, unsigned wanted)
{
	while (*count < wanted) {
		*done = false;
		assert_true(stage_run(done, 5 * CLOCK_SECOND));
	}
}

/* How often a script was run that counts it in script.runs. */
static inline unsigned
runs(void)
{
	FILE *file = fopen(stage_path("script.runs"), "r");
	unsigned count = 0;

	for (int c; file != NULL && (c = getc(file)) != EOF;)
		count += c == '\n';
	if (file != NULL)
		fclose(file);
	return count;
}

static struct outcome outcome;

#endif
