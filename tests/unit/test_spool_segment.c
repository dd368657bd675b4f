/* What a file of the spool holds is found again, and whatever damages it is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/spool_segment.h"

#define SPOOL UINT64_C(0x1122334455667788)
#define FIRST UINT64_C(70)
#define MOST  1000

static unsigned char file[4096];
static size_t end;

static void
put(uint64_t number, const char *message)
{
	size_t length = strlen(message);

	memcpy(file + end + SPOOL_RECORD, message, length);
	spool_record_write(SPOOL, number, file + end + SPOOL_RECORD, length, file + end);
	end += SPOOL_RECORD + length;
}

static void
begin(void)
{
	const struct spool_segment segment = { .spool = SPOOL, .first = FIRST };

	memset(file, 0, sizeof file);
	spool_segment_write(&segment, file);
	end = SPOOL_HEADER;
	put(FIRST, "one");
	put(FIRST + 1, "two, which is longer");
	put(FIRST + 2, "three");
}

/* How many records are found in so many bytes of the file, and how what follows them is judged. */
static unsigned
count(size_t length, enum spool_result *ret_result)
{
	size_t at = SPOOL_HEADER, message;
	unsigned found = 0;

	while ((*ret_result = spool_record_read(SPOOL, FIRST + found, file + at, length - at, MOST, &message)) ==
	    SPOOL_WHOLE) {
		at += SPOOL_RECORD + message;
		found++;
	}
	return found;
}

static void
assert_found(unsigned expected, enum spool_result then)
{
	enum spool_result result;

	assert_int_equal(count(end, &result), expected);
	assert_int_equal(result, then);
}

static void
the_checksum_is_crc_32c(void **state)
{
	unsigned char zeros[32] = { 0 };

	(void)state;
	assert_int_equal(spool_crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(spool_crc(0, zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
	assert_int_equal(spool_crc(spool_crc(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void
a_segment_is_read_as_it_was_written(void **state)
{
	struct spool_segment segment;
	size_t length;

	(void)state;
	begin();
	assert_null(spool_segment_read(file, end, &segment));
	assert_int_equal(segment.spool, SPOOL);
	assert_int_equal(segment.first, FIRST);
	assert_found(3, SPOOL_MORE);
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, end, MOST, &length), SPOOL_WHOLE);
	assert_int_equal(length, 3);
	assert_memory_equal(file + SPOOL_HEADER + SPOOL_RECORD, "one", 3);
}

static void
a_flipped_bit_of_the_header_is_found(void **state)
{
	struct spool_segment segment;

	(void)state;
	for (size_t bit = 0; bit < 8 * SPOOL_HEADER; bit++) {
		begin();
		file[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_non_null(spool_segment_read(file, end, &segment));
	}
}

static void
a_header_says_what_is_wrong_with_it(void **state)
{
	struct spool_segment segment;
	uint32_t crc;

	(void)state;
	begin();
	assert_string_equal(spool_segment_read(file, SPOOL_HEADER - 1, &segment), "it is shorter than its header");
	file[0] = 'x';
	assert_string_equal(spool_segment_read(file, end, &segment), "it is no segment");
	begin();
	file[20] ^= 1;
	assert_string_equal(spool_segment_read(file, end, &segment), "its header is damaged");
	begin();
	file[8] = 2;
	crc = spool_crc(spool_crc(0, file, 12), file + 16, 16);
	for (int i = 0; i < 4; i++)
		file[12 + i] = (unsigned char)(crc >> 8 * i);
	assert_string_equal(spool_segment_read(file, end, &segment), "it is of another version");
}

static void
a_flipped_bit_ends_the_segment_at_its_record(void **state)
{
	enum spool_result result;
	size_t at = SPOOL_HEADER + SPOOL_RECORD + 3; /* of the second record */
	size_t bits = 8 * (SPOOL_RECORD + strlen("two, which is longer"));

	(void)state;
	for (size_t bit = 0; bit < bits; bit++) {
		begin();
		file[at + bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_equal(count(end, &result), 1);
		assert_int_not_equal(result, SPOOL_WHOLE); /* a length may have become one that lies beyond the end */
	}
}

static void
a_torn_tail_is_a_part_of_a_record(void **state)
{
	enum spool_result result;
	size_t last = SPOOL_RECORD + strlen("three");

	(void)state;
	begin();
	for (size_t missing = 1; missing <= last; missing++) {
		assert_int_equal(count(end - missing, &result), 2);
		assert_int_equal(result, SPOOL_MORE);
	}
}

static void
a_tail_of_zeros_is_no_record(void **state)
{
	(void)state;
	begin();
	end += 100;
	assert_found(3, SPOOL_DAMAGED);
}

static void
a_stale_record_is_none(void **state)
{
	size_t length;

	(void)state;
	begin();
	put(FIRST + 2, "three"); /* of this number there was one */
	assert_found(3, SPOOL_DAMAGED);
	begin();
	assert_int_equal(spool_record_read(SPOOL + 1, FIRST, file + SPOOL_HEADER, end, MOST, &length), SPOOL_DAMAGED);
}

static void
a_record_is_as_long_as_may_be_and_no_longer(void **state)
{
	size_t length;

	(void)state;
	begin();
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, end, 3, &length), SPOOL_WHOLE);
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, end, 2, &length), SPOOL_DAMAGED);
	memset(file + SPOOL_HEADER, 0xff, 4);
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, end, SIZE_MAX, &length), SPOOL_MORE);
	assert_int_equal(length, SPOOL_RECORD + UINT64_C(0xffffffff));
}

static void
a_part_says_how_much_must_be_there(void **state)
{
	size_t length;

	(void)state;
	begin();
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, 2, MOST, &length), SPOOL_MORE);
	assert_int_equal(length, SPOOL_RECORD);
	assert_int_equal(spool_record_read(SPOOL, FIRST, file + SPOOL_HEADER, 9, MOST, &length), SPOOL_MORE);
	assert_int_equal(length, SPOOL_RECORD + 3);
}

