/* An address as people write it: what is one is written again so that it means the same, and advice is an address. */
#include "base/address.h"
#include "base/tcp_listen.h"
#include "pieces.h"

static void
check_address(const char *text)
{
	struct address address, again;
	char written[ADDRESS_TEXT_SIZE];

	memset(&address, 0, sizeof address);
	if (address_parse(text, &address) != NULL)
		return;
	address_format(&address, written);
	assert(memchr(written, '\0', sizeof written) != NULL);
	assert(address_parse(written, &again) == NULL);
	assert(address_equal(&address, &again));
	assert(address.socket_length <= sizeof address.socket);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1000], advice[ADDRESS_TEXT_SIZE];
	struct address address;

	if (size >= sizeof text || memchr(data, '\0', size) != NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_address(text);
	if (address_parse(text, &address) != NULL && address_advise(text, advice))
		assert(address_parse(advice, &address) == NULL);
	return 0;
}
