/* Redo: several words change as one, wherever the death strikes (X1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keep/buffers.h"
#include "keep/redo.h"
#include "keep_side.h"

#define WORDS 5

static struct table table;

static uint64_t *
words(void)
{
	return &table.services[7].counters.clients;
}

static void
prepare(void *arg)
{
	(void)arg;
	redo_replay(&table);
	for (unsigned i = 0; i < WORDS; i++)
		words()[i] = 10 + i;
}

static void
change(void *arg)
{
	struct redo redo;

	(void)arg;
	redo_begin(&redo, &table);
	for (unsigned i = 0; i < WORDS; i++)
		redo_add(&redo, &words()[i], 20 + i);
	redo_commit(&redo);
}

static unsigned kept, changed;

static void
all_or_nothing(void *arg, bool finished)
{
	bool done = table.header->redo.count != 0 || words()[0] >= 20;

	(void)arg;
	assert_true(done || !finished);
	redo_replay(&table);
	for (unsigned i = 0; i < WORDS; i++)
		assert_int_equal(words()[i], (done ? 20 : 10) + i);
	assert_int_equal(table.header->redo.count, 0);
	changed += done;
	kept += !done;
}

static void
a_death_before_any_instruction_changes_all_or_nothing(void **state)
{
	(void)state;
	if (!side_every_step(prepare, change, all_or_nothing, NULL))
		skip();
	assert_true(kept > 10 / SIDE_STRIDE);
	assert_true(changed > 10 / SIDE_STRIDE);
}

static void
a_replay_that_died_is_replayed_to_the_end(void **state)
{
	struct table_redo *record = &table.header->redo;

	(void)state;
	for (unsigned died = 0; died <= WORDS; died++) {
		prepare(NULL);
		change(NULL);
		prepare(NULL);
		record->count = WORDS; /* the entries are still there: as if committed just now */
		for (unsigned i = 0; i < died; i++)
			words()[i] = 20 + i;
		redo_replay(&table);
		for (unsigned i = 0; i < WORDS; i++)
			assert_int_equal(words()[i], 20 + i);
	}
}

static void
entries_without_a_count_are_nothing(void **state)
{
	struct redo redo;

	(void)state;
	prepare(NULL);
	redo_begin(&redo, &table);
	redo_add(&redo, &words()[0], 99);
	redo_replay(&table);
	assert_int_equal(words()[0], 10);
}

static void
as_many_words_as_there_is_room_for(void **state)
{
	uint64_t *word = (uint64_t *)(void *)buffers_bytes(&table, 1);
	struct redo redo;

	(void)state;
	redo_begin(&redo, &table);
	for (uint64_t i = 0; i < TABLE_REDO; i++)
		redo_add(&redo, &word[i], i + 1);
	redo_commit(&redo);
	for (uint64_t i = 0; i < TABLE_REDO; i++)
		assert_int_equal(word[i], i + 1);
}

static int
set_up(void **state)
{
	(void)state;
	return table_new(10, &table);
}

static int
tear_down(void **state)
{
	(void)state;
	table_free(&table);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_before_any_instruction_changes_all_or_nothing),
		cmocka_unit_test(a_replay_that_died_is_replayed_to_the_end),
		cmocka_unit_test(entries_without_a_count_are_nothing),
		cmocka_unit_test(as_many_words_as_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
