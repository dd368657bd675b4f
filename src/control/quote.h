/* quote.h - a long text as a JSON string: jansson looks at each byte four times, and the loop waits for it. */
#ifndef HOLDFAST_CONTROL_QUOTE_H
#define HOLDFAST_CONTROL_QUOTE_H

#include <event2/buffer.h>

/* Moves all of text, valid UTF-8, behind what out holds, with quotation marks around it. */
void quote_text(struct evbuffer *text, struct evbuffer *out);

#endif
