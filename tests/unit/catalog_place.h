/* catalog_place.h - a catalog on the stage, for test_catalog.c and test_catalog_changes.c. */
#ifndef TESTS_UNIT_CATALOG_PLACE_H
#define TESTS_UNIT_CATALOG_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stage.h"
#include "upstream/catalog.h"

struct listener {
	bool told;
	unsigned calls, passed_over;
};

static void
on_catalog(void *arg, unsigned differs)
{
	struct listener *listener = arg;

	listener->told = true;
	listener->calls += (differs & CATALOG_CHANGED) != 0;
	listener->passed_over += (differs & CATALOG_PASSES) != 0;
}

/* What is passed over, "NAME: CAUSE" each; valid until the next call. */
static inline const char *
list_passed_over(const struct catalog *catalog)
{
	static char text[CATALOG_PASSED * (ENDPOINT_FROM_SIZE + CATALOG_CAUSE_SIZE + 4)];
	const struct catalog_passed *passed;
	size_t count, more, length = 0;

	text[0] = '\0';
	passed = catalog_passed_over(catalog, &count, &more);
	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, "%s%s: %s", i > 0 ? "; " : "",
		    passed[i].name, passed[i].cause);
	if (more > 0)
		snprintf(text + length, sizeof text - length, "; %zu more", more);
	return text;
}

/* The list, or "error: ..."; valid until the next call. */
static const char *
list(struct catalog *catalog)
{
	static char text[8000];
	const struct endpoint_listed *entries;
	char one[ADDRESS_TEXT_SIZE], *error;
	bool folder;
	size_t count;

	text[0] = '\0';
	error = catalog_read(catalog, &entries, &count, &folder);
	if (error != NULL) {
		const char *said = strstr(error, stage_folder) != NULL ? strstr(error, stage_folder) +
		    strlen(stage_folder) : error;

		snprintf(text, sizeof text, "error: %s", said);
		mem_free(error);
		return text;
	}
	for (size_t i = 0; i < count; i++) {
		address_format(&entries[i].address, one);
		strcat(text, i > 0 ? " " : "");
		strcat(text, one);
	}
	return text;
}

/* A fresh catalog folder "c" with the service's folder in it. */
static void
clear(void)
{
	char command[200];

	snprintf(command, sizeof command, "rm -rf %s", stage_path("c"));
	assert_int_equal(system(command), 0);
	assert_int_equal(mkdir(stage_path("c"), 0755), 0);
	assert_int_equal(mkdir(stage_path("c/cache"), 0755), 0);
}

static struct catalog *
open_catalog(int64_t max_age, struct listener *listener)
{
	if (listener != NULL)
		memset(listener, 0, sizeof *listener);
	return catalog_new(stage_loop, stage_path("c"), "cache", max_age, NULL,
	    listener != NULL ? on_catalog : NULL, listener);
}

static inline void
set_age(const char *name, int64_t seconds)
{
	time_t then = (time_t)(clock_wall() / CLOCK_SECOND - seconds);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = then } };

	assert_int_equal(utimensat(AT_FDCWD, stage_path(name), times, 0), 0);
}

#endif
