#include "upstream/probe_talk.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

#define POSTGRESQL_HEAD  5     /* a message's kind, its length without the kind */
#define POSTGRESQL_MOST  30000 /* libpq's own bound: a longer error is none of the protocol's */
#define MYSQL_HEAD       4     /* a packet's length and number */
#define HTTP_STATUS_LINE 12    /* as far as it is looked at: "HTTP/1.1 200" */

bool
probe_is_aside(enum probe_kind kind)
{
	return kind == PROBE_POSTGRESQL || kind == PROBE_HTTP;
}

/* PostgreSQL: protocol 3.0; the length is that of all of it.  HTTP: a Unix socket has no name that it knows. */
size_t
probe_request(const struct probe_settings *settings, const char *address, char ret_text[PROBE_TEXT_SIZE])
{
	static const char words[] = "user\0holdfast\0database\0postgres\0application_name\0holdfast\0";
	static const char head[] = { 0, 0, 0, 8 + sizeof words, 0, 3, 0, 0 };
	const char *host = strncmp(address, "unix:", 5) == 0 ? "localhost" : address;

	switch (settings->kind) {
	case PROBE_POSTGRESQL:
		memcpy(ret_text, head, sizeof head);
		memcpy(ret_text + sizeof head, words, sizeof words);
		return sizeof head + sizeof words;
	case PROBE_REDIS:
		memcpy(ret_text, "PING\r\n", 6);
		return 6;
	case PROBE_HTTP:
		return (size_t)snprintf(ret_text, PROBE_TEXT_SIZE, "GET %.*s HTTP/1.1\r\nHost: %.200s\r\n"
		    "User-Agent: holdfast\r\nConnection: close\r\n\r\n", PROBE_PATH_MAX,
		    settings->path == NULL ? "/" : settings->path, host);
	case PROBE_NONE: case PROBE_MYSQL:
		return 0;
	}
	return 0;
}

static enum probe_result
not_ready(const void *text, size_t length, char ret_why[PROBE_WHY_SIZE])
{
	char said[ESCAPE_SAID_SIZE];

	escape_said(text, length, said);
	snprintf(ret_why, PROBE_WHY_SIZE, "the server said \"%s\"", said);
	return PROBE_NOT_READY;
}

/* An error's field of this kind, a text that ends with NUL; NULL if it is not there. */
static const char *
postgresql_field(const unsigned char *answer, size_t length, char kind)
{
	size_t at = POSTGRESQL_HEAD;

	while (at < length && answer[at] != '\0') {
		const unsigned char *end = memchr(answer + at, '\0', length - at);

		if (end == NULL)
			return NULL;
		if (answer[at] == (unsigned char)kind)
			return (const char *)answer + at + 1;
		at = (size_t)(end - answer) + 1;
	}
	return NULL;
}

/* Any answer but "the database system is starting up", "shutting down", "in recovery" is one of a server that serves:
 * that the probe's user is unknown is no matter.  Its code is 57P03; 57P01 and 57P02 are of a backend that is being
 * ended. */
static enum probe_result
postgresql_judge(const unsigned char *answer, size_t length, char ret_why[PROBE_WHY_SIZE])
{
	const char *code, *message;
	size_t whole;

	if (length == 0 || (length < POSTGRESQL_HEAD && (answer[0] == 'R' || answer[0] == 'E')))
		return PROBE_MORE;
	whole = length < POSTGRESQL_HEAD ? 0 : 1 + ((size_t)answer[1] << 24 | (size_t)answer[2] << 16 |
	    (size_t)answer[3] << 8 | answer[4]);
	if (whole < POSTGRESQL_HEAD || whole > POSTGRESQL_MOST || (answer[0] != 'R' && answer[0] != 'E'))
		return not_ready(answer, length, ret_why);
	if (whole > length && length < PROBE_ANSWER_MAX)
		return PROBE_MORE;
	length = whole < length ? whole : length;
	if (answer[0] == 'R')
		return PROBE_READY;
	code = postgresql_field(answer, length, 'C');
	message = postgresql_field(answer, length, 'M');
	if (code != NULL && strncmp(code, "57P0", 4) != 0)
		return PROBE_READY;
	if (message == NULL)
		return not_ready(answer, length, ret_why);
	return not_ready(message, strlen(message), ret_why);
}

