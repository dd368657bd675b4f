/* test_tls_starttls.c - what is said before TLS begins, and what a server may answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/starttls.h"

static const char agreed[] = "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
static const char agreed_long[] =
    "\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00";

static enum starttls_verdict
hear(enum starttls_kind kind, const char *bytes, size_t length)
{
	const char *error = NULL;
	enum starttls_verdict verdict = starttls_hear(kind, (const uint8_t *)bytes, length, &error);

	assert_true((verdict == STARTTLS_REFUSED) == (error != NULL));
	return verdict;
}

static void
postgresql_answers_one_byte(void **state)
{
	(void)state;
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "", 0), STARTTLS_MORE);
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "S", 1), STARTTLS_AGREED);
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "N", 1), STARTTLS_REFUSED);
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "E", 1), STARTTLS_REFUSED);
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "-", 1), STARTTLS_REFUSED);
}

static void
bytes_in_the_clear_behind_the_answer_refuse(void **state)
{
	char more[sizeof agreed + 1];

	(void)state;
	assert_int_equal(hear(STARTTLS_POSTGRESQL, "SR", 2), STARTTLS_REFUSED);
	memcpy(more, agreed, sizeof agreed);
	more[sizeof agreed - 1] = 'x';
	assert_int_equal(hear(STARTTLS_LDAP, more, sizeof agreed), STARTTLS_REFUSED);
}

static void
ldap_agrees_at_the_last_byte_of_its_answer(void **state)
{
	(void)state;
	for (size_t part = 0; part < sizeof agreed - 1; part++)
		assert_int_equal(hear(STARTTLS_LDAP, agreed, part), STARTTLS_MORE);
	assert_int_equal(hear(STARTTLS_LDAP, agreed, sizeof agreed - 1), STARTTLS_AGREED);
	for (size_t part = 0; part < sizeof agreed_long - 1; part++)
		assert_int_equal(hear(STARTTLS_LDAP, agreed_long, part), STARTTLS_MORE);
	assert_int_equal(hear(STARTTLS_LDAP, agreed_long, sizeof agreed_long - 1), STARTTLS_AGREED);
}

static void
ldap_that_refuses_or_is_none_refuses(void **state)
{
	static const char refused[] = "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00";

	(void)state;
	assert_int_equal(hear(STARTTLS_LDAP, refused, sizeof refused - 1), STARTTLS_REFUSED);
	assert_int_equal(hear(STARTTLS_LDAP, "220 smtp", 8), STARTTLS_REFUSED);
	assert_int_equal(hear(STARTTLS_LDAP, "\x30\x80", 2), STARTTLS_REFUSED);
	assert_int_equal(hear(STARTTLS_LDAP, "\x30\x84\xff\xff\xff\xff\x02\x01\x01\x78\x07\x0a\x01\x00", 14),
	    STARTTLS_REFUSED);
}

static void
requests_are_those_of_the_protocols(void **state)
{
	size_t length;
	const uint8_t *bytes = starttls_request(STARTTLS_POSTGRESQL, &length);

	(void)state;
	assert_int_equal(length, 8);
	assert_memory_equal(bytes, "\0\0\0\x08\x04\xd2\x16\x2f", 8);
	bytes = starttls_request(STARTTLS_LDAP, &length);
	assert_int_equal(length, bytes[1] + 2);
}

static void
names_are_known_or_none(void **state)
{
	(void)state;
	assert_int_equal(starttls_find("postgresql"), STARTTLS_POSTGRESQL);
	assert_int_equal(starttls_find("ldap"), STARTTLS_LDAP);
	assert_int_equal(starttls_find("mysql"), STARTTLS_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(postgresql_answers_one_byte),
		cmocka_unit_test(bytes_in_the_clear_behind_the_answer_refuse),
		cmocka_unit_test(ldap_agrees_at_the_last_byte_of_its_answer),
		cmocka_unit_test(ldap_that_refuses_or_is_none_refuses),
		cmocka_unit_test(requests_are_those_of_the_protocols),
		cmocka_unit_test(names_are_known_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
