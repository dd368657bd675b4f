/* resp_command.h - which commands of Redis may pass over a connection that others share.
 *
 * Pure.  What would change or block the connection for others, or make the server close it, is answered here.
 */
#ifndef HOLDFAST_FRAMING_RESP_COMMAND_H
#define HOLDFAST_FRAMING_RESP_COMMAND_H

#include <stddef.h>

#define RESP_ANSWER_SIZE 512

enum resp_verdict {
	RESP_FORWARD, /* goes to the server, which gives one reply */
	RESP_ANSWER,  /* the answer is the reply; the server sees nothing */
	RESP_QUIT,    /* the same, and the client is closed after it */
	RESP_SKIP,    /* has no reply and need not be sent (an empty line, an empty array) */
};

/* What hello has made of the shared connection. */
struct resp_connection {
	unsigned database; /* of SELECT; 0 without one */
	unsigned protocol; /* of HELLO; 2 without one */
};

/* Judges a whole request, as framing_of(FRAMING_RESP)->request found it.  answer is RESP_ANSWER_SIZE bytes; without
 * RESP_FORWARD and RESP_SKIP *ret_length of them are the reply. */
enum resp_verdict resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection,
    char *answer, size_t *ret_length);

/* What a sent text of hello makes of the connection (its SELECT and HELLO lines, inline or as arrays); other texts
 * change nothing. */
void resp_note_hello(const unsigned char *text, size_t length, struct resp_connection *connection);

#endif
