/* said.h - what a server said, as people are shown it. */
#ifndef HOLDFAST_UPSTREAM_SAID_H
#define HOLDFAST_UPSTREAM_SAID_H

#include <stddef.h>

#define SAID_MAX  80                 /* bytes that are shown */
#define SAID_SIZE (4 * SAID_MAX + 1) /* of the text */

/* The first SAID_MAX bytes, escaped. */
void said_escape(const void *bytes, size_t length, char ret_text[SAID_SIZE]);

#endif
