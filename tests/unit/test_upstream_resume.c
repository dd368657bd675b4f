/* test_upstream_resume.c - upstream/upstream after a worker's death (P26). */
#include "upstream_world.h"
#include "temporary.h"
#include "upstream/record.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct upstream *volatile dead[2]; /* so that they are not taken for leaks */

/* A worker that dies leaves the table and its files; the upstream's memory here is just forgotten. */
static void
a_new_worker_goes_on_without_an_event(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), fd;
	(void)state;
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	dead[0] = w.upstream;
	loop_free(w.loop);
	w.loop = loop_new();
	memset(w.events, 0, sizeof w.events);
	world_begin();
	RUN_UNTIL(1000, world_status().warm == 1);
	assert_int_equal(world_status().state, UPSTREAM_IS_CONNECTED);
	for (int i = 0; i < 10; i++)
		world_turn();
	assert_string_equal(w.events, "");
	assert_int_equal(world_status().counters.connects, 1);
	close(world_accept(listener));
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING); /* still watched: a young end */
	assert_string_equal(w.events, "-");
	fd = world_take();
	assert_int_equal(fd, -1);
	close(listener);
	world_end();
}

/* The retry delay goes on running. */
static void
a_new_worker_keeps_the_retry_delay(void **state)
{
	uint16_t port = 0;
	int64_t next;
	int listener = world_listen(&port);

	(void)state;
	close(listener);
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	next = world_status().next_attempt;
	dead[1] = w.upstream;
	loop_free(w.loop);
	w.loop = loop_new();
	memset(w.events, 0, sizeof w.events);
	world_begin();
	for (int i = 0; i < 10; i++)
		world_turn();
	assert_int_equal(world_status().next_attempt, next);
	assert_string_equal(w.events, "");
	assert_int_equal(world_status().counters.attempts, 1);
	world_end();
}

/* A worker in a child is killed while its handler runs: the next one runs it again, and the attempt goes on. */
static void
a_killed_workers_handler_runs_again(void **state)
{
	char script[TEMPORARY_SIZE], text[256], log[TEMPORARY_SIZE + 8];
	int file = mkstemp(temporary_name(script)), status_of, length;
	uint16_t port = 0;
	int listener = world_listen(&port);
	struct stat written = { 0 };
	FILE *lines;
	pid_t child;

	(void)state;
	snprintf(log, sizeof log, "%s.log", script);
	length = snprintf(text, sizeof text, "#!/bin/sh\necho $1 $HOLDFAST_EVENT >>%s\n[ -e %s.go ] || sleep 20\n",
	    log, script);
	assert_int_equal(write(file, text, (size_t)length), length);
	fchmod(file, 0700);
	close(file);
	world_make(port, 0);
	w.settings.on_event = mem_copy_text(script);
	w.settings.on_event_timeout = 30 * CLOCK_SECOND;
	child = fork();
	if (child == 0) {
		event_reinit(w.loop);
		world_begin();
		while (stat(log, &written) == -1 || written.st_size == 0 ||
		    w.table.services[SERVICE].groups[TABLE_GROUP_HANDLER] == 0)
			world_turn();
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status_of, 0), child);
	snprintf(text, sizeof text, "%s.go", script);
	close(open(text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	world_begin();
	RUN_UNTIL(3000, world_status().warm == 1);
	assert_string_equal(w.events, "a+"); /* attempting_to_connect was told by the dead one */
	RUN_UNTIL(3000, w.table.services[SERVICE].groups[TABLE_GROUP_HANDLER] == 0);
	lines = fopen(log, "re");
	assert_non_null(lines);
	assert_int_equal(fread(text, 1, sizeof text - 1, lines) > 60, 1);
	assert_true(strncmp(text, "attempting_to_connect attempting_to_connect\nattempting_to_connect ", 66) == 0);
	fclose(lines);
	snprintf(text, sizeof text, "%s.go", script);
	unlink(text);
	unlink(log);
	unlink(script);
	close(listener);
	world_end();
}

/* An interface may come and go: its name, not its number, is what outlives a worker. */
static void
an_endpoint_keeps_its_interface(void **state)
{
	static struct endpoints endpoints;
	char text[ADDRESS_TEXT_SIZE];
	struct address again;
	struct endpoint_listed listed = { .weight = 1 };

	(void)state;
	assert_null(address_parse("[fe80::1%eth0]:22", &listed.address));
	endpoints_list(&endpoints, &listed, 1, CLOCK_SECOND);
	endpoint_address(&endpoints.list[0], &again);
	address_format(&again, text);
	assert_string_equal(text, "[fe80::1%eth0]:22");
	assert_true(address_equal(&listed.address, &again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_worker_goes_on_without_an_event),
		cmocka_unit_test(a_new_worker_keeps_the_retry_delay),
		cmocka_unit_test(a_killed_workers_handler_runs_again),
		cmocka_unit_test(an_endpoint_keeps_its_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
