#include "control/stats.h"

#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"

/* Nothing of that stays which JSON lets through and a terminal obeys. */
static json_t *
stats_escaped(const char *text, unsigned how)
{
	json_t *result;
	char *escaped;

	if (text == NULL)
		return json_null();
	escaped = escape_text(text, how);
	result = json_string(escaped);
	mem_free(escaped);
	return result;
}

json_t *
stats_text(const char *text)
{
	return stats_escaped(text, 0);
}

json_t *
stats_lines(const char *text)
{
	return stats_escaped(text, ESCAPE_LINES);
}

json_t *
stats_text_or_null(const char *text)
{
	return stats_text(text == NULL || text[0] == '\0' ? NULL : text);
}

json_t *
stats_span(int64_t span)
{
	return json_real((double)((span + 500) / 1000) / 1e3);
}

json_t *
stats_time(int64_t wall)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall == 0)
		return json_null();
	clock_format(wall, text);
	return json_string(text);
}

json_t *
stats_between(int64_t from, int64_t to)
{
	if (from == 0 || to == 0 || to == CLOCK_NEVER)
		return json_null();
	return stats_span(to > from ? to - from : 0);
}

bool
stats_is_end(const struct stats_row *row)
{
	return row->key == NULL && row->metric == NULL;
}

const void *
stats_place(const struct stats_row *row, const struct stats_object *object)
{
	return (const char *)object->part[row->part] + row->offset;
}

static uint64_t
stats_number(const struct stats_row *row, const struct stats_object *object)
{
	const void *place = stats_place(row, object);
	uint64_t wide = 0;
	uint32_t narrow;

	if (row->size == sizeof narrow) {
		memcpy(&narrow, place, sizeof narrow);
		return narrow;
	}
	if (row->size == sizeof(bool))
		return *(const unsigned char *)place;
	memcpy(&wide, place, sizeof wide);
	return wide;
}

static const char *
stats_chars(const struct stats_row *row, const struct stats_object *object)
{
	const void *place = stats_place(row, object);

	return row->kind == STATS_CHARS ? place : *(const char *const *)place;
}

static json_t *
stats_value(const struct stats_row *row, const struct stats_object *object)
{
	int64_t number;

	if (row->kind == STATS_MADE)
		return row->make(object);
	if (row->kind == STATS_TEXT || row->kind == STATS_CHARS)
		return stats_text_or_null(stats_chars(row, object));
	number = (int64_t)stats_number(row, object);
	switch (row->kind) {
	case STATS_FLAG: return json_boolean(number != 0);
	case STATS_SPAN: return number < 0 ? json_null() : stats_span(number);
	case STATS_UNTIL: return stats_between(clock_now(), number);
	case STATS_SINCE: return stats_between(number, clock_now());
	case STATS_POINT: return stats_time(number == 0 ? 0 : clock_wall() - (clock_now() - number));
	case STATS_TIME:
	case STATS_AGE: return stats_time(number);
	default: return json_integer(number);
	}
}

/* Puts a value (its reference is taken) in its place. */
static void
stats_set(json_t *json, const char *key, json_t *value)
{
	const char *dot = strchr(key, '.');
	char group[32];
	json_t *inner;

	if (dot == NULL) {
		json_object_set_new(json, key, value);
		return;
	}
	memcpy(group, key, (size_t)(dot - key));
	group[dot - key] = '\0';
	inner = json_object_get(json, group);
	if (inner == NULL)
		json_object_set_new(json, group, inner = json_object());
	json_object_set_new(inner, dot + 1, value);
}

json_t *
stats_json(const struct stats_row *rows, const struct stats_object *object)
{
	json_t *json = json_object();

	for (; !stats_is_end(rows); rows++)
		if (rows->key != NULL && (rows->sorts == 0 || (rows->sorts & object->sort) != 0))
			stats_set(json, rows->key, stats_value(rows, object));
	return json;
}

bool
stats_is_time(const struct stats_row *row)
{
	return row->unit != NULL && strcmp(row->unit, "seconds") == 0;
}

uint64_t
stats_metric(const struct stats_row *row, const struct stats_object *object)
{
	uint64_t number;
	int64_t age;

	if (row->kind == STATS_TEXT || row->kind == STATS_CHARS)
		return stats_chars(row, object) == NULL || stats_chars(row, object)[0] == '\0';
	number = stats_number(row, object);
	age = row->kind == STATS_AGE && number != 0 ? clock_wall() - (int64_t)number : 0;
	switch (row->kind) {
	case STATS_FLAG: return number != 0;
	case STATS_AGE: return age > 0 ? (uint64_t)age : 0; /* the wall clock may have been set back */
	default: return number;
	}
}
