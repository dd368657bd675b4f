/* test_tls_talk.c - what is said to holdfast-tls, and what its answer means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "tls/header.h"
#include "upstream/tls_talk.h"

#define WALL (INT64_C(1800000000) * CLOCK_SECOND)
#define DAY  (86400 * CLOCK_SECOND)

static struct address
parse(const char *text)
{
	struct address address;

	assert_null(address_parse(text, &address));
	return address;
}

/* What is written, read by holdfast-tls's own reader. */
static struct header
read_back(char *bytes, size_t length)
{
	struct header header;
	const char *name;

	assert_true(length > 0);
	assert_int_equal(header_length(bytes, length), length);
	assert_null(header_parse(bytes, length, &header, &name));
	return header;
}

static size_t
header_for(const struct tls_settings *settings, const struct address *address, int64_t timeout, char *bytes)
{
	return tls_talk_header(settings, "s", &(struct tls_server){ .address = address }, timeout, bytes);
}

static void
holdfast_tls_reads_all_that_is_set(void **state)
{
	char ca[] = "/ca", crl[] = "/crl", cert[] = "/cert", key[] = "/key", name[] = "db", alpn[] = "h2",
	    ciphers[] = "TLS_AES_128_GCM_SHA256", bytes[TLS_HEADER_MAX];
	struct tls_settings settings = { .ca = ca, .crl = crl, .cert = cert, .key = key, .name = name, .alpn = alpn,
		.ciphers = ciphers, .min_version = TLS_1_3, .verify = TLS_VERIFY_CA,
		.starttls = TLS_STARTTLS_POSTGRESQL };
	struct address address = parse("[::1]:5432");
	struct header header = read_back(bytes, header_for(&settings, &address, 1500000, bytes));

	(void)state;
	assert_string_equal(header.service, "s");
	assert_string_equal(header.address_text, "[::1]:5432");
	assert_string_equal(header.ca, ca);
	assert_string_equal(header.crl, crl);
	assert_string_equal(header.cert, cert);
	assert_string_equal(header.key, key);
	assert_string_equal(header.name, name);
	assert_string_equal(header.alpn, alpn);
	assert_string_equal(header.ciphers, ciphers);
	assert_true(header.only_1_3);
	assert_int_equal(header.verify, HEADER_VERIFY_CA);
	assert_int_equal(header.starttls, STARTTLS_POSTGRESQL);
	assert_int_equal(header.timeout, 1500000);
}

static void
holdfast_tls_knows_each_kind_of_starttls_and_of_verification(void **state)
{
	static const enum starttls_kind kinds[] = { STARTTLS_NONE, STARTTLS_POSTGRESQL, STARTTLS_MYSQL,
		STARTTLS_SMTP, STARTTLS_IMAP, STARTTLS_LDAP };
	static const enum header_verify verify[] = { HEADER_VERIFY_FULL, HEADER_VERIFY_CA, HEADER_VERIFY_NONE };
	struct address address = parse("10.0.0.1:1");
	struct tls_settings settings = { 0 };
	char bytes[TLS_HEADER_MAX];
	struct header header;

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		settings.starttls = (enum tls_starttls)i;
		header = read_back(bytes, header_for(&settings, &address, CLOCK_SECOND, bytes));
		assert_int_equal(header.starttls, kinds[i]);
	}
	for (size_t i = 0; i < sizeof verify / sizeof verify[0]; i++) {
		settings.verify = (enum tls_verify)i;
		header = read_back(bytes, header_for(&settings, &address, CLOCK_SECOND, bytes));
		assert_int_equal(header.verify, verify[i]);
	}
}

static void
a_long_timeout_is_cut_and_long_paths_are_refused(void **state)
{
	struct address address = parse("10.0.0.1:1");
	char ca[4096], key[4096], bytes[TLS_HEADER_MAX];
	struct tls_settings settings = { 0 };

	(void)state;
	assert_int_equal(read_back(bytes, header_for(&settings, &address, 3600 * CLOCK_SECOND,
	    bytes)).timeout, 300 * CLOCK_SECOND);
	memset(ca, 'a', sizeof ca);
	ca[0] = '/';
	ca[sizeof ca - 1] = '\0';
	memcpy(key, ca, sizeof key);
	settings.ca = ca;
	assert_true(header_for(&settings, &address, 1, bytes) > 4096);
	settings.cert = key;
	assert_int_equal(header_for(&settings, &address, 1, bytes), 0);
	assert_int_equal(tls_talk_check(&settings, "s", bytes), 0);
}

