/* context.h - what TLS needs of files and settings, made once for all sessions with the same ones.
 *
 * A context is made again when one of its files has changed, which is looked at for each new session.  It remembers
 * the newest TLS session of each server and name, so that the next handshake resumes it.
 */
#ifndef HOLDFAST_TLS_CONTEXT_H
#define HOLDFAST_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "tls/answer.h"
#include "tls/header.h"

#define CONTEXT_MAX 64          /* contexts; the one that was used longest ago goes */
#define CONTEXT_SESSIONS_MAX 32 /* TLS sessions of each */

struct contexts;

struct contexts *contexts_new(void);

/* NULL is fine.  Sessions that use one stay. */
void contexts_free(struct contexts *contexts);

/* A session that is to shake hands as the header says, without a socket; the caller's.  NULL: *ret_failure says
 * why. */
SSL *contexts_open(struct contexts *contexts, const struct header *header, struct failure *ret_failure);

/* Frees it.  It can be resumed however it ended.  NULL is fine. */
void contexts_close(SSL *ssl);

#endif
