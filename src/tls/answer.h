/* answer.h - the line that a client of holdfast-tls is answered with, pure; holdfast-tls(8). */
#ifndef HOLDFAST_TLS_ANSWER_H
#define HOLDFAST_TLS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_SIZE 1024 /* with its line end and a NUL */
#define ANSWER_NO_END INT64_MIN

/* All texts are borrowed. */
struct answer {
	const char *protocol, *cipher;
	const char *peer;    /* the subject of the server's certificate */
	const char *alpn;    /* "": none */
	int64_t expires;     /* Unix time in seconds: the server's certificate's end; ANSWER_NO_END: it has none */
	int64_t own_expires; /* the same of ours */
	bool resumed;
};

/* Why there is no session. */
struct failure {
	const char *kind; /* static; a word of holdfast-tls(8) */
	char text[600];   /* what is wrong; what to do */
};

/* The lines' lengths; they fit whatever a server said.  The second is that to a check: our certificate's end. */
size_t answer_ok(const struct answer *answer, char ret_line[ANSWER_SIZE]);
size_t answer_checked(int64_t own_expires, char ret_line[ANSWER_SIZE]);
size_t answer_error(const struct failure *failure, char ret_line[ANSWER_SIZE]);

/* Sets it; always false, for return. */
bool failure_set(struct failure *ret_failure, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
