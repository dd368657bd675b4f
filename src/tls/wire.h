/* wire.h - the socket below TLS, as a BIO: OpenSSL's own, but for records that are known to be followed by others. */
#ifndef HOLDFAST_TLS_WIRE_H
#define HOLDFAST_TLS_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Puts the session on this socket, which it does not close.  False: there is no memory. */
bool wire_attach(SSL *ssl, int fd);

/* Whether more is written at once after the next record: the kernel then waits for it, and sends less segments. */
void wire_set_more(SSL *ssl, bool more);

#endif
