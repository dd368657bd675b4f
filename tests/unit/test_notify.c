/* What systemd is told, also when it does not listen just then (K5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keep/notify.h"
#include "keep_side.h"

static struct table table;
static int manager; /* systemd's end */

static int
set_up(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length;
	char path[64];

	(void)state;
	snprintf(path, sizeof path, "@holdfast-test-notify-%d", (int)getpid());
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	memcpy(name.sun_path + 1, path + 1, strlen(path) - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager == -1 || bind(manager, (struct sockaddr *)&name, length) == -1 || table_new(10, &table) < 0)
		return -1;
	setenv("NOTIFY_SOCKET", path, 1);
	return notify_open(&table);
}

static int
tear_down(void **state)
{
	(void)state;
	close(table.header->file[TABLE_FILE_NOTIFY]);
	table_free(&table);
	close(manager);
	return 0;
}

/* The manager reads nothing for a while. */
static void
fill(void)
{
	for (int i = 0; i < 1000; i++)
		notify_watchdog(&table);
}

/* The manager reads all that is there, but for the filling. */
static const char *
hear(void)
{
	static char said[4096];
	const char *text;

	said[0] = '\0';
	while ((text = side_hear(manager))[0] != '\0')
		if (strncmp(text, "WATCHDOG=1", strlen("WATCHDOG=1")) != 0)
			strcat(strcat(said, text), ";");
	return said;
}

static void
all_is_said_once_and_nothing_is_lost_while_nobody_listens(void **state)
{
	(void)state;
	notify_update(&table);
	assert_string_equal(hear(), "");
	fill();
	table.header->ready = 1;
	table_status_set(&table, "all well");
	notify_update(&table);
	assert_string_equal(hear(), "");
	notify_update(&table);
	assert_string_equal(hear(), "READY=1;STATUS=all well;");
	notify_update(&table);
	assert_string_equal(hear(), "");
	fill();
	notify_stopping(&table);
	assert_string_equal(hear(), "");
	notify_update(&table);
	assert_string_equal(hear(), "STOPPING=1;");
	notify_update(&table);
	assert_string_equal(hear(), "");
}

static void
until_it_is_ready_systemd_is_asked_to_wait(void **state)
{
	(void)state;
	notify_watchdog(&table);
	assert_string_equal(side_hear(manager), "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000");
	table.header->ready = 1;
	notify_update(&table);
	hear();
	notify_watchdog(&table);
	assert_string_equal(side_hear(manager), "WATCHDOG=1");
}

/* What is said, times left out. */
static const char *
hear_reloads(void)
{
	char *usec, *said = (char *)(uintptr_t)hear();

	while ((usec = strstr(said, "MONOTONIC_USEC=")) != NULL)
		memmove(usec, strchr(usec, ';'), strlen(strchr(usec, ';')) + 1);
	return said;
}

static void
a_reload_is_told_at_its_begin_and_its_end(void **state)
{
	(void)state;
	table.header->reloads = 7; /* before it was ready: part of the start */
	notify_update(&table);
	assert_string_equal(hear(), "");
	table.header->reloads = 8;
	table.header->ready = 1;
	notify_update(&table);
	hear();
	table.header->reloads = 9;
	notify_update(&table);
	notify_update(&table);
	assert_string_equal(hear_reloads(), "RELOADING=1\n;");
	table.header->reloads = 10;
	notify_update(&table);
	notify_update(&table);
	assert_string_equal(hear(), "READY=1;");
}

static void
a_reload_that_was_over_before_anybody_looked_is_told_too(void **state)
{
	(void)state;
	table.header->ready = 1;
	notify_update(&table);
	hear();
	table.header->reloads = 4;
	fill();
	notify_update(&table);
	hear();
	notify_update(&table);
	assert_string_equal(hear_reloads(), "RELOADING=1\n;READY=1;");
	notify_update(&table);
	assert_string_equal(hear(), "");
}

static void
a_status_that_is_being_written_waits(void **state)
{
	(void)state;
	table.header->ready = 1;
	table_status_set(&table, "old");
	notify_update(&table);
	hear();
	table.header->status_version |= 1;
	strcpy(table.header->status, "ne");
	notify_update(&table);
	assert_string_equal(hear(), "");
	table_status_set(&table, "new");
	notify_update(&table);
	assert_string_equal(hear(), "STATUS=new;");
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(all_is_said_once_and_nothing_is_lost_while_nobody_listens),
		ROW(until_it_is_ready_systemd_is_asked_to_wait),
		ROW(a_reload_is_told_at_its_begin_and_its_end),
		ROW(a_reload_that_was_over_before_anybody_looked_is_told_too),
		ROW(a_status_that_is_being_written_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
