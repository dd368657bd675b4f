/* context.h - what TLS needs of files and settings, made once for all sessions with the same ones.
 *
 * A context is made again when one of its files has changed, which is looked at for each new session.  It remembers
 * the newest TLS session of each server and name, so that the next handshake resumes it.
 */
#ifndef HOLDFAST_TLS_CONTEXT_H
#define HOLDFAST_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>

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

/* Whether a handshake with this session's server and name has succeeded with the same settings, as far as is
 * remembered; and that one has, or has failed. */
bool contexts_is_proven(const SSL *ssl);
void contexts_prove(SSL *ssl, bool good);

/* Whether nothing is to be expected behind the handshake: with TLS 1.3 a server that asks for a certificate judges it
 * there, unless it has already. */
bool contexts_is_judged(const SSL *ssl);

/* Frees it.  It can be resumed however it ended.  NULL is fine. */
void contexts_close(SSL *ssl);

#endif
