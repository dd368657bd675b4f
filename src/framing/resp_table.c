/* Decided with the list of all commands of Redis 7.0 (COMMAND), and what later versions add.  Refused is what gives
 * the connection a state (a transaction, a subscription, a user, a protocol), what makes it wait, and what could take
 * the connection or the server from all.  What is only slow, or changes data or settings for all, is the server's own
 * affair. */
#include "framing/resp_table.h"

#include "framing/resp_words.h"

#define OWN(NAME, ARITY)          { NAME, ARITY, RESP_RULE_OWN, NULL }
#define HARMFUL(NAME, ARITY)      { NAME, ARITY, RESP_RULE_HARMFUL, NULL }
#define JUDGED(NAME, ARITY, RULE) { NAME, ARITY, RESP_RULE_##RULE, NULL }
#define CONTAINER(NAME, ROWS)     { NAME, -1, RESP_RULE_SUBCOMMAND, ROWS }
#define LAST                      { NULL, 0, RESP_RULE_OWN, NULL }

/* ACL: what closes connections, perhaps this one. */
static const struct resp_command acl_subcommands[] = {
	HARMFUL("DELUSER", -3),
	HARMFUL("LOAD", 2),
	LAST,
};

static const struct resp_command client_subcommands[] = {
	JUDGED("SETNAME", 3, LABEL),
	JUDGED("SETINFO", 4, LABEL),
	OWN("CACHING", 3),
	OWN("CAPA", -3),
	OWN("IMPORT-SOURCE", 3),
	HARMFUL("KILL", -3),
	JUDGED("MAINT_NOTIFICATIONS", -3, UNKNOWN),
	OWN("NO-EVICT", 3),
	OWN("NO-TOUCH", 3),
	HARMFUL("PAUSE", -3),
	OWN("REPLY", 3),
	OWN("TRACKING", -3),
	HARMFUL("UNBLOCK", -3),
	HARMFUL("UNPAUSE", 2),
	LAST,
};

static const struct resp_command cluster_subcommands[] = {
	HARMFUL("FAILOVER", -2),
	HARMFUL("REPLICATE", 3),
	HARMFUL("RESET", -2),
	LAST,
};

/* After it the next script is debugged: its connection speaks another protocol. */
static const struct resp_command script_subcommands[] = {
	OWN("DEBUG", 3),
	LAST,
};

static const struct resp_command commands3[] = {
	CONTAINER("ACL", acl_subcommands),
	LAST,
};

static const struct resp_command commands4[] = {
	OWN("AUTH", -2),
	OWN("EXEC", 1),
	JUDGED("POST", -1, HTTP),
	JUDGED("QUIT", -1, QUIT),
	OWN("SYNC", 1),
	OWN("WAIT", 3),
	LAST,
};

static const struct resp_command commands5[] = {
	OWN("BLPOP", -3),
	OWN("BRPOP", -3),
	HARMFUL("DEBUG", -2),
	JUDGED("HELLO", -1, HELLO),
	JUDGED("HOST:", -1, HTTP),
	OWN("MULTI", 1),
	OWN("PSYNC", -3),
	OWN("RESET", 1),
	OWN("WATCH", -2),
	JUDGED("XREAD", -4, XREAD),
	LAST,
};

static const struct resp_command commands6[] = {
	OWN("ASKING", 1),
	OWN("BLMOVE", 6),
	OWN("BLMPOP", -5),
	OWN("BZMPOP", -5),
	CONTAINER("CLIENT", client_subcommands),
	CONTAINER("SCRIPT", script_subcommands),
	JUDGED("SELECT", 2, SELECT),
	LAST,
};

static const struct resp_command commands7[] = {
	CONTAINER("CLUSTER", cluster_subcommands),
	OWN("DISCARD", 1),
	OWN("MONITOR", 1),
	HARMFUL("SLAVEOF", 3),
	OWN("UNWATCH", 1),
	OWN("WAITAOF", 4),
	LAST,
};

static const struct resp_command commands8[] = {
	OWN("BZPOPMAX", -3),
	OWN("BZPOPMIN", -3),
	HARMFUL("FAILOVER", -1),
	OWN("READONLY", 1),
	OWN("REPLCONF", -1),
	HARMFUL("SHUTDOWN", -1),
	LAST,
};

static const struct resp_command commands9[] = {
	OWN("READWRITE", 1),
	HARMFUL("REPLICAOF", 3),
	OWN("SUBSCRIBE", -2),
	LAST,
};

static const struct resp_command commands10[] = {
	OWN("BRPOPLPUSH", 4),
	OWN("PSUBSCRIBE", -2),
	OWN("SSUBSCRIBE", -2),
	JUDGED("XREADGROUP", -7, XREAD),
	LAST,
};

static const struct resp_command commands11[] = {
	OWN("UNSUBSCRIBE", -1),
	LAST,
};

static const struct resp_command commands12[] = {
	OWN("PUNSUBSCRIBE", -1),
	OWN("SUNSUBSCRIBE", -1),
	LAST,
};

/* By the length of their names: most commands that are forwarded meet a handful of others' first letters. */
static const struct resp_command *const commands[] = {
	[3] = commands3, [4] = commands4, [5] = commands5, [6] = commands6, [7] = commands7, [8] = commands8,
	[9] = commands9, [10] = commands10, [11] = commands11, [12] = commands12,
};

static const struct resp_command *
table_find(const struct resp_command *rows, const struct resp_word *word)
{
	for (; rows->name != NULL; rows++)
		/* A letter without this bit is capital; the rest is compared byte by byte. */
		if (((word->bytes[0] ^ (unsigned char)rows->name[0]) & ~0x20) == 0 && resp_word_is(word, rows->name))
			return rows;
	return NULL;
}

const struct resp_command *
resp_table_find(const struct resp_word *name)
{
	if (name->length >= sizeof commands / sizeof commands[0] || commands[name->length] == NULL)
		return NULL;
	return table_find(commands[name->length], name);
}

const struct resp_command *
resp_table_find_subcommand(const struct resp_command *command, const struct resp_word *name)
{
	return name->length == 0 ? NULL : table_find(command->subcommands, name);
}
