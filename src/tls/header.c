#include "tls/header.h"

#include <limits.h>
#include <string.h>

#include "base/clock.h"

#define HEADER_TIMEOUT (10 * CLOCK_SECOND)
#define HEADER_TIMEOUT_MAX (300 * CLOCK_SECOND)
#define HEADER_ALPN_MAX 255

size_t
header_length(const char *bytes, size_t length)
{
	const char *end;

	if (length > 0 && bytes[0] == '\n')
		return 1;
	end = memmem(bytes, length, "\n\n", 2);
	return end == NULL ? 0 : (size_t)(end - bytes) + 2;
}

static const char *
header_take_address(const char *value, struct header *header)
{
	const char *error = address_parse(value, &header->address);

	if (error != NULL)
		return error;
	if (header->address.kind == ADDRESS_HOST)
		return "a host name is not looked up here; give a numeric address";
	header->address_text = value;
	return NULL;
}

/* A path, which cannot depend on the directory that the program stands in. */
static const char *
header_check_path(const char *value)
{
	if (value[0] != '/')
		return "is not an absolute path";
	return strlen(value) >= PATH_MAX ? "is too long" : NULL;
}

static const char *
header_take_ca(const char *value, struct header *header)
{
	header->ca = value;
	return header_check_path(value);
}

static const char *
header_take_crl(const char *value, struct header *header)
{
	header->crl = value;
	return header_check_path(value);
}

static const char *
header_take_cert(const char *value, struct header *header)
{
	header->cert = value;
	return header_check_path(value);
}

static const char *
header_take_key(const char *value, struct header *header)
{
	header->key = value;
	return header_check_path(value);
}

static const char *
header_take_name(const char *value, struct header *header)
{
	header->name = value;
	if (strchr(value, ' ') != NULL)
		return "has a space";
	return strlen(value) > 253 ? "is longer than 253 bytes" : NULL;
}

static const char *
header_take_service(const char *value, struct header *header)
{
	header->service = value;
	return strlen(value) > 64 ? "is longer than 64 bytes" : NULL;
}

static const char *
header_take_alpn(const char *value, struct header *header)
{
	size_t length = strlen(value);

	header->alpn = value;
	if (length >= HEADER_ALPN_MAX)
		return "is longer than 254 bytes";
	if (value[0] == ',' || value[length - 1] == ',' || strstr(value, ",,") != NULL)
		return "has a protocol without a name";
	return NULL;
}

static const char *
header_take_ciphers(const char *value, struct header *header)
{
	header->ciphers = value;
	return strlen(value) > 1024 ? "is longer than 1024 bytes" : NULL;
}

static const char *
header_take_min_version(const char *value, struct header *header)
{
	header->only_1_3 = strcmp(value, "1.3") == 0;
	return header->only_1_3 || strcmp(value, "1.2") == 0 ? NULL : "is neither 1.2 nor 1.3";
}

static const char *
header_take_verify(const char *value, struct header *header)
{
	static const char *const names[] = { "full", "ca", "none" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(value, names[i]) == 0) {
			header->verify = (enum header_verify)i;
			return NULL;
		}
	return "is neither full, ca nor none";
}

static const char *
header_take_starttls(const char *value, struct header *header)
{
	header->starttls = starttls_find(value);
	return header->starttls == STARTTLS_NONE ? "is none of postgresql, mysql, smtp, imap, ldap" : NULL;
}

static const char *
header_take_timeout(const char *value, struct header *header)
{
	if (!clock_read_seconds(value, &header->timeout) || header->timeout <= 0 ||
	    header->timeout > HEADER_TIMEOUT_MAX)
		return "is not a time of up to 300 s";
	return NULL;
}

static const char *
header_take_check(const char *value, struct header *header)
{
	header->check = true;
	return strcmp(value, "files") == 0 ? NULL : "is not files";
}

static const struct header_row {
	const char *name;
	const char *(*take)(const char *value, struct header *header);
} header_rows[] = {
	{ "address", header_take_address },
	{ "service", header_take_service },
	{ "check", header_take_check },
	{ "name", header_take_name },
	{ "ca", header_take_ca },
	{ "crl", header_take_crl },
	{ "cert", header_take_cert },
	{ "key", header_take_key },
	{ "alpn", header_take_alpn },
	{ "min_version", header_take_min_version },
	{ "verify", header_take_verify },
	{ "ciphers", header_take_ciphers },
	{ "starttls", header_take_starttls },
	{ "timeout", header_take_timeout },
};
#define HEADER_ROWS (sizeof header_rows / sizeof header_rows[0])

/* One line.  *seen has a bit for each row that came before. */
static const char *
header_take_line(char *line, struct header *header, unsigned *seen, const char **ret_name)
{
	char *space = strchr(line, ' ');

	if (space == NULL || space[1] == '\0')
		return "a line is not NAME VALUE";
	*space = '\0';
	for (size_t i = 0; i < HEADER_ROWS; i++) {
		if (strcmp(line, header_rows[i].name) != 0)
			continue;
		*ret_name = header_rows[i].name;
		if (*seen & 1u << i)
			return "is given twice";
		*seen |= 1u << i;
		return header_rows[i].take(space + 1, header);
	}
	return "a line has a name that is not known";
}

/* What does not go together. */
static const char *
header_check(struct header *header, const char **ret_name)
{
	*ret_name = "address";
	if (header->address_text == NULL && !header->check)
		return "is missing";
	if (header->address_text == NULL)
		header->address_text = "";
	*ret_name = header->cert == NULL ? "key" : "cert";
	if ((header->cert == NULL) != (header->key == NULL))
		return "needs the other one of cert and key";
	*ret_name = "name";
	if (header->name == NULL && header->verify == HEADER_VERIFY_FULL &&
	    header->address.socket.ss_family == AF_UNIX && !header->check)
		return "is missing: the server's name cannot be verified without it; or set verify to ca";
	*ret_name = "crl";
	if (header->crl != NULL && header->verify == HEADER_VERIFY_NONE)
		return "does not go with verify none";
	return NULL;
}

const char *
header_parse(char *text, size_t length, struct header *ret_header, const char **ret_name)
{
	unsigned seen = 0;
	const char *error = NULL;
	char *end;

	*ret_header = (struct header){ .timeout = HEADER_TIMEOUT };
	*ret_name = "";
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
			return "a control character";
	for (bool first = true; error == NULL && length > 0 && *text != '\n'; first = false) {
		end = memchr(text, '\n', length);
		if (end == NULL)
			return "the last line has no end";
		*end = '\0';
		if (!first)
			error = header_take_line(text, ret_header, &seen, ret_name);
		else if (strcmp(text, HEADER_FIRST_LINE) != 0)
			error = "the first line is not \"" HEADER_FIRST_LINE "\"";
		length -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	return error != NULL ? error : header_check(ret_header, ret_name);
}
