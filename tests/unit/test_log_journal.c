/* What the log does when nobody takes its lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define RECORD_MAX 8192

static char path[64];

/* A journal that reads only when it is told to. */
static int
journal_open(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(path, sizeof path, "/tmp/test_log_journal-%d", (int)getpid());
	unlink(path);
	strcpy(name.sun_path, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
	log_set_journal(path);
	return fd;
}

static void
journal_close(int fd)
{
	close(fd);
	unlink(path);
	log_set_journal(NULL);
}

static bool
journal_read(int fd, char ret_text[RECORD_MAX + 1])
{
	ssize_t n = recv(fd, ret_text, RECORD_MAX, 0);

	ret_text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void
what_a_full_journal_does_not_take_waits_in_order_and_then_is_lost_and_counted(void **state)
{
	struct log_counts counts = { 0 };
	char text[RECORD_MAX + 1], wanted[64];
	int fd = journal_open();
	unsigned said = 0, heard = 0;

	(void)state;
	log_count_in(&counts);
	log_open(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
	while (counts.lost < 3)
		log_info(NULL, "line %u.", said++);
	assert_true(counts.waiting > 100);
	assert_int_equal(counts.told, 0);
	for (text[0] = '\0'; strstr(text, "lost") == NULL; log_tell_suppressed(0))
		while (journal_read(fd, text) && strstr(text, "lost") == NULL) {
			snprintf(wanted, sizeof wanted, "\nMESSAGE=line %u.\n", heard++);
			assert_non_null(strstr(text, wanted));
		}
	assert_int_equal(heard, said - 3);
	assert_int_equal(counts.told, 3);
	assert_non_null(strstr(text, "MESSAGE=3 log lines were lost: the journal did not take them\n"));
	assert_non_null(strstr(text, "PRIORITY=4\n"));
	assert_int_equal(counts.waiting, 0);
	journal_close(fd);
}

static void
what_a_dead_process_had_waiting_is_lost(void **state)
{
	struct log_counts counts = { .lost = 5, .told = 5, .waiting = 7 };

	(void)state;
	log_count_in(&counts);
	assert_int_equal(counts.lost, 12);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.lost - counts.told, 7);
}

static void
a_journal_with_another_socket_at_its_path_is_found(void **state)
{
	struct log_counts counts = { 0 };
	char text[RECORD_MAX + 1];
	int fd = journal_open();

	(void)state;
	log_count_in(&counts);
	log_open(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
	log_info(NULL, "one");
	assert_true(journal_read(fd, text));
	journal_close(fd);
	fd = journal_open();
	log_event(LOG_LEVEL_INFO, "cache", "connected", "10.0.0.1:1", "two\nX=y");
	assert_true(journal_read(fd, text));
	assert_non_null(strstr(text, "HOLDFAST_SERVICE=cache\nHOLDFAST_EVENT=connected\n"
	    "HOLDFAST_ADDRESS=10.0.0.1:1\nMESSAGE=cache: two\\x0aX=y\n"));
	assert_int_equal(counts.lost, 0);
	journal_close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_full_journal_does_not_take_waits_in_order_and_then_is_lost_and_counted),
		cmocka_unit_test(what_a_dead_process_had_waiting_is_lost),
		cmocka_unit_test(a_journal_with_another_socket_at_its_path_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
