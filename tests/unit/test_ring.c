/* A flow of bytes in the table: it grows without losing any, and a death at any step leaves it whole and no buffer
 * behind. */
#include "client/ring.h"
#include "recover_stage.h"

static uint32_t session;

static volatile uint32_t *
name(void)
{
	return &table.clients[session].buffer[TABLE_UP];
}

static void
begin(void)
{
	side_clear(&table);
	session = side_session(&table, side_file(), -1);
}

/* Appends a text, as who uses a flow does. */
static void
put(const char *text)
{
	size_t length = strlen(text);
	struct redo redo;

	memcpy(ring_room(&table, side_payer, name(), length), text, length);
	redo_begin(&redo, &table);
	ring_redo(&redo, &table, *name(), 0, length);
	redo_commit(&redo);
}

static void
assert_holds(const char *text)
{
	assert_int_equal(ring_length(&table, *name()), strlen(text));
	if (text[0] != '\0')
		assert_memory_equal(ring_bytes(&table, *name()), text, strlen(text));
}

/* Those that were ever used and are in neither list. */
static unsigned
count_used(void)
{
	unsigned used = 0, free = 0;

	for (uint32_t c = 0; c < TABLE_CLASSES; c++) {
		used += table.header->buffer_high[c] - table.class[c].first;
		for (uint32_t i = table.class[c].warm; i != 0; i = table.buffers[i].head)
			free++;
		for (uint32_t i = table.class[c].cold; i != 0; i = table.buffers[i].head)
			free++;
	}
	return used - free;
}

static void
an_empty_ring_needs_no_buffer(void **state)
{
	(void)state;
	begin();
	assert_int_equal(ring_length(&table, *name()), 0);
	assert_int_equal(ring_spare(&table, *name()), 0);
	assert_null(ring_bytes(&table, *name()));
	ring_release(&table, side_payer, name());
	ring_drop(&table, side_payer, name());
	assert_int_equal(count_used(), 0);
}

static void
bytes_count_when_the_redo_has_moved_the_end(void **state)
{
	unsigned char *room;

	(void)state;
	begin();
	room = ring_room(&table, side_payer, name(), 5);
	memcpy(room, "hello", 5);
	assert_int_equal(ring_length(&table, *name()), 0);
	put("hello");
	assert_holds("hello");
	assert_int_equal(ring_spare(&table, *name()), TABLE_BUFFER_SIZE - 5);
}

static void
growth_keeps_the_bytes_and_frees_the_old_buffer(void **state)
{
	uint32_t old;

	(void)state;
	begin();
	put("kept");
	for (size_t want = TABLE_BUFFER_SIZE; want < buffers_largest(); want *= 4) {
		old = *name();
		assert_non_null(ring_room(&table, side_payer, name(), want));
		assert_int_not_equal(*name(), old);
		assert_true(ring_spare(&table, *name()) >= want);
		assert_holds("kept");
		assert_int_equal(count_used(), 1);
	}
}

static void
without_room_behind_them_the_bytes_move_to_a_begin(void **state)
{
	uint32_t old;

	(void)state;
	begin();
	put("0123456789");
	ring_take(&table, *name(), 4);
	table.buffers[*name()].head = TABLE_BUFFER_SIZE - 6;
	table.buffers[*name()].tail = TABLE_BUFFER_SIZE;
	memcpy(ring_bytes(&table, *name()), "456789", 6);
	old = *name();
	assert_non_null(ring_room(&table, side_payer, name(), 1));
	assert_int_not_equal(*name(), old);
	assert_int_equal(table.buffers[*name()].head, 0);
	assert_int_equal(buffers_size(&table, *name()), TABLE_BUFFER_SIZE);
	assert_holds("456789");
}

static void
with_room_it_stays_where_it_is(void **state)
{
	uint32_t old;

	(void)state;
	begin();
	put("a");
	old = *name();
	assert_non_null(ring_room(&table, side_payer, name(), TABLE_BUFFER_SIZE - 1));
	assert_int_equal(*name(), old);
}

static void
beyond_the_largest_buffer_there_is_no_room(void **state)
{
	(void)state;
	begin();
	put("a");
	assert_null(ring_room(&table, side_payer, name(), buffers_largest()));
	assert_holds("a");
	assert_int_equal(count_used(), 1);
}

