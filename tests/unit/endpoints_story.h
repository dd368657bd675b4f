/* endpoints_story.h - how the tests of upstream/endpoints and race tell their stories.
 *
 * Endpoints are letters, "ab" is a lookup that lists a, then b; times are milliseconds.  Rolls are DELAY_EXACT
 * unless a test is about chance.
 */
#ifndef TESTS_UNIT_ENDPOINTS_STORY_H
#define TESTS_UNIT_ENDPOINTS_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "upstream/race.h"

/* Rows name what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define MS    CLOCK_MILLISECOND
#define NEVER (-1)

static const struct endpoints_settings usual = {
	.stagger = 250 * MS, .retry = { 10 * CLOCK_SECOND, 0.3, 1, 60 * CLOCK_SECOND },
	.on_withdrawn = ENDPOINTS_ON_DRAIN,
};

static inline void
address_of(char letter, struct address *ret_address)
{
	char text[32];

	snprintf(text, sizeof text, "10.0.0.%u:5432", (unsigned)(unsigned char)letter);
	assert_null(address_parse(text, ret_address));
}

/* Which number the letter's endpoint has, 0 none. */
static inline uint16_t
number_of(const struct endpoints *e, char letter)
{
	struct address wanted, address;

	address_of(letter, &wanted);
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++) {
		if (e->list[i].number == 0)
			continue;
		endpoint_address(&e->list[i], &address);
		if (address_equal(&wanted, &address))
			return e->list[i].number;
	}
	return 0;
}

static inline const struct endpoint *
endpoint_of(const struct endpoints *e, char letter)
{
	const struct endpoint *endpoint = endpoints_find(e, number_of(e, letter));

	assert_non_null(endpoint);
	return endpoint;
}

static inline uint64_t
bit_of(const struct endpoints *e, char letter)
{
	assert_int_not_equal(number_of(e, letter), 0);
	return ENDPOINTS_BIT(number_of(e, letter));
}

/* The letter of a number; '-' for 0. */
static inline char
letter_of(const struct endpoints *e, uint16_t number)
{
	struct address address;
	char text[ADDRESS_TEXT_SIZE];
	unsigned letter;

	if (number == 0)
		return '-';
	assert_non_null(endpoints_find(e, number));
	endpoint_address(endpoints_find(e, number), &address);
	address_format(&address, text);
	assert_int_equal(sscanf(text, "10.0.0.%u:", &letter), 1);
	return (char)letter;
}

/* All of priority 0, and of the weights, if there are any, else of weight 1. */
static inline struct endpoints_changes
list_weights(struct endpoints *e, const char *letters, const uint16_t *weights, int64_t ms)
{
	struct endpoint_listed listed[ENDPOINTS_MAX + 8];
	size_t count = strlen(letters);

	assert_true(count <= sizeof listed / sizeof *listed);
	for (size_t i = 0; i < count; i++) {
		listed[i] = (struct endpoint_listed){ .from = "script", .weight = weights == NULL ? 1 : weights[i],
			.order = (uint16_t)i };
		address_of(letters[i], &listed[i].address);
	}
	return endpoints_list(e, listed, count, ms * MS);
}

static inline struct endpoints_changes
list(struct endpoints *e, const char *letters, int64_t ms)
{
	return list_weights(e, letters, NULL, ms);
}

/* Letter and order in turns: "a0b1". */
static inline struct endpoints_changes
list_orders(struct endpoints *e, const char *letters, int64_t ms)
{
	struct endpoint_listed listed[ENDPOINTS_MAX];
	size_t count = strlen(letters) / 2;

	for (size_t i = 0; i < count; i++) {
		listed[i] = (struct endpoint_listed){ .weight = 1, .order = (uint16_t)(letters[2 * i + 1] - '0') };
		address_of(letters[2 * i], &listed[i].address);
	}
	return endpoints_list(e, listed, count, ms * MS);
}

/* An upper-case letter begins its priority group: "abCD" has a and b at 0, c at 1, d at 2. */
static inline void
list_priorities(struct endpoints *e, const char *letters, int64_t ms)
{
	struct endpoint_listed listed[ENDPOINTS_MAX];
	uint16_t priority = 0;
	size_t count = strlen(letters);

	for (size_t i = 0; i < count; i++) {
		priority = (uint16_t)(priority + (letters[i] < 'a'));
		listed[i] = (struct endpoint_listed){ .priority = priority, .weight = 1, .order = (uint16_t)i };
		address_of((char)(letters[i] | 0x20), &listed[i].address);
	}
	endpoints_list(e, listed, count, ms * MS);
}

/* Connections are the table's to count. */
static inline void
count_open(struct endpoints *e, char letter, int change)
{
	e->list[number_of(e, letter) % ENDPOINTS_MAX].open += (uint32_t)change;
}

static inline unsigned
tell(struct endpoints *e, const struct endpoints_settings *s, enum endpoints_event event, char letter, int64_t ms,
    int64_t began_ms)
{
	struct endpoints_input in = { .event = event, .number = number_of(e, letter), .now = ms * MS,
		.began = began_ms * MS, .error = "Connection refused", .roll = DELAY_EXACT };

	if (event == ENDPOINTS_CONNECTED || event == ENDPOINTS_ENDED)
		count_open(e, letter, event == ENDPOINTS_CONNECTED ? 1 : -1);
	return endpoints_tell(e, s, &in);
}

/* A dial with its end. */
static inline unsigned
dial(struct endpoints *e, const struct endpoints_settings *s, enum endpoints_event end, char letter, int64_t began_ms,
    int64_t ms)
{
	tell(e, s, ENDPOINTS_BEGAN, letter, began_ms, began_ms);
	return tell(e, s, end, letter, ms, began_ms);
}

static inline char
choose(struct endpoints *e, const struct endpoints_settings *s, const char *without)
{
	uint64_t bits = 0;

	for (; *without != '\0'; without++)
		bits |= bit_of(e, *without);
	return letter_of(e, race_choose(e, s, bits, DELAY_EXACT));
}

static inline char
due(const struct endpoints *e, const struct endpoints_settings *s, int64_t ms)
{
	uint16_t number = 0;

	return endpoints_due(e, s, &number) <= ms * MS ? letter_of(e, number) : '-';
}

static inline void
expect_deadline(const struct endpoints *e, const struct endpoints_settings *s, int64_t ms)
{
	uint16_t number;
	int64_t deadline = endpoints_due(e, s, &number);

	for (uint32_t i = 0; i < e->high; i++) {
		int64_t at = e->list[i].open == 0 ? CLOCK_NEVER : endpoints_leaves_at(e, s, e->list[i].number, 0);

		deadline = at < deadline ? at : deadline;
	}
	assert_int_equal(deadline, ms == NEVER ? CLOCK_NEVER : ms * MS);
}

#endif
