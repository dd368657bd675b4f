/* Addresses: what is taken, what is refused with which words, and that writing gives back what was read. */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

static const struct {
	const char *text;
	const char *written; /* NULL: as it was */
} good[] = {
	{ "10.0.0.1:80", NULL },
	{ "0.0.0.0:65535", NULL },
	{ "[::1]:5432", NULL },
	{ "[2001:DB8::0001]:1", "[2001:db8::1]:1" },
	{ "[::ffff:10.0.0.1]:99", NULL },
	{ "[fe80::1%lo]:22", NULL },
	{ "[fe80::1%nosuch0]:22", NULL }, /* it may come */
	{ "[fe80::1%1]:22", NULL },
	{ "localhost:1", NULL },
	{ "db-1.Example.com:5432", NULL },
	{ "_pg._tcp.example:5432", NULL },
	{ "example.com.:80", NULL },
	{ "1a:80", NULL },
	{ "10.0.0.1:00080", "10.0.0.1:80" },
	{ "unix:/run/x.sock", NULL },
	{ "unix:/", NULL },
	{ "unix:/with space:7", NULL },
	{ "unix:/h\xc3\xb6st", NULL },
};

static const struct {
	const char *text;
	const char *error;
} bad[] = {
	{ "", "the address is empty" },
	{ "10.0.0.1", "no port" },
	{ "host", "no port" },
	{ "host:", "no port after the colon" },
	{ ":80", "no host before the colon" },
	{ ".:80", "not an IPv4 address" },
	{ "host:0", "port 0 is not a port" },
	{ "host:65536", "the port is above 65535" },
	{ "host:99999999999999999999", "the port is above 65535" },
	{ "host:-1", "the port is not a number" },
	{ "host:+1", "the port is not a number" },
	{ "host: 1", "the port is not a number" },
	{ "host:80 ", "the port is not a number" },
	{ "host:http", "the port is not a number" },
	{ "10.0.0.256:80", "not an IPv4 address" },
	{ "10.0.0:80", "not an IPv4 address" },
	{ "123:80", "not an IPv4 address" },
	{ "::1:80", "more than one colon (an IPv6 address needs [ and ])" },
	{ "[::1:80", "no ] behind the IPv6 address" },
	{ "[::1]", "no port" },
	{ "[::1]80", "no port" },
	{ "[::1]:0", "port 0 is not a port" },
	{ "[10.0.0.1]:80", "not an IPv6 address between [ and ]" },
	{ "[host]:80", "not an IPv6 address between [ and ]" },
	{ "[]:80", "not an IPv6 address between [ and ]" },
	{ "[fe80::1%]:22", "no name of a network interface behind the %" },
	{ "[fe80::1%a/b]:22", "no name of a network interface behind the %" },
	{ "[fe80::1%0123456789abcdef]:22", "no name of a network interface behind the %" },
	{ "/run/x.sock", "the path of a Unix socket has unix: before it" },
	{ "redis://10.0.0.7:6379", "an address is HOST:PORT or unix:/PATH, no URL" },
	{ "a..b:80", "the host name has an empty label" },
	{ ".a:80", "the host name has an empty label" },
	{ "a..:80", "the host name has an empty label" },
	{ "-a:80", "the host name has a label that begins or ends with -" },
	{ "a-.b:80", "the host name has a label that begins or ends with -" },
	{ "a b:80", "the host name has a character that is not allowed" },
	{ "http//x:80", "the host name has a character that is not allowed" },
	{ "h\xc3\xb6st:80", "the host name has a character that is not allowed" },
	{ "unix:", "the path after unix: is not absolute" },
	{ "unix:run/x", "the path after unix: is not absolute" },
	{ "unix:@x", "the path after unix: is not absolute" },
	{ "unix:/tmp/\x1b]0;x\x07", "the address has a control character" },
	{ "unix:/a\nb", "the address has a control character" },
	{ "unix:/a\x7f", "the address has a control character" },
	{ "[fe80::1%\x1b[m]:22", "the address has a control character" },
};

static void
good_addresses_are_read_and_written_back(void **state)
{
	struct address address, again;
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_null(address_parse(good[i].text, &address));
		address_format(&address, text);
		assert_string_equal(text, good[i].written != NULL ? good[i].written : good[i].text);
		assert_null(address_parse(text, &again));
		assert_true(address_equal(&address, &again));
	}
}

static void
bad_addresses_are_refused_with_the_cause(void **state)
{
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *error = address_parse(bad[i].text, &address);

		if (error == NULL)
			fail_msg("\"%s\" was taken", bad[i].text);
		assert_string_equal(error, bad[i].error);
	}
}

