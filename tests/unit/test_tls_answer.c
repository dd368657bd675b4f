/* test_tls_answer.c - the line that a client of holdfast-tls is answered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/answer.h"

static void
ok_has_all_that_is_known(void **state)
{
	char line[ANSWER_SIZE];
	struct answer answer = { .protocol = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384", .peer = "CN=db",
		.alpn = "", .expires = 86400, .own_expires = ANSWER_NO_END };
	size_t length;

	(void)state;
	length = answer_ok(&answer, line);
	assert_int_equal(length, strlen(line));
	assert_string_equal(line, "ok protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 peer=\"CN=db\" resumed=0 "
	    "alpn=\"\" expires=86400\n");
	answer.resumed = true;
	answer.expires = ANSWER_NO_END;
	answer.own_expires = -5;
	answer.alpn = "h2";
	answer_ok(&answer, line);
	assert_non_null(strstr(line, "resumed=1 alpn=\"h2\" own_expires=-5\n"));
}

static void
what_a_server_said_stays_in_its_quotes_and_in_the_line(void **state)
{
	char line[ANSWER_SIZE], peer[2001], alpn[256];
	struct answer answer = { .protocol = "TLSv1.3", .cipher = "X", .peer = "CN=a\" b\nerror", .alpn = "" };
	size_t length;

	(void)state;
	answer_ok(&answer, line);
	assert_non_null(strstr(line, "peer=\"CN=a\\x22 b\\nerror\" "));
	memset(peer, '\n', sizeof peer);
	peer[sizeof peer - 1] = '\0';
	memset(alpn, 1, sizeof alpn);
	alpn[sizeof alpn - 1] = '\0';
	answer.peer = peer;
	answer.alpn = alpn;
	length = answer_ok(&answer, line);
	assert_int_equal(length, strlen(line));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
an_error_is_a_kind_and_a_text_of_one_line(void **state)
{
	char line[ANSWER_SIZE];
	struct failure failure;
	size_t length;

	(void)state;
	assert_false(failure_set(&failure, "name", "it is for %s;\nset name", "a"));
	length = answer_error(&failure, line);
	assert_int_equal(length, strlen(line));
	assert_string_equal(line, "error name it is for a;\\x0aset name\n");
	memset(failure.text, '\n', sizeof failure.text - 1);
	failure.text[sizeof failure.text - 1] = '\0';
	length = answer_error(&failure, line);
	assert_int_equal(length, strlen(line));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ok_has_all_that_is_known),
		cmocka_unit_test(what_a_server_said_stays_in_its_quotes_and_in_the_line),
		cmocka_unit_test(an_error_is_a_kind_and_a_text_of_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
