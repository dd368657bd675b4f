/* Buffers: classes of sizes, those that keep their pages, and what is derived again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "keep_side.h"

#define WARM 1024
#define PAGE 4096

static struct table table;

static int
set_up(void **state)
{
	(void)state;
	return table_new(100, &table);
}

static int
tear_down(void **state)
{
	(void)state;
	table_free(&table);
	return 0;
}

/* The pages of a hole are not in the file. */
static bool
has_page(uint32_t buffer, unsigned page)
{
	off_t at = (off_t)(buffers_bytes(&table, buffer) - (unsigned char *)table.header) + page * PAGE;

	return lseek(table.header->file[TABLE_FILE_MEMORY], at, SEEK_DATA) == at;
}

static bool
has_pages(uint32_t buffer)
{
	return has_page(buffer, 0);
}

/* A buffer, all of whose pages are there. */
static uint32_t
claim_with_pages(void)
{
	uint32_t buffer = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);

	assert_int_equal(buffers_open(&table, buffer, 0, TABLE_BUFFER_SIZE), TABLE_BUFFER_SIZE);
	return buffer;
}

static void
each_class_has_its_number_and_its_place(void **state)
{
	uint32_t all = 0;

	(void)state;
	for (uint32_t i = 0; i <= TABLE_LEAN; i++) {
		assert_int_equal((uintptr_t)table.class[i].bytes % 4096, 0);
		all += table.class[i].end - table.class[i].first;
	}
	assert_int_equal(table.shape.buffers, all + 1);
}

static void
a_buffer_has_at_least_the_size_that_was_asked_for(void **state)
{
	static const size_t wanted[] = { 1, TABLE_BUFFER_SIZE, TABLE_BUFFER_SIZE + 1, TABLE_BUFFER_SIZE * 4,
		TABLE_BUFFER_SIZE * 16 + 1 };
	static const size_t passed_fds[] = { 1, 1, 4, 4, 64 };

	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		uint32_t buffer = buffers_claim(&table, side_payer, wanted[i]);
		unsigned char *bytes = buffers_bytes(&table, buffer);

		assert_int_equal(buffers_size(&table, buffer), passed_fds[i] * TABLE_BUFFER_SIZE);
		memset(bytes, 'x', buffers_size(&table, buffer));
		assert_int_equal(table.buffers[buffer].tail, 0);
	}
}

static void
all_can_be_used_and_not_one_more(void **state)
{
	uint32_t all = 0;

	(void)state;
	for (uint32_t i = 0; i < TABLE_CLASSES; i++)
		all += table.class[i].end - table.class[i].first;
	for (uint32_t i = 0; i < all; i++)
		/* Larger ones when there are no small ones. */
		assert_int_not_equal(buffers_claim(&table, side_payer, 1), 0);
	assert_int_equal(buffers_claim(&table, side_payer, 1), 0);
}

static void
a_buffer_has_the_pages_that_were_asked_for_and_no_more(void **state)
{
	static const size_t sizes[] = { TABLE_BUFFER_SIZE, TABLE_BUFFER_SIZE + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint32_t buffer = buffers_claim(&table, side_payer, sizes[i]);
		unsigned last = (unsigned)buffers_size(&table, buffer) / PAGE - 1;

		assert_false(has_pages(buffer));
		assert_int_equal(buffers_open(&table, buffer, 0, 1), PAGE);
		assert_true(has_page(buffer, 0));
		assert_false(has_page(buffer, 1));
		assert_int_equal(buffers_open(&table, buffer, PAGE - 1, 2), 2 * PAGE);
		assert_true(has_page(buffer, 1));
		assert_false(has_page(buffer, 2));
		assert_int_equal(buffers_open(&table, buffer, 0, 1), 2 * PAGE);
		assert_int_equal(buffers_open(&table, buffer, 7, SIZE_MAX / 2), buffers_size(&table, buffer));
		assert_true(has_page(buffer, last));
	}
}

static void
pages_that_stay_are_known_until_they_are_given_back(void **state)
{
	uint32_t buffer = claim_with_pages();

	(void)state;
	buffers_free(&table, side_payer, buffer);
	assert_int_equal(buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE), buffer);
	assert_int_equal(buffers_open(&table, buffer, 0, 1), TABLE_BUFFER_SIZE);
	buffers_free(&table, side_payer, buffer);
	table_derive(&table);
	assert_int_equal(buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE), buffer);
	assert_int_equal(buffers_open(&table, buffer, 0, 1), PAGE);
	assert_false(has_page(buffer, 1));
}

static void
what_a_service_shares_is_in_use(void **state)
{
	uint32_t out = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE + 1);
	uint32_t pending = buffers_claim(&table, side_payer, 1);
	uint32_t lost = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE + 1);

	(void)state;
	table.services[0].word = TABLE_LIVE;
	table.services[0].shared.out = out;
	table.services[0].shared.pending = pending;
	table.buffers[out].tail = 7;
	table_derive(&table);
	assert_int_equal(buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE + 1), lost);
	assert_int_not_equal(buffers_claim(&table, side_payer, 1), pending);
	assert_int_equal(table.buffers[out].tail, 7);
}

static void
freed_buffers_keep_their_pages_up_to_a_limit(void **state)
{
	uint32_t buffer[WARM + 1];

	(void)state;
	table_free(&table);
	assert_int_equal(table_new(WARM, &table), 0);
	for (unsigned i = 0; i <= WARM; i++) {
		buffer[i] = claim_with_pages();
		assert_true(has_pages(buffer[i]));
	}
	for (unsigned i = 0; i <= WARM; i++)
		buffers_free(&table, side_payer, buffer[i]);
	assert_true(has_pages(buffer[0]));
	assert_false(has_pages(buffer[WARM]));
	table_derive(&table);
	assert_false(has_pages(buffer[0]));
	assert_true(has_pages(claim_with_pages()));
}

static unsigned
count_pages(const uint32_t *buffer, unsigned count)
{
	unsigned with = 0;

	for (unsigned i = 0; i < count; i++)
		with += has_pages(buffer[i]);
	return with;
}

static void
pages_that_nobody_needed_are_given_back(void **state)
{
	uint32_t buffer[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		buffer[i] = claim_with_pages();
	for (unsigned i = 0; i < 8; i++)
		buffers_free(&table, side_payer, buffer[i]);
	buffers_trim(&table); /* all were needed since the last time */
	assert_int_equal(count_pages(buffer, 8), 8);
	for (unsigned i = 0; i < 3; i++)
		buffer[i] = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
	for (unsigned i = 0; i < 3; i++)
		buffers_free(&table, side_payer, buffer[i]);
	buffers_trim(&table);
	assert_int_equal(table.class[0].warm_count, 3);
	buffers_trim(&table);
	assert_int_equal(table.class[0].warm_count, 0);
	for (unsigned i = 1; i <= 8; i++)
		assert_false(has_pages(i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_class_has_its_number_and_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_buffer_has_at_least_the_size_that_was_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_can_be_used_and_not_one_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_buffer_has_the_pages_that_were_asked_for_and_no_more, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(pages_that_stay_are_known_until_they_are_given_back, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(what_a_service_shares_is_in_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(freed_buffers_keep_their_pages_up_to_a_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_that_nobody_needed_are_given_back, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
