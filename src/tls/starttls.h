/* starttls.h - what is said in plain bytes before TLS begins, pure: in steps of a request of ours and its answer.
 *
 * The client behind us notices nothing of it.  Where the server greets first its greeting is used up; and since that
 * came in the clear, the client is given one of ours.  MySQL's cannot be made up: mysql.h has the rest of it.
 */
#ifndef HOLDFAST_TLS_STARTTLS_H
#define HOLDFAST_TLS_STARTTLS_H

#include <stddef.h>
#include <stdint.h>

#define STARTTLS_ANSWER_MAX 4096 /* bytes in a step */
#define STARTTLS_GREETING_SIZE 32

enum starttls_kind {
	STARTTLS_NONE, STARTTLS_POSTGRESQL, STARTTLS_LDAP, STARTTLS_SMTP, STARTTLS_IMAP, STARTTLS_MYSQL,
};
enum starttls_verdict { STARTTLS_MORE, STARTTLS_NEXT, STARTTLS_AGREED, STARTTLS_REFUSED };

/* The kind of this name; STARTTLS_NONE: there is none. */
enum starttls_kind starttls_find(const char *name);

/* What we say in this step, from 0 on; length 0: nothing, the server speaks first. */
const void *starttls_request(enum starttls_kind kind, unsigned step, size_t *ret_length);

/* Judges all that the server has said in this step; not for STARTTLS_MYSQL.  NEXT: the next step begins, with nothing
 * said.  One byte behind an answer refuses: it came in the clear, and whoever put it there wants it taken for what
 * TLS protects (CVE-2021-23222, CVE-2011-0411).  *ret_error: why it is refused, a static text. */
enum starttls_verdict starttls_hear(enum starttls_kind kind, unsigned step, const uint8_t *bytes, size_t length,
    const char **ret_error);

/* What the client is to read first once TLS is up; "": nothing.  Shorter than STARTTLS_GREETING_SIZE. */
const char *starttls_greeting(enum starttls_kind kind);

#endif