static void
the_newer_position_counts_and_a_damaged_one_does_not(void **state)
{
	struct spool_position position = { .spool = SPOOL, .acknowledged = 5, .turn = 8 };
	unsigned char bytes[2 * SPOOL_POSITION] = { 0 };

	(void)state;
	assert_false(spool_position_read(bytes, sizeof bytes, &position));
	spool_position_write(&position, bytes);
	position = (struct spool_position){ .spool = SPOOL, .acknowledged = 9, .turn = 9 };
	spool_position_write(&position, bytes + SPOOL_POSITION);
	assert_true(spool_position_read(bytes, sizeof bytes, &position));
	assert_int_equal(position.acknowledged, 9);
	assert_int_equal(position.spool, SPOOL);
	for (size_t bit = 0; bit < 8 * (8 + 8 + 8 + 4); bit++) {
		bytes[SPOOL_POSITION + bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_true(spool_position_read(bytes, sizeof bytes, &position));
		assert_int_equal(position.acknowledged, 5);
		bytes[SPOOL_POSITION + bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	assert_true(spool_position_read(bytes, SPOOL_POSITION + 3, &position));
	assert_int_equal(position.acknowledged, 5);
	assert_false(spool_position_read(bytes, 5, &position));
}

static void
a_name_tells_the_first_number_and_sorts_by_it(void **state)
{
	static const char *const others[] = { "", ".", "position", "70.spool", "0000000000000000070.spoo",
		"0000000000000000070.spool~", "00000000000000000070.spool", "000000000000000007x.spool",
		"9999999999999999999.spool", "lost+found" };
	char name[SPOOL_NAME];
	uint64_t first;

	(void)state;
	spool_segment_name(FIRST, name);
	assert_string_equal(name, "0000000000000000070.spool");
	assert_true(spool_segment_is(name, &first));
	assert_int_equal(first, FIRST);
	spool_segment_name(INT64_MAX, name);
	assert_true(spool_segment_is(name, &first));
	assert_int_equal(first, INT64_MAX);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(spool_segment_is(others[i], &first));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checksum_is_crc_32c),
		cmocka_unit_test(a_segment_is_read_as_it_was_written),
		cmocka_unit_test(a_flipped_bit_of_the_header_is_found),
		cmocka_unit_test(a_header_says_what_is_wrong_with_it),
		cmocka_unit_test(a_flipped_bit_ends_the_segment_at_its_record),
		cmocka_unit_test(a_torn_tail_is_a_part_of_a_record),
		cmocka_unit_test(a_tail_of_zeros_is_no_record),
		cmocka_unit_test(a_stale_record_is_none),
		cmocka_unit_test(a_record_is_as_long_as_may_be_and_no_longer),
		cmocka_unit_test(a_part_says_how_much_must_be_there),
		cmocka_unit_test(the_newer_position_counts_and_a_damaged_one_does_not),
		cmocka_unit_test(a_name_tells_the_first_number_and_sorts_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
