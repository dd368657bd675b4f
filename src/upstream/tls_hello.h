/* tls_hello.h - has holdfast-tls open a TLS session to a server, on a new connection to it. */
#ifndef HOLDFAST_UPSTREAM_TLS_HELLO_H
#define HOLDFAST_UPSTREAM_TLS_HELLO_H

#include <event2/event.h>

#include "upstream/tls_talk.h"

struct tls_hello;

/* error is "" with TLS_OPEN; all is valid during the call. */
typedef void tls_hello_callback(void *arg, enum tls_verdict verdict, const struct tls_session *session,
    const char *error);

/* Speaks on fd (borrowed, connected to holdfast-tls, non-blocking, with no other event in the loop when it
 * continues).  Settings and server are not needed any more once this has returned.  timeout is that of the server's
 * connect and handshake.  Nothing behind the answer is read. */
struct tls_hello *tls_hello_start(struct event_base *loop, int fd, const struct tls_settings *settings,
    const char *service, const struct tls_server *server, int64_t timeout, tls_hello_callback *callback, void *arg);

/* NULL is fine. */
void tls_hello_cancel(struct tls_hello *hello);

#endif
