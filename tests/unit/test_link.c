/* test_link.c - upstream/link against real loopback listeners, with a table of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/link.h"
#include "upstream/record.h"

#define SERVICE 3

/* A service, and what its link said. */
struct world {
	struct event_base *loop;
	struct table table;
	struct link_settings settings;
	struct link *link;
	char *addresses[3];
	char events[512];   /* letters: T a F + -, in order */
	char error[512];    /* of the last event */
	unsigned ready;
	const char *answer; /* of a waiter: "none" before, "connected", or the error */
	char answer_text[512];
};

static struct world w;
static struct link *dead[2]; /* so that they are not taken for leaks */

static void
on_event(void *arg, const struct link_event *event)
{
	static const char letters[] = "TaF+-";
	size_t length = strlen(w.events);

	(void)arg;
	if (length + 1 < sizeof w.events)
		w.events[length] = letters[event->kind];
	snprintf(w.error, sizeof w.error, "%s", event->error);
}

static void
on_ready(void *arg)
{
	(void)arg;
	w.ready++;
}

static const struct link_callbacks callbacks = { .event = on_event, .ready = on_ready };

/* A listener on a free port, or on the one given. */
static int
open_listener(uint16_t *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(*port) };
	socklen_t length = sizeof name;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd != -1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	*port = ntohs(name.sin_port);
	return fd;
}

/* Accepts, waiting a while. */
static int
accept_one(int listener)
{
	struct pollfd look = { .fd = listener, .events = POLLIN };

	assert_int_equal(poll(&look, 1, 2000), 1);
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* Runs the loop until the condition holds, at most so many milliseconds. */
#define RUN_UNTIL(ms, condition) \
	do { \
		int64_t end_ = clock_now() + (ms) * CLOCK_MILLISECOND; \
		while (!(condition) && clock_now() < end_) \
			turn(); \
		if (!(condition)) \
			fail_msg("not within %d ms: %s; events %s, state %s, error %s", (int)(ms), #condition, w.events, \
			    link_state_name(status().state), status().last_error); \
	} while (0)

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* One turn of the loop, of 5 ms at most. */
static void
turn(void)
{
	struct timeval tv = { .tv_usec = 5000 };

	event_base_once(w.loop, -1, EV_TIMEOUT, on_tick, NULL, &tv);
	event_base_loop(w.loop, EVLOOP_ONCE);
}

static struct link_status
status(void)
{
	struct link_status s;

	link_get_status(w.link, &s);
	return s;
}

static void
make_world(uint16_t first, uint16_t second)
{
	memset(&w, 0, sizeof w);
	w.answer = "none";
	w.loop = loop_new();
	assert_int_equal(table_new(1000, &w.table), 0);
	table_derive(&w.table);
	w.table.header->next_id = 1;
	strcpy(w.table.services[SERVICE].name, "test");
	w.addresses[0] = mem_print("127.0.0.1:%u", first);
	if (second != 0)
		w.addresses[1] = mem_print("127.0.0.1:%u", second);
	w.settings.lookup.addresses = w.addresses;
	w.settings.lookup.timeout = CLOCK_SECOND;
	w.settings.dial.connect_timeout = CLOCK_SECOND;
	w.settings.on_event_timeout = 3 * CLOCK_SECOND;
	w.settings.pconn = (struct pconn_settings){ .delay = 10 * CLOCK_SECOND, .jitter = 0.3, .factor = 1,
		.max = 60 * CLOCK_SECOND, .spread = CLOCK_SECOND, .hold_retry = CLOCK_SECOND / 4, .warm = 1 };
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
}

static void
begin(void)
{
	w.link = link_new(w.loop, &w.table, SERVICE, &w.settings, &callbacks, &w);
}

static void
end_world(void)
{
	link_free(w.link);
	turn();
	for (uint32_t i = 1; i < w.table.header->session_high; i++)
		assert_int_equal(table_session_state(&w.table, i), TABLE_FREE);
	event_base_free(w.loop);
	table_free(&w.table);
	mem_free(w.addresses[0]);
	mem_free(w.addresses[1]);
	mem_free(w.settings.on_event);
	mem_free(w.settings.notify);
}

/* What a service does with a connection: its session names the file. */
static int
take(void)
{
	uint32_t spare;
	int fd = link_take(w.link, &spare);

	if (fd != -1)
		link_taken(w.link, spare);
	return fd;
}

static void
on_answer(void *arg, const char *error)
{
	(void)arg;
	snprintf(w.answer_text, sizeof w.answer_text, "%s", error == NULL ? "connected" : error);
	w.answer = w.answer_text;
}

static void
it_connects_eagerly_and_refills_what_is_taken(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), first, second, fd;

	(void)state;
	make_world(port, 0);
	begin();
	assert_int_equal(status().state, LINK_CONNECTING);
	RUN_UNTIL(1000, status().warm == 1);
	assert_string_equal(w.events, "Ta+");
	assert_true(status().up && w.ready > 0);
	first = accept_one(listener);
	fd = take();
	assert_true(fd != -1);
	assert_int_equal(take(), -1);
	RUN_UNTIL(1000, status().warm == 1);
	second = accept_one(listener);
	assert_string_equal(w.events, "Ta+");
	assert_int_equal(write(first, "x", 1), 1);
	close(fd);
	close(first);
	close(second);
	close(listener);
	end_world();
}

