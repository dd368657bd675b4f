#include "upstream/upstream_event.h"

#include <stddef.h>

const char *
upstream_event_name(enum upstream_event_kind kind)
{
	static const char *const names[] = { "attempting_to_connect", "obtained_address", "failed_to_connect",
		"connected", "disconnected", "note" };

	return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "note";
}
