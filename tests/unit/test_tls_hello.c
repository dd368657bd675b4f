/* test_tls_hello.c - a session asked of holdfast-tls, which answers in pieces, oddly, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "stage.h"
#include "upstream/tls_hello.h"

static struct tls_settings settings = { .verify = TLS_VERIFY_CA };
static int pair[2];
static bool done;
static enum tls_verdict verdict;
static struct tls_session session;
static char error[TLS_ERROR_SIZE];

static void
on_end(void *arg, enum tls_verdict how, const struct tls_session *what, const char *text)
{
	(void)arg;
	assert_false(done);
	done = true;
	verdict = how;
	session = *what;
	snprintf(error, sizeof error, "%s", text);
}

static struct tls_hello *
begin(int64_t timeout)
{
	struct tls_hello *hello;
	struct address address;

	assert_null(address_parse("10.0.0.1:5432", &address));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	done = false;
	hello = tls_hello_start(stage_loop, pair[0], &settings, "s",
	    &(struct tls_server){ .address = &address }, timeout, on_end, NULL);
	assert_false(done);
	return hello;
}

static void
say(const char *text)
{
	assert_int_equal(send(pair[1], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void
hear_header(void)
{
	char bytes[TLS_HEADER_MAX];
	ssize_t n;

	stage_idle(1000);
	n = recv(pair[1], bytes, sizeof bytes, 0);
	assert_true(n > 0);
	assert_memory_equal(bytes + n - 2, "\n\n", 2);
	assert_memory_equal(bytes, "holdfast-tls 1\n", 15);
}

static void
end(void)
{
	close(pair[0]);
	close(pair[1]);
}

static void
an_answer_byte_by_byte_is_one_and_what_follows_is_left(void **state)
{
	static const char line[] = "ok protocol=TLSv1.3 peer=\"CN=x\" resumed=1\n";
	char rest[16];

	(void)state;
	begin(CLOCK_SECOND);
	hear_header();
	for (const char *c = line; c[1] != '\0'; c++) {
		assert_int_equal(send(pair[1], c, 1, 0), 1);
		stage_idle(0);
		assert_false(done);
	}
	say("\nhello");
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(verdict, TLS_OPEN);
	assert_string_equal(error, "");
	assert_string_equal(session.protocol, "TLSv1.3");
	assert_true(session.resumed);
	assert_int_equal(recv(pair[0], rest, sizeof rest, 0), 5);
	assert_memory_equal(rest, "hello", 5);
	end();
}

static void
who_is_not_let_in_hears_why_though_nobody_reads_its_header(void **state)
{
	(void)state;
	begin(CLOCK_SECOND);
	say("error limit too many sessions\n");
	close(pair[1]);
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(verdict, TLS_LOCAL);
	assert_string_equal(error, "tls: too many sessions");
	close(pair[0]);
}

static void
an_end_without_an_answer_is_told(void **state)
{
	(void)state;
	begin(CLOCK_SECOND);
	hear_header();
	say("ok");
	close(pair[1]);
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(verdict, TLS_LOCAL);
	assert_string_equal(error, "tls: holdfast-tls ended before it answered; its log says why");
	close(pair[0]);
}

static void
a_line_without_an_end_is_no_answer(void **state)
{
	char bytes[TLS_LINE_MAX + 1];

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	bytes[sizeof bytes - 1] = '\0';
	begin(CLOCK_SECOND);
	hear_header();
	say(bytes);
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(verdict, TLS_LOCAL);
	assert_string_equal(error, "tls: what answers is not holdfast-tls; check tls.socket");
	end();
}

static void
silence_is_given_up_a_second_after_the_time_out(void **state)
{
	int64_t begun = clock_now();

	(void)state;
	begin(1000);
	hear_header();
	assert_true(stage_run(&done, 5 * CLOCK_SECOND));
	assert_true(clock_now() - begun >= CLOCK_SECOND);
	assert_int_equal(verdict, TLS_LOCAL);
	assert_string_equal(error, "tls: holdfast-tls does not answer; its log says why");
	end();
}

static void
one_that_is_cancelled_calls_nobody(void **state)
{
	struct tls_hello *hello = begin(CLOCK_SECOND);

	(void)state;
	tls_hello_cancel(hello);
	say("ok\n");
	stage_idle(1000);
	assert_false(done);
	hello = begin(CLOCK_SECOND);
	hear_header();
	tls_hello_cancel(hello);
	tls_hello_cancel(NULL);
	end();
}

static void
settings_that_are_too_long_are_told_at_once(void **state)
{
	char path[TLS_HEADER_MAX];

	(void)state;
	memset(path, '/', sizeof path);
	path[sizeof path - 1] = '\0';
	settings.ca = path;
	begin(60 * CLOCK_SECOND);
	settings.ca = NULL;
	assert_true(stage_run(&done, CLOCK_SECOND));
	assert_int_equal(verdict, TLS_LOCAL);
	assert_string_equal(error, "tls: the settings are longer than holdfast-tls takes, 8 KiB; use shorter paths");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_byte_by_byte_is_one_and_what_follows_is_left),
		cmocka_unit_test(who_is_not_let_in_hears_why_though_nobody_reads_its_header),
		cmocka_unit_test(an_end_without_an_answer_is_told),
		cmocka_unit_test(a_line_without_an_end_is_no_answer),
		cmocka_unit_test(silence_is_given_up_a_second_after_the_time_out),
		cmocka_unit_test(one_that_is_cancelled_calls_nobody),
		cmocka_unit_test(settings_that_are_too_long_are_told_at_once),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
