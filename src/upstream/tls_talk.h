/* tls_talk.h - what is said to holdfast-tls on a new connection, and what its answer means, pure; holdfast-tls(8).
 *
 * holdfast-tls has the TLS session with the server, so that no worker's death ends it.  To everything else the
 * connection to holdfast-tls is one to the server.
 */
#ifndef HOLDFAST_UPSTREAM_TLS_TALK_H
#define HOLDFAST_UPSTREAM_TLS_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define TLS_HEADER_MAX  8192u /* bytes, the empty line too */
#define TLS_SERVER_MAX  512u  /* of it: at most so many are not the settings': address, name, time */
#define TLS_LINE_MAX    1024u /* of an answer, with its end */
#define TLS_ERROR_SIZE  900
#define TLS_NAME_MAX    253
#define TLS_SOCKET_MAX  107 /* of a path to it */
#define TLS_CIPHERS_MAX 1024
#define TLS_ALPN_MAX    254
#define TLS_TIMEOUT_MAX INT64_C(300000000) /* of a header, in microseconds */

enum tls_version { TLS_1_2, TLS_1_3 };
enum tls_verify { TLS_VERIFY_FULL, TLS_VERIFY_CA, TLS_VERIFY_NONE };
enum tls_starttls {
	TLS_STARTTLS_NONE, TLS_STARTTLS_POSTGRESQL, TLS_STARTTLS_MYSQL, TLS_STARTTLS_SMTP, TLS_STARTTLS_IMAP,
	TLS_STARTTLS_LDAP
};

/* Texts are owned by the settings; NULL: not given. */
struct tls_settings {
	bool enabled;
	bool start;   /* holdfast-tls is, where nobody listens */
	char *socket; /* holdfast-tls's */
	char *ca, *crl, *cert, *key, *name, *alpn, *ciphers;
	enum tls_version min_version;
	enum tls_verify verify;
	enum tls_starttls starttls;
	bool by_host; /* no setting: without a name, that of the endpoint's host, if it has one, is the server's */
};

/* Whether both lead to sessions of the same kind, by whatever socket. */
bool tls_settings_are_same(const struct tls_settings *a, const struct tls_settings *b);

/* What is known of a session; it may lie in the shared table. */
struct tls_session {
	int64_t expires;     /* wall clock, in microseconds: the end of the server's certificate; 0 none */
	int64_t own_expires; /* the same of ours */
	bool resumed;
	char protocol[12], cipher[40], peer[88]; /* longer ones are cut; "TLS" and "" where TLS begins later */
};

enum tls_verdict {
	TLS_OPEN,   /* there is a session */
	TLS_FAILED, /* there is none, for the server's sake */
	TLS_LOCAL   /* likewise, for a cause on this host: the settings, their files, holdfast-tls itself */
};

/* A server: its address, and the name of its host; NULL or "": none is known. */
struct tls_server {
	const struct address *address; /* borrowed */
	const char *host;              /* borrowed */
};

/* What is to be sent for a session with this server; its length, or 0: it is longer than TLS_HEADER_MAX.  timeout is
 * cut to what holdfast-tls takes. */
size_t tls_talk_header(const struct tls_settings *settings, const char *service, const struct tls_server *server,
    int64_t timeout, char ret_bytes[TLS_HEADER_MAX]);

/* The same that has the settings' files looked at, and nothing dialled. */
size_t tls_talk_check(const struct tls_settings *settings, const char *service, char ret_bytes[TLS_HEADER_MAX]);

/* What the answer, a line without its end, says: *ret_session, or in ret_error what is wrong and what to do. */
enum tls_verdict tls_talk_answer(const char *line, size_t length, struct tls_session *ret_session,
    char ret_error[TLS_ERROR_SIZE]);

/* Why holdfast-tls cannot be reached: a positive errno of the connect. */
void tls_talk_unreached(const struct tls_settings *settings, int error, char ret_error[TLS_ERROR_SIZE]);

/* Days, rounded down, until the first of both certificates ends, and in *ret_own whether it is ours; false: none has
 * an end. */
bool tls_session_days(const struct tls_session *session, int64_t wall, int64_t *ret_days, bool *ret_own);

#define TLS_DAYS_FEW 21 /* with fewer people are warned */

#endif
