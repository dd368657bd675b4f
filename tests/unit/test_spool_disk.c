/* The directory of a spool: what is written is read again, by the next who opens it too; what is damaged, missing,
 * full or others' is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/spool_disk.h"
#include "client/spool_segment.h"

static char above[64], path[128];
static struct spool_disk *disk;
static struct spool_job job;
static unsigned char bytes[1 << 16], into[1 << 16];
static char large[3000]; /* a message */

static void
begin(void)
{
	snprintf(above, sizeof above, "/tmp/test_spool_disk.XXXXXX");
	assert_non_null(mkdtemp(above));
	snprintf(path, sizeof path, "%s/a/b", above);
	job = (struct spool_job){ .max_size = 1 << 20, .syncs = true, .into = into, .size = sizeof into };
	memset(large, 'x', sizeof large - 1);
	disk = spool_disk_new(path);
}

static void
finish(void)
{
	char command[128];

	spool_disk_free(disk);
	disk = NULL;
	snprintf(command, sizeof command, "rm -r %s", above);
	assert_int_equal(system(command), 0);
}

/* As the next daemon does. */
static void
again(void)
{
	spool_disk_free(disk);
	disk = spool_disk_new(path);
	job.count = 0;
	job.length = 0;
	job.reads = false;
	job.acknowledged = 0;
	spool_disk_run(disk, &job);
	assert_true(job.opened);
}

static void
add(const char *message)
{
	const size_t length = strlen(message);

	spool_record_begin(bytes + job.length, length);
	memcpy(bytes + job.length + SPOOL_RECORD, message, length);
	job.bytes = bytes;
	job.length += SPOOL_RECORD + length;
	job.count++;
}

/* Writes the messages of this job as the next. */
static int
write_all(void)
{
	job.reads = false;
	job.first = job.end;
	spool_disk_run(disk, &job);
	job.length = 0;
	job.count = 0;
	assert_int_equal(job.written, job.error == 0);
	return job.error;
}

static int
write_one(const char *message)
{
	add(message);
	return write_all();
}

static int
open_it(void)
{
	spool_disk_run(disk, &job);
	return job.error;
}

/* The message with this number, and its successors if they are asked for at once. */
static void
read_from(uint64_t number)
{
	job.reads = true;
	job.next = number;
	spool_disk_run(disk, &job);
}

static void
assert_reads(uint64_t number, const char *message)
{
	read_from(number);
	assert_true(job.got >= SPOOL_RECORD + strlen(message));
	assert_memory_equal(into + SPOOL_RECORD, message, strlen(message));
}

/* How many files there are with this end of the name. */
static unsigned
count_files(const char *end)
{
	DIR *listing = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL)
		count += strlen(entry->d_name) > strlen(end) &&
		    strcmp(entry->d_name + strlen(entry->d_name) - strlen(end), end) == 0;
	closedir(listing);
	return count;
}

/* Valid until the next call. */
static const char *
file(const char *name)
{
	static char text[256];

	snprintf(text, sizeof text, "%s/%s", path, name);
	return text;
}

/* As others do: writes so many bytes there into a file, or to its end (-1); the file is made if it is not there. */
static void
write_there(const char *name, off_t at, const char *text, size_t length)
{
	int fd = open(file(name), O_WRONLY | O_CREAT, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, text, length, at >= 0 ? at : lseek(fd, 0, SEEK_END)), length);
	close(fd);
}