static void
a_refused_dial_fails_and_waiters_are_told(void **state)
{
	uint16_t port = 0;
	char expected[128];
	int listener = open_listener(&port);

	(void)state;
	close(listener);
	make_world(port, 0);
	begin();
	link_try(w.link, on_answer, NULL);
	link_waiter_cancel(link_wait(w.link, on_answer, NULL));
	RUN_UNTIL(1000, status().state == LINK_WAITING && strcmp(w.answer, "none") != 0);
	snprintf(expected, sizeof expected, "dial 127.0.0.1:%u: Connection refused", port);
	assert_string_equal(w.answer, expected);
	assert_string_equal(w.events, "TaF");
	assert_string_equal(w.error, "Connection refused");
	assert_string_equal(status().last_error, expected);
	assert_true(status().next_attempt > clock_now() + 6 * CLOCK_SECOND);
	assert_int_equal(status().failures, 1);
	assert_true(status().down_since != 0);
	end_world();
}

static void
a_held_client_hastens_attempts(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port);
	int64_t begun;

	(void)state;
	close(listener);
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().state == LINK_WAITING);
	link_set_held(w.link, 1);
	begun = clock_now();
	while (clock_now() < begun + 300 * CLOCK_MILLISECOND)
		turn();
	listener = open_listener(&port);
	RUN_UNTIL(300, status().warm == 1);
	assert_string_equal(w.events, "TaF+");
	link_set_held(w.link, 0);
	close(listener);
	end_world();
}

static void
the_next_candidate_is_tried_at_once(void **state)
{
	uint16_t silent = 0, port = 0;
	int listener = open_listener(&silent);

	(void)state;
	close(listener);
	listener = open_listener(&port);
	make_world(silent, port);
	begin();
	link_wait(w.link, on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_string_equal(w.events, "TaFa+");
	close(listener);
	end_world();
}

static void
a_crowd_is_dialled_for_side_by_side(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), fds[100];

	(void)state;
	make_world(port, 0);
	begin();
	link_set_held(w.link, 100);
	for (unsigned got = 0; got < 100;) {
		RUN_UNTIL(1000, status().warm > 0);
		assert_true(status().dialling <= 64);
		while (got < 100 && (fds[got] = take()) != -1)
			link_set_held(w.link, 100 - ++got);
	}
	RUN_UNTIL(1000, status().warm == 1 && status().dialling == 0);
	assert_string_equal(w.events, "Ta+");
	for (unsigned i = 0; i < 100; i++)
		close(fds[i]);
	close(listener);
	end_world();
}

