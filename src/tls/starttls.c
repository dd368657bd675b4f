#include "tls/starttls.h"

#include <string.h>

enum { LDAP_SEQUENCE = 0x30, LDAP_INTEGER = 0x02, LDAP_ENUMERATED = 0x0a, LDAP_EXTENDED_RESPONSE = 0x78 };

/* SSLRequest: length 8, code 80877103. */
static const uint8_t starttls_postgresql[] = { 0, 0, 0, 8, 4, 210, 22, 47 };

/* Message 1, an ExtendedRequest of RFC 4511, 4.14: Start TLS. */
static const uint8_t starttls_ldap[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037";

enum starttls_kind
starttls_find(const char *name)
{
	if (strcmp(name, "postgresql") == 0)
		return STARTTLS_POSTGRESQL;
	return strcmp(name, "ldap") == 0 ? STARTTLS_LDAP : STARTTLS_NONE;
}

const void *
starttls_request(enum starttls_kind kind, size_t *ret_length)
{
	if (kind == STARTTLS_POSTGRESQL) {
		*ret_length = sizeof starttls_postgresql;
		return starttls_postgresql;
	}
	*ret_length = sizeof starttls_ldap - 1;
	return starttls_ldap;
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
starttls_hear_ldap(const uint8_t *bytes, size_t length, const char **ret_error)
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
	if (length - begin > size)
		return starttls_refuse("bytes in the clear follow the answer to StartTLS: somebody may be in between",
		    ret_error);
	return STARTTLS_AGREED;
}

enum starttls_verdict
starttls_hear(enum starttls_kind kind, const uint8_t *bytes, size_t length, const char **ret_error)
{
	enum starttls_verdict verdict;

	if (length == 0)
		return STARTTLS_MORE;
	if (kind == STARTTLS_LDAP)
		verdict = starttls_hear_ldap(bytes, length, ret_error);
	else
		verdict = starttls_hear_postgresql(bytes, ret_error);
	if (verdict == STARTTLS_AGREED && kind == STARTTLS_POSTGRESQL && length > 1)
		return starttls_refuse("bytes in the clear follow the answer to SSLRequest: somebody may be in "
		    "between", ret_error);
	if (verdict == STARTTLS_MORE && length >= STARTTLS_ANSWER_MAX)
		return starttls_refuse("the answer is too long; check the address", ret_error);
	return verdict;
}
