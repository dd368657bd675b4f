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
hear_step(enum starttls_kind kind, unsigned step, const char *bytes, size_t length)
{
	const char *error = NULL;
	enum starttls_verdict verdict = starttls_hear(kind, step, (const uint8_t *)bytes, length, &error);

	assert_true((verdict == STARTTLS_REFUSED) == (error != NULL));
	return verdict;
}

static enum starttls_verdict
hear(enum starttls_kind kind, const char *bytes, size_t length)
{
	return hear_step(kind, 0, bytes, length);
}

/* Nothing is decided before the last byte, which decides this. */
static void
assert_heard(enum starttls_kind kind, unsigned step, const char *text, enum starttls_verdict verdict)
{
	size_t length = strlen(text);

	for (size_t part = 0; part < length; part++)
		assert_int_equal(hear_step(kind, step, text, part), STARTTLS_MORE);
	assert_int_equal(hear_step(kind, step, text, length), verdict);
}

/* It is refused, at its last byte or before. */
static void
assert_refused(enum starttls_kind kind, unsigned step, const char *text)
{
	assert_int_equal(hear_step(kind, step, text, strlen(text)), STARTTLS_REFUSED);
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
	assert_refused(STARTTLS_SMTP, 0, "220 mail\r\n220 more\r\n");
	assert_refused(STARTTLS_SMTP, 2, "220 ready\r\n250 hello");
	assert_refused(STARTTLS_IMAP, 0, "* OK\r\n* CAPABILITY\r\n");
	assert_refused(STARTTLS_IMAP, 1, "a OK begin\r\n*");
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
smtp_greets_offers_and_agrees(void **state)
{
	(void)state;
	assert_heard(STARTTLS_SMTP, 0, "220 mail.example ESMTP\r\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_SMTP, 0, "220-mail.example\r\n220-no mail for all\r\n220 \r\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_SMTP, 1, "250-mail.example\r\n250-STARTTLS\r\n250 DSN\r\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_SMTP, 1, "250-mail.example\n250 starttls\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_SMTP, 2, "220 2.0.0 Ready to start TLS\r\n", STARTTLS_AGREED);
	assert_heard(STARTTLS_SMTP, 2, "220\r\n", STARTTLS_AGREED);
}

static void
smtp_that_refuses_or_is_none_refuses(void **state)
{
	(void)state;
	assert_heard(STARTTLS_SMTP, 0, "554 go away\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_SMTP, 1, "250-mail.example\r\n250-XSTARTTLS\r\n250 STARTTLSX\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_SMTP, 1, "502 no EHLO\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_SMTP, 2, "454 TLS not available\r\n", STARTTLS_REFUSED);
	assert_refused(STARTTLS_SMTP, 0, "SSH-2.0-OpenSSH\r\n");
	assert_refused(STARTTLS_SMTP, 0, "22x");
	assert_refused(STARTTLS_SMTP, 0, "2201");
	assert_refused(STARTTLS_SMTP, 0, "22\r\n");
	assert_refused(STARTTLS_SMTP, 0, "220-one\r\ntwo\r\n");
}

static void
imap_greets_and_agrees(void **state)
{
	(void)state;
	assert_heard(STARTTLS_IMAP, 0, "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_IMAP, 0, "* OK\n", STARTTLS_NEXT);
	assert_heard(STARTTLS_IMAP, 1, "a OK begin\r\n", STARTTLS_AGREED);
	assert_heard(STARTTLS_IMAP, 1, "* OK wait\r\n* CAPABILITY IMAP4rev1\r\na ok begin\r\n", STARTTLS_AGREED);
}

static void
imap_that_refuses_or_is_none_refuses(void **state)
{
	(void)state;
	assert_heard(STARTTLS_IMAP, 0, "* BYE overloaded\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_IMAP, 0, "* PREAUTH welcome\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_IMAP, 1, "a BAD unknown\r\n", STARTTLS_REFUSED);
	assert_heard(STARTTLS_IMAP, 1, "a OKAY\r\n", STARTTLS_REFUSED);
	assert_refused(STARTTLS_IMAP, 0, "220 smtp\r\n");
	assert_refused(STARTTLS_IMAP, 0, "*OK\r\n");
	assert_refused(STARTTLS_IMAP, 1, "b OK\r\n");
}

static void
longest_answer_is_judged_and_a_longer_one_refused(void **state)
{
	static char text[STARTTLS_ANSWER_MAX];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "220 ", 4);
	assert_int_equal(hear(STARTTLS_SMTP, text, sizeof text - 1), STARTTLS_MORE);
	assert_int_equal(hear(STARTTLS_SMTP, text, sizeof text), STARTTLS_REFUSED);
	text[sizeof text - 1] = '\n';
	assert_int_equal(hear(STARTTLS_SMTP, text, sizeof text), STARTTLS_NEXT);
	memcpy(text, "* OK", 4);
	assert_int_equal(hear(STARTTLS_IMAP, text, sizeof text - 1), STARTTLS_MORE);
}

static void
assert_request(enum starttls_kind kind, unsigned step, const char *text)
{
	size_t length;
	const void *bytes = starttls_request(kind, step, &length);

	assert_int_equal(length, strlen(text));
	assert_memory_equal(bytes, text, length);
}

static void
requests_are_those_of_the_protocols(void **state)
{
	size_t length;
	const uint8_t *bytes = starttls_request(STARTTLS_POSTGRESQL, 0, &length);

	(void)state;
	assert_int_equal(length, 8);
	assert_memory_equal(bytes, "\0\0\0\x08\x04\xd2\x16\x2f", 8);
	bytes = starttls_request(STARTTLS_LDAP, 0, &length);
	assert_int_equal(length, bytes[1] + 2);
	assert_request(STARTTLS_SMTP, 0, "");
	assert_request(STARTTLS_SMTP, 1, "EHLO [127.0.0.1]\r\n");
	assert_request(STARTTLS_SMTP, 2, "STARTTLS\r\n");
	assert_request(STARTTLS_IMAP, 0, "");
	assert_request(STARTTLS_IMAP, 1, "a STARTTLS\r\n");
	assert_request(STARTTLS_MYSQL, 0, "");
}

static void
client_is_greeted_where_the_server_greets_first(void **state)
{
	(void)state;
	assert_heard(STARTTLS_SMTP, 0, starttls_greeting(STARTTLS_SMTP), STARTTLS_NEXT);
	assert_heard(STARTTLS_IMAP, 0, starttls_greeting(STARTTLS_IMAP), STARTTLS_NEXT);
	for (enum starttls_kind kind = STARTTLS_NONE; kind <= STARTTLS_MYSQL; kind++) {
		assert_true(strlen(starttls_greeting(kind)) < STARTTLS_GREETING_SIZE);
		if (kind != STARTTLS_SMTP && kind != STARTTLS_IMAP)
			assert_string_equal(starttls_greeting(kind), "");
	}
}

static void
names_are_known_or_none(void **state)
{
	(void)state;
	assert_int_equal(starttls_find("postgresql"), STARTTLS_POSTGRESQL);
	assert_int_equal(starttls_find("ldap"), STARTTLS_LDAP);
	assert_int_equal(starttls_find("smtp"), STARTTLS_SMTP);
	assert_int_equal(starttls_find("imap"), STARTTLS_IMAP);
	assert_int_equal(starttls_find("mysql"), STARTTLS_MYSQL);
	assert_int_equal(starttls_find("ftp"), STARTTLS_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(postgresql_answers_one_byte),
		cmocka_unit_test(bytes_in_the_clear_behind_the_answer_refuse),
		cmocka_unit_test(ldap_agrees_at_the_last_byte_of_its_answer),
		cmocka_unit_test(ldap_that_refuses_or_is_none_refuses),
		cmocka_unit_test(smtp_greets_offers_and_agrees),
		cmocka_unit_test(smtp_that_refuses_or_is_none_refuses),
		cmocka_unit_test(imap_greets_and_agrees),
		cmocka_unit_test(imap_that_refuses_or_is_none_refuses),
		cmocka_unit_test(longest_answer_is_judged_and_a_longer_one_refused),
		cmocka_unit_test(client_is_greeted_where_the_server_greets_first),
		cmocka_unit_test(requests_are_those_of_the_protocols),
		cmocka_unit_test(names_are_known_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
