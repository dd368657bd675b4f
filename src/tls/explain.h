/* explain.h - says why a handshake or a session failed and what to do; and what a certificate is. */
#ifndef HOLDFAST_TLS_EXPLAIN_H
#define HOLDFAST_TLS_EXPLAIN_H

#include <openssl/ssl.h>

#include "tls/answer.h"
#include "tls/header.h"

#define EXPLAIN_NAME_SIZE 256

/* The callback of SSL_set_verify(): changes nothing, keeps the certificate that fails. */
int explain_verify(int good, X509_STORE_CTX *store);

/* After SSL_connect() has failed.  Takes OpenSSL's queue of errors; error is errno at the failure. */
void explain_handshake(const SSL *ssl, const struct header *header, int error, struct failure *ret_failure);

/* After SSL_read() or SSL_write() has failed: "the server sent an alert: tlsv13 alert certificate required",
 * "Connection reset by peer".  Takes the queue. */
void explain_session(int error, char *ret_text, size_t size);

/* Whether the last error in the queue is an end without close_notify. */
bool explain_is_truncation(void);

/* The last error in the queue, as OpenSSL has it; empties the queue. */
const char *explain_last(char *ret_text, size_t size);

/* The certificate's subject, "CN=x,O=y"; "" for NULL. */
void explain_subject(const X509 *certificate, char ret_text[EXPLAIN_NAME_SIZE]);

/* When it ends, in seconds of Unix time; ANSWER_NO_END for NULL. */
int64_t explain_end(const X509 *certificate);

#endif
