/* closing.h - how a client ended, in two letters: who or what ended it, and how far it had come.
 *
 * Pure.  The letters are told in holdfastd(8), and are not changed.
 */
#ifndef HOLDFAST_CLIENT_CLOSING_H
#define HOLDFAST_CLIENT_CLOSING_H

#include <stdbool.h>

enum closing_cause {
	CLOSING_UNKNOWN,      /* decided by a worker that has died since */
	CLOSING_CLIENT,       /* it ended its side first, or is gone */
	CLOSING_UPSTREAM,     /* its upstream ended first, or was lost with its request */
	CLOSING_HOLD_TIMEOUT,
	CLOSING_REFUSED,      /* the service is down, and does not hold; or closed, drained, aborted */
	CLOSING_LIMIT,        /* max_held, max_clients_per_user, or a reply longer than a packet */
	CLOSING_NOT_ALLOWED,
	CLOSING_IDLE,
	CLOSING_WITHDRAWN,    /* the lookup lists its endpoint no more: on_withdrawn, withdrawn_timeout */
	CLOSING_OPERATOR,     /* kill, close */
	CLOSING_REMOVED,      /* the service, by a reload */
	CLOSING_STOP,         /* the daemon ends */
	CLOSING_PROTOCOL,     /* it said what is no message, or too long a one */
	CLOSING_STATE,        /* it asked for what a shared connection cannot give */
	CLOSING_BEHIND,       /* it does not take what it is given */
	CLOSING_MEMORY,
	CLOSING_CUT,          /* the connection was lost in the midst of a reply that it had in part */
	CLOSING_CAUSES
};

/* How far it had come.  All false: it was turned away as it came. */
struct closing_state {
	bool held;     /* waits for a connection */
	bool open;     /* has one, or shares one */
	bool attached; /* a byte has passed, over this connection or an earlier one */
	bool asking;   /* in shared mode: a request has no reply yet */
};

#define CLOSING_CODE_SIZE 3

/* The two letters, with a NUL. */
void closing_code(enum closing_cause cause, const struct closing_state *state, char ret_code[CLOSING_CODE_SIZE]);

/* The cause in words. */
const char *closing_words(enum closing_cause cause);

#endif
