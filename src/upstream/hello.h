/* hello.h - speaks a service's hello on a new connection. */
#ifndef HOLDFAST_UPSTREAM_HELLO_H
#define HOLDFAST_UPSTREAM_HELLO_H

#include <event2/event.h>

#include "upstream/hello_talk.h"

struct hello;

/* error is "" when done, else "hello: ..."; valid during the call. */
typedef void hello_callback(void *arg, enum hello_end end, const char *error);

/* Speaks on fd (borrowed, connected, non-blocking).  settings are borrowed, not empty.  Of what the server says
 * nothing beyond the last line that is waited for is read. */
struct hello *hello_start(struct event_base *loop, int fd, const struct hello_settings *settings,
    hello_callback *callback, void *arg);
void hello_cancel(struct hello *hello);

/* Goes on with these settings, which say the same as the former ones. */
void hello_set(struct hello *hello, const struct hello_settings *settings);

/* What a send_file holds now, as it is, in *ret_text (not NUL-terminated, to be ended with hello_forget()); or what
 * is wrong, to be freed with mem_free(). */
char *hello_load(const char *name, char **ret_text, size_t *ret_length);

/* Wipes and frees a text, which may be NULL. */
void hello_forget(char **text, size_t length);

#endif
