/* resp_command.h - which commands of Redis may pass over a connection that others share.
 *
 * Pure.  Who asks for a state that a shared connection cannot have (a transaction, another database), or for what
 * could block or end it for others, is refused and closed: a client that passed over the error would have the
 * commands behind it carried out without that state.  Small talk that changes nothing is answered here.
 */
#ifndef HOLDFAST_FRAMING_RESP_COMMAND_H
#define HOLDFAST_FRAMING_RESP_COMMAND_H

#include <stddef.h>

#define RESP_ANSWER_SIZE 512

enum resp_verdict {
	RESP_FORWARD, /* goes to the server, which gives one reply */
	RESP_ANSWER,  /* the answer is the reply; the server sees nothing */
	RESP_QUIT,    /* the same, and the client is closed after it, as it asked */
	RESP_REFUSE,  /* the same, as the command is refused: nothing behind it is carried out */
	RESP_SKIP,    /* has no reply and need not be sent (an empty line, an empty array) */
};

/* What hello has made of the shared connection. */
struct resp_connection {
	unsigned database; /* of SELECT; 0 without one */
	unsigned protocol; /* of HELLO; 2 without one */
};

/* Judges a whole request, as framing_of(FRAMING_RESP)->request found it.  *protocol is what the client speaks, 2 or
 * 3, and then what it speaks after the answer.  answer is RESP_ANSWER_SIZE bytes; without RESP_FORWARD and RESP_SKIP
 * *ret_length of them are the reply. */
enum resp_verdict resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection,
    unsigned *protocol, char *answer, size_t *ret_length);

/* What a sent text of hello makes of the connection (its SELECT and HELLO lines, inline or as arrays); other texts
 * change nothing. */
void resp_note_hello(const unsigned char *text, size_t length, struct resp_connection *connection);

#endif
