/* spare.h - looks at a connection that nobody uses yet, without reading from it. */
#ifndef HOLDFAST_UPSTREAM_SPARE_H
#define HOLDFAST_UPSTREAM_SPARE_H

#include <stdbool.h>
#include <stddef.h>

#define SPARE_TEXT_SIZE 400

/* Whether the server has ended it, or it is in error (P27, P29); then *ret_text says how, with up to 80 bytes that
 * the server said, escaped: "Connection reset by peer", "it said \"421 busy\\r\\n\"", or "". */
bool spare_has_ended(int fd, char ret_text[SPARE_TEXT_SIZE]);

/* The name of the connection's far end, as addresses are written, also when it has ended; "" if
 * it has none. */
void spare_address(int fd, char *ret_text, size_t size);

#endif
