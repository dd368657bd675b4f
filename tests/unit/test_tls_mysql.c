/* test_tls_mysql.c - how a MySQL client that knows nothing of TLS comes to a server that demands it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/mysql.h"

/* Protocol 10, "8.0", thread 7, eight bytes of salt, filler, capabilities 0xfffe, a charset. */
static const uint8_t greeting[] = "\x15\0\0\0\x0a" "8.0\0" "\7\0\0\0" "saltsalt\0" "\xfe\xff\x21";
#define GREETING_LENGTH (sizeof greeting - 1)
#define CAPABILITIES (4 + 1 + 4 + 4 + 8 + 1)

static void
make_login(uint8_t login[80])
{
	memset(login, 'u', 80);
	memcpy(login, "\x4c\0\0\1\x85\xa6\xff\x01\0\0\0\1\x21", 13); /* 76 bytes, number 1 */
}

static enum starttls_verdict
hear_greeting(const uint8_t *bytes, size_t length)
{
	const char *error = NULL;
	enum starttls_verdict verdict = mysql_hear_greeting(bytes, length, &error);

	assert_true((verdict == STARTTLS_REFUSED) == (error != NULL));
	return verdict;
}

static enum starttls_verdict
hear_login(const uint8_t *bytes, size_t length)
{
	const char *error = NULL;
	enum starttls_verdict verdict = mysql_hear_login(bytes, length, &error);

	assert_true((verdict == STARTTLS_REFUSED) == (error != NULL));
	return verdict;
}

static void
greeting_is_agreed_at_its_last_byte(void **state)
{
	(void)state;
	for (size_t part = 0; part < GREETING_LENGTH; part++)
		assert_int_equal(hear_greeting(greeting, part), STARTTLS_MORE);
	assert_int_equal(hear_greeting(greeting, GREETING_LENGTH), STARTTLS_AGREED);
	assert_int_equal(hear_greeting(greeting, GREETING_LENGTH + 1), STARTTLS_REFUSED);
}

static void
greeting_without_tls_or_of_another_kind_is_refused(void **state)
{
	static const char *const others[] = { "220 smtp\r\n", "\x07\0\0\0\xff\x10\x04 many", "\x05\0\0\0\x09" "3.2\0",
		"\1\0\0\1\x0a", "\x02\0\0\0\x0a\0" };
	static const size_t lengths[] = { 10, 11, 9, 5, 6 };
	uint8_t changed[GREETING_LENGTH];

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_equal(hear_greeting((const uint8_t *)others[i], lengths[i]), STARTTLS_REFUSED);
	assert_int_equal(hear_greeting((const uint8_t *)"\0\0\0\0", 4), STARTTLS_REFUSED);
	memcpy(changed, greeting, sizeof changed);
	changed[CAPABILITIES + 1] = 0xf7; /* no TLS */
	assert_int_equal(hear_greeting(changed, sizeof changed), STARTTLS_REFUSED);
	memcpy(changed, greeting, sizeof changed);
	memset(changed + 5, 'x', sizeof changed - 5); /* a version without end */
	assert_int_equal(hear_greeting(changed, sizeof changed), STARTTLS_REFUSED);
}

static void
greeting_longer_than_the_most_is_refused_by_its_header(void **state)
{
	const uint8_t longest[] = { (STARTTLS_ANSWER_MAX - 4) & 0xff, (STARTTLS_ANSWER_MAX - 4) >> 8, 0, 0 };
	const uint8_t longer[] = { (STARTTLS_ANSWER_MAX - 3) & 0xff, (STARTTLS_ANSWER_MAX - 3) >> 8, 0, 0 };

	(void)state;
	assert_int_equal(hear_greeting(longest, 4), STARTTLS_MORE);
	assert_int_equal(hear_greeting(longer, 4), STARTTLS_REFUSED);
}

static void
client_sees_a_server_without_tls_and_nothing_else_changed(void **state)
{
	uint8_t seen[GREETING_LENGTH];

	(void)state;
	memcpy(seen, greeting, sizeof seen);
	mysql_hide_tls(seen, sizeof seen);
	assert_int_equal(seen[CAPABILITIES + 1], 0xf7);
	seen[CAPABILITIES + 1] = 0xff;
	assert_memory_equal(seen, greeting, sizeof seen);
}

static void
login_packet_is_heard_to_its_end(void **state)
{
	uint8_t login[81] = { 0 };

	(void)state;
	make_login(login);
	for (size_t part = 0; part < 80; part++)
		assert_int_equal(hear_login(login, part), STARTTLS_MORE);
	assert_int_equal(hear_login(login, 80), STARTTLS_AGREED);
	assert_int_equal(hear_login(login, 81), STARTTLS_AGREED);
}

