/* test_hello.c - upstream/hello on a pair of sockets, and an upstream whose servers answer well, badly or not at
 * all. */
#include "upstream_world.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char ping[] = "PING\r\n", pong[] = "+PONG", refusal[] = "-WRONGPASS", *secret;
static struct hello_step steps[] = {
	{ .send = ping, .expect = pong, .abort_on = refusal, .timeout = CLOCK_SECOND / 5 },
	{ .send = ping, .timeout = CLOCK_SECOND },
};
static const struct hello_settings one_step = { .steps = steps, .count = 1 };
static const struct hello_settings two_steps = { .steps = steps, .count = 2 };

static int pair[2];
static unsigned calls;
static enum hello_end ended;
static char error[HELLO_ERROR_SIZE];

static void
on_end(void *arg, enum hello_end end, const char *text)
{
	(void)arg;
	calls++;
	ended = end;
	snprintf(error, sizeof error, "%s", text);
}

static struct hello *
begin(const struct hello_settings *settings)
{
	struct hello *hello;

	calls = 0;
	memset(&w, 0, sizeof w);
	w.loop = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	hello = hello_start(w.loop, pair[0], settings, NULL, on_end, NULL);
	assert_int_equal(calls, 0);
	return hello;
}

static void
run(int64_t span)
{
	for (int64_t limit = clock_now() + span; calls == 0 && clock_now() < limit;)
		world_turn();
}

static void
end(void)
{
	close(pair[0]);
	close(pair[1]);
	loop_free(w.loop);
}