/* Errors that a client's own commands need not get: without a password, without the permission to PING, or writes
 * refused because the disk is full, the server serves. */
static enum probe_result
redis_judge(const unsigned char *answer, size_t length, size_t *ret_taken, char ret_why[PROBE_WHY_SIZE])
{
	static const char *const ready[] = { "+PONG", "-NOAUTH", "-NOPERM", "-MISCONF" };
	const unsigned char *end = length == 0 ? NULL : memchr(answer, '\n', length);

	if (end == NULL)
		return length < PROBE_ANSWER_MAX ? PROBE_MORE : not_ready(answer, length, ret_why);
	*ret_taken = (size_t)(end - answer) + 1;
	for (size_t i = 0; i < sizeof ready / sizeof ready[0]; i++)
		if (*ret_taken >= strlen(ready[i]) && memcmp(answer, ready[i], strlen(ready[i])) == 0)
			return PROBE_READY;
	length = (size_t)(end - answer);
	return not_ready(answer, length > 0 && answer[length - 1] == '\r' ? length - 1 : length, ret_why);
}

/* The greeting is the client's own, so nothing of it is taken.  In place of it comes an error packet: too many
 * connections, this host is blocked. */
static enum probe_result
mysql_judge(const unsigned char *answer, size_t length, char ret_why[PROBE_WHY_SIZE])
{
	size_t whole = length < MYSQL_HEAD ? 0 : MYSQL_HEAD + (answer[0] | (size_t)answer[1] << 8 |
	    (size_t)answer[2] << 16), text = MYSQL_HEAD + 3;

	if (length <= MYSQL_HEAD)
		return PROBE_MORE;
	if (answer[MYSQL_HEAD] == 9 || answer[MYSQL_HEAD] == 10)
		return PROBE_READY;
	if (whole > length && length < PROBE_ANSWER_MAX && answer[MYSQL_HEAD] == 0xff)
		return PROBE_MORE;
	length = whole < length ? whole : length;
	if (answer[MYSQL_HEAD] != 0xff || length < text)
		return not_ready(answer, length, ret_why);
	if (length >= text + 6 && answer[text] == '#')
		text += 6;
	return not_ready(answer + text, length - text, ret_why);
}

/* Whatever the server says of the path, it answers; 5xx is what servers and their proxies say while they cannot. */
static enum probe_result
http_judge(const unsigned char *answer, size_t length, char ret_why[PROBE_WHY_SIZE])
{
	static const char form[] = "HTTP/d.d ddd";
	const unsigned char *end;

	for (size_t i = 0; i < length && i < HTTP_STATUS_LINE; i++)
		if (form[i] == 'd' ? !isdigit(answer[i]) : answer[i] != form[i])
			return not_ready(answer, length, ret_why);
	if (length < HTTP_STATUS_LINE)
		return PROBE_MORE;
	if (answer[9] < '5')
		return PROBE_READY;
	end = memchr(answer, '\r', length);
	return not_ready(answer, end == NULL ? length : (size_t)(end - answer), ret_why);
}

enum probe_result
probe_judge(enum probe_kind kind, const unsigned char *answer, size_t length, size_t *ret_taken,
    char ret_why[PROBE_WHY_SIZE])
{
	*ret_taken = 0;
	switch (kind) {
	case PROBE_POSTGRESQL:
		return postgresql_judge(answer, length, ret_why);
	case PROBE_REDIS:
		return redis_judge(answer, length, ret_taken, ret_why);
	case PROBE_MYSQL:
		return mysql_judge(answer, length, ret_why);
	case PROBE_HTTP:
		return http_judge(answer, length, ret_why);
	case PROBE_NONE:
		return PROBE_READY;
	}
	return PROBE_READY;
}

/* A session that has begun (AuthenticationOk) is ended by Terminate; a log-in under way, by closing. */
size_t
probe_farewell(enum probe_kind kind, const unsigned char *answer, size_t length, char ret_text[PROBE_TEXT_SIZE])
{
	static const unsigned char begun[] = { 'R', 0, 0, 0, 8, 0, 0, 0, 0 };
	static const char terminate[] = { 'X', 0, 0, 0, 4 };

	if (kind != PROBE_POSTGRESQL || length < sizeof begun || memcmp(answer, begun, sizeof begun) != 0)
		return 0;
	memcpy(ret_text, terminate, sizeof terminate);
	return sizeof terminate;
}
