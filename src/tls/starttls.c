#include "tls/starttls.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LDAP_SEQUENCE = 0x30, LDAP_INTEGER = 0x02, LDAP_ENUMERATED = 0x0a, LDAP_EXTENDED_RESPONSE = 0x78 };

/* SSLRequest: length 8, code 80877103. */
static const uint8_t starttls_postgresql[] = { 0, 0, 0, 8, 4, 210, 22, 47 };

/* Message 1, an ExtendedRequest of RFC 4511, 4.14: Start TLS. */
static const uint8_t starttls_ldap[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037";

/* An address, since the host may have no name; the client introduces itself again. */
static const char starttls_smtp_hello[] = "EHLO [127.0.0.1]\r\n";
static const char starttls_smtp[] = "STARTTLS\r\n";
static const char starttls_imap[] = "a STARTTLS\r\n";

static const struct {
	const char *name;
	const char *greeting; /* of ours, in place of the server's */
} starttls_kinds[] = {
	[STARTTLS_POSTGRESQL] = { "postgresql", "" },
	[STARTTLS_LDAP] = { "ldap", "" },
	[STARTTLS_SMTP] = { "smtp", "220 localhost ESMTP\r\n" },
	[STARTTLS_IMAP] = { "imap", "* OK IMAP4rev1 ready\r\n" },
	[STARTTLS_MYSQL] = { "mysql", "" },
};

enum starttls_kind
starttls_find(const char *name)
{
	enum starttls_kind kind = STARTTLS_MYSQL;

	while (kind != STARTTLS_NONE && strcmp(name, starttls_kinds[kind].name) != 0)
		kind--;
	return kind;
}

const char *
starttls_greeting(enum starttls_kind kind)
{
	return kind == STARTTLS_NONE ? "" : starttls_kinds[kind].greeting;
}

const void *
starttls_request(enum starttls_kind kind, unsigned step, size_t *ret_length)
{
	*ret_length = 0;
	switch (kind) {
	case STARTTLS_POSTGRESQL:
		*ret_length = sizeof starttls_postgresql;
		return starttls_postgresql;
	case STARTTLS_LDAP:
		*ret_length = sizeof starttls_ldap - 1;
		return starttls_ldap;
	case STARTTLS_SMTP:
		if (step == 0)
			return "";
		*ret_length = step == 1 ? sizeof starttls_smtp_hello - 1 : sizeof starttls_smtp - 1;
		return step == 1 ? starttls_smtp_hello : starttls_smtp;
	case STARTTLS_IMAP:
		*ret_length = step == 0 ? 0 : sizeof starttls_imap - 1;
		return starttls_imap;
	default:
		return "";
	}
}

static enum starttls_verdict
starttls_refuse(const char *why, const char **ret_error)
{
	*ret_error = why;
	return STARTTLS_REFUSED;
}

static enum starttls_verdict
starttls_hear_postgresql(const uint8_t *bytes, const char **ret_error)
{
	switch (bytes[0]) {
	case 'S':
		return STARTTLS_AGREED;
	case 'N':
		return starttls_refuse("the server has no TLS; set ssl = on in its postgresql.conf", ret_error);
	case 'E':
		return starttls_refuse("the server answers with an error; its log says which", ret_error);
	default:
		return starttls_refuse("this is no PostgreSQL server; check the address", ret_error);
	}
}

/* A reader of BER that stops at the end of what has come. */
struct starttls_reader {
	const uint8_t *bytes; /* borrowed */
	size_t at, length;
	enum starttls_verdict verdict; /* STARTTLS_AGREED as long as all was well */
};

/* The length of an element with this tag, whose contents come next; 0 if it is not that, or not all there. */
static size_t
starttls_enter(struct starttls_reader *reader, uint8_t tag)
{
	size_t size, octets;

	if (reader->verdict != STARTTLS_AGREED)
		return 0;
	if (reader->length - reader->at < 2) {
		reader->verdict = reader->at < reader->length && reader->bytes[reader->at] != tag ? STARTTLS_REFUSED
		    : STARTTLS_MORE;
		return 0;
	}
	size = reader->bytes[reader->at + 1];
	octets = size < 0x80 ? 0 : size & 0x7f;
	if (reader->bytes[reader->at] != tag || octets > 4 || size == 0x80) {
		reader->verdict = STARTTLS_REFUSED;
		return 0;
	}
	if (reader->length - reader->at - 2 < octets) {
		reader->verdict = STARTTLS_MORE;
		return 0;
	}
	for (size_t i = 0; i < octets; i++)
		size = (i == 0 ? 0 : size << 8) | reader->bytes[reader->at + 2 + i];
	reader->at += 2 + octets;
	return size;
}

/* A number of one octet with this tag; -1 if it is not that, or not there yet. */
static int
starttls_read_number(struct starttls_reader *reader, uint8_t tag)
{
	size_t size = starttls_enter(reader, tag);

	if (reader->verdict != STARTTLS_AGREED)
		return -1;
	if (size != 1)
		reader->verdict = STARTTLS_REFUSED;
	else if (reader->at == reader->length)
		reader->verdict = STARTTLS_MORE;
	return reader->verdict == STARTTLS_AGREED ? reader->bytes[reader->at++] : -1;
}

static enum starttls_verdict
starttls_hear_ldap(const uint8_t *bytes, size_t length, size_t *ret_end, const char **ret_error)
{
	struct starttls_reader reader = { .bytes = bytes, .length = length, .verdict = STARTTLS_AGREED };
	size_t size = starttls_enter(&reader, LDAP_SEQUENCE), begin = reader.at;
	int message = starttls_read_number(&reader, LDAP_INTEGER), result;

	(void)starttls_enter(&reader, LDAP_EXTENDED_RESPONSE);
	result = starttls_read_number(&reader, LDAP_ENUMERATED);
	if (reader.verdict == STARTTLS_REFUSED || (message != -1 && message != 1) ||
	    (reader.verdict == STARTTLS_AGREED && size > STARTTLS_ANSWER_MAX))
		return starttls_refuse("this is no LDAP server that answers StartTLS; check the address", ret_error);
	if (result > 0)
		return starttls_refuse("the server refuses StartTLS; its log says why", ret_error);
	if (reader.verdict == STARTTLS_MORE || length - begin < size)
		return STARTTLS_MORE;
	*ret_end = begin + size;
	return STARTTLS_AGREED;
}

/* The length of the line that begins here, with its end; 0: its end has not come. */
static size_t
starttls_line(const uint8_t *bytes, size_t length)
{
	const uint8_t *end = memchr(bytes, '\n', length);

	return end == NULL ? 0 : (size_t)(end - bytes) + 1;
}

/* Whether the line begins with this word, in capitals or not. */
static bool
starttls_begins(const uint8_t *line, size_t length, const char *word)
{
	size_t size = strlen(word);

	return length > size && strncasecmp((const char *)line, word, size) == 0 &&
	    strchr(" \r\n", line[size]) != NULL && line[size] != '\0';
}

/* The code of the line of a reply that begins with so many of its bytes; -1: it is none. */
static int
starttls_code(const uint8_t *line, size_t length)
{
	int code = 0;

	for (size_t i = 0; i < 3 && i < length; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		code = code * 10 + line[i] - '0';
	}
	return length > 3 && (line[3] == '\0' || strchr(" -\r\n", line[3]) == NULL) ? -1 : code;
}

/* A reply of RFC 5321, 4.2: its lines but the last have a hyphen behind their code.  *ret_offers: whether one of them
 * is STARTTLS. */
static enum starttls_verdict
starttls_hear_reply(const uint8_t *bytes, size_t length, size_t *ret_end, int *ret_code, bool *ret_offers)
{
	size_t size;

	*ret_offers = false;
	for (*ret_end = 0;; *ret_end += size) {
		*ret_code = starttls_code(bytes + *ret_end, length - *ret_end);
		if (*ret_code == -1)
			return STARTTLS_REFUSED;
		size = starttls_line(bytes + *ret_end, length - *ret_end);
		if (size == 0)
			return STARTTLS_MORE;
		if (size < 4)
			return STARTTLS_REFUSED;
		if (starttls_begins(bytes + *ret_end + 4, size - 4, "STARTTLS"))
			*ret_offers = true;
		if (bytes[*ret_end + 3] == '-')
			continue;
		*ret_end += size;
		return STARTTLS_AGREED;
	}
}

static enum starttls_verdict
starttls_hear_smtp(unsigned step, const uint8_t *bytes, size_t length, size_t *ret_end, const char **ret_error)
{
	static const char *const refusals[] = {
		"the server does not greet, but turns us away; its log says why",
		"the server offers no STARTTLS; check the port and its settings",
		"the server refuses STARTTLS; its log says why",
	};
	int code;
	bool offers;
	enum starttls_verdict verdict = starttls_hear_reply(bytes, length, ret_end, &code, &offers);

	if (verdict == STARTTLS_MORE)
		return STARTTLS_MORE;
	if (verdict == STARTTLS_REFUSED)
		return starttls_refuse("this is no SMTP server; check the address", ret_error);
	if (code != (step == 1 ? 250 : 220) || (step == 1 && !offers))
		return starttls_refuse(refusals[step], ret_error);
	return step == 2 ? STARTTLS_AGREED : STARTTLS_NEXT;
}

/* Whether it may become a line of IMAP's: what an answer of this tag begins with. */
static bool
starttls_is_tagged(char tag, const uint8_t *bytes, size_t length)
{
	return (length < 1 || bytes[0] == tag) && (length < 2 || bytes[1] == ' ');
}

static enum starttls_verdict
starttls_hear_imap_greeting(const uint8_t *bytes, size_t length, size_t *ret_end, const char **ret_error)
{
	*ret_end = starttls_line(bytes, length);
	if (!starttls_is_tagged('*', bytes, length))
		return starttls_refuse("this is no IMAP server; check the address", ret_error);
	if (*ret_end == 0)
		return STARTTLS_MORE;
	if (*ret_end > 2 && starttls_begins(bytes + 2, *ret_end - 2, "PREAUTH"))
		return starttls_refuse("the server takes us for logged in, so STARTTLS is out: somebody may be in "
		    "between", ret_error);
	if (*ret_end < 3 || !starttls_begins(bytes + 2, *ret_end - 2, "OK"))
		return starttls_refuse("the server does not greet, but turns us away; its log says why", ret_error);
	return STARTTLS_NEXT;
}

/* Lines without our tag may come at any time. */
static enum starttls_verdict
starttls_hear_imap(const uint8_t *bytes, size_t length, size_t *ret_end, const char **ret_error)
{
	size_t size;

	for (*ret_end = 0; *ret_end < length && bytes[*ret_end] == '*'; *ret_end += size) {
		size = starttls_line(bytes + *ret_end, length - *ret_end);
		if (size == 0)
			return STARTTLS_MORE;
	}
	bytes += *ret_end;
	length -= *ret_end;
	if (!starttls_is_tagged('a', bytes, length))
		return starttls_refuse("this is no IMAP server; check the address", ret_error);
	size = starttls_line(bytes, length);
	if (size == 0)
		return STARTTLS_MORE;
	*ret_end += size;
	if (size < 3 || !starttls_begins(bytes + 2, size - 2, "OK"))
		return starttls_refuse("the server refuses STARTTLS; check the port and its settings", ret_error);
	return STARTTLS_AGREED;
}

static enum starttls_verdict
starttls_hear_kind(enum starttls_kind kind, unsigned step, const uint8_t *bytes, size_t length, size_t *ret_end,
    const char **ret_error)
{
	switch (kind) {
	case STARTTLS_LDAP:
		return starttls_hear_ldap(bytes, length, ret_end, ret_error);
	case STARTTLS_SMTP:
		return starttls_hear_smtp(step, bytes, length, ret_end, ret_error);
	case STARTTLS_IMAP:
		if (step == 0)
			return starttls_hear_imap_greeting(bytes, length, ret_end, ret_error);
		return starttls_hear_imap(bytes, length, ret_end, ret_error);
	default:
		*ret_end = 1;
		return starttls_hear_postgresql(bytes, ret_error);
	}
}

enum starttls_verdict
starttls_hear(enum starttls_kind kind, unsigned step, const uint8_t *bytes, size_t length, const char **ret_error)
{
	enum starttls_verdict verdict;
	size_t end = 0;

	if (length == 0)
		return STARTTLS_MORE;
	verdict = starttls_hear_kind(kind, step, bytes, length, &end, ret_error);
	if ((verdict == STARTTLS_AGREED || verdict == STARTTLS_NEXT) && end < length)
		return starttls_refuse("bytes in the clear follow the server's answer: somebody may be in between",
		    ret_error);
	if (verdict == STARTTLS_MORE && length >= STARTTLS_ANSWER_MAX)
		return starttls_refuse("the answer is too long; check the address", ret_error);
	return verdict;
}
