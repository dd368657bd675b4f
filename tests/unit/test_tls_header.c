/* test_tls_header.c - what a client of holdfast-tls may ask for, and what it is told of what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tls/header.h"

#define BEGIN "holdfast-tls 1\n"

static struct header header;
static char text[HEADER_MAX];
static const char *name;

static const char *
parse(const char *bytes)
{
	snprintf(text, sizeof text, "%s", bytes);
	return header_parse(text, strlen(bytes), &header, &name);
}

static void
all_lines_are_taken(void **state)
{
	(void)state;
	assert_null(parse(BEGIN "address [::1]:5432\nservice pg\nname db.example\nca /ca\ncrl /crl\ncert /cert\n"
	    "key /key\nalpn a,b\nmin_version 1.3\nverify ca\nciphers A:B\nstarttls postgresql\ntimeout 2.5s\n\n"));
	assert_string_equal(header.address_text, "[::1]:5432");
	assert_int_equal(header.address.port, 5432);
	assert_string_equal(header.service, "pg");
	assert_string_equal(header.name, "db.example");
	assert_string_equal(header.ca, "/ca");
	assert_string_equal(header.crl, "/crl");
	assert_string_equal(header.cert, "/cert");
	assert_string_equal(header.key, "/key");
	assert_string_equal(header.alpn, "a,b");
	assert_string_equal(header.ciphers, "A:B");
	assert_true(header.only_1_3);
	assert_int_equal(header.verify, HEADER_VERIFY_CA);
	assert_int_equal(header.starttls, STARTTLS_POSTGRESQL);
	assert_int_equal(header.timeout, 2500 * CLOCK_MILLISECOND);
}

static void
an_address_is_enough_and_all_is_verified(void **state)
{
	(void)state;
	assert_null(parse(BEGIN "address 10.0.0.5:1\n\n"));
	assert_int_equal(header.verify, HEADER_VERIFY_FULL);
	assert_false(header.only_1_3);
	assert_int_equal(header.starttls, STARTTLS_NONE);
	assert_int_equal(header.timeout, 10 * CLOCK_SECOND);
	assert_null(header.ca);
}

static void
the_end_is_found_however_bytes_come(void **state)
{
	const char *bytes = BEGIN "address 10.0.0.5:1\n\nSELECT";
	size_t whole = strlen(bytes) - 6;

	(void)state;
	for (size_t part = 0; part < whole; part++)
		assert_int_equal(header_length(bytes, part), 0);
	assert_int_equal(header_length(bytes, whole), whole);
	assert_int_equal(header_length(bytes, whole + 6), whole);
	assert_int_equal(header_length("\n", 1), 1);
}

static void
what_is_wrong_is_told_with_its_name(void **state)
{
	static const struct { const char *bytes, *name, *error; } rows[] = {
		{ "\n", "address", "is missing" },
		{ "holdfast-tls 2\n\n", "", "the first line is not \"holdfast-tls 1\"" },
		{ BEGIN "\n", "address", "is missing" },
		{ BEGIN "address\n\n", "", "a line is not NAME VALUE" },
		{ BEGIN "address \n\n", "", "a line is not NAME VALUE" },
		{ BEGIN "colour red\n\n", "", "a line has a name that is not known" },
		{ BEGIN "address a.example:1\n\n", "address",
		    "a host name is not looked up here; give a numeric address" },
		{ BEGIN "address 10.0.0.5:1\naddress 10.0.0.5:1\n\n", "address", "is given twice" },
		{ BEGIN "address 10.0.0.5:1\r\n\r\n\n", "", "a control character" },
		{ BEGIN "ca ca.pem\n\n", "ca", "is not an absolute path" },
		{ BEGIN "verify some\n\n", "verify", "is neither full, ca nor none" },
		{ BEGIN "min_version 1.1\n\n", "min_version", "is neither 1.2 nor 1.3" },
		{ BEGIN "starttls ftp\n\n", "starttls", "is none of postgresql, mysql, smtp, imap, ldap" },
		{ BEGIN "timeout 301\n\n", "timeout", "is not a time of up to 300 s" },
		{ BEGIN "timeout 0\n\n", "timeout", "is not a time of up to 300 s" },
		{ BEGIN "alpn a,,b\n\n", "alpn", "has a protocol without a name" },
		{ BEGIN "name a b\n\n", "name", "has a space" },
		{ BEGIN "address 10.0.0.5:1\ncert /c\n\n", "cert", "needs the other one of cert and key" },
		{ BEGIN "address 10.0.0.5:1\nkey /c\n\n", "key", "needs the other one of cert and key" },
		{ BEGIN "address 10.0.0.5:1\nverify none\ncrl /c\n\n", "crl", "does not go with verify none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *error = parse(rows[i].bytes);

		assert_non_null(error);
		assert_string_equal(error, rows[i].error);
		assert_string_equal(name, rows[i].name);
	}
}

static void
a_unix_address_needs_a_name_to_be_verified(void **state)
{
	(void)state;
	assert_non_null(parse(BEGIN "address unix:/run/x\n\n"));
	assert_null(parse(BEGIN "address unix:/run/x\nname a\n\n"));
	assert_null(parse(BEGIN "address unix:/run/x\nverify ca\n\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_lines_are_taken),
		cmocka_unit_test(an_address_is_enough_and_all_is_verified),
		cmocka_unit_test(the_end_is_found_however_bytes_come),
		cmocka_unit_test(what_is_wrong_is_told_with_its_name),
		cmocka_unit_test(a_unix_address_needs_a_name_to_be_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
