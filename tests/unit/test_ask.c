/* ask_once(): one question to a daemon that answers, says nonsense, hangs up, or says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ask.h"

/* A daemon at an abstract name, which the kernel gives: one connection, one answer. */
struct fake {
	const char *answer; /* NULL: none */
	bool stays;         /* the connection, until the test ends it */
	int listener, connection;
	char path[64];
	char heard[64];
	pthread_t thread;
};

static void *
fake_serve(void *arg)
{
	struct fake *fake = arg;

	fake->connection = accept(fake->listener, NULL, NULL);
	assert_true(read(fake->connection, fake->heard, sizeof fake->heard - 1) > 0);
	if (fake->answer != NULL)
		assert_true(write(fake->connection, fake->answer, strlen(fake->answer)) > 0);
	if (!fake->stays)
		shutdown(fake->connection, SHUT_RDWR);
	return NULL;
}

static void
fake_start(struct fake *fake)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length = sizeof name;

	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&name, sizeof name.sun_family), 0);
	assert_int_equal(listen(fake->listener, 1), 0);
	assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&name, &length), 0);
	snprintf(fake->path, sizeof fake->path, "@%.*s", (int)(length - sizeof name.sun_family - 1),
	    name.sun_path + 1);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_serve, fake), 0);
}

static void
fake_end(struct fake *fake)
{
	assert_int_equal(pthread_join(fake->thread, NULL), 0);
	close(fake->connection);
	close(fake->listener);
}

static void
an_answer_is_passed_fds(void **state)
{
	struct fake fake = { .answer = "{\"ok\":true,\"n\":7}\n", .stays = true };
	json_t *answer;
	int error = -1;

	(void)state;
	fake_start(&fake);
	answer = ask_once(fake.path, "status", "a b", clock_now() + 10 * CLOCK_SECOND, &error);
	fake_end(&fake);
	assert_int_equal(error, 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "n")), 7);
	assert_string_equal(fake.heard, "status \"a b\"\n");
	json_decref(answer);
}

static void
why_there_is_no_answer_is_told(void **state)
{
	static const struct {
		const char *answer;
		bool stays;
		int error;
	} rows[] = {
		{ "no JSON\n", true, EBADMSG }, { "{\"ok\":tr", false, 0 }, { NULL, false, 0 },
		{ NULL, true, ETIMEDOUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fake fake = { .answer = rows[i].answer, .stays = rows[i].stays };
		int64_t span = rows[i].error == ETIMEDOUT ? 20 * CLOCK_MILLISECOND : 10 * CLOCK_SECOND;
		int error = -1;

		fake_start(&fake);
		assert_null(ask_once(fake.path, "status", NULL, clock_now() + span, &error));
		assert_int_equal(error, rows[i].error);
		fake_end(&fake);
		assert_string_equal(fake.heard, "status\n");
	}
}

static void
a_daemon_that_is_not_reached_is_told_from_one_that_is_silent(void **state)
{
	int error = 0;

	(void)state;
	assert_null(ask_once("/nonexistent/control.sock", "status", NULL, CLOCK_NEVER, &error));
	assert_int_equal(error, -ENOENT);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_passed_fds),
		cmocka_unit_test(why_there_is_no_answer_is_told),
		cmocka_unit_test(a_daemon_that_is_not_reached_is_told_from_one_that_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
