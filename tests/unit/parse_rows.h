/* parse_rows.h - streams, what a parser makes of them, and that any split of them gives the same. */
#ifndef HOLDFAST_TESTS_PARSE_ROWS_H
#define HOLDFAST_TESTS_PARSE_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "framing/framing.h"

struct parse_row {
	const char *bytes;
	size_t length;
	size_t max;
	enum framing_result result;
	size_t whole; /* of FRAMING_WHOLE */
};

/* Rows of the four results; a literal may have NULs in it. */
#define WHOLE(TEXT, MAX, LENGTH) { TEXT, sizeof TEXT - 1, MAX, FRAMING_WHOLE, LENGTH }
#define ALL(TEXT, MAX)           { TEXT, sizeof TEXT - 1, MAX, FRAMING_WHOLE, sizeof TEXT - 1 }
#define MORE(TEXT, MAX)          { TEXT, sizeof TEXT - 1, MAX, FRAMING_MORE, 0 }
#define MALFORMED(TEXT, MAX)     { TEXT, sizeof TEXT - 1, MAX, FRAMING_MALFORMED, 0 }
#define TOO_LONG(TEXT, MAX)      { TEXT, sizeof TEXT - 1, MAX, FRAMING_TOO_LONG, 0 }

/* The bytes stand at the end of memory of their own, so that a sanitizer sees a look beyond them. */
static inline enum framing_result
parse_prefix(framing_parser *parser, struct framing_progress *progress, const struct parse_row *row, size_t length,
    size_t *ret_whole)
{
	unsigned char *bytes = malloc(length > 0 ? length : 1);
	enum framing_result result;

	assert_non_null(bytes);
	memcpy(bytes, row->bytes, length);
	result = parser(progress, bytes, length, row->max, ret_whole);
	free(bytes);
	assert_true(progress->expected == 0 || result != FRAMING_MORE || progress->expected <= row->max +
	    FRAMING_OVERHEAD);
	assert_true(progress->at <= length);
	return result;
}

/* Gives the parser first bytes, then step more each time. */
static inline void
parse_in_steps(framing_parser *parser, const struct parse_row *row, size_t first, size_t step)
{
	struct framing_progress progress = { 0 };
	enum framing_result result;
	size_t length = first, whole = 0;

	for (;;) {
		result = parse_prefix(parser, &progress, row, length, &whole);
		if (result != FRAMING_MORE || length == row->length)
			break;
		length = length + step < row->length ? length + step : row->length;
	}
	if (result != row->result)
		fail_msg("\"%.60s\" (max %zu), %zu and %zu bytes at a time: %d instead of %d", row->bytes, row->max,
		    first, step, result, row->result);
	if (result == FRAMING_WHOLE)
		assert_int_equal(whole, row->whole);
	else
		assert_int_equal(whole, 0);
}

static inline void
check_rows(framing_parser *parser, const struct parse_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		parse_in_steps(parser, &rows[i], rows[i].length, 1);
		parse_in_steps(parser, &rows[i], 0, 1);
		parse_in_steps(parser, &rows[i], 0, 3);
		for (size_t first = 0; first < rows[i].length; first++)
			parse_in_steps(parser, &rows[i], first, rows[i].length);
	}
}

#endif
