/* test_handlers.c - on_event holds the next step and notify does not; both are told by argument and environment. */
#include "upstream_world.h"
#include "temporary.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upstream/handlers.h"

static char script[TEMPORARY_SIZE], said[TEMPORARY_SIZE + 8];

/* A program that appends what it is told to the file `said`, and then does this. */
static void
write_script(const char *last)
{
	char text[512];
	int file, length;

	file = mkstemp(temporary_name(script));
	assert_true(file != -1);
	snprintf(said, sizeof said, "%s.said", script);
	length = snprintf(text, sizeof text, "#!/bin/sh\n[ \"$1\" = \"$HOLDFAST_EVENT\" ] && "
	    "[ \"$2\" = \"$HOLDFAST_SERVICE\" ] && "
	    "echo \"$1 $HOLDFAST_ADDRESS $HOLDFAST_ERROR $HOLDFAST_FAILURES\" >>%s\n%s\n", said, last);
	assert_int_equal(write(file, text, (size_t)length), length);
	fchmod(file, 0700);
	close(file);
}

static void
remove_script(void)
{
	unlink(script);
	unlink(said);
}

static const char *
read_said(void)
{
	static char text[1024];
	FILE *file = fopen(said, "re");
	size_t length = 0;

	if (file != NULL) {
		length = fread(text, 1, sizeof text - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return text;
}

static void
on_event_is_told_and_its_failure_changes_nothing(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);
	char expected[256];

	(void)state;
	write_script("exit 3");
	close(listener);
	world_make(port, 0);
	w.settings.on_event = mem_copy_text(script);
	world_begin();
	RUN_UNTIL(5000, world_status().state == UPSTREAM_WAITING);
	snprintf(expected, sizeof expected, "attempting_to_connect   0\nobtained_address 127.0.0.1:%u  0\n"
	    "failed_to_connect 127.0.0.1:%u Connection refused 1\n", port, port);
	assert_string_equal(read_said(), expected);
	assert_int_equal(world_status().counters.handler_failures, 3);
	assert_int_equal(world_status().counters.attempts, 1);
	world_end();
	remove_script();
}

static void
a_handler_that_hangs_is_killed_and_things_go_on(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);

	(void)state;
	write_script("sleep 20");
	world_make(port, 0);
	w.settings.on_event = mem_copy_text(script);
	w.settings.on_event_timeout = 50 * CLOCK_MILLISECOND;
	world_begin();
	RUN_UNTIL(100, strcmp(w.events, "T") == 0); /* no lookup before its end */
	RUN_UNTIL(3000, world_status().warm == 1);
	assert_true(world_status().counters.handler_failures >= 2);
	close(listener);
	world_end();
	remove_script();
}

static void
notify_is_not_waited_for(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);

	(void)state;
	write_script("sleep 0.05");
	world_make(port, 0);
	w.settings.notify = mem_copy_text(script);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	assert_null(strstr(read_said(), "connected 127"));
	RUN_UNTIL(3000, strstr(read_said(), "\nconnected 127.0.0.1") != NULL);
	assert_true(strncmp(read_said(), "attempting_to_connect ", 22) == 0);
	close(listener);
	world_end();
	remove_script();
}

static void
at_most_64_wait_for_notify_and_the_oldest_is_dropped(void **state)
{
	struct upstream_context context;
	struct upstream_record *record;
	struct handlers *handlers;
	struct upstream_event event = { .kind = UPSTREAM_FAILED, .address = "a", .error = "e" };

	(void)state;
	write_script("sleep 20");
	world_make(1, 0);
	w.settings.notify = mem_copy_text(script);
	record = record_of(&w.table, SERVICE);
	context = (struct upstream_context){ .loop = w.loop, .table = &w.table, .service = SERVICE, .record = record,
		.name = w.table.services[SERVICE].name, .settings = &w.settings };
	handlers = handlers_new(&context);
	for (unsigned i = 0; i < 70; i++) {
		event.failures = i;
		handlers_notify(handlers, &event);
	}
	assert_int_equal(record->counters.notify_dropped, 5);
	assert_int_equal(record->notice_next - record->notice_first, 65);
	assert_int_equal(record->notice[record->notice_first % RECORD_NOTICES].failures, 0); /* it runs */
	assert_int_equal(record->notice[(record->notice_first + 1) % RECORD_NOTICES].failures, 6);
	assert_int_equal(record->notice[(record->notice_next - 1) % RECORD_NOTICES].failures, 69);
	handlers_free(handlers);
	world_begin();
	world_end();
	remove_script();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_event_is_told_and_its_failure_changes_nothing),
		cmocka_unit_test(a_handler_that_hangs_is_killed_and_things_go_on),
		cmocka_unit_test(notify_is_not_waited_for),
		cmocka_unit_test(at_most_64_wait_for_notify_and_the_oldest_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
