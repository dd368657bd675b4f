/* What the tests of holdfastctl share: services, as a status tells of them. */
#ifndef TESTS_UNIT_STATUS_STAGE_H
#define TESTS_UNIT_STATUS_STAGE_H

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"

#define WALL INT64_C(1764115200000000) /* 2025-11-26T00:00:00Z */

/* So many seconds before WALL; in one of a few buffers. */
static inline const char *
ago(int seconds)
{
	static char texts[4][CLOCK_TEXT_SIZE];
	static unsigned next;
	char *text = texts[next++ % 4];

	clock_format(WALL - seconds * CLOCK_SECOND, text);
	return text;
}

static inline json_t *
service(const char *name, const char *state, bool up, int since)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:s, s:i, s:i, s:i, s:s}", "service", name, "mode",
	    "session", "state", state, "up", up, "clients", 0, "held", 0, "since", ago(since),
	    "bytes_from_clients", 0, "bytes_to_clients", 0, "clients_total", 0, "address", "10.0.0.5:6379");
}

static inline json_t *
with(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
	return object;
}

static inline json_t *
down(const char *name, int since, const char *error)
{
	json_t *object = with(service(name, "waiting", false, since), "last_error", json_string(error));

	return with(object, "last_error_at", json_string(ago(1)));
}

#endif