static const char *
read_text(int fd)
{
	static char text[256];
	struct pollfd look = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&look, 1, 2000) == 1 ? read(fd, text, sizeof text - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
it_reads_not_a_byte_beyond_the_last_answer(void **state)
{
	(void)state;
	begin(&two_steps);
	write_text(pair[1], "+PO");
	run(20 * CLOCK_MILLISECOND);
	assert_string_equal(read_text(pair[1]), "PING\r\n");
	write_text(pair[1], "NG\r\nfor the client\n");
	run(CLOCK_SECOND);
	assert_int_equal(calls, 1);
	assert_int_equal(ended, HELLO_DONE);
	assert_string_equal(read_text(pair[1]), "PING\r\n");
	assert_string_equal(read_text(pair[0]), "for the client\n");
	end();
}

static void
a_long_text_goes_out_in_parts(void **state)
{
	static char text[60000];
	struct hello_step step = { .send = text, .expect = pong, .timeout = 20 * CLOCK_SECOND };
	struct hello_settings settings = { .steps = &step, .count = 1 };
	size_t heard = 0;
	int size = 4096;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	begin(&settings);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	for (int64_t limit = clock_now() + 20 * CLOCK_SECOND; heard < sizeof text - 1 && clock_now() < limit;) {
		world_turn();
		heard += strlen(read_text(pair[1]));
	}
	assert_int_equal(heard, sizeof text - 1);
	write_text(pair[1], "+PONG\n");
	run(CLOCK_SECOND);
	assert_int_equal(ended, HELLO_DONE);
	end();
}

static void
silence_and_a_close_are_failures(void **state)
{
	(void)state;
	begin(&one_step);
	run(CLOCK_SECOND);
	assert_int_equal(ended, HELLO_FAILED);
	assert_string_equal(error, "hello: no answer within 0.2 s");
	end();
	begin(&one_step);
	shutdown(pair[1], SHUT_WR);
	run(CLOCK_SECOND);
	assert_string_equal(error, "hello: the server closed the connection");
	end();
	begin(&one_step);
	shutdown(pair[1], SHUT_RD);
	run(CLOCK_SECOND);
	assert_string_equal(error, "hello: the server closed the connection");
	end();
}

static void
a_cancelled_one_does_not_call_back(void **state)
{
	struct hello *hello;

	(void)state;
	hello = begin(&one_step);
	hello_cancel(hello);
	hello = hello_start(w.loop, pair[0], &one_step, NULL, on_end, NULL);
	run(20 * CLOCK_MILLISECOND);
	assert_int_equal(calls, 0); /* it waits for the answer */
	hello_cancel(hello);
	hello_cancel(NULL);
	write_text(pair[1], "+PONG\n");
	run(20 * CLOCK_MILLISECOND);
	assert_int_equal(calls, 0);
	end();
}

static void
write_secret(const char *text)
{
	FILE *file = fopen(secret, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* The settings are one step that sends the file. */
static const char *
said_from(char *name)
{
	static char said[HELLO_ERROR_SIZE];
	struct hello_step step = { .send_file = name, .timeout = CLOCK_SECOND };
	struct hello_settings settings = { .steps = &step, .count = 1 };

	begin(&settings);
	run(CLOCK_SECOND);
	snprintf(said, sizeof said, "%s", ended == HELLO_DONE ? read_text(pair[1]) : error);
	end();
	return said;
}

static void
a_file_is_sent_as_it_is_and_read_each_time(void **state)
{
	(void)state;
	write_secret("AUTH secret\r\n");
	assert_string_equal(said_from(secret), "AUTH secret\r\n");
	write_secret("AUTH other\n");
	assert_string_equal(said_from(secret), "AUTH other\n");
}

static void
what_is_wrong_with_a_file_is_said(void **state)
{
	char expected[256], *wrong, *text = NULL, folder[] = "/tmp";
	size_t length;

	(void)state;
	write_secret("");
	snprintf(expected, sizeof expected, "hello: %s: is empty", secret);
	assert_string_equal(said_from(secret), expected);
	unlink(secret);
	snprintf(expected, sizeof expected, "hello: %s: No such file or directory", secret);
	assert_string_equal(said_from(secret), expected);
	assert_int_equal(mkfifo(secret, 0600), 0);
	snprintf(expected, sizeof expected, "hello: %s: is not a regular file", secret);
	assert_string_equal(said_from(secret), expected);
	assert_string_equal(said_from(folder), "hello: /tmp: is not a regular file");
	unlink(secret);
	write_secret("x");
	assert_int_equal(truncate(secret, HELLO_TEXT_MAX + 1), 0);
	wrong = hello_load(secret, &text, &length);
	snprintf(expected, sizeof expected, "%s: is larger than 64 KiB", secret);
	assert_string_equal(wrong, expected);
	mem_free(wrong);
	unlink(secret);
}

static void
a_server_that_repeats_a_secret_is_not_quoted(void **state)
{
	static char auth[] = "AUTH us3r \"s3-cret!\"\r\n";
	struct hello_step said_two[] = { { .send = auth, .timeout = CLOCK_SECOND }, steps[0] };
	struct hello_settings settings = { .steps = said_two, .count = 2 };

	(void)state;
	begin(&settings);
	write_text(pair[1], "-ERR 'us3r' 's3-cret!' us3r2 NOAUTH\n");
	run(CLOCK_SECOND);
	assert_int_equal(ended, HELLO_FAILED);
	assert_string_equal(error, "hello: expected \"+PONG\", got \"-ERR '***' '***-***!' us3r2 NOAUTH\"");
	end();
}

static void
a_credential_is_a_file_of_systemds_folder(void **state)
{
	char *name = mem_print("credential:%s", strrchr(secret, '/') + 1), *wrong, *text = NULL;
	size_t length;

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	wrong = hello_load(name, &text, &length);
	assert_non_null(strstr(wrong, ": $CREDENTIALS_DIRECTORY is not set"));
	mem_free(wrong);
	setenv("CREDENTIALS_DIRECTORY", "/tmp", 1);
	write_secret("AUTH x\n");
	assert_null(hello_load(name, &text, &length));
	assert_int_equal(length, 7);
	assert_memory_equal(text, "AUTH x\n", 7);
	mem_free(text);
	assert_string_equal(said_from(name), "AUTH x\n");
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(secret);
	mem_free(name);
}

static void
begin_upstream(uint16_t first, uint16_t second)
{
	world_make(first, second);
	w.settings.hello = one_step;
	world_begin();
}

static int
accept_hello(int listener, const char *answer)
{
	int64_t limit = clock_now() + CLOCK_SECOND;
	struct pollfd look = { .fd = listener, .events = POLLIN };
	int server;

	while (poll(&look, 1, 0) != 1 && clock_now() < limit)
		world_turn();
	server = world_accept(listener);
	look.fd = server;
	while (poll(&look, 1, 0) != 1 && clock_now() < limit)
		world_turn();
	assert_string_equal(read_text(server), "PING\r\n");
	if (answer != NULL)
		write_text(server, answer);
	return server;
}

static void
connected_comes_only_after_the_answer(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), server, fd;

	(void)state;
	begin_upstream(port, 0);
	server = accept_hello(listener, NULL);
	assert_string_equal(w.events, "Ta");
	assert_int_equal(world_status().dialling, 1);
	write_text(server, "+PONG\r\n220 hello\r\n");
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	fd = world_take();
	assert_string_equal(read_text(fd), "220 hello\r\n");
	close(fd);
	close(server);
	close(listener);
	world_end();
}

static void
p23_a_mute_server_costs_its_timeout_and_the_next_is_tried(void **state)
{
	uint16_t mute = 0, port = 0;
	int deaf = world_listen(&mute), listener = world_listen(&port), server;

	(void)state;
	begin_upstream(mute, port);
	RUN_UNTIL(1000, strcmp(w.events, "TaFa") == 0);
	assert_non_null(strstr(world_status().last_error, ": hello: no answer within 0.2 s"));
	server = accept_hello(listener, "+PONG\n");
	RUN_UNTIL(1000, strcmp(w.events, "TaFa+") == 0);
	close(server);
	close(deaf);
	close(listener);
	world_end();
}

static void
p23_a_line_of_abort_on_ends_all_attempts_if_no_other_endpoint_answers(void **state)
{
	uint16_t first = 0, second = 0;
	int listener = world_listen(&first), other = world_listen(&second), server;

	(void)state;
	begin_upstream(first, second);
	upstream_wait(w.upstream, UPSTREAM_WAIT_RESULT, world_on_answer, NULL);
	server = accept_hello(listener, "-WRONGPASS invalid\r\n");
	RUN_UNTIL(1000, world_status().state == UPSTREAM_ABORTED && strcmp(w.answer, "none") != 0);
	assert_string_equal(w.answer, "hello: the server said \"-WRONGPASS invalid\"");
	assert_string_equal(w.events, "TaFaF");
	assert_true(upstream_refuses(w.upstream));
	close(server);
	close(listener);
	close(other);
	world_end();
}

static void
p26_what_had_not_been_answered_at_a_death_is_dialled_again(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port), server;

	(void)state;
	begin_upstream(port, 0);
	server = accept_hello(listener, NULL);
	world_die();
	world_begin();
	write_text(server, "+PONG\n");
	close(server);
	server = accept_hello(listener, "+PONG\n");
	RUN_UNTIL(1000, strcmp(w.events, "+") == 0);
	assert_int_equal(world_status().failures, 0);
	close(server);
	close(listener);
	world_end();
}

static void
another_hello_ends_those_that_are_spoken(void **state)
{
	struct upstream_settings now;
	uint16_t port = 0;
	int listener = world_listen(&port), server, second;

	(void)state;
	begin_upstream(port, 0);
	server = accept_hello(listener, NULL);
	now = w.settings;
	now.hello = two_steps;
	upstream_renew(w.upstream, &now, true);
	second = accept_hello(listener, "+PONG\n");
	RUN_UNTIL(1000, strcmp(w.events, "Ta+") == 0);
	close(server);
	close(second);
	close(listener);
	world_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_reads_not_a_byte_beyond_the_last_answer),
		cmocka_unit_test(a_long_text_goes_out_in_parts),
		cmocka_unit_test(silence_and_a_close_are_failures),
		cmocka_unit_test(a_cancelled_one_does_not_call_back),
		cmocka_unit_test(a_file_is_sent_as_it_is_and_read_each_time),
		cmocka_unit_test(what_is_wrong_with_a_file_is_said),
		cmocka_unit_test(a_server_that_repeats_a_secret_is_not_quoted),
		cmocka_unit_test(a_credential_is_a_file_of_systemds_folder),
		cmocka_unit_test(connected_comes_only_after_the_answer),
		cmocka_unit_test(p23_a_mute_server_costs_its_timeout_and_the_next_is_tried),
		cmocka_unit_test(p23_a_line_of_abort_on_ends_all_attempts_if_no_other_endpoint_answers),
		cmocka_unit_test(p26_what_had_not_been_answered_at_a_death_is_dialled_again),
		cmocka_unit_test(another_hello_ends_those_that_are_spoken),
	};
	int failed;

	secret = mem_print("/tmp/holdfast-hello-%d", (int)getpid());
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(secret);
	mem_free(secret);
	return failed;
}
