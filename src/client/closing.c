#include "client/closing.h"

static const struct {
	char letter;
	const char *words;
} closing_causes[CLOSING_CAUSES] = {
	[CLOSING_UNKNOWN] = { '-', "ended under a worker that has died" },
	[CLOSING_CLIENT] = { 'C', "ended by itself" },
	[CLOSING_UPSTREAM] = { 'U', "ended by its upstream" },
	[CLOSING_HOLD_TIMEOUT] = { 'H', "closed: hold_timeout over" },
	[CLOSING_REFUSED] = { 'R', "refused: the service is down or closed" },
	[CLOSING_LIMIT] = { 'L', "closed: a limit is reached" },
	[CLOSING_NOT_ALLOWED] = { 'N', "refused: not in allow_users or allow_groups" },
	[CLOSING_IDLE] = { 'I', "closed: idle_timeout over" },
	[CLOSING_WITHDRAWN] = { 'W', "closed: its endpoint is withdrawn" },
	[CLOSING_OPERATOR] = { 'O', "closed by an operator" },
	[CLOSING_REMOVED] = { 'D', "closed: the service was removed" },
	[CLOSING_STOP] = { 'S', "closed: the daemon ends" },
	[CLOSING_PROTOCOL] = { 'P', "closed: it sent what is no message" },
	[CLOSING_STATE] = { 'T', "closed: it needs a connection of its own" },
	[CLOSING_BEHIND] = { 'B', "closed: it does not take what it is given" },
	[CLOSING_MEMORY] = { 'M', "closed: no memory was left for it" },
	[CLOSING_CUT] = { 'X', "closed: its reply was cut off" },
};

void
closing_code(enum closing_cause cause, const struct closing_state *state, char ret_code[CLOSING_CODE_SIZE])
{
	ret_code[0] = closing_causes[cause].letter;
	ret_code[1] = state->attached ? 'A' : 'C';
	if (state->held)
		ret_code[1] = state->attached ? 'R' : 'H';
	else if (!state->open)
		ret_code[1] = 'N';
	else if (state->asking)
		ret_code[1] = 'Q';
	ret_code[2] = '\0';
}

const char *
closing_words(enum closing_cause cause)
{
	return closing_causes[cause].words;
}
