/* starttls.h - what is said in plain bytes before TLS begins, pure: one request, one answer.
 *
 * Only protocols whose client notices nothing of it are here.  SMTP, IMAP and MySQL greet first: a client behind us
 * would wait for a greeting that was used up.
 */
#ifndef HOLDFAST_TLS_STARTTLS_H
#define HOLDFAST_TLS_STARTTLS_H

#include <stddef.h>
#include <stdint.h>

#define STARTTLS_ANSWER_MAX 512

enum starttls_kind { STARTTLS_NONE, STARTTLS_POSTGRESQL, STARTTLS_LDAP };
enum starttls_verdict { STARTTLS_MORE, STARTTLS_AGREED, STARTTLS_REFUSED };

/* The kind of this name; STARTTLS_NONE: there is none. */
enum starttls_kind starttls_find(const char *name);

/* The request's bytes; not for STARTTLS_NONE. */
const void *starttls_request(enum starttls_kind kind, size_t *ret_length);

/* Judges all that the server has said since.  One byte behind the answer refuses: it came in the clear, and whoever
 * put it there wants it taken for what TLS protects (CVE-2021-23222).  *ret_error: why it is refused, a static
 * text. */
enum starttls_verdict starttls_hear(enum starttls_kind kind, const uint8_t *bytes, size_t length,
    const char **ret_error);

#endif
