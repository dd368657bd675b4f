/* The last messages of a removed service go to its spool, also where its directory had to be opened anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/spool_rest.h"
#include "client/spool_segment.h"
#include "stage.h"

static void
on_done(void *arg)
{
	(void)arg;
	fail();
}

/* A message as a record that waits. */
static unsigned char *
record_of(const char *message, size_t *ret_length)
{
	unsigned char *record = mem_new(SPOOL_RECORD + strlen(message), 1);

	spool_record_begin(record, strlen(message));
	memcpy(record + SPOOL_RECORD, message, strlen(message));
	*ret_length = SPOOL_RECORD + strlen(message);
	return record;
}

static void
assert_has(const char *path, const char *messages)
{
	struct spool_disk *disk = spool_disk_new(path);
	unsigned char into[1024];
	struct spool_job job = { .max_size = 1 << 20, .into = into, .size = sizeof into };
	char found[64] = "";

	spool_disk_run(disk, &job);
	assert_int_equal(job.error, 0);
	job.reads = true;
	job.next = job.position > job.begin ? job.position : job.begin;
	spool_disk_run(disk, &job);
	for (size_t at = 0; at < job.got; at += SPOOL_RECORD + spool_record_length(into + at))
		strncat(found, (char *)into + at + SPOOL_RECORD, spool_record_length(into + at));
	assert_string_equal(found, messages);
	spool_disk_free(disk);
}

static void
wait_for_the_end(unsigned files)
{
	int64_t begun = clock_now();

	while (stage_count_files() > files && clock_now() - begun < 10 * CLOCK_SECOND)
		stage_idle(1000);
	assert_int_equal(stage_count_files(), files);
}

/* Its identity. */
static uint64_t
make_empty(const char *path)
{
	struct spool_disk *disk = spool_disk_new(path);
	struct spool_job job = { .max_size = 1 << 20 };

	spool_disk_run(disk, &job);
	assert_int_equal(job.error, 0);
	spool_disk_free(disk);
	return job.spool;
}

static void
what_is_behind_messages_that_went_past_the_disk_is_not_acknowledged(void **state)
{
	const char *path = stage_path("past");
	uint64_t identity = make_empty(path);
	unsigned files = stage_count_files();
	struct spool_thread *thread = spool_thread_new(stage_loop, path, on_done, NULL);
	struct spool_job *job = spool_thread_job(thread);
	struct spool_rest rest = { .thread = thread, .works = true, .name = "s", .path = path, .count = 1,
		.messages = 1, .identity = identity, .number = 5, .acknowledged = 5 };

	(void)state;
	*job = (struct spool_job){ .max_size = 1 << 20 };
	spool_thread_do(thread);
	rest.bytes = record_of("rest", &rest.length);
	spool_rest_start(&rest);
	wait_for_the_end(files);
	assert_has(path, "rest");
}

static void
what_the_job_under_way_does_not_write_comes_before_the_rest(void **state)
{
	const char *path = stage_path("spool");
	unsigned files = stage_count_files();
	struct spool_thread *thread = spool_thread_new(stage_loop, path, on_done, NULL);
	struct spool_job *job = spool_thread_job(thread);
	struct spool_rest rest = { .thread = thread, .works = true, .name = "s", .path = path, .count = 1,
		.messages = 2 };

	(void)state;
	*job = (struct spool_job){ .max_size = 1 << 20, .count = 1 };
	job->bytes = record_of("first", &job->length);
	spool_thread_do(thread); /* it opens the directory, and that alone */
	rest.bytes = record_of("second", &rest.length);
	spool_rest_start(&rest);
	wait_for_the_end(files);
	assert_has(path, "firstsecond");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_behind_messages_that_went_past_the_disk_is_not_acknowledged),
		cmocka_unit_test(what_the_job_under_way_does_not_write_comes_before_the_rest),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
