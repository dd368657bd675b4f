/* test_probe_talk.c - what servers' answers to a probe mean, at any length of what has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream/probe_talk.h"

#define ANSWER(...) (const unsigned char *)(__VA_ARGS__), sizeof(__VA_ARGS__) - 1

struct row {
	enum probe_kind kind;
	const unsigned char *answer;
	size_t length;
	const char *why; /* NULL: ready */
};

static const struct row rows[] = {
	{ PROBE_POSTGRESQL, ANSWER("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"), NULL },
	{ PROBE_POSTGRESQL, ANSWER("R\0\0\0\x08\0\0\0\0"), NULL },
	{ PROBE_POSTGRESQL, ANSWER("E\0\0\0\x3aSFATAL\0C57P03\0Mthe database system is starting up\0Fx\0\0"),
	    "the server said \"the database system is starting up\"" },
	{ PROBE_POSTGRESQL, ANSWER("E\0\0\0\x20SFATAL\0C57P01\0Mterminating\0\0"),
	    "the server said \"terminating\"" },
	{ PROBE_POSTGRESQL, ANSWER("E\0\0\0\x1cSFATAL\0C28000\0Mno role\0\0"), NULL },
	{ PROBE_POSTGRESQL, ANSWER("E\0\0\0\x1eSFATAL\0C53300\0Mtoo many.\0\0"), NULL },
	{ PROBE_POSTGRESQL, ANSWER("Ecould not fork\n"), "the server said \"Ecould not fork\\n\"" },
	{ PROBE_POSTGRESQL, ANSWER("HTTP/1.1 400 Bad Request\r\n"),
	    "the server said \"HTTP/1.1 400 Bad Request\\r\\n\"" },
	{ PROBE_REDIS, ANSWER("+PONG\r\n"), NULL },
	{ PROBE_REDIS, ANSWER("-NOAUTH Authentication required.\r\n"), NULL },
	{ PROBE_REDIS, ANSWER("-NOPERM this user has no permissions\r\n"), NULL },
	{ PROBE_REDIS, ANSWER("-MISCONF Redis is configured to save\r\n"), NULL },
	{ PROBE_REDIS, ANSWER("-LOADING Redis is loading\r\n"), "the server said \"-LOADING Redis is loading\"" },
	{ PROBE_REDIS, ANSWER("-MASTERDOWN Upstream with MASTER is down\r\n"),
	    "the server said \"-MASTERDOWN Upstream with MASTER is down\"" },
	{ PROBE_REDIS, ANSWER("-BUSY Redis is busy\r\n"), "the server said \"-BUSY Redis is busy\"" },
	{ PROBE_REDIS, ANSWER("-ERR max number of clients reached\r\n"),
	    "the server said \"-ERR max number of clients reached\"" },
	{ PROBE_MYSQL, ANSWER("\x0a\0\0\0\x0a" "5.5.5\0\1\0\0"), NULL },
	{ PROBE_MYSQL, ANSWER("\x1d\0\0\0\xff\x10\x04#08004Too many connections"),
	    "the server said \"Too many connections\"" },
	{ PROBE_MYSQL, ANSWER("\x0a\0\0\0\xff\x69\x04" "blocked"), "the server said \"blocked\"" },
	{ PROBE_MYSQL, ANSWER("SSH-2.0-x\r\n"), "the server said \"SSH-2.0-x\\r\\n\"" },
	{ PROBE_HTTP, ANSWER("HTTP/1.1 200 OK\r\n\r\n"), NULL },
	{ PROBE_HTTP, ANSWER("HTTP/1.0 404 Not Found\r\n\r\n"), NULL },
	{ PROBE_HTTP, ANSWER("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
	    "the server said \"HTTP/1.1 503 Service Unavailable\"" },
	{ PROBE_HTTP, ANSWER("220 mail\r\n"), "the server said \"220 mail\\r\\n\"" },
};

static enum probe_result
judge(const struct row *row, size_t length, size_t *ret_taken, char why[PROBE_WHY_SIZE])
{
	why[0] = '\0';
	return probe_judge(row->kind, row->answer, length, ret_taken, why);
}

static void
every_answer_means_what_its_protocol_says(void **state)
{
	char why[PROBE_WHY_SIZE];
	size_t taken;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum probe_result result = judge(&rows[i], rows[i].length, &taken, why);

		assert_int_equal(result, rows[i].why == NULL ? PROBE_READY : PROBE_NOT_READY);
		assert_string_equal(why, rows[i].why == NULL ? "" : rows[i].why);
	}
}

static void
what_has_come_so_far_is_never_judged_otherwise_than_the_whole(void **state)
{
	enum probe_result whole, part;
	char why[PROBE_WHY_SIZE];
	size_t taken;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		whole = judge(&rows[i], rows[i].length, &taken, why);
		for (size_t length = 0; length < rows[i].length; length++) {
			part = judge(&rows[i], length, &taken, why);
			assert_true(part == PROBE_MORE || part == whole);
			assert_true(part != PROBE_MORE || taken == 0);
		}
	}
}

static void
redis_answer_alone_is_taken_and_mysql_greeting_left_to_the_client(void **state)
{
	static const struct row pong = { PROBE_REDIS, ANSWER("+PONG\r\n+OK\r\n"), NULL };
	char why[PROBE_WHY_SIZE];
	size_t taken;

	(void)state;
	assert_int_equal(judge(&pong, pong.length, &taken, why), PROBE_READY);
	assert_int_equal(taken, 7);
	assert_int_equal(judge(&rows[16], rows[16].length, &taken, why), PROBE_READY);
	assert_int_equal(rows[16].kind, PROBE_MYSQL);
	assert_int_equal(taken, 0);
}

static void
requests_are_those_of_the_protocols(void **state)
{
	static char health[] = "/health";
	const struct probe_settings http = { PROBE_HTTP, health }, postgresql = { .kind = PROBE_POSTGRESQL },
	    mysql = { .kind = PROBE_MYSQL };
	char text[PROBE_TEXT_SIZE];
	size_t length = probe_request(&http, "10.0.0.1:8080", text);

	(void)state;
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, "GET /health HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: holdfast\r\n"
	    "Connection: close\r\n\r\n");
	length = probe_request(&postgresql, "10.0.0.1:5432", text);
	assert_int_equal(text[3], length);
	assert_memory_equal(text + 4, "\0\3\0\0user\0holdfast\0", 18);
	assert_int_equal(text[length - 1], 0);
	assert_int_equal(text[length - 2], 0);
	assert_int_equal(probe_request(&mysql, "10.0.0.1:3306", text), 0);
}

static void
a_session_that_has_begun_is_ended_and_a_log_in_is_not(void **state)
{
	char text[PROBE_TEXT_SIZE];

	(void)state;
	assert_int_equal(probe_farewell(PROBE_POSTGRESQL, rows[1].answer, rows[1].length, text), 5);
	assert_int_equal(text[0], 'X');
	assert_int_equal(probe_farewell(PROBE_POSTGRESQL, rows[0].answer, rows[0].length, text), 0);
	assert_int_equal(probe_farewell(PROBE_HTTP, rows[20].answer, rows[20].length, text), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_means_what_its_protocol_says),
		cmocka_unit_test(what_has_come_so_far_is_never_judged_otherwise_than_the_whole),
		cmocka_unit_test(redis_answer_alone_is_taken_and_mysql_greeting_left_to_the_client),
		cmocka_unit_test(requests_are_those_of_the_protocols),
		cmocka_unit_test(a_session_that_has_begun_is_ended_and_a_log_in_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