static void
a_check_needs_no_address(void **state)
{
	struct tls_settings settings = { 0 };
	char bytes[TLS_HEADER_MAX];
	struct header header = read_back(bytes, tls_talk_check(&settings, "s", bytes));

	(void)state;
	assert_true(header.check);
	assert_string_equal(header.address_text, "");
}

static void
without_a_name_the_hosts_is_the_servers_where_it_counts(void **state)
{
	struct address address = parse("10.0.0.1:1");
	struct tls_server server = { .address = &address, .host = "db1" };
	struct tls_settings settings = { 0 };
	char bytes[TLS_HEADER_MAX], name[] = "db";

	(void)state;
	assert_null(read_back(bytes, tls_talk_header(&settings, "s", &server, 1, bytes)).name);
	settings.by_host = true;
	assert_string_equal(read_back(bytes, tls_talk_header(&settings, "s", &server, 1, bytes)).name, "db1");
	settings.name = name;
	assert_string_equal(read_back(bytes, tls_talk_header(&settings, "s", &server, 1, bytes)).name, "db");
	settings.name = NULL;
	server.host = "";
	assert_null(read_back(bytes, tls_talk_header(&settings, "s", &server, 1, bytes)).name);
}

static enum tls_verdict
answer(const char *line, struct tls_session *session, char *error)
{
	error[0] = '\0';
	return tls_talk_answer(line, strlen(line), session, error);
}

static void
ok_tells_of_the_session_and_what_is_not_known_is_passed_over(void **state)
{
	struct tls_session session;
	char error[TLS_ERROR_SIZE];

	(void)state;
	assert_int_equal(answer("ok protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 peer=\"CN=a b\" later=\"x y\" "
	    "resumed=1 alpn=\"\" expires=1799999999 own_expires=-5", &session, error), TLS_OPEN);
	assert_string_equal(session.protocol, "TLSv1.3");
	assert_string_equal(session.cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(session.peer, "CN=a b");
	assert_true(session.resumed);
	assert_int_equal(session.expires, INT64_C(1799999999) * CLOCK_SECOND);
	assert_int_equal(session.own_expires, -5 * CLOCK_SECOND);
	assert_int_equal(answer("ok", &session, error), TLS_OPEN);
	assert_string_equal(session.protocol, "");
	assert_int_equal(answer("ok protocol=none cipher=none peer=\"\"", &session, error), TLS_OPEN);
	assert_string_equal(session.protocol, "TLS"); /* MySQL: it begins later */
	assert_string_equal(session.cipher, "");
	assert_int_equal(session.expires, 0);
	assert_int_equal(answer("ok expires=99999999999999999999 own_expires=x resumed=2", &session, error),
	    TLS_OPEN);
	assert_int_equal(session.expires, 0);
	assert_int_equal(session.own_expires, 0);
	assert_false(session.resumed);
}

static void
an_error_is_the_servers_or_of_this_host(void **state)
{
	static const char *const of_server[] = { "connect", "timeout", "starttls", "handshake", "verify", "name",
		"expired", "whatever" };
	static const char *const local[] = { "header", "file", "limit" };
	struct tls_session session;
	char error[TLS_ERROR_SIZE], line[80];

	(void)state;
	for (size_t i = 0; i < sizeof of_server / sizeof of_server[0]; i++) {
		snprintf(line, sizeof line, "error %s what is wrong; what to do", of_server[i]);
		assert_int_equal(answer(line, &session, error), TLS_FAILED);
		assert_string_equal(error, "tls: what is wrong; what to do");
	}
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		snprintf(line, sizeof line, "error %s what is wrong; what to do", local[i]);
		assert_int_equal(answer(line, &session, error), TLS_LOCAL);
	}
}