static void
the_death_of_one_copy_costs_no_delay(void **state)
{
	uint16_t first = 0, second = 0;
	int a = open_listener(&first), b = open_listener(&second), warm;
	int64_t begun;

	(void)state;
	make_world(first, second);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	warm = accept_one(a);
	close(a);
	close(warm);
	begun = clock_now();
	RUN_UNTIL(50, status().warm == 1 && strcmp(status().address, w.addresses[1]) == 0);
	assert_true(clock_now() - begun < 50 * CLOCK_MILLISECOND);
	assert_string_equal(w.events, "Ta+"); /* P27: no event */
	close(b);
	end_world();
}

static void
a_young_end_is_a_failed_attempt_and_says_what_was_said(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), fd;

	(void)state;
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	fd = accept_one(listener);
	assert_int_equal(write(fd, "421 busy\r\n", 10), 10);
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(status().warm, 1); /* who speaks first is fine */
	close(fd);
	RUN_UNTIL(1000, status().state == LINK_WAITING);
	assert_string_equal(w.events, "Ta+-");
	assert_non_null(strstr(w.error, "it said \"421 busy\\r\\n\""));
	assert_int_equal(status().failures, 1);
	close(listener);
	end_world();
}

static void
what_the_server_said_first_is_the_clients(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), there, here;
	char got[16];

	(void)state;
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	there = accept_one(listener);
	assert_int_equal(write(there, "hello", 5), 5);
	for (int i = 0; i < 10; i++)
		turn();
	here = take();
	assert_true(here != -1);
	assert_int_equal(recv(here, got, sizeof got, MSG_DONTWAIT), 5);
	close(here);
	close(there);
	close(listener);
	end_world();
}

static void
close_drops_and_open_begins_anew(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port);

	(void)state;
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	link_close(w.link);
	assert_true(link_refuses(w.link));
	assert_int_equal(take(), -1);
	link_wait_closed(w.link, on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "connected") == 0);
	assert_int_equal(status().state, LINK_CLOSED);
	assert_int_equal(status().warm, 0);
	assert_string_equal(w.events, "Ta+-");
	w.answer = "none";
	link_wait(w.link, on_answer, NULL);
	RUN_UNTIL(1000, strcmp(w.answer, "persistent connection closed") == 0);
	link_open(w.link);
	assert_false(link_refuses(w.link));
	RUN_UNTIL(1000, status().warm == 1);
	link_drain(w.link);
	RUN_UNTIL(1000, status().state == LINK_DRAINED);
	assert_string_equal(w.events, "Ta+-Ta+-");
	close(listener);
	end_world();
}

static void
reconnect_drops_and_dials_at_once(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port);

	(void)state;
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	link_reconnect(w.link);
	RUN_UNTIL(1000, strcmp(w.events, "Ta+-Ta+") == 0);
	assert_string_equal(w.error, "");
	close(listener);
	end_world();
}

static void
with_warm_0_nothing_is_dialled_before_a_client(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), fd;
	struct pollfd look = { .fd = listener, .events = POLLIN };

	(void)state;
	make_world(port, 0);
	w.settings.pconn.warm = 0;
	begin();
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(status().state, LINK_IDLE);
	assert_int_equal(poll(&look, 1, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		link_set_held(w.link, 1);
		RUN_UNTIL(1000, status().warm == 1);
		fd = take();
		assert_true(fd != -1);
		link_set_held(w.link, 0);
		close(fd);
		for (int j = 0; j < 10; j++)
			turn();
		assert_int_equal(status().warm, 0);
	}
	assert_string_equal(w.events, "Ta+");
	close(listener);
	end_world();
}

static void
one_that_is_too_old_is_not_given_away(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), fd;

	(void)state;
	make_world(port, 0);
	w.settings.warm_max_age = 20 * CLOCK_MILLISECOND;
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	for (int i = 0; i < 6; i++)
		turn();
	link_set_held(w.link, 1);
	assert_int_equal(take(), -1);
	RUN_UNTIL(1000, status().warm == 1);
	fd = take();
	assert_true(fd != -1);
	assert_string_equal(w.events, "Ta+");
	close(fd);
	close(listener);
	end_world();
}

