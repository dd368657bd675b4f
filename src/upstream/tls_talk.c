#include "upstream/tls_talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

#define FIRST_LINE "holdfast-tls 1\n"
#define DAY (86400 * CLOCK_SECOND)
#define SECONDS_MAX (INT64_C(1000000000000)) /* of a certificate's end: 31,000 years */

static bool
text_is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
tls_settings_are_same(const struct tls_settings *a, const struct tls_settings *b)
{
	return a->enabled == b->enabled && a->by_host == b->by_host && a->min_version == b->min_version &&
	    a->verify == b->verify && a->starttls == b->starttls && text_is_same(a->ca, b->ca) &&
	    text_is_same(a->crl, b->crl) && text_is_same(a->cert, b->cert) && text_is_same(a->key, b->key) &&
	    text_is_same(a->name, b->name) && text_is_same(a->alpn, b->alpn) && text_is_same(a->ciphers, b->ciphers);
}

/* A header being written; length is 0 once it has no room. */
struct writer {
	char *bytes;
	size_t length;
};

static void __attribute__((format(printf, 2, 3)))
writer_put(struct writer *writer, const char *format, ...)
{
	size_t room = TLS_HEADER_MAX - writer->length;
	va_list args;
	int length;

	if (writer->length == 0)
		return;
	va_start(args, format);
	length = vsnprintf(writer->bytes + writer->length, room, format, args);
	va_end(args);
	writer->length = length < 0 || (size_t)length >= room ? 0 : writer->length + (size_t)length;
}

static void
writer_put_text(struct writer *writer, const char *name, const char *value)
{
	if (value != NULL)
		writer_put(writer, "%s %s\n", name, value);
}

static void
writer_put_settings(struct writer *writer, const struct tls_settings *settings)
{
	static const char *const verify[] = { "full", "ca", "none" };
	static const char *const starttls[] = { NULL, "postgresql", "mysql", "smtp", "imap", "ldap" };

	writer_put_text(writer, "ca", settings->ca);
	writer_put_text(writer, "crl", settings->crl);
	writer_put_text(writer, "cert", settings->cert);
	writer_put_text(writer, "key", settings->key);
	writer_put_text(writer, "alpn", settings->alpn);
	writer_put_text(writer, "ciphers", settings->ciphers);
	writer_put_text(writer, "min_version", settings->min_version == TLS_1_3 ? "1.3" : NULL);
	writer_put_text(writer, "verify", verify[settings->verify]);
	writer_put_text(writer, "starttls", starttls[settings->starttls]);
}

static struct writer
writer_begin(char *bytes, const char *service)
{
	struct writer writer = { bytes, sizeof FIRST_LINE - 1 };

	memcpy(bytes, FIRST_LINE, writer.length);
	writer_put_text(&writer, "service", service);
	return writer;
}

size_t
tls_talk_header(const struct tls_settings *settings, const char *service, const struct tls_server *server,
    int64_t timeout, char ret_bytes[TLS_HEADER_MAX])
{
	bool by_host = settings->by_host && settings->name == NULL && server->host != NULL && *server->host != '\0';
	struct writer writer = writer_begin(ret_bytes, service);
	char text[ADDRESS_TEXT_SIZE];

	if (timeout > TLS_TIMEOUT_MAX)
		timeout = TLS_TIMEOUT_MAX;
	address_format(server->address, text);
	writer_put_text(&writer, "address", text);
	writer_put(&writer, "timeout %" PRId64 ".%06" PRId64 "\n", timeout / CLOCK_SECOND, timeout % CLOCK_SECOND);
	writer_put_text(&writer, "name", by_host ? server->host : settings->name);
	writer_put_settings(&writer, settings);
	writer_put(&writer, "\n");
	return writer.length;
}

size_t
tls_talk_check(const struct tls_settings *settings, const char *service, char ret_bytes[TLS_HEADER_MAX])
{
	struct writer writer = writer_begin(ret_bytes, service);

	writer_put(&writer, "check files\n");
	writer_put_text(&writer, "name", settings->name);
	writer_put_settings(&writer, settings);
	writer_put(&writer, "\n");
	return writer.length;
}

/* A part of a line. */
struct piece {
	const char *text;
	size_t length;
};

/* The next NAME=VALUE or NAME="VALUE" of the rest; false: there is none, or it is something else. */
static bool
answer_next(struct piece *rest, struct piece *ret_name, struct piece *ret_value)
{
	const char *equals, *end, *begin;

	while (rest->length > 0 && *rest->text == ' ')
		*rest = (struct piece){ rest->text + 1, rest->length - 1 };
	equals = memchr(rest->text, '=', rest->length);
	if (equals == NULL)
		return false;
	*ret_name = (struct piece){ rest->text, (size_t)(equals - rest->text) };
	begin = equals + 1;
	*rest = (struct piece){ begin, rest->length - ret_name->length - 1 };
	if (rest->length > 0 && *begin == '"') {
		*rest = (struct piece){ ++begin, rest->length - 1 };
		end = memchr(begin, '"', rest->length);
		if (end == NULL)
			return false;
	} else {
		end = memchr(begin, ' ', rest->length);
		end = end == NULL ? begin + rest->length : end;
	}
	*ret_value = (struct piece){ begin, (size_t)(end - begin) };
	*rest = (struct piece){ end, rest->length - ret_value->length };
	if (rest->length > 0)
		*rest = (struct piece){ end + 1, rest->length - 1 };
	return true;
}

