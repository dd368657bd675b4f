#include "tls/mysql.h"

#include <stdio.h>
#include <string.h>

#define MYSQL_HEADER 4        /* length, three bytes; number */
#define MYSQL_LOGIN_MIN 32    /* bytes that a request for TLS has, too */
#define MYSQL_PROTOCOL 10
#define MYSQL_ERROR_CODE 1043 /* ER_HANDSHAKE_ERROR; a client takes no code of its own from a server */

enum { MYSQL_OK = 0x00, MYSQL_ERROR = 0xff };
enum { MYSQL_CAN_4_1 = 0x0200, MYSQL_CAN_TLS = 0x0800 };

static enum starttls_verdict
mysql_refuse(const char *why, const char **ret_error)
{
	*ret_error = why;
	return STARTTLS_REFUSED;
}

static uint32_t
mysql_length(const uint8_t *packet)
{
	return packet[0] | (uint32_t)packet[1] << 8 | (uint32_t)packet[2] << 16;
}

static unsigned
mysql_capabilities(const uint8_t *bytes)
{
	return bytes[0] | (unsigned)bytes[1] << 8;
}

/* Where the lower capabilities are in a whole greeting: behind protocol, version and its end, thread, 8 bytes of
 * salt and a filler.  0: there is no room for them. */
static size_t
mysql_greeting_capabilities(const uint8_t *bytes, size_t length)
{
	const uint8_t *version = bytes + MYSQL_HEADER + 1;
	const uint8_t *end = memchr(version, '\0', length - MYSQL_HEADER - 1);
	size_t place = end == NULL ? length : (size_t)(end - bytes) + 1 + 4 + 8 + 1;

	return place + 2 <= length ? place : 0;
}

static enum starttls_verdict
mysql_judge_greeting(const uint8_t *bytes, size_t length, const char **ret_error)
{
	size_t place = mysql_greeting_capabilities(bytes, length);
	unsigned capabilities = place == 0 ? 0 : mysql_capabilities(bytes + place);

	if (!(capabilities & MYSQL_CAN_4_1))
		return mysql_refuse("this is no MySQL server, or one that is too old", ret_error);
	if (!(capabilities & MYSQL_CAN_TLS))
		return mysql_refuse("the server has no TLS; set its ssl_cert and ssl_key", ret_error);
	return STARTTLS_AGREED;
}

enum starttls_verdict
mysql_hear_greeting(const uint8_t *bytes, size_t length, const char **ret_error)
{
	size_t size;

	if (length < MYSQL_HEADER)
		return STARTTLS_MORE;
	size = MYSQL_HEADER + mysql_length(bytes);
	if (size == MYSQL_HEADER || size > STARTTLS_ANSWER_MAX || bytes[3] != 0)
		return mysql_refuse("this is no MySQL server; check the address", ret_error);
	if (length == MYSQL_HEADER)
		return STARTTLS_MORE;
	if (bytes[MYSQL_HEADER] == MYSQL_ERROR)
		return mysql_refuse("the server turns us away: too many connections, or it blocks this host; its "
		    "log says why", ret_error);
	if (bytes[MYSQL_HEADER] != MYSQL_PROTOCOL)
		return mysql_refuse("this is no MySQL server; check the address", ret_error);
	if (length < size)
		return STARTTLS_MORE;
	if (length > size)
		return mysql_refuse("bytes in the clear follow the greeting: somebody may be in between", ret_error);
	return mysql_judge_greeting(bytes, length, ret_error);
}

void
mysql_hide_tls(uint8_t *greeting, size_t length)
{
	greeting[mysql_greeting_capabilities(greeting, length) + 1] &= (uint8_t)~(MYSQL_CAN_TLS >> 8);
}

