#include "client/metrics_listener.h"

#include <assert.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/tcp_listen.h"

#define METRICS_LISTENER_BACKLOG 64

const char *
metrics_listener_check(const char *text)
{
	struct address address;
	const char *wrong = address_parse(text, &address);

	if (wrong != NULL)
		return wrong;
	if (address.kind == ADDRESS_HOST)
		return "a host name may mean any host; write 127.0.0.1:PORT, [::1]:PORT or unix:/PATH";
	if (address.socket.ss_family != AF_UNIX && tcp_listen_is_public(text))
		return "other hosts could reach it, and there is no password; "
		    "write 127.0.0.1:PORT, [::1]:PORT or unix:/PATH";
	return NULL;
}

void
metrics_listener_settings(const char *text, struct listener_settings *ret_settings)
{
	struct address address;
	const struct sockaddr_un *name = (const void *)&address.socket;
	char words[ADDRESS_TEXT_SIZE];
	const char *wrong = address_parse(text, &address);

	assert(wrong == NULL);
	address_format(&address, words);
	*ret_settings = (struct listener_settings){ .type = LISTENER_STREAM, .mode = 0660,
		.backlog = METRICS_LISTENER_BACKLOG,
		.path = mem_copy_text(address.socket.ss_family == AF_UNIX ? name->sun_path : words) };
}