static void
without_a_free_buffer_there_is_no_room_and_the_bytes_stay(void **state)
{
	uint32_t taken[300], count = 0, largest = TABLE_CLASSES - 1;

	(void)state;
	begin();
	put("a");
	while (count < 300 && (taken[count] = buffers_claim(&table, side_payer, table_class_size(largest))) != 0)
		count++;
	assert_in_range(count, 1, 299);
	assert_null(ring_room(&table, side_payer, name(), buffers_largest() / 2));
	assert_holds("a");
	while (count > 0)
		buffers_free(&table, side_payer, taken[--count]);
}

static void
both_ends_change_by_one_word(void **state)
{
	struct redo redo;

	(void)state;
	begin();
	put("0123456789");
	memcpy(ring_room(&table, side_payer, name(), 3), "abc", 3);
	redo_begin(&redo, &table);
	ring_redo(&redo, &table, *name(), 7, 3);
	assert_int_equal(redo.count, 1);
	assert_holds("0123456789");
	redo_commit(&redo);
	assert_holds("789abc");
}

static void
a_flow_is_released_when_it_is_empty_and_dropped_in_any_case(void **state)
{
	(void)state;
	begin();
	put("ab");
	ring_take(&table, *name(), 1);
	ring_release(&table, side_payer, name());
	assert_holds("b");
	ring_take(&table, *name(), 1);
	ring_release(&table, side_payer, name());
	assert_int_equal(*name(), 0);
	put("again");
	ring_drop(&table, side_payer, name());
	assert_int_equal(*name(), 0);
	assert_int_equal(count_used(), 0);
}

/* Deaths: before any instruction of what follows. */

static void
prepare(void *arg)
{
	(void)arg;
	begin();
	put("0123456789");
}

static void
grow(void *arg)
{
	(void)arg;
	ring_room(&table, side_payer, name(), TABLE_BUFFER_SIZE);
}

static void
check_grown(void *arg, bool finished)
{
	(void)arg;
	recover_run(&table);
	assert_holds("0123456789");
	assert_int_equal(count_used(), 1);
	if (finished)
		assert_true(ring_spare(&table, *name()) >= TABLE_BUFFER_SIZE);
}

static void
a_death_while_it_grows_loses_nothing_and_no_buffer(void **state)
{
	(void)state;
	if (!side_every_step(prepare, grow, check_grown, NULL))
		skip();
}

static void
drop(void *arg)
{
	(void)arg;
	ring_drop(&table, side_payer, name());
}

static void
check_dropped(void *arg, bool finished)
{
	(void)arg;
	recover_run(&table);
	if (*name() != 0)
		assert_holds("0123456789");
	assert_int_equal(count_used(), *name() != 0);
	assert_false(finished && *name() != 0);
}

static void
a_death_while_it_is_dropped_leaves_all_or_nothing(void **state)
{
	(void)state;
	if (!side_every_step(prepare, drop, check_dropped, NULL))
		skip();
}

static void
move(void *arg)
{
	struct redo redo;

	(void)arg;
	memcpy(ring_room(&table, side_payer, name(), 3), "abc", 3);
	redo_begin(&redo, &table);
	ring_redo(&redo, &table, *name(), 7, 3);
	redo_commit(&redo);
}

static void
check_moved(void *arg, bool finished)
{
	(void)arg;
	recover_run(&table);
	assert_holds(ring_length(&table, *name()) == 6 || finished ? "789abc" : "0123456789");
}

static void
a_death_while_both_ends_move_moves_both_or_none(void **state)
{
	(void)state;
	if (!side_every_step(prepare, move, check_moved, NULL))
		skip();
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(an_empty_ring_needs_no_buffer),
		ROW(bytes_count_when_the_redo_has_moved_the_end),
		ROW(growth_keeps_the_bytes_and_frees_the_old_buffer),
		ROW(without_room_behind_them_the_bytes_move_to_a_begin),
		ROW(with_room_it_stays_where_it_is),
		ROW(beyond_the_largest_buffer_there_is_no_room),
		ROW(without_a_free_buffer_there_is_no_room_and_the_bytes_stay),
		ROW(both_ends_change_by_one_word),
		ROW(a_flow_is_released_when_it_is_empty_and_dropped_in_any_case),
		ROW(a_death_while_it_grows_loses_nothing_and_no_buffer),
		ROW(a_death_while_it_is_dropped_leaves_all_or_nothing),
		ROW(a_death_while_both_ends_move_moves_both_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