static bool
piece_is(struct piece piece, const char *text)
{
	return piece.length == strlen(text) && memcmp(piece.text, text, piece.length) == 0;
}

/* As it is shown, cut. */
static void
piece_copy(struct piece piece, char *ret_text, size_t size)
{
	escape(piece.text, piece.length, ESCAPE_ASCII, ret_text, size);
}

/* A Unix time; 0: it is no number of seconds. */
static int64_t
piece_point(struct piece piece)
{
	char text[24] = "", *end;
	long long seconds;

	if (piece.length == 0 || piece.length >= sizeof text)
		return 0;
	memcpy(text, piece.text, piece.length);
	seconds = strtoll(text, &end, 10);
	if (*end != '\0' || seconds > SECONDS_MAX || seconds < -SECONDS_MAX)
		return 0;
	return seconds * CLOCK_SECOND;
}

static void
answer_take(struct piece name, struct piece value, struct tls_session *session)
{
	bool later = piece_is(value, "none"); /* TLS begins later, as MySQL's does */

	if (piece_is(name, "protocol"))
		piece_copy(later ? (struct piece){ "TLS", 3 } : value, session->protocol, sizeof session->protocol);
	else if (piece_is(name, "cipher") && !later)
		piece_copy(value, session->cipher, sizeof session->cipher);
	else if (piece_is(name, "peer"))
		piece_copy(value, session->peer, sizeof session->peer);
	else if (piece_is(name, "resumed"))
		session->resumed = piece_is(value, "1");
	else if (piece_is(name, "expires"))
		session->expires = piece_point(value);
	else if (piece_is(name, "own_expires"))
		session->own_expires = piece_point(value);
}

/* Of these kinds no server is the cause. */
static enum tls_verdict
answer_judge(struct piece kind)
{
	static const char *const local[] = { "header", "file", "limit" };

	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
		if (piece_is(kind, local[i]))
			return TLS_LOCAL;
	return TLS_FAILED;
}

static enum tls_verdict
answer_take_error(struct piece rest, char ret_error[TLS_ERROR_SIZE])
{
	const char *space = memchr(rest.text, ' ', rest.length);
	struct piece kind = { rest.text, space == NULL ? rest.length : (size_t)(space - rest.text) };
	size_t used = space == NULL ? kind.length : kind.length + 1;

	memcpy(ret_error, "tls: ", 6);
	piece_copy((struct piece){ rest.text + used, rest.length - used }, ret_error + 5, TLS_ERROR_SIZE - 5);
	return answer_judge(kind);
}

enum tls_verdict
tls_talk_answer(const char *line, size_t length, struct tls_session *ret_session,
    char ret_error[TLS_ERROR_SIZE])
{
	struct piece rest = { line, length }, name, value;
	char said[ESCAPE_SAID_SIZE];

	memset(ret_session, 0, sizeof *ret_session);
	if (length > 6 && memcmp(line, "error ", 6) == 0)
		return answer_take_error((struct piece){ line + 6, length - 6 }, ret_error);
	if (length < 2 || memcmp(line, "ok", 2) != 0 || (length > 2 && line[2] != ' ')) {
		escape_said(line, length, said);
		snprintf(ret_error, TLS_ERROR_SIZE, "tls: \"%s\" is no answer of holdfast-tls; check tls.socket",
		    said);
		return TLS_LOCAL;
	}
	rest = (struct piece){ line + 2, length - 2 };
	while (answer_next(&rest, &name, &value))
		answer_take(name, value, ret_session);
	return TLS_OPEN;
}

void
tls_talk_unreached(const struct tls_settings *settings, int error, char ret_error[TLS_ERROR_SIZE])
{
	if (error == ENOENT || error == ECONNREFUSED)
		snprintf(ret_error, TLS_ERROR_SIZE, "tls: holdfast-tls is not running at %s: start "
		    "holdfast-tls.socket", settings->socket);
	else if (error == EACCES || error == EPERM)
		snprintf(ret_error, TLS_ERROR_SIZE, "tls: %s: %s; the socket must belong to the user of holdfastd",
		    settings->socket, strerror(error));
	else
		snprintf(ret_error, TLS_ERROR_SIZE, "tls: holdfast-tls at %s: %s", settings->socket,
		    strerror(error));
}

bool
tls_session_days(const struct tls_session *session, int64_t wall, int64_t *ret_days, bool *ret_own)
{
	int64_t first = session->expires, own = session->own_expires;

	*ret_own = own != 0 && (first == 0 || own < first);
	first = *ret_own ? own : first;
	if (first == 0)
		return false;
	*ret_days = (first - wall - (first < wall ? DAY - 1 : 0)) / DAY;
	return true;
}
