/* A header of holdfast-tls: its end is found alike whole and in pieces; what is taken lies in the header's bytes, and
 * is within its limits. */
#include "base/clock.h"
#include "pieces.h"
#include "tls/header.h"

/* A text of the header, which ends within it. */
static void
check_text(const char *text, const char *bytes, size_t length)
{
	if (text == NULL)
		return;
	assert(text >= bytes && text < bytes + length);
	assert(memchr(text, '\0', length - (size_t)(text - bytes)) != NULL);
	assert(text[0] != '\0');
}

static void
check_taken(const struct header *header, const char *bytes, size_t length)
{
	const char *address = header->address_text[0] != '\0' ? header->address_text : NULL;
	const char *texts[] = { address, header->service, header->name, header->ca, header->crl,
		header->cert, header->key, header->alpn, header->ciphers };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		check_text(texts[i], bytes, length);
	assert(header->address_text != NULL && header->address.kind == ADDRESS_SOCKET);
	assert(header->check || header->address_text[0] != '\0');
	assert((header->cert == NULL) == (header->key == NULL));
	assert(header->timeout > 0 && header->timeout <= 300 * CLOCK_SECOND);
	assert(header->verify <= HEADER_VERIFY_NONE && header->starttls <= STARTTLS_LDAP);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header header;
	const char *name, *error;
	size_t whole = header_length((const char *)data, size);
	char *bytes;

	for (size_t part = 0; part < size && part < HEADER_MAX; part++)
		assert(header_length((const char *)data, part) == (whole != 0 && part >= whole ? whole : 0));
	if (whole == 0)
		return 0;
	bytes = malloc(whole);
	memcpy(bytes, data, whole);
	error = header_parse(bytes, whole, &header, &name);
	assert(name != NULL);
	if (error == NULL)
		check_taken(&header, bytes, whole);
	free(bytes);
	return 0;
}
