#include "config/check_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "upstream/tls_talk.h"

#define ANSWER_WAIT 5 /* seconds */

static const struct tls_settings *
tls_of(const struct read_service *service)
{
	return &service->settings->upstream.dial.tls;
}

/* A header's lines are lines. */
static void
check_texts(struct reader *reader, const struct read_service *service)
{
	const struct tls_settings *tls = tls_of(service);
	const struct { const char *setting, *text; } rows[] = { { "tls.name", tls->name }, { "tls.ca", tls->ca },
		{ "tls.crl", tls->crl }, { "tls.cert", tls->cert }, { "tls.key", tls->key },
		{ "tls.alpn", tls->alpn }, { "tls.ciphers", tls->ciphers } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (const char *c = rows[i].text; c != NULL && *c != '\0'; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f) {
				reader_say(reader, READ_ERROR, service, rows[i].setting, "has a control character");
				break;
			}
}

static bool
alpn_is_wrong(const char *alpn)
{
	return alpn != NULL && (alpn[0] == ',' || alpn[strlen(alpn) - 1] == ',' || strstr(alpn, ",,") != NULL);
}

/* Where no name can be verified, and none is given. */
static const char *
name_lacks(const struct service_settings *settings)
{
	const struct tls_settings *tls = &settings->upstream.dial.tls;
	char *const *texts = settings->upstream.lookup.addresses;
	struct address address;

	if (tls->name != NULL || tls->verify != TLS_VERIFY_FULL)
		return NULL;
	for (; texts != NULL && *texts != NULL; texts++) {
		if (address_parse(*texts, &address) != NULL)
			continue;
		if (address.kind == ADDRESS_HOST && strlen(address.host) >= ENDPOINT_FROM_SIZE - 1)
			return "is needed where there are several hosts, one of them with more than 62 letters";
		if (address.socket.ss_family == AF_UNIX)
			return "is needed: a Unix socket has no name to be verified; or set verify = \"ca\"";
	}
	return NULL;
}

static void
check_rules(struct reader *reader, const struct read_service *service)
{
	const struct tls_settings *tls = tls_of(service);
	const struct conn_settings *dial = &service->settings->upstream.dial;
	const char *lacks = name_lacks(service->settings);
	char header[TLS_HEADER_MAX];
	size_t length = tls_talk_check(tls, service->settings->name, header);
	const struct {
		bool wrong;
		const char *setting, *what;
	} rules[] = {
		{ tls->cert != NULL && tls->key == NULL, "tls.cert", "needs tls.key too" },
		{ tls->key != NULL && tls->cert == NULL, "tls.key", "needs tls.cert too" },
		{ tls->crl != NULL && tls->verify == TLS_VERIFY_NONE, "tls.crl",
		    "is not looked at with verify = \"none\"" },
		{ tls->name != NULL && strchr(tls->name, ' ') != NULL, "tls.name", "has a space" },
		{ alpn_is_wrong(tls->alpn), "tls.alpn", "has a protocol without a name" },
		{ lacks != NULL, "tls.name", lacks },
		{ strlen(tls->socket) > TLS_SOCKET_MAX, "tls.socket", "the socket's path is longer than 107 bytes" },
		{ *tls->socket == '@', "tls.socket", "holdfast-tls has no abstract socket: give a path" },
		{ length == 0 || length > TLS_HEADER_MAX - TLS_SERVER_MAX, "tls.enabled",
		    "the paths are too long together: 7.5 KiB is the most" },
		{ dial->proxy != PROXY_NONE, "proxy_protocol", "does not go with tls: its header comes before TLS, "
		    "and connections are made before there is a client; use one of them" },
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].wrong)
			reader_say(reader, READ_ERROR, service, rules[i].setting, "%s", rules[i].what);
	if (dial->mptcp)
		reader_say(reader, READ_WARNING, service, "mptcp", "has no meaning with tls: holdfast-tls dials, "
		    "without it");
	if (tls->verify == TLS_VERIFY_NONE)
		reader_say(reader, READ_WARNING, service, "tls.verify", "\"none\": nobody knows whether this is the "
		    "server: who is between can read and change all; set tls.ca instead");
}

void
check_tls(struct reader *reader, const struct read_service *service)
{
	if (!tls_of(service)->enabled)
		return;
	check_texts(reader, service);
	check_rules(reader, service);
}

/* Servers that want to be asked for TLS, by the ports of their protocols. */
static void
check_starttls(struct reader *reader, const struct read_service *service)
{
	static const struct {
		unsigned port;
		const char *what, *value;
	} asked[] = { { 5432, "PostgreSQL", "postgresql" }, { 3306, "MySQL", "mysql" }, { 25, "SMTP", "smtp" },
		{ 587, "SMTP", "smtp" }, { 143, "IMAP", "imap" }, { 389, "LDAP", "ldap" } };
	char *const *addresses = service->settings->upstream.lookup.addresses;
	const struct tls_settings *tls = tls_of(service);
	struct address address;

	if (tls->starttls != TLS_STARTTLS_NONE || tls->alpn != NULL || addresses == NULL ||
	    address_parse(addresses[0], &address) != NULL)
		return;
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
		if (address.port == asked[i].port)
			reader_say(reader, READ_WARNING, service, "tls.starttls", "port %u is %s's, which is asked "
			    "for TLS first: set tls.starttls = \"%s\"", address.port, asked[i].what, asked[i].value);
}

