/* test_proxy_header.c - the PROXY protocol's headers, byte by byte as its specification has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "base/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static unsigned char bytes[PROXY_HEADER_MAX];

static void
tcp4(struct sockaddr_storage *place, const char *address, unsigned port)
{
	struct sockaddr_in *socket = (void *)place;

	socket->sin_family = AF_INET;
	socket->sin_port = htons((uint16_t)port);
	assert_int_equal(inet_pton(AF_INET, address, &socket->sin_addr), 1);
}

static void
tcp6(struct sockaddr_storage *place, const char *address, unsigned port)
{
	struct sockaddr_in6 *socket = (void *)place;

	socket->sin6_family = AF_INET6;
	socket->sin6_port = htons((uint16_t)port);
	assert_int_equal(inet_pton(AF_INET6, address, &socket->sin6_addr), 1);
}

static struct proxy_header
header_tcp4(enum proxy_version version)
{
	struct proxy_header header = { .version = version };

	tcp4(&header.source, "192.0.2.1", 258);
	tcp4(&header.destination, "198.51.100.7", 5432);
	return header;
}

static struct proxy_header
header_tcp6(enum proxy_version version)
{
	struct proxy_header header = { .version = version };

	tcp6(&header.source, "2001:db8::1", 258);
	tcp6(&header.destination, "::1", 5432);
	return header;
}

/* Without addresses, as to a server behind a Unix socket. */
static struct proxy_header
header_user(enum proxy_version version)
{
	return (struct proxy_header){ .version = version, .source.ss_family = AF_UNIX,
		.destination.ss_family = AF_UNIX, .has_user = true, .uid = 1000, .gid = 0x01020304, .pid = 77 };
}

static void
expect(const struct proxy_header *header, const char *expected, size_t length)
{
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(proxy_header_write(header, bytes), length);
	assert_memory_equal(bytes, expected, length);
}

#define EXPECT(header, text) expect(&(header), text, sizeof(text) - 1)

static void
a_line_of_version_1_names_both_ends_of_tcp(void **state)
{
	struct proxy_header four = header_tcp4(PROXY_V1), six = header_tcp6(PROXY_V1);

	(void)state;
	EXPECT(four, "PROXY TCP4 192.0.2.1 198.51.100.7 258 5432\r\n");
	EXPECT(six, "PROXY TCP6 2001:db8::1 ::1 258 5432\r\n");
}

static void
version_1_knows_no_unix_client(void **state)
{
	struct proxy_header header = header_user(PROXY_V1);

	(void)state;
	EXPECT(header, "PROXY UNKNOWN\r\n");
}

static void
version_2_has_the_addresses_in_binary(void **state)
{
	struct proxy_header four = header_tcp4(PROXY_V2), six = header_tcp6(PROXY_V2);

	(void)state;
	EXPECT(four, SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\x01\x02\x15\x38");
	EXPECT(six, SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02\x15\x38");
}

#define VALUES "\xe0\0\x04\0\0\x03\xe8\xe1\0\x04\x01\x02\x03\x04"

static void
version_2_says_who_a_unix_client_is(void **state)
{
	struct proxy_header header = header_user(PROXY_V2);

	(void)state;
	EXPECT(header, SIGNATURE "\x20\0\0\x15" VALUES "\xe2\0\x04\0\0\0\x4d");
	header.pid = 0;
	EXPECT(header, SIGNATURE "\x20\0\0\x0e" VALUES);
	tcp4(&header.source, "192.0.2.1", 258);
	tcp4(&header.destination, "198.51.100.7", 5432);
	EXPECT(header, SIGNATURE "\x21\x11\0\x1a\xc0\0\x02\x01\xc6\x33\x64\x07\x01\x02\x15\x38" VALUES);
}

static void
an_id_stands_before_them(void **state)
{
	struct proxy_header header = header_user(PROXY_V2);

	(void)state;
	header.has_user = false;
	header.id = "s/17";
	EXPECT(header, SIGNATURE "\x20\0\0\x07\x05\0\x04s/17");
}

static void
the_longest_header_has_room(void **state)
{
	struct proxy_header header = header_user(PROXY_V2);
	char id[PROXY_HEADER_ID_MAX + 10];

	(void)state;
	memset(id, 'i', sizeof id);
	id[sizeof id - 1] = '\0';
	header.id = id;
	tcp6(&header.source, "2001:db8::1", 258);
	tcp6(&header.destination, "::1", 5432);
	assert_int_equal(proxy_header_write(&header, bytes), PROXY_HEADER_MAX);
	assert_int_equal(bytes[14] << 8 | bytes[15], PROXY_HEADER_MAX - 16);
	assert_int_equal(bytes[52], 0x05);
	assert_int_equal(bytes[53] << 8 | bytes[54], PROXY_HEADER_ID_MAX);
}

/* Its socket may have been reset since it was accepted. */
static void
who_cannot_be_named_is_unknown(void **state)
{
	struct proxy_header header = header_tcp4(PROXY_V1);

	(void)state;
	header.source.ss_family = AF_UNSPEC;
	EXPECT(header, "PROXY UNKNOWN\r\n");
	header.version = PROXY_V2;
	EXPECT(header, SIGNATURE "\x20\0\0\0");
	header = header_tcp4(PROXY_V2);
	tcp6(&header.destination, "::1", 1);
	EXPECT(header, SIGNATURE "\x20\0\0\0");
}

static void
a_connection_of_ones_own_is_local(void **state)
{
	(void)state;
	assert_int_equal(proxy_header_local(PROXY_NONE, bytes), 0);
	assert_int_equal(proxy_header_local(PROXY_V1, bytes), 15);
	assert_memory_equal(bytes, "PROXY UNKNOWN\r\n", 15);
	assert_int_equal(proxy_header_local(PROXY_V2, bytes), 16);
	assert_memory_equal(bytes, SIGNATURE "\x20\0\0\0", 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_version_1_names_both_ends_of_tcp),
		cmocka_unit_test(version_1_knows_no_unix_client),
		cmocka_unit_test(version_2_has_the_addresses_in_binary),
		cmocka_unit_test(version_2_says_who_a_unix_client_is),
		cmocka_unit_test(an_id_stands_before_them),
		cmocka_unit_test(the_longest_header_has_room),
		cmocka_unit_test(who_cannot_be_named_is_unknown),
		cmocka_unit_test(a_connection_of_ones_own_is_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