static void
another_program_at_the_socket_is_told(void **state)
{
	struct tls_session session;
	char error[TLS_ERROR_SIZE];

	(void)state;
	assert_int_equal(answer("-ERR unknown command", &session, error), TLS_LOCAL);
	assert_string_equal(error, "tls: \"-ERR unknown command\" is no answer of holdfast-tls; check tls.socket");
	assert_int_equal(answer("", &session, error), TLS_LOCAL);
	assert_int_equal(answer("okay", &session, error), TLS_LOCAL);
	assert_int_equal(answer("error ", &session, error), TLS_LOCAL);
}

static void
who_cannot_be_reached_is_to_be_started(void **state)
{
	char socket[] = "/run/holdfast/tls.sock", error[TLS_ERROR_SIZE];
	const struct tls_settings settings = { .socket = socket };

	(void)state;
	tls_talk_unreached(&settings, ENOENT, error);
	assert_string_equal(error, "tls: holdfast-tls is not running at /run/holdfast/tls.sock: start "
	    "holdfast-tls.socket");
	tls_talk_unreached(&settings, EACCES, error);
	assert_string_equal(error, "tls: /run/holdfast/tls.sock: Permission denied; the socket must belong to the "
	    "user of holdfastd");
	tls_talk_unreached(&settings, ETIMEDOUT, error);
	assert_string_equal(error, "tls: holdfast-tls at /run/holdfast/tls.sock: Connection timed out");
}

static void
settings_that_differ_in_anything_but_the_socket_are_not_the_same(void **state)
{
	char x[] = "/x", y[] = "/x", z[] = "/z";
	struct tls_settings a = { .enabled = true, .ca = x }, b = { .enabled = true, .ca = y, .socket = z };
	char **texts[] = { &b.ca, &b.crl, &b.cert, &b.key, &b.name, &b.alpn, &b.ciphers };

	(void)state;
	assert_true(tls_settings_are_same(&a, &b));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char *before = *texts[i];

		*texts[i] = z;
		assert_false(tls_settings_are_same(&a, &b));
		assert_false(tls_settings_are_same(&b, &a));
		*texts[i] = before;
	}
	b.verify = TLS_VERIFY_CA;
	assert_false(tls_settings_are_same(&a, &b));
	b = a;
	b.enabled = false;
	assert_false(tls_settings_are_same(&a, &b));
	b = a;
	b.starttls = TLS_STARTTLS_LDAP;
	assert_false(tls_settings_are_same(&a, &b));
	b = a;
	b.min_version = TLS_1_3;
	assert_false(tls_settings_are_same(&a, &b));
}

static void
the_certificate_that_ends_first_counts(void **state)
{
	struct tls_session session = { 0 };
	int64_t days;
	bool own;

	(void)state;
	assert_false(tls_session_days(&session, WALL, &days, &own));
	session.expires = WALL + 21 * DAY;
	assert_true(tls_session_days(&session, WALL, &days, &own));
	assert_int_equal(days, 21);
	assert_false(own);
	session.own_expires = WALL + 21 * DAY - 1;
	assert_true(tls_session_days(&session, WALL, &days, &own));
	assert_int_equal(days, 20);
	assert_true(own);
	session.own_expires = WALL - 1;
	assert_true(tls_session_days(&session, WALL, &days, &own));
	assert_int_equal(days, -1);
	session.expires = 0;
	session.own_expires = WALL + 1;
	assert_true(tls_session_days(&session, WALL, &days, &own));
	assert_int_equal(days, 0);
	assert_true(own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holdfast_tls_reads_all_that_is_set),
		cmocka_unit_test(holdfast_tls_knows_each_kind_of_starttls_and_of_verification),
		cmocka_unit_test(a_long_timeout_is_cut_and_long_paths_are_refused),
		cmocka_unit_test(a_check_needs_no_address),
		cmocka_unit_test(without_a_name_the_hosts_is_the_servers_where_it_counts),
		cmocka_unit_test(ok_tells_of_the_session_and_what_is_not_known_is_passed_over),
		cmocka_unit_test(an_error_is_the_servers_or_of_this_host),
		cmocka_unit_test(another_program_at_the_socket_is_told),
		cmocka_unit_test(who_cannot_be_reached_is_to_be_started),
		cmocka_unit_test(settings_that_differ_in_anything_but_the_socket_are_not_the_same),
		cmocka_unit_test(the_certificate_that_ends_first_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