enum starttls_verdict
mysql_hear_login(const uint8_t *bytes, size_t length, const char **ret_error)
{
	size_t size;

	if (length < MYSQL_HEADER)
		return STARTTLS_MORE;
	size = MYSQL_HEADER + mysql_length(bytes);
	if (size < MYSQL_HEADER + MYSQL_LOGIN_MIN || size > MYSQL_LOGIN_MAX || bytes[3] != 1)
		return mysql_refuse("the client's login packet is none, or longer than 4 KiB", ret_error);
	if (length < size)
		return STARTTLS_MORE;
	if (mysql_capabilities(bytes + MYSQL_HEADER) & MYSQL_CAN_TLS)
		return mysql_refuse("the client asks for TLS although none is offered; turn it off in the client: "
		    "what the server sees is TLS all the same", ret_error);
	if (!(mysql_capabilities(bytes + MYSQL_HEADER) & MYSQL_CAN_4_1))
		return mysql_refuse("the client speaks MySQL's protocol before 4.1", ret_error);
	return STARTTLS_AGREED;
}

void
mysql_make_request(uint8_t *login, uint8_t ret_request[MYSQL_REQUEST_SIZE])
{
	login[MYSQL_HEADER + 1] |= MYSQL_CAN_TLS >> 8;
	memcpy(ret_request, login, MYSQL_REQUEST_SIZE);
	ret_request[0] = MYSQL_LOGIN_MIN;
	ret_request[1] = ret_request[2] = 0;
}

const uint8_t *
mysql_probe_request(void)
{
	enum { SAFE_PASSWORDS = 0x80, METHODS = 0x08, UTF8 = 33 };
	static const uint8_t request[MYSQL_REQUEST_SIZE] = { MYSQL_LOGIN_MIN, 0, 0, 1,
		0, SAFE_PASSWORDS | (MYSQL_CAN_4_1 | MYSQL_CAN_TLS) >> 8, METHODS, 0, 0, 0, 0, 1, UTF8 };

	return request;
}

/* One byte of a packet's header, which step is added to if it is the number. */
static void
mysql_pass_header(struct mysql_way *way, uint8_t *byte, int step)
{
	if (way->header < 3)
		way->left |= (uint32_t)*byte << 8 * way->header;
	else
		*byte = (uint8_t)(*byte + step);
	way->header++;
	if (way->header == MYSQL_HEADER && way->left == 0)
		way->header = 0;
	way->begun = false;
}

/* A server's packet that begins like these ends the login: what a method has to say is escaped where it does. */
static void
mysql_pass(struct mysql_way *way, int step, uint8_t *bytes, size_t length, bool *over)
{
	size_t count;

	for (size_t at = 0; at < length && !*over; at += count) {
		if (way->header < MYSQL_HEADER) {
			mysql_pass_header(way, bytes + at, step);
			count = 1;
			continue;
		}
		if (step < 0 && !way->begun)
			*over = bytes[at] == MYSQL_OK || bytes[at] == MYSQL_ERROR;
		way->begun = true;
		count = length - at < way->left ? length - at : way->left;
		way->left -= (uint32_t)count;
		if (way->left == 0)
			way->header = 0;
	}
}

void
mysql_pass_up(struct mysql_login *login, uint8_t *bytes, size_t length)
{
	mysql_pass(&login->up, 1, bytes, length, &login->over);
}

void
mysql_pass_down(struct mysql_login *login, uint8_t *bytes, size_t length)
{
	mysql_pass(&login->down, -1, bytes, length, &login->over);
}

size_t
mysql_put_error(const char *text, uint8_t ret_packet[MYSQL_ERROR_SIZE])
{
	const int most = MYSQL_ERROR_SIZE - MYSQL_HEADER - 1;
	size_t size;
	int length = snprintf((char *)ret_packet + MYSQL_HEADER, MYSQL_ERROR_SIZE - MYSQL_HEADER, "%c%c%c#08S01%s",
	    MYSQL_ERROR, MYSQL_ERROR_CODE & 0xff, MYSQL_ERROR_CODE >> 8, text);

	size = (size_t)(length < most ? length : most);
	ret_packet[0] = (uint8_t)size;
	ret_packet[1] = (uint8_t)(size >> 8);
	ret_packet[2] = 0;
	ret_packet[3] = 2;
	return MYSQL_HEADER + size;
}