static void
the_directory_is_made_and_ours_alone(void **state)
{
	struct stat status;

	(void)state;
	begin();
	assert_int_equal(open_it(), 0);
	assert_true(job.opened);
	assert_int_equal(job.end, 0);
	assert_int_not_equal(job.spool, 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	finish();
}

static void
a_directory_that_others_may_write_to_is_not_used(void **state)
{
	(void)state;
	begin();
	assert_int_equal(open_it(), 0);
	spool_disk_free(disk);
	assert_int_equal(chmod(path, 0770), 0);
	disk = spool_disk_new(path);
	assert_int_equal(open_it(), EPERM);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(open_it(), 0);
	finish();
}

static void
a_directory_has_one_user_at_a_time(void **state)
{
	struct spool_disk *other;
	struct spool_job second;

	(void)state;
	begin();
	assert_int_equal(open_it(), 0);
	other = spool_disk_new(path);
	second = job;
	spool_disk_run(other, &second);
	assert_int_equal(second.error, EBUSY);
	spool_disk_free(disk);
	spool_disk_run(other, &second);
	assert_int_equal(second.error, 0);
	disk = other;
	finish();
}

static void
what_was_written_is_read_by_the_next_too(void **state)
{
	uint64_t spool;

	(void)state;
	begin();
	open_it();
	spool = job.spool;
	add("one");
	add("two");
	assert_int_equal(write_all(), 0);
	assert_int_equal(write_one("three"), 0);
	assert_int_equal(job.end, 3);
	assert_reads(0, "one");
	assert_int_equal(job.got_count, 3);
	assert_int_equal(job.next, 3);
	again();
	assert_int_equal(job.spool, spool);
	assert_int_equal(job.end, 3);
	assert_reads(1, "two");
	assert_int_equal(write_one("four"), 0);
	assert_reads(2, "three");
	assert_int_equal(job.got_count, 1); /* the next is in another segment */
	assert_reads(3, "four");
	read_from(4);
	assert_int_equal(job.got, 0);
	assert_int_equal(job.next, 4);
	finish();
}

static void
a_message_that_is_larger_than_the_room_is_asked_for_again(void **state)
{
	(void)state;
	begin();
	open_it();
	write_one("a message that is long");
	job.size = 10;
	read_from(0);
	assert_int_equal(job.got, 0);
	assert_int_equal(job.wants, SPOOL_RECORD + strlen("a message that is long"));
	job.size = job.wants;
	assert_reads(0, "a message that is long");
	finish();
}

static void
what_is_acknowledged_is_remembered_and_its_segments_go(void **state)
{
	(void)state;
	begin();
	open_it();
	job.max_size = 80000; /* a segment: 10000 */
	for (int i = 0; i < 12; i++)
		assert_int_equal(write_one(large), 0);
	assert_int_equal(count_files(".spool"), 3);
	job.acknowledged = 5;
	assert_int_equal(open_it(), 0);
	assert_int_equal(count_files(".spool"), 2);
	assert_int_equal(job.begin, 4);
	again();
	assert_int_equal(job.position, 5);
	assert_int_equal(job.end, 12);
	finish();
}

static void
beyond_max_size_nothing_is_written_or_the_oldest_goes(void **state)
{
	(void)state;
	begin();
	open_it();
	job.max_size = 24000;
	for (int i = 0; i < 7; i++)
		assert_int_equal(write_one(large), 0);
	assert_int_equal(write_one(large), EDQUOT);
	assert_int_equal(job.end, 7);
	job.makes_room = true;
	assert_int_equal(write_one(large), 0);
	assert_int_equal(job.begin, 1);
	assert_int_equal(job.end, 8);
	assert_true(job.bytes_there <= job.max_size);
	job.makes_room = false;
	job.acknowledged = 8; /* nothing of it is worth anything */
	assert_int_equal(write_one(large), 0);
	finish();
}

/* Numbers between two segments may have been nobody's. */
static void
only_messages_that_were_written_and_not_read_count_as_dropped(void **state)
{
	(void)state;
	begin();
	open_it();
	job.max_size = 24000; /* a segment has one */
	for (int i = 0; i < 2; i++)
		assert_int_equal(write_one(large), 0);
	job.end = 10;
	for (int i = 0; i < 5; i++)
		assert_int_equal(write_one(large), 0);
	assert_int_equal(job.end, 15);
	job.makes_room = true;
	job.next = 1;
	assert_int_equal(write_one(large), 0);
	assert_int_equal(job.begin, 1);
	assert_int_equal(job.dropped, 0);
	assert_int_equal(write_one(large), 0);
	assert_int_equal(job.begin, 10);
	assert_int_equal(job.dropped, 1);
	finish();
}

static void
a_full_spool_is_read_all_the_same(void **state)
{
	(void)state;
	begin();
	open_it();
	job.max_size = 4000;
	assert_int_equal(write_one(large), 0);
	add(large);
	job.first = 1;
	read_from(0);
	assert_int_equal(job.error, EDQUOT);
	assert_int_equal(job.got_count, 1);
	finish();
}

/* Four segments of a message each. */
static void
write_four(void)
{
	open_it();
	for (int i = 0; i < 4; i++) {
		write_one(i == 0 ? "zero" : i == 1 ? "one" : i == 2 ? "two" : "three");
		again();
	}
	assert_int_equal(count_files(".spool"), 4);
}

static void
a_damaged_segment_is_counted_kept_aside_and_the_next_is_read(void **state)
{
	(void)state;
	begin();
	write_four();
	write_there("0000000000000000001.spool", SPOOL_HEADER + SPOOL_RECORD, "!", 1);
	read_from(1);
	assert_int_equal(job.damaged, 1);
	assert_non_null(strstr(job.told, "0000000000000000001.spool is damaged"));
	assert_memory_equal(into + SPOOL_RECORD, "two", 3);
	assert_int_equal(job.next, 3);
	job.acknowledged = 3;
	job.reads = false;
	assert_int_equal(open_it(), 0);
	assert_int_equal(count_files(".spool.damaged"), 1);
	assert_int_equal(count_files(".spool"), 1);
	finish();
}

/* No file can be opened; or again. */
static void
allow_files(bool some)
{
	static struct rlimit before;
	struct rlimit none;

	if (!some)
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	if (!some)
		none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void
a_segment_that_cannot_be_opened_now_is_not_damaged(void **state)
{
	(void)state;
	begin();
	write_four();
	allow_files(false);
	read_from(1);
	allow_files(true);
	assert_int_equal(job.error, EMFILE);
	assert_string_equal(job.what, "open a segment");
	assert_int_equal(job.got, 0);
	assert_int_equal(job.damaged, 0);
	assert_int_equal(job.next, 1);
	assert_reads(1, "one");
	finish();
}

static void
what_is_kept_aside_counts_and_goes_before_anything_else(void **state)
{
	uint64_t all;

	(void)state;
	begin();
	write_four();
	all = job.bytes_there;
	write_there("0000000000000000001.spool", SPOOL_HEADER + SPOOL_RECORD, "!", 1);
	read_from(1);
	job.acknowledged = 2;
	job.reads = false;
	assert_int_equal(open_it(), 0);
	assert_int_equal(count_files(".spool.damaged"), 1);
	assert_true(job.bytes_there > all / 2);
	again();
	assert_true(job.bytes_there > all / 2);
	all = job.bytes_there;
	job.max_size = all + 10;
	assert_int_equal(write_one("four"), 0);
	assert_int_equal(count_files(".spool.damaged"), 0);
	assert_true(job.bytes_there < job.max_size);
	assert_reads(2, "two");
	finish();
}

static void
a_damaged_header_is_damage_too(void **state)
{
	(void)state;
	begin();
	write_four();
	write_there("0000000000000000002.spool", 3, "!", 1);
	read_from(2);
	assert_int_equal(job.damaged, 1);
	assert_memory_equal(into + SPOOL_RECORD, "three", 5);
	finish();
}

static void
damage_within_the_last_segment_is_told_by_who_opens_it(void **state)
{
	(void)state;
	begin();
	open_it();
	write_one("one");
	write_one("two");
	write_one("three");
	write_there("0000000000000000000.spool", SPOOL_HEADER + 2 * SPOOL_RECORD + 3, "!", 1);
	again();
	assert_int_equal(job.end, 1);
	assert_int_equal(job.damaged, 1);
	assert_non_null(strstr(job.told, "0000000000000000000.spool is damaged"));
	assert_int_equal(write_one("four"), 0);
	assert_reads(0, "one");
	assert_reads(1, "four");
	assert_int_equal(job.damaged, 0);
	job.acknowledged = 2;
	job.reads = false;
	assert_int_equal(open_it(), 0);
	assert_int_equal(count_files(".spool.damaged"), 1);
	finish();
}

static void
zeros_behind_the_last_message_are_no_damage(void **state)
{
	static const char nothing[100];

	(void)state;
	begin();
	open_it();
	write_one("one");
	write_there("0000000000000000000.spool", -1, nothing, sizeof nothing);
	again();
	assert_int_equal(job.end, 1);
	assert_int_equal(job.damaged, 0);
	finish();
}

static void
a_torn_tail_is_none(void **state)
{
	(void)state;
	begin();
	open_it();
	write_one("one");
	write_there("0000000000000000000.spool", -1, "\3\0\0\0torn", 8);
	again();
	assert_int_equal(job.end, 1);
	write_one("two");
	assert_reads(0, "one");
	assert_reads(1, "two");
	assert_int_equal(job.damaged, 0);
	finish();
}

static void
a_segment_that_has_just_been_begun_is_not_in_the_way(void **state)
{
	(void)state;
	begin();
	open_it();
	write_one("one");
	write_there("0000000000000000001.spool", 0, "", 0);
	again();
	assert_int_equal(job.end, 1);
	assert_int_equal(job.damaged, 0);
	assert_int_equal(write_one("two"), 0);
	assert_reads(1, "two");
	finish();
}

/* As a file system leaves it that could not be written to for a while. */
static void
a_segment_that_could_not_be_removed_is_not_in_the_way(void **state)
{
	(void)state;
	begin();
	open_it();
	assert_int_equal(write_one("one"), 0);
	again();
	write_there("0000000000000000001.spool", 0, "begun", 5);
	assert_int_equal(write_one("two"), 0);
	assert_reads(0, "one");
	assert_reads(1, "two");
	again();
	assert_int_equal(job.end, 2);
	assert_int_equal(job.damaged, 0);
	finish();
}

static void
without_its_position_the_spool_is_read_from_its_begin(void **state)
{
	uint64_t spool;

	(void)state;
	begin();
	write_four();
	spool = job.spool;
	assert_int_equal(truncate(file("position"), 0), 0);
	again();
	assert_int_equal(job.spool, spool);
	assert_int_equal(job.position, 0);
	assert_int_equal(job.end, 4);
	finish();
}

static void
other_files_are_left_alone(void **state)
{
	(void)state;
	begin();
	open_it();
	write_there("notes", 0, "", 0);
	write_there("1.spool", 0, "", 0);
	write_one("one");
	again();
	assert_reads(0, "one");
	assert_int_equal(access(file("notes"), F_OK), 0);
	assert_int_equal(access(file("1.spool"), F_OK), 0);
	finish();
}

static void
a_directory_that_was_removed_is_found_and_made_again(void **state)
{
	uint64_t spool;
	char command[160];

	(void)state;
	begin();
	open_it();
	spool = job.spool;
	assert_int_equal(write_one("one"), 0);
	snprintf(command, sizeof command, "rm -r %s", path);
	assert_int_equal(system(command), 0);
	assert_int_equal(write_one("two"), ENOENT);
	assert_int_equal(open_it(), 0);
	assert_true(job.opened);
	assert_int_not_equal(job.spool, spool);
	assert_int_equal(write_one("two"), 0);
	assert_reads(0, "two");
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_directory_is_made_and_ours_alone),
		cmocka_unit_test(a_directory_that_others_may_write_to_is_not_used),
		cmocka_unit_test(a_directory_has_one_user_at_a_time),
		cmocka_unit_test(what_was_written_is_read_by_the_next_too),
		cmocka_unit_test(a_message_that_is_larger_than_the_room_is_asked_for_again),
		cmocka_unit_test(what_is_acknowledged_is_remembered_and_its_segments_go),
		cmocka_unit_test(beyond_max_size_nothing_is_written_or_the_oldest_goes),
		cmocka_unit_test(only_messages_that_were_written_and_not_read_count_as_dropped),
		cmocka_unit_test(a_full_spool_is_read_all_the_same),
		cmocka_unit_test(a_damaged_segment_is_counted_kept_aside_and_the_next_is_read),
		cmocka_unit_test(a_segment_that_cannot_be_opened_now_is_not_damaged),
		cmocka_unit_test(what_is_kept_aside_counts_and_goes_before_anything_else),
		cmocka_unit_test(a_damaged_header_is_damage_too),
		cmocka_unit_test(damage_within_the_last_segment_is_told_by_who_opens_it),
		cmocka_unit_test(zeros_behind_the_last_message_are_no_damage),
		cmocka_unit_test(a_torn_tail_is_none),
		cmocka_unit_test(a_segment_that_has_just_been_begun_is_not_in_the_way),
		cmocka_unit_test(a_segment_that_could_not_be_removed_is_not_in_the_way),
		cmocka_unit_test(without_its_position_the_spool_is_read_from_its_begin),
		cmocka_unit_test(other_files_are_left_alone),
		cmocka_unit_test(a_directory_that_was_removed_is_found_and_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
