/* hello.h - speaks a service's hello, and asks its probe's question, on a new connection. */
#ifndef HOLDFAST_UPSTREAM_HELLO_H
#define HOLDFAST_UPSTREAM_HELLO_H

#include <event2/event.h>

#include "base/address.h"
#include "base/proxy_header.h"
#include "upstream/hello_talk.h"

struct hello;

/* What is asked after hello.  All borrowed. */
struct hello_probe {
	const struct probe_settings *settings;
	const struct address *address; /* of the server */
	int64_t timeout;
	enum proxy_version proxy; /* of the header before it, which says that it is no client's; with aside only */
	bool aside; /* in place of hello, and the connection is for that alone: it is parted with in a way that its
		     * end is no error for the server */
};

/* error is "" when done, else "hello: ..." or "probe: ..."; valid during the call. */
typedef void hello_callback(void *arg, enum hello_end end, const char *error);

/* Speaks on fd (borrowed, connected, non-blocking, with no other event in the loop when it continues).  settings
 * are borrowed; probe's are, NULL for none.  Of what the server says nothing beyond the last line that is waited for,
 * or the probe's answer, is read. */
struct hello *hello_start(struct event_base *loop, int fd, const struct hello_settings *settings,
    const struct hello_probe *probe, hello_callback *callback, void *arg);
void hello_cancel(struct hello *hello);

/* Takes over these settings, which say the same as the previous ones; a probe's path may be another. */
void hello_set(struct hello *hello, const struct hello_settings *settings, const struct probe_settings *probe);

/* What a send_file holds now, as it is, in *ret_text (not NUL-terminated, to be ended with hello_forget()); or what
 * is wrong, to be freed with mem_free(). */
char *hello_load(const char *name, char **ret_text, size_t *ret_length);

/* Wipes and frees a text, which may be NULL. */
void hello_forget(char **text, size_t length);

#endif