/* A worker that dies leaves the table and its files; the link's memory here is just forgotten. */
static void
a_new_worker_goes_on_without_an_event(void **state)
{
	uint16_t port = 0;
	int listener = open_listener(&port), fd;
	(void)state;
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	dead[0] = w.link;
	event_base_free(w.loop);
	w.loop = loop_new();
	memset(w.events, 0, sizeof w.events);
	begin();
	RUN_UNTIL(1000, status().warm == 1);
	assert_int_equal(status().state, LINK_IS_CONNECTED);
	for (int i = 0; i < 10; i++)
		turn();
	assert_string_equal(w.events, "");
	assert_int_equal(status().connects, 1);
	close(accept_one(listener));
	RUN_UNTIL(1000, status().state == LINK_WAITING); /* still watched: a young end */
	assert_string_equal(w.events, "-");
	fd = take();
	assert_int_equal(fd, -1);
	close(listener);
	end_world();
}

/* The retry delay goes on running. */
static void
a_new_worker_keeps_the_retry_delay(void **state)
{
	uint16_t port = 0;
	int64_t next;
	int listener = open_listener(&port);

	(void)state;
	close(listener);
	make_world(port, 0);
	begin();
	RUN_UNTIL(1000, status().state == LINK_WAITING);
	next = status().next_attempt;
	dead[1] = w.link;
	event_base_free(w.loop);
	w.loop = loop_new();
	memset(w.events, 0, sizeof w.events);
	begin();
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(status().next_attempt, next);
	assert_string_equal(w.events, "");
	assert_int_equal(status().attempts, 1);
	end_world();
}

/* A worker in a child is killed while its handler runs: the next one runs it again, and the attempt goes on. */
static void
a_killed_workers_handler_runs_again(void **state)
{
	char script[] = "/tmp/holdfast-test-XXXXXX", text[256], log[64];
	int file = mkstemp(script), status_of, length;
	uint16_t port = 0;
	int listener = open_listener(&port);
	FILE *lines;
	pid_t child;

	(void)state;
	snprintf(log, sizeof log, "%s.log", script);
	length = snprintf(text, sizeof text, "#!/bin/sh\necho $1 $HOLDFAST_EVENT >>%s\n[ -e %s.go ] || sleep 20\n", log,
	    script);
	assert_int_equal(write(file, text, (size_t)length), length);
	fchmod(file, 0700);
	close(file);
	make_world(port, 0);
	w.settings.on_event = mem_copy_text(script);
	w.settings.on_event_timeout = 30 * CLOCK_SECOND;
	child = fork();
	if (child == 0) {
		event_reinit(w.loop);
		begin();
		while (access(log, F_OK) == -1 || w.table.services[SERVICE].groups[TABLE_GROUP_HANDLER] == 0)
			turn();
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status_of, 0), child);
	snprintf(text, sizeof text, "%s.go", script);
	close(open(text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	begin();
	RUN_UNTIL(3000, status().warm == 1);
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
	end_world();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_connects_eagerly_and_refills_what_is_taken),
		cmocka_unit_test(a_refused_dial_fails_and_waiters_are_told),
		cmocka_unit_test(a_held_client_hastens_attempts),
		cmocka_unit_test(the_next_candidate_is_tried_at_once),
		cmocka_unit_test(a_crowd_is_dialled_for_side_by_side),
		cmocka_unit_test(the_death_of_one_copy_costs_no_delay),
		cmocka_unit_test(a_young_end_is_a_failed_attempt_and_says_what_was_said),
		cmocka_unit_test(what_the_server_said_first_is_the_clients),
		cmocka_unit_test(close_drops_and_open_begins_anew),
		cmocka_unit_test(reconnect_drops_and_dials_at_once),
		cmocka_unit_test(with_warm_0_nothing_is_dialled_before_a_client),
		cmocka_unit_test(one_that_is_too_old_is_not_given_away),
		cmocka_unit_test(a_new_worker_goes_on_without_an_event),
		cmocka_unit_test(a_new_worker_keeps_the_retry_delay),
		cmocka_unit_test(a_killed_workers_handler_runs_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
