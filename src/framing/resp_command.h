/* resp_command.h - which commands of Redis may pass over a connection that others share.
 *
 * Pure.  Most commands are one request and one reply, and leave nothing behind: they pass.  Who asks for a state that
 * a shared connection cannot have (a transaction, another database), or for what could block or end it for others,
 * gets a connection of its own, or is refused and closed: a client that overlooks the error would have the commands
 * behind it carried out without that state.  Small talk that changes nothing is answered here.
 */
#ifndef HOLDFAST_FRAMING_RESP_COMMAND_H
#define HOLDFAST_FRAMING_RESP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "framing/framing.h"
#include "framing/resp_words.h"

#define RESP_ANSWER_SIZE 512

/* What becomes of who needs a state of its own. */
enum resp_on_state { RESP_ON_STATE_OWN, RESP_ON_STATE_REFUSE };

/* What a command leaves behind on the connection that carries it, if the server grants it. */
enum resp_effect {
	RESP_EFFECT_NONE,    /* nothing: all is over with its one reply, which may be long in coming */
	RESP_EFFECT_MULTI, RESP_EFFECT_EXEC, RESP_EFFECT_DISCARD, RESP_EFFECT_WATCH, RESP_EFFECT_UNWATCH,
	RESP_EFFECT_SUBSCRIBE, RESP_EFFECT_PSUBSCRIBE, RESP_EFFECT_UNSUBSCRIBE, RESP_EFFECT_PUNSUBSCRIBE,
	RESP_EFFECT_SELECT,
	RESP_EFFECT_HELLO,   /* a protocol, a user, a name */
	RESP_EFFECT_AUTH, RESP_EFFECT_RESET,
	RESP_EFFECT_LASTING, /* a state that no command surely ends */
	RESP_EFFECT_LOST,    /* the same, and behind it replies cannot be counted */
};

/* What hello has made of the shared connection. */
struct resp_connection {
	unsigned database;  /* of SELECT; 0 without one */
	unsigned protocol;  /* of HELLO; 2 without one */
	bool authenticated; /* a user was named */
};

/* What a client says of itself: it changes no reply, but is seen in the server's list of clients. */
enum resp_label_kind { RESP_LABEL_NONE, RESP_LABEL_NAME, RESP_LABEL_LIBRARY, RESP_LABEL_VERSION };

struct resp_label {
	enum resp_label_kind kind;
	const unsigned char *bytes; /* borrowed from the request, or from room */
	size_t length;              /* 0: the label is taken away */
	unsigned char room[RESP_WORD_SIZE];
};

struct resp_judgement {
	unsigned protocol; /* what the client speaks, 2 or 3; then what it speaks after the reply */
	/* The reply, without FRAMING_FORWARD, FRAMING_OWN and FRAMING_SKIP. */
	char answer[RESP_ANSWER_SIZE];
	size_t length;
	/* FRAMING_FORWARD: the request that is sent in this one's place; constant; NULL: it is sent as it is. */
	const char *instead;
	/* FRAMING_OWN: a request that is sent over the client's own connection before this one, whose reply is
	 * nobody's; constant; NULL: none.  Without its success this one must not be sent. */
	const char *first;
	enum resp_effect effect; /* FRAMING_OWN: what the request leaves */
	struct resp_label label; /* to be said on the client's own connection before anything else; none: no news */
	/* Does not depend on what the client asked before: where the shared connection is stuck, it may go by another
	 * (FRAMING_FORWARD), or goes at once (FRAMING_OWN).  Replies keep their order. */
	bool no_order;
	bool asks_name; /* FRAMING_FORWARD: the answer is what the client has named itself, if it has */
};

/* Judges a whole request, as framing_of(FRAMING_RESP)->request found it.  judgement->protocol is read, and all of it
 * is written. */
enum framing_verdict resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection,
    enum resp_on_state on_state, struct resp_judgement *judgement);

/* What a command leaves whose first words, count of them, are these; further ones are not needed. */
enum resp_effect resp_effect_of(const struct resp_kept *words, uint64_t count);

/* What a sent text of hello makes of the connection (its SELECT, HELLO and AUTH lines, inline or as arrays); other
 * texts change nothing. */
void resp_note_hello(const unsigned char *text, size_t length, struct resp_connection *connection);

#endif
