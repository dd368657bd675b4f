#include "framing/framing.h"

#include <assert.h>

static const struct framing *const framings[FRAMING_KINDS] = {
	[FRAMING_LINE] = &framing_line,
	[FRAMING_NETSTRING] = &framing_netstring,
	[FRAMING_LENGTH8] = &framing_length8,
	[FRAMING_LENGTH16BE] = &framing_length16be,
	[FRAMING_LENGTH16LE] = &framing_length16le,
	[FRAMING_LENGTH32BE] = &framing_length32be,
	[FRAMING_LENGTH32LE] = &framing_length32le,
	[FRAMING_RESP] = &framing_resp,
};

const struct framing *
framing_of(enum framing_kind kind)
{
	assert(kind > FRAMING_NONE && kind < FRAMING_KINDS);
	return framings[kind];
}
