/* framing_parts.h - the framings, for framing.c's table.  No other file needs it. */
#ifndef HOLDFAST_FRAMING_FRAMING_PARTS_H
#define HOLDFAST_FRAMING_FRAMING_PARTS_H

#include "framing/framing.h"

extern const struct framing framing_line, framing_netstring, framing_length8, framing_length16be, framing_length16le,
    framing_length32be, framing_length32le, framing_resp;

#endif