static void
login_packet_that_is_none_is_refused(void **state)
{
	uint8_t login[80];

	(void)state;
	make_login(login);
	login[3] = 0;
	assert_int_equal(hear_login(login, 80), STARTTLS_REFUSED);
	make_login(login);
	login[0] = 31;
	assert_int_equal(hear_login(login, 80), STARTTLS_REFUSED);
	make_login(login);
	login[5] |= 0x08; /* wants TLS */
	assert_int_equal(hear_login(login, 80), STARTTLS_REFUSED);
	make_login(login);
	login[5] &= 0xfd; /* before 4.1 */
	assert_int_equal(hear_login(login, 80), STARTTLS_REFUSED);
	memcpy(login, "\xfc\x0f\0\1", 4);
	assert_int_equal(hear_login(login, 4), STARTTLS_MORE);
	memcpy(login, "\xfd\x0f\0\1", 4);
	assert_int_equal(hear_login(login, 4), STARTTLS_REFUSED);
}

static void
request_is_the_login_packets_first_32_bytes_with_tls(void **state)
{
	uint8_t login[80], before[80], request[MYSQL_REQUEST_SIZE];

	(void)state;
	make_login(login);
	memcpy(before, login, sizeof before);
	mysql_make_request(login, request);
	assert_memory_equal(request, "\x20\0\0\1\x85\xae", 6);
	assert_memory_equal(request + 6, before + 6, sizeof request - 6);
	assert_int_equal(login[5], 0xae);
	login[5] = before[5];
	assert_memory_equal(login, before, sizeof before);
}

/* A login with a change of the method: what the server hears, what the client hears, and what neither changes. */
static const uint8_t client_says[] = "\3\0\0\1abc" "\2\0\0\3xy" "\1\0\0\5z";
static const uint8_t server_hears[] = "\3\0\0\2abc" "\2\0\0\4xy" "\1\0\0\6z";
static const uint8_t server_says[] = "\4\0\0\3\xfeold" "\1\0\0\5\1" "\0\0\0\6" "\2\0\0\7\0!" "\1\0\0\1x";
static const uint8_t client_hears[] = "\4\0\0\2\xfeold" "\1\0\0\4\1" "\0\0\0\5" "\2\0\0\6\0!" "\1\0\0\1x";

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
packets_are_numbered_in_any_pieces_until_the_login_is_over(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof server_says; piece++) {
		struct mysql_login login = { 0 };
		uint8_t up[sizeof client_says], down[sizeof server_says], more[] = "\1\0\0\0q";

		memcpy(up, client_says, sizeof up);
		memcpy(down, server_says, sizeof down);
		for (size_t at = 0; at < sizeof up - 1; at += piece)
			mysql_pass_up(&login, up + at, least(piece, sizeof up - 1 - at));
		assert_memory_equal(up, server_hears, sizeof up);
		assert_false(login.over);
		for (size_t at = 0; at < sizeof down - 1; at += piece)
			mysql_pass_down(&login, down + at, least(piece, sizeof down - 1 - at));
		assert_memory_equal(down, client_hears, sizeof down);
		assert_true(login.over);
		mysql_pass_up(&login, more, sizeof more - 1);
		assert_int_equal(more[3], 0);
	}
}

static void
number_255_is_followed_by_0(void **state)
{
	struct mysql_login login = { 0 };
	uint8_t packet[] = "\1\0\0\xff!";

	(void)state;
	mysql_pass_up(&login, packet, 5);
	assert_int_equal(packet[3], 0);
}

static void
error_ends_the_login_and_more_data_does_not(void **state)
{
	struct mysql_login login = { 0 };
	uint8_t data[] = "\2\0\0\3\1\xff", error[] = "\2\0\0\4\xff!";

	(void)state;
	mysql_pass_down(&login, data, 6);
	assert_false(login.over);
	mysql_pass_down(&login, error, 6);
	assert_true(login.over);
}

static void
errors_text_is_told_and_cut(void **state)
{
	uint8_t packet[MYSQL_ERROR_SIZE];
	char text[2 * MYSQL_ERROR_SIZE];

	(void)state;
	assert_int_equal(mysql_put_error("no", packet), 4 + 11);
	assert_memory_equal(packet, "\x0b\0\0\2\xff\x13\4#08S01no", 15);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(mysql_put_error(text, packet), MYSQL_ERROR_SIZE - 1);
	assert_int_equal(packet[0] | packet[1] << 8, MYSQL_ERROR_SIZE - 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greeting_is_agreed_at_its_last_byte),
		cmocka_unit_test(greeting_without_tls_or_of_another_kind_is_refused),
		cmocka_unit_test(greeting_longer_than_the_most_is_refused_by_its_header),
		cmocka_unit_test(client_sees_a_server_without_tls_and_nothing_else_changed),
		cmocka_unit_test(login_packet_is_heard_to_its_end),
		cmocka_unit_test(login_packet_that_is_none_is_refused),
		cmocka_unit_test(request_is_the_login_packets_first_32_bytes_with_tls),
		cmocka_unit_test(packets_are_numbered_in_any_pieces_until_the_login_is_over),
		cmocka_unit_test(number_255_is_followed_by_0),
		cmocka_unit_test(error_ends_the_login_and_more_data_does_not),
		cmocka_unit_test(errors_text_is_told_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
