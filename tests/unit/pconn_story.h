/* pconn_story.h - how the tests of upstream/pconn tell their stories.
 *
 * A row is { milliseconds, event -> to do, state, deadline in milliseconds }; NO is no deadline.  Rolls are
 * DELAY_EXACT unless a test is about chance.
 */
#ifndef TESTS_UNIT_PCONN_STORY_H
#define TESTS_UNIT_PCONN_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "upstream/pconn.h"
#include "upstream/repeats.h"

/* Rows name what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define NO  (-1)
#define MS  CLOCK_MILLISECOND
#define REPORT (PCONN_DO_REPORT | PCONN_DO_HANDLE)
#define LOOKUP PCONN_DO_LOOKUP
#define DIAL PCONN_DO_DIAL
#define GO PCONN_DO_GO
#define STOP PCONN_DO_STOP
#define FILL PCONN_DO_FILL
#define DROP PCONN_DO_DROP
#define YES PCONN_DO_ANSWER_CONNECTED
#define BAD PCONN_DO_ANSWER_FAILED
#define SHUT PCONN_DO_ANSWER_CLOSED
#define FINISHED PCONN_DO_FINISHED
#define FAIL PCONN_DO_FAIL
#define GIVE_UP PCONN_DO_GIVE_UP

struct row {
	int64_t ms;
	enum pconn_event event;
	unsigned todo;
	enum pconn_state state;
	int64_t deadline_ms;
	unsigned held, ready, dialling;
	bool elsewhere, fresh, further, same;
	int64_t age_ms;
	uint32_t roll; /* 0 is DELAY_EXACT */
	bool paused, in_use, failing;
};

static const struct pconn_settings usual = {
	.retry = { 10 * CLOCK_SECOND, 0.3, 1, 60 * CLOCK_SECOND }, .spread = CLOCK_SECOND,
	.hold_retry = CLOCK_SECOND / 4, .warm = 1,
};

static unsigned
step_row(struct pconn *p, const struct pconn_settings *s, const struct row *row)
{
	struct pconn_input in = { .event = row->event, .now = row->ms * MS,
		.roll = row->roll == 0 ? DELAY_EXACT : row->roll, .held = row->held, .ready = row->ready,
		.dialling = row->dialling, .elsewhere = row->elsewhere, .fresh = row->fresh,
		.further = row->further, .same = row->same, .age = row->age_ms * MS, .paused = row->paused,
		.in_use = row->in_use, .failing = row->failing };

	return pconn_step(p, s, &in);
}

/* Plays the rows and compares; the state afterwards is in *p. */
static void
play(struct pconn *p, const struct pconn_settings *s, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		unsigned todo = step_row(p, s, row);
		int64_t deadline = row->deadline_ms == NO ? CLOCK_NEVER : row->deadline_ms * MS;

		if (todo != row->todo || p->state != row->state || p->deadline != deadline)
			fail_msg("row %zu (event %d at %lld ms): to do %#x instead of %#x, state %d instead of %d, "
			    "deadline %lld us instead of %lld", i, row->event, (long long)row->ms, todo, row->todo,
			    p->state, row->state, (long long)p->deadline, (long long)deadline);
	}
}

#define PLAY(p, s, ...) \
	do { \
		static const struct row rows_[] = { __VA_ARGS__ }; \
		play((p), (s), rows_, sizeof rows_ / sizeof *rows_); \
	} while (0)

/* From nothing to the dial, or to the connection, everything at 0 ms. */
#define TO_LOOKUP \
	{ 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO }, { 0, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO }
#define TO_OBTAINED \
	TO_LOOKUP, { 0, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, \
	{ 0, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true }
#define TO_DIAL TO_OBTAINED, { 0, PCONN_HANDLED, GO, PCONN_DIAL, NO }
#define TO_HANDLING TO_DIAL, { 0, PCONN_DIALED, REPORT | YES, PCONN_CONNECTED, NO, .ready = 1 }
#define TO_CONNECTED TO_HANDLING, { 0, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1 }
/* ... and to the first wait, its delay ending at 10000 ms. */
#define TO_WAIT \
	TO_DIAL, { 0, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO }, \
	{ 0, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }

#endif