/* Without holdfast-tls's word: files that are not there, as far as whoever tests may see that. */
static void
check_presence(struct reader *reader, const struct read_service *service)
{
	const struct tls_settings *tls = tls_of(service);
	const struct { const char *setting, *path; } rows[] = { { "tls.ca", tls->ca }, { "tls.crl", tls->crl },
		{ "tls.cert", tls->cert }, { "tls.key", tls->key } };
	struct stat status;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].path != NULL && stat(rows[i].path, &status) == -1 && errno != EACCES)
			reader_say(reader, READ_WARNING, service, rows[i].setting, "%s: %s; attempts fail until it "
			    "is there", rows[i].path, strerror(errno));
}

/* holdfast-tls's answer to the question, a line without its end, and its length; -1 with errno.  A bound of its own
 * for each step keeps this from waiting long. */
static ssize_t
ask(const struct tls_settings *tls, const char *service, char ret_line[TLS_LINE_MAX])
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;
	const struct timeval wait = { .tv_sec = ANSWER_WAIT };
	struct sockaddr_un place = { .sun_family = AF_UNIX };
	char header[TLS_HEADER_MAX];
	size_t size = tls_talk_check(tls, service, header);
	ssize_t length = -1;

	if (fd == -1)
		return -1;
	memcpy(place.sun_path, tls->socket, strlen(tls->socket) + 1);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
	    connect(fd, (const struct sockaddr *)&place, sizeof place) == 0 &&
	    (send(fd, header, size, MSG_NOSIGNAL) == (ssize_t)size || errno == EPIPE))
		length = recv(fd, ret_line, TLS_LINE_MAX, MSG_WAITALL);
	error = length == 0 ? ECONNRESET : length > 0 ? EPROTO : errno; /* if it is no line */
	close(fd);
	errno = error;
	return length > 0 && ret_line[length - 1] == '\n' ? length - 1 : -1;
}

/* The setting whose file the text is about. */
static const char *
setting_in(const struct tls_settings *tls, const char *text)
{
	const struct { const char *setting, *value; } rows[] = { { "tls.cert", tls->cert }, { "tls.key", tls->key },
		{ "tls.crl", tls->crl }, { "tls.ca", tls->ca }, { "tls.ciphers", tls->ciphers } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].value != NULL && strstr(text, rows[i].value) != NULL)
			return rows[i].setting;
	return "tls.enabled";
}

static void
check_expiry(struct reader *reader, const struct read_service *service, const struct tls_session *session)
{
	int64_t days;
	bool own;

	if (!tls_session_days(session, clock_wall(), &days, &own) || days >= TLS_DAYS_FEW)
		return;
	if (days < 0)
		reader_say(reader, READ_MOMENTARY, service, "tls.cert", "%s: has expired; renew it",
		    tls_of(service)->cert);
	else
		reader_say(reader, READ_WARNING, service, "tls.cert", "%s: expires in %lld days; renew it",
		    tls_of(service)->cert, (long long)days);
}

/* false: it is of no use to ask again. */
static bool
check_by_asking(struct reader *reader, const struct read_service *service)
{
	const struct tls_settings *tls = tls_of(service);
	struct tls_session session;
	char line[TLS_LINE_MAX], error[TLS_ERROR_SIZE] = "";
	ssize_t length = ask(tls, service->settings->name, line);

	if (length == -1) {
		tls_talk_unreached(tls, errno == EAGAIN ? ETIMEDOUT : errno, error);
		if (!tls->start)
			reader_say(reader, READ_WARNING, service, "tls.enabled", "%s; the files were not looked into",
			    error + strlen("tls: "));
		return false;
	}
	if (tls_talk_answer(line, (size_t)length, &session, error) == TLS_OPEN)
		check_expiry(reader, service, &session);
	else
		reader_say(reader, READ_MOMENTARY, service, setting_in(tls, error), "%s", error + strlen("tls: "));
	return true;
}

void
check_tls_files(struct reader *reader)
{
	const struct read_service *service;
	bool asking = true;

	for (size_t i = 0; i < reader->service_count; i++) {
		service = reader->services[i];
		if (!tls_of(service)->enabled || strlen(tls_of(service)->socket) > TLS_SOCKET_MAX)
			continue;
		check_starttls(reader, service);
		asking = asking && check_by_asking(reader, service);
		if (!asking)
			check_presence(reader, service);
	}
}
