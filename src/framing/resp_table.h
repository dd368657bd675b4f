/* resp_table.h - the commands of Redis that are not simply forwarded.
 *
 * Pure.  What is done about them: framing/resp_command.c.
 */
#ifndef HOLDFAST_FRAMING_RESP_TABLE_H
#define HOLDFAST_FRAMING_RESP_TABLE_H

struct resp_word;

enum resp_rule {
	RESP_RULE_OWN,        /* refused: needs a connection of its own */
	RESP_RULE_HARMFUL,    /* refused: could end or block the connection of all */
	RESP_RULE_UNKNOWN,    /* an offer that clients do without where the server does not know it */
	RESP_RULE_SELECT, RESP_RULE_HELLO, RESP_RULE_XREAD,
	RESP_RULE_LABEL,      /* names the connection: what all share keeps its own name */
	RESP_RULE_QUIT,
	RESP_RULE_HTTP,       /* Redis takes it for a browser that was led astray, and closes */
	RESP_RULE_SUBCOMMAND, /* the next word decides */
};

struct resp_command {
	const char *name;      /* in capitals */
	int arity;             /* words of the whole request; negative: at least so many */
	enum resp_rule rule;
	const struct resp_command *subcommands; /* of RESP_RULE_SUBCOMMAND, up to one without a name */
};

/* The command of this name, in capitals or not; NULL: it is forwarded. */
const struct resp_command *resp_table_find(const struct resp_word *name);

/* The same among a command's subcommands. */
const struct resp_command *resp_table_find_subcommand(const struct resp_command *command,
    const struct resp_word *name);

#endif