static void
what_was_meant_is_advised(void **state)
{
	static const char *const rows[][2] = {
		{ "/run/x.sock", "unix:/run/x.sock" }, { "unix:///run/x.sock", "unix:/run/x.sock" },
		{ "tcp://db:5432", "db:5432" }, { "tcp://db", NULL }, { "redis://10.0.0.7", "10.0.0.7:6379" },
		{ "redis://:secret@10.0.0.7:6380/0", "10.0.0.7:6380" }, { "http://[::1]/path", "[::1]:80" },
		{ "postgresql://user@db/name?x=1", "db:5432" }, { "nonsense", NULL }, { "", NULL },
	};
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(address_advise(rows[i][0], text), rows[i][1] != NULL);
		if (rows[i][1] != NULL)
			assert_string_equal(text, rows[i][1]);
	}
}

static void
an_interface_is_found_when_it_is_asked_for(void **state)
{
	struct address address;

	(void)state;
	assert_null(address_parse("[fe80::1%nosuch0]:22", &address));
	assert_int_equal(address_find_interface(&address), -ENODEV);
	assert_null(address_parse("[fe80::1%lo]:22", &address));
	assert_int_equal(address_find_interface(&address), 0);
	assert_int_equal(((struct sockaddr_in6 *)(void *)&address.socket)->sin6_scope_id, if_nametoindex("lo"));
	assert_null(address_parse("10.0.0.1:22", &address));
	assert_int_equal(address_find_interface(&address), 0);
}

static void
lengths_are_kept_to_the_byte(void **state)
{
	char text[600] = "unix:/";
	struct address address;

	(void)state;
	memset(text + 6, 'x', 106);
	assert_null(address_parse(text, &address));
	memset(text + 6, 'x', 107);
	assert_string_equal(address_parse(text, &address), "the path after unix: is longer than 107 bytes");
	memset(text, 0, sizeof text);
	memset(text, 'a', 63);
	strcpy(text + 63, ":1");
	assert_null(address_parse(text, &address));
	strcpy(text + 63, "a:1");
	assert_string_equal(address_parse(text, &address), "the host name has a label longer than 63 bytes");
	for (size_t i = 0; i < 253; i++)
		text[i] = i % 2 ? '.' : 'a';
	strcpy(text + 253, ":1");
	assert_null(address_parse(text, &address));
	strcpy(text + 253, "b:1");
	assert_string_equal(address_parse(text, &address), "the host name is longer than 253 bytes");
	memset(text, 'a', 500);
	strcpy(text + 500, ":1");
	assert_string_equal(address_parse(text, &address), "the host name is longer than 253 bytes");
}

static void
different_addresses_are_not_equal(void **state)
{
	static const char *const texts[] = { "10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80", "[::1]:80", "[::2]:80",
		"[::1]:81", "a:80", "b:80", "a:81", "unix:/a", "unix:/ab" };
	struct address a, b;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
			assert_null(address_parse(texts[i], &a));
			assert_null(address_parse(texts[k], &b));
			assert_int_equal(address_equal(&a, &b), i == k);
		}
	assert_null(address_parse("EXAMPLE:80", &a));
	assert_null(address_parse("example:80", &b));
	assert_true(address_equal(&a, &b));
}

static void
kernel_addresses_are_written_whatever_they_are(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	address_format_socket((struct sockaddr *)&un, sizeof un.sun_family, text);
	assert_string_equal(text, "unix:");
	memcpy(un.sun_path, "\0abc", 4);
	address_format_socket((struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 4), text);
	assert_string_equal(text, "unix:@abc");
	memset(un.sun_path, 'x', sizeof un.sun_path);
	address_format_socket((struct sockaddr *)&un, sizeof un, text);
	assert_int_equal(strlen(text), 5 + sizeof un.sun_path);
	address_format_socket((struct sockaddr *)&un, 0, text);
	assert_string_equal(text, "unknown");
}

/* Not a fuzzer, but every prefix, every one-byte change and random bytes must end well. */
static void
no_text_harms(void **state)
{
	struct address address;
	char text[400];

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		for (size_t at = 0; at <= strlen(good[i].text); at++) {
			strcpy(text, good[i].text);
			text[at] = '\0';
			(void)address_parse(text, &address);
			for (int byte = 1; byte < 256; byte++) {
				strcpy(text, good[i].text);
				text[at] = (char)byte;
				text[strlen(good[i].text) + 1] = '\0';
				(void)address_parse(text, &address);
			}
		}
	for (int i = 0; i < 20000; i++) {
		size_t length = (size_t)rand() % (sizeof text - 1);

		for (size_t k = 0; k < length; k++)
			text[k] = "[]:.%-_/unix0a9\xff"[rand() % 16];
		text[length] = '\0';
		(void)address_parse(text, &address);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_addresses_are_read_and_written_back),
		cmocka_unit_test(bad_addresses_are_refused_with_the_cause),
		cmocka_unit_test(what_was_meant_is_advised),
		cmocka_unit_test(an_interface_is_found_when_it_is_asked_for),
		cmocka_unit_test(lengths_are_kept_to_the_byte),
		cmocka_unit_test(different_addresses_are_not_equal),
		cmocka_unit_test(kernel_addresses_are_written_whatever_they_are),
		cmocka_unit_test(no_text_harms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
